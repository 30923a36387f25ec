"""What a written rule lets go: all but the newest of each line, and what is younger than it says (SEMANTICS 31)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from sqlalchemy import Connection, exists, select

from jeyn.stores.catalog.closure import chunks
from jeyn.stores.catalog.tables import artefact, claim, operation, operation_artefact, run

# kind -> the beginning of the owners whose numbers such artefacts have
LINES = {"batch": "batch:", "checkpoint": "checkpoint:"}


@dataclass(frozen=True)
class Rule:
    """Keep the `last` so many, and what came `since` (µs); what neither keeps may go. At least one of them is given.

    `kind` is "batch" (the line is a formula version), "checkpoint" (a use case), "quarantined" (a formula's batches
    that failed their checks) or "value" (what the runs of a pipeline made). A rule with a `name` goes before one of
    the same kind without.
    """

    kind: str
    name: str = ""
    last: int | None = None
    since: int | None = None

    def __str__(self) -> str:
        said = [f"not among the last {self.last}"] if self.last is not None else []
        said += ["older than the rule keeps"] if self.since is not None else []
        return f"{' and '.join(said)} (retention of {self.kind}{f':{self.name}' if self.name else ''})"

    def keeps(self, place: int, at: int) -> bool:
        """Whether it keeps the one at this place, newest first, that came at this time."""
        return (self.last is not None and place < self.last) or (self.since is not None and at >= self.since)


def expired(connection: Connection, rules: Sequence[Rule], before: int) -> tuple[set[int], dict[int, str]]:
    """(keys that must stay with all they came from, keys that may go, each with the reason)."""
    stay: set[int] = set()
    go: dict[int, str] = {}
    for kind in ("batch", "checkpoint", "quarantined"):
        own = {rule.name: rule for rule in rules if rule.kind == kind}
        for name, line in _lines(connection, kind) if own else ():
            rule = own.get(name) or own.get("")
            go |= {key: str(rule) for place, (key, at) in enumerate(line) if rule and not rule.keeps(place, at)}
    for rule in rules:
        if rule.kind == "value":
            kept, old = _values(connection, rule, before)
            stay |= kept
            go |= dict.fromkeys(old - kept, str(rule))
    return stay | _newest_unions(connection), go


def _lines(connection: Connection, kind: str) -> Iterator[tuple[str, list[tuple[int, int]]]]:
    """(name, (key, time saved) of each, newest first) for each line of numbers."""
    if kind == "quarantined":
        rows = connection.execute(
            select(artefact.c.name, artefact.c.name, artefact.c.key, artefact.c.at)
            .where(artefact.c.quarantined, ~exists().where(claim.c.artefact == artefact.c.key))
            .order_by(artefact.c.name, artefact.c.key.desc())
        )
    else:
        rows = connection.execute(
            select(claim.c.owner, artefact.c.name, artefact.c.key, artefact.c.at)
            .join(artefact, artefact.c.key == claim.c.artefact)
            .where(claim.c.owner.startswith(LINES[kind]))
            .order_by(claim.c.owner, claim.c.seq.desc(), claim.c.major.desc())
        )
    for _, line in groupby(rows, key=lambda row: row[0]):
        found = list(line)
        yield str(found[0][1]), list(dict.fromkeys((key, at) for _, _, key, at in found))


def _newest_unions(connection: Connection) -> set[int]:
    """The latest batch of each composite formula, which consists of its parts."""
    rows = connection.execute(
        select(claim.c.owner, artefact.c.key)
        .join(artefact, artefact.c.key == claim.c.artefact)
        .where(claim.c.owner.startswith("batch:"), artefact.c.document.contains('"kind":"union"'))
        .order_by(claim.c.owner, claim.c.major)
    )
    return {key for _, key in {owner: (owner, key) for owner, key in rows}.values()}


def _values(connection: Connection, rule: Rule, before: int) -> tuple[set[int], set[int]]:
    """What the kept runs made or were given, and the values that others made."""
    runs = connection.execute(
        select(run.c.key, run.c.pipeline, run.c.at, run.c.ended).order_by(run.c.pipeline, run.c.key.desc())
    )
    kept: set[int] = set()
    for _, line in groupby(runs, key=lambda row: row.pipeline):
        kept |= {
            each.key
            for place, each in enumerate(line)
            if each.ended is None or each.at >= before or rule.keeps(place, each.at)
        }
    return _touched(connection, kept), _made(connection, kept)


def _touched(connection: Connection, runs: set[int]) -> set[int]:
    """What operations of these runs made or were given, also where the outputs are those of an earlier run."""
    found: set[int] = set()
    pending: set[int] = set()
    for chunk in chunks(sorted(runs)):
        pending |= set(connection.execute(select(operation.c.key).where(operation.c.run.in_(chunk))).scalars())
    seen: set[int] = set()
    while pending:
        seen |= pending
        origins: set[int] = set()
        for chunk in chunks(sorted(pending)):
            ends = select(operation_artefact.c.artefact).where(operation_artefact.c.operation.in_(chunk))
            found |= set(connection.execute(ends).scalars())
            from_others = select(operation.c.origin).where(operation.c.key.in_(chunk), operation.c.origin.is_not(None))
            origins |= set(connection.execute(from_others).scalars())
        pending = origins - seen
    return found


def _made(connection: Connection, but: set[int]) -> set[int]:
    """The values that operations of all other runs gave."""
    rows = connection.execute(
        select(operation_artefact.c.artefact, operation.c.run)
        .join(operation, operation.c.key == operation_artefact.c.operation)
        .join(artefact, artefact.c.key == operation_artefact.c.artefact)
        .where(operation_artefact.c.direction == "out", artefact.c.type == "value")
    )
    return {key for key, of in rows if of not in but}
