"""The columns of a pandas frame as Arrow arrays; None, NaT and NA are nulls there, and so is NaN but in floats."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jeyn.sdk.validation.tables import Columns, Unreadable, read_column

if TYPE_CHECKING:
    import pandas

    from jeyn.sdk.catalog import DataCatalog
    from jeyn.sdk.feature import Feature


def frame_columns(catalog: type[DataCatalog], frame: pandas.DataFrame) -> Columns:
    """Each feature that the frame has, its index left out; a column that has no one type is `Unreadable`."""
    names = [name for name in catalog.features if name in frame.columns]
    return {name: _read(frame, name, catalog.features[name]) for name in names}


def _read(frame: pandas.DataFrame, name: str, feature: Feature) -> object:
    column = frame[name]
    if getattr(column, "ndim", 1) != 1:
        return Unreadable("several columns have this name")
    return read_column(column, feature)
