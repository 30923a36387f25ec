"""What a sweep asks the catalog: which artefacts nothing needs, who refers to bytes; and the burial of the former."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import CTE, ColumnElement, Connection, bindparam, exists, func, insert, select, union

from jeyn.stores.catalog.closure import chunks
from jeyn.stores.catalog.database import Database, Transaction
from jeyn.stores.catalog.leases import leased_digests
from jeyn.stores.catalog.reader import is_marked
from jeyn.stores.catalog.tables import alias_move, artefact, artefact_payload, edge, event, mark

BURIED = "jeyn.artefact.buried"
_HOLDERS = select(
    artefact_payload.c.digest, artefact_payload.c.artefact, is_marked(artefact_payload.c.artefact, "tombstone")
).where(artefact_payload.c.digest.in_(bindparam("digests", expanding=True)), ~artefact_payload.c.external)
_IDS = select(artefact.c.key, artefact.c.id).where(artefact.c.key.in_(bindparam("keys", expanding=True)))


@dataclass(frozen=True)
class Wanted:
    """Of some digests: those that must stay, and those that a buried artefact had."""

    needed: frozenset[str]
    buried: frozenset[str]


def unneeded(database: Database, keep: Collection[int], before: int) -> list[int]:
    """The keys of artefacts with payloads that no alias, pin or kept artefact came from, saved before a time (µs)."""
    with database.read() as connection:
        return _unneeded(connection, keep, before)


def bury(database: Database, keep: Collection[int], before: int, actor: str, reason: str) -> list[int]:
    """Put a tombstone on every unneeded artefact; found again in the same transaction, so no alias moves meanwhile."""
    with database.write() as tx:
        keys = _unneeded(tx.connection, keep, before)
        stamp = {"actor": actor, "at": tx.at, "seq": tx.seq}
        row = {"kind": "tombstone", "value": "", "present": True, "reason": reason} | stamp
        for chunk in chunks(keys):
            tx.connection.execute(insert(mark), [{"artefact": key} | row for key in chunk])
        _announce(tx, keys, stamp)
    return keys


def wanted(database: Database, digests: Sequence[str], dying: Collection[int] = ()) -> Wanted:
    """Who wants these bytes, once the artefacts `dying` are buried. A lease wants them too."""
    needed: set[str] = set()
    buried: set[str] = set()
    with database.read() as connection:
        for digest, key, is_buried in connection.execute(_HOLDERS, {"digests": list(digests)}):
            (buried if is_buried or key in dying else needed).add(digest)
        needed |= leased_digests(connection) & set(digests)
    return Wanted(frozenset(needed), frozenset(buried - needed))


def _unneeded(connection: Connection, keep: Collection[int], before: int) -> list[int]:
    live = _live(keep)
    has_payloads = exists().where(artefact_payload.c.artefact == artefact.c.key, ~artefact_payload.c.external)
    query = select(artefact.c.key).where(
        has_payloads,
        ~is_marked(artefact.c.key, "tombstone"),
        artefact.c.key.not_in(select(live.c.key)),
        artefact.c.at < before,
        ~_arrived_since(before),
    )
    return sorted(connection.execute(query).scalars())


def _live(keep: Collection[int]) -> CTE:
    """The recursive query over the roots and all they came from, with one column `key`."""
    newest_move = select(func.max(alias_move.c.key)).group_by(alias_move.c.owner, alias_move.c.alias)
    newest_pin = select(func.max(mark.c.key)).where(mark.c.kind == "pin").group_by(mark.c.artefact, mark.c.value)
    roots = union(
        select(alias_move.c.artefact.label("key")).where(
            alias_move.c.key.in_(newest_move), alias_move.c.artefact.is_not(None)
        ),
        select(mark.c.artefact).where(mark.c.key.in_(newest_pin), mark.c.present),
        select(artefact.c.key).where(artefact.c.key.in_(list(keep))),
    ).subquery()
    live = select(roots.c.key).cte("live", recursive=True)
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
    for chunk in chunks(list(keys)):
        rows = []
        for _, id in sorted(tuple(row) for row in tx.connection.execute(_IDS, {"keys": chunk})):
            rows.append({"position": position, "kind": BURIED, "subject": f"sha256:{id}", "data": data} | stamp)
            position += 1
        tx.connection.execute(insert(event), rows)
