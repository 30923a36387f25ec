"""The one door through which files are opened for reading: regular ones only, and never waiting.

Opening a named pipe waits for a writer for ever, a device may have no end, and neither is anybody's code or data.
"""

from __future__ import annotations

import errno
import io
import os
import stat
from pathlib import Path

MOST_TEXT = 16 << 20  # bytes of a file that people write

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
            raise NotRegular(errno.EINVAL, f"it is {kind(path)}, not a regular file", os.fspath(path)) from exc
        raise
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise NotRegular(errno.EINVAL, f"it is {_named(mode)}, not a regular file", os.fspath(path))
    return io.FileIO(descriptor)


def read_bytes(path: str | os.PathLike[str], most: int | None = None) -> bytes:
    """All of a regular file. Raises `OSError`, also where it has more than `most` bytes (`TooLarge`)."""
    with opened(path) as file:
        if most is None:
            return file.readall() or b""
        data = b"".join(iter(lambda: file.read(min(most + 1, 1 << 20)), b"")) if _fits(file, most) else None
    if data is None or len(data) > most:
        raise TooLarge(errno.EFBIG, f"it has more than {most:,} bytes", os.fspath(path))
    return data


def read_text(path: str | os.PathLike[str], most: int | None = MOST_TEXT) -> str:
    """A regular file of UTF-8, a byte-order mark left out. Raises `OSError`, `UnicodeDecodeError`."""
    return read_bytes(path, most).decode("utf-8-sig")


def is_regular(path: str | os.PathLike[str]) -> bool:
    """Whether a regular file is there, also behind a link; what cannot be looked at is none."""
    return os.path.isfile(path)  # noqa: PTH113 - Path's own raises below what may not be read


def kind(path: str | os.PathLike[str]) -> str:
    """What is there, in words: "a named pipe"."""
    try:
        return _named(os.stat(path).st_mode)  # noqa: PTH116 - see above
    except OSError as exc:
        return "a link that leads nowhere" if os.path.islink(path) else f"nothing ({exc.strerror})"  # noqa: PTH114


def exists(path: Path) -> bool:
    """Whether anything has that name."""
    return os.path.lexists(path)


def _fits(file: io.FileIO, most: int) -> bool:
    return os.fstat(file.fileno()).st_size <= most


def _named(mode: int) -> str:
    return next(
        (name for is_kind, name in _KINDS if is_kind(mode)), "a regular file" if stat.S_ISREG(mode) else "no file"
    )
