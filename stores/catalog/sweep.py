"""What a sweep asks the catalog: what it may take, who refers to bytes; and the burial of what it takes (SEMANTICS 31).

A burial takes bytes, and never a row, a number or a place in a list.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import CTE, ColumnElement, Connection, and_, bindparam, exists, func, insert, select, union
from sqlalchemy.sql.elements import ColumnElement as Condition

from jeyn.stores.catalog.closure import chunks
from jeyn.stores.catalog.database import Database, Transaction
from jeyn.stores.catalog.leases import leased_digests
from jeyn.stores.catalog.patience import patient
from jeyn.stores.catalog.reader import is_marked
from jeyn.stores.catalog.retention import Rule, expired
from jeyn.stores.catalog.tables import alias_move, artefact, artefact_payload, edge, event, mark

BURIED = "jeyn.artefact.buried"
RESTORED = "jeyn.artefact.restored"
# How the reason of a tombstone begins that says that bytes were not to be found, and not that somebody let them go.
LOST = "lost: "


def is_lost(key: ColumnElement[int]) -> Condition[bool]:
    """Whether an artefact was given up as lost: if its bytes turn up, they are its own again."""
    newest, later = mark.alias(), mark.alias()
    return exists().where(
        newest.c.artefact == key,
        newest.c.kind == "tombstone",
        newest.c.present,
        newest.c.reason.startswith(LOST),
        ~exists().where(later.c.artefact == newest.c.artefact, later.c.kind == "tombstone", later.c.key > newest.c.key),
    )


_HOLDERS = select(
    artefact_payload.c.digest,
    artefact_payload.c.artefact,
    and_(is_marked(artefact_payload.c.artefact, "tombstone"), ~is_lost(artefact_payload.c.artefact)),
).where(artefact_payload.c.digest.in_(bindparam("digests", expanding=True)), ~artefact_payload.c.external)
_IDS = select(artefact.c.key, artefact.c.id).where(artefact.c.key.in_(bindparam("keys", expanding=True)))
_OWN_PAYLOADS = select(artefact_payload.c.artefact, artefact_payload.c.digest, artefact_payload.c.size).where(
    artefact_payload.c.artefact.in_(bindparam("keys", expanding=True)), ~artefact_payload.c.external
)
_LOST = (
    select(artefact.c.id, artefact_payload.c.digest)
    .join(artefact_payload, artefact_payload.c.artefact == artefact.c.key)
    .where(is_lost(artefact.c.key), ~artefact_payload.c.external)
    .order_by(artefact.c.key)
)


@dataclass(frozen=True)
class Wish:
    """What a sweep may take: the artefacts `named` by key, and else what the `rules` let go.

    What `keep` names, and what came since `before` (µs), is left alone by the rules.
    """

    named: tuple[int, ...] = ()
    keep: tuple[int, ...] = ()
    before: int = 0
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True)
class Wanted:
    """Of some digests: those that must stay, and those that a buried artefact had."""

    needed: frozenset[str]
    buried: frozenset[str]


@patient
def taken_by(database: Database, wish: Wish) -> dict[int, str]:
    """The keys of the artefacts that would be buried, each with the reason."""
    with database.read() as connection:
        return _taken(connection, wish)


@patient
def bury(database: Database, wish: Wish, actor: str) -> dict[int, str]:
    """Put a tombstone on all that goes; found again in the same transaction, so no alias moves meanwhile."""
    with database.write() as tx:
        found = _taken(tx.connection, wish)
        stamp = {"actor": actor, "at": tx.at, "seq": tx.seq}
        row = {"kind": "tombstone", "value": "", "present": True} | stamp
        for chunk in chunks(sorted(found)):
            rows = [{"artefact": key, "reason": f"gc: {found[key]}"} | row for key in chunk]
            tx.connection.execute(insert(mark), rows)
        _announce(tx, found, stamp)
        if not found:
            tx.roll_back()
    return found


@patient
def wanted(database: Database, digests: Sequence[str], dying: Collection[int] = ()) -> Wanted:
    """Who wants these bytes, once the artefacts `dying` are buried. A lease wants them too."""
    needed: set[str] = set()
    buried: set[str] = set()
    with database.read() as connection:
        for digest, key, is_buried in connection.execute(_HOLDERS, {"digests": list(digests)}):
            (buried if is_buried or key in dying else needed).add(digest)
        needed |= leased_digests(connection) & set(digests)
    return Wanted(frozenset(needed), frozenset(buried - needed))


@patient
def own_payloads(database: Database, keys: Iterable[int]) -> dict[int, dict[str, int]]:
    """The bare digests and sizes of what each artefact has in the payload store."""
    found: dict[int, dict[str, int]] = {}
    with database.read() as connection:
        for chunk in chunks(sorted(keys)):
            for key, digest, size in connection.execute(_OWN_PAYLOADS, {"keys": chunk}):
                found.setdefault(key, {})[digest] = size
    return found


@patient
def lost(database: Database) -> dict[str, list[str]]:
    """The ids of what was given up as lost, each with its bare digests."""
    found: dict[str, list[str]] = {}
    with database.read() as connection:
        for id, digest in connection.execute(_LOST):
            found.setdefault(f"sha256:{id}", []).append(digest)
    return found


@patient
def needed_by(database: Database, key: int) -> list[tuple[str, int]]:
    """Why an artefact may not go: (alias or "pin", the key of what has it), for all that came from it."""
    with database.read() as connection:
        found = []
        for what, root in _held(connection):
            live = _closure(select(artefact.c.key).where(artefact.c.key == root))
            if connection.execute(select(live.c.key).where(live.c.key == key)).first():
                found.append((what, root))
        return found


def _taken(connection: Connection, wish: Wish) -> dict[int, str]:
    if wish.named:
        alive = select(artefact.c.key).where(
            artefact.c.key.in_(wish.named), ~is_marked(artefact.c.key, "tombstone"), _has_bytes()
        )
        return dict.fromkeys(sorted(connection.execute(alive).scalars()), "by name")
    if not wish.rules:
        return {}
    roots, let_go = expired(connection, wish.rules, wish.before)
    live = _closure(_roots({*wish.keep, *roots}))
    spared: set[int] = set(connection.execute(select(live.c.key)).scalars())
    found: dict[int, str] = {}
    for chunk in chunks(sorted(let_go.keys() - spared)):
        query = select(artefact.c.key).where(
            artefact.c.key.in_(chunk),
            _has_bytes(),
            ~is_marked(artefact.c.key, "tombstone"),
            artefact.c.at < wish.before,
            ~_arrived_since(wish.before),
        )
        found |= {key: let_go[key] for key in connection.execute(query).scalars()}
    return found


def _has_bytes() -> Condition[bool]:
    return exists().where(artefact_payload.c.artefact == artefact.c.key, ~artefact_payload.c.external)


def _held(connection: Connection) -> list[tuple[str, int]]:
    """What aliases and pins point to now."""
    newest_move = select(func.max(alias_move.c.key)).group_by(alias_move.c.owner, alias_move.c.alias)
    newest_pin = select(func.max(mark.c.key)).where(mark.c.kind == "pin").group_by(mark.c.artefact, mark.c.value)
    moved = connection.execute(
        select(alias_move.c.owner, alias_move.c.alias, alias_move.c.artefact).where(
            alias_move.c.key.in_(newest_move), alias_move.c.artefact.is_not(None)
        )
    )
    found = [(f"{owner.partition(':')[2]}@{alias}", key) for owner, alias, key in moved]
    pinned = select(mark.c.artefact).where(mark.c.key.in_(newest_pin), mark.c.present)
    return found + [("pin", key) for key in connection.execute(pinned).scalars()]


def _roots(keep: Collection[int]) -> CTE:
    newest_move = select(func.max(alias_move.c.key)).group_by(alias_move.c.owner, alias_move.c.alias)
    newest_pin = select(func.max(mark.c.key)).where(mark.c.kind == "pin").group_by(mark.c.artefact, mark.c.value)
    return union(
        select(alias_move.c.artefact.label("key")).where(
            alias_move.c.key.in_(newest_move), alias_move.c.artefact.is_not(None)
        ),
        select(mark.c.artefact).where(mark.c.key.in_(newest_pin), mark.c.present),
        select(artefact.c.key).where(artefact.c.key.in_(sorted(keep))),
    ).cte("roots")


def _closure(roots: Any) -> CTE:
    """The recursive query over the roots and all they came from, with one column `key`."""
    start = roots if isinstance(roots, CTE) else roots.cte("roots")
    live = select(start.c.key).cte("live", recursive=True)
    return live.union(select(edge.c.parent).join(live, edge.c.child == live.c.key))


def _arrived_since(before: int) -> ColumnElement[bool]:
    """Imported artefacts keep the time they were made at, and restored ones too: both are new here all the same."""
    committed = exists().where(event.c.seq == artefact.c.seq, event.c.position == 0, event.c.at >= before)
    restored = exists().where(
        mark.c.artefact == artefact.c.key, mark.c.kind == "tombstone", ~mark.c.present, mark.c.at >= before
    )
    return committed | restored


def _announce(tx: Transaction, keys: Iterable[int], stamp: dict[str, object]) -> None:
    data = json.dumps({"kind": "tombstone", "present": True, "value": ""}, sort_keys=True)
    position = 0
    for chunk in chunks(sorted(keys)):
        rows = []
        for _, id in sorted(tuple(row) for row in tx.connection.execute(_IDS, {"keys": chunk})):
            rows.append({"position": position, "kind": BURIED, "subject": f"sha256:{id}", "data": data} | stamp)
            position += 1
        tx.connection.execute(insert(event), rows)
