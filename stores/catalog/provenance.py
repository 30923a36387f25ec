"""Which operations of which runs made, gave and took artefacts: what joins the two halves of lineage (SEMANTICS 7)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BindParameter, Connection, bindparam, select

from jeyn.stores.catalog.closure import chunks
from jeyn.stores.catalog.database import Database
from jeyn.stores.catalog.patience import patient
from jeyn.stores.catalog.tables import artefact, event, operation, operation_artefact, run
from jeyn.stores.catalog.tolerant import json_object


@dataclass(frozen=True, slots=True)
class Maker:
    """The operation whose commit brought an artefact into being; `code` is the id of what its run ran."""

    run: str
    operation: str
    code: str | None

    def __str__(self) -> str:
        return f"{self.operation} in {self.run}"

    def to_json(self) -> dict[str, str | None]:
        return {"run": self.run, "operation": self.operation, "code": self.code}


@dataclass(frozen=True, slots=True)
class OperationTrace:
    """One operation of a run: the ids that went in and came out, in order."""

    run: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


_IN_KEYS: BindParameter[Any] = bindparam("keys", expanding=True)
_FINISHED = (
    select(event.c.seq, event.c.subject, event.c.data, artefact.c.id)
    .outerjoin(run, run.c.id == event.c.subject)
    .outerjoin(artefact, artefact.c.key == run.c.code)
    .where(event.c.seq.in_(bindparam("seqs", expanding=True)), event.c.kind == "jeyn.operation.finished")
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


def makers(connection: Connection, seqs: Collection[int]) -> dict[int, Maker]:
    """The operation that ended with each of these commits, if one did.

    An operation and all that it saved are one commit, so this is what really made an artefact: not what was given it
    again by the cache or by a resumed run, nor what passed it through. It also covers what was saved and not returned.
    """
    rows = connection.execute(_FINISHED, {"seqs": sorted(seqs)})
    return {
        seq: Maker(run_id, str(json_object(data).get("operation", "")), code and f"sha256:{code}")
        for seq, run_id, data, code in rows
    }


@patient
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
