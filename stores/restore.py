"""Bytes that were swept or lost, brought back by digest from where they still are: SEMANTICS 28 and 31.

Places that may have them: the data root, for the files of a streaming formula; the database, for the rows of a SQL
formula, if they are still the same; and other payload stores, where some are named. What comes back is committed at
once, also from inside an attempt: it changes no artefact.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from jeyn.errors import JeynError, NotFound, PayloadMissing
from jeyn.sdk.artefact import Artefact, PayloadRef
from jeyn.sdk.datasets import SqlFormula, StreamingFormula
from jeyn.sdk.datasets.batch import DatasetBatch
from jeyn.stores.access import writing
from jeyn.stores.catalog.changes import Mark
from jeyn.stores.catalog.commit import commit
from jeyn.stores.catalog.reader import ArtefactRow, owner_of
from jeyn.stores.catalog.sweep import LOST, RESTORED
from jeyn.stores.payloads import PayloadStore, hash_file
from jeyn.stores.payloads.failures import os_errors

if TYPE_CHECKING:
    from jeyn.stores.sources.root import SourceFile
    from jeyn.stores.workspace import Workspace

Listed = Mapping[str, "SourceFile"]  # by "sha256:…"
_STEP = 1 << 20


def bring_back(
    workspace: Workspace, artefact: Artefact, *, listed: Listed | None = None, others: Sequence[PayloadStore] = ()
) -> bool:
    """Put back all bytes of an artefact that are not in the payload store; True when every one of them is there now.

    `listed` are source files whose digests are known; `others` are payload stores to look in. What was swept or given
    up as lost is so no longer. Nothing is raised where a source cannot be read: it does not have them then.
    """
    outside = workspace.outside
    row = outside.reader.row(artefact.id) if artefact.saved is not None else None
    if row is None:
        return False
    external = outside.reader.external_payloads(row.key)
    wanted = [payload for payload in row.record.payloads if payload.digest not in external]
    writer = outside._writer()
    try:
        # Under leases, so that no sweep takes what is there while the rest comes.
        writer.leases.take([payload.digest[7:] for payload in wanted])
        suspects = writer.payloads.small.suspects()
        for payload in wanted:
            is_there = payload.digest[7:] not in suspects and writer.payloads.exists(payload.digest[7:])
            if not is_there and not _fetch(writer, artefact, payload, listed, others):
                return False
        _lift(writer, row)
    finally:
        writer._end_save()
    return True


def undo_loss(workspace: Workspace, artefact: Artefact) -> None:
    """What was given up as lost and could be read all the same is lost no longer."""
    if artefact.saved is None:
        return
    marks = [mark for mark in workspace.outside.reader.marks(artefact.id) if mark.kind == "tombstone"]
    if marks and marks[-1].present and marks[-1].reason.startswith(LOST):
        bring_back(workspace, artefact)


def _lift(writer: Workspace, row: ArtefactRow) -> None:
    if writer.reader.is_buried(row.id):
        change = Mark(row.id, "tombstone", present=False, reason="its bytes are back", event=RESTORED)
        commit(writer.database, [change], writer.settings.actor)


def _fetch(
    writer: Workspace, artefact: Artefact, payload: PayloadRef, listed: Listed | None, others: Sequence[PayloadStore]
) -> bool:
    sources: list[Callable[[], bool]] = [lambda other=other: _from_store(writer, other, payload) for other in others]  # type: ignore[misc]
    if isinstance(artefact, DatasetBatch) and isinstance(artefact.formula, StreamingFormula):
        pattern = artefact.formula.source
        sources.insert(0, lambda: _from_data(writer, pattern, payload, listed))
    if isinstance(artefact, DatasetBatch) and isinstance(formula := artefact.formula, SqlFormula):
        sources.append(lambda: _from_query(writer, artefact, formula, payload))
    return any(source() for source in sources)


def _from_data(writer: Workspace, pattern: str, payload: PayloadRef, listed: Listed | None) -> bool:
    """From a file of the data root that has the digest now: the one of its name first, for it may have been renamed."""
    with suppress(JeynError):
        if listed is not None:
            return payload.digest in listed and _keep_file(writer, listed[payload.digest], payload)
        files = [file for file in writer.data_root.list(pattern) if file.size == payload.size]
        files.sort(key=lambda file: file.path != payload.name)
        return any(_keep_file(writer, file, payload) for file in files)
    return False


def _keep_file(writer: Workspace, file: SourceFile, payload: PayloadRef) -> bool:
    with suppress(JeynError):
        if writer.data_root.digest(file, writer.stat_cache) != payload.digest:
            return False
        path = writer.data_root.local_path(file.path)
        if path is not None:
            # Hashed as it is put, so that a file that is being written is not taken for what it was.
            return _put(writer, payload, path, move=False)
        with _scratch(writer) as copy:
            with writer.data_root.open(file.path, version=file.version) as source, writing(copy) as target:
                while chunk := source.read(_STEP):
                    with os_errors(f'copying "{file.path}"'):
                        target.write(chunk)
            return _put(writer, payload, copy, move=True)
    return False


def _from_query(writer: Workspace, batch: DatasetBatch, formula: SqlFormula, payload: PayloadRef) -> bool:
    from jeyn.stores.batches.sql_rows import ask_again, lost_before

    with suppress(JeynError):
        # From the first one on: which rows are one's own is told by those before.
        if not all(bring_back(writer, each) for each in lost_before(writer, batch, formula)):
            return False
        with _scratch(writer) as copy:
            ask_again(writer, batch, formula, copy)
            return _put(writer, payload, copy, move=True)
    return False


def _from_store(writer: Workspace, store: PayloadStore, payload: PayloadRef) -> bool:
    with suppress(PayloadMissing), _scratch(writer) as copy:
        store.fetch(payload.digest[7:], copy)
        return _put(writer, payload, copy, move=True)
    return False


def _put(writer: Workspace, payload: PayloadRef, path: Path, *, move: bool) -> bool:
    hashed = hash_file(path)
    if hashed.digest.removeprefix("sha256:") != payload.digest[7:]:
        return False
    writer.payloads.put(payload.digest[7:], hashed, move=move)
    return True


@contextmanager
def _scratch(writer: Workspace) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=writer.payloads.staging(), prefix="back-") as folder:
        yield Path(folder) / "payload"


def gone(workspace: Workspace, artefact: Artefact, payload: PayloadRef) -> PayloadMissing:
    """The error for bytes that no source has: what became of them, and what brings them back."""
    what = f'the bytes "{payload.name}" of {artefact.ref}'
    try:
        row = workspace.outside.reader.row(artefact.id)
        marks = [mark for mark in workspace.outside.reader.marks(artefact.id) if mark.kind == "tombstone"]
    except (JeynError, AttributeError):
        row, marks = None, []
    if row is None or not marks or not marks[-1].present:
        return PayloadMissing(f"{what} are missing from {workspace.payloads.url}", hint=_cure(workspace, artefact, row))
    said = marks[-1].reason
    became = f"were given up as {said}" if said.startswith(LOST) else f"were swept by {said}"
    return PayloadMissing(f"{what} {became}", hint=_cure(workspace, artefact, row), refs=[row.id])


def _cure(workspace: Workspace, artefact: Artefact, row: ArtefactRow | None) -> str:
    ways = {"model_checkpoint": "train it again: the same content gets its bytes back", "value": "run what made it"}
    way = ways.get(artefact.type, "save the same content again")
    if isinstance(artefact, DatasetBatch) and isinstance(artefact.formula, StreamingFormula):
        way = f'put its files back below the data root "{workspace.settings.data}", from which they are read again'
    if isinstance(artefact, DatasetBatch) and isinstance(artefact.formula, SqlFormula):
        way = f'they come back while the query gives the very same rows on the database "{artefact.formula.database}"'
    other = _newest_with_bytes(workspace, artefact, row)
    return f"{way}; or import it from a bundle; jeyn fsck finds what else is gone" + (
        f"; {other} has its bytes" if other else ""
    )


def _newest_with_bytes(workspace: Workspace, artefact: Artefact, row: ArtefactRow | None) -> str:
    """The newest of the same line that was not swept."""
    reader = workspace.outside.reader
    if isinstance(artefact, DatasetBatch):
        owner = owner_of("batch", artefact.formula.id)
    elif row is not None and row.type == "model_checkpoint":
        owner = owner_of("checkpoint", row.name)
    else:
        return ""
    claims = [claimed for claimed in reader.claims(owner) if claimed.id != artefact.id]
    swept = reader.buried([claimed.id for claimed in claims])
    there = [claimed.id for claimed in claims if claimed.id not in swept]
    try:
        return str(workspace.bound(there[-1]).ref) if there else ""
    except NotFound:
        return ""
