"""Payloads of a few bytes as rows of the catalog: durable with the commit of what they belong to, and by nothing else.

A file of its own would cost more than all else that an operation writes. No lease is needed, for there is no moment at
which such bytes are without a reference. `stores/payloads/layered.py` joins them with the payload store.
"""

from __future__ import annotations

import hashlib
import io
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import BinaryIO

from sqlalchemy import bindparam, delete, func, insert, select, text

from jeyn.sdk.artefact import at_microseconds
from jeyn.stores.catalog.closure import chunks
from jeyn.stores.catalog.database import Database, Transaction
from jeyn.stores.catalog.leases import lock, taken
from jeyn.stores.catalog.patience import patient
from jeyn.stores.catalog.prepared import Prepared
from jeyn.stores.catalog.tables import small_payload, suspect_payload
from jeyn.stores.payloads import reader
from jeyn.stores.payloads.protocol import StoredPayload, check_digest, check_range, corrupt, is_digest, missing

LIMIT = 4096
# What every pod reads before it can do anything; it is written once.
LIMIT_OF_CODE = 64 * 1024
PAGE = 500

# Equal bytes are not written again; wrong ones, a disk's fault or a person's, are healed.
_STORE = Prepared(
    text(
        "INSERT INTO small_payload (digest, data, at) VALUES (:digest, :data, :at) ON CONFLICT (digest) "
        "DO UPDATE SET data = excluded.data WHERE small_payload.data <> excluded.data RETURNING digest"
    ),
    "digest",
    "data",
    "at",
)
_DATA = Prepared(select(small_payload.c.data).where(small_payload.c.digest == bindparam("which")))
_SIZE = Prepared(select(func.length(small_payload.c.data)).where(small_payload.c.digest == bindparam("which")))
_SUSPECT = Prepared(select(suspect_payload.c.digest).where(suspect_payload.c.digest == bindparam("which")))
_SUSPECTS = Prepared(select(suspect_payload.c.digest))
_AMONG = select(small_payload.c.digest).where(small_payload.c.digest.in_(bindparam("digests", expanding=True)))
_PAGE = (
    select(small_payload.c.digest, func.length(small_payload.c.data), small_payload.c.at)
    .where(small_payload.c.digest > bindparam("after"))
    .order_by(small_payload.c.digest)
    .limit(PAGE)
)


def blob(data: object) -> bytes:
    """What a row holds, as bytes; whatever else a damaged one holds has no digest of a payload."""
    return bytes(data) if isinstance(data, bytes | memoryview) else str(data).encode()


def store(tx: Transaction, digest: str, data: bytes) -> bool:
    """Write bytes under their bare digest, inside the commit that refers to them; False when they were there."""
    return bool(tx.cursor.all(_STORE, digest=digest, data=data, at=tx.at))


@patient
def remove(database: Database, digests: Sequence[str]) -> list[str]:
    """Delete those that nothing refers to and nobody leases, and say which; no commit comes in between."""
    with database.write() as tx:
        lock(tx.connection, database, "condemn")
        needed: set[str] = set(tx.connection.execute(taken(digests)).scalars())
        free = small_payload.c.digest.in_(sorted(set(digests) - needed))
        gone = delete(small_payload).where(free).returning(small_payload.c.digest)
        removed = sorted(tx.connection.execute(gone).scalars())
        if not removed:
            tx.roll_back()
    return removed


class SmallPayloads:
    """The small payloads of one catalog, read as any payload store is."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def __reduce__(self) -> tuple[Callable[[str], SmallPayloads], tuple[str]]:
        return _open, (self.database.address,)

    @property
    def url(self) -> str:
        return self.database.shown

    def read(self, digest: str) -> bytes:
        data = self._data(digest)
        if hashlib.sha256(data).hexdigest() != digest:
            raise corrupt(digest, self.url)
        return data

    def open(self, digest: str) -> AbstractContextManager[BinaryIO]:
        data = self._data(digest)
        return reader.verified(io.BytesIO(data).readinto, len(data), digest, corrupt(digest, self.url))

    def read_range(self, digest: str, start: int, length: int) -> bytes:
        check_range(start, length)
        return self._data(digest)[start : start + length]

    def size(self, digest: str) -> int:
        for (size,) in self.database.ask(_SIZE, which=check_digest(digest)):
            return int(size)
        raise missing(digest, self.url)

    def exists(self, digest: str) -> bool:
        return bool(self.database.ask(_SIZE, which=check_digest(digest)))

    @patient
    def among(self, digests: Collection[str]) -> set[str]:
        """Those of the digests that are here."""
        with self.database.read() as connection:
            return {
                digest
                for some in chunks(sorted(digests))
                for digest in connection.execute(_AMONG, {"digests": list(some)}).scalars()
            }

    def list(self) -> Iterator[StoredPayload]:
        after = ""
        while page := self._page(after):
            yield from (payload for payload in page if is_digest(payload.digest))
            if page[-1].digest == after:
                return  # damaged: it is read as another text than the one that the database compares
            after = page[-1].digest

    @patient
    def delete(self, digest: str) -> None:
        """Remove the payload, whoever needs it; no error when it is not there."""
        with self.database.write() as tx:
            done = tx.connection.execute(delete(small_payload).where(small_payload.c.digest == check_digest(digest)))
            if not done.rowcount:
                tx.roll_back()

    # What `fsck` found to be bad in either place: known to whoever shares the catalog.

    def is_suspect(self, digest: str) -> bool:
        """Whether the stored bytes of a payload were found to be wrong."""
        return bool(self.database.ask(_SUSPECT, which=check_digest(digest)))

    def suspects(self) -> set[str]:
        return {digest for (digest,) in self.database.ask(_SUSPECTS)}

    @patient
    def suspect(self, digest: str) -> None:
        """Say that the stored bytes of a payload are wrong: the next put of it compares them."""
        if not self.is_suspect(digest):
            with self.database.write_soft() as connection:
                connection.execute(insert(suspect_payload), {"digest": digest, "at": time.time_ns() // 1000})

    @patient
    def trust(self, digest: str) -> None:
        with self.database.write_soft() as connection:
            connection.execute(delete(suspect_payload).where(suspect_payload.c.digest == digest))

    def _data(self, digest: str) -> bytes:
        for (data,) in self.database.ask(_DATA, which=check_digest(digest)):
            return blob(data)
        raise missing(digest, self.url)

    @patient
    def _page(self, after: str) -> Sequence[StoredPayload]:
        with self.database.read() as connection:
            rows = connection.execute(_PAGE, {"after": after}).all()
        return [StoredPayload(digest, size, at_microseconds(_when(at))) for digest, size, at in rows]


def _when(at: object) -> int:
    """What a damaged row says is no time: as if it had been there for ever."""
    return at if isinstance(at, int) else 0


def _open(url: str) -> SmallPayloads:
    return SmallPayloads(Database(url))
