"""One batch of cookies: the data that a model is trained on, pinned to one version of a formula."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from jeyn.errors import Unsaved, UsageError
from jeyn.sdk.artefact import Artefact, PayloadRef, Record
from jeyn.sdk.datasets.selection import Filter, Selection

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd
    import polars as pl
    import pyarrow as pa
    import torch

    from jeyn.sdk.catalog import CatalogClass
    from jeyn.sdk.datasets.formula import DatasetFormula


@dataclass(frozen=True, slots=True)
class NewBatch:
    """The request that `get_new_batch()` makes: what no earlier batch has, after the one named."""

    after: str | None = None


class DatasetBatch(Artefact):
    """A batch of a formula. `load()` and its siblings read it; what a store returned checks every byte by digest."""

    type: ClassVar[str] = "dataset_batch"
    ref_kind: ClassVar[str] = "batch"
    kind: ClassVar[str] = "new"

    def __init__(self, formula: DatasetFormula, *, sources: Sequence[DatasetBatch] = ()) -> None:
        self.formula = formula
        self.sources = tuple(sources)
        self.request: NewBatch | None = None
        self.stored: Record | None = None

    @classmethod
    def requested(cls, formula: DatasetFormula, after: str | None = None) -> DatasetBatch:
        batch = DatasetBatch(formula)
        batch.request = NewBatch(after)
        return batch

    def record(self) -> Record:
        if self.stored is None:
            raise Unsaved(
                f'this batch of "{self.formula.name}" is not saved', hint="dataset_store.save_batch(batch) first"
            )
        return self.stored

    @property
    def name(self) -> str:
        return self.formula.name

    @property
    def output_catalog(self) -> CatalogClass:
        return self.formula.output_catalog

    @property
    def epoch(self) -> int:
        """1, 2, 3 … in one formula version; raises `Unsaved` before saving and in quarantine."""
        return int(self._claimed("epoch"))

    @property
    def ref(self) -> str:
        saved = self._need_saved("reference")
        return saved.id if saved.number is None else f"batch:{self.name}@{self.formula.version}/{saved.number}"

    @property
    def files(self) -> tuple[PayloadRef, ...]:
        """The files, each with its path below the data root, its digest and its size in bytes."""
        return self.record().payloads

    @property
    def superseded_files(self) -> Mapping[str, str]:
        """Which of its files a later batch replaced: path below the data root → the reference of that batch."""
        return self._need_saved("history").workspace.superseded_files(self.id)

    @property
    def is_superseded(self) -> bool:
        """Whether every one of its files was replaced, so that "all batches" leave it out."""
        return bool(self.files) and self.superseded_files.keys() >= {file.name for file in self.files}

    @property
    def supersedes(self) -> Mapping[str, str]:
        """Which files of earlier batches it replaced: path → the reference of the batch that had it."""
        return self._need_saved("history").workspace.supersedes(self.id)

    @property
    def statistics(self) -> Mapping[str, Mapping[str, Any]]:
        """Per feature: count, nulls, min, max, mean, std (computed once, when it was saved)."""
        found: Mapping[str, Mapping[str, Any]] = self.facts.get("statistics", {})
        return {name: found[name] for name in self.output_catalog.features if name in found}

    @property
    def rows(self) -> int:
        return int(self._need_saved("row count").facts.get("rows", 0))

    def load(self, *, columns: Sequence[str] | None = None, filter: Filter | None = None) -> Any:
        """The rows as a `pyarrow.Table` (a generic batch gives its object).

        `columns` names the features wanted, in the order wanted. `filter` says which rows: a `pyarrow.compute`
        expression over any features, or conditions that all hold, `[("km", ">", 2), ("city", "in", ["Brest"])]`; rows
        where it is null are left out. What is not asked for is not read where the format of the files allows.
        Raises `UsageError` for a feature that is not there, `Corrupt` for changed bytes.
        """
        return self._need_saved("data").workspace.load(self, self._selected(columns, filter))

    def iter_batches(
        self, rows: int = 65_536, *, columns: Sequence[str] | None = None, filter: Filter | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Record batches of at most `rows` rows, in order, in memory bounded by them; `columns` and `filter` as for
        `load`."""
        if rows < 1:
            raise UsageError(f'rows is "{rows}"', hint="ask for at least one row at a time")
        selection = self._selected(columns, filter)
        return self._need_saved("data").workspace.iter_batches(self, rows, selection)

    def _rows(self, columns: Sequence[str] | None, filter: Filter | None) -> pa.Table:
        return self.load(columns=columns, filter=filter)

    def _selected(self, columns: Sequence[str] | None, filter: Filter | None) -> Selection:
        return Selection.of(self.output_catalog, columns, filter, whose=self.name)

    def _asked(self, columns: Sequence[str] | None) -> CatalogClass:
        return self.output_catalog if columns is None else self.output_catalog.only(*columns)

    def to_pandas(self, *, columns: Sequence[str] | None = None, filter: Filter | None = None) -> pd.DataFrame:
        """A data frame whose dtypes follow from the catalog; `columns` and `filter` as for `load`.

        Nullable integers and bools have pandas' nullable dtypes ("Int64", "boolean"), so that none is rounded. Needs
        the `pandas` extra.
        """
        from jeyn.sdk.datasets.arrays import table_to_pandas

        return table_to_pandas(self._rows(columns, filter), self._asked(columns))

    def to_polars(self, *, columns: Sequence[str] | None = None, filter: Filter | None = None) -> pl.DataFrame:
        """A polars frame; `columns` and `filter` as for `load`; needs the `polars` extra."""
        import polars

        return polars.DataFrame(polars.from_arrow(self._rows(columns, filter)))

    def to_numpy(
        self, *, columns: Sequence[str] | None = None, filter: Filter | None = None
    ) -> dict[str, npt.NDArray[np.generic]]:
        """One array per feature, of the feature's shape with the rows first; `columns` and `filter` as for `load`.

        See `table_to_numpy` for nulls. Raises `DataInvalid` for integers beside nulls that float64 does not hold
        exactly.
        """
        from jeyn.sdk.datasets.arrays import table_to_numpy

        return table_to_numpy(self._rows(columns, filter), self._asked(columns))

    def to_torch(
        self, *, columns: Sequence[str] | None = None, filter: Filter | None = None
    ) -> dict[str, torch.Tensor]:
        """One tensor per numeric or bool feature, of the feature's shape; `columns` and `filter` as for `load`; needs
        the `torch` extra."""
        from jeyn.sdk.datasets.arrays import table_to_torch

        return table_to_torch(self._rows(columns, filter), self._asked(columns))


