"""A little room on the disk of a home, kept for the day when there is none: only a sweep may use it.

Freeing bytes takes some: the catalog writes down what goes before it goes.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from jeyn.stores.access import create

NAME, BYTES = "reserve", 1 << 20


def keep(home: Path) -> None:
    """See to it that the reserve is there; a disk that has no room for it has none."""
    path = home / NAME
    with suppress(OSError):
        if not home.is_dir() or path.exists():
            return
        descriptor = create(path)
        try:
            os.posix_fallocate(descriptor, 0, BYTES)
        except OSError:
            path.unlink()
        finally:
            os.close(descriptor)


@contextmanager
def used(home: Path) -> Iterator[None]:
    """Where the disk is full, its room is free in the block; afterwards it is kept again."""
    if is_full(home):
        with suppress(OSError):
            (home / NAME).unlink()
    try:
        yield
    finally:
        keep(home)


def is_full(folder: Path) -> bool:
    """Whether its disk has less room than the reserve has."""
    try:
        return shutil.disk_usage(folder).free < BYTES
    except OSError:
        return False
