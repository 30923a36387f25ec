"""A pipeline's parameters: values from Python checked against their annotations, and as a plan keeps them."""

from __future__ import annotations

import dataclasses
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any
from uuid import UUID

from jeyn.errors import UsageError
from jeyn.sdk.annotation import fits, holds, members, show
from jeyn.sdk.argument import is_constant, source_of, type_of
from jeyn.sdk.constant import plain
from jeyn.sdk.handle import Handle
from jeyn.sdk.plan import FileInput, Ref, SecretInput
from jeyn.sdk.setting import expected
from jeyn.sdk.signature import Parameter


def check_value(value: Any, parameter: Parameter, what: str) -> None:
    """Raises `UsageError` when a value given from Python is not of the parameter's type; a bool is no number."""
    if any(_is(value, member) for member in members(parameter.annotation)):
        return
    raise UsageError(
        f'{what} takes "{parameter.name}" as {show(parameter.annotation)}, not {value!r} ({type(value).__name__})',
        hint=expected(members(parameter.annotation)),
    )


def recorded(value: Any, where: str) -> Any:
    """A parameter's value as a plan keeps it: JSON, and references, files, times and the like as their texts."""
    match value:
        case list() | tuple():
            return [recorded(item, where) for item in value]
        case set() | frozenset():
            return sorted((recorded(item, where) for item in value), key=repr)
        case dict():
            return {str(key): recorded(item, where) for key, item in value.items()}
    if not is_constant(value):
        return _source_text(value, where)
    if dataclasses.is_dataclass(value):
        fields = [field.name for field in dataclasses.fields(value)]
        return {name: recorded(getattr(value, name), where) for name in fields}
    if hasattr(value, "model_dump"):  # pydantic's
        return recorded(value.model_dump(mode="json"), where)
    return plain(_scalar(value), where)


def _scalar(value: Any) -> Any:
    match value:
        case Enum():
            return value.value
        case PurePath():
            return value.as_posix()
        case date() | time():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case Decimal() | UUID():
            return str(value)
    return value


def _source_text(value: Any, where: str) -> str:
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
