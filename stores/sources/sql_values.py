"""What databases give as Python values, made into Arrow columns of a catalog's features."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

import pyarrow as pa

from jeyn.errors import DataInvalid
from jeyn.sdk.dtypes import Dtypes
from jeyn.sdk.feature import Feature


def as_time(value: Any) -> datetime:
    """A time in UTC, which is also the zone of what has none; a date is its midnight. Texts are ISO 8601."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if not isinstance(value, datetime) and isinstance(value, date):
        value = datetime.combine(value, time())
    if not isinstance(value, datetime):
        raise TypeError("not a time")
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def as_column(name: str, values: Sequence[Any], feature: Feature) -> pa.Array:
    """One Arrow array of the feature's type; raises `DataInvalid`, which names the column and a value."""
    wanted = feature.arrow_type()
    convert = _nested(_converter(feature.dtype), len(feature.shape) - 1)
    if feature.shape == (-1, 1):
        values = [[value] if value is not None and not isinstance(value, list) else value for value in values]
    if not _are_ready(values, feature):
        values = [None if value is None else _converted(name, value, convert, feature) for value in values]
    try:
        return pa.array(values, wanted)
    except (pa.ArrowException, OverflowError, TypeError, ValueError) as exc:
        raise DataInvalid(f'column "{name}" does not hold {feature}: {exc}', hint="cast it in the query") from exc


def _are_ready(values: Sequence[Any], feature: Feature) -> bool:
    """Whether Arrow takes the values as they are, which is the usual case and far quicker."""
    ready = _READY.get(feature.dtype, float if feature.dtype.is_float else int)
    return feature.shape == (-1,) and set(map(type, values)) <= {ready, type(None)}


def _converted(name: str, value: Any, convert: Callable[[Any], Any], feature: Feature) -> Any:
    try:
        return convert(value)
    except (TypeError, ValueError, ArithmeticError) as exc:
        message = f'column "{name}" holds {value!r}, which is no {feature.dtype.value}'
        raise DataInvalid(message, hint="cast it in the query, or correct the catalog") from exc


def _nested(convert: Callable[[Any], Any], depth: int) -> Callable[[Any], Any]:
    if not depth:
        return convert
    inner = _nested(convert, depth - 1)

    def convert_list(values: Any) -> Any:
        if not isinstance(values, list):
            raise TypeError("not a list")
        return [None if value is None else inner(value) for value in values]

    return convert_list


def _converter(dtype: Dtypes) -> Callable[[Any], Any]:
    if dtype.is_integer:
        return _integer
    if dtype.is_float:
        return _real
    return _CONVERTERS[dtype]


def _integer(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)) or value != int(value):
        raise TypeError("not an integer")
    return int(value)


def _real(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        raise TypeError("not a number")
    return float(value)


def _flag(value: Any) -> bool:
    """SQLite keeps booleans as 0 and 1."""
    if not isinstance(value, int) or value not in (0, 1):
        raise TypeError("not a bool")
    return bool(value)


def _text(value: Any) -> str:
    if isinstance(value, (date, time)):
        return value.isoformat()
    if not isinstance(value, (str, UUID)):
        raise TypeError("not a text")
    return str(value)


def _bytes(value: Any) -> bytes:
    if not isinstance(value, (bytes, bytearray, memoryview)):
        raise TypeError("not bytes")
    return bytes(value)


_CONVERTERS: dict[Dtypes, Callable[[Any], Any]] = {
    Dtypes.BOOL: _flag,
    Dtypes.STRING: _text,
    Dtypes.CATEGORICAL: _text,
    Dtypes.BYTES: _bytes,
    Dtypes.TIMESTAMP: as_time,
}
_READY: dict[Dtypes, type | None] = {
    Dtypes.BOOL: bool,
    Dtypes.STRING: str,
    Dtypes.CATEGORICAL: str,
    Dtypes.BYTES: bytes,
    Dtypes.TIMESTAMP: None,  # zones differ
}
