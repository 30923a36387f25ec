"""Functions and classes of a session, from the text that they were compiled from and with the state that they have now.

Decorators of the notebook are not called again: what they returned is there, and is carried. Those of libraries are.
"""

from __future__ import annotations

import ast
import builtins
import copy
import dis
import enum
import re
import sys
import typing
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType, MappingProxyType, ModuleType
from typing import TYPE_CHECKING, Any

from jeyn.workflows.code.cells import ANNOTATIONS, FUNCTIONS, CellImport, bound
from jeyn.workflows.code.class_state import ClassState
from jeyn.workflows.code.hooks import awake, put_to_sleep
from jeyn.workflows.code.literal import KEPT

if TYPE_CHECKING:
    from jeyn.workflows.code.live import Live

MISSING: Any = object()
_GLOBALS = ("LOAD_GLOBAL", "LOAD_NAME", "STORE_GLOBAL", "DELETE_GLOBAL")
# Whose calls in a class body declare something, and do nothing besides.
_DECLARE = """
abc attr attrs collections dataclasses datetime decimal enum fractions functools jeyn operator pathlib pydantic
pydantic_core re sqlalchemy string types typing typing_extensions uuid
"""
_PLAIN_CALLS = """
bool bytes classmethod complex dict float frozenset int len list max min object property range round set slice
sorted staticmethod str sum super tuple type zip
"""
_BY_TEXT = frozenset(["eval", "exec", "globals", "vars"])  # a global may be named in a text


