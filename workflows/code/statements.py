"""A module's top-level statements and the names they bind, change and use, by Python's own scoping (`symtable`).

Only the text is looked at; nothing is imported. Code digests and notebook capture stand on it.
"""

from __future__ import annotations

import ast
import symtable
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

_COMPREHENSIONS = ("listcomp", "setcomp", "dictcomp", "genexpr")
_COMPOUND = (ast.If, ast.For, ast.While, ast.Try, ast.TryStar, ast.With, ast.Match, ast.AugAssign, ast.Delete, ast.Expr)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_GROWING = ("add", "append", "extend", "insert", "register", "setdefault", "update")
_SHRINKING = ("clear", "discard", "pop", "popitem", "remove", "reverse", "sort")
_MUTATORS = frozenset([*_GROWING, *_SHRINKING])
_DYNAMIC = frozenset(["exec", "eval", "globals", "vars", "__import__"])


class Import(NamedTuple):
    """One name of an import statement: `from ..module import name as alias` with its level."""

    module: str
    name: str | None
    level: int
    alias: str


class Symbols(NamedTuple):
    binds: frozenset[str]
    eager: frozenset[str]  # read when the statement runs
    deferred: frozenset[str]  # read when a function in it is called


@dataclass(frozen=True, eq=False)
class Statement:
    """One top-level statement, normalised."""

    node: ast.stmt

    @cached_property
    def symbols(self) -> Symbols:
        return _symbols(self.node)

    @cached_property
    def text(self) -> str:
        """The same for every layout and comment."""
        return ast.dump(self.node)

    @cached_property
    def uses(self) -> frozenset[str]:
        return self.symbols.eager | self.symbols.deferred

    @cached_property
    def touches(self) -> frozenset[str]:
        """The names that it binds, or whose value it may change."""
        if isinstance(self.node, _COMPOUND):
            return self.symbols.binds | self.symbols.eager
        return self.symbols.binds | {root for target in _targets(self.node) if (root := _root(target))}

    @property
    def defines(self) -> bool:
        """Whether what it binds is new whatever was there before: a def, a class, an import, `x = …`."""
        if isinstance(self.node, _COMPOUND):
            return False
        return all(isinstance(each, ast.Name) for target in _targets(self.node) for each in _unpacked(target))

    @cached_property
    def imports(self) -> tuple[Import, ...]:
        """Every import in it, also inside functions."""
        return tuple(each for node in ast.walk(self.node) for each in _imports(node))


@dataclass(frozen=True, eq=False)
class Statements:
    """A module as its statements. `unclear`: its names cannot be known from its text."""

    body: tuple[Statement, ...]
    unclear: bool
    mutated: frozenset[str]  # globals that functions change

    @classmethod
    def read(cls, source: str | bytes) -> Statements:
        """Raises `SyntaxError`."""
        tree = ast.parse(source)
        body = [_normalised(node, _jeyn_names(tree)) for node in _flat(tree.body) if not _is_docstring(node)]
        nodes = [node for statement in body for node in ast.walk(statement)]
        return cls(tuple(map(Statement, body)), any(map(_is_unclear, nodes)), frozenset(_mutated(body)))

    @cached_property
    def touching(self) -> dict[str, list[Statement]]:
        """By name, the statements that bind or change it, in order."""
        found: dict[str, list[Statement]] = {}
        for statement in self.body:
            for name in statement.touches:
                found.setdefault(name, []).append(statement)
        return found


def _symbols(node: ast.stmt) -> Symbols:
    text = ast.unparse(ast.Module([node], []))
    try:
        table = symtable.symtable(text, "<statement>", "exec")
    except SyntaxError:  # it only compiles in its place, such as a future import
        return Symbols(frozenset(), frozenset(), frozenset())
    symbols = table.get_symbols()
    binds = {each.get_name() for each in symbols if each.is_assigned() or each.is_imported()}
    eager = {each.get_name() for each in symbols if each.is_referenced()}
    deferred: set[str] = set()
    _read_below(table, eager, deferred, is_called=False)
    return Symbols(frozenset(binds), frozenset(eager | _quoted_names(node)), frozenset(deferred))


