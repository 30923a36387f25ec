"""Who may read what Jeyn writes: its user alone, or the group where the home says `shared: group`.

A shared home is a folder of its group, as `chmod 2770` makes it, and what is written below it follows it. So whoever
writes there, with or without the setting, leaves files that the others can use. The umask has no say: it belongs to
the process, and operations set it.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

GROUP = "group"
_SHARED = stat.S_ISGID | stat.S_IRGRP | stat.S_IWGRP | stat.S_IXGRP


def is_shared(folder: Path) -> bool:
    """Whether what is written there is the group's; of a folder that is still to be made, what is above it says so."""
    for each in (folder, *folder.parents):
        try:
            return each.stat().st_mode & _SHARED == _SHARED
        except OSError:
            continue
    return False


def file_mode(folder: Path) -> int:
    """The mode of a file in that folder: 0600, or 0660."""
    return 0o660 if is_shared(folder) else 0o600


def make_folder(path: Path, *, shared: bool = False) -> None:
    """Make a folder and what is missing above it, for its user alone or, below a shared one or with `shared`, the
    group. One that is there stays as it is."""
    if path.is_dir():
        return
    shared = shared or is_shared(path.parent)
    if not path.parent.is_dir():
        make_folder(path.parent, shared=is_shared(path.parent))
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        if not path.is_dir():
            raise
        return
    if shared:
        path.chmod(0o2770)


def create(path: Path, flags: int = os.O_EXCL) -> int:
    """The descriptor of a file to write, made with the mode of its folder; one that is there keeps its own."""
    mode = file_mode(path.parent)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | flags, mode)
    if mode != 0o600 and os.fstat(descriptor).st_size == 0:
        with suppress(PermissionError):  # another member of the group made it
            os.fchmod(descriptor, mode)
    return descriptor


def writing(path: Path, flags: int = os.O_TRUNC) -> BinaryIO:
    """A file to write, made with the mode of its folder."""
    return os.fdopen(create(path, flags), "wb")


def see_to_file(path: Path) -> None:
    """Make an empty file unless it is there, so that a library that would make it finds it with its mode."""
    if not path.exists():
        os.close(create(path, 0))


def share(home: Path) -> None:
    """Give a home, and all that is in it already, to its group."""
    if not home.is_dir():
        make_folder(home, shared=True)
    if is_shared(home):
        return
    for folder, _, files in os.walk(home):
        for name in files:
            path = Path(folder, name)
            if not path.is_symlink():
                mode = path.stat().st_mode
                path.chmod(mode & 0o700 | (mode & 0o700) >> 3)
        if Path(folder) != home:
            Path(folder).chmod(0o2770)
    home.chmod(0o2770)  # last: what was cut off begins again
