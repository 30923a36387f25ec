"""A dataset that grows by files: each new batch has the files that no earlier batch has, by content."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, ClassVar

from jeyn.errors import UsageError
from jeyn.sdk.datasets.batch import DatasetBatch
from jeyn.sdk.datasets.formula import DatasetFormula
from jeyn.sdk.datasets.source_options import PLAIN, SourceOptions

if TYPE_CHECKING:
    from jeyn.sdk.catalog import CatalogClass
    from jeyn.sdk.version import Version


FAIL = "fail"
QUARANTINE_FILE = "quarantine file"


class StreamingFormula(DatasetFormula):
    """Files that match `source`, a glob below the data root (SEMANTICS 16); `after` names a batch whose files,
    with those before it, count as seen (SEMANTICS 13).

    Folders of `source` such as "year=2024" are features where `output_catalog` has them and a file does not. `options`
    say how the files write what they hold. With `on_bad="quarantine file"` a file that cannot be read, or whose rows
    fail their checks, is left out of the batch, which names it; else it makes the whole batch fail. It is tried again
    when its content changes.
    """

    kind: ClassVar[str] = "streaming"

    def __init__(
        self,
        name: str,
        *,
        version: str | Version,
        output_catalog: CatalogClass,
        source: str,
        after: str | DatasetBatch | None = None,
        options: SourceOptions | Mapping[str, Any] | None = None,
        on_bad: str = FAIL,
        description: str = "",
    ) -> None:
        self._declare(name, version, output_catalog, description)
        self.source = valid_pattern(source)
        self.after = batch_reference(after)
        self.options = SourceOptions.of(options)
        self.on_bad = _known(on_bad)

    def recipe(self) -> dict[str, Any]:
        plain = {"kind": self.kind, "source": self.source, "after": self.after}
        options = {"options": self.options.to_json()} if self.options != PLAIN else {}
        return plain | options | ({"on_bad": self.on_bad} if self.on_bad != FAIL else {})

    def get_new_batch(self, *, after: str | DatasetBatch | None = None) -> DatasetBatch:
        return DatasetBatch.requested(self, after=batch_reference(after) or self.after)


def _known(on_bad: str) -> str:
    if on_bad not in (FAIL, QUARANTINE_FILE):
        raise UsageError(f'on_bad="{on_bad}" is not known', hint=f'say "{FAIL}" or "{QUARANTINE_FILE}"')
    return on_bad


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
