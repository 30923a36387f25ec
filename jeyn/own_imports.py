# ruff: noqa: PTH109, PTH100, PTH113, PTH118, PTH120, PTH208
"""What Jeyn and its libraries import is never a file of the user's project that happens to have the same name.

A project's folder comes before Python's own modules on `sys.path`, so a `queue.py` or `numpy.py` in it would be run by
whoever imports that name. Here such a name means the real module to everybody but the project's own files; they get
their file, as usual, under another name in `sys.modules`. It is the first thing that `import jeyn` does, so it imports
nothing that is not loaded when Python starts.
"""

import builtins
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from importlib.machinery import ModuleSpec, PathFinder
    from types import ModuleType
    from typing import Any

PROJECT = "jeyn_project"  # the package that such files of the project are modules of
# What Jeyn's own dependencies are imported as; tests/test_own_imports.py compares it with what is installed.
LIBRARIES = frozenset(
    """alembic annotated_types attr attrs bottleneck certifi cffi charset_normalizer click cloudpickle
    cryptography dateutil filelock fsspec functorch google greenlet hera idna jinja2 joblib jsonschema
    jsonschema_specifications lightgbm mako markdown_it markupsafe mdurl ml_dtypes mpmath narwhals networkx
    numexpr numpy obstore onnx packaging pandas pathspec polars prettytable psycopg psycopg_binary pyarrow
    pycparser pydantic pydantic_core pygments pytz referencing requests rfc8785 rich rpds safetensors scipy
    setuptools six sklearn skops sqlalchemy sympy threadpoolctl torch torchgen triton typing_extensions
    typing_inspection tzdata urllib3 wcwidth yaml""".split()  # noqa: SIM905 - as people read it
)
# Loaded before any code of a project can be asked for: nobody gets a file of that name.
_AT_START = frozenset(
    ["abc", "codecs", "encodings", "genericpath", "io", "os", "posixpath", "site", "stat", "zipimport"]
)
_JEYN = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))


class _Guard:
    """The finder that is asked first. `files` are the project's files by the name that they share with others."""

    def __init__(self) -> None:
        self.files: dict[str, str] = {}
        self.folders: list[str] = []
        self.import_: Callable[..., ModuleType] | None = None

    def find_spec(self, name: str, path: "Sequence[str] | None" = None, target: object = None) -> "ModuleSpec | None":
        if path is not None or name not in self.files:
            return None
        return _path_finder().find_spec(name, [entry for entry in sys.path if is_installed(entry)])

    def __call__(
        self,
        name: str,
        globals: "Mapping[str, Any] | None" = None,
        locals: "Mapping[str, Any] | None" = None,
        fromlist: "Sequence[str] | None" = (),
        level: int = 0,
    ) -> "Any":
        assert self.import_ is not None  # noqa: S101 - it is in its place only then
        top = name.partition(".")[0]
        if level or top not in self.files or top in _AT_START or not self._is_users(globals):
            return self.import_(name, globals, locals, fromlist, level)
        found = self.import_(f"{PROJECT}.{name}", globals, locals, fromlist, 0)
        return found if fromlist else getattr(found, top)

    def _is_users(self, space: "Mapping[str, Any] | None") -> bool:
        file = str((space or {}).get("__file__") or "")
        return not is_installed(file) and any(file.startswith(f"{folder}/") for folder in self.folders)


_guard = _Guard()


def guard(folder: str | None = None) -> None:
    """See to it that a project's folder, or those on `sys.path` now, lends no file to the imports of others."""
    for each in [folder] if folder is not None else sys.path:
        place = os.path.realpath(each or os.getcwd())
        if place not in _guard.folders and not is_installed(place) and not is_of_jeyn(place):
            found = same_named(place)
            if found:
                _enter(place, found)
                _guard.folders.append(os.path.abspath(each))


def same_named(folder: str) -> dict[str, str]:
    """Name -> file, of the modules and packages in a folder that are named like one of Python's own or of a library."""
    found: dict[str, str] = {}
    try:
        entries = sorted(os.listdir(folder))
    except OSError:
        return found
    for entry in entries:
        name = entry[:-3] if entry.endswith(".py") else entry
        path = os.path.join(folder, entry if name != entry else f"{entry}/__init__.py")
        if (name in sys.stdlib_module_names or name in LIBRARIES) and os.path.isfile(path) and _is_real(name):
            found[name] = path
    return found


def _enter(folder: str, found: dict[str, str]) -> None:
    _guard.folders.append(folder)
    _guard.files.update(found)
    package = sys.modules.setdefault(PROJECT, type(sys)(PROJECT))
    package.__path__ = list(_guard.folders)
    for name, path in found.items():
        loaded = sys.modules.get(name)
        if loaded is not None and os.path.realpath(getattr(loaded, "__file__", None) or "") == path:
            sys.modules[f"{PROJECT}.{name}"] = sys.modules.pop(name)
            setattr(package, name, loaded)
    if _guard not in sys.meta_path:
        sys.meta_path.insert(0, _guard)
    if _guard.import_ is None:
        _guard.import_ = builtins.__import__
        builtins.__import__ = _guard


def _is_real(name: str) -> bool:
    """Whether there is another module of that name; Python's own may be left out of a distribution."""
    if name in sys.builtin_module_names:
        return True
    return _path_finder().find_spec(name, [entry for entry in sys.path if is_installed(entry)]) is not None


def _path_finder() -> "type[PathFinder]":
    found: Any = next(each for each in sys.meta_path if getattr(each, "__name__", "") == "PathFinder")
    return found  # type: ignore[no-any-return]


def is_installed(path: str) -> bool:
    """Whether a path is Python's own or of installed packages."""
    parts = path.split("/")
    if "site-packages" in parts or "dist-packages" in parts:
        return True
    # The folder of programs that pip installed, and Python's library: lib/python3.12, its archive and lib-dynload.
    below = [
        place for place in (os.path.dirname(sys.executable), os.path.dirname(os.__file__)) if path.startswith(place)
    ]
    return bool(below) or path.endswith(f"/python{sys.version_info[0]}{sys.version_info[1]}.zip")


def is_of_jeyn(place: str) -> bool:
    return place == _JEYN or place.startswith(f"{_JEYN}/jeyn")
