"""What a notebook's module calls while it is imported, to make again what lived in the session."""

from __future__ import annotations

import builtins
import collections
import functools
import os
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import BuiltinFunctionType
from typing import Any

frozenset_of, set_of, bytearray_of = builtins.frozenset, builtins.set, builtins.bytearray
property, staticmethod, classmethod = builtins.property, builtins.staticmethod, builtins.classmethod
number, complex_of = builtins.float, builtins.complex
lock, rlock = threading.Lock, threading.RLock


def value(format: str, text: str) -> Any:
    """A value in one of the formats of what operations return (base 85)."""
    import base64

    from jeyn.stores.serializers.values import decode_value

    return decode_value(format, base64.b85decode(text))


def search(folder: str) -> None:
    """Import from a folder too, which is given from the project's root: where a module is imported."""
    place = os.path.abspath(folder)  # noqa: PTH100
    if os.path.isdir(place) and place not in sys.path:  # noqa: PTH112 - what lies elsewhere is in the code package
        sys.path.append(place)


def memory(text: str) -> bytearray:
    """What arrays share (zlib, base 85)."""
    import base64
    import zlib

    return bytearray(zlib.decompress(base64.b85decode(text)))


def array(buffer: Any, dtype: Any, place: Sequence[Any], writeable: bool) -> Any:
    """A NumPy array in a buffer; `place` is its offset in bytes, its shape, and its strides in bytes."""
    import numpy

    made: Any = numpy.ndarray(place[1], dtype, buffer, place[0], place[2])
    made.flags.writeable = writeable
    return made


def tensor(buffer: Any, dtype: str, place: Sequence[Any], requires_grad: bool) -> Any:
    """A tensor in a buffer; `place` is its offset in bytes, its size, and its strides in elements."""
    import torch

    offset, size, strides = place
    count = 1 + sum((length - 1) * stride for length, stride in zip(size, strides, strict=True))
    flat = torch.frombuffer(buffer, dtype=getattr(torch, dtype), count=count, offset=offset)
    return flat.as_strided(size, strides).requires_grad_(requires_grad)


def read_only(made: Any) -> Any:
    """An array that nobody may change."""
    made.flags.writeable = False
    return made


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


def bare(cls: type) -> Any:
    """An instance of a class of the user's, whose `__new__` may do more than to make one."""
    base: Any = next(each for each in cls.__mro__ if isinstance(vars(each).get("__new__"), BuiltinFunctionType))
    return base.__new__(cls)


def asleep(function: Callable[..., Any]) -> Callable[..., Any]:
    """A method that Python calls while classes are made, doing only what must be done until it is `awake`."""
    name = function.__name__

    def __init_subclass__(cls: type, **_: Any) -> None:
        vars(_next(cls.__mro__[1:], name))[name].__get__(None, cls)()

    def __new__(meta: Any, called: str, bases: Any, space: Any, **_: Any) -> Any:
        return _next(meta.__mro__, name).__new__(meta, called, bases, space)

    def nothing(*_: Any, **__: Any) -> None:
        pass

    found: Any = {"__init_subclass__": __init_subclass__, "__new__": __new__}.get(name, nothing)
    found.asleep = function
    return found  # type: ignore[no-any-return]


def _next(classes: Sequence[Any], name: str) -> Any:
    """The first class that has such a method awake."""
    found = ((each, vars(each)[name]) for each in classes if name in vars(each))
    return next(each for each, method in found if not hasattr(getattr(method, "__func__", method), "asleep"))


def awake(cls: type, name: str) -> None:
    """From here on it does what its text says."""
    there = vars(cls)[name]
    function = getattr(there, "__func__", there).asleep
    type.__setattr__(cls, name, type(there)(function) if hasattr(there, "__func__") else function)


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
