"""Which top-level statements only define something, so that nobody who does not name it sees them (SEMANTICS 36).

Only the text is looked at. What is not known to be harmless is not: it then counts for every operation of its file,
which costs a run where the other mistake would give an old result.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable, Iterable, Sequence

from jeyn.workflows.code.known import ACTS, BASES, BUILTINS, CALLS, CLASSES, DECORATING, DECORATORS, METHODS, MODULES

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_HOOKS = ("__init_subclass__", "__mro_entries__", "__subclasses__")


class Harmless:
    """The judgement of one file's statements, which are given in order and without what importing never runs."""

    def __init__(self, body: Sequence[ast.stmt]) -> None:
        nodes = [node for statement in body for node in ast.walk(statement)]
        self._imported = dict(pair for node in nodes for pair in _imported(node))
        self._defs: dict[str, list[ast.stmt]] = {}
        for node in body:
            for name in _bound(node):
                self._defs.setdefault(name, []).append(node)
        self._is_watched = any(isinstance(node, ast.Attribute) and node.attr == "__subclasses__" for node in nodes)
        self._asked: set[int] = set()

    def statement(self, node: ast.stmt, local: frozenset[str] = frozenset()) -> bool:
        """Whether running it does nothing but bind names of its own."""
        match node:
            case ast.ImportFrom(module="__future__"):
                return False  # it changes how the whole file is compiled
            case ast.Import() | ast.ImportFrom() | ast.Pass() | ast.Raise() | ast.Break() | ast.Continue():
                return True
            case ast.Expr():
                return isinstance(node.value, ast.Constant)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                return self._function(node, local)
            case ast.ClassDef():
                return self._class(node, local)
            case ast.Assign() | ast.AnnAssign():
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                return all(map(_is_name, targets)) and self._expression(node.value, local)
            case (
                ast.If() | ast.For() | ast.While() | ast.Try() | ast.TryStar() | ast.With() | ast.Match() | ast.Assert()
            ):
                return self._compound(node, local)
        return type(node).__name__ == "TypeAlias"

    def _compound(self, node: ast.stmt, local: frozenset[str]) -> bool:
        if isinstance(node, ast.For) and not _is_name(node.target):
            return False
        if isinstance(node, ast.With) and not all(
            each.optional_vars is None or _is_name(each.optional_vars) for each in node.items
        ):
            return False
        return all(
            self.statement(each, local) if isinstance(each, ast.stmt) else self._expression(each, local)
            for each in _parts(node)
        )

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef, local: frozenset[str]) -> bool:
        given = [*node.args.defaults, *(each for each in node.args.kw_defaults if each is not None)]
        return all(self._expression(each, local) for each in given) and self._decorators(node, local)

    def _class(self, node: ast.ClassDef, local: frozenset[str]) -> bool:
        metas = [each.value for each in node.keywords if each.arg in (None, "metaclass")]
        if not all(self._name(each) in ("abc.ABCMeta", "enum.EnumMeta", "enum.EnumType", "type") for each in metas):
            return False
        inner = local | {name for each in node.body for name in _bound(each)}
        return (
            self._decorators(node, local)
            and all(self._base(each, local) for each in node.bases)
            and all(self._expression(each.value, local) for each in node.keywords)
            and all(self.statement(each, frozenset(inner - self._defs.keys())) for each in node.body)
        )

    def _base(self, node: ast.expr, local: frozenset[str]) -> bool:
        """A class that nothing happens to when somebody derives from it."""
        if isinstance(node, ast.Subscript):
            return self._base(node.value, local) and self._expression(node.slice, local)
        if isinstance(node, ast.Call):
            return self._name(node.func).partition(".")[0] in ("collections", "typing") and self._call(node, local)
        name = self._name(node)
        if name in self._defs:
            found = self._defs[name]
            own = found[0] if len(found) == 1 else None
            return isinstance(own, ast.ClassDef) and not self._is_watched and self._is_plain_class(own)
        return isinstance(getattr(builtins, name, None), type) or name.partition(".")[0] in BASES

    def _is_plain_class(self, node: ast.ClassDef) -> bool:
        hooks = any(name in _HOOKS for each in node.body for name in _bound(each))
        return not hooks and self._once(node, lambda: self._class(node, frozenset()))

    def _decorators(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, local: frozenset[str]) -> bool:
        return all(self._decorator(each, local) for each in node.decorator_list)

    def _decorator(self, node: ast.expr, local: frozenset[str]) -> bool:
        called = isinstance(node, ast.Call)
        target = node.func if isinstance(node, ast.Call) else node
        if isinstance(target, ast.Attribute) and target.attr in ("setter", "getter", "deleter"):
            return isinstance(target.value, ast.Name) and not called
        if isinstance(node, ast.Call) and not self._arguments(node, local):
            return False
        name = self._name(target)
        if name in self._defs and name not in local:
            return self._is_quiet(name, 2 if called else 1)
        return name in DECORATORS or (name.partition(".")[0] in DECORATING and self._is_declaration(name))

    # Expressions.

    def _expression(self, node: ast.AST | None, local: frozenset[str]) -> bool:
        match node:
            case ast.Call():
                return self._call(node, local)
            case ast.Lambda():
                return all(self._expression(each, local) for each in [*node.args.defaults, *node.args.kw_defaults])
            case ast.Await() | ast.Yield() | ast.YieldFrom():
                return False
            case ast.BinOp(op=ast.RShift() | ast.LShift()):  # where libraries wire tasks
                return isinstance(node.left, ast.Constant) and isinstance(node.right, ast.Constant)
            case None:
                return True
        return all(self._expression(each, local) for each in ast.iter_child_nodes(node))

    def _call(self, node: ast.Call, local: frozenset[str]) -> bool:
        if not self._arguments(node, local):
            return False
        if isinstance(node.func, ast.Attribute) and not self._is_module_path(node.func):
            return node.func.attr in METHODS and self._expression(node.func.value, local)
        name = self._name(node.func)
        if name == "open":
            return name not in self._defs and _reads(node)
        if name in local:
            return False
        if name in self._defs:
            return self._is_quiet(name, 1)
        if "." not in name and name not in self._imported.values():
            return name in BUILTINS or _is_exception(name)
        if name.partition(".")[0] in CLASSES and name.rpartition(".")[2][:1].isupper():
            return True
        return name in CALLS or (name.partition(".")[0] in MODULES and self._is_declaration(name))

    def _arguments(self, node: ast.Call, local: frozenset[str]) -> bool:
        """They may be called, so what a lambda does counts, and `key=` has to be one."""
        for each in [*node.args, *(keyword.value for keyword in node.keywords)]:
            if isinstance(each, ast.Lambda) and not self._expression(each.body, local):
                return False
            if not self._expression(each, local):
                return False
        keys = [each.value for each in node.keywords if each.arg == "key"]
        return all(isinstance(each, ast.Lambda) or self._name(each) in BUILTINS for each in keys)

    def _is_declaration(self, name: str) -> bool:
        return not (name.startswith("jeyn.") and ACTS & set(name.split(".")))

    def _is_module_path(self, node: ast.expr) -> bool:
        while isinstance(node, ast.Attribute):
            node = node.value
        return isinstance(node, ast.Name) and node.id in self._imported and node.id not in self._defs

    def _name(self, node: ast.expr) -> str:
        """`np.random.seed` as `numpy.random.seed`; "" for what is no name."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return ""
        root = node.id if node.id in self._defs else self._imported.get(node.id, node.id)
        return ".".join([root, *reversed(parts)])

    # What the file's own functions do when they are called.

    def _is_quiet(self, name: str, calls: int) -> bool:
        """Whether calling it changes nothing; with `calls` 2 also calling what it returns."""
        found = self._defs[name]
        node = found[0] if len(found) == 1 else None
        if isinstance(node, ast.ClassDef):
            return self._is_quiet_class(node)
        if not isinstance(node, _FUNCTIONS):
            return False
        return self._once(node, lambda: self._is_quiet_body(node, calls))

    def _is_quiet_class(self, node: ast.ClassDef) -> bool:
        makers = [
            each
            for each in node.body
            if isinstance(each, _FUNCTIONS) and each.name in ("__init__", "__new__", "__post_init__")
        ]
        return self._is_plain_class(node) and all(self._is_quiet_body(each, 1) for each in makers)

    def _is_quiet_body(self, node: ast.FunctionDef | ast.AsyncFunctionDef, calls: int) -> bool:
        arguments = {each.arg for each in ast.walk(node.args) if isinstance(each, ast.arg)}
        local = frozenset(arguments | {name for each in node.body for name in _bound(each)})
        first = node.args.args[0].arg if node.args.args and node.name in ("__init__", "__post_init__") else ""
        inner = [each for each in node.body if isinstance(each, _FUNCTIONS)]
        if calls > 1 and not all(self._is_quiet_body(each, calls - 1) for each in inner):
            return False
        return all(self._quiet_statement(each, local, first) for each in node.body)

    def _quiet_statement(self, node: ast.stmt, local: frozenset[str], own: str) -> bool:
        match node:
            case ast.Return():
                return self._expression(node.value, local)
            case ast.Assign(targets=[ast.Attribute(value=ast.Name(id=name))]):
                return bool(own) and name == own and self._expression(node.value, local)
            case ast.AugAssign(target=ast.Name()):
                return self._expression(node.value, local)
            case ast.If() | ast.For() | ast.While() | ast.Try() | ast.With():
                return all(
                    self._quiet_statement(each, local, own)
                    if isinstance(each, ast.stmt)
                    else self._expression(each, local)
                    for each in _parts(node)
                )
        return self.statement(node, local)

    def _once(self, node: ast.AST, ask: Callable[[], bool]) -> bool:
        """What calls itself is judged by the rest of it."""
        if id(node) in self._asked:
            return True
        self._asked.add(id(node))
        try:
            return ask()
        finally:
            self._asked.discard(id(node))


def _imported(node: ast.AST) -> Iterable[tuple[str, str]]:
    """What names of imports mean: `np` -> `numpy`; a relative one means nothing outside."""
    if isinstance(node, ast.Import):
        return [
            (each.asname or each.name.partition(".")[0], each.name if each.asname else each.name.partition(".")[0])
            for each in node.names
        ]
    if isinstance(node, ast.ImportFrom):
        prefix = f"{'.' * node.level}{node.module or ''}"
        return [(each.asname or each.name, f"{prefix}.{each.name}") for each in node.names]
    return []


def _bound(node: ast.stmt) -> set[str]:
    """The names that a statement binds, without imports and what is inside functions."""
    if isinstance(node, (*_FUNCTIONS, ast.ClassDef)):
        return {node.name}
    found = set()
    for each in [node, *(part for part in _parts(node))]:
        if each is not node and isinstance(each, ast.stmt):
            found |= _bound(each)
        elif each is not node or not isinstance(each, ast.stmt):
            found |= {
                name.id for name in ast.walk(each) if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)
            }
    return found


def _parts(node: ast.AST) -> list[ast.AST]:
    """The statements and expressions directly in a statement; handlers and cases are looked through."""
    found: list[ast.AST] = []
    for each in ast.iter_child_nodes(node):
        if isinstance(each, ast.stmt | ast.expr):
            found.append(each)
        elif not isinstance(each, ast.expr_context | ast.operator):
            found += _parts(each)
    return found


def _is_exception(name: str) -> bool:
    found = getattr(builtins, name, None)
    return isinstance(found, type) and issubclass(found, BaseException)


def _is_name(target: ast.expr) -> bool:
    if isinstance(target, ast.Tuple | ast.List):
        return all(map(_is_name, target.elts))
    return isinstance(target, ast.Name) or (isinstance(target, ast.Starred) and _is_name(target.value))


def _reads(node: ast.Call) -> bool:
    """`open` without a mode, or with one that only reads."""
    modes = [*node.args[1:2], *(each.value for each in node.keywords if each.arg == "mode")]
    return all(isinstance(each, ast.Constant) and set(str(each.value)) <= set("rbtU") for each in modes)
