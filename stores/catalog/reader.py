"""Reading the catalog: rows of artefacts, claims, aliases and marks, each method one short read."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sqlalchemy import Select, bindparam, exists, func, select
from sqlalchemy.sql.elements import ColumnElement

from jeyn.errors import Corrupt
from jeyn.sdk.artefact import Record
from jeyn.sdk.canonical import parse_facts
from jeyn.sdk.relationship import RelationshipType
from jeyn.sdk.version import Version, is_version
from jeyn.stores.catalog import superseded, tombstones
from jeyn.stores.catalog.closure import chunks
from jeyn.stores.catalog.database import Database
from jeyn.stores.catalog.patience import patient
from jeyn.stores.catalog.prepared import Prepared
from jeyn.stores.catalog.superseded import Held
from jeyn.stores.catalog.tables import (
    alias_move,
    artefact,
    artefact_payload,
    batch_member,
    claim,
    edge,
    event,
    mark,
)
from jeyn.stores.catalog.tolerant import json_object


@dataclass(frozen=True)
class ArtefactRow:
    """A stored artefact: its record as written, and what stands beside it. `at` is microseconds, UTC."""

    key: int
    id: str
    type: str
    schema: str
    name: str
    document: str
    facts: Mapping[str, Any]
    quarantined: bool
    actor: str
    at: int

    @cached_property
    def record(self) -> Record:
        """Raises `Corrupt` for a document that is none."""
        try:
            return Record.from_document(self.document)
        except (LookupError, TypeError, ValueError) as exc:
            raise self.damaged() from exc

    def damaged(self) -> Corrupt:
        """What is said of a row that cannot be read."""
        return Corrupt(f'the row of "{self.id}" is damaged', hint="jeyn fsck says what is wrong with it")


class UnreadableFacts(dict[str, Any]):
    """In place of facts that a damaged row holds."""


@dataclass(frozen=True)
class Claimed:
    """A number and the artefact that holds it."""

    number: str
    id: str


@dataclass(frozen=True)
class Moved:
    """One step in an alias's history; `id` is None where it was taken away."""

    alias: str
    id: str | None
    verb: str
    reason: str
    actor: str
    at: int
    seq: int


@dataclass(frozen=True)
class Marked:
    """One step in an artefact's marks."""

    kind: str
    value: str
    present: bool
    reason: str
    actor: str
    at: int
    seq: int


@dataclass(frozen=True)
class Event:
    """One row of the outbox: (seq, position) is its place in the order of commits."""

    seq: int
    position: int
    kind: str
    subject: str
    data: Mapping[str, Any]
    actor: str
    at: int


def is_marked(key: ColumnElement[int] | Any, kind: str) -> ColumnElement[bool]:
    """Whether the newest `kind` mark of an artefact says that it is on."""
    newest, later = mark.alias(), mark.alias()
    return exists().where(
        newest.c.artefact == key,
        newest.c.kind == kind,
        newest.c.present,
        ~exists().where(later.c.artefact == newest.c.artefact, later.c.kind == kind, later.c.key > newest.c.key),
    )


_ROW = select(
    artefact.c.key,
    artefact.c.id,
    artefact.c.type,
    artefact.c.schema,
    artefact.c.name,
    artefact.c.document,
    artefact.c.facts,
    artefact.c.quarantined,
    artefact.c.actor,
    artefact.c.at,
)
_BY_ID = Prepared(_ROW.where(artefact.c.id == bindparam("id")))
_BY_IDS = _ROW.where(artefact.c.id.in_(bindparam("ids", expanding=True)))
_BY_KEYS = _ROW.where(artefact.c.key.in_(bindparam("keys", expanding=True)))
_AFTER = _ROW.where(artefact.c.key > bindparam("after")).order_by(artefact.c.key)
_CLAIMS = (
    select(claim.c.number, artefact.c.id)
    .join(artefact, artefact.c.key == claim.c.artefact)
    .where(claim.c.owner == bindparam("owner"))
    .order_by(claim.c.major, claim.c.minor, claim.c.patch, claim.c.seq)
)
_HIGHEST = (
    _CLAIMS.where(claim.c.prerelease == "", ~is_marked(claim.c.artefact, "superseded"))
    .order_by(None)
    .order_by(claim.c.major.desc(), claim.c.minor.desc(), claim.c.patch.desc())
    .limit(1)
)
_CLAIM = (
    select(claim.c.number, artefact.c.id)
    .join(artefact, artefact.c.key == claim.c.artefact)
    .where(claim.c.owner == bindparam("owner"), claim.c.number == bindparam("number"))
)
_BURIED = select(artefact.c.id).where(
    artefact.c.id.in_(bindparam("ids", expanding=True)), is_marked(artefact.c.key, "tombstone")
)
_NUMBERS = select(claim.c.owner, claim.c.number).where(claim.c.artefact == bindparam("key"))
_ALIAS_HISTORY = (
    select(
        alias_move.c.alias,
        artefact.c.id,
        alias_move.c.verb,
        alias_move.c.reason,
        alias_move.c.actor,
        alias_move.c.at,
        alias_move.c.seq,
    )
    .outerjoin(artefact, artefact.c.key == alias_move.c.artefact)
    .order_by(alias_move.c.key.desc())
)
_MARKS = (
    select(mark.c.kind, mark.c.value, mark.c.present, mark.c.reason, mark.c.actor, mark.c.at, mark.c.seq)
    .join(artefact, artefact.c.key == mark.c.artefact)
    .where(artefact.c.id == bindparam("id"))
    .order_by(mark.c.key)
)


