"""What a payload is put from: bytes or a file, read once, verified, and refused when it changes meanwhile."""

from __future__ import annotations

import hashlib
import io
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeAlias

from jeyn import regular
from jeyn.errors import Corrupt, NotFound, UsageError
from jeyn.stores.payloads.failures import os_errors, translated

CHUNK = 1 << 20

# A write within the clock tick of the last one may leave the times unchanged, so a file written this recently is
# hashed again while it is copied.
_TICK_NS = 50_000_000


class FileStat(NamedTuple):
    """What identifies the content of a file without reading it; times in nanoseconds."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    device: int

    @classmethod
    def of(cls, file: io.FileIO) -> FileStat:
        seen = os.fstat(file.fileno())
        return cls(seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_ino, seen.st_dev)


@dataclass(frozen=True)
class HashedFile:
    """A file as `hash_file` saw it: bare hex digest, size in bytes, and what would differ had it changed since.

    `settled` is False for a file written within the last clock ticks, whose times alone prove nothing.
    """

    path: Path
    digest: str
    size: int
    stat: FileStat
    settled: bool


def hash_file(path: Path) -> HashedFile:
    """Hash a regular file in one pass; raises `NotFound`, `NotAllowed`, `UsageError`, or `Corrupt` if it changes."""
    with opened(path) as file, os_errors(f"read '{path}'"):
        started, before = time.time_ns(), FileStat.of(file)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        if FileStat.of(file) != before:
            raise changed(path)
    return HashedFile(path, digest, before.size, before, settled=started - before.ctime_ns > _TICK_NS)


@contextmanager
def opened(path: Path) -> Iterator[io.FileIO]:
    """The regular file at `path`, unbuffered; only opening it is translated."""
    try:
        found = regular.opened(path)
    except regular.NotRegular as exc:
        hint = "save the files of a folder one by one; what is no file cannot be kept"
        raise UsageError(f"not a regular file: '{path}' ({exc.strerror})", hint=hint) from exc
    except OSError as exc:
        raise translated(exc, f"read '{path}'") from exc
    with found as file:
        yield file


def changed(path: Path) -> Corrupt:
    return Corrupt(f"'{path}' changed while it was being saved", hint="save it again once nothing writes to it")


Source: TypeAlias = bytes | bytearray | memoryview | Path | HashedFile


def size_of(source: Source) -> int:
    """Bytes to be stored."""
    if isinstance(source, HashedFile):
        return source.size
    if isinstance(source, Path):
        with os_errors(f"read '{source}'"):
            return source.stat().st_size
    return memoryview(source).nbytes


def claimed(digest: str, source: Source, move: bool) -> Source:
    """`source`, hashed now when it is a file to be consumed; refuses a `HashedFile` under another digest."""
    if move and isinstance(source, Path):
        source = hash_file(source)
    if isinstance(source, HashedFile) and source.digest != digest:
        message = f"'{source.path}' has the digest '{source.digest}', not '{digest}'"
        raise UsageError(message, hint="put it under its own digest")
    return source


def consume(source: Source, move: bool) -> None:
    """End a `put(..., move=True)`: remove the file unless it is gone, or is no longer what was stored."""
    if not move or not isinstance(source, HashedFile):
        return
    with os_errors(f"remove '{source.path}'"), suppress(NotFound):
        with opened(source.path) as file:
            check_unchanged(source, file)
        source.path.unlink(missing_ok=True)


def path_of(source: Source) -> Path | None:
    """The file a source stands for, or None for bytes."""
    if isinstance(source, HashedFile):
        return source.path
    return source if isinstance(source, Path) else None


def verified_chunks(digest: str, source: Source) -> Iterator[bytes | memoryview]:
    """The bytes of `source`, about 1 MiB at a time; raises `Corrupt`, at the latest after the last chunk."""
    if isinstance(source, (Path, HashedFile)):
        yield from _file_chunks(digest, source)
        return
    view = memoryview(source).cast("B") if memoryview(source).nbytes else memoryview(b"")
    if hashlib.sha256(view).hexdigest() != digest:
        raise Corrupt(f"{view.nbytes} bytes do not have the digest '{digest}'", hint="hash what is put, then put it")
    for start in range(0, view.nbytes, CHUNK):
        yield view[start : start + CHUNK]


def _file_chunks(digest: str, source: Path | HashedFile) -> Iterator[bytes]:
    path = source.path if isinstance(source, HashedFile) else source
    sha256 = hashlib.sha256()
    with opened(path) as file:
        before = check_unchanged(source, file)
        while chunk := _read(file, path):
            sha256.update(chunk)
            yield chunk
        if FileStat.of(file) != before or sha256.hexdigest() != digest:
            raise changed(path)


def _read(file: io.FileIO, path: Path) -> bytes:
    with os_errors(f"read '{path}'"):
        return file.read(CHUNK) or b""


def check_unchanged(source: Path | HashedFile, file: io.FileIO) -> FileStat:
    """What the file looks like now, which must be what it looked like when it was hashed."""
    now = FileStat.of(file)
    if isinstance(source, HashedFile) and source.stat != now:
        raise changed(source.path)
    return now
