"""Methods that Python calls while a class is made: a notebook's classes are made anew without calling them again.

What they did, such as an entry in a registry, is among the values that are carried.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

from jeyn.workflows.code.cells import FUNCTIONS
from jeyn.workflows.code.literal import KEPT

_OF_CLASSES = ("__init_subclass__", "__set_name__")
_OF_METACLASSES = ("__new__", "__init__")
_ASLEEP = f"{KEPT}.asleep"


def put_to_sleep(node: Any, cls: type) -> None:
    """Mark such a method of a class, so that it does nothing until it is awake."""
    if node.name in _hooks_of(cls):
        node.decorator_list.append(ast.parse(_ASLEEP, mode="eval").body)


def awake(node: ast.ClassDef, target: str) -> Iterator[str]:
    """The statements that awake what is asleep in the text of a class and of those within it."""
    for each in node.body:
        if isinstance(each, ast.ClassDef):
            yield from awake(each, f"{target}.{each.name}")
        elif isinstance(each, FUNCTIONS) and any(ast.unparse(mark) == _ASLEEP for mark in each.decorator_list):
            yield f"{KEPT}.awake({target}, {each.name!r})"


def _hooks_of(cls: type) -> tuple[str, ...]:
    is_plain = all(base.__module__ in ("builtins", "abc", cls.__module__) for base in cls.__mro__)
    return (*_OF_CLASSES, *_OF_METACLASSES) if issubclass(cls, type) and is_plain else _OF_CLASSES