class LiveCode:
    """What `Live` asks about code."""

    def __init__(self, live: Live) -> None:
        self.live = live
        self._shared: dict[int, bool] = {}

    # Functions.

    def function(self, function: FunctionType, name: str) -> str:
        """A function as `def` or lambda, with the defaults and variables around it that it has now."""
        registry = getattr(function, "registry", None)
        if isinstance(registry, MappingProxyType) and hasattr(function, "dispatch"):
            return self._dispatching(function, registry, name)
        found = self.live.cells.function(function.__code__)
        if found is None:
            return self._redecorated(function, name)
        node = copy.deepcopy(found.node)
        around = self._variables(function)
        self._completed(node, function)
        if isinstance(node, ast.Lambda):
            text = f"({ast.unparse(node)})"
            made = self._factory(f"    return {text}", around, name) if around or name else text
            target = made if made == name or not name else self.live.place(function, made, name)
        elif not around and name == node.name:
            node.decorator_list = []
            self.live.lines.append(ast.unparse(node))
            target = name
        else:
            node.decorator_list = []
            inner = "\n".join(f"    {line}" for line in [*ast.unparse(node).split("\n"), f"return {node.name}"])
            target = self.live.place(function, self._factory(inner, around, name), name)
        self.live.made(function, target)
        self._named(function, target)
        self.live.later.append(lambda: self._attributes(function, target))
        return target

    def wrapped(self, value: Any, inner: Any, made: Callable[[str], str], name: str) -> str:
        """Something around a function that is not told apart from it by name, such as an operation."""
        live = self.live
        if not name or getattr(inner, "__name__", "") != name or live.imported(inner) is not None:
            return live.place(value, made(live.express(inner)), name)
        live.lines.append(f"{name} = {made(live.express(inner, name))}")
        live.made(inner, f"{name}.__wrapped__")
        return live.made(value, name)

    def _variables(self, function: FunctionType) -> dict[str, Any]:
        """The variables of enclosing functions, by name; not the function's own name in itself."""
        found: dict[str, Any] = {}
        stored = set(_names(function.__code__, ("STORE_DEREF",)))
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            if id(cell) in self._shared and (self._shared[id(cell)] or name in stored):
                raise self.live.refused(function, f'it shares the variable "{name}" with another function')
            self._shared[id(cell)] = name in stored
            try:
                content = cell.cell_contents
            except ValueError:
                raise self.live.refused(function, f'its variable "{name}" has no value') from None
            if not (content is function and name == function.__name__):
                found[name] = content
        return found

    def _factory(self, inner: str, around: dict[str, Any], name: str) -> str:
        given = ", ".join(self.live.express(each) for each in around.values())
        maker = self.live.new_name()
        self.live.lines.append(f"def {maker}({', '.join(around)}):\n{inner}")
        return f"{maker}({given})"

    def _completed(self, node: Any, function: FunctionType) -> None:
        """The text of a function with its values of now; what it reads when it is called is wanted."""
        arguments = node.args
        arguments.defaults = [self._expression(each) for each in function.__defaults__ or ()]
        named = function.__kwdefaults__ or {}
        arguments.kw_defaults = [
            self._expression(named[each.arg]) if each.arg in named else None for each in arguments.kwonlyargs
        ]
        if not isinstance(node, ast.Lambda):
            self._annotations(node, function)
            self._without_docs(node)
        self.wants(function)

    def wants(self, function: FunctionType) -> None:
        names = set(_names(function.__code__, _GLOBALS))
        read = {"__doc__", "getdoc"} & (names | set(_attributes(function.__code__)))
        self.live.reads_docs = self.live.reads_docs or bool(read)
        self.live.want(names, function.__globals__, function.__name__)
        said = " ".join(_texts(function.__code__))
        looked_up = (
            set(re.findall(r"[^\W\d]\w*", said)) if names & _BY_TEXT else set(re.findall(r"@([^\W\d]\w*)", said))
        )
        known = {name for name in looked_up if name in function.__globals__ and not hasattr(builtins, name)}
        self.live.want(known, function.__globals__, function.__name__, optional=True)

    def _expression(self, value: Any) -> ast.expr:
        return ast.parse(self.live.express(value), mode="eval").body

    def _annotations(self, node: Any, function: FunctionType) -> None:
        """As they were evaluated: at once, or kept as text."""
        is_text = bool(function.__code__.co_flags & ANNOTATIONS)
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs, node.args.vararg, node.args.kwarg]
        holders = [(each, "annotation") for each in arguments if each is not None] + [(node, "returns")]
        for holder, field in holders:
            annotation = getattr(holder, field)
            if annotation is not None:
                setattr(holder, field, self.annotation(annotation, function.__globals__, function.__name__, is_text))

    def annotation(self, node: ast.expr, where: dict[str, Any], by: str, is_text: bool) -> ast.expr:
        names = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
        self.live.want(_quoted(node), where, by, optional=True)
        known = all(name in where or hasattr(builtins, name) for name in names)
        if not is_text and known and self.live.tried(lambda: self._bind_all(names, where, by)):
            return node
        self.live.want(names, where, by, optional=True)
        return ast.Constant(ast.unparse(node))

    def _bind_all(self, names: set[str], where: Any, by: str) -> bool:
        for name in sorted(names):
            self.live.bind(name, where, by)
        return True

    def _without_docs(self, node: ast.AST) -> None:
        if self.live.docs:
            return
        for each in ast.walk(node):
            if isinstance(each, (*FUNCTIONS, ast.ClassDef)) and ast.get_docstring(each, clean=False) is not None:
                each.body = each.body[1:] or [ast.Pass()]

    def _named(self, function: FunctionType, target: str) -> None:
        """What `functools.wraps` says of a function, which whoever takes it may look at."""
        code = function.__code__
        for field, was in (("__name__", code.co_name), ("__qualname__", code.co_qualname)):
            now = getattr(function, field)
            if now != was:
                self.live.lines.append(f"{target}.{field} = {now!r}")
        if "__wrapped__" in vars(function):
            self.live.lines.append(f"{target}.__wrapped__ = {self.live.express(vars(function)['__wrapped__'])}")

    def _attributes(self, function: FunctionType, target: str) -> None:
        for key, value in list(vars(function).items()):
            if not key.startswith("__"):
                self.live.fills.append(f"{target}.{key} = {self.live.express(value)}")

    def _dispatching(self, function: Any, registry: Any, name: str) -> str:
        others = {kind: each for kind, each in registry.items() if kind is not object}
        pairs = ", ".join(f"{self.live.express(kind)}: {self.live.express(each)}" for kind, each in others.items())
        made = f"{KEPT}.dispatching({{}}, {{{{{pairs}}}}})".format
        return self.wrapped(function, registry[object], made, name)

    def _redecorated(self, value: Any, name: str) -> str:
        """What a library's decorator made of a function: only that decorator can make it again."""
        inner = getattr(value, "__wrapped__", None) or getattr(value, "py_func", None)
        found = self.live.cells.function(inner.__code__) if isinstance(inner, FunctionType) else None
        if found is None or not isinstance(inner, FunctionType) or not found.node.decorator_list:
            raise self.live.refused(value)
        if inner.__closure__ or any(self._is_users_decorator(each, inner) for each in found.node.decorator_list):
            raise self.live.refused(value, "decorators of the notebook and of a library are mixed")
        node = copy.deepcopy(found.node)
        for each in node.decorator_list:
            self._bind_all(_loaded(each), inner.__globals__, inner.__name__)
        self._completed(node, inner)
        target = name if name == node.name else self.live.new_name()
        node.name = target
        self.live.lines.append(ast.unparse(node))
        made = self.live.made(value, target)
        return made if made == name or not name else self.live.place(value, made, name)

    def _is_users_decorator(self, node: ast.expr, function: FunctionType) -> bool:
        chain = node.func if isinstance(node, ast.Call) else node
        live = self.followed(chain, function.__globals__)
        return isinstance(live, FunctionType | type) and self.is_notebooks(live)

    # Classes.

    def is_users(self, cls: type) -> bool:
        """Whether a class is the notebook's or comes from a module of the project, so that its state is plain."""
        if self.is_notebooks(cls):
            return True
        file = getattr(sys.modules.get(cls.__module__), "__file__", None) or ""
        return (
            bool(file)
            and "site-packages" not in file
            and "dist-packages" not in file
            and cls.__module__ != "sys"
            and (cls.__module__.partition(".")[0] not in sys.stdlib_module_names)
        )

    def is_notebooks(self, what: Any) -> bool:
        """Whether cells defined a function or class."""
        module = getattr(what, "__module__", None)
        return module == "__main__" or module == self.live.namespace.get("__name__")

    def class_(self, cls: type, name: str) -> str:
        """A class by its statement, with the attributes that it has now."""
        found = self.live.cells.class_(cls) if self.is_notebooks(cls) else None
        if found is None:
            return self._class_by_value(cls, name)
        node = copy.deepcopy(found.node)
        where: dict[str, Any] = self.live.namespace  # type: ignore[assignment]
        node.decorator_list = [each for each in node.decorator_list if not self._is_users_class_decorator(each, where)]
        for each in [*node.decorator_list, *node.bases, *(keyword.value for keyword in node.keywords)]:
            self._bind_all(_loaded(each), where, cls.__name__)
        if any(id(base) in self.live.open for base in cls.__mro__[1:]):
            raise self.live.refused(cls, "it is derived from what needs it")
        self._body(node, cls, where)
        if not self.live.docs and all(self.is_notebooks(base) or base is object for base in cls.__mro__):
            self._without_docs(node)
        if any(self.is_notebooks(each) for each in (*cls.__mro__[1:], type(cls))):
            self.live.drain_what_can()  # methods of these are called while the class is made
        target = name if name == node.name else self.live.new_name()
        if target != node.name:
            self.live.lines.append(f"def {target}():\n" + _indented(ast.unparse(node)) + f"\n    return {node.name}")
            target = self.live.place(cls, f"{target}()", name)
        else:
            self.live.lines.append(ast.unparse(node))
        self.live.made(cls, target)
        asked = list(self.live.asked)
        self.live.later.append(lambda: ClassState(self.live, cls, node, target, asked).add())
        self.live.last += awake(node, target)
        return target

    def _is_users_class_decorator(self, node: ast.expr, where: dict[str, Any]) -> bool:
        live = self.followed(node.func if isinstance(node, ast.Call) else node, where)
        return isinstance(live, FunctionType | type) and self.is_notebooks(live)

    def _class_by_value(self, cls: type, name: str) -> str:
        fields = getattr(cls, "_fields", None)
        if issubclass(cls, tuple) and isinstance(fields, tuple):
            defaults = tuple(getattr(cls, "_field_defaults", {}).values())
            said = f"{cls.__name__!r}, {fields!r}, {self.live.express(defaults)}"
            return self.live.place(cls, f"{KEPT}.named_tuple({said})", name)
        if issubclass(cls, enum.Enum):
            members = [(key, each.value) for key, each in cls.__members__.items()]
            said = f"{self.live.express(cls.__bases__[-1])}, {cls.__name__!r}, {self.live.express(members)}"
            return self.live.place(cls, f"{KEPT}.enumeration({said})", name)
        raise self.live.refused(cls, "no class statement of the notebook gives it")

    def _body(self, node: ast.ClassDef, cls: type, where: dict[str, Any]) -> None:
        own = {name for each in node.body for name in bound(each)}
        is_text = any(f.__code__.co_flags & ANNOTATIONS for f in _functions(cls)) or _are_texts(cls)
        for each in node.body:
            if isinstance(each, FUNCTIONS):
                self._method(each, cls, own, where)
            elif isinstance(each, ast.ClassDef) and isinstance(vars(cls).get(each.name), type):
                for part in [*each.decorator_list, *each.bases, *(keyword.value for keyword in each.keywords)]:
                    self._bind_all(_loaded(part) - own, where, cls.__name__)
                self._body(each, vars(cls)[each.name], where)
            elif isinstance(each, ast.AnnAssign):
                each.annotation = self.annotation(each.annotation, where, cls.__name__, is_text)
                if each.value is not None and isinstance(each.target, ast.Name):
                    each.value = self._attribute(cls, each.target.id, each.value, own, where)
            elif isinstance(each, ast.Assign) and len(each.targets) == 1 and isinstance(each.targets[0], ast.Name):
                each.value = self._attribute(cls, each.targets[0].id, each.value, own, where)
            elif not isinstance(each, ast.Expr | ast.Pass) or not isinstance(
                getattr(each, "value", None), ast.Constant
            ):
                if not self._declares(each, where, own):
                    raise self.live.refused(cls, "its body does more than to declare")
                self._bind_all(_loaded(each) - own, where, cls.__name__)

    def _method(self, node: Any, cls: type, own: set[str], where: dict[str, Any]) -> None:
        function = next((f for f in _functions(cls) if f.__name__ == node.name and _is_at(f, node, cls)), None)
        kept = [each for each in node.decorator_list if not self._is_users_class_decorator(each, where)]
        if len(kept) < len(node.decorator_list):
            node.decorator_list = []  # what it became is put there after the class
        for each in node.decorator_list:
            self._bind_all(_loaded(each) - own, where, cls.__name__)
        if function is None:
            self._bind_all({n for n in _loaded(node) - own if n in where}, where, cls.__name__)
        else:
            if set(function.__code__.co_freevars) - {"__class__"}:
                raise self.live.refused(cls, "it is defined inside of a function whose variables it uses")
            self._completed(node, function)
        put_to_sleep(node, cls)

    def _attribute(self, cls: type, name: str, value: ast.expr, own: set[str], where: dict[str, Any]) -> ast.expr:
        """The value of an attribute: as it is now where it is plain data, else as the text declares it."""
        now = getattr(cls, "_field_defaults", vars(cls)).get(name, MISSING)
        is_enum = issubclass(cls, enum.Enum)
        if not is_enum and now is not MISSING and self.live.is_plain(now):
            return self._expression(now)
        if self._declares(value, where, own):
            self._bind_all(_loaded(value) - own, where, cls.__name__)
            return value
        if now is MISSING or is_enum:
            raise self.live.refused(cls, f'"{name}" is computed in its body')
        return self._expression(now)

    def _declares(self, node: ast.AST, where: dict[str, Any], own: set[str]) -> bool:
        """Whether evaluating it does nothing but to make a value."""
        for each in ast.walk(node):
            if isinstance(each, ast.Await | ast.Yield | ast.YieldFrom | ast.NamedExpr):
                return False
            if isinstance(each, ast.Call):
                called = self.followed(each.func, where)
                root = _root(each.func)
                module = str(getattr(called, "__module__", "") or "").partition(".")[0]
                is_plain = module == "builtins" and getattr(called, "__name__", "") in _PLAIN_CALLS.split()
                if root not in own and not is_plain and module not in _DECLARE.split():
                    return False
        return True

    # Values that a statement says best.

    def chain(self, value: Any, name: str) -> str | None:
        """`name = module.thing`: the same thing by the same way."""
        node = self.live.cells.assigned(name) if name else None
        if not isinstance(node, ast.Attribute) or self.followed(node, self.live.namespace) is not value:
            return None
        root = _root(node)
        if not isinstance(self.live.namespace.get(root), ModuleType):
            return None
        self.live.bind(root, self.live.namespace, name)
        return self.live.place(value, ast.unparse(node), name)

    def constructed(self, value: Any, name: str) -> str | None:
        """Type variables and new types, which say nothing about how they were made."""
        node = self.live.cells.assigned(name) if name else None
        kinds = (typing.TypeVar, typing.ParamSpec, typing.TypeVarTuple, typing.NewType)
        if not isinstance(value, kinds) or not isinstance(node, ast.Call):
            return None
        self._bind_all(_loaded(node), self.live.namespace, name)
        return self.live.place(value, ast.unparse(node), name)

    def followed(self, node: ast.AST, where: Any) -> Any:
        """What a dotted name means now, through modules and classes only: anything else could run code."""
        if isinstance(node, ast.Name):
            return where.get(node.id, getattr(builtins, node.id, MISSING))
        if isinstance(node, ast.Subscript):
            return self.followed(node.value, where)
        if not isinstance(node, ast.Attribute):
            return MISSING
        holder = self.followed(node.value, where)
        return getattr(holder, node.attr, MISSING) if isinstance(holder, ModuleType | type) else MISSING


