"""What a notebook's module calls while it is imported, to make again what lived in the session."""

from __future__ import annotations

import builtins
import collections
import functools
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

frozenset_of, set_of, bytearray_of = builtins.frozenset, builtins.set, builtins.bytearray
number, complex_of = builtins.float, builtins.complex
lock, rlock = threading.Lock, threading.RLock


def value(format: str, text: str) -> Any:
    """A value in one of the formats of what operations return (base 85)."""
    import base64

    from jeyn.stores.serializers.values import decode_value

    return decode_value(format, base64.b85decode(text))


def catalog(name: str, found: Mapping[str, Any]) -> Any:
    """A data catalog from its JSON."""
    from jeyn.sdk.catalog import DataCatalog

    return DataCatalog.from_json(found, name=name)


def serializer(cls: type | str, made: Any) -> None:
    """Register a serializer of the notebook's, whose class every operation's module has as one of its own."""
    from jeyn.stores.serializers.table import register_serializer

    if type(made).__module__.startswith("notebook_"):
        type(made).__module__ = "notebook"
    register_serializer(cls, made)


def operation(function: Callable[..., Any], bound: Mapping[str, Any]) -> Any:
    """An operation without its options, which only a plan needs."""
    from jeyn.sdk.operation import Operation

    return Operation(function, bound=bound)


def cached(function: Callable[..., Any], maxsize: int | None, typed: bool) -> Any:
    """A function under `functools.lru_cache`, with nothing in it yet."""
    return functools.lru_cache(maxsize, typed)(function)


def dispatching(function: Callable[..., Any], others: Mapping[type, Callable[..., Any]]) -> Any:
    """A function of `functools.singledispatch` with all that was registered."""
    made = functools.singledispatch(function)
    for kind, other in others.items():
        made.register(kind, other)
    return made


def named_tuple(name: str, fields: Sequence[str], defaults: Sequence[Any]) -> Any:
    return collections.namedtuple(name, fields, defaults=defaults)


def enumeration(base: Any, name: str, members: Sequence[tuple[str, Any]]) -> Any:
    return base(name, members)


def new(cls: type, *arguments: Any, **named: Any) -> Any:
    """An instance before its state; `__init__` is not called again."""
    return cls.__new__(cls, *arguments, **named)


def fill(made: Any, state: Any = None, items: Iterable[Any] = (), pairs: Iterable[Sequence[Any]] = ()) -> None:
    """The state of an instance, as Python's copy protocol puts it back."""
    if state is not None:
        if hasattr(made, "__setstate__"):
            made.__setstate__(state)
        else:
            plain, slots = state if isinstance(state, tuple) and len(state) == 2 else (state, None)
            if plain:
                vars(made).update(plain)
            for name, each in (slots or {}).items():
                object.__setattr__(made, name, each)
    for each in items:
        made.append(each)
    for key, each in pairs:
        made[key] = each


def replace(made: Any, by: Any) -> None:
    """The content of a list, dict or set that others hold too."""
    made.clear()
    made.extend(by) if isinstance(made, list) else made.update(by)


def set_decimal(**said: Any) -> None:
    import decimal

    for name, each in said.items():
        setattr(decimal.getcontext(), name, each)
