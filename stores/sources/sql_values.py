"""What databases give as Python values, made into Arrow columns of a catalog's features."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time
from decimal import ROUND_FLOOR, Decimal, localcontext
from functools import partial
from typing import Any
from uuid import UUID

import pyarrow as pa

from jeyn.errors import DataInvalid
from jeyn.sdk.dtypes import Dtypes
from jeyn.sdk.feature import Feature, type_only
from jeyn.sdk.validation.bounds import integer_range

# Python's own parser cuts these digits off.
_NANOSECONDS = re.compile(r"[.,]\d{6}0*[1-9]")


def as_time(value: Any) -> datetime:
    """A time in UTC, which is also the zone of what has none; a date is its midnight. Texts are ISO 8601."""
    if isinstance(value, str):
        if _NANOSECONDS.search(value):
            raise Inexact("times have whole microseconds: cut them in the query")
        value = datetime.fromisoformat(value)
    if not isinstance(value, datetime) and isinstance(value, date):
        value = datetime.combine(value, time())
    if not isinstance(value, datetime):
        raise TypeError("not a time")
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def sortable(value: Any) -> str | None:
    """Texts of times so that they sort as times; what is none sorts last, where it is read, and refused."""
    if value is None:
        return None
    try:
        return as_time(value).isoformat(timespec="microseconds")
    except (TypeError, ValueError, OverflowError):
        return f"~{value}"


def as_column(
    name: str, values: Sequence[Any], feature: Feature, where: Callable[[int], str] = lambda at: ""
) -> pa.Array:
    """One Arrow array of the feature's type; raises `DataInvalid`, which names the column and a value, and `where`."""
    wanted = feature.arrow_type()
    convert = _nested(_converter(feature), len(feature.shape) - 1)
    if feature.shape == (-1, 1):
        values = [[value] if value is not None and not isinstance(value, list) else value for value in values]
    if not _are_ready(values, feature):
        convert = _converting(name, convert, feature, where)
        values = [None if value is None else convert((at, value)) for at, value in enumerate(values)]
    try:
        return pa.array(values, wanted)
    except MemoryError:
        raise
    except _NOT_HELD as exc:
        at = next((at for at, value in enumerate(values) if not _holds(wanted, value)), 0)
        told = f'column "{name}" holds {_shown(values[at])}, which is no {type_only(feature)}{where(at)}: {exc}'
        raise DataInvalid(told, hint="cast it in the query, or correct the catalog") from exc


_NOT_HELD = (pa.ArrowException, OverflowError, TypeError, ValueError)


def _holds(wanted: pa.DataType, value: Any) -> bool:
    try:
        pa.array([value], wanted)
    except _NOT_HELD:
        return False
    return True


def _shown(value: Any) -> str:
    return str(value) if isinstance(value, Decimal) else repr(value)


def within(value: Any, feature: Feature) -> Any:
    """The lowest value not below `value` that the feature can hold, or a lower one."""
    if feature.dtype in (Dtypes.FLOAT16, Dtypes.FLOAT32):
        return _float_within(value, feature.dtype.value)
    if feature.dtype is Dtypes.DECIMAL and isinstance(value, Decimal):
        with localcontext(prec=100):
            return value.quantize(Decimal(1).scaleb(-feature.digits[1]), ROUND_FLOOR)
    if not feature.dtype.is_integer:
        return value
    low, _ = integer_range(feature.dtype)
    return max(math.floor(value), low)


def _float_within(value: int | float | Decimal, dtype: str) -> float:
    import numpy as np

    kind = np.dtype(dtype).type
    with np.errstate(over="ignore"):
        made = kind(value)
        return float(made if float(made) <= value else np.nextafter(made, kind("-inf")))


def comparable(column: Any) -> Any:
    """The column in a type that Arrow can compare."""
    if pa.types.is_dictionary(column.type):
        return column.cast(pa.string())
    return column.cast(pa.float32()) if pa.types.is_float16(column.type) else column


def _are_ready(values: Sequence[Any], feature: Feature) -> bool:
    """Whether Arrow takes the values as they are, which is the usual case and far quicker."""
    ready = _READY.get(feature.dtype, int)
    return feature.shape == (-1,) and set(map(type, values)) <= {ready, type(None)}


