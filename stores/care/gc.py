"""`jeyn gc`: frees the bytes that no alias, pin or kept reference needs; rows and lineage stay (SEMANTICS 28)."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from jeyn.errors import UsageError
from jeyn.sdk.artefact import Artefact
from jeyn.stores.catalog import sweep
from jeyn.stores.catalog.leases import CONDEMNED_SECONDS, absolve, condemn
from jeyn.stores.catalog.nodes import Node, nodes
from jeyn.stores.catalog.small import SmallPayloads
from jeyn.stores.catalog.small import remove as remove_small
from jeyn.stores.payloads import PayloadStore, StoredPayload

if TYPE_CHECKING:
    from jeyn.stores.workspace import Workspace

Place = PayloadStore | SmallPayloads
Take = Callable[[Sequence[str]], list[str]]
GRACE = timedelta(hours=24)
CHUNK = 200
# A delete may hang in the network for a while; whoever waits for a condemnation to expire must not meet it.
MARGIN_SECONDS = 180
# Scratch files may be read for long after they were written.
STAGING_SECONDS = 24 * 3600
SHOWN = 20


@dataclass(frozen=True)
class Sweep:
    """What a sweep freed, or would free while `done` is False.

    `artefacts` lose their bytes; `payloads` counts stored ones, `bytes` their size; `staging` counts left-over
    temporary files.
    """

    artefacts: tuple[Node, ...]
    payloads: int
    bytes: int
    staging: int
    done: bool

    @property
    def refs(self) -> tuple[str, ...]:
        return tuple(node.ref for node in self.artefacts)

    def to_json(self) -> dict[str, Any]:
        artefacts = [{"id": node.id, "type": node.type, "ref": node.ref} for node in self.artefacts]
        totals = {"payloads": self.payloads, "bytes": self.bytes, "staging": self.staging, "done": self.done}
        return {"artefacts": artefacts, **totals}

    def __str__(self) -> str:
        verb = "freed" if self.done else "would free"
        lines = [f"{verb} {self.bytes} bytes in {self.payloads} payloads of {len(self.artefacts)} artefacts"]
        lines += [f"  {ref}" for ref in self.refs[:SHOWN]]
        if len(self.refs) > SHOWN:
            lines.append(f"  … and {len(self.refs) - SHOWN} more")
        return "\n".join(lines)


def collect(
    workspace: Workspace,
    *,
    keep: Sequence[str | Artefact] | str | Artefact = (),
    grace: timedelta = GRACE,
    yes: bool = False,
) -> Sweep:
    """Free what nothing needs; without `yes` only say what that is.

    Needed is what current aliases, pins and the references in `keep` point to, with all that it came from, and
    whatever came less than `grace` ago. What is swept keeps its row, its version and its lineage; saving or
    importing the same content again restores it. Raises `NotFound` for a reference in `keep` that means nothing.
    """
    if grace < timedelta(0):
        raise UsageError(f'the grace "{grace}" is negative', hint="timedelta(hours=24)")
    refs = [keep] if isinstance(keep, str | Artefact) else keep
    kept = {workspace.row(ref).key for ref in refs}
    before = datetime.now(UTC) - grace
    at, actor = int(before.timestamp() * 1_000_000), workspace.settings.actor
    if not yes:
        dying = sweep.unneeded(workspace.database, kept, at)
        found = [
            payload
            for place, _ in places(workspace)
            for chunk in _unwanted(workspace, place, before, frozenset(dying))
            for payload in chunk
        ]
        return _report(workspace, dying, len(found), sum(payload.size for payload in found))
    dying = sweep.bury(workspace.database, kept, at, actor, "gc: no alias, pin or kept reference needs it")
    count = freed = 0
    for place, take in places(workspace):
        for chunk in _unwanted(workspace, place, before):
            sizes = {payload.digest: payload.size for payload in chunk}
            gone = take(list(sizes))
            count, freed = count + len(gone), freed + sum(sizes[digest] for digest in gone)
    stale = workspace.payloads.sweep_staging(max(grace.total_seconds(), STAGING_SECONDS))
    return _report(workspace, dying, count, freed, stale, done=True)


def places(workspace: Workspace) -> tuple[tuple[Place, Take], ...]:
    """Where bytes lie, and what deletes there those that nobody needs and says which; a digest may be in both."""
    files, small = workspace.payloads.files, workspace.payloads.small
    return (files, partial(remove, workspace)), (small, partial(remove_small, workspace.database))


def remove(workspace: Workspace, digests: Sequence[str]) -> list[str]:
    """Delete files that nothing refers to and nobody leases, by condemning them first; returns which went."""
    pending, gone = list(digests), []
    while pending:
        chunk, pending = pending[:CHUNK], pending[CHUNK:]
        deleted, late = _remove(workspace, chunk)
        gone += deleted
        pending = late + pending
    return gone


def _remove(workspace: Workspace, digests: Sequence[str]) -> tuple[list[str], list[str]]:
    """What was deleted, and what there was no time for before the condemnation expires."""
    sweeper, until = uuid.uuid4().hex, time.monotonic() + CONDEMNED_SECONDS - MARGIN_SECONDS
    free = condemn(workspace.database, digests, sweeper)
    pending, deleted = list(free), list[str]()
    settled = set(free)
    try:
        while pending and (not deleted or time.monotonic() < until):
            # While this one is being deleted, nobody may upload it: an error does not say that it was not.
            settled.discard(pending[0])
            workspace.payloads.files.delete(pending[0])
            settled.add(pending[0])
            deleted.append(pending.pop(0))
    finally:
        if settled:
            absolve(workspace.database, sorted(settled), sweeper)
    return deleted, pending


def _unwanted(
    workspace: Workspace, place: Place, before: datetime, dying: Collection[int] = frozenset()
) -> Iterator[list[StoredPayload]]:
    """Stored payloads that no artefact needs, in chunks: those of buried ones, and strangers from before that time."""
    stored = place.list()
    while chunk := list(islice(stored, CHUNK)):
        wanted = sweep.wanted(workspace.database, [payload.digest for payload in chunk], dying)
        yield [
            payload
            for payload in chunk
            if payload.digest not in wanted.needed and (payload.digest in wanted.buried or payload.modified < before)
        ]


def _report(
    workspace: Workspace, keys: Sequence[int], count: int, freed: int, staging: int = 0, *, done: bool = False
) -> Sweep:
    return Sweep(tuple(nodes(workspace.database, keys).values()), count, freed, staging, done)
