"""Leases on payload bytes, and condemnations: how saving and sweeping stay out of each other's way (SEMANTICS 28).

Whoever puts bytes leases their digest first. A sweep condemns a digest only in a transaction that finds neither a
reference nor a lease. Both take the same lock, so one of them sees the other. A condemnation ends with the process that
holds it, where that can be seen, and else when its time is over: by the clock, or for who watches it that long.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, CompoundSelect, Connection, bindparam, delete, insert, select, text

from jeyn.errors import Busy
from jeyn.stores.catalog.closure import chunks
from jeyn.stores.catalog.database import Database
from jeyn.stores.catalog.patience import patient
from jeyn.stores.catalog.prepared import DriverCursor, Prepared
from jeyn.stores.catalog.process import Process, this_process
from jeyn.stores.catalog.reader import is_marked
from jeyn.stores.catalog.tables import artefact_payload, condemned, lease

LEASE_SECONDS = 3600
HELD_SECONDS = 30 * 24 * 3600  # of the payloads of work that is held
CONDEMNED_SECONDS = 300
WAIT_SECONDS = 2 * CONDEMNED_SECONDS
QUIET_SECONDS = 1.0  # of waiting before it is told what for, and then again after each
TELL_AGAIN_SECONDS = 30.0
# No clock that may write is that much ahead of another one.
LYING_SECONDS = 24 * 3600
# A commit may wait for its turn, so a lease counts as lapsed while it still has this long.
LAPSE_SECONDS = 600
_LOCK = {"take": "SELECT pg_advisory_xact_lock_shared(:key)", "condemn": "SELECT pg_advisory_xact_lock(:key)"}
_KEY = 0x6C656173  # "leas"

# Every save takes leases, so this is not left to SQLAlchemy's own execution (`prepared.py`).
_TAKE = Prepared(
    text(
        "INSERT INTO lease (digest, holder, expires) VALUES (:digest, :holder, :expires) "
        "ON CONFLICT (digest, holder) DO UPDATE SET expires = excluded.expires"
    ),
    "digest",
    "holder",
    "expires",
)


@cache
def _condemned_of(count: int) -> Prepared:
    digests: list[Any] = [bindparam(f"digest{n}") for n in range(count)]
    return Prepared(select(*_CONDEMNED).where(condemned.c.digest.in_(digests)))


_CONDEMNED = tuple(condemned.c[name] for name in ("digest", "sweeper", "expires", "host", "pid", "started"))
_log = logging.getLogger("jeyn.leases")


@dataclass(frozen=True)
class Condemnation:
    """A digest that a sweep is deleting, until when (µs, UTC), and by which process."""

    digest: str
    sweeper: str
    expires: int
    process: Process | None

    @classmethod
    def of(cls, digest: str, sweeper: str, expires: int, host: str | None, pid: int | None, started: int | None) -> Any:
        return cls(digest, sweeper, expires, Process(host, pid, started or 0) if host and pid else None)

    def is_over(self, now: int) -> bool:
        """Whether its holder has ended or stopped deleting, or had a clock that no other one agrees with."""
        if self.process is not None and self.process.has_ended:
            return True
        return not now < self.expires <= now + (CONDEMNED_SECONDS + LYING_SECONDS) * 10**6

    @property
    def holder(self) -> str:
        return "a sweep" if self.process is None else f"a sweep (jeyn gc, {self.process.shown})"


class _Wait:
    """Waiting for sweeps: what is condemned all the time is nobody's any more once a condemnation's time is over."""

    def __init__(self) -> None:
        self.begun = self.told = time.monotonic()
        self.seen: dict[tuple[str, str], float] = {}

    def outlived(self, found: Iterable[Condemnation]) -> set[str]:
        """Those that were there for as long as a condemnation lasts, whatever their sweeper's clock says."""
        now = time.monotonic()
        self.seen = {key: self.seen.get(key, now) for key in ((each.digest, each.sweeper) for each in found)}
        return {digest for (digest, _), since in self.seen.items() if now - since > CONDEMNED_SECONDS}

    def tell(self, found: Sequence[Condemnation]) -> None:
        now = time.monotonic()
        quiet = QUIET_SECONDS if self.told == self.begun else TELL_AGAIN_SECONDS
        if found and now - self.told >= quiet:
            self.told = now
            _log.warning(
                "waiting for %s, which is deleting the very bytes that are to be saved (%s…); %d s at most",
                found[0].holder, found[0].digest[:12], CONDEMNED_SECONDS,
            )  # fmt: skip


def _none(_: object) -> set[str]:
    return set()


