"""`LocalRoot`: source files in a folder of this machine; links lead on within it, and into folders that are allowed."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from jeyn.errors import NotFound
from jeyn.regular import real
from jeyn.stores.payloads import hash_file
from jeyn.stores.payloads.failures import os_errors
from jeyn.stores.payloads.source import opened
from jeyn.stores.sources.pattern import Pattern
from jeyn.stores.sources.root import SourceFile, Unfollowed, changed, checked_path, missing
from jeyn.stores.sources.walk import DeadEnd, Walk, version_of
from jeyn.stores.stat_cache import StatCache

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class LocalRoot:
    """A folder as `DataRoot`; nothing is read until it is used."""

    is_local = True

    def __init__(self, folder: Path, links: tuple[Path, ...] = ()) -> None:
        """`links` are the folders outside that links may lead to."""
        # Not resolve(): following links would change the url.
        self.folder = Path(os.path.abspath(folder))  # noqa: PTH100
        self.url = self.folder.as_uri()
        self.links = links

    def __repr__(self) -> str:
        return f"LocalRoot({str(self.folder)!r})"

    def __reduce__(self) -> tuple[type[LocalRoot], tuple[Path, tuple[Path, ...]]]:
        return LocalRoot, (self.folder, self.links)

    def list(self, pattern: str) -> list[SourceFile]:
        with os_errors(f"list '{pattern}' in '{self.folder}'"):
            return sorted(found for found in self._walk(pattern) if isinstance(found, SourceFile))

    def unfollowed(self, pattern: str) -> Unfollowed:
        with os_errors(f"list '{pattern}' in '{self.folder}'"):
            return Unfollowed.of(found for found in self._walk(pattern) if isinstance(found, DeadEnd))

    def _walk(self, pattern: str) -> Iterator[SourceFile | DeadEnd]:
        glob, root = Pattern(pattern), self._real_root()
        return Walk(glob, (root, *(real(folder) for folder in self.links))).below(root, "", glob.start, (root,))

    def digest(self, file: SourceFile, cache: StatCache | None = None) -> str:
        path = self._real_path(file.path)
        with os_errors(f"look at '{path}'"):
            now = path.stat()
        if (now.st_size, version_of(now)) != (file.size, file.version):
            raise changed(file.path, file.version, version_of(now))
        look = f"{file.version}:{now.st_ctime_ns}"
        known = cache.get(self.url, file.path, file.size, look) if cache else None
        return known or self._hash(path, file, look, now, cache)

    def local_path(self, path: str) -> Path | None:
        return self._real_path(path)

    @contextmanager
    def open(self, path: str, *, version: str | None = None) -> Iterator[BinaryIO]:
        with opened(self._real_path(path)) as file:
            present = version_of(os.fstat(file.fileno()))
            if version not in (None, present):
                raise changed(path, str(version), present)
            with io.BufferedReader(_Translating(file, path)) as reader:
                yield reader

    def _hash(self, path: Path, file: SourceFile, look: str, seen: os.stat_result, cache: StatCache | None) -> str:
        started = time.time_ns()
        hashed = hash_file(path)
        found = f"{hashed.stat.mtime_ns}:{hashed.stat.inode}"
        if (hashed.size, found) != (file.size, file.version):
            raise changed(file.path, file.version, found)
        digest = f"sha256:{hashed.digest}"
        if cache and hashed.stat.ctime_ns == seen.st_ctime_ns:
            latest = max(seen.st_mtime_ns, seen.st_ctime_ns)
            cache.put(self.url, file.path, file.size, look, digest, changed_ns=latest, hashed_ns=started)
        return digest

    def _real_root(self) -> Path:
        if not self.folder.is_dir():
            hint = "make it, or say where the data is: data: in jeyn.yaml, or JEYN_DATA"
            raise NotFound(f"the data root '{self.folder}' is no folder", hint=hint)
        return real(self.folder)

    def _real_path(self, path: str) -> Path:
        """The file itself, links resolved; what is not there and what lies outside are alike missing."""
        root = self._real_root()
        with os_errors(f"look at '{path}' in '{self.folder}'"):
            place = real(root / checked_path(path))
            allowed = (root, *(real(folder) for folder in self.links))
            if not any(place.is_relative_to(folder) for folder in allowed) or not place.exists():
                raise missing(path, self.url)
        return place


class _Translating(io.RawIOBase):
    """Reads of a file whose errors are Jeyn's own."""

    def __init__(self, file: io.FileIO, path: str) -> None:
        self._file = file
        self._path = path

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        return self._file.seek(offset, whence)

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        with os_errors(f"read '{self._path}'"):
            return self._file.readinto(buffer) or 0
