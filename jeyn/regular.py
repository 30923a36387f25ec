"""The one door through which files are opened for reading: regular ones only, and never waiting.

Opening a named pipe waits for a writer for ever, a device may have no end, and neither is anybody's code or data.
"""

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import Iterator
from pathlib import Path

MOST_TEXT = 16 << 20  # bytes of a file that people write
DEEPEST = 100  # folders below one; what is deeper is nobody's code, and too deep for many programs

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


class NotRegular(OSError):
    """What is there is no file: a folder, a named pipe, a socket, a device. `strerror` says which."""


class TooLarge(OSError):
    """The file has more bytes than what it is for may have."""


def opened(path: str | os.PathLike[str]) -> io.FileIO:
    """The regular file at `path`, unbuffered; links lead on. Raises `OSError`, `NotRegular` for anything else."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as exc:
        if exc.errno == errno.ENXIO:  # a socket cannot be opened at all
            raise _not_regular(kind(path), path) from exc
        raise
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise _not_regular(_named(mode), path)
    return io.FileIO(descriptor)


def read_bytes(path: str | os.PathLike[str], most: int | None = None) -> bytes:
    """All of a regular file. Raises `OSError`, also where it has more than `most` bytes (`TooLarge`)."""
    with opened(path) as file:
        if most is None:
            return file.readall() or b""
        data = file.read(most + 1) if os.fstat(file.fileno()).st_size <= most else None
    if data is None or len(data) > most:
        raise TooLarge(errno.EFBIG, f"it has more than {most:,} bytes", os.fspath(path))
    return data


def read_text(path: str | os.PathLike[str], most: int = MOST_TEXT) -> str:
    """A regular file of UTF-8. Raises `OSError`, `UnicodeDecodeError`."""
    return read_bytes(path, most).decode()


def is_regular(path: str | os.PathLike[str]) -> bool:
    """Whether a regular file is there, also behind a link; what cannot be looked at is none."""
    return os.path.isfile(path)  # noqa: PTH113 - Path's own raises below what may not be read


def real(path: str | os.PathLike[str]) -> Path:
    """The path with links resolved; one in a loop stays as it is, where `Path.resolve` raises a RuntimeError."""
    return Path(os.path.realpath(path))


def kind(path: str | os.PathLike[str]) -> str:
    """What is there, in words: "a named pipe"."""
    try:
        return _named(os.stat(path).st_mode)  # noqa: PTH116 - see above
    except OSError as exc:
        return "a link that leads nowhere" if os.path.islink(path) else f"nothing ({exc.strerror})"  # noqa: PTH114


def walk(top: str | os.PathLike[str]) -> Iterator[tuple[str, list[str], list[str]]]:
    """As `os.walk` from the top down: (path below `top`, "" for itself; names of folders, links too; other names).

    The caller may take folders out of the list. It does not follow links, and passes by what cannot be listed.
    """
    waiting = [""]
    while waiting:  # not by recursion: folders may be nested deeper than calls
        below = waiting.pop()
        folders, files = list[str](), list[str]()
        try:
            with os.scandir(os.path.join(top, below)) as entries:  # noqa: PTH118 - of names that may be no text
                for entry in entries:
                    (folders if _leads_on(entry) else files).append(entry.name)
        except OSError:
            continue
        links = {each for each in folders if os.path.islink(os.path.join(top, below, each))}  # noqa: PTH114, PTH118
        yield below, folders, files
        prefix = f"{below}/" if below else ""
        waiting += [prefix + each for each in reversed(folders) if each not in links]


def _leads_on(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _not_regular(what: str, path: str | os.PathLike[str]) -> NotRegular:
    return NotRegular(errno.EINVAL, f"it is {what}, not a regular file", os.fspath(path))


def _named(mode: int) -> str:
    return next((name for is_kind, name in _KINDS if is_kind(mode)), "a file")
