"""The folder of files still being written: where it lies for stores without a disk, and how it is swept."""

from __future__ import annotations

import math
import os
import shutil
import tempfile
import time
from pathlib import Path

from jeyn.errors import NotAllowed
from jeyn.stores.payloads.failures import os_errors


def private_folder() -> Path:
    """One folder per user below the machine's temporary folder, so that a later process can sweep it."""
    folder = Path(tempfile.gettempdir()) / f"jeyn-staging-{os.getuid()}"
    with os_errors(f"make '{folder}'"):
        folder.mkdir(mode=0o700, exist_ok=True)
        seen = folder.lstat()
    # Anyone may make names in the temporary folder; one that somebody else made could be swapped under us.
    if seen.st_uid != os.getuid() or seen.st_mode & 0o170077 != 0o040000:
        raise NotAllowed(f"'{folder}' is not a private folder of this user", hint="remove it, or set TMPDIR")
    return folder


def sweep(folder: Path, older_than_s: float) -> int:
    """Remove entries in which nothing was written for that many seconds; returns how many."""
    limit, removed = time.time() - older_than_s, 0
    with os_errors(f"sweep '{folder}'"):
        for entry in folder.iterdir() if folder.is_dir() else ():
            if _last_written(entry) < limit:
                _remove(entry)
                removed += 1
    return removed


def _last_written(entry: Path) -> float:
    """The time of the newest write; what vanishes while it is looked at is in use."""
    try:
        below = entry.rglob("*") if entry.is_dir() and not entry.is_symlink() else ()
        times: list[float] = [path.lstat().st_mtime for path in (entry, *below)]
        return max(times)
    except FileNotFoundError:
        return math.inf


def _remove(entry: Path) -> None:
    if entry.is_dir() and not entry.is_symlink():
        shutil.rmtree(entry, ignore_errors=True)
    else:
        entry.unlink(missing_ok=True)