# There may be no event of a commit that only moved a cursor or a fence.
_FIRST_FROM = select(event.c.seq, event.c.at).where(event.c.seq >= bindparam("seq")).order_by(event.c.seq).limit(1)


class Reader:
    """Reads of one catalog. What an attempt has staged is laid over these by `StagedReader`."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def row(self, id: str) -> ArtefactRow | None:
        """The artefact with this whole id (`sha256:` and 64 hex digits)."""
        found = self.database.ask(_BY_ID, id=id[7:])
        return self._row(found[0]) if found else None

    def rows(self, keys: Sequence[int]) -> list[ArtefactRow]:
        """The artefacts with these internal keys, in their order."""
        found: dict[int, ArtefactRow] = {}
        for start in range(0, len(keys), 500):
            found |= {r.key: self._row(r) for r in self._all(_BY_KEYS, keys=list(keys[start : start + 500]))}
        return [found[key] for key in keys if key in found]

    @patient
    def rows_by_id(self, ids: Collection[str]) -> list[ArtefactRow]:
        """Several artefacts by their whole ids, those that exist."""
        with self.database.read() as connection:
            return [
                self._row(found)
                for some in chunks(sorted(ids))
                for found in connection.execute(_BY_IDS, {"ids": [id[7:] for id in some]})
            ]

    def rows_after(self, key: int, limit: int) -> list[ArtefactRow]:
        """The artefacts beyond an internal key, oldest first."""
        return [self._row(found) for found in self._all(_AFTER.limit(limit), after=key)]

    def ids_from(self, prefix: str, limit: int = 10) -> list[str]:
        """Ids whose hex digits begin with `prefix`."""
        query = select(artefact.c.id).where(artefact.c.id >= prefix, artefact.c.id < prefix + "g").limit(limit)
        return [f"sha256:{id}" for (id,) in self._all(query)]

    def claims(self, owner: str) -> list[Claimed]:
        """All numbers of an owner, lowest first, whether their bytes were swept or not (SEMANTICS 31)."""
        return self._sound(owner, [Claimed(number, f"sha256:{id}") for number, id in self._all(_CLAIMS, owner=owner)])

    def highest(self, owner: str) -> Claimed | None:
        """The highest released version, or the last epoch of what is not superseded."""
        found = self._all(_HIGHEST, owner=owner)
        if found and not is_number(owner, found[0].number):
            # Damaged: by what all of them say, those that are numbers.
            released = [each for each in sort_versions(self.claims(owner)) if "-" not in each.number]
            return released[-1] if released else None
        return Claimed(found[0].number, f"sha256:{found[0].id}") if found else None

    def claimed(self, owner: str, number: str) -> str | None:
        """The id that holds this number."""
        found = self._all(_CLAIM, owner=owner, number=number)
        return f"sha256:{found[0].id}" if found else None

    def numbers(self, key: int) -> list[str]:
        """The numbers that an artefact holds."""
        found = [(owner, Claimed(number, "")) for owner, number in self._all(_NUMBERS, key=key)]
        return [each.number for owner, claimed in found for each in self._sound(owner, [claimed])]

    def alias(self, owner: str, alias: str, as_of: int | None = None) -> Moved | None:
        """Where an alias points, now or at a commit; None where it never existed by then."""
        history = self.alias_history(owner, alias, as_of, limit=1)
        return history[0] if history else None

    def alias_history(
        self, owner: str, alias: str | None = None, as_of: int | None = None, limit: int | None = None
    ) -> list[Moved]:
        """The moves of an owner's alias (or of all of them), newest first."""
        query = _ALIAS_HISTORY.where(alias_move.c.owner == owner)
        if alias is not None:
            query = query.where(alias_move.c.alias == alias)
        if as_of is not None:
            query = query.where(alias_move.c.seq <= as_of)
        found = self._all(query.limit(limit) if limit else query)
        return [Moved(r.alias, f"sha256:{r.id}" if r.id else None, *r[2:]) for r in found]

    def aliases_of(self, key: int) -> list[tuple[str, str]]:
        """(owner, alias) of all aliases that point at an artefact now."""
        later = alias_move.alias("later")
        query = select(alias_move.c.owner, alias_move.c.alias).where(
            alias_move.c.artefact == key,
            ~exists().where(
                later.c.owner == alias_move.c.owner,
                later.c.alias == alias_move.c.alias,
                later.c.key > alias_move.c.key,
            ),
        )
        return [(owner, alias) for owner, alias in self._all(query)]

    def current_aliases(self) -> list[tuple[str, str, int]]:
        """(owner, alias, artefact key) of every alias that points somewhere now."""
        newest = select(func.max(alias_move.c.key)).group_by(alias_move.c.owner, alias_move.c.alias)
        query = select(alias_move.c.owner, alias_move.c.alias, alias_move.c.artefact).where(
            alias_move.c.key.in_(newest), alias_move.c.artefact.is_not(None)
        )
        return [(owner, alias, key) for owner, alias, key in self._all(query)]

    def marks(self, id: str) -> list[Marked]:
        """All marks of an artefact, oldest first."""
        return [Marked(*r) for r in self._all(_MARKS, id=id[7:])]

    def marked(self, kind: str) -> list[tuple[int, str]]:
        """(artefact key, value) of all marks of this kind that are on now."""
        newest = select(func.max(mark.c.key)).where(mark.c.kind == kind).group_by(mark.c.artefact, mark.c.value)
        query = select(mark.c.artefact, mark.c.value).where(mark.c.key.in_(newest), mark.c.present)
        return [(key, value) for key, value in self._all(query)]

    @patient
    def buried(self, ids: Collection[str]) -> set[str]:
        """Those of the artefacts whose payloads were swept, and not restored since."""
        with self.database.read() as connection:
            return {
                f"sha256:{id}"
                for some in chunks(sorted(ids))
                for id in connection.execute(_BURIED, {"ids": [id[7:] for id in some]}).scalars()
            }

    def is_buried(self, id: str) -> bool:
        """Whether the payloads were swept, and not restored since."""
        query = select(artefact.c.key).where(artefact.c.id == id[7:], is_marked(artefact.c.key, "tombstone"))
        return bool(self._all(query))

    @patient
    def held(self, formula: str) -> list[Held]:
        """All files of a formula's batches, by epoch, each with the batch that has replaced it, if one has."""
        with self.database.read() as connection:
            return superseded.held(connection, formula)

    def held_beside(self, batch: str) -> list[Held]:
        """`held` of the formula that a batch is of."""
        row = self.row(batch)
        parents = row.record.parents if row else ()
        formula = next((edge.parent for edge in parents if edge.type is RelationshipType.formula_batch), None)
        return self.held(formula) if formula else []

    def superseded(self, formula: str) -> set[str]:
        """The ids of the batches of a formula of which every file was replaced by a later batch (SEMANTICS 32)."""
        query = (
            select(artefact.c.id)
            .join(claim, claim.c.artefact == artefact.c.key)
            .where(claim.c.owner == owner_of("batch", formula), is_marked(artefact.c.key, "superseded"))
        )
        return {f"sha256:{id}" for (id,) in self._all(query)}

    @patient
    def supersedes(self, id: str) -> list[tuple[str, str]]:
        """(path, id of the batch whose file it was) for all that a batch replaces."""
        with self.database.read() as connection:
            return superseded.supersedes(connection, id)

    def names(self, type: str | None = None) -> list[tuple[str, str]]:
        """(type, name) of what can be named, for "did you mean"."""
        types = [type] if type else ["dataset_formula", "use_case"]
        query = select(artefact.c.type, artefact.c.name).where(artefact.c.type.in_(types)).distinct().limit(10_000)
        return [(kind, name) for kind, name in self._all(query)]

    def members(self, formula: str) -> dict[str, str]:
        """The members that batches of a formula have claimed, and by which batch."""
        holder, formulas = artefact.alias("holder"), artefact.alias("formula")
        query = (
            select(batch_member.c.member, holder.c.id)
            .join(formulas, formulas.c.key == batch_member.c.formula)
            .join(holder, holder.c.key == batch_member.c.batch)
            .where(formulas.c.id == formula[7:])
        )
        return {member: f"sha256:{id}" for member, id in self._all(query)}

    def external_payloads(self, key: int) -> set[str]:
        """The digests that an artefact refers to at their source instead of in the payload store."""
        query = select(artefact_payload.c.digest).where(artefact_payload.c.artefact == key, artefact_payload.c.external)
        return {f"sha256:{digest}" for (digest,) in self._all(query)}

    def children(self, id: str, type: int) -> list[int]:
        """The keys of the direct children by one kind of edge, oldest first."""
        query = (
            select(edge.c.child)
            .join(artefact, artefact.c.key == edge.c.parent)
            .where(artefact.c.id == id[7:], edge.c.type == type)
            .order_by(edge.c.child)
        )
        return [key for (key,) in self._all(query)]

    @patient
    def seq_at(self, at: int) -> int:
        """The last commit at or before a time (µs, UTC); 0 before the first."""
        # Times rise with the commits (SEMANTICS 11), so halving finds it, and no save pays for an index of times.
        low, high = 0, self._all(select(func.coalesce(func.max(event.c.seq), 0)))[0][0]
        with self.database.read() as connection:
            while low < high:
                middle = (low + high + 1) // 2
                found = connection.execute(_FIRST_FROM, {"seq": middle}).one()
                low, high = (found.seq, high) if found.at <= at else (low, middle - 1)
        return int(low)

    def events(self, after: tuple[int, int] = (0, -1), limit: int = 1000) -> list[Event]:
        """The outbox in the order of commits, beyond a cursor."""
        seq, position = after
        query = (
            select(event)
            .where((event.c.seq > seq) | ((event.c.seq == seq) & (event.c.position > position)))
            .order_by(event.c.seq, event.c.position)
            .limit(limit)
        )
        return [
            Event(r.seq, r.position, r.kind, r.subject, json_object(r.data), r.actor, r.at) for r in self._all(query)
        ]

    def _row(self, found: Sequence[Any]) -> ArtefactRow:
        key, id, type, schema, name, document, facts, quarantined, actor, at = found
        read = self._facts(id, facts)
        return ArtefactRow(key, f"sha256:{id}", type, schema, name, document, read, bool(quarantined), actor, at)

    def _facts(self, id: str, text: str) -> Mapping[str, Any]:
        try:
            found: Mapping[str, Any] = parse_facts(text)
            if isinstance(found, dict):
                return found
        except (ValueError, TypeError, RecursionError):
            pass
        if self.database.tolerant:
            return UnreadableFacts()
        raise Corrupt(f'the facts of "sha256:{id}" cannot be read', hint="jeyn fsck says what is wrong with them")

    @patient
    def _sound(self, owner: str, found: list[Claimed]) -> list[Claimed]:
        """Without the numbers that are none: in a list they are left out, elsewhere only once they are buried."""
        sound = [each for each in found if is_number(owner, each.number)]
        if len(sound) < len(found) and not self.database.tolerant:
            with self.database.read() as connection:
                buried = tombstones.buried(connection, "claim")
            for each in found:
                if not is_number(owner, each.number) and (owner, each.number) not in buried:
                    raise wrong_number(owner, each.number)
        return sound

    @patient
    def _all(self, query: Select[Any], **parameters: Any) -> Sequence[Any]:
        with self.database.read() as connection:
            return connection.execute(query, parameters).all()


def owner_of(kind: str, name: str) -> str:
    """Whose numbers and aliases these are: `formula:digits`, `checkpoint:reader`, `batch:<formula hex>`."""
    return f"{kind}:{name.removeprefix('sha256:')}"


def is_number(owner: str, number: str) -> bool:
    """Whether this can be an epoch, or a version, of such an owner."""
    if owner.startswith("batch:"):
        return number.isascii() and number.isdecimal() and len(number) < 19
    return is_version(number)


def wrong_number(owner: str, number: str) -> Corrupt:
    return Corrupt(
        f'"{number}" of {owner} is no number that a catalog gives',
        hint="jeyn fsck says what is wrong; jeyn fsck --repair --yes buries it, and the rest can be used",
    )


def sort_versions(found: Iterable[Claimed]) -> list[Claimed]:
    """By semver, which the database's order of prereleases is not."""
    return sorted(found, key=lambda claimed: Version.parse(claimed.number))
