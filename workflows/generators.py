"""Random generators at the top of the project's modules: where they stood after import (SEMANTICS 35)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

_State = tuple[Any, Any]


def read() -> list[_State]:
    """Each generator with its state; those of libraries are seeded instead."""
    found = {id(each): each for module in _own_modules() for each in vars(module).values() if _kind(each)}
    return [(each, _READ[_kind(each)](each)) for each in found.values()]


def restore(before: list[_State]) -> None:
    """What an operation drew from them is drawn again by the next."""
    for generator, state in before:
        _WRITE[_kind(generator)](generator, state)


def _own_modules() -> Iterator[Any]:
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        top = name.partition(".")[0]
        if not isinstance(file, str) or top == "jeyn" or top in sys.stdlib_module_names:
            continue
        if {"site-packages", "dist-packages"}.isdisjoint(Path(file).parts):
            yield module


def _kind(value: Any) -> str:
    kind = type(value)
    name = f"{kind.__module__.partition('.')[0]}.{kind.__name__}"
    return name if name in _READ else ""


_READ: dict[str, Callable[[Any], Any]] = {
    "random.Random": lambda generator: generator.getstate(),
    "numpy.Generator": lambda generator: generator.bit_generator.state,
    "numpy.RandomState": lambda generator: generator.get_state(),
    "torch.Generator": lambda generator: generator.get_state(),
}
_WRITE: dict[str, Callable[[Any, Any], None]] = {
    "random.Random": lambda generator, state: generator.setstate(state),
    "numpy.Generator": lambda generator, state: setattr(generator.bit_generator, "state", state),
    "numpy.RandomState": lambda generator, state: generator.set_state(state),
    "torch.Generator": lambda generator, state: generator.set_state(state),
}
