"""What identifies an operation's code: its function, and whatever of the project that function uses (SEMANTICS 18).

It is static but for values: where the text cannot tell what a name is, the whole file counts; where it cannot tell what
data a name holds, that data counts.
"""

from __future__ import annotations

import builtins
import importlib
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jeyn.errors import UsageError
from jeyn.regular import real
from jeyn.sdk.canonical import canonical, sha256_of
from jeyn.sdk.plan import FunctionCode
from jeyn.workflows.code.environment import PYTHON, version_of, versions_for, versions_named
from jeyn.workflows.code.local import is_local, library_folders, module_files, search_folders
from jeyn.workflows.code.notebook import notebook_parts
from jeyn.workflows.code.reads import files_read
from jeyn.workflows.code.source import SourceFile, imports_for, read_source
from jeyn.workflows.code.statements import EVERY, Import, Statement
from jeyn.workflows.code.values import (
    changed_digest,
    is_closed,
    is_drawn,
    is_plain,
    modules_in,
    names_with_values,
    part_name,
    texts_in,
    value_digest,
)

_GIVEN = frozenset(dir(builtins)) | {"__file__", "__name__", "__doc__", "__package__", "__spec__"}
NOTEBOOK = "notebook"
MODULE = "<module>"  # what importing a file does, as tracebacks call it


