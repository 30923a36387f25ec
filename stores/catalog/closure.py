"""What an artefact came from and what came from it: closures over the edges by integer keys (SEMANTICS 12).

Without a depth it is one recursive query whose UNION is on the node alone, so that a node that many paths reach is
expanded once; with a depth it goes level by level.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal, TypeVar

from sqlalchemy import CTE, BindParameter, Connection, Select, bindparam, func, select

from jeyn.errors import UsageError
from jeyn.stores.catalog.database import Database
from jeyn.stores.catalog.patience import patient
from jeyn.stores.catalog.tables import artefact, edge

Direction = Literal["up", "down"]
CHUNK = 500
T = TypeVar("T")


def upstream(
    database: Database,
    key: int,
    depth: int | None = None,
    types: Sequence[str] = (),
    rel_types: Sequence[int] = (),
) -> list[int]:
    """The keys of what an artefact came from, itself left out, in the order of saving.

    `types` says which artefact types are returned; the walk passes through all. `rel_types` says which edges it takes.
    """
    return walk(database, "up", [key], depth, types, rel_types)


def downstream(
    database: Database,
    key: int,
    depth: int | None = None,
    types: Sequence[str] = (),
    rel_types: Sequence[int] = (),
) -> list[int]:
    """The keys of what came from an artefact; otherwise as `upstream`."""
    return walk(database, "down", [key], depth, types, rel_types)


@patient
def walk(
    database: Database,
    direction: Direction,
    roots: Sequence[int],
    depth: int | None = None,
    types: Sequence[str] = (),
    rel_types: Sequence[int] = (),
) -> list[int]:
    """The closure of several artefacts; a root is part of it only where another one leads to it."""
    if depth is not None and depth < 0:
        raise UsageError(f'the depth "{depth}" is below 0', hint="leave it out for everything, or give 1, 2, 3 …")
    with database.read() as connection:
        if depth is not None:
            found = _levels(connection, direction, roots, depth, rel_types)
            return sorted(_only(connection, found, types) if types else found)
        reach = reached(direction, rel_types)
        query = select(reach.c.key)
        if types:
            query = query.join(artefact, artefact.c.key == reach.c.key).where(artefact.c.type.in_(types))
        return sorted(connection.execute(query, {"roots": list(roots)}).scalars())


@patient
def closure_ids(
    database: Database, direction: Direction, key: int, types: Sequence[str] = (), rel_types: Sequence[int] = ()
) -> list[str]:
    """The ids of the whole closure in the order of saving, in one query.

    They come as one text: a row object for each of a hundred thousand ids would cost as much as finding their rows.
    """
    reach = reached(direction, rel_types)
    found = select(artefact.c.id).where(artefact.c.key.in_(select(reach.c.key))).order_by(artefact.c.key)
    if types:
        found = found.where(artefact.c.type.in_(types))
    query = select(func.aggregate_strings(found.subquery().c.id, ",sha256:"))
    with database.read() as connection:
        text: str | None = connection.execute(query, {"roots": [key]}).scalar_one()
    return f"sha256:{text}".split(",") if text else []


def reached(
    direction: Direction, rel_types: Sequence[int] = (), roots: Sequence[int] | None = None, name: str = "reached"
) -> CTE:
    """The recursive query, with one column `key`, from `roots`, or from those given as the parameter "roots"."""
    near, far = (edge.c.child, edge.c.parent) if direction == "up" else (edge.c.parent, edge.c.child)

    def step(query: Select[Any]) -> Select[Any]:
        return query.where(edge.c.type.in_([int(each) for each in rel_types])) if rel_types else query

    start: BindParameter[Any] = (
        bindparam("roots", expanding=True) if roots is None else bindparam(None, list(roots), expanding=True)
    )
    first = select(far.label("key")).where(near.in_(start))
    base = step(first).cte(name, recursive=True)
    return base.union(step(select(far).join(base, near == base.c.key)))


@patient
def edges_among(database: Database, keys: Iterable[int]) -> list[tuple[int, int, int]]:
    """(parent, child, type) of every edge between these artefacts, sorted."""
    wanted = set(keys)
    query = select(edge.c.parent, edge.c.child, edge.c.type).where(edge.c.child.in_(bindparam("keys", expanding=True)))
    found: list[tuple[int, int, int]] = []
    with database.read() as connection:
        for chunk in chunks(sorted(wanted)):
            rows = connection.execute(query, {"keys": chunk})
            found.extend((parent, child, kind) for parent, child, kind in rows if parent in wanted)
    return sorted(found)


@patient
def edges_from(database: Database, keys: Iterable[int]) -> list[tuple[int, int, int]]:
    """(parent, child, type) of every edge that leaves these artefacts, sorted."""
    query = select(edge.c.parent, edge.c.child, edge.c.type).where(edge.c.parent.in_(bindparam("keys", expanding=True)))
    found: list[tuple[int, int, int]] = []
    with database.read() as connection:
        for chunk in chunks(sorted(set(keys))):
            found.extend((parent, child, kind) for parent, child, kind in connection.execute(query, {"keys": chunk}))
    return sorted(found)


def chunks(items: Sequence[T], size: int = CHUNK) -> Iterator[list[T]]:
    """Pieces of a sequence that fit into one statement's parameters."""
    for start in range(0, len(items), size):
        yield list(items[start : start + size])


def _levels(
    connection: Connection, direction: Direction, roots: Sequence[int], depth: int, rel_types: Sequence[int]
) -> set[int]:
    near, far = (edge.c.child, edge.c.parent) if direction == "up" else (edge.c.parent, edge.c.child)
    query = select(far).distinct().where(near.in_(bindparam("keys", expanding=True)))
    if rel_types:
        query = query.where(edge.c.type.in_([int(each) for each in rel_types]))
    seen: set[int] = set()
    frontier = set(roots)
    for _ in range(depth):
        reach: set[int] = set()
        for chunk in chunks(sorted(frontier)):
            reach.update(connection.execute(query, {"keys": chunk}).scalars())
        frontier = reach - seen
        seen |= frontier
        if not frontier:
            break
    return seen


def _only(connection: Connection, keys: Iterable[int], types: Sequence[str]) -> list[int]:
    query = select(artefact.c.key).where(
        artefact.c.key.in_(bindparam("keys", expanding=True)), artefact.c.type.in_(types)
    )
    return [key for chunk in chunks(sorted(keys)) for key in connection.execute(query, {"keys": chunk}).scalars().all()]
