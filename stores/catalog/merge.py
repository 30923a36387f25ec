"""Writing a bundle's entries into a catalog: by id, in one transaction, or a conflict and nothing (SEMANTICS 29)."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select

from jeyn.errors import VersionTaken
from jeyn.sdk.version import Version
from jeyn.stores.catalog.changes import ORDER
from jeyn.stores.catalog.claims import Numbered, prerelease_text
from jeyn.stores.catalog.closure import CHUNK
from jeyn.stores.catalog.commit import PayloadsCondemned, comparable
from jeyn.stores.catalog.database import Database, Transaction
from jeyn.stores.catalog.entries import TRAVELLING, Entry, EntryAlias, EntryClaim, EntryMark, EntryMember
from jeyn.stores.catalog.patience import patient
from jeyn.stores.catalog.reader import is_marked
from jeyn.stores.catalog.tables import (
    alias_move,
    artefact,
    artefact_payload,
    batch_member,
    claim,
    condemned,
    edge,
    event,
    mark,
    metric,
)

Entries = Callable[[], Iterable[Entry]]
SHOWN = 5

_KEYS = select(artefact.c.id, artefact.c.key, is_marked(artefact.c.key, "tombstone").label("buried")).where(
    artefact.c.id.in_(bindparam("ids", expanding=True))
)
_HELD = (
    select(claim.c.owner, claim.c.number, artefact.c.id)
    .join(artefact, artefact.c.key == claim.c.artefact)
    .where(claim.c.owner.in_(bindparam("owners", expanding=True)))
)
_MEMBERS = select(batch_member.c.formula, batch_member.c.member, batch_member.c.batch).where(
    batch_member.c.formula.in_(bindparam("formulas", expanding=True)),
    batch_member.c.member.in_(bindparam("members", expanding=True)),
)
_MARKS = (
    select(mark.c.artefact, mark.c.kind, mark.c.value, mark.c.present, mark.c.at)
    .where(mark.c.artefact.in_(bindparam("keys", expanding=True)), mark.c.kind.in_(TRAVELLING))
    .order_by(mark.c.key)
)
_FACTS = select(artefact.c.key, artefact.c.facts).where(artefact.c.key.in_(bindparam("keys", expanding=True)))
_ALIAS = (
    select(alias_move.c.artefact)
    .where(alias_move.c.owner == bindparam("owner"), alias_move.c.alias == bindparam("alias"))
    .order_by(alias_move.c.key.desc())
    .limit(1)
)
_ID = select(artefact.c.id).where(artefact.c.key == bindparam("key"))
_HIGHEST = (
    select(claim.c.number)
    .where(claim.c.owner == bindparam("owner"), claim.c.prerelease == "")
    .order_by(claim.c.major.desc(), claim.c.minor.desc(), claim.c.patch.desc())
    .limit(1)
)
_CONDEMNED = select(condemned.c.digest).where(condemned.c.digest.in_(bindparam("digests", expanding=True)))


@dataclass(frozen=True)
class Conflict:
    """A number, or a batch's member, that this catalog gave to something else."""

    what: str
    ours: str
    theirs: str


@dataclass(frozen=True)
class NewNumber:
    """A version or an epoch that this catalog did not have; `before` is the highest that it had."""

    owner: str
    number: str
    id: str
    before: str | None


@dataclass(frozen=True)
class NewAlias:
    """An alias that points elsewhere than it did here; `before` is the id that it pointed at."""

    owner: str
    alias: str
    id: str
    before: str | None


@dataclass
class Merged:
    """What a merge did, or would do. `kept` are the conflicts in which what this catalog had stayed."""

    new: int = 0
    existing: int = 0
    restored: int = 0
    aliases: int = 0
    numbers: list[NewNumber] = field(default_factory=list)
    moved: list[NewAlias] = field(default_factory=list)
    # What is said anew of artefacts that this catalog knows already: (id, kind, value).
    marks: list[tuple[str, str, str]] = field(default_factory=list)
    kept: list[Conflict] = field(default_factory=list)
    # Aliases that were not moved: what they would mean is buried or withdrawn here, or ours was to stay.
    refused: list[Conflict] = field(default_factory=list)


@dataclass(frozen=True)
class Standing:
    """Which ids a catalog has, and which of those are buried."""

    present: frozenset[str]
    buried: frozenset[str]


@patient
def standing(database: Database, ids: Sequence[str]) -> Standing:
    with database.read() as connection:
        found = [row for part in _chunks(ids) for row in connection.execute(_KEYS, {"ids": [id[7:] for id in part]})]
    present = frozenset(f"sha256:{row.id}" for row in found)
    return Standing(present, frozenset(f"sha256:{row.id}" for row in found if row.buried))