def function_code(
    function: Callable[..., Any],
    *,
    root: Path,
    uses: Sequence[str] = (),
    source: str | None = None,
    values: bool = True,
) -> FunctionCode:
    """The digests of what a function is made of, each part named for people (`pipeline.py:train`, `lib/models.py`).

    What importing a file does beside defining is `pipeline.py:<module>`, what its text does not tell about a name that
    is used is `value of pipeline.py:CONFIG`, read from the imported modules, and what importing them read beside is
    `params.json (read at import)` (both left out without `values`). `uses` declares modules or files that are imported
    dynamically. `source` is the text of a module that is no file: a notebook's. Jeyn itself is left out, since what it
    writes carries versions of its own: upgrading it keeps the cache.
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
    trace.add_named()
    if values:
        trace.add_values(function)
        trace.add_named()
        trace.add_reads()
    return trace.result()


def code_of_parts(function: str, parts: Mapping[str, str], versions: Mapping[str, str]) -> FunctionCode:
    """The code of a function from its name and parts, and the versions of the distributions that it imports."""
    parts, versions = dict(sorted(parts.items())), dict(sorted(versions.items()))
    return FunctionCode(
        # The name too: two functions of one file that counts as a whole have the same parts.
        digest=sha256_of(canonical({"function": function, "parts": parts})),
        environment=sha256_of(canonical({"python": PYTHON, "distributions": versions})),
        parts=parts,
        distributions=versions,
    )


class _Place:
    """A source file, what its parts are called, and by which name it is imported."""

    def __init__(self, path: Path | None, label: str, source: SourceFile) -> None:
        self.path = path
        self.label = label
        self.source = source
        self.module = ""
        self.names: set[str] = set()
        self.is_whole = False
        self.has_effects = False  # they are among the parts, or nothing
        self.texts: set[str] = set()  # in values of its names, which may be names of modules
        self.untold: set[str] = set()  # those of its names whose value may hold more than a digest tells


class _Trace:
    """The walk from a function to all that it uses, gathering parts as it goes."""

    def __init__(self, root: Path, function: str) -> None:
        self.root = root
        self.function = function
        self.folders = search_folders(root)
        self.parts: dict[str, str] = {}
        self.versions: dict[str, str] = {}
        self._places: dict[str, _Place] = {}
        self._modules: set[str] = set()
        self._waiting: list[tuple[_Place, str]] = []
        self._known: dict[str, tuple[list[tuple[Path, str]], Path | None]] = {}

    def result(self) -> FunctionCode:
        places = self._places.values()
        docs = any(place.source.reads_docs for place in places)
        if any(place.source.reads_source for place in places):
            parts = {place.label: sha256_of(place.source.text) for place in places} | self.parts
        else:
            parts = {name: digest for place in places for name, digest in _parts(place, docs)} | self.parts
        return code_of_parts(self.function, parts, self.versions)

    def add_notebook(self, source: str) -> None:
        """A module that was made for one operation: all of it counts."""
        self.parts |= notebook_parts(source, NOTEBOOK)
        place = _Place(None, NOTEBOOK, SourceFile(source.encode()))
        self._add_imports(place, place.source.imports)

    def add_function(self, path: Path, module: str, name: str) -> None:
        if is_local(path, self.root):
            self.add_name(self._place(path), name)
        elif folder := self._library_of(path, module):
            self.add_name(self._place(path, module, folder), name)
        else:  # an operation out of an installed package
            self.parts[module] = read_source(path).digest
            self._add_import(None, module)

    def _library_of(self, path: Path, module: str) -> Path | None:
        folders = library_folders(module.partition(".")[0], self.root)
        return next((folder for folder in folders if path.is_relative_to(folder)), None)

    def add_declared(self, name: str) -> None:
        """A module or file of `uses=`."""
        if "/" in name or (self.root / name).is_file():
            path = real(self.root / name)
            if not path.is_file() or not path.is_relative_to(self.root):
                raise UsageError(
                    f'uses= names the file "{name}", which is not in the project', hint=f"it starts at {self.root}"
                )
            self.add_whole(self._place(path))
        elif not self._add_import(None, name):
            raise UsageError(f'uses= names "{name}", which is no module', hint="give a module or a file of the project")
        self._walk()

    def add_name(self, place: _Place, name: str) -> None:
        """What a module's name is, and all that this needs in turn."""
        self._places.setdefault(place.label, place)
        self._waiting.append((place, name))
        self._walk()

    def add_whole(self, place: _Place) -> None:
        if not place.is_whole:
            place.is_whole = True
            self._add_imports(place, place.source.imports)
            self._add_files(place, place.source.statements.body)

    def add_values(self, function: Callable[..., Any]) -> None:
        """What the names that are used are worth now, where the text does not say it and data can hold it."""
        own = function.__globals__ if hasattr(function, "__globals__") else {}
        done: set[str] = set()
        while waiting := [place for place in self._places.values() if place.label not in done]:
            for place in waiting:
                done.add(place.label)
                self._add_values_of(place, own)
            self._walk()

    def add_named(self) -> None:
        """Modules of the project that texts name, such as `"models.Net"` in a configuration, if any is imported so."""
        before = -1
        while before < len(self._places) and any(each.source.statements.imports_by_name for each in self._all()):
            before = len(self._places)
            for place in self._all():
                statements = place.source.statements
                found = (each for name in place.names for each in statements.touching.get(name, ()))
                for statement in statements.body if place.is_whole else set(found):
                    self._add_texts(place, statement.texts)
                self._add_texts(place, place.texts)
            self._walk()

    def _all(self) -> list[_Place]:
        return list(self._places.values())

    def add_reads(self) -> None:
        """The files that importing opened, where no value tells what was in them."""
        for place in self._places.values():
            if place.path is not None and (place.is_whole or place.has_effects):
                statements = place.source.statements
                made = ((name, each) for name in place.untold for each in statements.touching.get(name, ()))
                untold = (each for name, each in made if name in each.symbols.binds)
                self.parts.update(files_read(place.path, {*statements.effects, *untold}, statements.body, self.root))

    def _add_values_of(self, place: _Place, own: Mapping[str, Any]) -> None:
        touching = place.source.statements.touching
        # What the text of a whole file binds nowhere, such as the names that `import *` brings, may be data as well.
        used = touching.keys() | place.source.statements.used if place.is_whole else place.names
        names = names_with_values(touching, used, frozenset(each.alias for each in place.source.imports))
        space = _namespace(place, own, is_needed=bool(names))
        for name in sorted(used & space.keys()):
            if name in names:
                digest = value_digest(space[name], self.root)
                for module in modules_in(space[name]):
                    self._add_import(None, module)
            else:
                digest = changed_digest(space[name], touching.get(name, []), self.root)
            if name in names and not is_plain(space[name]) and not is_closed(space[name]):
                place.untold.add(name)
            elif name in names:
                place.texts |= texts_in(space[name])
            part = part_name(place.label, name, touching) if digest else ""
            if digest and not is_drawn(space[name], part, touching.get(name, [])):
                self.parts[part] = digest

    def _walk(self) -> None:
        while self._waiting:
            place, name = self._waiting.pop()
            if name in place.names or place.is_whole:
                continue
            found = place.source.touching(name)
            if not found:
                if name not in _GIVEN | place.source.statements.types or place.source.statements.unclear:
                    self.add_whole(place)
                continue
            self._add_effects(place)
            place.names.add(name)
            for statement in found:
                self._add_imports(place, imports_for(statement, name))
                self._add_files(place, [statement])
                self._waiting += [(place, each) for each in sorted(statement.uses)]

    def _add_effects(self, place: _Place) -> None:
        """What importing a file does to others, and what the modules that it imports do when they are imported."""
        if place.has_effects:
            return
        place.has_effects = True
        statements = place.source.statements
        for statement in statements.effects:
            self._add_imports(place, statement.imports)
            self._add_files(place, [statement])
            self._waiting += [(place, each) for each in sorted(statement.uses)]
        for each in statements.imports_at_once:
            if each.alias not in statements.used:
                self._add_imports(place, [each])
                continue
            for path, module in self._modules_of(place, each):
                self._add_effects(self._place(path, module))

    def _place(self, path: Path, module: str = "", folder: Path | None = None) -> _Place:
        base = folder or self.root
        label = path.relative_to(base).as_posix() if path.is_relative_to(base) else path.name
        if label not in self._places:
            self._places[label] = _Place(path, label, read_source(path))
        found = self._places[label]
        found.module = found.module or module
        return found

    def _add_imports(self, place: _Place, imports: Iterable[Import]) -> None:
        for each in imports:
            module = self._absolute(place, each)
            if each.name == EVERY:
                self._add_package(place, module)
                continue
            self._add_import(place, module)
            if each.name not in (None, "*"):
                self._add_import(place, f"{module}.{each.name}" if module else str(each.name), is_guess=True)

    def _add_package(self, place: _Place, module: str) -> None:
        """All modules of a package, of which any may be imported."""
        for folder in self.folders:
            inside = folder.joinpath(*module.split("."))
            for path in sorted(inside.glob("*.py")) if inside.is_dir() else ():
                self._add_import(place, module if path.stem == "__init__" else f"{module}.{path.stem}")

    def _add_texts(self, place: _Place, texts: Iterable[str]) -> None:
        """Modules of the project by names in its text; of `"plugins." + x` all of that package."""
        for text in sorted(texts):
            module = text.strip(".")
            within = self._absolute(place, Import(module, None, 1, ""))
            if text.endswith("."):
                self._add_package(place, module)
            for each in dict.fromkeys((module, within)):
                if not text.endswith(".") and self._local(each, each.partition(".")[0])[0]:
                    self._add_import(place, each)

    def _add_files(self, place: _Place, statements: Iterable[Statement]) -> None:
        """What is imported or run by its name: `runpy.run_path("x.py")`, `exec(open("x.py").read())`."""
        statements = list(statements)
        for statement in statements:
            self.versions.update(versions_named(statement.words) if place.source.reads_metadata else {})
        for text in (each for statement in statements for each in statement.files):
            for base in (self.root, place.path.parent if place.path else self.root):
                path = real(base / text)
                if is_local(path, self.root) and path.is_file():
                    self.add_whole(self._place(path))
                    break

    def _modules_of(self, place: _Place, each: Import) -> list[tuple[Path, str]]:
        """The project's files that one name of an import statement runs."""
        module = self._absolute(place, each)
        dotted = [module] if each.name in (None, "*", EVERY) else [module, f"{module}.{each.name}".lstrip(".")]
        found = [pair for name in dotted if name for pair in self._local(name, name.partition(".")[0])[0]]
        return list(dict.fromkeys(found))

    def _absolute(self, place: _Place, each: Import) -> str:
        if not each.level or place.path is None:
            return each.module
        if place.module:
            parts = place.module.split(".")
            package = parts if place.path.name == "__init__.py" else parts[:-1]
        else:
            inside = [folder for folder in self.folders if place.path.is_relative_to(folder)]
            folder = max(inside, key=lambda each: len(each.parts), default=self.root)
            package = list(place.path.relative_to(folder).parent.parts)
        base = package[: len(package) - each.level + 1]
        return ".".join([*base, each.module] if each.module else base)

    def _add_import(self, place: _Place | None, module: str, *, is_guess: bool = False) -> bool:
        """What importing a module runs. `is_guess`: the last part may be a name in it instead."""
        top = module.partition(".")[0]
        if not top or top == "jeyn" or module in self._modules:
            return bool(top)
        self._modules.add(module)
        local, folder = self._local(module, top)
        for path, name in local:
            self.add_whole(self._place(path, name, folder))
        if local or top in sys.stdlib_module_names or is_guess:
            return True
        found = versions_for(top) or version_of(top)
        self.versions.update(found)
        return bool(found)

    def _local(self, module: str, top: str) -> tuple[list[tuple[Path, str]], Path | None]:
        """The files of the user's own that a module is, each with its name, and the folder of a library they are in."""
        if module not in self._known:
            self._known[module] = self._found(module, top)
        return self._known[module]

    def _found(self, module: str, top: str) -> tuple[list[tuple[Path, str]], Path | None]:
        for folder in self.folders:
            found = module_files(module, folder)
            if found and found[0][1] == top:
                return found, None
        if top in sys.stdlib_module_names:
            return [], None
        for library in library_folders(top, self.root):
            if found := module_files(module, library):
                self.versions.update(versions_for(top))  # what its metadata says
                return found, library
        if versions_for(top):
            return [], None
        # A folder without __init__.py comes last, as it does for Python.
        folders = (folder for folder in self.folders if (folder / top).is_dir())
        return next((module_files(module, folder) for folder in folders), []), None


