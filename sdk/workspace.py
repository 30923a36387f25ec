"""How a saved artefact finds its way back to its stores, and the one ambient workspace (SEMANTICS 25 and 26)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import pyarrow as pa

    from jeyn.sdk.artefact import Artefact
    from jeyn.sdk.datasets.batch import DatasetBatch
    from jeyn.sdk.datasets.selection import Selection


class Node(Protocol):
    """One artefact in a lineage, without its content."""

    id: str
    type: str
    name: str
    ref: str


class Lineage(Protocol):
    """The nodes and edges that a traversal found; `str()` draws it as a tree."""

    def __iter__(self) -> Iterator[Any]: ...
    def __len__(self) -> int: ...


class Workspace(Protocol):
    """What bound objects ask of the stores that returned them."""

    def get(self, ref: str) -> Any: ...
    def load(self, artefact: Artefact, selection: Selection | None = None) -> Any: ...
    def iter_batches(
        self, batch: DatasetBatch, rows: int, selection: Selection | None = None
    ) -> Iterator[pa.RecordBatch]: ...
    def is_swept(self, id: str) -> bool: ...
    def superseded_files(self, id: str) -> Mapping[str, str]: ...
    def supersedes(self, id: str) -> Mapping[str, str]: ...
    def upstream(self, ref: str, depth: int | None = None, types: tuple[str, ...] = ()) -> Lineage: ...
    def downstream(self, ref: str, depth: int | None = None, types: tuple[str, ...] = ()) -> Lineage: ...


_current: ContextVar[Any] = ContextVar("jeyn_workspace", default=None)


def current_workspace() -> Any | None:
    """The workspace that `use` set in this context, if any."""
    return _current.get()


@contextmanager
def use_workspace(workspace: Any) -> Iterator[Any]:
    """Make `workspace` the current one inside the block."""
    token = _current.set(workspace)
    try:
        yield workspace
    finally:
        _current.reset(token)
