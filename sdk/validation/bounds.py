"""The literals of checks as a feature's dtype sees them: rounded into integers, to its floats, or to microseconds."""

from __future__ import annotations

import math
import struct
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from jeyn.sdk.checks import Between, OneOf
from jeyn.sdk.dtypes import Dtypes

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FLOAT = {Dtypes.FLOAT16: "e", Dtypes.FLOAT32: "f", Dtypes.FLOAT64: "d"}


def bounds(check: Between, dtype: Dtypes) -> tuple[Any, Any]:
    """Low and high, None if open: 0.5 to 3.5 is 1 to 3 of integers, and 0.1 is the nearest float32 of float32."""
    low, high = (None if bound is None else in_dtype(bound, dtype) for bound in (check.low, check.high))
    if dtype.is_integer:
        low, high = None if low is None else math.ceil(low), None if high is None else math.floor(high)
    return low, high


def allowed(check: OneOf, dtype: Dtypes) -> list[Any]:
    """The values of the check that the dtype can hold; 0.5 is no integer, and 300 no int8."""
    values = [in_dtype(value, dtype) for value in check.values]
    if not dtype.is_integer:
        return [value for value in values if not isinstance(value, float) or math.isfinite(value)]
    low, high = integer_range(dtype)
    return [int(value) for value in values if value == int(value) and low <= value <= high]


def in_dtype(value: Any, dtype: Dtypes) -> Any:
    """A number rounded to the float dtype, a time in microseconds since the epoch, a bool as 0 or 1."""
    if isinstance(value, datetime):
        return (value - _EPOCH) // timedelta(microseconds=1)
    if isinstance(value, bool):
        return int(value)
    if dtype is Dtypes.DECIMAL:
        return Decimal(str(value))
    if dtype not in _FLOAT:
        return value
    try:
        return struct.unpack(_FLOAT[dtype], struct.pack(_FLOAT[dtype], float(value)))[0]
    except OverflowError:
        return math.copysign(math.inf, value)


def integer_range(dtype: Dtypes) -> tuple[int, int]:
    """The lowest and highest value of an integer dtype."""
    bits = int(dtype.value.removeprefix("u").removeprefix("int"))
    return (0, 2**bits - 1) if dtype.value.startswith("u") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def iso(microseconds: int) -> str:
    """A time as ISO 8601 in UTC, also beyond the years that Python can tell."""
    try:
        return (_EPOCH + timedelta(microseconds=microseconds)).isoformat()
    except OverflowError:
        import numpy as np

        return f"{np.datetime64(microseconds, 'us')}+00:00"