def _parts(place: _Place, docs: bool) -> Iterator[tuple[str, str]]:
    """The parts of one file; a whole file says all that its names say."""
    if place.is_whole:
        yield place.label, place.source.whole_digest(docs=docs)
        return
    if docs and place.source.statements.doc:
        yield f"{place.label}:__doc__", sha256_of(place.source.statements.doc.encode())
    for name in place.names:
        yield f"{place.label}:{name}", place.source.name_digest(name, docs=docs)
    if place.has_effects and place.source.statements.effects:
        yield f"{place.label}:{MODULE}", place.source.effects_digest(docs=docs)


def _namespace(place: _Place, own: Mapping[str, Any], *, is_needed: bool) -> Mapping[str, Any]:
    """The names of an imported file. What a function imports late is imported now where values are needed of it."""
    if place.path is None or _is_of(own, place.path):
        return own
    if not place.module or own.get("__name__") not in sys.modules:
        return {}
    try:
        module = sys.modules.get(place.module) or (importlib.import_module(place.module) if is_needed else None)
    except (Exception, SystemExit):  # it may be one that only some machines can import
        return {}
    return vars(module) if module and _is_of(vars(module), place.path) else {}


def _is_of(space: Mapping[str, Any], path: Path) -> bool:
    file = space.get("__file__")
    return isinstance(file, str) and Path(file).resolve() == path


def _file_of(function: Callable[..., Any]) -> Path:
    file = getattr(sys.modules.get(function.__module__), "__file__", None) or function.__code__.co_filename
    path = Path(file).resolve()
    if path.suffix != ".py" or not path.is_file():
        raise UsageError(
            f'the source of "{function.__module__}:{function.__qualname__}" is not at hand',
            hint="define the operation in a .py file of the project or in a notebook cell",
        )
    return path
