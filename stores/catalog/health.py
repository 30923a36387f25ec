"""What `jeyn fsck` reads in the catalog, a page at a time, and the few rows that it may put back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Connection, Table, and_, bindparam, exists, insert, select, text

from jeyn.sdk.artefact import PayloadRef
from jeyn.stores.catalog.database import Database
from jeyn.stores.catalog.leases import Condemnation, end_condemnations, stale_condemnations
from jeyn.stores.catalog.migrate import lost_triggers
from jeyn.stores.catalog.patience import patient
from jeyn.stores.catalog.reader import is_marked
from jeyn.stores.catalog.tables import APPEND_ONLY, artefact, artefact_payload, edge, metadata
from jeyn.stores.catalog.triggers import protect
from jeyn.stores.payloads.protocol import is_digest

PAGE = 500
_POINTERS = {"edge": "dangling_edge", "claim": "dangling_claim", "alias_move": "dangling_alias"}
_DIGESTS = (
    select(artefact_payload.c.digest)
    .distinct()
    .where(
        artefact_payload.c.digest > bindparam("after"),
        ~artefact_payload.c.external,
        ~is_marked(artefact_payload.c.artefact, "tombstone"),
    )
    .order_by(artefact_payload.c.digest)
    .limit(PAGE)
)
_HOLDERS = (
    select(artefact.c.id)
    .join(artefact_payload, artefact_payload.c.artefact == artefact.c.key)
    .where(
        artefact_payload.c.digest == bindparam("digest"),
        ~artefact_payload.c.external,
        ~is_marked(artefact.c.key, "tombstone"),
    )
    .order_by(artefact.c.key)
)
_PAGE = (
    select(artefact.c.key, artefact.c.id, artefact.c.type, artefact.c.schema, artefact.c.name, artefact.c.document)
    .where(artefact.c.key > bindparam("after"))
    .order_by(artefact.c.key)
    .limit(PAGE)
)
_EDGES = (
    select(edge.c.child, edge.c.type, artefact.c.id)
    .join(artefact, artefact.c.key == edge.c.parent)
    .where(edge.c.child.in_(bindparam("keys", expanding=True)))
)
_PAYLOADS = select(artefact_payload).where(artefact_payload.c.artefact.in_(bindparam("keys", expanding=True)))
_KEYS = select(artefact.c.id, artefact.c.key).where(artefact.c.id.in_(bindparam("ids", expanding=True)))


@dataclass(frozen=True)
class Stored:
    """One artefact as its rows say: the document, the edges up as (type, parent id), the payloads."""

    key: int
    id: str
    type: str
    schema: str
    name: str
    document: str
    edges: frozenset[tuple[int, str]]
    payloads: frozenset[PayloadRef]


@dataclass(frozen=True)
class Dangling:
    """A row that points to an artefact that is not there."""

    kind: str
    table: str
    row: str


@patient
def condemnations(database: Database, *, end: bool) -> list[Condemnation]:
    """Those whose sweep is gone; taken away with `end`."""
    if not end:
        with database.read() as connection:
            return stale_condemnations(connection)
    with database.write_soft() as connection:
        return end_condemnations(connection)


def digests(database: Database) -> Iterator[str]:
    """Every digest that must be in the payload store, sorted."""
    after = ""
    while page := _read(database, _DIGESTS, after=after):
        yield from (row.digest for row in page if is_digest(row.digest))  # what is none is a finding of its own
        if page[-1].digest == after:
            return  # damaged: it is read as another text than the one that the database compares
        after = page[-1].digest


def holders(database: Database, digest: str) -> list[str]:
    """The ids of the artefacts that have this payload and are not buried."""
    return [f"sha256:{row.id}" for row in _read(database, _HOLDERS, digest=digest)]


def artefacts(database: Database) -> Iterator[Stored]:
    """Every artefact, oldest first; a page is one consistent read."""
    after = -(2**62)
    while True:
        with database.read() as connection:
            page = _page(connection, after)
        if not page:
            return
        yield from page
        after = page[-1].key


def existing(database: Database, ids: Sequence[str]) -> dict[str, int]:
    """The keys of those ids that are in the catalog."""
    found = _read(database, _KEYS, ids=[id[7:] for id in ids])
    return {f"sha256:{row.id}": row.key for row in found}


def dangling(database: Database) -> Iterator[Dangling]:
    """Every row of any table that refers to an artefact that is not there."""
    for table in metadata.sorted_tables:
        for column in table.columns:
            if any(key.column is artefact.c.key for key in column.foreign_keys):
                yield from _dangling(database, table, column)


@patient
def triggers(database: Database) -> list[str]:
    """The names of the triggers that are lost."""
    with database.read() as connection:
        return lost_triggers(connection, database.dialect)


@patient
def restore_triggers(database: Database) -> None:
    """Create the triggers that are lost, or put them on again."""
    with database.exclusive() as connection:
        for name in lost_triggers(connection, database.dialect):
            table = next(table for table in APPEND_ONLY if name.startswith(f"{table}_no_"))
            if not database.is_sqlite:
                connection.execute(text(f'DROP TRIGGER IF EXISTS "{name}" ON "{table}"'))
            for statement in protect(table, APPEND_ONLY[table], database.dialect):
                if statement.startswith(f"CREATE TRIGGER {name} "):
                    connection.execute(text(statement))


@patient
def add_edge(database: Database, child: int, parent: int, type: int) -> None:
    """Put back an edge that the child's document names."""
    same = and_(edge.c.child == child, edge.c.parent == parent, edge.c.type == type)
    with database.write() as tx:
        if not tx.connection.execute(select(exists().where(same))).scalar_one():
            tx.connection.execute(insert(edge), {"child": child, "parent": parent, "type": type})


