"""Putting times right that a clock far ahead gave: they are moved back together, and that is recorded.

Times stand beside ids, so that no id changes. The protecting triggers are off within this one transaction only.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Table, case, func, insert, select, text, update

from jeyn.errors import Invalid
from jeyn.stores.catalog.clock import DAY, Moment, doubt_by_kernel, refusal, told
from jeyn.stores.catalog.database import Database
from jeyn.stores.catalog.leases import HELD_SECONDS, LEASE_SECONDS
from jeyn.stores.catalog.patience import patient
from jeyn.stores.catalog.tables import APPEND_ONLY, clock, clock_reading, clock_shift, event, lease, metadata
from jeyn.stores.catalog.triggers import protect, trigger_names

_TIMES = ("at", "heartbeat", "started", "ended")
_NO_TIMES = {
    "catalog_clock",
    "clock_reading",
    "clock_shift",
    "condemned",
    "lease",
}  # of another kind, or set apart below


@dataclass(frozen=True)
class Future:
    """Commits that are dated in the future: how many, their places in the order, the first and last time (µs, UTC).

    `before` is the last commit that is not; 0 where there is none.
    """

    count: int
    first_seq: int
    last_seq: int
    first: int
    last: int
    before: int

    def __str__(self) -> str:
        return f"{self.count} commits, from {self.first_seq} on, are dated {told(self.first)} to {told(self.last)}"


@patient
def find_future(database: Database) -> Future | None:
    """What is dated more than a day from now."""
    with database.read() as connection:
        return _find(connection, Moment.now().at)


@patient
def shift_future(database: Database, actor: str) -> Future | None:
    """Move it back, the newest commit to now, none before the last one that is right. Raises `Invalid` where it is
    rather this machine's clock that lies."""
    now = Moment.now()
    problem = doubt_by_kernel(now)
    if problem and not database.clock.is_right:
        raise refusal(now.at, problem)
    with database.exclusive() as connection:
        found = _find(connection, now.at)
        if found is None:
            return None
        if not found.before and not database.clock.is_right:
            raise Invalid(
                f'every commit is later than "{told(now.at)}", which is what this machine\'s clock says',
                hint="set the clock; if it is right: jeyn --clock-is-right fsck --repair --yes",
            )
        shift = found.last - now.at
        _lift(connection, database.dialect)
        for table in metadata.sorted_tables:
            if table.name not in _NO_TIMES:
                _move(connection, table, now.at, shift, found.before)
        _protect(connection, database.dialect)
        bound = now.at + LEASE_SECONDS * 10**6
        far = lease.c.expires > now.at + HELD_SECONDS * 10**6 + DAY
        connection.execute(update(lease).where(far).values(expires=bound))
        connection.execute(update(clock).values(seq=clock.c.seq + 1, at=now.at + 1))
        connection.execute(update(clock_reading).values(vars(now)))
        _record(connection, found, shift, actor)
    return found


def _find(connection: Connection, now: int) -> Future | None:
    seq, at = connection.execute(select(clock.c.seq, clock.c.at)).one()
    if at <= now + DAY:
        return None
    ahead = select(func.count(event.c.seq.distinct()), func.min(event.c.seq), func.min(event.c.at)).where(
        event.c.at > now + DAY
    )
    count, first_seq, first = connection.execute(ahead).one()
    before = connection.execute(select(func.max(event.c.at)).where(event.c.at <= now + DAY)).scalar_one()
    return Future(max(count, 1), first_seq or seq, seq, first or at, at, before or 0)


def _move(connection: Connection, table: Table, now: int, shift: int, floor: int) -> None:
    for name in _TIMES:
        if name in table.c:
            column = table.c[name]
            moved: Any = column - shift
            later = case((moved > floor, moved), else_=floor)
            connection.execute(update(table).where(column > now + DAY).values({name: later}))


def _lift(connection: Connection, dialect: str) -> None:
    for table in APPEND_ONLY:
        for name in sorted(trigger_names(table, dialect)):
            place = f" ON {table}" if dialect == "postgresql" else ""
            connection.execute(text(f"DROP TRIGGER {name}{place}"))


def _protect(connection: Connection, dialect: str) -> None:
    for table, keys in APPEND_ONLY.items():
        for statement in protect(table, keys, dialect):
            connection.execute(text(statement))


def _record(connection: Connection, found: Future, shift: int, actor: str) -> None:
    seq, at = connection.execute(select(clock.c.seq, clock.c.at)).one()
    stamp = {"actor": actor, "at": at, "seq": seq}
    row = {"first_seq": found.first_seq, "last_seq": found.last_seq, "shift": shift, "not_before": found.before}
    connection.execute(insert(clock_shift), row | stamp)
    said = {"position": 0, "kind": "jeyn.clock.shifted", "subject": "catalog", "data": json.dumps(row, sort_keys=True)}
    connection.execute(insert(event), said | stamp)
