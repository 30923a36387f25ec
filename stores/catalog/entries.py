"""One artefact with all that stands beside it, as a bundle carries it, and how a catalog gives it (SEMANTICS 29)."""

from __future__ import annotations

import heapq
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy import Connection, bindparam, func, select

from jeyn.errors import Corrupt
from jeyn.sdk.artefact import PayloadRef, Record
from jeyn.sdk.canonical import parse_facts
from jeyn.stores.catalog import bounds
from jeyn.stores.catalog.changes import ORDER
from jeyn.stores.catalog.closure import chunks, reached
from jeyn.stores.catalog.commit import facts_text
from jeyn.stores.catalog.reader import is_marked
from jeyn.stores.catalog.tables import (
    alias_move,
    artefact,
    artefact_payload,
    batch_member,
    claim,
    edge,
    mark,
    metric,
)

Id = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
Actor = Annotated[str, Field(max_length=bounds.ACTOR)]
Owner = Annotated[str, Field(min_length=1, max_length=300)]
At = Annotated[int, Field(ge=0, le=bounds.LATEST)]
Reason = Annotated[str, Field(max_length=bounds.REASON)]
TRAVELLING = ("tag", "contract", ORDER)


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, ignored_types=(cached_property,))


class EntryClaim(_Closed):
    owner: Owner
    number: Annotated[str, Field(min_length=1, max_length=200)]
    actor: Actor
    at: At


class EntryMark(_Closed):
    """The newest mark of one kind and value; `contract` only knows its newest value, and `order` has one."""

    kind: Annotated[str, Field(pattern=r"^(tag|contract|order)$")]
    value: Annotated[str, Field(max_length=bounds.VALUE)]
    present: bool
    reason: Reason
    actor: Actor
    at: At


class EntryAlias(_Closed):
    owner: Owner
    alias: Annotated[str, Field(min_length=1, max_length=bounds.ALIAS)]
    reason: Reason


class EntryMember(_Closed):
    """A batch's claim on a file or watermark of a formula; it stands with whichever of the two comes later."""

    formula: Id
    member: Annotated[str, Field(min_length=1, max_length=2000)]
    batch: Id


class EntryMetric(_Closed):
    """What this artefact says of `subject`; `value` is the repr of a float, which JSON could not always hold."""

    subject: Id
    name: Annotated[str, Field(min_length=1, max_length=200)]
    value: Annotated[str, Field(max_length=40)]


class Entry(_Closed):
    """One line of a bundle. `external` are digests whose bytes are at their source; `buried` ones are nowhere."""

    id: Id
    document: Annotated[str, Field(max_length=bounds.DOCUMENT)]
    facts: Annotated[str, Field(max_length=bounds.FACTS)]
    quarantined: bool
    buried: bool
    actor: Actor
    at: At
    edges: tuple[tuple[Annotated[int, Field(ge=1, lt=2**15)], Id], ...]
    external: tuple[Id, ...]
    claims: tuple[EntryClaim, ...]
    marks: tuple[EntryMark, ...]
    aliases: tuple[EntryAlias, ...]
    members: tuple[EntryMember, ...]
    metrics: tuple[EntryMetric, ...]

    @cached_property
    def record(self) -> Record:
        return Record.from_document(self.document)

    @property
    def bytes_here(self) -> tuple[PayloadRef, ...]:
        """The payloads that a payload store has to hold for this artefact to load."""
        return tuple(payload for payload in self.record.payloads if payload.digest not in self.external)


def closure_keys(connection: Connection, root: int) -> list[int]:
    """An artefact and all that it came from."""
    reach = reached("up")
    return sorted({root, *connection.execute(select(reach.c.key), {"roots": [root]}).scalars()})


def payload_digests(connection: Connection, keys: Sequence[int]) -> dict[str, bool]:
    """The bare digests of their payloads that are not buried, and whether all who have one have it at its source."""
    query = select(artefact_payload.c.digest, artefact_payload.c.external).where(
        artefact_payload.c.artefact.in_(bindparam("keys", expanding=True)),
        ~is_marked(artefact_payload.c.artefact, "tombstone"),
    )
    found: dict[str, bool] = {}
    for chunk in chunks(keys):
        for digest, external in connection.execute(query, {"keys": chunk}):
            found[digest] = found.get(digest, True) and external
    return found


