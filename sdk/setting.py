"""Texts of `--set name=text`, read by the annotations of a pipeline's parameters."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from enum import Enum
from pathlib import PurePath
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints
from uuid import UUID

from jeyn.errors import JeynError, UsageError
from jeyn.json_text import check_digits, parse
from jeyn.sdk.annotation import holds, members, show
from jeyn.sdk.artefact import Artefact
from jeyn.sdk.file import File
from jeyn.sdk.handle import ref
from jeyn.sdk.signature import Parameter

_TRUTHS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
_SHOWN = 80  # characters of a text in a message
_INFINITE = re.compile(r"\s*[+-]?inf(inity)?\s*", re.IGNORECASE)
_NOTHING = ("none", "null")
# Narrower first: "1" is an int before it is a bool, a day before it is a moment, and text comes last.
_ORDER = (NoneType, int, float, bool, Decimal, UUID, date, datetime, time, timedelta)
_EXAMPLES = {
    int: "a whole number such as 3",
    float: "a number such as 0.5",
    bool: "true or false",
    NoneType: "none",
    str: "text (a text in quotes, such as '\"none\"', is what stands between them)",
    Decimal: "a decimal number such as 0.10",
    UUID: "a UUID such as 123e4567-e89b-12d3-a456-426614174000",
    date: "a date such as 2024-01-31",
    datetime: "a time such as 2024-01-31T08:00:00+00:00",
    time: "a time of day such as 08:00",
    timedelta: "a duration such as PT1H30M, 01:30:00 or 90 (seconds)",
}


# More digits than microseconds, which Python cuts off.
_NANOSECONDS = re.compile(r"[.,]\d{6}0*[1-9]")


class _Unreadable(Exception):
    """A text is not of one type; another alternative may read it. Says why, where that is not plain to see."""


def parse_setting(text: str, parameter: Parameter) -> Any:
    """The value of `--set name=text`. Raises `UsageError` with the name, the text and the expected type.

    Where none is allowed beside text, `none` is None, and a text in JSON's quotes is what stands between them.
    """
    alternatives = members(parameter.annotation)
    if {str, NoneType} <= set(alternatives) and (quoted := _quoted(text)) is not None:
        return quoted
    why = ""
    for member in sorted(alternatives, key=_precedence):
        try:
            return _read(text, member)
        except _Unreadable as exc:
            why = why or str(exc)
    shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    raise UsageError(f'"{parameter.name}" cannot be "{shown}"{why}', hint=expected(alternatives))


def expected(alternatives: tuple[Any, ...]) -> str:
    """What to give, with an example of each alternative that can be typed as it stands."""
    return "give " + " or ".join(dict.fromkeys(_described(member) for member in alternatives))


def _precedence(member: Any) -> int:
    if get_origin(member) is Literal or (isinstance(member, type) and issubclass(member, Enum)):
        return 0
    if member is str:
        return 99
    return 1 + _ORDER.index(member) if member in _ORDER else 98


def _quoted(text: str) -> str | None:
    try:
        found = json.loads(text) if text.startswith('"') else None
    except ValueError:
        return None
    return found if isinstance(found, str) else None


def _read(text: str, member: Any) -> Any:
    if get_origin(member) is Literal:
        return _choice(text, {str(value): value for value in get_args(member)})
    if member is Any:
        return _json_or_text(text)
    if get_origin(member) is None and isinstance(member, type):
        return _read_class(text, member)
    return _structure(text, member) if isinstance(get_origin(member), type) else _json_or_text(text)


def _read_class(text: str, cls: type) -> Any:
    if issubclass(cls, Enum):
        return _choice(text, {**{str(one.value): one for one in cls}, **cls.__members__})
    if cls is NoneType:
        return _choice(text.lower(), dict.fromkeys(_NOTHING))
    if cls is bool:
        return _choice(text.lower(), _TRUTHS)
    if cls is str:
        return text
    if cls in _READERS:
        return _tried(_READERS[cls], text)
    if issubclass(cls, Artefact):
        return _tried(ref, text)
    if issubclass(cls, PurePath | File):
        return cls(text)
    return _structure(text, cls)


def _choice(text: str, choices: Mapping[str, Any]) -> Any:
    if text not in choices:
        raise _Unreadable
    return choices[text]


def _tried(read: Callable[[str], Any], text: str) -> Any:
    try:
        return read(text)
    except (ValueError, InvalidOperation, JeynError) as exc:
        raise _Unreadable from exc


def _structure(text: str, annotation: Any) -> Any:
    """JSON as a list, dict, tuple, dataclass or pydantic model, each part of the type that it is to have."""
    # Reading a text is the only use of it here, and it takes longer to import than the rest of the command.
    from pydantic import TypeAdapter, ValidationError
    from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError

    try:
        return TypeAdapter(annotation).validate_json(text, strict=True)
    except ValidationError as exc:
        raise _Unreadable from exc
    except (PydanticSchemaGenerationError, PydanticUserError):  # a class of somebody's own
        return _plain_json(text, annotation)


def _plain_json(text: str, annotation: Any) -> Any:
    try:
        value = parse(text)
    except ValueError as exc:
        raise _Unreadable from exc
    if not isinstance(value, list | dict) or not holds(value, annotation):
        raise _Unreadable
    return tuple(value) if (get_origin(annotation) or annotation) is tuple else value


def _json_or_text(text: str) -> Any:
    try:
        return parse(text)
    except json.JSONDecodeError:
        return text
    except ValueError as exc:  # it is JSON, and beyond the bounds: no text that somebody meant
        raise _Unreadable from exc


def _number(text: str) -> float:
    """A number too large for a float is no infinity, and one too small no zero."""
    found = float(text)
    if math.isinf(found) and not _INFINITE.fullmatch(text):
        raise _Unreadable(", which is too large for a float")
    if not found and any(digit in "123456789" for digit in text.lower().partition("e")[0]):
        raise _Unreadable(", which is too small for a float")
    return found


def _decimal(text: str) -> Decimal:
    return Decimal(check_digits(text))


def _whole_microseconds(read: Callable[[str], Any]) -> Callable[[str], Any]:
    def checked(text: str) -> Any:
        if _NANOSECONDS.search(text):
            raise _Unreadable(", as times have whole microseconds")
        return read(text)

    return checked


def _duration(text: str) -> timedelta:
    try:
        return timedelta(seconds=float(text))
    except (ValueError, OverflowError):
        check_digits(text)
        from pydantic import TypeAdapter

        return TypeAdapter(timedelta).validate_python(text)


_READERS: dict[type, Callable[[str], Any]] = {
    int: lambda text: int(check_digits(text)),
    float: _number,
    Decimal: _decimal,
    UUID: UUID,
    date: date.fromisoformat,
    datetime: _whole_microseconds(datetime.fromisoformat),
    time: _whole_microseconds(time.fromisoformat),
    timedelta: _whole_microseconds(_duration),
}


def _described(member: Any) -> str:
    if get_origin(member) is Literal:
        return "one of " + ", ".join(str(value) for value in get_args(member))
    if isinstance(member, type) and issubclass(member, Enum):
        return "one of " + ", ".join(str(one.value) for one in member)
    if member in _EXAMPLES:
        return _EXAMPLES[member]
    origin = get_origin(member) or member
    if isinstance(origin, type) and issubclass(origin, Artefact):
        return f"a reference to a {show(member)}, such as name@1.2.0"
    if isinstance(origin, type) and issubclass(origin, PurePath | File):
        return f"{show(member)}"
    example = _example(member)
    return f"{show(member)} as JSON" + ("" if example is None else f", such as '{json.dumps(example)}'")


def _example(annotation: Any) -> Any:
    """A value of JSON that the annotation takes; None where none is known."""
    member = members(annotation)[0]
    origin, arguments = get_origin(member) or member, get_args(member)
    if origin is Literal:
        return arguments[0]
    scalars = {int: 1, float: 0.5, str: "a", bool: True, NoneType: None, Decimal: "0.10", date: "2024-01-31", Any: 1}
    if member in scalars:
        return scalars[member]
    if isinstance(origin, type) and issubclass(origin, Enum):
        return next(iter(origin)).value
    if origin is tuple and arguments and ... not in arguments:
        return [_example(each) for each in arguments]
    if isinstance(origin, type) and issubclass(origin, list | tuple | set | frozenset):
        return [_example(arguments[0] if arguments else int)] * 2
    if isinstance(origin, type) and issubclass(origin, dict):
        return {"a": _example(arguments[1] if len(arguments) == 2 else int)}
    if hasattr(origin, "model_fields"):  # a pydantic model
        return {name: _example(field.annotation) for name, field in origin.model_fields.items() if field.is_required()}
    if dataclasses.is_dataclass(origin):
        hints = get_type_hints(origin)
        return {field.name: _example(hints[field.name]) for field in dataclasses.fields(origin) if _is_needed(field)}
    return None


def _is_needed(field: Any) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
