"""A file that gets its name when it is whole, and a folder to work in: a process that is killed leaves neither behind.

What has no name goes with its process. Where the file system knows no such files, and for folders, a lock says that
somebody still works there; what nobody holds is taken away by who comes next.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from jeyn.stores.access import create, file_mode, make_folder
from jeyn.stores.payloads.failures import os_errors
from jeyn.stores.payloads.writing import sync_folder

NEW = ".new-"  # what is not locked yet, and not to be taken for left over


@contextmanager
def whole(path: Path) -> Iterator[BinaryIO]:
    """A file to write; it has that name, durably, once the block has ended well."""
    with os_errors(f"write '{path}'"):
        make_folder(path.parent)
        sweep_parts(path.parent, f".{path.name}.*.part")
        partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
        try:
            nameless = _nameless(path.parent)
            with os.fdopen(_locked(partial) if nameless is None else nameless, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
                if nameless is None:
                    partial.replace(path)
                else:
                    _name(nameless, partial, path)
            sync_folder(path.parent)
        finally:
            partial.unlink(missing_ok=True)


@contextmanager
def work_folder(inside: Path, prefix: str) -> Iterator[Path]:
    """A folder that is gone when the block ends; those of killed processes go first."""
    sweep_parts(inside, f"{prefix}*")
    new = Path(tempfile.mkdtemp(dir=inside, prefix=NEW))
    folder = new.with_name(prefix + new.name.removeprefix(NEW))
    descriptor = os.open(new, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        new.rename(folder)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def sweep_parts(folder: Path, pattern: str) -> int:
    """Take away what such names have that nobody works on any more; returns how many."""
    gone = 0
    for path in folder.glob(pattern):
        with suppress(OSError):
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path) if path.is_dir() else path.unlink()
                gone += 1
            finally:
                os.close(descriptor)
    return gone


def _nameless(folder: Path) -> int | None:
    """The descriptor of a file without a name; None where the system or the file system has none."""
    if not hasattr(os, "O_TMPFILE") or not Path("/proc/self/fd").is_dir():
        return None
    try:
        descriptor = os.open(folder, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    except OSError:
        return None
    os.fchmod(descriptor, file_mode(folder))
    return descriptor


def _locked(partial: Path) -> int:
    new = partial.with_name(NEW + partial.name)
    descriptor = create(new)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    new.rename(partial)
    return descriptor


def _name(descriptor: int, partial: Path, path: Path) -> None:
    source = f"/proc/self/fd/{descriptor}"
    # A folder's descriptor, which an absolute path has no use for, makes Python follow the link.
    with suppress(FileExistsError):
        os.link(source, path, src_dir_fd=descriptor)
        return
    os.link(source, partial, src_dir_fd=descriptor)
    partial.replace(path)
