"""Leases on payload bytes, and condemnations: how saving and sweeping stay out of each other's way (SEMANTICS 28).

Whoever puts bytes leases their digest first. A sweep condemns a digest only in a transaction that finds neither a
reference nor a lease. Both take the same lock, so one of them sees the other.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import CompoundSelect, Connection, bindparam, delete, insert, select, text

from jeyn.errors import Busy
from jeyn.stores.catalog.closure import chunks
from jeyn.stores.catalog.database import Database
from jeyn.stores.catalog.prepared import DriverCursor, Prepared
from jeyn.stores.catalog.reader import is_marked
from jeyn.stores.catalog.tables import artefact_payload, condemned, lease

LEASE_SECONDS = 3600
CONDEMNED_SECONDS = 300
WAIT_SECONDS = 2 * CONDEMNED_SECONDS
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
    return Prepared(select(condemned.c.digest, condemned.c.expires).where(condemned.c.digest.in_(digests)))


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
        deadline = time.monotonic() + WAIT_SECONDS
        while not self._try(digests):
            if time.monotonic() > deadline:
                raise Busy("a sweep keeps the payload that is being saved", hint="wait for the sweep (gc) to end")
            time.sleep(0.05)
        until = _now() + LEASE_SECONDS * 10**6
        self._until = min(self._until, until) if self._held else until
        self._held.update(digests)

    def renew(self) -> bool:
        """The heartbeat of whoever works longer than a lease lasts; False when a sweep is taking what lapsed."""
        until = _now() + LEASE_SECONDS * 10**6
        if self._held and not all(self._try(chunk) for chunk in chunks(sorted(self._held))):
            return False
        self._until = until
        return True

    def release(self) -> None:
        """Give all back, once references protect the bytes or nobody wants them."""
        if self._held:
            with self.database.write_soft() as connection:
                connection.execute(delete(lease).where(lease.c.holder == self.holder))
            self._held.clear()

    def forget(self) -> None:
        """What was held is given back already: a commit did so itself."""
        self._held.clear()

    def _try(self, digests: Sequence[str]) -> bool:
        if not digests:
            return True
        with self.database.write_soft() as connection:
            lock(connection, self.database, "take")
            now = _now()
            cursor = DriverCursor(connection)
            names = {f"digest{n}": digest for n, digest in enumerate(sorted(set(digests)))}
            found = cursor.all(_condemned_of(len(names)), **names)
            if any(expires > now for _, expires in found):
                return False
            gone = [digest for digest, _ in found]
            if gone:
                # Its sweeper is dead: it stops deleting well before its condemnation expires.
                connection.execute(delete(condemned).where(condemned.c.digest.in_(gone)))
            until = now + LEASE_SECONDS * 10**6
            cursor.run(_TAKE, [{"digest": d, "holder": self.holder, "expires": until} for d in names.values()])
        return True


def condemn(database: Database, digests: Sequence[str], sweeper: str) -> list[str]:
    """Condemn those digests that nothing refers to and nobody leases; what is returned may be deleted now."""
    with database.exclusive() as connection:
        lock(connection, database, "condemn")
        now = _now()
        connection.execute(delete(lease).where(lease.c.expires <= now))
        needed: set[str] = set(connection.execute(taken(digests)).scalars())
        free = [digest for digest in dict.fromkeys(digests) if digest not in needed]
        connection.execute(delete(condemned).where(condemned.c.digest.in_(free)))
        if free:
            expires = now + CONDEMNED_SECONDS * 10**6
            rows = [{"digest": digest, "sweeper": sweeper, "expires": expires} for digest in free]
            connection.execute(insert(condemned), rows)
    return free


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
    other = select(condemned.c.digest).where(condemned.c.digest.in_(digests), condemned.c.expires > _now())
    return referenced.union(leased, other)


def leased_digests(connection: Connection) -> set[str]:
    return set(connection.execute(select(lease.c.digest).where(lease.c.expires > _now())).scalars())


def lock(connection: Connection, database: Database, verb: str) -> None:
    """Keep taking leases and condemning apart until the transaction ends; SQLite does so anyway."""
    if not database.is_sqlite:
        connection.execute(text(_LOCK[verb]), {"key": _KEY})


def _now() -> int:
    return time.time_ns() // 1000