def _read_below(table: symtable.SymbolTable, eager: set[str], deferred: set[str], *, is_called: bool) -> None:
    for below in table.get_children():
        called = is_called or (below.get_type() == "function" and below.get_name() not in _COMPREHENSIONS)
        found = {each.get_name() for each in below.get_symbols() if each.is_global() and each.is_referenced()}
        (deferred if called else eager).update(found)
        _read_below(below, eager, deferred, is_called=called)


def _quoted_names(node: ast.stmt) -> set[str]:
    """Names in annotations that are written as text, since annotations say what an operation gives."""
    annotations = [getattr(each, field, None) for each in ast.walk(node) for field in ("annotation", "returns")]
    found = set()
    for annotation in annotations:
        for text in ast.walk(annotation) if isinstance(annotation, ast.AST) else ():
            if isinstance(text, ast.Constant) and isinstance(text.value, str):
                try:
                    inner = ast.parse(text.value, mode="eval")
                except SyntaxError:
                    continue
                found |= {name.id for name in ast.walk(inner) if isinstance(name, ast.Name)}
    return found


def _flat(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that importing runs; those under `if TYPE_CHECKING:` stand for themselves."""
    for node in body:
        if isinstance(node, ast.If) and not node.orelse and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from _flat(node.body)
        elif not (isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'"):
            yield node


def _normalised(node: ast.stmt, jeyn_names: frozenset[str]) -> ast.stmt:
    for each in ast.walk(node):
        if isinstance(each, (*_FUNCTIONS, ast.ClassDef)):
            body = [inner for at, inner in enumerate(each.body) if at or not _is_docstring(inner)]
            each.body = body or [ast.Pass()]
            # Options such as retries are no code (SEMANTICS 18).
            each.decorator_list = [mark for mark in each.decorator_list if _root(mark) not in jeyn_names]
    return node


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _jeyn_names(tree: ast.Module) -> frozenset[str]:
    """What `operation`, `pipeline` and `jeyn` are called here."""
    found = [each for node in ast.walk(tree) for each in _imports(node)]
    return frozenset(each.alias for each in found if each.module.partition(".")[0] == "jeyn")


def _imports(node: ast.AST) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        for each in node.names:
            yield Import(each.name, None, 0, each.asname or each.name.partition(".")[0])
    elif isinstance(node, ast.ImportFrom):
        for each in node.names:
            yield Import(node.module or "", each.name, node.level, each.asname or each.name)


def _is_unclear(node: ast.AST) -> bool:
    if isinstance(node, ast.ImportFrom):
        return any(each.name == "*" for each in node.names)
    if isinstance(node, ast.Attribute):
        return node.attr == "modules" and isinstance(node.value, ast.Name) and node.value.id == "sys"
    return isinstance(node, ast.Name) and node.id in _DYNAMIC


def _mutated(body: list[ast.stmt]) -> Iterator[str]:
    functions = (node for statement in body for node in ast.walk(statement) if isinstance(node, _FUNCTIONS))
    for node in (inner for function in functions for inner in ast.walk(function)):
        if isinstance(node, ast.Global):
            yield from node.names
        elif isinstance(node, ast.Subscript | ast.Attribute) and not isinstance(node.ctx, ast.Load):
            yield _root(node)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _MUTATORS:
            yield _root(node.func)


def _targets(node: ast.stmt) -> list[ast.expr]:
    if isinstance(node, ast.Assign):
        return node.targets
    return [node.target] if isinstance(node, ast.AnnAssign) else []


def _unpacked(target: ast.expr) -> Iterator[ast.expr]:
    if isinstance(target, ast.Tuple | ast.List):
        for each in target.elts:
            yield from _unpacked(each)
    else:
        yield target


def _root(node: ast.expr) -> str:
    """The name that `a.b[c].d(…)` starts with, "" for none."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call | ast.Starred):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""
