"""Reading an SQLite catalog that may not be written: on a read-only disk, in a backup, in somebody else's folder.

SQLite's log of a catalog wants files beside it even of who only reads. Where those cannot be made there are three ways
(https://www.sqlite.org/wal.html#read_only_databases), and only one of them is right each time.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from jeyn.errors import NotAllowed

Stamp = tuple[tuple[int, int], ...]


class ReadOnlyConnection(sqlite3.Connection):
    """One that is told nothing but questions."""


def is_read_only(path: Path) -> bool:
    """Whether a catalog is there, and this process may not write it."""
    return path.exists() and not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK | os.X_OK))


def refusal(path: Path) -> NotAllowed:
    """What a command says that would write."""
    return NotAllowed(
        f'the home "{path.parent}" is read-only here',
        hint="copy it to a folder that you may write and name that (--home, JEYN_HOME), or ask its owner",
    )


class ReadOnlyCatalog:
    """Opens connections to a catalog of which nothing may be written, each with all that was committed before."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._copy: tempfile.TemporaryDirectory[str] | None = None
        self._copied: Stamp = ()

    def connect(self) -> sqlite3.Connection:
        # As it is, where a writer has left, or keeps, its files beside it; alone, where it has no log;
        # else a copy, since who opens it alone would see nothing of what is only in the log.
        found = _opened(self.path, "mode=ro")
        if found is None and not self._has_log():
            found = _opened(self.path, "immutable=1")
        return found or self._of_copy()

    def _has_log(self) -> bool:
        with suppress(OSError):
            return _beside(self.path, "-wal").stat().st_size > 0
        return False

    def _of_copy(self) -> sqlite3.Connection:
        stamp = tuple(_stamp(each) for each in (self.path, _beside(self.path, "-wal")))
        if self._copy is None or stamp != self._copied:
            try:
                self._copy = _copied_aside(self.path)
            except OSError as exc:
                raise sqlite3.OperationalError(f"unable to open a copy of the database ({exc.strerror})") from exc
            self._copied = stamp
        return sqlite3.connect(Path(self._copy.name, "catalog.db"), check_same_thread=False, factory=ReadOnlyConnection)


def _copied_aside(path: Path) -> tempfile.TemporaryDirectory[str]:
    copy = tempfile.TemporaryDirectory(prefix="jeyn-catalog-")
    for end in ("", "-wal"):
        with suppress(FileNotFoundError):
            shutil.copyfile(_beside(path, end), Path(copy.name, f"catalog.db{end}"))
    return copy


def _opened(path: Path, how: str) -> sqlite3.Connection | None:
    connection = sqlite3.connect(
        f"file:{quote(str(path))}?{how}", uri=True, check_same_thread=False, factory=ReadOnlyConnection
    )
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        connection.close()
        return None
    return connection


def _beside(path: Path, end: str) -> Path:
    return path.with_name(path.name + end)


def _stamp(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size