def read_entries(connection: Connection, keys: Sequence[int], readable: Collection[str]) -> Iterator[Entry]:
    """The entries of a closure, parents first, in an order that only the closure decides.

    `readable` are bare digests of external payloads whose bytes the bundle carries nevertheless.
    """
    names = _names(connection, keys)
    order = _parents_first(connection, names)
    place = {key: position for position, key in enumerate(order)}
    for chunk in chunks(order):
        yield from _Chunk(connection, chunk, names, place).entries(readable)


def _names(connection: Connection, keys: Sequence[int]) -> dict[int, str]:
    query = select(artefact.c.key, artefact.c.id).where(artefact.c.key.in_(bindparam("keys", expanding=True)))
    found: dict[int, str] = {}
    for chunk in chunks(keys):
        found |= {key: f"sha256:{id}" for key, id in connection.execute(query, {"keys": chunk})}
    return found


def _parents_first(connection: Connection, names: Mapping[int, str]) -> list[int]:
    """A topological order; of those that could come next, the smallest id does."""
    query = select(edge.c.child, edge.c.parent).distinct().where(edge.c.child.in_(bindparam("keys", expanding=True)))
    waiting = dict.fromkeys(names, 0)
    children: dict[int, list[int]] = {}
    for chunk in chunks(sorted(names)):
        for child, parent in connection.execute(query, {"keys": chunk}):
            waiting[child] += 1
            children.setdefault(parent, []).append(child)
    ready = [(names[key], key) for key, count in waiting.items() if not count]
    heapq.heapify(ready)
    order: list[int] = []
    while ready:
        _, key = heapq.heappop(ready)
        order.append(key)
        for child in children.get(key, ()):
            waiting[child] -= 1
            if not waiting[child]:
                heapq.heappush(ready, (names[child], child))
    if len(order) < len(names):
        raise _damaged(min(names[key] for key, count in waiting.items() if count))
    return order


def _damaged(id: str) -> Corrupt:
    return Corrupt(f'"{id}" cannot be exported: what it came from is not all there', hint="jeyn fsck says what is lost")


