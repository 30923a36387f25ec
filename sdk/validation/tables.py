"""Whatever data is given, as batches of named Arrow arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import TYPE_CHECKING, Any

from jeyn.errors import UsageError
from jeyn.sdk.dtypes import Dtypes
from jeyn.sdk.validation.exact import CURE_OF_NANOSECONDS

if TYPE_CHECKING:
    from jeyn.sdk.catalog import DataCatalog
    from jeyn.sdk.feature import Feature

Columns = dict[str, Any]  # pa.Array or Unreadable, by feature


@dataclass(frozen=True)
class Unreadable:
    """Stands for a column that Arrow cannot hold."""

    problem: str


def batches_of(catalog: type[DataCatalog], data: Any) -> Iterator[tuple[Columns, int]]:
    """The columns that the catalog names and the number of rows, batch by batch; raises `UsageError` for other data."""
    import pyarrow as pa

    if isinstance(data, pa.RecordBatch):
        yield batch_columns(catalog, data), data.num_rows
    elif type(data).__module__.partition(".")[0] == "pandas" and hasattr(data, "columns"):
        from jeyn.sdk.validation.pandas import frame_columns

        yield frame_columns(catalog, data), len(data)
    elif isinstance(data, Mapping):
        from jeyn.sdk.validation.numpy import array_columns

        columns = array_columns(catalog, data)
        yield columns, _rows(columns)
    else:
        batches = list(_arrow_batches(data)) if isinstance(data, pa.Table) else _arrow_batches(data)
        if isinstance(batches, list) and not batches:
            batches = [pa.RecordBatch.from_pylist([], schema=data.schema)]
        for batch in batches:
            yield batch_columns(catalog, batch), batch.num_rows


def batch_columns(catalog: type[DataCatalog], batch: Any) -> Columns:
    """The columns of a record batch that the catalog names."""
    found: Columns = {}
    for name in catalog.features:
        places = batch.schema.get_all_field_indices(name)
        if places:
            found[name] = batch.column(places[0]) if len(places) == 1 else Unreadable("several columns have this name")
    return found


def read_column(values: Any, feature: Feature) -> Any:
    """One Arrow array of a pandas series or a numpy array of one axis.

    None, NA and NaT are nulls. NaN is a value where the feature is a float, and a null where no value of it could be
    NaN, as in texts and integers; the same for every kind of data (SEMANTICS 34).
    """
    import pyarrow as pa

    if feature.dtype in (Dtypes.TIMESTAMP, Dtypes.DATE) and str(getattr(values, "dtype", "")) == "object":
        if problem := _nanoseconds(values):
            return Unreadable(problem)
        values = _with_midnights(values)
    try:
        array = pa.array(
            _without_na(values) if feature.dtype.is_float else values, from_pandas=not feature.dtype.is_float
        )
    except MemoryError:
        raise
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as exc:
        return Unreadable(str(exc).partition("\n")[0])
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def _without_na(values: Any) -> Any:
    """pandas' NA, which Arrow takes for a null only where it takes NaN for one too, as None."""
    if str(getattr(values, "dtype", "")) != "object":
        return values
    import numpy as np

    array = np.asarray(values)
    gaps = [at for at, value in enumerate(array) if type(value).__name__ in ("NAType", "NaTType")]
    if gaps:
        array = array.copy()
        array[gaps] = None
    return array


def _nanoseconds(values: Any) -> str | None:
    """The first of pandas' own times among objects, also in lists, whose last digits Arrow would cut off unsaid."""
    found = ((at, leaf) for at, value in enumerate(values) for leaf in _leaves(value))
    at, leaf = next((each for each in found if getattr(each[1], "nanosecond", 0) > 0), (0, None))
    return None if leaf is None else f"{leaf} in row {at}: {CURE_OF_NANOSECONDS}"


def _with_midnights(values: Any) -> Any:
    """Days among times as their midnights: Arrow would make days of all of them, if one comes first."""
    kinds = {type(leaf) for value in values for leaf in _leaves(value)}
    if date not in kinds or not any(issubclass(kind, datetime) for kind in kinds):
        return values
    import numpy as np

    made = np.empty(len(values), dtype=object)
    made[:] = [_midnight(value) for value in values]
    return made


def _midnight(value: Any) -> Any:
    if _is_list(value):
        return [_midnight(each) for each in value]
    return datetime.combine(value, time()) if type(value) is date else value


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple)) or str(getattr(value, "dtype", "")) == "object"


def _leaves(value: Any) -> Iterator[Any]:
    if _is_list(value):
        for each in value:
            yield from _leaves(each)
    else:
        yield value


def _arrow_batches(data: Any) -> Iterator[Any]:
    import pyarrow as pa

    if isinstance(data, pa.Table):
        return iter(data.to_batches())
    if isinstance(data, pa.RecordBatchReader):
        return iter(data)
    if hasattr(data, "to_arrow"):
        return _arrow_batches(data.to_arrow())
    if hasattr(data, "__arrow_c_stream__"):
        return iter(pa.RecordBatchReader.from_stream(data))
    raise UsageError(
        f'a "{type(data).__name__}" cannot be validated',
        hint="give an Arrow table, batch or reader, a pandas or polars frame, or a dict of numpy arrays",
    )


def _rows(columns: Columns) -> int:
    return max((len(column) for column in columns.values() if not isinstance(column, Unreadable)), default=0)
