"""Turns operating system errors into Jeyn's own, at the edge of the payload stores."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from jeyn.errors import JeynError, NoSpace, NotAllowed, NotFound, Unreachable, UsageError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS}
_WRONG_PLACE = {errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.ELOOP}


@contextmanager
def os_errors(doing: str) -> Iterator[None]:
    """Translate every `OSError` of the block; `doing` completes the sentence "cannot …", with its value in quotes."""
    try:
        yield
    except JeynError:
        raise
    except OSError as exc:
        raise translated(exc, doing) from exc


def translated(exc: OSError, doing: str) -> JeynError:
    message = f"cannot {doing}: {exc.strerror or exc}"
    if exc.errno in _FULL:
        return NoSpace(message, hint="free some space, or point JEYN_PAYLOADS at a larger disk, and try again")
    if exc.errno in _DENIED:
        return NotAllowed(message, hint="check who owns it, its permissions and whether its disk is read-only")
    if exc.errno == errno.ENOENT:
        return NotFound(message, hint="check the path")
    if exc.errno in _WRONG_PLACE:
        return UsageError(message, hint="a file stands where a folder is needed, or the other way round")
    return Unreachable(message, hint="check the disk or the network mount, then try again")
