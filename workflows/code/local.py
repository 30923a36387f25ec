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

_FRONT = Path(jeyn.errors.__file__).resolve().parent
_JEYN = (_FRONT, *((_FRONT / room).resolve() for room in ("sdk", "stores", "workflows", "deploy", "components")))

_PYTHON = tuple(Path(sysconfig.get_path(each)).resolve() for each in ("stdlib", "platstdlib"))


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
    """Where the sources of a library lie that is no installed copy: on `PYTHONPATH`, installed as editable.

    None for what is installed, Python's own, Jeyn, of the project, or not there.
    """
    if top == "jeyn" or top in sys.stdlib_module_names or top in sys.builtin_module_names:
        return None
    return _library_folder(top, root, tuple(sys.path))


@cache
def _library_folder(top: str, root: Path, _path: tuple[str, ...]) -> Path | None:
    spec = _spec_of(top)
    places = [spec.origin] if spec and spec.origin else list(getattr(spec, "submodule_search_locations", None) or [])
    if not places or not Path(places[0]).exists():
        return None
    path = Path(places[0]).resolve()
    folder = path.parent.parent if path.stem == "__init__" else path.parent
    if is_local(path, root) or _is_installed(path) or not _is_own_folder(folder, folder):
        return None
    return folder


def _spec_of(top: str) -> ModuleSpec | None:
    try:
        return find_spec(top)
    except (ImportError, ValueError, AttributeError):  # a module that somebody put into `sys.modules` may have none
        return None


def _is_installed(path: Path) -> bool:
    return any(is_environment(each) for each in path.parents) or any(path.is_relative_to(each) for each in _PYTHON)


@cache
def _is_own_folder(folder: Path, root: Path) -> bool:
    if any(folder == own or folder.is_relative_to(own) for own in _JEYN):
        return False
    if folder == root:
        return True
    return not is_environment(folder) and _is_own_folder(folder.parent, root)