@patient
def check_conflicts(database: Database, entries: Entries) -> None:
    """Raise `VersionTaken` when a merge would have to."""
    with database.read() as connection:
        found = [conflict for part in _chunks(entries()) for conflict in _Rows(connection, part).conflicts]
    if found:
        raise _taken(found)


@patient
def merge(
    database: Database,
    entries: Entries,
    actor: str,
    *,
    put: frozenset[str],
    offered: frozenset[str],
    keep_ours: bool,
    aliases: bool,
    dry: bool = False,
) -> Merged:
    """Write what is not there yet, parents first. `put` are bare digests that are stored and leased, `offered` those
    that could be. With `dry` all of it is undone again, and only what it would have done is told.

    Raises `VersionTaken` for a conflict unless `keep_ours`, and `PayloadsCondemned` when bytes have to be put again.
    """
    with database.write() as tx:
        writer = _Merge(tx, actor, put, offered, keep_ours)
        for part in _chunks(entries()):
            writer.add(part)
        if aliases:
            for entry in entries():
                for alias in entry.aliases:
                    writer.alias(entry.id, alias)
        writer.write_events()
        if writer.done.kept and not keep_ours:
            raise _taken(writer.done.kept)
        if dry:
            tx.roll_back()
    return writer.done


class _Rows:
    """What the catalog has of a few hundred entries, and where it disagrees with them."""

    def __init__(self, connection: Connection, entries: Sequence[Entry]) -> None:
        self.run = connection.execute
        self.entries = entries
        mentioned = {id for entry in entries for id in _mentioned(entry)}
        rows = [row for part in _chunks(sorted(mentioned)) for row in self.run(_KEYS, {"ids": [i[7:] for i in part]})]
        self.keys = {f"sha256:{row.id}": int(row.key) for row in rows}
        self.buried = {f"sha256:{row.id}" for row in rows if row.buried}
        self.conflicts: list[Conflict] = []
        self.claims = list(self._new_claims())
        self.members = list(self._new_members())

    def _new_claims(self) -> Iterator[tuple[Entry, EntryClaim]]:
        wanted = [(entry, each) for entry in self.entries for each in entry.claims]
        owners = sorted({each.owner for _, each in wanted})
        rows = [row for part in _chunks(owners) for row in self.run(_HELD, {"owners": part})]
        holder = {(row.owner, row.number): f"sha256:{row.id}" for row in rows}
        numbers: dict[tuple[str, str], list[str]] = {}
        for (owner, number), id in holder.items():
            numbers.setdefault((owner, id), []).append(number)
        for entry, each in wanted:
            what, held = f"{each.owner}@{each.number}", holder.get((each.owner, each.number))
            others = numbers.get((each.owner, entry.id), [])
            if held == entry.id:
                continue
            if held is not None:
                self.conflicts.append(Conflict(what, held, entry.id))
            elif others and not _may_both(each, others):
                self.conflicts.append(Conflict(what, f"{each.owner}@{others[-1]}", entry.id))
            else:
                yield entry, each

    def _new_members(self) -> Iterator[EntryMember]:
        wanted = [member for entry in self.entries for member in entry.members]
        names = {key: id for id, key in self.keys.items()}
        formulas = [self.keys[id] for id in dict.fromkeys(member.formula for member in wanted) if id in self.keys]
        held: dict[tuple[str, str], str] = {}
        for part in _chunks(wanted if formulas else []):
            asked = {"formulas": formulas, "members": [member.member for member in part]}
            for row in self.run(_MEMBERS, asked):
                held[names[row.formula], row.member] = names.get(row.batch, "another batch")
        for member in wanted:
            ours = held.get((member.formula, member.member))
            if ours is None:
                yield member
            elif ours != member.batch:
                self.conflicts.append(Conflict(f'"{member.member}" of {member.formula}', ours, member.batch))