@patient
def add_payload(database: Database, key: int, payload: PayloadRef, external: bool) -> None:
    """Put back the row of a payload that the artefact's document names."""
    same = and_(artefact_payload.c.artefact == key, artefact_payload.c.name == payload.name)
    row = {"name": payload.name, "digest": payload.digest[7:], "size": payload.size, "external": external}
    with database.write() as tx:
        if not tx.connection.execute(select(exists().where(same))).scalar_one():
            tx.connection.execute(insert(artefact_payload), {"artefact": key} | row)


def _page(connection: Connection, after: int) -> list[Stored]:
    rows = connection.execute(_PAGE, {"after": after}).all()
    keys = [row.key for row in rows]
    edges: dict[int, set[tuple[int, str]]] = {key: set() for key in keys}
    payloads: dict[int, set[PayloadRef]] = {key: set() for key in keys}
    if keys:
        for child, type, parent in connection.execute(_EDGES, {"keys": keys}):
            edges[child].add((type, f"sha256:{parent}"))
        for row in connection.execute(_PAYLOADS, {"keys": keys}):
            payloads[row.artefact].add(PayloadRef(row.name, f"sha256:{row.digest}", row.size))
    return [
        Stored(
            row.key,
            f"sha256:{row.id}",
            row.type,
            row.schema,
            row.name,
            row.document,
            frozenset(edges[row.key]),
            frozenset(payloads[row.key]),
        )
        for row in rows
    ]


def _dangling(database: Database, table: Table, column: Column[Any]) -> Iterator[Dangling]:
    target = artefact.alias("target")
    query = select(*table.primary_key.columns, column.label("pointer")).where(
        column.is_not(None), ~exists().where(target.c.key == column)
    )
    names = [each.name for each in table.primary_key.columns]
    with database.read() as connection:
        for row in connection.execution_options(yield_per=PAGE).execute(query):
            shown = ", ".join(f"{name} {value}" for name, value in zip(names, row, strict=False))
            yield Dangling(_POINTERS.get(table.name, "dangling_row"), table.name, f"{shown} → {column.name} {row[-1]}")


@patient
def _read(database: Database, query: Any, **parameters: Any) -> Sequence[Any]:
    with database.read() as connection:
        return connection.execute(query, parameters).all()
