"""A pipeline's parameters: texts of `--set` read by their annotations, and values from Python checked against them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import Enum
from pathlib import PurePath
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from jeyn.errors import JeynError, UsageError
from jeyn.sdk.annotation import fits, holds, members, show
from jeyn.sdk.argument import is_constant, source_of, type_of
from jeyn.sdk.artefact import Artefact
from jeyn.sdk.constant import plain
from jeyn.sdk.file import File
from jeyn.sdk.handle import Handle, ref
from jeyn.sdk.plan import FileInput, Ref, SecretInput
from jeyn.sdk.signature import Parameter

_TRUTHS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
_NOTHING = ("none", "null", "")


class _Unreadable(Exception):
    """A text is not of one type; another alternative may read it."""


def parse_setting(text: str, parameter: Parameter) -> Any:
    """The value of `--set name=text`. Raises `UsageError` with the name, the text and the expected type."""
    alternatives = members(parameter.annotation)
    for member in sorted(alternatives, key=_precedence):
        try:
            value = _read(text, member)
        except _Unreadable:
            continue
        if not isinstance(value, list | dict) or holds(value, member):
            return value
    raise UsageError(f'"{parameter.name}" cannot be "{text}"', hint=_expected(alternatives))


def check_value(value: Any, parameter: Parameter, what: str) -> None:
    """Raises `UsageError` when a value given from Python is not of the parameter's type; a bool is no number."""
    if any(_is(value, member) for member in members(parameter.annotation)):
        return
    raise UsageError(
        f'{what} takes "{parameter.name}" as {show(parameter.annotation)}, not {value!r} ({type(value).__name__})',
        hint=_expected(members(parameter.annotation)),
    )


def recorded(value: Any, where: str) -> Any:
    """A parameter's value as a plan keeps it: JSON, and references and files as their texts."""
    if isinstance(value, Enum):
        return plain(value.value, where)
    if isinstance(value, PurePath):
        return value.as_posix()
    if isinstance(value, list | tuple):
        return [recorded(item, where) for item in value]
    if is_constant(value):
        return plain(value, where)
    match source_of(value, where):
        case Ref(reference=text) | FileInput(path=text):
            return text
        case SecretInput(name=name, key=key):
            return f"secret {name}/{key}"
    raise UsageError(f"{where} is the output of an operation", hint="call the operation inside the pipeline")


def _is(value: Any, member: Any) -> bool:
    if isinstance(value, bool) and member in (int, float, complex):
        return False
    if not is_constant(value) or isinstance(value, Handle):
        return fits(type_of(value), member)
    return holds(value, member)


def _precedence(member: Any) -> int:
    """The narrower goes first: "1" is an int before it is a bool, and text comes last."""
    if get_origin(member) is Literal or (isinstance(member, type) and issubclass(member, Enum)):
        return 0
    order = [NoneType, int, float, bool]
    return 1 + order.index(member) if member in order else 9 if member is str else 8


def _read(text: str, member: Any) -> Any:
    origin = get_origin(member)
    if origin is Literal:
        return _choice(text, {str(value): value for value in get_args(member)})
    if member is Any:
        return _json_or_text(text)
    if origin is not None and isinstance(origin, type):
        return _json(text, origin)
    return _read_class(text, member) if isinstance(member, type) else _json_or_text(text)


def _read_class(text: str, cls: type) -> Any:
    if issubclass(cls, Enum):
        return _choice(text, {**{str(one.value): one for one in cls}, **cls.__members__})
    if cls is NoneType:
        return _choice(text.lower(), dict.fromkeys(_NOTHING))
    if cls is bool:
        return _choice(text.lower(), _TRUTHS)
    if cls in (int, float):
        return _number(text, cls)
    if cls is str:
        return text
    if issubclass(cls, Artefact):
        return _reference(text)
    if issubclass(cls, PurePath | File):
        return cls(text)
    return _json(text, cls)


def _choice(text: str, choices: Mapping[str, Any]) -> Any:
    if text not in choices:
        raise _Unreadable
    return choices[text]


def _number(text: str, cls: type) -> Any:
    try:
        return cls(text)
    except ValueError as exc:
        raise _Unreadable from exc


def _reference(text: str) -> Any:
    try:
        return ref(text)
    except JeynError as exc:
        raise _Unreadable from exc


def _json(text: str, cls: type) -> Any:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise _Unreadable from exc
    if not isinstance(value, list | dict) or not holds(value, cls):
        raise _Unreadable
    return tuple(value) if cls is tuple else value


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _expected(alternatives: tuple[Any, ...]) -> str:
    return "give " + " or ".join(dict.fromkeys(_example(member) for member in alternatives))


def _example(member: Any) -> str:
    if get_origin(member) is Literal:
        return "one of " + ", ".join(str(value) for value in get_args(member))
    if isinstance(member, type) and issubclass(member, Enum):
        return "one of " + ", ".join(str(one.value) for one in member)
    examples = {int: "a whole number such as 3", float: "a number such as 0.5", bool: "true or false", NoneType: "none"}
    if member in examples:
        return examples[member]
    origin = get_origin(member) or member
    if isinstance(origin, type) and issubclass(origin, list | tuple):
        return f'{show(member)} as JSON, such as "[1, 2]"'
    if isinstance(origin, type) and issubclass(origin, Artefact):
        return f"a reference to a {show(member)}, such as name@1.2.0"
    return f"{show(member)}"
