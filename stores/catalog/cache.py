"""Cache entries: results that a later run may take over, by cache key (SEMANTICS 17)."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import bindparam, insert, select

from jeyn.stores.catalog.changes import CacheKey, Observation
from jeyn.stores.catalog.closure import chunks
from jeyn.stores.catalog.database import Database, Transaction
from jeyn.stores.catalog.patience import patient
from jeyn.stores.catalog.prepared import Prepared
from jeyn.stores.catalog.reader import is_marked
from jeyn.stores.catalog.tables import artefact, artefact_payload, cache_entry, operation, run

_INSERT = Prepared(insert(cache_entry), *cache_entry.c.keys())
_ENTRY = (
    select(
        cache_entry.c.operation,
        cache_entry.c.cache_key,
        run.c.id,
        operation.c.name,
        cache_entry.c.observations,
        cache_entry.c.components,
        cache_entry.c.at,
    )
    .join(operation, operation.c.key == cache_entry.c.operation)
    .join(run, run.c.key == operation.c.run)
)
_BY_KEY = Prepared(
    _ENTRY.where(cache_entry.c.cache_key == bindparam("digest")).order_by(
        cache_entry.c.seq.desc(), cache_entry.c.operation.desc()
    )
)
_LAST_OF_FUNCTION = (
    _ENTRY.where(operation.c.function == bindparam("called"), operation.c.key < bindparam("before"))
    .order_by(operation.c.key.desc())
    .limit(1)
)
_AFTER_ALL = 2**62
# A list of artefacts and the batch of a composite formula consist of others, which their documents name.
_HAS_PARTS = ((artefact.c.type == "value") & artefact.c.document.contains('"format":"artefacts/1"')) | (
    (artefact.c.type == "dataset_batch") & artefact.c.document.contains('"kind":"union"')
)
_OWN = select(artefact.c.id, is_marked(artefact.c.key, "tombstone"), _HAS_PARTS, artefact_payload.c.digest).outerjoin(
    artefact_payload, (artefact_payload.c.artefact == artefact.c.key) & artefact_payload.c.external.is_(False)
)
_KEPT = _OWN.where(artefact.c.id.in_(bindparam("ids", expanding=True)))
_KEPT_ONE = Prepared(_OWN.where(artefact.c.id == bindparam("id")))


@dataclass(frozen=True)
class CacheEntry:
    """The result of an operation (its row key) with what it was made from; `at` is microseconds, UTC."""

    operation_key: int
    cache_key: str
    run_id: str
    name: str
    observations: tuple[Observation, ...]
    components: Mapping[str, Any]
    at: int


@dataclass(frozen=True)
class Kept:
    """What a result needs to be still there: the bare digests of its payloads in the payload store."""

    id: str
    buried: bool
    has_parts: bool
    digests: tuple[str, ...]


@patient
def kept(database: Database, ids: Collection[str]) -> list[Kept]:
    """What artefacts are kept as, those that exist; at most 500 of them at once go into one query."""
    found: dict[str, Kept] = {}
    for id, buried, has_parts, digest in _kept_rows(database, sorted(ids)):
        known = found.setdefault(id, Kept(f"sha256:{id}", bool(buried), bool(has_parts), ()))
        if digest is not None:
            found[id] = replace(known, digests=(*known.digests, digest))
    return list(found.values())


def _kept_rows(database: Database, ids: Sequence[str]) -> Iterator[Sequence[Any]]:
    if len(ids) == 1:
        yield from database.ask(_KEPT_ONE, id=ids[0][7:])
        return
    with database.read() as connection:
        for some in chunks(ids):
            yield from connection.execute(_KEPT, {"ids": [id[7:] for id in some]})


def insert_entry(tx: Transaction, operation_key: int, cache: CacheKey, observations: Sequence[Observation]) -> None:
    row = {
        "operation": operation_key,
        "cache_key": cache.digest,
        "observations": json.dumps([[o.kind, o.subject, o.answer] for o in observations]),
        "components": json.dumps(cache.components, sort_keys=True),
        "at": tx.at,
        "seq": tx.seq,
    }
    tx.cursor.run(_INSERT, [row])


def entries(database: Database, cache_key: str) -> list[CacheEntry]:
    """The entries under a cache key, newest first."""
    return _entries(database.ask(_BY_KEY, digest=cache_key))


@patient
def last_entry(database: Database, function: str, before: int | None = None) -> CacheEntry | None:
    """The entry of a function's newest operation that has one; of those that were made `before` an operation."""
    with database.read() as connection:
        found = _entries(
            connection.execute(_LAST_OF_FUNCTION, {"called": function, "before": before or _AFTER_ALL}).all()
        )
    return found[0] if found else None


def _entries(rows: Sequence[Any]) -> list[CacheEntry]:
    return [
        CacheEntry(key, digest, id, name, _observations(seen), json.loads(components), at)
        for key, digest, id, name, seen, components, at in rows
    ]


def _observations(text: str) -> tuple[Observation, ...]:
    return tuple(Observation(*each) for each in json.loads(text))
