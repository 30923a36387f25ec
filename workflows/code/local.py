"""Which files are the user's own, and where a module of theirs lies: what the code package and its digests share."""

from __future__ import annotations

import os
import sys
import sysconfig
from functools import cache
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from os.path import isfile
from pathlib import Path

import jeyn.errors
from jeyn.regular import real

_FRONT = Path(jeyn.errors.__file__).resolve().parent
_JEYN = (_FRONT, *((_FRONT / room).resolve() for room in ("sdk", "stores", "workflows", "deploy", "components")))

_PYTHON = tuple(Path(sysconfig.get_path(each)).resolve() for each in ("stdlib", "platstdlib"))


def is_local(path: Path, root: Path) -> bool:
    """Whether a resolved path is the user's own: below the root, in no virtual environment, and not Jeyn's."""
    return path.is_relative_to(root) and _is_own_folder(path.parent, root)


def is_library(path: Path, root: Path) -> bool:
    """Whether a resolved path is source code beside the project: neither of it, nor installed, nor Jeyn's."""
    return not is_local(path, root) and not is_installed(path) and _is_own_folder(path.parent, path.parent)


def is_environment(folder: Path) -> bool:
    """Whether a folder is a virtual environment or holds installed packages."""
    # Not Path.exists, which raises in a folder that may not be read.
    return folder.name in ("site-packages", "dist-packages") or os.path.exists(folder / "pyvenv.cfg")  # noqa: PTH110


def search_folders(root: Path) -> list[Path]:
    """Where the user's modules are looked for: the root, then what of `sys.path` lies below it (`src/`)."""
    below = (real(entry) for entry in sys.path if entry)
    return list(dict.fromkeys([root, *(each for each in below if is_local(each / "module.py", root))]))


def module_files(name: str, folder: Path) -> list[tuple[Path, str]]:
    """The files below `folder` that importing `name` (dotted) runs, packages first, each with its module's name."""
    found = []
    place, parts = str(folder), name.split(".")
    for at, part in enumerate(parts, 1):
        place += f"/{part}"
        package, module = f"{place}/__init__.py", f"{place}.py"
        file = next((each for each in (package, module) if isfile(each)), "")  # noqa: PTH113 - a third of the time
        if file:
            found.append((Path(file), ".".join(parts[:at])))
    return found


def library_folder(top: str, root: Path) -> Path | None:
    """Where the sources of a library lie that is no installed copy; of one that lies in several, the first."""
    return next(iter(library_folders(top, root)), None)


def library_folders(top: str, root: Path) -> tuple[Path, ...]:
    """The folders from which a library is imported that is no installed copy: on `PYTHONPATH`, installed as editable.

    Packages without `__init__.py` may lie in several. None for what is installed, Python's own, Jeyn, of the project,
    or not there.
    """
    if top == "jeyn" or top in sys.stdlib_module_names or top in sys.builtin_module_names:
        return ()
    return _library_folders(top, root, tuple(sys.path))


@cache
def _library_folders(top: str, root: Path, _path: tuple[str, ...]) -> tuple[Path, ...]:
    spec = _spec_of(top)
    places = [spec.origin] if spec and spec.origin else list(getattr(spec, "submodule_search_locations", None) or [])
    paths = [Path(each).resolve() for each in places if Path(each).exists()]
    folders = [(path, path.parent.parent if path.stem == "__init__" else path.parent) for path in paths]
    return tuple(
        folder
        for path, folder in folders
        if not is_local(path, root) and not is_installed(path) and _is_own_folder(folder, folder)
    )


def _spec_of(top: str) -> ModuleSpec | None:
    try:
        return find_spec(top)
    except (ImportError, ValueError, AttributeError):  # a module that somebody put into `sys.modules` may have none
        return None


def is_installed(path: Path) -> bool:
    """Whether a resolved path is Python's own or in a virtual environment."""
    return any(is_environment(each) for each in path.parents) or any(path.is_relative_to(each) for each in _PYTHON)


@cache
def _is_own_folder(folder: Path, root: Path) -> bool:
    if any(folder == own or folder.is_relative_to(own) for own in _JEYN):
        return False
    return not any(
        is_environment(each) for each in (folder, *folder.parents) if each.is_relative_to(root) and each != root
    )