def _converting(
    name: str, convert: Callable[[Any], Any], feature: Feature, where: Callable[[int], str]
) -> Callable[[tuple[int, Any]], Any]:
    def converted(cell: tuple[int, Any]) -> Any:
        at, value = cell
        try:
            return convert(value)
        except (TypeError, ValueError, ArithmeticError) as exc:
            exact = " exactly" if isinstance(exc, Inexact) else ""
            raise DataInvalid(
                f'column "{name}" holds {_shown(value)}, which is no {feature.dtype.value}{exact}{where(at)}',
                hint=str(exc) if isinstance(exc, Inexact) else "cast it in the query, or correct the catalog",
            ) from exc

    return converted


def _nested(convert: Callable[[Any], Any], depth: int) -> Callable[[Any], Any]:
    if not depth:
        return convert
    inner = _nested(convert, depth - 1)

    def convert_list(values: Any) -> Any:
        if not isinstance(values, list):
            raise TypeError("not a list")
        return [None if value is None else inner(value) for value in values]

    return convert_list


class Inexact(ValueError):
    """A number or time that would be rounded; says what to do."""


def _converter(feature: Feature) -> Callable[[Any], Any]:
    if feature.dtype.is_integer:
        return _whole if feature.nullable else _integer
    if feature.dtype.is_float:
        return partial(_real, dtype=feature.dtype)
    return _CONVERTERS[feature.dtype]


def _integer(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)) or value != int(value):
        raise TypeError("not an integer")
    return int(value)


def _whole(value: Any) -> int | None:
    """A nullable integer may come as a whole float, as gaps make of it; NaN is such a gap."""
    if not isinstance(value, float):
        return _integer(value)
    if math.isnan(value):
        return None
    if value != int(value):
        raise Inexact("declare FLOAT64, or cast it in the query")
    return int(value)


def _real(value: Any, dtype: Dtypes) -> float:
    """The float that prints as this number does, such as 0.1, which is no float; a whole number is that very number."""
    import numpy as np

    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        raise TypeError("not a number")
    with np.errstate(over="ignore"):
        made = np.dtype(dtype.value).type(value)
    wide = float(made)
    if math.isnan(value) or wide == value:
        return wide
    shown = Decimal(str(made)) if math.isfinite(wide) else None
    is_whole = math.isfinite(value) and value == int(value)
    if shown is None or is_whole or shown != Decimal(str(value)):
        raise Inexact(f"declare {_more_exact(value)}, or cast it in the query")
    return wide


def _more_exact(value: int | float | Decimal) -> str:
    if isinstance(value, float):
        return "FLOAT64"
    return "INT64" if value == int(value) and -(2**63) <= int(value) < 2**63 else "DECIMAL"


def _decimal(value: Any) -> Decimal:
    """SQLite keeps decimals as floats, which stand for what they print, or as texts."""
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal, str)):
        raise TypeError("not a decimal")
    made = Decimal(repr(value) if isinstance(value, float) else value)
    if not made.is_finite():
        raise ValueError("not a finite number")
    return made


def _day(value: Any) -> date:
    """A date, its midnight in UTC, or its ISO text."""
    time_of_day = as_time(value)
    if time_of_day.time() != time():
        raise Inexact("declare TIMESTAMP, or cast it in the query")
    return time_of_day.date()


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
    Dtypes.DATE: _day,
    Dtypes.DECIMAL: _decimal,
    Dtypes.TIMESTAMP: as_time,
}
_READY: dict[Dtypes, type | None] = {
    Dtypes.BOOL: bool,
    Dtypes.STRING: str,
    Dtypes.CATEGORICAL: str,
    Dtypes.BYTES: bytes,
    Dtypes.FLOAT64: float,
    Dtypes.FLOAT32: None,  # may be rounded
    Dtypes.FLOAT16: None,
    Dtypes.DATE: date,
    Dtypes.DECIMAL: Decimal,
    Dtypes.TIMESTAMP: None,  # zones differ
}
