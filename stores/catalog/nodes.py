"""Artefacts as people name them: type, name, number and shortest reference, read in a few queries for many keys."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BindParameter, Connection, bindparam, select

from jeyn.sdk.version import Version
from jeyn.stores.catalog.closure import chunks
from jeyn.stores.catalog.database import Database
from jeyn.stores.catalog.tables import artefact, claim, operation, operation_artefact, run


@dataclass(frozen=True, slots=True)
class Node:
    """One artefact without its content: `number` is its version or epoch, `at` when it was saved (µs, UTC)."""

    id: str
    type: str
    name: str
    ref: str
    number: str | None
    at: int

    @property
    def label(self) -> str:
        """For people: the reference, or the type and name of what has none, with the beginning of its id."""
        if not self.ref.startswith("sha256:"):
            return self.ref
        return f"{self.type.replace('_', ' ')} {self.name} ({self.id[:15]}…)"


@dataclass(frozen=True, slots=True)
class OperationTrace:
    """One operation of a run: the ids that went in and came out, in order."""

    run: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


_IN_KEYS: BindParameter[Any] = bindparam("keys", expanding=True)
_ROWS = select(artefact.c.key, artefact.c.id, artefact.c.type, artefact.c.name, artefact.c.at).where(
    artefact.c.key.in_(_IN_KEYS)
)
_CLAIMS = select(claim.c.artefact, claim.c.owner, claim.c.number).where(claim.c.artefact.in_(_IN_KEYS))
_VERSIONS = (
    select(artefact.c.id, claim.c.number)
    .join(claim, claim.c.artefact == artefact.c.key)
    .where(artefact.c.id.in_(bindparam("ids", expanding=True)), claim.c.owner.startswith("formula:"))
)
_TOUCHING = select(operation_artefact.c.operation).distinct().where(operation_artefact.c.artefact.in_(_IN_KEYS))
_OPERATIONS = (
    select(
        operation.c.key,
        run.c.id.label("run"),
        operation.c.name,
        operation_artefact.c.direction,
        artefact.c.id,
    )
    .join(run, run.c.key == operation.c.run)
    .join(operation_artefact, operation_artefact.c.operation == operation.c.key)
    .join(artefact, artefact.c.key == operation_artefact.c.artefact)
    .where(operation.c.key.in_(_IN_KEYS))
    .order_by(operation.c.key, operation_artefact.c.direction, operation_artefact.c.name, operation_artefact.c.position)
)


def nodes(database: Database, keys: Sequence[int]) -> dict[int, Node]:
    """The nodes with these keys, in the order given."""
    found: dict[int, Node] = {}
    with database.read() as connection:
        for chunk in chunks(keys):
            found |= _read(connection, chunk)
    return {key: found[key] for key in keys if key in found}


def _read(connection: Connection, keys: list[int]) -> dict[int, Node]:
    claims: dict[int, list[tuple[str, str]]] = {}
    for key, owner, number in connection.execute(_CLAIMS, {"keys": keys}):
        claims.setdefault(key, []).append((owner, number))
    formulas = {
        owner.removeprefix("batch:") for found in claims.values() for owner, _ in found if owner.startswith("batch:")
    }
    versions = _formula_versions(connection, formulas)
    made: dict[int, Node] = {}
    for key, id, type, name, at in connection.execute(_ROWS, {"keys": keys}):
        owner, number = _highest(claims.get(key, []))
        ref = _ref(type, name, owner, number, versions) or f"sha256:{id}"
        made[key] = Node(f"sha256:{id}", type, name, ref, number, at)
    return made


def _formula_versions(connection: Connection, ids: Iterable[str]) -> dict[str, str]:
    """The highest version of each formula, by the hex of its id."""
    found: dict[str, list[tuple[str, str]]] = {}
    for chunk in chunks(sorted(ids)):
        for id, number in connection.execute(_VERSIONS, {"ids": chunk}):
            found.setdefault(id, []).append(("", number))
    return {id: _highest(numbers)[1] or "" for id, numbers in found.items()}


def _highest(claims: Sequence[tuple[str, str]]) -> tuple[str, str | None]:
    """A release may have been a prerelease before, which makes two numbers of one artefact."""
    if not claims:
        return "", None
    return claims[0] if len(claims) == 1 else max(claims, key=lambda found: Version.parse(found[1]))


def _ref(type: str, name: str, owner: str, number: str | None, versions: dict[str, str]) -> str | None:
    if type == "use_case":
        return f"usecase:{name}"
    kind, _, rest = owner.partition(":")
    if number is None or kind in ("formula", "checkpoint"):
        return f"{kind}:{name}@{number}" if number is not None else None
    version = versions.get(rest) if kind == "batch" else None
    return f"batch:{name}@{version}/{number}" if version else None


def operations_of(database: Database, keys: Sequence[int]) -> list[OperationTrace]:
    """The operations that one of these artefacts went into or came out of, oldest first (SEMANTICS 7)."""
    with database.read() as connection:
        touching = {key for chunk in chunks(keys) for key in connection.execute(_TOUCHING, {"keys": chunk}).scalars()}
        rows = [
            row for chunk in chunks(sorted(touching)) for row in connection.execute(_OPERATIONS, {"keys": chunk}).all()
        ]
    found: dict[int, tuple[str, str, dict[str, list[str]]]] = {}
    for key, run_id, name, direction, id in rows:
        ends = found.setdefault(key, (run_id, name, {"in": [], "out": []}))[2]
        ends.setdefault(direction, []).append(f"sha256:{id}")
    return [
        OperationTrace(run_id, name, tuple(ends["in"]), tuple(ends["out"])) for run_id, name, ends in found.values()
    ]
