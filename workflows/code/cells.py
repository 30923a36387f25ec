"""A notebook's cells as text: where what lives in the session was written. Nothing of them is run."""

from __future__ import annotations
import __future__

import ast
import linecache
import sys
from collections.abc import Iterator, Sequence
from functools import cached_property, reduce
from types import CodeType, FunctionType
from typing import Any, NamedTuple

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_RUNS_PYTHON = ("%%capture", "%%prun", "%%time", "%%timeit")
_FUTURE = reduce(int.__or__, (getattr(__future__, name).compiler_flag for name in __future__.all_feature_names))
ANNOTATIONS = __future__.annotations.compiler_flag
_SCOPES = (*FUNCTIONS, ast.Lambda, ast.ClassDef)


class Found(NamedTuple):
    """A definition, and the number of the cell that has it: n of In [n]."""

    node: Any
    cell: int


class CellImport(NamedTuple):
    """One name of an import statement; `name` is None for `import module`."""

    module: str
    name: str | None
    alias: str


Key = tuple[CodeType, str]
Codes = dict[Key, list[Found]]


class Cells:
    """The cells that ran, in their order; the place in the list is the number."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.bodies = [parsed(text) for text in texts]
        self._codes: dict[int, Codes] = {}
        self._files: dict[tuple[str, int], Codes] = {}
        self._bodies: dict[str, list[ast.stmt]] = {}

    def function(self, code: CodeType) -> Found | None:
        """The `def` or lambda that a live function's code was compiled from; the newest of equal ones."""
        found = self._sources(code)
        return found[-1] if found else None

    def _sources(self, code: CodeType) -> list[Found]:
        flags = code.co_flags & _FUTURE
        if flags not in self._codes:
            self._codes[flags] = {}
            for number, body in enumerate(self.bodies):
                _add(self._codes[flags], body, number, flags)
        key = normalised(code), code.co_qualname
        return self._codes[flags].get(key) or self._in_file(code.co_filename, flags).get(key, [])

    def _in_file(self, file: str, flags: int) -> Codes:
        """What no cell has: a script that `%run` ran, or a cell that was kept out of the history."""
        if (file, flags) not in self._files:
            self._files[file, flags] = {}
            modules = [module for name, module in list(sys.modules.items()) if name != "__main__"]
            if any(getattr(module, "__file__", None) == file for module in modules):
                return {}  # a module has it, and an import gives it
            _add(self._files[file, flags], self._body(file), 0, flags)
        return self._files[file, flags]

    def class_(self, cls: type) -> Found | None:
        """The newest `class` statement that has the methods and the names of a live class."""
        sources = [[id(each.node) for each in self._sources(f.__code__)] for f in own_functions(cls)]
        for found in self._classes(cls):
            inside = set(map(id, ast.walk(found.node)))
            if _is_of(found.node, cls) and all(any(id in inside for id in some) for some in sources):
                return found
        return None

    def _body(self, file: str) -> list[ast.stmt]:
        if file not in self._bodies:
            self._bodies[file] = parsed("".join(linecache.getlines(file)))
        return self._bodies[file]

    def _classes(self, cls: type) -> Iterator[Found]:
        files = dict.fromkeys(each.__code__.co_filename for each in own_functions(cls))
        numbered = [*reversed(list(enumerate(self.bodies))), *((0, self._body(file)) for file in files)]
        for number, body in numbered:
            for node in reversed(list(ast.walk(ast.Module(body, [])))):
                if isinstance(node, ast.ClassDef) and node.name == cls.__name__:
                    yield Found(node, number)

    def cell_of(self, name: str) -> int:
        """The number of the last cell that binds a name, 0 for none."""
        numbers = (n for n, body in reversed(list(enumerate(self.bodies))) if any(name in bound(s) for s in body))
        return next(numbers, 0)

    def assigned(self, name: str) -> ast.expr | None:
        """The right side of the last statement that gives a name its value, where that is `name = …`."""
        for body in reversed(self.bodies):
            for statement in reversed(body):
                if name in bound(statement):
                    is_plain = isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name)
                    return statement.value if is_plain else None  # type: ignore[attr-defined]
        return None

    @cached_property
    def imports(self) -> list[CellImport]:
        """Every import outside functions, the newest first."""
        found = [each for body in self.bodies for statement in body for each in _imports(statement)]
        return found[::-1]

    @cached_property
    def read(self) -> set[str]:
        """Every name that some cell reads."""
        nodes = (node for body in self.bodies for statement in body for node in ast.walk(statement))
        return {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}

    def used_at_once(self) -> Iterator[ast.expr]:
        """Names and dotted names that cells use outside of functions, decorators included."""
        for body in self.bodies:
            for node in _at_once(ast.Module(body, [])):
                marks = [] if isinstance(node, ast.Lambda) else getattr(node, "decorator_list", [])
                for each in (inner for mark in marks for inner in ast.walk(mark)):
                    if isinstance(each, ast.Name | ast.Attribute):
                        yield each
                if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load):
                    yield node

    def decorated(self) -> Iterator[tuple[str, ast.expr]]:
        """The functions and classes outside of functions, by name with each of their decorators."""
        for body in self.bodies:
            for node in _at_once(ast.Module(body, [])):
                if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
                    yield from ((node.name, mark) for mark in node.decorator_list)

    def changed_attributes(self) -> Iterator[tuple[ast.Attribute | ast.Subscript, int]]:
        """The targets like `module.name` and `module.table["key"]` that cells assign to, with the cell's number."""
        for number, body in enumerate(self.bodies):
            for node in _at_once(ast.Module(body, [])):
                is_changed = isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store)
                if is_changed:
                    yield node, number  # type: ignore[misc]


