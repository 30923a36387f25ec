"""Work that is done and waits: what an item would have committed, kept until those before it ended (SEMANTICS 2).

Its payloads are leased meanwhile. Changes are kept as JSON, where what JSON has not is tagged.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

from sqlalchemy import bindparam, insert, select, update

from jeyn.errors import Conflict
from jeyn.sdk.artefact import Edge, Record
from jeyn.sdk.relationship import RelationshipType
from jeyn.sdk.version import Version
from jeyn.stores.catalog.changes import (
    AliasMove,
    CacheKey,
    Change,
    EpochClaim,
    Fence,
    Holds,
    Mark,
    NewArtefact,
    NewAttempt,
    Observation,
    VersionClaim,
)
from jeyn.stores.catalog.database import Database
from jeyn.stores.catalog.leases import HELD_SECONDS
from jeyn.stores.catalog.logs import insert_chunk
from jeyn.stores.catalog.operations import insert_begun
from jeyn.stores.catalog.patience import patient
from jeyn.stores.catalog.tables import attempt, held_work, lease, operation
from jeyn.stores.veto import checkpoint_veto, formula_veto

_PARTS = (AliasMove, CacheKey, EpochClaim, Fence, Holds, Mark, NewArtefact, NewAttempt, Observation, VersionClaim)
_CLASSES: dict[str, Any] = {part.__name__: part for part in _PARTS}
_FIND = select(held_work.c.attempt, held_work.c.changes).where(held_work.c.operation == bindparam("which"))
_UNCOMMITTED = (operation.c.key == bindparam("which"), operation.c.committed_by.is_(None))


@dataclass(frozen=True)
class HeldWork:
    """What an operation (its row key) would have committed, by which attempt."""

    operation: int
    attempt: int
    changes: tuple[Change, ...]

    @property
    def payloads(self) -> list[str]:
        """The bare digests that must be in the payload store for a commit."""
        new = [change for change in self.changes if isinstance(change, NewArtefact)]
        return sorted(
            payload.digest[7:]
            for each in new
            for payload in each.record.payloads
            if payload.digest not in each.external and payload.digest[7:] not in each.inline
        )

    def ended(self, operation: int, begun: NewAttempt | None) -> list[Change]:
        """The changes as an operation commits them: the one that held them, or with `begun` one that resumes it."""
        by = begun.key if begun else self.attempt
        holder = holder_of(self.operation)
        return [
            replace(each, operation=operation, attempt=by, begun=begun, holder=holder, held=self.operation)
            if isinstance(each, Fence)
            else each
            for each in self.changes
        ]


def holder_of(operation_key: int) -> str:
    """Whose leases keep the payloads of held work."""
    return f"held-{operation_key}"


@patient
def hold(database: Database, fence: Fence, changes: Sequence[Change]) -> None:
    """Keep what an attempt would commit, its end in `fence` included; durable when this returns.

    Raises `Conflict` where another attempt has committed.
    """
    text = json.dumps([_plain(each) for each in (*changes, replace(fence, log="", begun=None))])
    with database.write() as tx:
        run = tx.connection.execute
        if fence.begun is not None:
            insert_begun(tx.cursor, [fence.begun])
        end = {"state": "held", "ended": tx.at}
        held = update(operation).where(*_UNCOMMITTED).values(**end)
        if not run(held, {"which": fence.operation}).rowcount:
            raise Conflict("another attempt of this operation committed first", hint="its outputs stand")
        run(update(attempt).where(attempt.c.key == fence.attempt).values(**end))
        row = {"operation": fence.operation, "attempt": fence.attempt, "changes": text, "at": tx.at}
        run(held_work.delete().where(held_work.c.operation == fence.operation))
        run(insert(held_work), row)
        until = time.time_ns() // 1000 + HELD_SECONDS * 10**6
        kept = {"holder": holder_of(fence.operation), "expires": until}
        run(lease.delete().where(lease.c.holder == kept["holder"]))
        if fence.holder:
            run(update(lease).where(lease.c.holder == fence.holder).values(**kept))
        if fence.log:
            insert_chunk(tx.cursor, fence.attempt, fence.log, tx.at)


@patient
def forget_old(database: Database) -> None:
    """Let go of what nobody resumed in time: its payloads are leased no more."""
    too_old = time.time_ns() // 1000 - HELD_SECONDS * 10**6
    with database.write_soft() as connection:
        connection.execute(held_work.delete().where(held_work.c.at < too_old))


@patient
def held_by(database: Database, operation_key: int) -> HeldWork | None:
    """The work that an operation holds."""
    with database.read() as connection:
        found = connection.execute(_FIND, {"which": operation_key}).first()
    if found is None:
        return None
    return HeldWork(operation_key, found.attempt, tuple(_restored(each) for each in json.loads(found.changes)))


def _plain(value: Any) -> Any:
    match value:
        case Record():
            return {"$record": value.document.decode()}
        case Edge():
            return {"$edge": [value.type.name, value.parent]}
        case Version():
            return {"$version": str(value)}
        case bytes():
            return {"$bytes": base64.b64encode(value).decode()}
        case tuple():
            return {"$tuple": [_plain(each) for each in value]}
        case frozenset():
            return {"$set": sorted(value)}
        case Mapping():
            return {"$map": [[name, _plain(each)] for name, each in value.items()]}
        case list():
            return [_plain(each) for each in value]
    if is_dataclass(value) and not isinstance(value, type):
        given = {each.name: _plain(getattr(value, each.name)) for each in fields(value) if each.name != "veto"}
        return {"$": type(value).__name__, **given}
    return value


def _restored(value: Any) -> Any:
    if isinstance(value, list):
        return [_restored(each) for each in value]
    if not isinstance(value, dict):
        return value
    if "$" in value:
        given = {name: _restored(each) for name, each in value.items() if name != "$"}
        if value["$"] == "VersionClaim":
            # What refuses a bump that is too small is code: whose versions they are says which.
            given["veto"] = formula_veto if given["owner"].startswith("formula:") else checkpoint_veto
        return _CLASSES[value["$"]](**given)
    ((kind, held),) = value.items()
    return _RESTORE[kind](held)


_RESTORE: dict[str, Any] = {
    "$record": Record.from_document,
    "$edge": lambda held: Edge(RelationshipType[held[0]], held[1]),
    "$version": Version.parse,
    "$bytes": base64.b64decode,
    "$tuple": lambda held: tuple(_restored(each) for each in held),
    "$set": frozenset,
    "$map": lambda held: {name: _restored(each) for name, each in held},
}
