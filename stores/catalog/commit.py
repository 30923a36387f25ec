"""One write transaction: artefacts, edges, claims, aliases, marks and events, all or nothing (SEMANTICS 9 and 11)."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from sqlalchemy import bindparam, insert, select

from jeyn.errors import AliasMoved, Busy, Conflict, Invalid, NotFound, PayloadMissing
from jeyn.sdk.artefact import PayloadRef
from jeyn.sdk.canonical import canonical, parse_facts
from jeyn.sdk.relationship import RelationshipType
from jeyn.stores.catalog import bounds, claims, small
from jeyn.stores.catalog.changes import (
    LEVELS,
    ORDER,
    AliasMove,
    Change,
    EpochClaim,
    Fence,
    Holds,
    Mark,
    NewArtefact,
    Outcome,
    grown,
)
from jeyn.stores.catalog.database import Database, Transaction
from jeyn.stores.catalog.fence import close_operation
from jeyn.stores.catalog.patience import patient
from jeyn.stores.catalog.prepared import Prepared
from jeyn.stores.catalog.superseded import consequences, held
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


class MembersTaken(Exception):
    """Another process claimed one of a batch's files or its watermark first: list again (SEMANTICS 13)."""


class PayloadsCondemned(Exception):
    """A sweep condemned bytes between their upload and this commit: upload again (SEMANTICS 28)."""

    def __init__(self, digests: Sequence[str]) -> None:
        super().__init__(*digests)
        self.digests = tuple(digests)


class AttemptLost(Conflict):
    """Another attempt of the same operation committed first; this one's work is discarded."""


LOOK_UP_AT_ONCE = 200


@cache
def _keys_of(count: int) -> Prepared:
    ids: list[Any] = [bindparam(f"id{n}") for n in range(count)]
    return Prepared(select(artefact.c.id, artefact.c.key).where(artefact.c.id.in_(ids)))


_ONE_KEY = select(artefact.c.key).where(artefact.c.id == bindparam("id"))
_SAVED = select(artefact.c.at, artefact.c.actor, artefact.c.facts, artefact.c.quarantined).where(
    artefact.c.key == bindparam("key")
)


@cache
def _condemned_of(count: int) -> Prepared:
    digests: list[Any] = [bindparam(f"digest{n}") for n in range(count)]
    return Prepared(select(condemned.c.digest).where(condemned.c.digest.in_(digests)))


_LAST_FACTS = (
    select(artefact.c.facts)
    .join(claim, claim.c.artefact == artefact.c.key)
    .where(claim.c.owner == bindparam("owner"))
    .order_by(claim.c.major.desc())
    .limit(1)
)
_ALIAS = (
    select(alias_move.c.artefact)
    .where(alias_move.c.owner == bindparam("owner"), alias_move.c.alias == bindparam("alias"))
    .order_by(alias_move.c.key.desc())
    .limit(1)
)
_BURIED = (
    select(mark.c.present)
    .where(mark.c.artefact == bindparam("artefact"), mark.c.kind == "tombstone")
    .order_by(mark.c.key.desc())
    .limit(1)
)
_MARKS = (
    select(mark.c.value, mark.c.present)
    .where(mark.c.artefact == bindparam("artefact"), mark.c.kind == bindparam("kind"))
    .order_by(mark.c.key.desc())
)
_INSERT_ARTEFACT = Prepared(
    insert(artefact).returning(artefact.c.key), *(column.name for column in artefact.c if column.name != "key")
)
_INSERT_EDGE = Prepared(insert(edge), *edge.c.keys())
_INSERT_PAYLOAD = Prepared(insert(artefact_payload), *artefact_payload.c.keys())
_INSERT_METRIC = Prepared(insert(metric), *metric.c.keys())
_INSERT_EVENT = Prepared(insert(event), *event.c.keys())


