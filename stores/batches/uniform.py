"""One schema for all rows of a batch: optional features that some files lack, and categories that mean the same.

An optional feature that any file of the batch has is in all its rows, null where a file lacks it; one that no file has
is not there. The categories of a batch are those that its feature declares, else all that its formula has had up to
this batch, in the order in which they came: what a category's code means, it means in every batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jeyn.sdk.dtypes import Dtypes
from jeyn.sdk.validation.categories import encoded
from jeyn.stores.catalog.changes import LEVELS

if TYPE_CHECKING:
    import pyarrow as pa

    from jeyn.sdk.datasets.batch import DatasetBatch
    from jeyn.sdk.datasets.selection import Selection
    from jeyn.sdk.feature import Feature

# The fact that tells which optional features no file of a batch has.
ABSENT = "absent"


@dataclass(frozen=True)
class Uniform:
    """The features of a batch, which of them no file has, and the categories of those that declare none."""

    features: Mapping[str, Feature]
    absent: frozenset[str]
    levels: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, batch: DatasetBatch, columns: Callable[[], Iterable[str]]) -> Uniform:
        """`columns` tells which columns its files have; it is asked only of a batch that an older Jeyn saved."""
        declared, facts = batch.output_catalog.features, batch.facts
        absent = facts.get(ABSENT)
        if absent is None:
            doubtful = {name for name, feature in declared.items() if feature.optional} - set(batch.statistics)
            absent = doubtful - set(columns()) if doubtful else ()
        levels = {} if batch.is_quarantined else facts.get(LEVELS, {})
        return cls(
            declared,
            frozenset(absent),
            {name: tuple(found) for name, found in levels.items() if name in declared and not declared[name].levels},
        )

    def table(self, table: pa.Table, selection: Selection) -> pa.Table:
        """The same rows with every selected feature that the batch has; one that was asked for by name is there."""
        import pyarrow as pa

        names = [name for name in selection.columns if not selection.is_whole or name not in self.absent]
        return pa.table({name: self._column(name, table) for name in names})

    def _column(self, name: str, table: pa.Table) -> Any:
        import pyarrow as pa

        feature = self.features[name]
        there = name in table.column_names
        column = table.column(name) if there else pa.chunked_array([pa.nulls(table.num_rows, feature.arrow_type())])
        levels = feature.levels or self.levels.get(name)
        if feature.dtype is not Dtypes.CATEGORICAL or levels is None:
            return column
        chunks = column.chunks or [pa.array([], feature.arrow_type())]
        return pa.chunked_array([encoded(chunk, levels)[0] for chunk in chunks], feature.arrow_type())