class _Merge:
    """The state of one merging transaction."""

    def __init__(
        self, tx: Transaction, actor: str, put: frozenset[str], offered: frozenset[str], keep_ours: bool
    ) -> None:
        self.tx = tx
        self.run = tx.connection.execute
        self.actor = actor
        self.put = put
        self.offered = offered
        self.keep_ours = keep_ours
        self.done = Merged()
        self.events: list[dict[str, Any]] = []

    def add(self, entries: Sequence[Entry]) -> None:
        rows = _Rows(self.tx.connection, entries)
        self.done.kept += rows.conflicts
        known = {rows.keys[entry.id] for entry in entries if entry.id in rows.keys}
        new = [entry for entry in entries if entry.id not in rows.keys]
        self.done.new += len(new)
        self.done.existing += len(entries) - len(new)
        for entry in entries:
            self._check_bytes(entry, entry.id not in rows.keys, entry.id in rows.buried)
        self._insert(new, rows.keys)
        for entry in entries:
            if entry.id in rows.buried and entry.bytes_here and self._has_bytes(entry):
                self._tombstone(rows.keys[entry.id], False, "imported again")
                self._emit("jeyn.artefact.restored", entry.id, {"kind": "tombstone", "value": "", "present": False})
                self.done.restored += 1
        self._insert_claims(rows)
        self._merge_marks(entries, rows.keys, known)

    def _check_bytes(self, entry: Entry, is_new: bool, is_buried: bool) -> None:
        if not (is_new or is_buried):
            return
        digests = [payload.digest[7:] for payload in entry.bytes_here]
        missing = [digest for digest in digests if digest in self.offered and digest not in self.put]
        swept = self.run(_CONDEMNED, {"digests": digests}).scalars().all() if digests else []
        if missing or swept:
            raise PayloadsCondemned([*missing, *swept])

    def _has_bytes(self, entry: Entry) -> bool:
        return all(payload.digest[7:] in self.put for payload in entry.bytes_here)

    def _insert(self, entries: Sequence[Entry], keys: dict[str, int]) -> None:
        if not entries:
            return
        self.run(insert(artefact), [self._artefact(entry) for entry in entries])
        ids = [entry.id[7:] for entry in entries]
        keys.update({f"sha256:{row.id}": row.key for row in self.run(_KEYS, {"ids": ids})})
        own = [(keys[entry.id], entry) for entry in entries]
        self._rows(edge, [
            {"child": key, "parent": keys[parent], "type": type} for key, entry in own for type, parent in entry.edges
        ])  # fmt: skip
        self._rows(artefact_payload, [
            {"artefact": key, "name": each.name, "digest": each.digest[7:], "size": each.size}
            | {"external": each.digest in entry.external}
            for key, entry in own for each in entry.record.payloads
        ])  # fmt: skip
        self._rows(metric, [
            {"subject": keys[each.subject], "name": each.name, "source": key, "value": comparable(each.value)}
            for key, entry in own for each in entry.metrics
        ])  # fmt: skip
        for key, entry in own:
            self._emit("jeyn.artefact.imported", entry.id, {"name": entry.record.name, "type": entry.record.type})
            if not self._has_bytes(entry):
                self._tombstone(key, True, "imported without its bytes")

    def _artefact(self, entry: Entry) -> dict[str, Any]:
        record = entry.record
        return {
            "id": entry.id[7:],
            "type": record.type,
            "schema": record.schema,
            "name": record.name,
            "document": entry.document,
            "facts": entry.facts,
            "quarantined": entry.quarantined,
            "actor": entry.actor,
            "at": entry.at,
            "seq": self.tx.seq,
        }

    def _insert_claims(self, rows: _Rows) -> None:
        stamps = [
            (entry, each, {"actor": each.actor, "at": each.at, "seq": self.tx.seq}) for entry, each in rows.claims
        ]
        self._note_numbers(rows)
        self._rows(claim, [
            vars(_numbered(each)) | {"owner": each.owner, "artefact": rows.keys[entry.id]} | stamp
            for entry, each, stamp in stamps
        ])  # fmt: skip
        self._rows(batch_member, [
            {"formula": rows.keys[each.formula], "member": each.member, "batch": rows.keys[each.batch]}
            for each in rows.members
        ])  # fmt: skip

    def _note_numbers(self, rows: _Rows) -> None:
        for entry, each in rows.claims:
            before = self.run(_HIGHEST, {"owner": each.owner}).scalar_one_or_none()
            self.done.numbers.append(NewNumber(each.owner, each.number, entry.id, before))

    def _merge_marks(self, entries: Sequence[Entry], keys: dict[str, int], known: Collection[int]) -> None:
        """The later word wins, whichever catalog it was said in; of orders the one that was here first.

        `known` are the keys of what this catalog had already.
        """
        wanted = [(keys[entry.id], each) for entry in entries for each in entry.marks]
        wanted += self._orders(entries, keys)
        if not wanted:
            return
        names = {keys[entry.id]: entry.id for entry in entries}
        newest: dict[tuple[int, str, str], Any] = {}
        for row in self.run(_MARKS, {"keys": sorted({key for key, _ in wanted})}):
            newest[row.artefact, row.kind, row.value if row.kind == "tag" else ""] = row
        for key, theirs in wanted:
            ours = newest.get((key, theirs.kind, theirs.value if theirs.kind == "tag" else ""))
            if ours is None or (
                theirs.kind != ORDER
                and theirs.at > ours.at
                and (theirs.present, theirs.value) != (ours.present, ours.value)
            ):
                self._mark(key, theirs)
                if key in known:
                    self.done.marks.append((names[key], theirs.kind, theirs.value))

    def _orders(self, entries: Sequence[Entry], keys: dict[str, int]) -> list[tuple[int, EntryMark]]:
        """The orders of formulas that this catalog has from before orders were kept, which facts cannot tell here."""
        known = {
            keys[entry.id]: (json.loads(entry.facts), entry)
            for entry in entries
            if entry.record.type == "dataset_formula" and ORDER in json.loads(entry.facts)
        }
        found = self.run(_FACTS, {"keys": sorted(known)}) if known else ()
        bare = [row.key for row in found if ORDER not in json.loads(row.facts)]
        return [(key, _order_mark(known[key][0][ORDER], known[key][1])) for key in bare]

    def _mark(self, key: int, each: EntryMark) -> None:
        row = {"kind": each.kind, "value": each.value, "present": each.present, "reason": each.reason}
        self.run(insert(mark), row | {"artefact": key, "actor": each.actor, "at": each.at, "seq": self.tx.seq})

    def _tombstone(self, key: int, present: bool, reason: str) -> None:
        row = {"artefact": key, "kind": "tombstone", "value": "", "present": present, "reason": reason}
        self.run(insert(mark), row | self._stamp())

    def alias(self, id: str, alias: EntryAlias) -> None:
        """Point an alias where the bundle says, unless what it means cannot stand or ours is to stay."""
        query = select(artefact.c.key, is_marked(artefact.c.key, "tombstone"), is_marked(artefact.c.key, "withdrawn"))
        target, buried, withdrawn = self.run(query.where(artefact.c.id == id[7:])).one()
        now = self.run(_ALIAS, {"owner": alias.owner, "alias": alias.alias}).scalar_one_or_none()
        if now == target:
            return
        if buried or withdrawn or (now is not None and self.keep_ours):
            why = "buried here" if buried else "withdrawn here" if withdrawn else "set here"
            self.done.refused.append(Conflict(f"{alias.owner}@{alias.alias}", why, id))
            return
        row = {"owner": alias.owner, "alias": alias.alias, "artefact": target, "verb": "import"}
        self.run(insert(alias_move), row | {"reason": alias.reason} | self._stamp())
        kind = "jeyn.checkpoint.blessed" if alias.alias == "blessed" else "jeyn.alias.moved"
        self._emit(kind, id, {"owner": alias.owner, "alias": alias.alias})
        self.done.aliases += 1
        before = self.run(_ID, {"key": now}).scalar_one_or_none() if now is not None else None
        self.done.moved.append(NewAlias(alias.owner, alias.alias, id, before and f"sha256:{before}"))

    def write_events(self) -> None:
        rows = [row | self._stamp() | {"position": position} for position, row in enumerate(self.events)]
        self._rows(event, rows)

    def _emit(self, kind: str, subject: str, data: dict[str, Any]) -> None:
        self.events.append({"kind": kind, "subject": subject, "data": json.dumps(data, sort_keys=True)})

    def _stamp(self) -> dict[str, Any]:
        return {"actor": self.actor, "at": self.tx.at, "seq": self.tx.seq}

    def _rows(self, table: Any, rows: Sequence[dict[str, Any]]) -> None:
        if rows:
            self.run(insert(table), list(rows))