@patient
def commit(database: Database, changes: Sequence[Change], actor: str) -> list[Outcome]:
    """Apply `changes` in order in one durable transaction; the outcomes are those of the artefacts, in order.

    Raises `NotFound` for a parent that does not exist, `Conflict` and `Incompatible` as the changes say.
    """
    if not changes:
        return []
    bounds.check_text("actor", actor, bounds.ACTOR, least=0)
    with database.write() as tx:
        writer = _Writer(tx, actor)
        outcomes = [outcome for change in changes if (outcome := writer.apply(change)) is not None]
        writer.write_events()
        if not writer.changes_anything:
            # Saving what is there already costs no durable commit and no tick of the clock.
            tx.roll_back()
    return outcomes


class _Writer:
    """The state of one transaction: row keys seen so far, and the events to write at its end."""

    def __init__(self, tx: Transaction, actor: str) -> None:
        self.tx = tx
        self.run = tx.connection.execute
        self.stamp: dict[str, Any] = {"actor": actor, "at": tx.at, "seq": tx.seq}
        self.keys: dict[str, int] = {}
        self.events: list[dict[str, Any]] = []
        self.fenced = False
        self.stored = False

    @property
    def changes_anything(self) -> bool:
        return bool(self.events) or self.fenced or self.stored

    def apply(self, change: Change) -> Outcome | None:
        match change:
            case NewArtefact():
                return self.save(change)
            case AliasMove():
                self.move(change)
            case Mark():
                self.mark(change)
            case Holds():
                for consequence in consequences(held(self.tx.connection, change.formula), change):
                    self.mark(consequence)
            case Fence():
                self.fence(change)
        return None

    def key(self, id: str) -> int:
        if id not in self.keys:
            found = self.run(_ONE_KEY, {"id": _hex(id)}).scalar_one_or_none()
            if found is None:
                raise NotFound(f'no artefact "{id}" in this catalog', hint="save it first, or import it", refs=[id])
            self.keys[id] = found
        return self.keys[id]

    def save(self, new: NewArtefact) -> Outcome:
        id = new.record.id
        edges = dict.fromkeys((*new.record.parents, *new.edges))
        self._look_up([id, *(e.parent for e in edges)])
        self._check_payloads(new)
        self._store_inline(new)
        if id in self.keys:
            return self._existing(new)
        missing = [e.parent for e in edges if e.parent not in self.keys]
        if missing:
            raise NotFound(f'the parent "{missing[0]}" does not exist', hint="save parents first", refs=missing)
        new = self._with_levels(new)
        key = self._insert(new)
        if edges:
            rows = [{"child": key, "parent": self.keys[e.parent], "type": int(e.type)} for e in edges]
            self.tx.cursor.run(_INSERT_EDGE, rows)
        self._insert_payloads(key, new)
        number = self._claim(key, new)
        self._insert_metrics(key, new)
        self._emit(new.event, id, {"name": new.record.name, "type": new.record.type, "number": number})
        return Outcome(id, number, self.tx.at, self.stamp["actor"], True, new.facts, new.quarantined)

    def _look_up(self, ids: Sequence[str]) -> None:
        unknown = [_hex(id) for id in ids if id not in self.keys]
        for start in range(0, len(unknown), LOOK_UP_AT_ONCE):
            some = unknown[start : start + LOOK_UP_AT_ONCE]
            named = {f"id{n}": id for n, id in enumerate(some)}
            for id, key in self.tx.cursor.all(_keys_of(len(some)), **named):
                self.keys[f"sha256:{id}"] = key

    def _check_payloads(self, new: NewArtefact) -> None:
        digests = [_hex(p.digest) for p in new.record.payloads if p.digest not in new.external]
        digests = [digest for digest in digests if digest not in new.inline]  # no sweep has those in hand
        for start in range(0, len(digests), LOOK_UP_AT_ONCE):
            some = digests[start : start + LOOK_UP_AT_ONCE]
            named = {f"digest{n}": digest for n, digest in enumerate(some)}
            found = self.tx.cursor.all(_condemned_of(len(some)), **named)
            if found:
                raise PayloadsCondemned([digest for (digest,) in found])

    def _store_inline(self, new: NewArtefact) -> None:
        """Also when the artefact is known already: what was swept or lost is there again."""
        if new.inline:
            for digest in new.inline.keys() & {_hex(payload.digest) for payload in new.record.payloads}:
                self.stored |= small.store(self.tx, digest, new.inline[digest])

    def _existing(self, new: NewArtefact) -> Outcome:
        key = self.keys[new.record.id]
        at, actor, facts, quarantined = self.run(_SAVED, {"key": key}).one()
        number = claims.number_of(self.tx, key, new.claim) if new.claim else None
        is_new = False
        if new.claim and not number:
            number, is_new = self._claim(key, new), True
            self._emit(new.event, new.record.id, {"name": new.record.name, "type": new.record.type, "number": number})
        if self.run(_BURIED, {"artefact": key}).scalar_one_or_none():
            self.mark(Mark(new.record.id, "tombstone", present=False, reason="saved again", event=_RESTORED))
        return Outcome(new.record.id, number, at, actor, is_new, parse_facts(facts), quarantined and not number)

    def _with_levels(self, new: NewArtefact) -> NewArtefact:
        """Here and not before, because here batches come one after the other."""
        if not new.levels or not isinstance(new.claim, EpochClaim):
            return new
        before = self.run(_LAST_FACTS, {"owner": new.claim.owner}).scalar_one_or_none()
        levels = grown(json.loads(before).get(LEVELS, {}) if before else {}, new.levels)
        if new.relied not in (None, levels):
            raise Busy(
                f'"{new.record.name}" has another new batch: categories that were read here have other codes',
                hint="run it again, or declare the levels of the feature",
            )
        return replace(new, facts={**new.facts, LEVELS: levels})

    def _insert(self, new: NewArtefact) -> int:
        record = new.record
        document = record.document.decode()
        bounds.check_document(document)
        ((key,),) = self.tx.cursor.all(
            _INSERT_ARTEFACT,
            id=_hex(record.id),
            type=record.type,
            schema=record.schema,
            name=record.name,
            document=document,
            facts=facts_text(new.facts),
            quarantined=new.quarantined,
            **self.stamp,
        )
        self.keys[record.id] = key
        return int(key)

    def _insert_payloads(self, key: int, new: NewArtefact) -> None:
        def row(payload: PayloadRef) -> dict[str, Any]:
            digest, external = _hex(payload.digest), payload.digest in new.external
            return {
                "artefact": key, "name": payload.name, "digest": digest, "size": payload.size, "external": external
            }  # fmt: skip

        if new.record.payloads:
            self.tx.cursor.run(_INSERT_PAYLOAD, [row(payload) for payload in new.record.payloads])

    def _claim(self, key: int, new: NewArtefact) -> str | None:
        if new.members:
            self._take_members(key, new)
        return claims.claim_next(self.tx, key, new.claim, new.record, self.stamp) if new.claim else None

    def _take_members(self, key: int, new: NewArtefact) -> None:
        formula = self.key(new.formula)
        names = [member for member, _ in new.members]
        taken = select(batch_member.c.member).where(
            batch_member.c.formula == formula, batch_member.c.member.in_(bindparam("names", expanding=True))
        )
        for start in range(0, len(names), 500):
            if self.run(taken, {"names": names[start : start + 500]}).first():
                raise MembersTaken
        rows = [
            {"formula": formula, "member": member, "batch": self.key(batch) if batch else key}
            for member, batch in new.members
        ]
        self.run(insert(batch_member), rows)

    def _insert_metrics(self, key: int, new: NewArtefact) -> None:
        if not new.metrics:
            return
        # An evaluation's metrics are kept with what it judged, where the newest is looked for.
        judged = [self.keys[e.parent] for e in new.record.parents if e.type is RelationshipType.evaluation_of]
        # NaN and the infinities compare with nothing, but hide what was measured before; the document has them.
        values = {name: comparable(value) for name, value in new.metrics.items()}
        self.tx.cursor.run(
            _INSERT_METRIC,
            [
                {"subject": subject, "name": name, "source": key, "value": value}
                for subject in judged or [key]
                for name, value in values.items()
            ],
        )

    def move(self, change: AliasMove) -> None:
        now = self.run(_ALIAS, {"owner": change.owner, "alias": change.alias}).scalar_one_or_none()
        target = self.key(change.target) if change.target else None
        if now == target:
            return
        if change.over is not None:
            expected = self.key(change.over) if change.over else None
            if now != expected:
                raise AliasMoved(
                    f'"{change.alias}" of {change.owner} has moved since it was compared with',
                    hint="compare again with what it points to now",
                    refs=[change.target] if change.target else [],
                )
        if target is not None and self.run(_BURIED, {"artefact": target}).scalar_one_or_none():
            raise PayloadMissing(
                f'"{change.target}" was swept, so "{change.alias}" of {change.owner} cannot point to it',
                hint="save the same content again, or import it; then move the alias",
                refs=[change.target] if change.target else [],
            )
        row = {"owner": change.owner, "alias": change.alias, "artefact": target, "verb": change.verb}
        self.run(insert(alias_move), row | {"reason": change.reason} | self.stamp)
        self._emit(change.event, change.target or change.owner, {"owner": change.owner, "alias": change.alias})

    def mark(self, change: Mark) -> None:
        if self._holds(change):
            return
        row = {"artefact": self.key(change.artefact), "kind": change.kind, "value": change.value}
        self.run(insert(mark), row | {"present": change.present, "reason": change.reason} | self.stamp)
        self._emit(
            change.event, change.artefact, {"kind": change.kind, "value": change.value, "present": change.present}
        )

    def _holds(self, change: Mark) -> bool:
        """Whether the mark is so already: another process may have set it since this change was made."""
        found = self.run(_MARKS, {"artefact": self.key(change.artefact), "kind": change.kind})
        if change.kind == ORDER:
            return found.first() is not None
        # An artefact has many tags, and one contract: the newest.
        same = (row for row in found if change.kind == "contract" or row.value == change.value)
        return next(same, None) == (change.value, change.present)

    def fence(self, change: Fence) -> None:
        self.fenced = True
        ids = [id for _, _, id in (*change.inputs, *change.outputs)]
        self._look_up(ids)
        closed = close_operation(self.tx, change, {id: self.key(id) for id in ids})
        if closed is None:
            raise AttemptLost("another attempt of this operation committed first", hint="its outputs stand")
        self._emit("jeyn.operation.finished", closed.run, {"operation": closed.name})

    def _emit(self, kind: str, subject: str, data: dict[str, Any]) -> None:
        self.events.append({"kind": kind, "subject": subject, "data": _as_json(data)})

    def write_events(self) -> None:
        if self.events:
            rows = [{**row, **self.stamp, "position": i} for i, row in enumerate(self.events)]
            self.tx.cursor.run(_INSERT_EVENT, rows)


def comparable(value: float | str) -> float | None:
    """A metric as the catalog keeps it for searching: NULL for what compares with nothing."""
    number = float(value)
    return number if math.isfinite(number) else None


def facts_text(facts: Mapping[str, Any]) -> str:
    """Facts as JSON that databases can query: NaN and the infinities, which JSON has not, are tagged."""
    try:
        text = _as_json(facts)
    except (ValueError, RecursionError):  # not finite, or deeper than the next one says
        return _as_json(json.loads(canonical(facts)))
    # A user's key that begins with "$" would be read as a tag.
    if '"$' in text:
        text = _as_json(json.loads(canonical(facts)))
    if text.count("{") + text.count("[") > bounds.DEEPEST:
        bounds.check_depth(facts)
    return text


_as_json = json.JSONEncoder(sort_keys=True, allow_nan=False).encode
_RESTORED = "jeyn.artefact.restored"


def _hex(id: str) -> str:
    if not id.startswith("sha256:"):
        raise Invalid(f'"{id}" is no artefact id', hint="ids look like sha256:<64 hex digits>")
    return id[7:]
