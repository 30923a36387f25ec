"""Which files are the user's own, and where a module of theirs lies: what the code package and its digests share."""

from __future__ import annotations

import os
import sys
from functools import cache
from pathlib import Path

import jeyn.errors

_FRONT = Path(jeyn.errors.__file__).resolve().parent
_JEYN = (_FRONT, *((_FRONT / room).resolve() for room in ("sdk", "stores", "workflows", "deploy", "components")))


def is_local(path: Path, root: Path) -> bool:
    """Whether a resolved path is the user's own: below the root, in no virtual environment, and not Jeyn's."""
    return path.is_relative_to(root) and _is_own_folder(path.parent, root)


def is_environment(folder: Path) -> bool:
    """Whether a folder is a virtual environment or holds installed packages."""
    # Not Path.exists, which raises in a folder that may not be read.
    return folder.name in ("site-packages", "dist-packages") or os.path.exists(folder / "pyvenv.cfg")  # noqa: PTH110


def search_folders(root: Path) -> list[Path]:
    """Where the user's modules are looked for: the root, then what of `sys.path` lies below it (`src/`)."""
    below = (Path(entry).resolve() for entry in sys.path if entry)
    return list(dict.fromkeys([root, *(each for each in below if is_local(each / "module.py", root))]))


def module_files(name: str, folder: Path) -> list[Path]:
    """The files below `folder` that importing `name` (dotted) runs, packages first; those that exist."""
    found = []
    place = folder
    for part in name.split("."):
        place = place / part
        package, module = place / "__init__.py", place.parent / f"{part}.py"
        found += [package] if package.is_file() else [module] if module.is_file() else []
    return found


@cache
def _is_own_folder(folder: Path, root: Path) -> bool:
    if any(folder == own or folder.is_relative_to(own) for own in _JEYN):
        return False
    if folder == root:
        return True
    return not is_environment(folder) and _is_own_folder(folder.parent, root)
