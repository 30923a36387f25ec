"""One batch of cookies: the data that a model is trained on, pinned to one version of a formula."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from jeyn.errors import Unsaved, UsageError
from jeyn.sdk.artefact import Artefact, PayloadRef, Record

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
    def statistics(self) -> Mapping[str, Mapping[str, Any]]:
        """Per feature: count, nulls, min, max, mean, std (computed once, when it was saved)."""
        found: Mapping[str, Mapping[str, Any]] = self.facts.get("statistics", {})
        return {name: found[name] for name in self.output_catalog.features if name in found}

    @property
    def rows(self) -> int:
        return int(self._need_saved("row count").facts.get("rows", 0))

    def load(self) -> Any:
        """The rows as a `pyarrow.Table` (a generic batch gives its object). Raises `Corrupt` for changed bytes."""
        return self._need_saved("data").workspace.load(self)

    def iter_batches(self, rows: int = 65_536) -> Iterator[pa.RecordBatch]:
        """Record batches of at most `rows` rows, in order, in memory bounded by them."""
        if rows < 1:
            raise UsageError(f'rows is "{rows}"', hint="ask for at least one row at a time")
        return self._need_saved("data").workspace.iter_batches(self, rows)

    def _rows(self) -> pa.Table:
        return self.load()

    def to_pandas(self) -> pd.DataFrame:
        """A data frame whose dtypes follow from the catalog; needs the `pandas` extra.

        Nullable integers and bools have pandas' nullable dtypes ("Int64", "boolean"), so that none is rounded.
        """
        from jeyn.sdk.datasets.arrays import table_to_pandas

        return table_to_pandas(self._rows(), self.output_catalog)

    def to_polars(self) -> pl.DataFrame:
        """A polars frame; needs the `polars` extra."""
        import polars

        return polars.DataFrame(polars.from_arrow(self._rows()))

    def to_numpy(self) -> dict[str, npt.NDArray[np.generic]]:
        """One array per feature, of the feature's shape with the rows first; see `table_to_numpy` for nulls.

        Raises `DataInvalid` for integers beside nulls that float64 does not hold exactly.
        """
        from jeyn.sdk.datasets.arrays import table_to_numpy

        return table_to_numpy(self._rows(), self.output_catalog)

    def to_torch(self) -> dict[str, torch.Tensor]:
        """One tensor per numeric or bool feature, of the feature's shape; needs the `torch` extra."""
        from jeyn.sdk.datasets.arrays import table_to_torch

        return table_to_torch(self._rows(), self.output_catalog)


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

    def load(self) -> Any:
        if self.saved is None and self.table is not None:
            from jeyn.sdk.datasets.arrays import as_table

            return as_table(self.table, self.output_catalog)
        return super().load()


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

    def load(self) -> Any:
        """The object itself."""
        return self.value if self.saved is None else super().load()

    def _rows(self) -> Any:
        raise UsageError("a generic batch has no rows", hint="load() gives its object")


class UnionBatch(DatasetBatch):
    """A batch of a composite formula: exactly its parts, in order, stored once as themselves."""

    kind: ClassVar[str] = "union"


BATCH_KINDS: Mapping[str, type[DatasetBatch]] = {
    kind.kind: kind for kind in (FileBatch, TableBatch, GenericBatch, UnionBatch)
}
