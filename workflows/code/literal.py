"""Plain data of a notebook as text, and which of its containers are in more than one place."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType, SimpleNamespace
from typing import Any

KEPT = "_jeyn"  # what a notebook's module calls `kept`
SCALARS = (type(None), bool, int, float, complex, str, bytes, type(...), type(NotImplemented))
_INSIDE = (list, dict, set, frozenset, tuple)
_CHANGING = (list, dict, set, bytearray)


def literal(value: Any) -> str:
    """The text of plain data, which does not rely on what built-ins are called."""
    kind = type(value)
    if kind is int:
        return str(value) if abs(value) < 10**100 else hex(value)
    if kind is float:
        return repr(value) if value == value and abs(value) != float("inf") else f"{KEPT}.number({str(value)!r})"
    if kind is complex:
        return f"{KEPT}.complex_of({literal(value.real)}, {literal(value.imag)})"
    if kind is bytearray:
        return f"{KEPT}.bytearray_of({bytes(value)!r})"
    if kind is list:
        return f"[{', '.join(map(literal, value))}]"
    if kind is tuple:
        return "(" + "".join(f"{literal(each)}, " for each in value) + ")"
    if kind is dict:
        return "{" + ", ".join(f"{literal(key)}: {literal(each)}" for key, each in value.items()) + "}"
    if kind in (set, frozenset):
        return f"{KEPT}.{kind.__name__}_of([{', '.join(sorted(map(literal, value)))}])"
    return repr(value)


class Places:
    """How many places each container has in what is written; `several` are the ids of those with more than one."""

    def __init__(self, several: frozenset[int], note: Callable[[Any], None]) -> None:
        self.several = several
        self._note = note  # told of each buffer
        self._seen: set[int] = set()
        self._found: set[int] = set()

    def written(self, value: Any) -> None:
        """A literal that is written into one place."""
        if type(value) in _CHANGING:
            if id(value) in self._seen:
                self._found.add(id(value))
                return
            self._seen.add(id(value))
        if type(value) is bytearray:
            self._note(value)
        if type(value) in _INSIDE:
            for each in (*value, *value.values()) if type(value) is dict else value:
                self.written(each)

    def found(self) -> frozenset[int]:
        return self.several | self._found


def kind_of(value: Any) -> str:
    """What a message calls a value."""
    if isinstance(value, type):
        return f'the class "{value.__qualname__}"'
    if isinstance(value, FunctionType):
        return f'the function "{value.__qualname__}"'
    cls = type(value)
    module = "" if cls.__module__ in ("builtins", "__main__") else f"{cls.__module__}."
    return f"a {module}{cls.__qualname__}"


def attributes_of(value: Any) -> Any:
    """The dict of a plain object's attributes, which `vars` gives to whoever asks; None for any other object."""
    cls: Any = type(value)
    is_plain = all(getattr(cls, each) is getattr(object, each) for each in ("__reduce_ex__", "__reduce__"))
    if not isinstance(value, SimpleNamespace) and (not is_plain or hasattr(cls, "__setstate__")):
        return None
    return getattr(value, "__dict__", None)


def asked(value: Any, name: str) -> Any:
    """An attribute, None where there is none; a class of the user's own may answer with any error."""
    try:
        return getattr(value, name, None)
    except Exception:
        return None
