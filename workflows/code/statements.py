"""A module's top-level statements and the names they bind, change and use, by Python's own scoping (`symtable`).

Only the text is looked at; nothing is imported. Code digests stand on it.
"""

from __future__ import annotations

import ast
import re
import symtable
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from jeyn.workflows.code.harmless import Harmless
from jeyn.workflows.code.known import READ_NO_DOCSTRING

_COMPREHENSIONS = ("listcomp", "setcomp", "dictcomp", "genexpr")
_COMPOUND = (ast.If, ast.For, ast.While, ast.Try, ast.TryStar, ast.With, ast.Match, ast.AugAssign, ast.Delete, ast.Expr)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_GROWING = ("add", "append", "extend", "insert", "register", "setdefault", "update")
_SHRINKING = ("clear", "discard", "pop", "popitem", "remove", "reverse", "sort")
_MUTATORS = frozenset([*_GROWING, *_SHRINKING])
_BY_NAME = frozenset(
    ["import_module", "__import__", "run_module", "reload", "import_from_string", "find_spec", "attach", "LazyLoader"]
)
DOTTED = re.compile(r"\.*[^\W\d]\w*(\.[^\W\d]\w*)*\.?")
_NAMES = (ast.alias, ast.Name, ast.Attribute)
_DYNAMIC = frozenset(["exec", "eval", "globals", "vars", "__import__"])


EVERY = "**"  # as the name of an import: any module of the package, which one is known when it runs


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
    """One top-level statement, normalised; `docs` are the docstrings that were in it."""

    node: ast.stmt
    docs: tuple[str, ...] = ()

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
        """Every import in it, also inside functions and by a name that is written out."""
        return tuple(each for node in ast.walk(self.node) for each in _imports(node))

    @cached_property
    def source(self) -> str:
        """As a person may have written it."""
        return ast.unparse(self.node)

    @cached_property
    def words(self) -> frozenset[str]:
        """The texts in it that are one word."""
        texts = (each.value for each in ast.walk(self.node) if isinstance(each, ast.Constant))
        return frozenset(each for each in texts if isinstance(each, str) and each and not re.search(r"[^\w.-]", each))

    @cached_property
    def texts(self) -> frozenset[str]:
        """The texts in it that may be names of modules."""
        texts = (each.value for each in ast.walk(self.node) if isinstance(each, ast.Constant))
        return frozenset(each for each in texts if isinstance(each, str) and DOTTED.fullmatch(each))

    @cached_property
    def files(self) -> tuple[str, ...]:
        """Texts that end like the name of a Python file: what `run_path` or `exec` may be given."""
        texts = (each.value for each in ast.walk(self.node) if isinstance(each, ast.Constant))
        return tuple(each for each in texts if isinstance(each, str) and each.endswith(".py") and "\n" not in each)


@dataclass(frozen=True, eq=False)
class Statements:
    """A module as its statements. `unclear`: its names cannot be known from its text."""

    body: tuple[Statement, ...]
    unclear: bool
    mutated: frozenset[str]  # globals that functions change
    doc: str = ""
    types: frozenset[str] = frozenset()  # names that only type checkers see

    @classmethod
    def read(cls, source: str | bytes) -> Statements:
        """Raises `SyntaxError`."""
        tree = ast.parse(source)
        names = _jeyn_names(tree)
        running = _Running()
        tree = running.visit(tree)
        statements = [_normalised(node, names) for node in _flat(tree.body) if not _is_docstring(node)]
        body = [each.node for each in statements]
        nodes = [node for statement in body for node in ast.walk(statement)]
        doc = ast.get_docstring(tree, clean=False) or ""
        return cls(
            tuple(statements), any(map(_is_unclear, nodes)), frozenset(_mutated(body)), doc, frozenset(running.types)
        )

    @cached_property
    def touching(self) -> dict[str, list[Statement]]:
        """By name, the statements that bind or change it, in order."""
        found: dict[str, list[Statement]] = {}
        for statement in self.body:
            for name in statement.touches:
                found.setdefault(name, []).append(statement)
        return found

    @cached_property
    def effects(self) -> tuple[Statement, ...]:
        """Those that do more than define something: what importing the module does to others (SEMANTICS 36)."""
        harmless = Harmless([each.node for each in self.body])
        return tuple(each for each in self.body if not harmless.statement(each.node))

    @cached_property
    def imports_by_name(self) -> bool:
        """Whether it imports modules by names that may stand anywhere in its text."""
        nodes = (node for each in self.body for node in ast.walk(each.node))
        names = (
            each.name if isinstance(each, ast.alias) else _last(each) for each in nodes if isinstance(each, _NAMES)
        )
        return not _BY_NAME.isdisjoint(names)

    @cached_property
    def imports_at_once(self) -> tuple[Import, ...]:
        """The imports that importing the module runs: those in no function."""
        nodes = (node for each in self.body for node in _at_once(each.node))
        return tuple(each for node in nodes if isinstance(node, ast.Import | ast.ImportFrom) for each in _imports(node))

    @cached_property
    def used(self) -> frozenset[str]:
        """Every name that some statement reads."""
        return frozenset().union(*(each.uses for each in self.body))


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
    """The statements that importing runs."""
    for node in body:
        if not isinstance(node, ast.If) or (is_main := _is_main(node.test)) is None:
            yield node
        else:  # a module that a worker imports is never the main one
            yield from _flat(node.orelse if is_main else node.body)


