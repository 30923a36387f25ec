"""`StatCache`: remembers the digests of files by how they look, so that what did not change is not hashed again."""

from __future__ import annotations

import os
import re
import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from jeyn.stores.access import make_folder, see_to_file

# What is written soon after it was hashed may keep its size and times (a coarse clock), so such a digest is not kept.
RACY_NS = 2_000_000_000

_BUSY_SECONDS = 5.0
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_TABLE = (
    "CREATE TABLE IF NOT EXISTS digests (root TEXT NOT NULL, path TEXT NOT NULL, size INTEGER NOT NULL,"
    " version TEXT NOT NULL, digest TEXT NOT NULL, PRIMARY KEY (root, path)) WITHOUT ROWID"
)

Answer = TypeVar("Answer")


class StatCache:
    """One SQLite file that any number of processes and threads share.

    It only saves time: where it cannot be read or written, nothing is remembered, and a damaged one is made anew.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._process = 0

    def __repr__(self) -> str:
        return f"StatCache({str(self.path)!r})"

    def __reduce__(self) -> tuple[type[StatCache], tuple[Path]]:
        return StatCache, (self.path,)

    def get(self, root: str, path: str, size: int, version: str) -> str | None:
        """The digest of a file that looks exactly so, or None."""
        query = "SELECT digest FROM digests WHERE root = ? AND path = ? AND size = ? AND version = ?"
        row = self._attempt(lambda connection: connection.execute(query, (root, path, size, version)).fetchone())
        return row[0] if row and isinstance(row[0], str) and _DIGEST.fullmatch(row[0]) else None

    def put(
        self, root: str, path: str, size: int, version: str, digest: str, *, changed_ns: int = 0, hashed_ns: int = 0
    ) -> None:
        """Remember a digest, unless the file changed (`changed_ns`) within 2 s before hashing began (`hashed_ns`)."""
        if changed_ns and hashed_ns - changed_ns < RACY_NS:
            return
        row = (root, path, size, version, digest)
        self._attempt(lambda connection: connection.execute("INSERT OR REPLACE INTO digests VALUES (?,?,?,?,?)", row))

    def forget(self, root: str, path: str) -> None:
        """No longer know the digest of a file."""
        self._attempt(
            lambda connection: connection.execute("DELETE FROM digests WHERE root = ? AND path = ?", (root, path))
        )

    def close(self) -> None:
        with self._lock:
            self._drop()

    def _attempt(self, task: Callable[[sqlite3.Connection], Answer]) -> Answer | None:
        with self._lock:
            for _ in range(2):
                try:
                    return task(self._opened())
                except (sqlite3.OperationalError, UnicodeEncodeError, OSError):
                    return None
                except sqlite3.Error:
                    self._start_anew()
            return None

    def _opened(self) -> sqlite3.Connection:
        if self._connection is not None and self._process == os.getpid():
            return self._connection
        # SQLite must not be used across a fork: the child lets go of the parent's connection without closing it.
        self._kept_for_parent, self._connection = self._connection, None
        make_folder(self.path.parent)
        see_to_file(self.path)
        connection = sqlite3.connect(self.path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.execute(_TABLE)
        except BaseException:
            connection.close()
            raise
        self._connection, self._process = connection, os.getpid()
        return connection

    def _start_anew(self) -> None:
        self._drop()
        for suffix in ("", "-wal", "-shm"):
            with suppress(OSError):
                self.path.with_name(self.path.name + suffix).unlink()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None and self._process == os.getpid():
            with suppress(sqlite3.Error):
                connection.close()
