"""`fsck`: checks every stored byte and every row against what they say they are, and mends what can be mended."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jeyn.errors import Corrupt, JeynError, PayloadMissing, Unreachable
from jeyn.sdk.artefact import PayloadRef, Record, id_of_document
from jeyn.sdk.canonical import parse
from jeyn.sdk.relationship import RelationshipType
from jeyn.stores.access import make_folder, writing
from jeyn.stores.care import rows
from jeyn.stores.care.findings import KEPT, KINDS, Fault, Findings
from jeyn.stores.care.gc import CHUNK, Place, Take, places
from jeyn.stores.catalog import health, sweep, tombstones
from jeyn.stores.catalog.changes import Mark
from jeyn.stores.catalog.clock_repair import find_future, shift_future
from jeyn.stores.catalog.commit import commit
from jeyn.stores.catalog.health import Stored
from jeyn.stores.catalog.leases import Leases
from jeyn.stores.catalog.small import SmallPayloads
from jeyn.stores.catalog.tombstones import Damaged
from jeyn.stores.payloads import PayloadStore, open_payloads
from jeyn.stores.payloads.failures import os_errors
from jeyn.stores.payloads.layered import LayeredPayloads
from jeyn.stores.restore import bring_back
from jeyn.stores.vouched import distrust

if TYPE_CHECKING:
    from jeyn.stores.workspace import Workspace

__all__ = ["KEPT", "KINDS", "Fault", "Findings", "check"]

# More payloads than this are not given up at once: it is rather the wrong store, or a disk that is not there.
FEW = 10
STEP = 1 << 20


def check(
    workspace: Workspace, *, repair: bool = False, sources: Sequence[str] = (), give_up: bool = False
) -> Findings:
    """Read everything once and say what is wrong; memory stays bounded.

    `repair=True` brings lost bytes back from the data root and from the payload stores `sources` (urls), removes
    orphaned payloads, sets corrupt ones aside below `corrupt` in the home, gives up as lost what no source has, so that
    saving or finding it again restores it, and puts back rows and triggers that documents or the schema prove. More
    than ten payloads are given up only with `give_up=True`. Other faults say what to do. Raises `Invalid` where the
    payload store is not the catalog's own.
    """
    with _tolerant(workspace) as reading:
        return _Check(reading, repair, tuple(open_payloads(url) for url in sources), give_up).run()


@contextmanager
def _tolerant(workspace: Workspace) -> Iterator[Workspace]:
    """The same workspace, reading whatever stands in its catalog."""
    if workspace.database.tolerant:
        yield workspace
        return
    twin = workspace.at(workspace.settings)
    twin.tolerant = True
    del twin.__dict__["database"]
    twin.__dict__["payloads"] = LayeredPayloads(
        SmallPayloads(twin.database), workspace.payloads.files, workspace.settings.actor
    )
    try:
        yield twin
    finally:
        twin.close()


_Mend = Callable[[str, list[str]], str]
GIVEN_UP = "given up as lost"


@dataclass(frozen=True)
class _Doomed:
    """A payload that is missing or corrupt: whose it is, and what gives it up, which says how that went."""

    kind: str
    digest: str
    problem: str
    ids: list[str]
    mend: _Mend

    @property
    def subject(self) -> str:
        return f"sha256:{self.digest}"


class _Check:
    def __init__(self, workspace: Workspace, repair: bool, others: tuple[PayloadStore, ...], give_up: bool) -> None:
        self.workspace = workspace
        self.database = workspace.database
        self.payloads = workspace.payloads
        self.places = places(workspace)
        self.repair = repair
        self.others = others
        self.give_up = give_up
        self.doomed: list[_Doomed] = []
        self.bad: list[tuple[str, Damaged]] = []
        self.ids: dict[int, str] = {}  # of the artefacts whose rows are bad, by key
        self.suspects: set[str] = set()
        self.in_a_row = 0  # payloads that could not be read, with none between them that could
        self.found = Findings()

    def run(self) -> Findings:
        self.clock()
        # What another store lacks is not lost, and what it has besides is somebody's.
        if self.repair:
            self.payloads.settle()
        else:
            self.payloads.check()
        # Rows first: a payload whose row was lost must not pass for an orphan.
        self.triggers()
        self.condemnations()
        for stored in health.artefacts(self.database):
            self.found.artefacts += 1
            self.artefact(stored)
        self.damage()
        for lost in health.dangling(self.database):
            self.found.add(lost.kind, f"{lost.table}: {lost.row}", "points to an artefact that is not there")
        self.suspects = self.payloads.small.suspects()
        for digest in health.digests(self.database):
            self.found.payloads += 1
            self.payload(digest)
        self.give_up_the_doomed()
        self.look_for_the_lost()
        self.orphans()
        return self.found

    def triggers(self) -> None:
        lost = health.triggers(self.database)
        if lost and self.repair:
            health.restore_triggers(self.database)
        for name in lost:
            self.found.add("lost_trigger", name, "history is not protected from changes", self.repair)

    def clock(self) -> None:
        found = find_future(self.database)
        if found and self.repair:
            found = shift_future(self.database, self.workspace.settings.actor)
        if found:
            self.found.add("wrong_time", "catalog", str(found), "moved back, the newest to now" if self.repair else "")

    def condemnations(self) -> None:
        for each in health.condemnations(self.database, end=self.repair):
            self.found.add("stale_condemnation", f"sha256:{each.digest}", f"{each.holder} ended before it", self.repair)

    # Rows that cannot be read.

    def damage(self) -> None:
        """Name each, and with `repair` put a tombstone on those that have none; the rows stay as they are."""
        known_bad = {(each.table, each.row) for _, each in self.bad}
        for each in rows.damaged(self.workspace):
            if (each.table, each.row) not in known_bad:
                known_bad.add((each.table, each.row))
                self.bad.append(("damaged", each))
        with self.database.read() as connection:
            known = {table: tombstones.buried(connection, table) for table in {each.table for _, each in self.bad}}
        left = [(kind, each) for kind, each in self.bad if _as_kept(each) not in known[each.table]]
        self.found.buried = len(self.bad) - len(left)
        refused = len(left) > FEW and not self.give_up
        buries = self.repair and bool(left) and not refused
        if buries:
            tombstones.bury(self.database, [each for _, each in left], self.workspace.settings.actor)
        hint = (
            f"{len(left)} rows at once are not buried: restore the catalog from a copy, if there is one. "
            "If they are lost indeed: jeyn fsck --repair --give-up --yes"
        )
        for kind, each in left:
            told = hint if self.repair and refused else ""
            self.found.add(kind, rows.subject(each, self.ids), each.reason, "buried" if buries else "", told)

    # Documents, edges and payload rows.

    def artefact(self, stored: Stored) -> None:
        try:
            record = Record.from_document(stored.document)
            kinds = [(str(kind), str(parent)) for kind, parent in parse(stored.document)["parents"]]
        except (JeynError, KeyError, TypeError, ValueError, AttributeError):
            record = None
        if record is None or id_of_document(stored.document.encode()) != stored.id:
            why = f'the document of "{stored.name}" does not have this id'
            self.bad.append(("wrong_id", Damaged("artefact", (stored.key,), why)))
            self.ids[stored.key] = stored.id
            return
        if (record.type, record.schema, record.name) != (stored.type, stored.schema, stored.name):
            said = f"{record.schema} {record.name}"
            self.found.add("wrong_row", stored.id, f'its row says "{stored.schema} {stored.name}", not "{said}"')
        self.edges(stored, kinds)
        self.rows(stored, record)

    def edges(self, stored: Stored, parents: list[tuple[str, str]]) -> None:
        lost = [(kind, parent) for kind, parent in parents if not _has_edge(stored, kind, parent)]
        keys = health.existing(self.database, [parent for _, parent in lost]) if lost else {}
        for kind, parent in lost:
            if parent not in keys:
                self.found.add("lost_parent", stored.id, f"its {kind} parent {parent} is not in the catalog")
                continue
            known = RelationshipType.__members__.get(kind)
            if self.repair and known is not None:
                health.add_edge(self.database, stored.key, keys[parent], int(known))
            mended = self.repair and known is not None
            self.found.add("lost_edge", stored.id, f"the edge {kind} from {parent} is not there", mended)

    def rows(self, stored: Stored, record: Record) -> None:
        there = {payload.name: payload for payload in stored.payloads}
        for payload in record.payloads:
            found = there.pop(payload.name, None)
            if found is None:
                if self.repair:
                    health.add_payload(self.database, stored.key, payload, self._is_external(stored, payload))
                problem = f'the row of its payload "{payload.name}" is not there'
                self.found.add("lost_payload_row", stored.id, problem, self.repair)
            elif found != payload:
                problem = f'the row of its payload "{payload.name}" says {found.digest}, not {payload.digest}'
                self.found.add("wrong_payload_row", stored.id, problem)
        for name in there:
            self.found.add("wrong_payload_row", stored.id, f'its document knows no payload "{name}"')

    def _is_external(self, stored: Stored, payload: PayloadRef) -> bool:
        row = self.workspace.reader.row(stored.id)
        referenced = row.facts.get("referenced", {}) if row else {}
        return payload.digest in referenced and not self.payloads.exists(payload.digest[7:])

    # Payloads.

    def payload(self, digest: str) -> None:
        found: dict[tuple[Place, Take], bool] = {}
        unread = ""
        for where in self.places:
            try:
                if (sound := _is_sound(where[0], digest)) is not None:
                    found[where] = sound
            except JeynError as exc:
                unread = self.unread(exc)
        if unread:
            self.distrust(digest)
            self.found.add("unreadable", f"sha256:{digest}", unread)
        elif not found:
            self.doom("missing", digest, f"is not in {self.payloads.url}", self.bury)
        mend = self.drop if any(found.values()) else self.set_aside
        for where, sound in found.items():
            if not sound:
                self.distrust(digest)
                self.doom("corrupt", digest, "does not have its digest any more", partial(mend, *where))
        if digest in self.suspects and found and all(found.values()) and not unread:
            self.payloads.small.trust(digest)

    def unread(self, exc: JeynError) -> str:
        """What kept one payload from being read; a store that answers nothing at all is no fault of its payloads."""
        self.in_a_row = self.in_a_row + 1 if isinstance(exc, Unreachable) else 0
        if self.in_a_row >= FEW:
            raise exc
        return exc.message

    def distrust(self, digest: str) -> None:
        """From now on saving it again compares the bytes, and no earlier check counts."""
        distrust(self.workspace, digest)
        with suppress(JeynError):  # a catalog that cannot be written is checked all the same
            self.payloads.small.suspect(digest)

    def doom(self, kind: str, digest: str, problem: str, mend: _Mend) -> None:
        """Note what is to be given up, when it is known how much that would be."""
        ids = health.holders(self.database, digest)
        # A sweep may have buried its artefacts since they were listed.
        if ids:
            whose = ", ".join(ids[:5]) + (f" and {len(ids) - 5} more" if len(ids) > 5 else "")
            self.doomed.append(_Doomed(kind, digest, f"{problem}; it belongs to {whose}", ids, mend))

    def give_up_the_doomed(self) -> None:
        left = []
        for each in self.doomed:
            if self.repair and each.kind == "missing" and self.bring_back(each):
                self.found.add(each.kind, each.subject, each.problem, "brought back from its source")
            else:
                left.append(each)
        refused = len(left) > FEW and not self.give_up
        hint = (
            f"{len(left)} payloads at once are not given up: is this the right store, and its disk there? "
            "If they are lost indeed: jeyn fsck --repair --give-up --yes"
        )
        for each in left:
            how = each.mend(each.digest, each.ids) if self.repair and not refused else ""
            self.found.add(each.kind, each.subject, each.problem, how, hint if self.repair and refused else "")

    def bring_back(self, lost: _Doomed) -> bool:
        return any(self.bring_back_of(id) for id in lost.ids)

    def bring_back_of(self, id: str) -> bool:
        """Put back what an artefact lacks; what cannot even be bound has no source."""
        try:
            return bring_back(self.workspace, self.workspace.bound(id), others=self.others)
        except (JeynError, LookupError, TypeError, ValueError, AttributeError):
            return False

    def look_for_the_lost(self) -> None:
        """What was given up as lost may be there again, where it was or in a source."""
        for id, digests in sweep.lost(self.database).items():
            if not all(any(_is_found(place, digest) for place, _ in self.places) for digest in digests):
                if not (self.repair and self.bring_back_of(id)):
                    continue
                how = "brought back from its source"
            else:
                how = "found again"
                if self.repair:
                    self.find_again(id, digests)
            self.found.add("found", id, "was given up as lost, and its bytes are there", how if self.repair else "")

    def find_again(self, id: str, digests: list[str]) -> None:
        leases = Leases(self.database)
        leases.take(digests)
        try:
            if all(self.payloads.exists(digest) for digest in digests):
                self._mark([id], False, "its bytes were found again")
        finally:
            leases.release()

    def bury(self, digest: str, ids: list[str]) -> str:
        """Mark the artefacts as lost, unless somebody has just put the bytes back."""
        leases = Leases(self.database)
        leases.take([digest])
        try:
            if not self.payloads.exists(digest):
                self._mark(ids, True, f"{sweep.LOST}its bytes were missing")
                if self.payloads.exists(digest):
                    self._mark(ids, False, "its bytes are back")
        finally:
            leases.release()
        return GIVEN_UP

    def set_aside(self, place: Place, take: Take, digest: str, ids: list[str]) -> str:
        """Keep the wrong bytes as evidence and make room for right ones, from a source that has them where one does."""
        self._keep_evidence(place, digest)
        self._mark(ids, True, f"{sweep.LOST}its bytes were corrupt")
        if digest not in take([digest]):
            return ""
        backs = [self.bring_back_of(id) for id in ids]
        return "brought back from its source" if all(backs) else GIVEN_UP

    def drop(self, place: Place, take: Take, digest: str, ids: list[str]) -> str:
        """Keep the wrong bytes as evidence; nothing is lost, for the right ones are in the other place."""
        self._keep_evidence(place, digest)
        place.delete(digest)
        return "repaired"

    def orphans(self) -> None:
        for where in self.places:
            self.orphans_in(*where)

    def orphans_in(self, place: Place, take: Take) -> None:
        stored = place.list()
        while chunk := list(islice(stored, CHUNK)):
            sizes = {payload.digest: payload.size for payload in chunk}
            wanted = sweep.wanted(self.database, list(sizes))
            strangers = [digest for digest in sizes if digest not in wanted.needed]
            # A delete between listing and asking makes a stranger of what was never one.
            strangers = [digest for digest in strangers if place.exists(digest)]
            gone = set(take(strangers)) if self.repair else set()
            for digest in strangers:
                problem = f"{sizes[digest]} bytes that no artefact needs"
                self.found.add("orphaned", f"sha256:{digest}", problem, digest in gone)

    def _mark(self, ids: list[str], present: bool, reason: str) -> None:
        event = sweep.BURIED if present else sweep.RESTORED
        marks = [Mark(id, "tombstone", present=present, reason=reason, event=event) for id in ids]
        commit(self.database, marks, self.workspace.settings.actor)

    def _keep_evidence(self, place: Place, digest: str) -> None:
        folder = self.workspace.settings.home / "corrupt"
        with os_errors(f"keep the corrupt payload '{digest}' in '{folder}'"):
            make_folder(folder)
            _write(folder / digest, _raw(place, digest))


def _as_kept(each: Damaged) -> tuple[Any, ...]:
    """A primary key as a tombstone keeps it."""
    return tuple(json.loads(tombstones.key_text(each.row)))


def _has_edge(stored: Stored, kind: str, parent: str) -> bool:
    known = RelationshipType.__members__.get(kind)
    # A kind that a newer Jeyn wrote has a number that this one does not know.
    return any(id == parent and (known is None or type == known) for type, id in stored.edges)


def _is_sound(place: Place, digest: str) -> bool | None:
    """Whether the bytes have their digest; None where there are none."""
    try:
        with place.open(digest):
            pass  # leaving the block has read and checked all of it
    except PayloadMissing:
        return None
    except Corrupt:
        return False
    return True


def _is_found(place: Place, digest: str) -> bool:
    try:
        return bool(_is_sound(place, digest))
    except JeynError:
        return False


def _raw(place: Place, digest: str) -> Iterator[bytes]:
    start = 0
    while part := place.read_range(digest, start, STEP):
        yield part
        start += len(part)


def _write(path: Path, parts: Iterator[bytes]) -> None:
    with writing(path) as file:
        for part in parts:
            file.write(part)
        file.flush()
        os.fsync(file.fileno())
