"""A dataset that grows by files: each new batch has the files that no earlier batch has, by content."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, ClassVar

from jeyn.errors import UsageError
from jeyn.sdk.datasets.batch import DatasetBatch
from jeyn.sdk.datasets.formula import DatasetFormula

if TYPE_CHECKING:
    from jeyn.sdk.catalog import CatalogClass
    from jeyn.sdk.version import Version


class StreamingFormula(DatasetFormula):
    """Files that match `source`, a glob below the data root (SEMANTICS 16); `after` names a batch whose files,
    with those before it, count as seen (SEMANTICS 13)."""

    kind: ClassVar[str] = "streaming"

    def __init__(
        self,
        name: str,
        *,
        version: str | Version,
        output_catalog: CatalogClass,
        source: str,
        after: str | DatasetBatch | None = None,
        description: str = "",
    ) -> None:
        self._declare(name, version, output_catalog, description)
        self.source = valid_pattern(source)
        self.after = batch_reference(after)

    def recipe(self) -> dict[str, Any]:
        return {"kind": self.kind, "source": self.source, "after": self.after}

    def get_new_batch(self, *, after: str | DatasetBatch | None = None) -> DatasetBatch:
        return DatasetBatch.requested(self, after=batch_reference(after) or self.after)


def batch_reference(batch: str | DatasetBatch | None) -> str | None:
    """A batch by reference; an object stands for exactly itself."""
    return batch.ref if isinstance(batch, DatasetBatch) else batch


def valid_pattern(source: str) -> str:
    """The pattern, or `UsageError`: the root is location and never part of a recipe."""
    path = PurePosixPath(source)
    if not source or path.is_absolute() or "://" in source or ".." in path.parts:
        raise UsageError(
            f'a source is a pattern below the data root, and "{source}" is not',
            hint='say source="data/*.parquet", and where the root is with data: in jeyn.yaml or JEYN_DATA',
        )
    return str(path)
