"""What an attempt has saved and nobody else sees: staged rows, and the catalog read with them laid over it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from jeyn.sdk.canonical import parse_facts
from jeyn.sdk.version import Version
from jeyn.stores.binding import unsaved_row
from jeyn.stores.catalog.changes import (
    LEVELS,
    AliasMove,
    Change,
    Claim,
    EpochClaim,
    Holds,
    Mark,
    NewArtefact,
    Outcome,
    grown,
)
from jeyn.stores.catalog.commit import facts_text
from jeyn.stores.catalog.reader import ArtefactRow, Claimed, Marked, Moved, Reader, owner_of
from jeyn.stores.catalog.superseded import SUPERSEDED, Held, consequences

PENDING = 2**62  # the order of what is not committed yet: after everything that is


class Staged:
    """What an attempt has saved so far, and how it reads."""

    def __init__(self, committed: Reader) -> None:
        self.committed = committed
        self.clear()

    def clear(self) -> None:
        self.changes: list[Change] = []
        self.rows: dict[str, ArtefactRow] = {}
        self.claims: dict[str, list[Claimed]] = {}
        self.moves: list[tuple[str, Moved]] = []
        self.marks: dict[str, list[Marked]] = {}
        self.members: dict[str, dict[str, str]] = {}
        self.relied: dict[str, Any] = {}

    def relying(self) -> list[Change]:
        """The changes, with the categories of staged batches that were read here."""
        return [
            replace(change, relied=self.relied[change.record.id])
            if isinstance(change, NewArtefact) and change.record.id in self.relied
            else change
            for change in self.changes
        ]

    def ancestors(self, ids: Sequence[str]) -> list[Change]:
        """The staged artefacts that these come from, parents first, without their claims."""
        wanted = set(ids)
        found: list[Change] = []
        for change in reversed(self.changes):
            if isinstance(change, NewArtefact) and change.record.id in wanted:
                wanted.update(edge.parent for edge in (*change.record.parents, *change.edges))
                found.append(replace(change, claim=None, members=()))
        return found[::-1]

    def add(self, change: Change, actor: str) -> Outcome | None:
        now = time.time_ns() // 1000
        match change:
            case NewArtefact():
                return self._add_artefact(change, actor, now)
            case AliasMove():
                moved = Moved(change.alias, change.target, change.verb, change.reason, actor, now, PENDING)
                self.moves.append((change.owner, moved))
            case Mark():
                marked = Marked(change.kind, change.value, change.present, change.reason, actor, now, PENDING)
                self.marks.setdefault(change.artefact, []).append(marked)
        self.changes.append(change)
        return None

    def _add_artefact(self, new: NewArtefact, actor: str, now: int) -> Outcome:
        id = new.record.id
        known = self.rows.get(id) or self.committed.row(id)
        if id not in self.rows:
            self.changes.append(new)
        if known is None:
            facts = parse_facts(facts_text({**new.facts, **self._levels(new)}))
            known = self.rows[id] = unsaved_row(new.record, facts, actor, -1 - len(self.rows), now)
        is_new = known.key < 0
        if new.claim and is_new and not any(c.id == id for c in self.claims.get(new.claim.owner, [])):
            self.claims.setdefault(new.claim.owner, []).append(Claimed(self._number(new.claim), id))
        self.members.setdefault(new.formula, {}).update((member, batch or id) for member, batch in new.members)
        return Outcome(
            id, None if is_new else self._committed_number(known), known.at, actor, is_new, known.facts, False
        )

    def _levels(self, new: NewArtefact) -> dict[str, Any]:
        """The categories that the batch would have now, for this attempt's own reads; the commit settles them."""
        if not new.levels or not isinstance(new.claim, EpochClaim):
            return {}
        reader = StagedReader(self)
        last = reader.highest(new.claim.owner)
        row = reader.row(last.id) if last else None
        return {LEVELS: grown(row.facts.get(LEVELS, {}) if row else {}, new.levels)}

    def _committed_number(self, row: ArtefactRow) -> str | None:
        numbers = self.committed.numbers(row.key)
        return numbers[-1] if numbers else None

    def _number(self, claim: Claim) -> str:
        """The number that it would get now, for this attempt's own reads; the commit settles it."""
        reader = StagedReader(self)
        last = reader.highest(claim.owner)
        if isinstance(claim, EpochClaim):
            return str(int(last.number) + 1 if last else 1)
        if claim.exact is not None:
            return str(claim.exact)
        base = claim.base or Version.parse(last.number if last else "0.0.0")
        return str(base.bump(claim.level))  # type: ignore[arg-type]


class StagedReader(Reader):
    """The catalog as one attempt sees it: what is committed, and over it what the attempt has staged."""

    def __init__(self, staged: Staged) -> None:
        super().__init__(staged.committed.database)
        self.staged = staged

    def row(self, id: str) -> ArtefactRow | None:
        return self.staged.rows.get(id) or super().row(id)

    def rows(self, keys: Sequence[int]) -> list[ArtefactRow]:
        own = {row.key: row for row in self.staged.rows.values()}
        found = own | {row.key: row for row in super().rows([key for key in keys if key >= 0])}
        return [found[key] for key in keys if key in found]

    def ids_from(self, prefix: str, limit: int = 10) -> list[str]:
        own = [id for id in self.staged.rows if id[7:].startswith(prefix)]
        return (own + super().ids_from(prefix, limit))[:limit]

    def claims(self, owner: str) -> list[Claimed]:
        return super().claims(owner) + self.staged.claims.get(owner, [])

    def highest(self, owner: str) -> Claimed | None:
        own = [claimed for claimed in self.staged.claims.get(owner, []) if "-" not in claimed.number]
        last = super().highest(owner)
        found = own + ([last] if last else [])
        return max(found, key=lambda claimed: _order(claimed.number), default=None)

    def claimed(self, owner: str, number: str) -> str | None:
        own = (claimed.id for claimed in self.staged.claims.get(owner, []) if claimed.number == number)
        return next(own, None) or super().claimed(owner, number)

    def held(self, formula: str) -> list[Held]:
        epochs = {claimed.id: int(claimed.number) for claimed in self.staged.claims.get(owner_of("batch", formula), [])}
        own = [
            Held(id, epoch, payload.name, payload.digest[7:])
            for id, epoch in epochs.items()
            for payload in self.staged.rows[id].record.payloads
        ]
        return super().held(formula) + own

    def superseded(self, formula: str) -> set[str]:
        found = super().superseded(formula)
        for change in self.staged.changes:
            if isinstance(change, Holds) and change.formula == formula:
                marks = [each for each in consequences(self.held(formula), change) if each.kind == SUPERSEDED]
                found |= {each.artefact for each in marks if each.present}
                found -= {each.artefact for each in marks if not each.present}
        return found

    def numbers(self, key: int) -> list[str]:
        return [] if key < 0 else super().numbers(key)

    def alias_history(
        self, owner: str, alias: str | None = None, as_of: int | None = None, limit: int | None = None
    ) -> list[Moved]:
        own = [m for whose, m in reversed(self.staged.moves) if whose == owner and alias in (None, m.alias)]
        found = ([] if as_of is not None else own) + super().alias_history(owner, alias, as_of, limit)
        return found[:limit] if limit else found

    def marks(self, id: str) -> list[Marked]:
        return super().marks(id) + self.staged.marks.get(id, [])

    def members(self, formula: str) -> dict[str, str]:
        return super().members(formula) | self.staged.members.get(formula, {})


def _order(number: str) -> Any:
    return (int(number),) if number.isdigit() else Version.parse(number)