class FileBatch(DatasetBatch):
    """A batch of files; unsaved it holds the paths of local files to save."""

    kind: ClassVar[str] = "files"

    def __init__(
        self, formula: DatasetFormula, paths: Sequence[str | Path] = (), *, sources: Sequence[DatasetBatch] = ()
    ) -> None:
        super().__init__(formula, sources=sources)
        self.paths = (Path(paths),) if isinstance(paths, str | Path) else tuple(Path(path) for path in paths)


class TableBatch(DatasetBatch):
    """A batch of rows kept as Parquet; unsaved it holds the table in memory."""

    kind: ClassVar[str] = "table"

    def __init__(self, formula: DatasetFormula, table: Any = None, *, sources: Sequence[DatasetBatch] = ()) -> None:
        super().__init__(formula, sources=sources)
        self.table = table

    def load(self, *, columns: Sequence[str] | None = None, filter: Filter | None = None) -> Any:
        if self.saved is None and self.table is not None:
            from jeyn.sdk.datasets.arrays import as_table

            table = as_table(self.table, self.output_catalog)
            if columns is None and filter is None:
                return table
            selection = self._selected(columns, filter)
            return selection.of_table(selection.reads.conform(table))
        return super().load(columns=columns, filter=filter)


class GenericBatch(DatasetBatch):
    """A batch of any object with a registered serializer, and the JSON `kwargs` that say how it was made."""

    kind: ClassVar[str] = "generic"

    def __init__(
        self,
        formula: DatasetFormula,
        value: Any = None,
        *,
        kwargs: Mapping[str, Any] | None = None,
        sources: Sequence[DatasetBatch] = (),
    ) -> None:
        super().__init__(formula, sources=sources)
        self.value = value
        self.kwargs = dict(kwargs or {})

    def load(self, *, columns: Sequence[str] | None = None, filter: Filter | None = None) -> Any:
        """The object itself; it has no columns or rows to choose from."""
        if columns is not None or filter is not None:
            raise self._no_rows()
        return self.value if self.saved is None else super().load()

    def iter_batches(
        self, rows: int = 65_536, *, columns: Sequence[str] | None = None, filter: Filter | None = None
    ) -> Iterator[pa.RecordBatch]:
        raise self._no_rows()

    def _rows(self, columns: Sequence[str] | None, filter: Filter | None) -> Any:
        raise self._no_rows()

    def _no_rows(self) -> UsageError:
        return UsageError("a generic batch has no rows", hint="load() gives its object")


class UnionBatch(DatasetBatch):
    """A batch of a composite formula: exactly its parts, in order, stored once as themselves."""

    kind: ClassVar[str] = "union"


BATCH_KINDS: Mapping[str, type[DatasetBatch]] = {
    kind.kind: kind for kind in (FileBatch, TableBatch, GenericBatch, UnionBatch)
}