def is_import(each: CellImport, name: str, value: Any) -> bool:
    """Whether an import statement gives this value under this name."""
    module = sys.modules.get(each.module)
    if module is None or each.name is None or each.module == "__main__":
        return False
    if each.name == "*":
        return getattr(module, name, MISSING) is value
    return each.alias == name and getattr(module, each.name, MISSING) is value


def resolved(module: Any, qualname: str) -> Any:
    for part in qualname.split("."):
        module = getattr(module, part, MISSING)
    return module


def _names(code: CodeType, operations: tuple[str, ...]) -> Iterator[str]:
    """The names that code and what is defined in it reads or changes outside."""
    for step in dis.get_instructions(code):
        if step.opname in operations:
            yield str(step.argval)
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield from _names(each, operations)


def _texts(code: CodeType) -> Iterator[str]:
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield from _texts(each)
        elif isinstance(each, str):
            yield each


def _attributes(code: CodeType) -> Iterator[str]:
    return _names(code, ("LOAD_ATTR", "LOAD_METHOD"))


def _loaded(node: ast.AST) -> set[str]:
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Load)}


def _quoted(node: ast.AST) -> set[str]:
    """Names in annotations that are written as text."""
    found: set[str] = set()
    for each in ast.walk(node):
        if isinstance(each, ast.Constant) and isinstance(each.value, str):
            try:
                found |= _loaded(ast.parse(each.value, mode="eval"))
            except SyntaxError:
                continue
    return found


def _functions(cls: type) -> list[FunctionType]:
    from jeyn.workflows.code.cells import own_functions

    return own_functions(cls)


def _is_at(function: FunctionType, node: Any, cls: type) -> bool:
    """Whether a method was compiled from this `def`: a property has several of one name."""
    several = [each for each in _functions(cls) if each.__name__ == function.__name__]
    return len(several) == 1 or function.__code__.co_argcount == len(node.args.posonlyargs) + len(node.args.args)


def _are_texts(cls: type) -> bool:
    found = list(vars(cls).get("__annotations__", {}).values())
    return bool(found) and all(isinstance(each, str) for each in found)


def _root(node: ast.AST) -> str:
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.split("\n"))
