"""What of a notebook's class is no longer as its body says: attributes that cells, hooks and methods gave it."""

from __future__ import annotations

import abc
import ast
import functools
import inspect
from types import FunctionType
from typing import TYPE_CHECKING, Any

from jeyn.workflows.code.cells import FUNCTIONS, bound, own_functions
from jeyn.workflows.code.literal import KEPT

if TYPE_CHECKING:
    from jeyn.workflows.code.live import Live

_AROUND = (property, staticmethod, classmethod)


class ClassState:
    """The statements for one class, whose text is `node` and which `target` names."""

    def __init__(self, live: Live, cls: type, node: ast.ClassDef, target: str, asked: list[tuple[str, str]]) -> None:
        self.live, self.cls, self.target, self.asked = live, cls, target, asked
        self._said = {name for each in node.body for name in bound(each)}
        self._decorated = {each.name for each in node.body if isinstance(each, FUNCTIONS) and each.decorator_list}
        self._literals = {name for each in node.body if _is_literal(each) for name in bound(each)}
        self._own = {id(each) for each in own_functions(cls)}

    def add(self) -> None:
        self.live.asked = self.asked
        cls = self.cls
        if type(cls) not in (type, abc.ABCMeta) and not self.live.code.is_notebooks(type(cls)):
            return
        if not (issubclass(cls, tuple) and hasattr(cls, "_fields")):
            for name, value in list(vars(cls).items()):
                if not name.startswith("_abc_") and (not name.startswith("__") or self._is_patched(name, value)):
                    self._add(name, value)

    def _add(self, name: str, value: Any) -> None:
        is_new = name not in self._said
        if isinstance(value, FunctionType) and id(value) not in self._own and self._has_source(value):
            self._set(name, self.live.express(value))
        elif is_new and isinstance(value, _AROUND):
            self._set(name, self._around(value))
        elif isinstance(value, FunctionType) or name in self._decorated or inspect.isdatadescriptor(value):
            return
        elif name in self._literals:
            if not self.live.is_plain(value):
                self._set(name, self.live.express(value))  # the text says something plain
        elif is_new or not self.live.is_plain(value):
            self._override(name, value, is_said=not is_new)

    def _set(self, name: str, made: str) -> None:
        self.live.fills.append(f"{self.target}.{name} = {made}")

    def _around(self, value: Any) -> str:
        parts = [value.fget, value.fset, value.fdel] if isinstance(value, property) else [value.__func__]
        return f"{KEPT}.{type(value).__name__}({', '.join(self.live.express(each) for each in parts)})"

    def _override(self, name: str, value: Any, *, is_said: bool) -> None:
        if is_said and not isinstance(value, list | dict | set):
            return  # declared by its text
        if isinstance(value, (*_AROUND, functools.cached_property)):
            return
        made = self.live.tried(lambda: self.live.express(value))
        if made is not None:
            self._set(name, made)
        elif type(value).__module__ == "builtins" and not callable(value):
            raise self.live.refused(self.cls, f'its attribute "{name}" is no plain data')

    def _is_patched(self, name: str, value: Any) -> bool:
        is_new = isinstance(value, FunctionType) and name not in self._said and id(value) not in self._own
        return is_new and self._has_source(value)

    def _has_source(self, function: FunctionType) -> bool:
        return self.live.cells.function(function.__code__) is not None


def _is_literal(node: ast.stmt) -> bool:
    value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
    try:
        return value is not None and (ast.literal_eval(value), True)[1]
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False