def _order_mark(order: Any, entry: Entry) -> EntryMark:
    return EntryMark(kind=ORDER, value=json.dumps(order), present=True, reason="", actor=entry.actor, at=entry.at)


def _mentioned(entry: Entry) -> Iterator[str]:
    yield entry.id
    yield from (parent for _, parent in entry.edges)
    yield from (each.subject for each in entry.metrics)
    for member in entry.members:
        yield member.formula
        yield member.batch


def _may_both(wanted: EntryClaim, others: Sequence[str]) -> bool:
    """A release and the prereleases of it may be the same content; an epoch, or two releases, never."""
    if wanted.owner.startswith("batch:"):
        return False
    version, found = Version.parse(wanted.number), [Version.parse(number) for number in others]
    return all(each.core == version.core for each in found)


def _numbered(wanted: EntryClaim) -> Numbered:
    if wanted.owner.startswith("batch:"):
        return Numbered(wanted.number, int(wanted.number))
    version = Version.parse(wanted.number)
    return Numbered(wanted.number, version.major, version.minor, version.patch, prerelease_text(version))


def _taken(found: Sequence[Conflict]) -> VersionTaken:
    shown = "; ".join(f'"{each.what}" is {each.ours} here, {each.theirs} there' for each in found[:SHOWN])
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return VersionTaken(
        f"the bundle and this catalog gave the same numbers to different content: {shown}{more}",
        hint='keep="ours" (--keep ours) imports the rest, and what is in conflict by its id only',
        refs=[each.theirs for each in found],
    )


def _chunks(items: Iterable[Any], size: int = CHUNK) -> Iterator[list[Any]]:
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk
