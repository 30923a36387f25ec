"""Arguments of operations: where a plan gets each from, and whether its type fits the parameter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jeyn.errors import NotDigestible
from jeyn.sdk.annotation import fits, holds, item_of, items_wanted, show
from jeyn.sdk.artefact import Artefact
from jeyn.sdk.constant import MAX_DEPTH, SCALARS, plain
from jeyn.sdk.file import File
from jeyn.sdk.handle import ConditionExpression, Handle, Handles, only_output, promise_of
from jeyn.sdk.plan import Constant, FileInput, Items, Ref, SecretInput, Source
from jeyn.sdk.reference import Reference
from jeyn.sdk.secret import Secret

_NOT_CONSTANT = (Handle, Handles, ConditionExpression, File, Secret, Artefact, Reference)


def source_of(value: Any, where: str) -> Source:
    """Where a plan gets an argument from. Raises `NotDigestible` that names `where` and what can be passed instead."""
    if type(value) in SCALARS:
        return Constant(value=plain(value, where))
    match value:
        case Handle():
            return promise_of(value).source
        case Handles():
            return Items(items=(source_of(only_output(value, where), where),))
        case ConditionExpression():
            raise NotDigestible(
                f"{where} is a condition", hint="use it with jeyn.when(…), or compare inside an operation"
            )
        case File():
            return FileInput(path=value.path.as_posix())
        case Secret():
            return SecretInput(name=value.name, key=value.key)
        case Artefact():
            return Ref(reference=_saved_id(value, where))
        case Reference():
            return Ref(reference=str(value))
        case list() | tuple() if not is_constant(value):
            return Items(items=tuple(source_of(item, where) for item in value))
        case dict() if not is_constant(value):
            raise NotDigestible(
                f"{where} is a dict that holds handles, files, secrets or artefacts",
                hint="pass each as a parameter of its own, or as a list",
            )
    return Constant(value=plain(value, where))


def is_constant(value: Any, depth: int = 0) -> bool:
    """Whether nothing in a value comes from somewhere else."""
    if depth > MAX_DEPTH:  # it may hold itself; `plain` refuses it
        return True
    if isinstance(value, list | tuple):
        return all(is_constant(item, depth + 1) for item in value)
    if isinstance(value, dict):
        return all(is_constant(item, depth + 1) for item in value.values())
    return not isinstance(value, _NOT_CONSTANT)


def type_of(value: Any) -> Any:
    """The type that an operation will get for an argument; a collected handle is a list of its items."""
    match value:
        case Handle():
            promise = promise_of(value)
            return list[promise.annotation] if promise.mapped else promise.annotation  # type: ignore[name-defined]
        case Handles():
            return list[type_of(only_output(value, "an argument"))]  # type: ignore[misc]
        case File():
            return File | Path
        case Reference():
            return Any
        case list() | tuple() if not is_constant(value):
            return list
    return type(value)


def suits(value: Any, wanted: Any) -> bool:
    """Whether an argument fits a parameter's annotation; True wherever that cannot be known."""
    if isinstance(value, list | tuple) and not is_constant(value):
        return fits(list, wanted) and all(suits(item, items_wanted(wanted)) for item in value)
    return fits(type_of(value), wanted) if isinstance(value, _NOT_CONSTANT) else holds(value, wanted)


def items_suit(value: Any, wanted: Any) -> bool:
    """Like `suits`, for an argument that is mapped: each item is what the parameter gets."""
    if not isinstance(value, Handle):
        return all(suits(item, wanted) for item in value)
    promise = promise_of(value)
    item = promise.annotation if promise.mapped else item_of(promise.annotation)
    return item is not None and fits(item, wanted)


def described(value: Any) -> str:
    """An argument in a message: what gives it, and its type."""
    if isinstance(value, Handle):
        return f"{promise_of(value).label} gives {show(type_of(value)) or 'a value'}"
    if not is_constant(value):
        return f"it is given {show(type_of(value))}"
    text = repr(value)
    return f"it is given {text if len(text) <= 60 else text[:59] + '…'} ({show(type(value))})"


def _saved_id(artefact: Artefact, where: str) -> str:
    if not artefact.is_saved:
        raise NotDigestible(
            f"{where} is a {type(artefact).__name__} that is not saved yet",
            hint="save it first, or make it inside an operation and pass that operation's output",
        )
    return artefact.id
