"""What identifies an operation's code: its function, and whatever of the project that function uses (SEMANTICS 18).

It is static: nothing is imported. Where the text cannot tell what a name is, the whole file counts.
"""

from __future__ import annotations

import builtins
import inspect
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from jeyn.errors import UsageError
from jeyn.sdk.canonical import canonical, sha256_of
from jeyn.sdk.plan import FunctionCode
from jeyn.workflows.code.environment import PYTHON, version_of, versions_for
from jeyn.workflows.code.local import is_local, module_files, search_folders
from jeyn.workflows.code.notebook import notebook_parts
from jeyn.workflows.code.source import SourceFile, imports_for, read_source
from jeyn.workflows.code.statements import Import

_GIVEN = frozenset(dir(builtins)) | {"__file__", "__name__", "__doc__", "__package__", "__spec__"}
NOTEBOOK = "notebook"


def function_code(
    function: Callable[..., Any], *, root: Path, uses: Sequence[str] = (), source: str | None = None
) -> FunctionCode:
    """The digests of what a function is made of, each part named for people (`pipeline.py:train`, `lib/models.py`).

    `uses` declares modules or files that are imported dynamically. `source` is the text of a module that is no file:
    a notebook's. Jeyn itself is left out, since what it writes carries versions of its own: upgrading it keeps the
    cache.
    """
    function = inspect.unwrap(getattr(function, "function", function))
    trace = _Trace(root.resolve(), function.__qualname__)
    top = function.__qualname__.partition(".")[0]
    if source is not None:
        trace.add_notebook(source)
    else:
        trace.add_function(_file_of(function), function.__module__, top)
    for each in uses:
        trace.add_declared(each)
    return trace.result()


class _Place:
    """A source file and what its parts are called."""

    def __init__(self, path: Path | None, label: str, source: SourceFile) -> None:
        self.path = path
        self.label = label
        self.source = source


class _Trace:
    """The walk from a function to all that it uses, gathering parts as it goes."""

    def __init__(self, root: Path, function: str) -> None:
        self.root = root
        self.function = function
        self.folders = search_folders(root)
        self.parts: dict[str, str] = {}
        self.versions: dict[str, str] = {}
        self._places: dict[Path, _Place] = {}
        self._modules: set[str] = set()

    def result(self) -> FunctionCode:
        # A whole file says all that its names say.
        covered = {name for name in self.parts if ":" in name and name.partition(":")[0] in self.parts}
        parts = {name: self.parts[name] for name in sorted(self.parts) if name not in covered}
        versions = dict(sorted(self.versions.items()))
        return FunctionCode(
            # The name too: two functions of one file that counts as a whole have the same parts.
            digest=sha256_of(canonical({"function": self.function, "parts": parts})),
            environment=sha256_of(canonical({"python": PYTHON, "distributions": versions})),
            parts=parts,
            distributions=versions,
        )

    def add_notebook(self, source: str) -> None:
        """A module that was made for one operation: all of it counts."""
        self.parts |= notebook_parts(source, NOTEBOOK)
        self._add_imports(_Place(None, NOTEBOOK, SourceFile(source.encode())), SourceFile(source.encode()).imports)

    def add_function(self, path: Path, module: str, name: str) -> None:
        if is_local(path, self.root):
            self.add_name(self._place(path), name)
        else:  # an operation out of an installed package
            self.parts[module] = read_source(path).digest
            self._add_import(None, module)

    def add_declared(self, name: str) -> None:
        """A module or file of `uses=`."""
        if "/" in name or (self.root / name).is_file():
            path = (self.root / name).resolve()
            if not path.is_file() or not path.is_relative_to(self.root):
                raise UsageError(
                    f'uses= names the file "{name}", which is not in the project', hint=f"it starts at {self.root}"
                )
            self.add_whole(self._place(path))
        elif not self._add_import(None, name):
            raise UsageError(f'uses= names "{name}", which is no module', hint="give a module or a file of the project")

    def add_name(self, place: _Place, name: str) -> None:
        """What a module's name is, and all that this needs in turn."""
        waiting = [name]
        while waiting:
            name = waiting.pop()
            key = f"{place.label}:{name}"
            if key in self.parts or place.label in self.parts:
                continue
            found = place.source.touching(name)
            if not found:
                if name not in _GIVEN or place.source.statements.unclear:
                    self.add_whole(place)
                continue
            self.parts[key] = place.source.name_digest(name)
            for statement in found:
                self._add_imports(place, imports_for(statement, name))
                waiting += sorted(statement.uses)

    def add_whole(self, place: _Place) -> None:
        if place.label not in self.parts:
            self.parts[place.label] = place.source.digest
            self._add_imports(place, place.source.imports)

    def _place(self, path: Path) -> _Place:
        if path not in self._places:
            label = path.relative_to(self.root).as_posix()
            self._places[path] = _Place(path, label, read_source(path))
        return self._places[path]

    def _add_imports(self, place: _Place, imports: Iterable[Import]) -> None:
        for each in imports:
            module = self._absolute(place, each)
            self._add_import(place, module)
            if each.name not in (None, "*"):
                self._add_import(place, f"{module}.{each.name}" if module else str(each.name), is_guess=True)

    def _absolute(self, place: _Place, each: Import) -> str:
        if not each.level or place.path is None:
            return each.module
        inside = [folder for folder in self.folders if place.path.is_relative_to(folder)]
        folder = max(inside, key=lambda each: len(each.parts), default=self.root)
        package = place.path.relative_to(folder).parent.parts
        base = package[: len(package) - each.level + 1]
        return ".".join([*base, each.module] if each.module else base)

    def _add_import(self, place: _Place | None, module: str, *, is_guess: bool = False) -> bool:
        """What importing a module runs. `is_guess`: the last part may be a name in it instead."""
        top = module.partition(".")[0]
        if not top or top == "jeyn" or module in self._modules:
            return bool(top)
        self._modules.add(module)
        local = self._local(module, top)
        for path in local:
            self.add_whole(self._place(path))
        if local or top in sys.stdlib_module_names or is_guess:
            return True
        found = versions_for(top) or version_of(top)
        self.versions.update(found)
        return bool(found)

    def _local(self, module: str, top: str) -> list[Path]:
        for folder in self.folders:
            if module_files(top, folder):
                return module_files(module, folder)
        if top in sys.stdlib_module_names or versions_for(top):
            return []
        # A folder without __init__.py comes last, as it does for Python.
        folders = (folder for folder in self.folders if (folder / top).is_dir())
        return next((module_files(module, folder) for folder in folders), [])


def _file_of(function: Callable[..., Any]) -> Path:
    file = getattr(sys.modules.get(function.__module__), "__file__", None) or function.__code__.co_filename
    path = Path(file).resolve()
    if path.suffix != ".py" or not path.is_file():
        raise UsageError(
            f'the source of "{function.__module__}:{function.__qualname__}" is not at hand',
            hint="define the operation in a .py file of the project or in a notebook cell",
        )
    return path