class Leases:
    """The leases of one holder: a process that saves, or an attempt."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.holder = uuid.uuid4().hex
        self._held: set[str] = set()
        self._until = 0

    @property
    def held(self) -> frozenset[str]:
        """The digests that were leased and not given back."""
        return frozenset(self._held)

    @property
    def lapsed(self) -> bool:
        """Whether a sweep may by now have taken what is held: nobody renewed it in time."""
        return bool(self._held) and _now() > self._until - LAPSE_SECONDS * 10**6

    def take(self, digests: Sequence[str]) -> None:
        """Lease bare hex digests; waits while a sweep is deleting one. Raises `Busy` when that takes too long."""
        wait = _Wait()
        while in_the_way := self._try(digests, wait.outlived):
            if time.monotonic() > wait.begun + WAIT_SECONDS:
                raise Busy(
                    f"{in_the_way[0].holder} keeps the payload that is being saved",
                    hint="wait for it to end; if there is none any more: jeyn fsck --repair --yes",
                )
            wait.tell(in_the_way)
            time.sleep(0.05)
        until = _now() + LEASE_SECONDS * 10**6
        self._until = min(self._until, until) if self._held else until
        self._held.update(digests)

    def renew(self) -> bool:
        """The heartbeat of whoever works longer than a lease lasts; False when a sweep is taking what lapsed."""
        until = _now() + LEASE_SECONDS * 10**6
        if self._held and any(self._try(chunk) for chunk in chunks(sorted(self._held))):
            return False
        self._until = until
        return True

    @patient
    def release(self) -> None:
        """Give all back, once references protect the bytes or nobody wants them."""
        if self._held:
            with self.database.write_soft() as connection:
                connection.execute(delete(lease).where(lease.c.holder == self.holder))
            self._held.clear()

    def forget(self) -> None:
        """What was held is given back already: a commit did so itself."""
        self._held.clear()

    @patient
    def _try(self, digests: Sequence[str], outlived: Callable[[list[Condemnation]], set[str]] = _none) -> Sequence[Any]:
        """Take them all, or none: then the condemnations that are in the way."""
        if not digests:
            return ()
        with self.database.write_soft() as connection:
            lock(connection, self.database, "take")
            now = _now()
            cursor = DriverCursor(connection)
            names = {f"digest{n}": digest for n, digest in enumerate(sorted(set(digests)))}
            found = [Condemnation.of(*row) for row in cursor.all(_condemned_of(len(names)), **names)]
            over = outlived(found) | {each.digest for each in found if each.is_over(now)}
            if in_the_way := [each for each in found if each.digest not in over]:
                return in_the_way
            if over:
                connection.execute(delete(condemned).where(condemned.c.digest.in_(over)))
            until = now + LEASE_SECONDS * 10**6
            cursor.run(_TAKE, [{"digest": d, "holder": self.holder, "expires": until} for d in names.values()])
        return ()


@patient
def condemn(database: Database, digests: Sequence[str], sweeper: str) -> list[str]:
    """Condemn those digests that nothing refers to and nobody leases; what is returned may be deleted now."""
    with database.exclusive() as connection:
        lock(connection, database, "condemn")
        database.clock.read(DriverCursor(connection))  # leases are over by the clock
        now = _now()
        connection.execute(delete(lease).where(~_in_force(now)))
        end_condemnations(connection)
        needed: set[str] = set(connection.execute(taken(digests)).scalars())
        free = [digest for digest in dict.fromkeys(digests) if digest not in needed]
        connection.execute(delete(condemned).where(condemned.c.digest.in_(free)))
        if free:
            expires = now + CONDEMNED_SECONDS * 10**6
            by = vars(this_process())
            rows = [{"digest": digest, "sweeper": sweeper, "expires": expires, **by} for digest in free]
            connection.execute(insert(condemned), rows)
    return free


def end_condemnations(connection: Connection) -> list[Condemnation]:
    """Take away those that are over, such as of sweeps that were killed."""
    over = stale_condemnations(connection)
    for each in over:
        connection.execute(
            delete(condemned).where(condemned.c.digest == each.digest, condemned.c.sweeper == each.sweeper)
        )
    return over


def stale_condemnations(connection: Connection) -> list[Condemnation]:
    """Those that are over and still there."""
    now = _now()
    found = (Condemnation.of(*row) for row in connection.execute(select(*_CONDEMNED)))
    return [each for each in found if each.is_over(now)]


@patient
def absolve(database: Database, digests: Sequence[str], sweeper: str) -> None:
    """The bytes are deleted: whoever waits may upload them again."""
    with database.write_soft() as connection:
        connection.execute(
            delete(condemned).where(condemned.c.sweeper == sweeper, condemned.c.digest.in_(list(digests)))
        )


def taken(digests: Sequence[str]) -> CompoundSelect[Any]:
    """The query for those that an artefact refers to, somebody leases, or another sweep is deleting."""
    referenced = select(artefact_payload.c.digest).where(
        artefact_payload.c.digest.in_(digests),
        ~artefact_payload.c.external,
        ~is_marked(artefact_payload.c.artefact, "tombstone"),
    )
    leased = select(lease.c.digest).where(lease.c.digest.in_(digests))
    other = select(condemned.c.digest).where(condemned.c.digest.in_(digests))
    return referenced.union(leased, other)


def leased_digests(connection: Connection) -> set[str]:
    return set(connection.execute(select(lease.c.digest).where(_in_force(_now()))).scalars())


def _in_force(now: int) -> ColumnElement[bool]:
    """Of leases: neither over, nor longer than any is given, as by a clock that was ahead."""
    return (lease.c.expires > now) & (lease.c.expires <= now + (HELD_SECONDS + LYING_SECONDS) * 10**6)


def lock(connection: Connection, database: Database, verb: str) -> None:
    """Keep taking leases and condemning apart until the transaction ends; SQLite does so anyway."""
    if not database.is_sqlite:
        connection.execute(text(_LOCK[verb]), {"key": _KEY})


def _now() -> int:
    return time.time_ns() // 1000
