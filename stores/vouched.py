"""Payload files that need not be hashed again: they look as they did when all of their bytes were checked last.

A look is size, times, inode and device. The time of change is one of them: whoever writes to a file and puts its other
time back is seen. What changes bytes without a write, a disk's fault, `fsck` finds; it always reads everything.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from jeyn.stores.payloads.failures import os_errors

if TYPE_CHECKING:
    import os

    from jeyn.stores.workspace import Workspace


def check(workspace: Workspace, digest: str, path: Path) -> None:
    """Read the payload's own file and check it, unless that was done since it was touched; raises `Corrupt`."""
    before = _seen(path)
    cache, place = workspace.stat_cache, workspace.payloads.url
    if cache.get(place, digest, before.st_size, _look(before)) == f"sha256:{digest}":
        return
    started = time.time_ns()
    with workspace.payloads.open(digest):
        pass  # leaving the block has read and checked all of it
    if _look(_seen(path)) == _look(before):
        latest = max(before.st_mtime_ns, before.st_ctime_ns)
        size, look = before.st_size, _look(before)
        cache.put(place, digest, size, look, f"sha256:{digest}", changed_ns=latest, hashed_ns=started)


def distrust(workspace: Workspace, digest: str) -> None:
    """Forget that a payload was ever checked."""
    workspace.stat_cache.forget(workspace.payloads.url, digest)


def _seen(path: Path) -> os.stat_result:
    with os_errors(f"look at '{path}'"):
        return path.stat()


def _look(seen: os.stat_result) -> str:
    return f"{seen.st_mtime_ns}:{seen.st_ctime_ns}:{seen.st_ino}:{seen.st_dev}:{seen.st_size}"