class _Chunk:
    """What stands beside a few hundred artefacts, read with one query for each kind of row."""

    def __init__(
        self, connection: Connection, keys: Sequence[int], names: Mapping[int, str], place: Mapping[int, int]
    ) -> None:
        self.connection = connection
        self.keys = list(keys)
        self.names = names
        self.place = place

    def entries(self, readable: Collection[str]) -> Iterator[Entry]:
        try:
            yield from self._entries(readable)
        except ValidationError as exc:
            first = exc.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"]))
            raise Corrupt(
                f'an artefact cannot be exported: its "{where}" is not what it should be ({first["msg"]})',
                hint="jeyn fsck finds which",
            ) from exc

    def _entries(self, readable: Collection[str]) -> Iterator[Entry]:
        buried = is_marked(artefact.c.key, "tombstone").label("buried")
        columns = (artefact.c.key, artefact.c.document, artefact.c.facts, artefact.c.quarantined, artefact.c.actor)
        rows = {row.key: row for row in self._rows(select(*columns, artefact.c.at, buried), artefact.c.key)}
        edges, external, claims = self._edges(), self._external(readable), self._claims()
        marks, aliases, members, metrics = self._marks(), self._aliases(), self._members(), self._metrics()
        for key in self.keys:
            row = rows[key]
            yield Entry(
                id=self.names[key],
                document=row.document,
                facts=_plain_facts(row.facts),
                quarantined=row.quarantined,
                buried=row.buried,
                actor=row.actor,
                at=row.at,
                edges=tuple(sorted(edges.get(key, ()))),
                external=tuple(sorted(external.get(key, ()))),
                claims=tuple(claims.get(key, ())),
                marks=tuple(marks.get(key, ())),
                aliases=tuple(aliases.get(key, ())),
                members=tuple(members.get(key, ())),
                metrics=tuple(metrics.get(key, ())),
            )

    def _edges(self) -> dict[int, list[tuple[int, str]]]:
        rows = self._rows(select(edge.c.child, edge.c.type, edge.c.parent), edge.c.child)
        return _grouped((row.child, (row.type, self.names[row.parent])) for row in rows)

    def _external(self, readable: Collection[str]) -> dict[int, list[str]]:
        query = select(artefact_payload.c.artefact, artefact_payload.c.digest).where(artefact_payload.c.external)
        rows = self._rows(query.distinct(), artefact_payload.c.artefact)
        return _grouped((row.artefact, f"sha256:{row.digest}") for row in rows if row.digest not in readable)

    def _claims(self) -> dict[int, list[EntryClaim]]:
        # Sorted here: databases differ in how they order text.
        rows = sorted(self._rows(select(claim), claim.c.artefact), key=lambda row: (row.owner, row.number))
        return _grouped(
            (row.artefact, EntryClaim(owner=row.owner, number=row.number, actor=row.actor, at=row.at)) for row in rows
        )

    def _marks(self) -> dict[int, list[EntryMark]]:
        query = select(mark).where(mark.c.kind.in_(TRAVELLING)).order_by(mark.c.key)
        newest: dict[tuple[int, str, str], EntryMark] = {}
        for row in self._rows(query, mark.c.artefact):
            value = row.value if row.kind == "tag" else ""
            newest[row.artefact, row.kind, value] = EntryMark(
                kind=row.kind, value=row.value, present=row.present, reason=row.reason, actor=row.actor, at=row.at
            )
        return _grouped((key[0], found) for key, found in sorted(newest.items()))

    def _aliases(self) -> dict[int, list[EntryAlias]]:
        newest = select(func.max(alias_move.c.key)).group_by(alias_move.c.owner, alias_move.c.alias)
        found = self._rows(select(alias_move).where(alias_move.c.key.in_(newest)), alias_move.c.artefact)
        rows = sorted(found, key=lambda row: (row.owner, row.alias))
        return _grouped((row.artefact, EntryAlias(owner=row.owner, alias=row.alias, reason=row.reason)) for row in rows)

    def _members(self) -> dict[int, list[EntryMember]]:
        found: dict[int, set[tuple[str, str, str]]] = {}
        for column in (batch_member.c.formula, batch_member.c.batch):
            for row in self._rows(select(batch_member), column):
                if row.formula in self.place and row.batch in self.place:
                    later = max(row.formula, row.batch, key=self.place.__getitem__)
                    member = (self.names[row.formula], row.member, self.names[row.batch])
                    found.setdefault(later, set()).add(member)
        return {
            key: [EntryMember(formula=formula, member=member, batch=batch) for formula, member, batch in sorted(rows)]
            for key, rows in found.items()
        }

    def _metrics(self) -> dict[int, list[EntryMetric]]:
        rows = [row for row in self._rows(select(metric), metric.c.source) if row.subject in self.place]
        rows.sort(key=lambda row: (self.names[row.subject], row.name))
        return _grouped(
            (row.source, EntryMetric(subject=self.names[row.subject], name=row.name, value=repr(_or_nan(row.value))))
            for row in rows
        )

    def _rows(self, query: Any, column: Any) -> Sequence[Any]:
        found: Sequence[Any] = self.connection.execute(query.where(column.in_(self.keys))).all()
        return found


def _plain_facts(text: str) -> str:
    """As they are written now: a user's key that begins with "$" was not always told from a tag."""
    return facts_text(parse_facts(text)) if '"$' in text else text


def _or_nan(value: float | None) -> float:
    """The catalog keeps NULL for what compares with nothing."""
    return math.nan if value is None else value


def _grouped(pairs: Iterator[tuple[int, Any]]) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = {}
    for key, value in pairs:
        found.setdefault(key, []).append(value)
    return found
