"""An attempt: a workspace whose saves are staged and written by one commit at its end (SEMANTICS 9).

Payloads go up at once, under leases. Everything else waits in memory, where only this attempt reads it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from jeyn.errors import Busy, Unsaved, UsageError
from jeyn.sdk.canonical import parse
from jeyn.sdk.version import Version
from jeyn.stores.binding import unsaved_row
from jeyn.stores.catalog.changes import AliasMove, Change, Claim, EpochClaim, Fence, Mark, NewArtefact, Outcome
from jeyn.stores.catalog.commit import MembersTaken, PayloadsCondemned, commit, facts_text
from jeyn.stores.catalog.reader import ArtefactRow, Claimed, Marked, Moved, Reader
from jeyn.stores.workspace import SHARED, Workspace

if TYPE_CHECKING:
    from jeyn.sdk.artefact import Artefact
    from jeyn.stores.lineage import Impact, Lineage

PENDING = 2**62  # the order of what is not committed yet: after everything that is


class Attempt(Workspace):
    """One attempt of an operation. `commit` takes Jeyn's own word for a transaction; here it stages.

    `operation` and `attempt` are row keys of the provenance tables; with them the final commit is fenced, so that
    only one attempt of an operation ever commits.
    """

    is_attempt = True

    def __init__(self, outside: Workspace, operation: int | None = None, attempt: int | None = None) -> None:
        super().__init__(outside.settings)
        outside._open_shared()
        for name in (*SHARED, "data_root"):
            if name in outside.__dict__:
                self.__dict__[name] = outside.__dict__[name]
        self._outside = outside
        self.fence = (operation, attempt)
        self.staged = Staged(Reader(outside.database))
        self.__dict__["reader"] = StagedReader(self.staged)

    @property
    def outside(self) -> Workspace:
        return self._outside

    def commit(self, changes: Sequence[Change]) -> list[Outcome]:
        return [outcome for change in changes if (outcome := self.staged.add(change, self.settings.actor)) is not None]

    def finish(self, outputs: Sequence[tuple[str, int, str]] = ()) -> list[Outcome]:
        """Write all that was staged in one transaction; `outputs` are (name, position, id).

        Raises `AttemptLost` when another attempt of the operation was first; nothing is written then.
        """
        if not self.still_kept():
            raise Busy("a sweep took bytes of this attempt while it worked", hint="run it again; renew leases in time")
        changes = list(self.staged.changes)
        operation, attempt = self.fence
        if operation is not None and attempt is not None:
            changes.append(Fence(operation, attempt, tuple(outputs)))
        elif outputs:
            raise UsageError("outputs belong to an operation", hint="give the attempt its operation's key")
        try:
            done = commit(self.database, changes, self.settings.actor)
        except MembersTaken as exc:
            raise Busy("another run took the new data of this batch first", hint="run it again") from exc
        except PayloadsCondemned as exc:
            raise Busy("a sweep took the bytes of this attempt", hint="run it again") from exc
        self.discard()
        return done

    def unclaimed_ancestors(self, ids: Sequence[str]) -> list[Change]:
        return self.staged.ancestors(ids)

    def discard(self) -> None:
        """Forget what was staged and let go of its payloads."""
        self.staged.clear()
        self.leases.release()

    def upstream(self, ref: str | Artefact, depth: int | None = None, types: Sequence[str] = ()) -> Lineage:
        return super().upstream(self._committed(ref), depth, types)

    def downstream(self, ref: str | Artefact, depth: int | None = None, types: Sequence[str] = ()) -> Lineage:
        return super().downstream(self._committed(ref), depth, types)

    def impact(self, ref: str | Artefact, new_catalog: Any = None) -> Impact:
        return super().impact(self._committed(ref), new_catalog)

    def _committed(self, ref: str | Artefact) -> str:
        """Lineage and impact are read from the catalog, where what is staged is not yet."""
        row = self.row(ref)
        if row.key < 0:
            raise Unsaved(
                f'"{row.name}" is staged, so it has no lineage yet',
                hint="ask when the operation has committed, or ask what it was made from",
                refs=[row.id],
            )
        return row.id

    def _writer(self) -> Workspace:
        return self

    def _end_save(self) -> None:
        """Leases last until the attempt ends."""


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
            facts = parse(facts_text(new.facts))
            known = self.rows[id] = unsaved_row(new.record, facts, actor, -1 - len(self.rows), now)
        is_new = known.key < 0
        if new.claim and is_new and not any(c.id == id for c in self.claims.get(new.claim.owner, [])):
            self.claims.setdefault(new.claim.owner, []).append(Claimed(self._number(new.claim), id))
        self.members.setdefault(new.formula, {}).update((member, batch or id) for member, batch in new.members)
        return Outcome(
            id, None if is_new else self._committed_number(known), known.at, actor, is_new, known.facts, False
        )

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

    def claims(self, owner: str, *, buried: bool = False) -> list[Claimed]:
        return super().claims(owner, buried=buried) + self.staged.claims.get(owner, [])

    def highest(self, owner: str) -> Claimed | None:
        own = [claimed for claimed in self.staged.claims.get(owner, []) if "-" not in claimed.number]
        last = super().highest(owner)
        found = own + ([last] if last else [])
        return max(found, key=lambda claimed: _order(claimed.number), default=None)

    def claimed(self, owner: str, number: str) -> str | None:
        own = (claimed.id for claimed in self.staged.claims.get(owner, []) if claimed.number == number)
        return next(own, None) or super().claimed(owner, number)

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
