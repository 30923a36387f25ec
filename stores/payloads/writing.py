"""How a payload becomes a file: written aside, synced, made read-only, and only then given its name."""

from __future__ import annotations

import errno
import io
import os
import secrets
from pathlib import Path

from jeyn.stores.access import create, file_mode
from jeyn.stores.payloads.source import (
    CHUNK,
    FileStat,
    HashedFile,
    Source,
    changed,
    check_unchanged,
    opened,
    verified_chunks,
)

# Where hard links are not to be had (some network and container mounts), a rename has to do.
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
# Between two kinds of file system, or on some network mounts, the kernel does not copy by itself.
_NO_COPY_RANGE = {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EPERM}
_WRITING = 0o222
_STEP = 128 << 20


def write_aside(folder: Path, digest: str, source: Source) -> Path:
    """A durable, read-only file in `folder` with the bytes of `source`; nothing is left there on an error."""
    path = folder / f"put-{os.getpid()}-{secrets.token_hex(8)}"
    try:
        with io.FileIO(create(path), "w") as file:
            _fill(file, digest, source)
            _seal(file.fileno(), folder)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return path


def seal_moved(source: HashedFile, folder: Path) -> Path:
    """Make a file durable and read-only, as its new folder has it, unless it changed since it was hashed."""
    with opened(source.path) as file:
        check_unchanged(source, file)
        _seal(file.fileno(), folder)
    return source.path


def give_name(path: Path, target: Path) -> bool:
    """Move `path` to `target` unless a file is there; of several doing so at once, exactly one gets True."""
    try:
        os.link(path, target)
    except FileExistsError:
        path.unlink()
        return False
    except OSError as exc:
        if exc.errno not in _NO_LINKS:
            raise
        path.replace(target)
        return True
    path.unlink()
    return True


def _fill(file: io.FileIO, digest: str, source: Source) -> None:
    if isinstance(source, HashedFile) and source.settled:
        _copy_unchanged(source, file)
        return
    for chunk in verified_chunks(digest, source):
        write_all(file.fileno(), chunk)


def _copy_unchanged(source: HashedFile, target: io.FileIO) -> None:
    with opened(source.path) as file:
        before = check_unchanged(source, file)
        copy_file(file.fileno(), target.fileno())
        if FileStat.of(file) != before or os.fstat(target.fileno()).st_size != source.size:
            raise changed(source.path)


def _seal(descriptor: int, folder: Path) -> None:
    os.fchmod(descriptor, file_mode(folder) & ~_WRITING)
    os.fsync(descriptor)


def copy_file(source: int, target: int) -> None:
    """Copy from one descriptor's position to the end, inside the kernel where it can."""
    try:
        while _copy_range(source, target):
            pass
    except OSError as exc:
        if exc.errno not in _NO_COPY_RANGE:
            raise
        # Both positions have moved by what was copied so far, so this goes on from there.
        while chunk := os.read(source, CHUNK):
            write_all(target, chunk)


def _copy_range(source: int, target: int) -> int:
    if not hasattr(os, "copy_file_range"):
        raise OSError(errno.ENOSYS, "no copy_file_range on this system")
    return os.copy_file_range(source, target, _STEP)


def write_all(descriptor: int, data: bytes | memoryview) -> None:
    """Write all of `data`; one `write` may take less, at a full disk above all."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
