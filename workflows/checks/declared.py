"""The artefacts that an operation's code names: the formulas and use cases that its module declares.

Read from the compiled code, so that it also holds for a notebook's cells. Functions of the same package that it names
are followed; what is reached through a local variable or an object is not seen.
"""

from __future__ import annotations

import dis
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import CodeType, FunctionType, ModuleType
from typing import Any

from jeyn.sdk.artefact import Artefact

_GLOBAL = ("LOAD_GLOBAL", "LOAD_NAME")
_ATTRIBUTE = ("LOAD_ATTR", "LOAD_METHOD")


@dataclass
class Use:
    """An artefact that code names, and what it asks of it directly (`digits.get_new_batch`)."""

    artefact: Artefact
    attributes: set[str] = field(default_factory=set)


@dataclass
class Declared:
    """What the code of one function and those it calls names: artefacts by name, and attributes of anything."""

    uses: dict[str, Use] = field(default_factory=dict)
    attributes: set[str] = field(default_factory=set)

    def of(self, kind: type[Artefact]) -> list[Use]:
        """The artefacts of one class, each once."""
        return list({id(use.artefact): use for use in self.uses.values() if isinstance(use.artefact, kind)}.values())


def declared(function: Callable[..., Any]) -> Declared:
    """The artefacts among the global names that a function's code uses."""
    found = Declared()
    first = inspect.unwrap(function)
    waiting = [first] if isinstance(first, FunctionType) else []
    seen = set(waiting)
    for each in waiting:  # grows as functions are met
        for chain in _chains(each.__code__):
            found.attributes.update(chain[1:])
            name, thing, rest = _followed(chain, each.__globals__)
            if isinstance(thing, Artefact):
                _note(found, name, thing, rest)
            elif (called := _own_function(thing, first)) is not None and called not in seen:
                seen.add(called)
                waiting.append(called)
    return found


def _note(found: Declared, name: str, artefact: Artefact, rest: tuple[str, ...]) -> None:
    same = (use for use in found.uses.values() if use.artefact is artefact)
    use = next(same, None) or found.uses.setdefault(name, Use(artefact))
    use.attributes.update(rest[:1])


def _chains(code: CodeType) -> Iterator[tuple[str, ...]]:
    """`("module", "digits", "get_new_batch")` for each global name and what is asked of it; ("", "x") for others."""
    chain: tuple[str, ...] = ()
    for step in dis.get_instructions(code):
        if step.opname in _GLOBAL:
            if chain:
                yield chain
            chain = (str(step.argval),)
        elif step.opname in _ATTRIBUTE:
            chain = (*(chain or ("",)), str(step.argval))
        elif step.opname != "EXTENDED_ARG" and chain:
            yield chain
            chain = ()
    if chain:
        yield chain
    for constant in code.co_consts:  # lambdas, comprehensions, nested functions and classes
        if isinstance(constant, CodeType):
            yield from _chains(constant)


def _followed(chain: tuple[str, ...], names: Mapping[str, Any]) -> tuple[str, Any, tuple[str, ...]]:
    """What a chain names, through modules only: reading an attribute of anything else could run code."""
    path, thing, rest = chain[0], names.get(chain[0]), chain[1:]
    while isinstance(thing, ModuleType) and rest:
        thing = vars(thing).get(rest[0])
        path, rest = f"{path}.{rest[0]}", rest[1:]
    return path, thing, rest


def _own_function(thing: Any, first: FunctionType) -> FunctionType | None:
    """A function, or an operation around one, of the package that the first function is in."""
    inner = thing if isinstance(thing, FunctionType) else getattr(thing, "__dict__", {}).get("__wrapped__")
    inner = inspect.unwrap(inner) if isinstance(inner, FunctionType) else None
    if not isinstance(inner, FunctionType):
        return None
    near = inner.__globals__ is first.__globals__ or _package(inner) == _package(first)
    return inner if near else None


def _package(function: FunctionType) -> str:
    return str(function.__module__).partition(".")[0]
