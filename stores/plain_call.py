"""What an operation called as a plain function finds in `jeyn.context()`: a seed, and a folder for its files."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from jeyn.errors import NotAllowed

SEED = 0  # no cache key, so no seed of its own: the same in each plain call, on each machine


def scratch_until_exit() -> Path:
    """A new folder for temporary files, gone when this process ends."""
    try:
        folder = Path(tempfile.mkdtemp(prefix="jeyn-scratch-"))
    except OSError as exc:
        raise NotAllowed(
            f"no scratch folder can be made ({exc})", hint="TMPDIR names where temporary files may be"
        ) from exc
    atexit.register(_remove, folder, os.getpid())
    return folder


def _remove(folder: Path, owner: int) -> None:
    if os.getpid() == owner:  # a forked child ends earlier, and the folder is not its own
        shutil.rmtree(folder, ignore_errors=True)
