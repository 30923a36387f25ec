"""`jeyn gc`: frees bytes that nobody can miss, and more by name or by a written rule (SEMANTICS 28 and 31).

Rows, numbers, places in lists and lineage stay as they are, whatever is swept.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from jeyn.errors import NotAllowed, UsageError
from jeyn.sdk.artefact import Artefact
from jeyn.stores import reserve
from jeyn.stores.care.part import sweep_parts
from jeyn.stores.catalog import sweep
from jeyn.stores.catalog.held_work import forget_old
from jeyn.stores.catalog.leases import CONDEMNED_SECONDS, absolve, condemn
from jeyn.stores.catalog.nodes import Node, nodes
from jeyn.stores.catalog.retention import Rule
from jeyn.stores.catalog.small import SmallPayloads
from jeyn.stores.catalog.small import remove as remove_small
from jeyn.stores.catalog.sweep import Wish
from jeyn.stores.payloads import PayloadStore, StoredPayload

if TYPE_CHECKING:
    from jeyn.stores.workspace import Workspace

Place = PayloadStore | SmallPayloads
Take = Callable[[Sequence[str]], list[str]]
Retention = Mapping[str, Mapping[str, float | None]]
GRACE = timedelta(hours=24)
CHUNK = 200
# A delete may hang in the network for a while; whoever waits for a condemnation to expire must not meet it.
MARGIN_SECONDS = 180
# Scratch files may be read for long after they were written.
STAGING_SECONDS = 24 * 3600
SHOWN = 100
_UNITS = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


@dataclass(frozen=True)
class Swept:
    """An artefact that loses its bytes: how many there are, and why it goes."""

    node: Node
    size: int
    reason: str

    def to_json(self) -> dict[str, Any]:
        node = self.node
        return {"id": node.id, "type": node.type, "ref": node.ref, "size": self.size, "reason": self.reason}

    def __str__(self) -> str:
        return f"{self.node.label}  {self.node.type}  {size_text(self.size)}  {self.reason}"


@dataclass(frozen=True)
class Sweep:
    """What a sweep freed, or would free while `done` is False.

    `swept` artefacts lose their bytes; `payloads` counts stored ones, `bytes` their size, `unreferenced` those of them
    that belong to no artefact; `staging` counts left-over temporary files.
    """

    swept: tuple[Swept, ...]
    payloads: int
    bytes: int
    unreferenced: int
    staging: int
    done: bool

    @property
    def artefacts(self) -> tuple[Node, ...]:
        return tuple(each.node for each in self.swept)

    @property
    def refs(self) -> tuple[str, ...]:
        return tuple(node.ref for node in self.artefacts)

    def to_json(self) -> dict[str, Any]:
        totals = {"payloads": self.payloads, "bytes": self.bytes, "unreferenced": self.unreferenced}
        return {
            "artefacts": [each.to_json() for each in self.swept],
            **totals,
            "staging": self.staging,
            "done": self.done,
        }

    def __str__(self) -> str:
        verb = "freed" if self.done else "would free"
        lines = [f"{verb} {self.bytes} bytes in {self.payloads} payloads of {len(self.swept)} artefacts"]
        lines += [f"  {each}" for each in self.swept[:SHOWN]]
        if len(self.swept) > SHOWN:
            lines.append(f"  … and {len(self.swept) - SHOWN} more")
        if self.unreferenced:
            lines.append(f"  {self.unreferenced} payloads that belong to nothing")
        return "\n".join(lines)


def collect(
    workspace: Workspace,
    *refs: str | Artefact,
    keep: Sequence[str | Artefact] | str | Artefact = (),
    keep_runs: int | timedelta | None = None,
    retention: Retention | None = None,
    grace: timedelta | str = GRACE,
    yes: bool = False,
) -> Sweep:
    """Free what nobody can miss; without `yes` only say what that is.

    That is payloads of no artefact, such as a failed attempt leaves, that are older than `grace` ("24h", or a
    timedelta). `keep_runs` lets the values go that only runs of a pipeline beyond its newest so many, or older than
    that, made. `retention` (default: that of jeyn.yaml) says so of batches and checkpoints too; what an alias, a pin
    or `keep` names stays, with all that it came from. With `refs` those are taken, and nothing else.

    What is swept keeps its row, its number, its place in every list and its lineage; saving, importing or reading the
    same content again restores it. Raises `NotFound` for a reference that means nothing, `NotAllowed` for one that an
    alias or a pin needs, `UsageError` for one without bytes.
    """
    if not yes:
        workspace.payloads.check()
        return _collect(workspace, refs, keep, keep_runs, retention, _grace(grace), yes=False)
    with reserve.used(workspace.settings.home):
        workspace.payloads.settle()
        return _collect(workspace, refs, keep, keep_runs, retention, _grace(grace), yes=True)


def _collect(
    workspace: Workspace,
    refs: Sequence[str | Artefact],
    keep: Sequence[str | Artefact] | str | Artefact,
    keep_runs: int | timedelta | None,
    retention: Retention | None,
    grace: timedelta,
    *,
    yes: bool,
) -> Sweep:
    before = datetime.now(UTC) - grace
    named = _named(workspace, refs)
    if retention is None:
        retention = workspace.settings.retention
    wish = Wish(
        named=named,
        keep=tuple(workspace.row(ref).key for ref in ([keep] if isinstance(keep, str | Artefact) else keep)),
        before=_microseconds(before),
        rules=rules(retention, keep_runs),
    )
    if not yes:
        dying = sweep.taken_by(workspace.database, wish)
        would = [
            payload
            for place, _ in places(workspace)
            for chunk in _unwanted(workspace, place, before, dying, named)
            for payload in chunk
        ]
        return _report(workspace, dying, would)
    dying = sweep.bury(workspace.database, wish, workspace.settings.actor)
    forget_old(workspace.database)
    freed: list[StoredPayload] = []
    for place, take in places(workspace):
        for chunk in _unwanted(workspace, place, before, dying, named):
            gone = set(take([payload.digest for payload in chunk]))
            freed += [payload for payload in chunk if payload.digest in gone]
    stale = 0 if named else workspace.payloads.sweep_staging(max(grace.total_seconds(), STAGING_SECONDS))
    stale += sweep_parts(workspace.payloads.staging(), "export-*")  # of exports that were killed
    return _report(workspace, dying, freed, stale, done=True)


def rules(retention: Retention, keep_runs: int | timedelta | None = None) -> tuple[Rule, ...]:
    """Written rules as the catalog follows them, such as {"batch:digits": {"last": 10, "days": 90}}."""
    now, found = time.time_ns() // 1000, list[Rule]()
    if keep_runs is not None:
        age = keep_runs if isinstance(keep_runs, timedelta) else None
        value = {"last": None if age else keep_runs, "days": age and age / timedelta(days=1)}
        retention = {**retention, "value": value}  # type: ignore[dict-item]
    for line, kept in retention.items():
        kind, _, name = line.partition(":")
        last, days = kept.get("last"), kept.get("days")
        since = None if days is None else now - int(days * 86_400_000_000)
        if last is not None or since is not None:
            found.append(Rule(kind, name, None if last is None else int(last), since))
    return tuple(found)


def size_text(size: int) -> str:
    """A number of bytes for people."""
    for unit, name in _UNITS:
        if size >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{size} bytes"


def _grace(grace: timedelta | str) -> timedelta:
    from jeyn.settings import duration

    found = duration(grace) if isinstance(grace, str) else grace
    if found < timedelta(0):
        raise UsageError(f'the grace "{found}" is negative', hint='grace="24h", or timedelta(hours=24)')
    return found


def _named(workspace: Workspace, refs: Sequence[str | Artefact]) -> tuple[int, ...]:
    """The keys of what is to be taken by name."""
    rows = [workspace.row(ref) for ref in refs]
    have = sweep.own_payloads(workspace.database, [row.key for row in rows])
    for row in rows:
        node = nodes(workspace.database, [row.key])[row.key]
        if row.key not in have:
            raise UsageError(
                f'"{node.label}" has no bytes of its own here', hint="name a batch, a checkpoint or a value"
            )
        needed = sweep.needed_by(workspace.database, row.key)
        if needed:
            what, root = needed[0]
            holder = nodes(workspace.database, [root])[root].label
            why = f"is pinned: {holder}" if what == "pin" else f"is {holder}"
            came = "" if root == row.key else ", which came from it"
            raise NotAllowed(
                f'"{node.label}" is needed: "{what}" {why}{came}',
                hint="take the pin off, or move the alias (jeyn alias, bless or rollback), then sweep it",
                refs=[row.id],
            )
    return tuple(row.key for row in rows)


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
    workspace: Workspace, place: Place, before: datetime, dying: Mapping[int, str], named: Sequence[int]
) -> Iterator[list[StoredPayload]]:
    """Stored payloads that no artefact needs, in chunks: those of buried ones, and strangers from before that time.

    Of what is `named` only those that it has.
    """
    stored = _of(workspace, place, named) if named else place.list()
    while chunk := list(islice(stored, CHUNK)):
        wanted = sweep.wanted(workspace.database, [payload.digest for payload in chunk], dying)
        yield [
            payload
            for payload in chunk
            if payload.digest not in wanted.needed and (payload.digest in wanted.buried or payload.modified < before)
        ]


def _of(workspace: Workspace, place: Place, keys: Iterable[int]) -> Iterator[StoredPayload]:
    """What there is of the payloads of some artefacts."""
    for payloads in sweep.own_payloads(workspace.database, keys).values():
        for digest in payloads:
            if place.exists(digest):
                yield StoredPayload(digest, place.size(digest), datetime.now(UTC))


def _microseconds(at: datetime) -> int:
    return int(at.timestamp() * 1_000_000)


def _report(
    workspace: Workspace,
    dying: Mapping[int, str],
    freed: Sequence[StoredPayload],
    staging: int = 0,
    *,
    done: bool = False,
) -> Sweep:
    have = sweep.own_payloads(workspace.database, dying)
    swept = tuple(
        Swept(node, sum(have.get(key, {}).values()), dying[key])
        for key, node in nodes(workspace.database, sorted(dying)).items()
    )
    buried: set[str] = set()
    for start in range(0, len(freed), CHUNK):
        some = [payload.digest for payload in freed[start : start + CHUNK]]
        buried |= sweep.wanted(workspace.database, some, dying).buried
    unreferenced = sum(payload.digest not in buried for payload in freed)
    return Sweep(swept, len(freed), sum(payload.size for payload in freed), unreferenced, staging, done)
