"""Random generators at the top of the project's modules: where they stood after import (SEMANTICS 35)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

_State = tuple[Any, Any]


def read() -> list[_State]:
    """Each generator with its state; those of libraries are seeded instead."""
    found = {id(each): each for module in filter(_is_own, list(sys.modules.values())) for each in _in(module)}
    return [(each, _READ[_kind(each)](each)) for each in found.values()]


def restore(before: list[_State]) -> None:
    """What an operation drew from them is drawn again by the next."""
    for generator, state in before:
        _WRITE[_kind(generator)](generator, state)


def have_any(modules: Iterable[Any]) -> bool:
    """Whether an operation was the first to import a generator: nobody knows where it stood."""
    return any(True for module in filter(_is_own, modules) for _ in _in(module))


def is_generator(value: Any) -> bool:
    """Whether it is one that is put back."""
    return bool(_kind(value))


def _in(module: Any) -> list[Any]:
    return [each for each in list(vars(module).values()) if _kind(each)]


def _is_own(module: Any) -> bool:
    file, name = getattr(module, "__file__", None), getattr(module, "__name__", "")
    top = str(name).partition(".")[0]
    if not isinstance(file, str) or top == "jeyn" or top in sys.stdlib_module_names:
        return False
    return {"site-packages", "dist-packages"}.isdisjoint(Path(file).parts)


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