def normalised(code: CodeType) -> CodeType:
    """Code without where it stands, for comparing."""
    inner = (normalised(each) if isinstance(each, CodeType) else each for each in code.co_consts)
    return code.replace(
        co_filename="", co_firstlineno=1, co_linetable=b"", co_flags=code.co_flags & 0xFF, co_consts=tuple(inner)
    )


def own_functions(cls: type) -> list[FunctionType]:
    """The functions that a class's own body may have: methods, also static ones and properties."""
    found: list[Any] = []
    for value in vars(cls).values():
        parts = [value.fget, value.fset, value.fdel] if isinstance(value, property) else [value]
        found += [getattr(each, "__func__", getattr(each, "func", each)) for each in parts]
    plain = (each for each in found if isinstance(each, FunctionType))
    # What a decorator or a dataclass made is called so too, but was compiled elsewhere.
    begin = f"{cls.__qualname__}."
    return [
        each for each in plain if each.__code__.co_qualname == each.__qualname__ and each.__qualname__.startswith(begin)
    ]


def parsed(cell: str) -> list[ast.stmt]:
    """A cell's statements without magics; a cell that is no Python never ran as Python, so it has none."""
    if cell.lstrip().startswith("%%"):
        magic, _, cell = cell.lstrip().partition("\n")
        if magic.split()[0] not in _RUNS_PYTHON:
            return []
    lines = cell.splitlines()
    for _ in range(len(lines) + 1):
        try:
            body = compile("\n".join(lines), "<cell>", "exec", _AS_CELL | ast.PyCF_ONLY_AST, dont_inherit=True).body
        except (SyntaxError, ValueError) as exc:
            # Only lines that the parser stops at: "%" may also start a line within an expression.
            at = getattr(exc, "lineno", None)
            if not at or at > len(lines) or not _is_magic(lines[at - 1]):
                return []
            line = lines[at - 1]
            lines[at - 1] = line[: len(line) - len(line.lstrip())] + "pass"
        else:
            return [node for node in body if not isinstance(node, ast.Pass)]
    return []


_AS_CELL = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT


def bound(node: ast.AST) -> set[str]:
    """The names that a statement binds where it stands."""
    found: set[str] = set()
    for each in _at_once(node):
        if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store):
            found.add(each.id)
        elif isinstance(each, (*FUNCTIONS, ast.ClassDef)):
            found.add(each.name)
        elif isinstance(each, ast.Import | ast.ImportFrom):
            found |= {alias.asname or alias.name.partition(".")[0] for alias in each.names}
    return found


def _at_once(node: ast.AST) -> Iterator[ast.AST]:
    """A statement's nodes without what is inside of functions and classes."""
    waiting = [node]
    while waiting:
        each = waiting.pop()
        yield each
        if not isinstance(each, _SCOPES):
            waiting += list(ast.iter_child_nodes(each))[::-1]


def _imports(statement: ast.stmt) -> Iterator[CellImport]:
    for node in _at_once(statement):
        if isinstance(node, ast.Import):
            yield from (CellImport(a.name, None, a.asname or a.name.partition(".")[0]) for a in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level and node.module != "__future__":
            yield from (CellImport(node.module, a.name, a.asname or a.name) for a in node.names)


def _add(known: Codes, body: list[ast.stmt], number: int, flags: int) -> None:
    """Each function of a cell by its code."""
    nodes: dict[tuple[str, int], list[ast.AST]] = {}
    for node in ast.walk(ast.Module(body, [])):
        if isinstance(node, (*FUNCTIONS, ast.Lambda)):
            marks = [] if isinstance(node, ast.Lambda) else node.decorator_list
            first = marks[0].lineno if marks else node.lineno
            nodes.setdefault((getattr(node, "name", "<lambda>"), first), []).append(node)
    # IPython compiles one statement at a time, a script is compiled as a whole: what Python makes of them may differ.
    for unit in (body, *([each] for each in body)):
        try:
            code = compile(ast.Module(unit, []), "<cell>", "exec", flags | _AS_CELL, dont_inherit=True)
        except (SyntaxError, ValueError):
            continue
        for each in inner_codes(code):
            several = nodes.get((each.co_name, each.co_firstlineno), [])
            fitting = [node for node in several if len(several) == 1 or _covers(node, each)]
            if fitting:
                known.setdefault((normalised(each), each.co_qualname), []).append(Found(fitting[0], number))


def inner_codes(code: CodeType) -> Iterator[CodeType]:
    """The code of everything that is defined in some code."""
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield each
            yield from inner_codes(each)


def _covers(node: Any, code: CodeType) -> bool:
    """Whether code comes from this one of several lambdas in a line."""
    own = node.body if isinstance(node, ast.Lambda) else node
    begin, end = (own.lineno, own.col_offset), (own.end_lineno, own.end_col_offset)
    places = [(p[0], p[2], p[1], p[3]) for p in code.co_positions() if None not in p and p[3]]
    return bool(places) and all(begin <= (a, b) and (c, d) <= end for a, b, c, d in places)


def _is_of(node: ast.ClassDef, cls: type) -> bool:
    names = {name for each in node.body for name in bound(each)}
    targets = [each.target for each in node.body if isinstance(each, ast.AnnAssign)]
    annotated = {each.id for each in targets if isinstance(each, ast.Name)}
    live = vars(cls).get("__annotations__", {})
    return annotated == set(live) and all(n in annotated or _has(cls, n) for n in names if not n.startswith("__"))


def _has(cls: type, name: str) -> bool:
    try:
        return hasattr(cls, name)
    except Exception:  # a descriptor of the user's own
        return True


def _is_magic(line: str) -> bool:
    text = line.strip()
    assigned = text.partition("=")[2].lstrip()
    return text.startswith(("%", "!", "?")) or text.endswith("?") or assigned.startswith(("%", "!"))
