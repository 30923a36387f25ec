"""`LocalRoot`: source files in a folder of this machine; links are followed while they stay in it."""

from __future__ import annotations

import io
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from jeyn.errors import NotFound
from jeyn.stores.payloads import hash_file
from jeyn.stores.payloads.failures import os_errors
from jeyn.stores.payloads.source import opened
from jeyn.stores.sources.pattern import Pattern, Places
from jeyn.stores.sources.root import SourceFile, changed, checked_name, checked_path, missing
from jeyn.stores.stat_cache import StatCache

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class LocalRoot:
    """A folder as `DataRoot`; nothing is read until it is used."""

    is_local = True

    def __init__(self, folder: Path) -> None:
        # Not resolve(): following links would change the url.
        self.folder = Path(os.path.abspath(folder))  # noqa: PTH100
        self.url = self.folder.as_uri()

    def __repr__(self) -> str:
        return f"LocalRoot({str(self.folder)!r})"

    def __reduce__(self) -> tuple[type[LocalRoot], tuple[Path]]:
        return LocalRoot, (self.folder,)

    def list(self, pattern: str) -> list[SourceFile]:
        glob = Pattern(pattern)
        root = self._real_root()
        with os_errors(f"list '{pattern}' in '{self.folder}'"):
            return sorted(_walk(root, "", glob, glob.start, (root,)))

    def digest(self, file: SourceFile, cache: StatCache | None = None) -> str:
        path = self._real_path(file.path)
        with os_errors(f"look at '{path}'"):
            now = path.stat()
        if (now.st_size, _version(now)) != (file.size, file.version):
            raise changed(file.path, file.version, _version(now))
        look = f"{file.version}:{now.st_ctime_ns}"
        known = cache.get(self.url, file.path, file.size, look) if cache else None
        return known or self._hash(path, file, look, now, cache)

    def local_path(self, path: str) -> Path | None:
        return self._real_path(path)

    @contextmanager
    def open(self, path: str, *, version: str | None = None) -> Iterator[BinaryIO]:
        with opened(self._real_path(path)) as file:
            present = _version(os.fstat(file.fileno()))
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
        return self.folder.resolve()

    def _real_path(self, path: str) -> Path:
        """The file itself, links resolved; what is not there and what lies outside are alike missing."""
        root = self._real_root()
        with os_errors(f"look at '{path}' in '{self.folder}'"):
            real = Path(os.path.realpath(root / checked_path(path)))
            if not real.is_relative_to(root) or not real.exists():
                raise missing(path, self.url)
        return real


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


def _version(seen: os.stat_result) -> str:
    return f"{seen.st_mtime_ns}:{seen.st_ino}"


def _walk(folder: Path, below: str, glob: Pattern, places: Places, above: tuple[Path, ...]) -> Iterator[SourceFile]:
    """The files under a folder that match; `above` is the root and the real folders on the way here."""
    with os.scandir(folder) as entries:
        found = list(entries)
    for entry in found:
        after = glob.step(places, entry.name)
        real = _target(entry, above[0]) if after else None
        seen = _seen(real) if real else None
        if real is None or seen is None:
            continue
        path = f"{below}{entry.name}"
        if stat.S_ISDIR(seen.st_mode):
            # A link to a folder on the way here would go round for ever.
            if glob.leads_on(after) and real not in above:
                yield from _walk(real, f"{path}/", glob, after, (*above, real))
        elif stat.S_ISREG(seen.st_mode) and glob.ends(after):
            yield SourceFile(checked_name(path), seen.st_size, _version(seen))


def _target(entry: os.DirEntry[str], root: Path) -> Path | None:
    """Where the entry really lies; None for a link that leaves the root."""
    if not entry.is_symlink():
        return Path(entry.path)
    real = Path(os.path.realpath(entry.path))
    return real if real.is_relative_to(root) else None


def _seen(path: Path) -> os.stat_result | None:
    """None for a broken link, and for what was removed while it was being listed."""
    try:
        return path.stat()
    except FileNotFoundError:
        return None