class _Running(ast.NodeTransformer):
    """Leaves out what only type checkers see, and keeps the names that this binds."""

    def __init__(self) -> None:
        self.types: set[str] = set()

    def visit_If(self, node: ast.If) -> Any:
        self.generic_visit(node)
        if (is_checked := _is_for_types(node.test)) is None:
            return node
        if is_checked:
            for each in node.body:
                self.types |= _symbols(each).binds
        return (node.orelse if is_checked else node.body) or ast.copy_location(ast.Pass(), node)


def _is_for_types(test: ast.expr) -> bool | None:
    """Whether a condition holds only for type checkers, or only when running; None for any other."""
    match test:
        case ast.UnaryOp(op=ast.Not(), operand=inner):
            found = _is_for_types(inner)
            return None if found is None else not found
        case ast.BoolOp(op=ast.And(), values=values) if any(_is_for_types(each) for each in values):
            return True
        case ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING"):
            return True
    return None


def _is_main(test: ast.expr) -> bool | None:
    """Whether a condition holds only, or only not, in the file that is started; None for any other."""
    match test:
        case ast.UnaryOp(op=ast.Not(), operand=inner):
            found = _is_main(inner)
            return None if found is None else not found
        case ast.BoolOp(op=ast.And(), values=values) if any(_is_main(each) for each in values):
            return True
        case ast.Compare(left=left, ops=[ast.Eq() | ast.NotEq() as sign], comparators=[right]):
            if {ast.unparse(left), ast.unparse(right)} == {"__name__", "'__main__'"}:
                return isinstance(sign, ast.Eq)
    return None


def _normalised(node: ast.stmt, jeyn_names: frozenset[str]) -> Statement:
    docs: list[str] = []
    for each in ast.walk(node):
        if isinstance(each, (*_FUNCTIONS, ast.ClassDef)):
            # Options such as retries are no code (SEMANTICS 18).
            each.decorator_list = [mark for mark in each.decorator_list if _root(mark) not in jeyn_names]
            if each.body and _is_docstring(each.body[0]):
                docs.append(f"{each.name}: {ast.unparse(each.body[0])}")
                if not _shows_docstring(each, jeyn_names):
                    each.body = each.body[1:] or [ast.Pass()]
    return Statement(node, tuple(docs))


def _shows_docstring(node: ast.stmt, jeyn_names: frozenset[str]) -> bool:
    """Whether a library is given it that may read its docstring: a schema, a command line, a prompt."""
    assert isinstance(node, (*_FUNCTIONS, ast.ClassDef))  # noqa: S101 - what has a body and decorators
    if any(_last(mark) not in READ_NO_DOCSTRING for mark in node.decorator_list):
        return True
    if not isinstance(node, ast.ClassDef):
        return False
    return not all(_root(base) in jeyn_names or _is_known_base(_last(base)) for base in node.bases)


def _is_known_base(name: str) -> bool:
    return name in READ_NO_DOCSTRING or name.endswith(("Error", "Exception", "Warning"))


def _last(node: ast.expr) -> str:
    """The name that `a.b.c(…)` or `c[…]` ends with."""
    while isinstance(node, ast.Call | ast.Subscript):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _jeyn_names(tree: ast.Module) -> frozenset[str]:
    """What `operation`, `pipeline` and `jeyn` are called here."""
    found = [each for node in ast.walk(tree) for each in _imports(node)]
    return frozenset(each.alias for each in found if each.alias and each.module.partition(".")[0] == "jeyn")


def _imports(node: ast.AST) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        for each in node.names:
            yield Import(each.name, None, 0, each.asname or each.name.partition(".")[0])
    elif isinstance(node, ast.ImportFrom):
        for each in node.names:
            yield Import(node.module or "", each.name, node.level, each.asname or each.name)
    elif isinstance(node, ast.Call) and _last(node.func) in _BY_NAME and node.args:
        package = [*node.args[1:2], *(each.value for each in node.keywords if each.arg == "package")]
        yield from _named_import(node.args[0], package[0] if package else None)


def _at_once(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    if not isinstance(node, (*_FUNCTIONS, ast.Lambda)):
        for each in ast.iter_child_nodes(node):
            yield from _at_once(each)


def _named_import(name: ast.expr, package: ast.expr | None) -> Iterator[Import]:
    """`import_module("a.b")`; of `f"plugins.{name}"` all that its package holds."""
    if isinstance(name, ast.Constant) and isinstance(name.value, str):
        module = name.value.lstrip(".")
        level = len(name.value) - len(module)
        if level and isinstance(package, ast.Constant) and isinstance(package.value, str):
            parents = package.value.split(".")
            module, level = ".".join([*parents[: len(parents) - level + 1], module]), 0
        yield Import(module, None, level, "")
    elif isinstance(name, ast.JoinedStr) and _starts_here(name):
        yield Import("", EVERY, 1, "")
    elif isinstance(name, ast.JoinedStr) and name.values and isinstance(name.values[0], ast.Constant):
        prefix, dot, _ = str(name.values[0].value).rpartition(".")
        if dot:
            module = prefix.lstrip(".")
            yield Import(module, EVERY, len(prefix) - len(module) + (not module), "")


def _starts_here(name: ast.JoinedStr) -> bool:
    """`f"{__name__}.{x}"`: any module of the package itself."""
    first = name.values[0] if name.values else None
    return isinstance(first, ast.FormattedValue) and ast.unparse(first.value) in ("__name__", "__package__")


def _is_unclear(node: ast.AST) -> bool:
    if isinstance(node, ast.ImportFrom):
        return any(each.name == "*" for each in node.names)
    if isinstance(node, ast.Attribute):
        is_modules = node.attr == "modules" and isinstance(node.value, ast.Name) and node.value.id == "sys"
        return is_modules or node.attr == "__subclasses__"
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
