"""What a run resolves once, when it is created: references and files, each to an artefact (SEMANTICS 20)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from jeyn.errors import NotFound
from jeyn.sdk.artefact import PayloadRef, Record
from jeyn.sdk.plan import FileInput, Plan, Ref
from jeyn.sdk.value import Value
from jeyn.stores.catalog.changes import NewArtefact
from jeyn.stores.payloads import hash_file
from jeyn.workflows.checks.wiring import sources_in
from jeyn.workflows.inputs import Produced

if TYPE_CHECKING:
    from jeyn.stores.workspace import Workspace


def pin(plan: Plan, workspace: Workspace, root: Path) -> dict[str, str]:
    """The ids of a plan's references, and of its files as "file:<path>"; the files are kept."""
    found = {reference: workspace.row(reference).id for reference in _references(plan)}
    for path in _files(plan):
        found[f"file:{path}"] = _kept(workspace, root, path)
    return found


def _kept(workspace: Workspace, root: Path, path: str) -> str:
    def build(writer: Workspace) -> list[NewArtefact]:
        payload = writer.keep(root / path, Path(path).name)
        return [NewArtefact(_file(path, payload).record(), event="jeyn.value.saved")]

    return workspace.save(build)[0].id


def foresee(plan: Plan, workspace: Workspace, root: Path) -> tuple[dict[str, str], dict[str, Produced]]:
    """What `pin` would give, without keeping anything: the ids, and what files would count as."""
    pins: dict[str, str] = {}
    known: dict[str, Produced] = {}
    for reference in _references(plan):
        try:
            pins[reference] = workspace.row(reference).id
        except NotFound:
            continue  # the plan's problems say so
    for path in _files(plan):
        if (root / path).is_file():
            hashed = hash_file(root / path)
            payload = PayloadRef(Path(path).name, "sha256:" + hashed.digest.removeprefix("sha256:"), hashed.size)
            record: Record = _file(path, payload).record()
            pins[f"file:{path}"] = record.id
            known[record.id] = Produced(record.id, ["value", "file/1", payload.digest], "file/1")
    return pins, known


def _file(path: str, payload: PayloadRef) -> Value:
    return Value(output=Path(path).name, cache_key="", format="file/1", payload=payload)


def _references(plan: Plan) -> Iterator[str]:
    return iter(dict.fromkeys(source.reference for _, source in sources_in(plan) if isinstance(source, Ref)))


def _files(plan: Plan) -> Iterator[str]:
    return iter(dict.fromkeys(source.path for _, source in sources_in(plan) if isinstance(source, FileInput)))
