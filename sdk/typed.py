"""Values that JSON has no form for, as a plan keeps them: dates, decimals, enumerations, dataclasses, pydantic models.

`{"$value": "datetime.date", "is": "2024-01-31"}`, or for a class of the project `"module:Class"` with its fields; it
is made again where an operation gets it.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import reduce
from typing import Any
from uuid import UUID

from jeyn.errors import CodeChanged, NotDigestible

TAG, CONTENT = "$value", "is"

_WRITTEN: dict[type, Callable[[Any], Any]] = {
    datetime: datetime.isoformat,
    date: date.isoformat,
    time: time.isoformat,
    timedelta: lambda value: [value.days, value.seconds, value.microseconds],
    Decimal: str,
    UUID: str,
}
_READ: dict[str, Callable[[Any], Any]] = {
    "datetime.datetime": datetime.fromisoformat,
    "datetime.date": date.fromisoformat,
    "datetime.time": time.fromisoformat,
    "datetime.timedelta": lambda parts: timedelta(*parts),
    "decimal.Decimal": Decimal,
    "uuid.UUID": UUID,
    "dict": lambda pairs: {key: revived(each) for key, each in pairs.items()},  # one that looks like these
}


def is_structured(value: Any) -> bool:
    """Whether a plan keeps the value with the name of its class."""
    return type(value) in _WRITTEN or isinstance(value, Enum) or _has_fields(value)


def as_json(value: Any) -> Any:
    """The value for people and JSON: a date as its text, a dataclass as its fields."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, timedelta):
        return value.total_seconds()
    if type(value) in _WRITTEN:
        return _WRITTEN[type(value)](value)
    return _fields_of(value, "the value")


def tagged(value: Any, where: str) -> dict[str, Any]:
    """The value as a plan keeps it. Raises `NotDigestible` for a class that no worker could find again."""
    cls = type(value)
    if cls in _WRITTEN:
        return {TAG: f"{cls.__module__}.{cls.__qualname__}", CONTENT: _WRITTEN[cls](value)}
    name = f"{cls.__module__}:{cls.__qualname__}"
    if cls.__module__ == "__main__" or "<locals>" in name:
        raise NotDigestible(
            f'{where} is a "{cls.__qualname__}", a class that no worker can import',
            hint="put the class at the top of a module of the project, or pass what is in it",
        )
    return {TAG: name, CONTENT: value.name if isinstance(value, Enum) else _fields_of(value, where)}


def revived(data: Any) -> Any:
    """The value of a constant of a plan."""
    if isinstance(data, list):
        return [revived(each) for each in data]
    if not isinstance(data, dict):
        return data
    if data.keys() != {TAG, CONTENT}:
        return {key: revived(each) for key, each in data.items()}
    kind, content = data[TAG], data[CONTENT]
    return _READ[kind](content) if kind in _READ else _object(str(kind), content)


def _has_fields(value: Any) -> bool:
    is_dataclass = dataclasses.is_dataclass(value) and not isinstance(value, type)
    return is_dataclass or (hasattr(type(value), "model_fields") and hasattr(value, "model_dump_json"))


def _fields_of(value: Any, where: str) -> Any:
    from pydantic import PydanticUserError, TypeAdapter

    try:
        return json.loads(TypeAdapter(type(value)).dump_json(value))
    except (PydanticUserError, ValueError, TypeError) as exc:
        raise NotDigestible(
            f'{where} is a "{type(value).__qualname__}" that JSON cannot hold ({exc})', hint="pass its fields"
        ) from exc


def _object(name: str, content: Any) -> Any:
    module, _, qualname = name.partition(":")
    try:
        cls: Any = reduce(getattr, qualname.split("."), importlib.import_module(module))
    except (ImportError, AttributeError) as exc:
        raise CodeChanged(f'the class "{name}" of a constant is not there', hint="start a new run") from exc
    if isinstance(cls, type) and issubclass(cls, Enum):
        return cls[content]
    if not (dataclasses.is_dataclass(cls) or hasattr(cls, "model_fields")):
        raise CodeChanged(f'"{name}" of a constant has no fields', hint="make the plan anew")
    from pydantic import TypeAdapter

    return TypeAdapter(cls).validate_json(json.dumps(content))
