"""`Watermark`: how far the rows of a query have been read, as text that gives back exactly the same value."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any, TypeAlias

from jeyn.errors import DataInvalid, Invalid, UsageError
from jeyn.sdk.dtypes import Dtypes
from jeyn.sdk.feature import Feature
from jeyn.stores.sources.sql_values import Inexact, as_time

Value: TypeAlias = int | float | Decimal | str | date | datetime

_WRITTEN = re.compile(r"(?P<kind>[a-z]+)(?:\.(?P<round>\d+))?:(?P<text>.*)", re.DOTALL)
_NUMBERS = ("int", "float", "decimal")


@dataclass(frozen=True)
class Watermark:
    """A value of the watermark column, and how many batches ended with it before.

    Written as "int:42", "float:0.1", "decimal:1.50", "string:abc", "date:2024-01-01", "timestamp:2024-01-01T00:00:00"
    or "timestamptz:2024-01-01T00:00:00+00:00". A batch of nothing but late rows ends where it began; it is told apart
    by its round: "int.1:42".
    """

    kind: str
    value: Value
    round: int = 0
    times: bool = field(default=False, compare=False)

    @classmethod
    def of(cls, value: Any, *, times: bool = False) -> Watermark:
        """Of a value that a database gave, which is a time if it is a text and `times`; raises `DataInvalid` for a null
        and what has no order."""
        if value is None:
            raise DataInvalid(
                "a row has a null as its watermark", hint="leave such rows out of the query, or fill them"
            )
        kind = _KINDS.get(type(value))
        if kind is None:
            hint = "order by a number, a date, a timestamp or a string"
            raise UsageError(f"a {type(value).__name__} such as {value!r} cannot be a watermark", hint=hint)
        if kind in ("float", "decimal") and not math.isfinite(value):
            raise DataInvalid(f'the watermark of a row is "{value}"', hint="leave such rows out of the query")
        return cls("timestamptz" if kind == "timestamp" and value.tzinfo else kind, value, times=times)

    @classmethod
    def parse(cls, text: str, *, times: bool = False) -> Watermark:
        """Of the text that `str` gave; raises `Invalid`."""
        found = _WRITTEN.fullmatch(text)
        try:
            if found is None:
                raise ValueError("no tag")
            return cls(found["kind"], _PARSERS[found["kind"]](found["text"]), int(found["round"] or 0), times)
        except (KeyError, ValueError, ArithmeticError) as exc:
            raise Invalid(f'"{text}" is no watermark', hint='one is written "int:42"') from exc

    def __str__(self) -> str:
        text = self.value.isoformat() if isinstance(self.value, date) else str(self.value)
        return f"{self.kind}{f'.{self.round}' if self.round else ''}:{text}"

    def compares_with(self, other: Watermark) -> bool:
        return self.kind == other.kind or (self.kind in _NUMBERS and other.kind in _NUMBERS)

    def is_after(self, other: Watermark) -> bool:
        """Whether it is further than `other`; raises `DataInvalid` when the column has changed its type."""
        if not self.compares_with(other):
            hint = "make a new version of the formula when the type of its watermark changes"
            raise DataInvalid(f'the watermarks "{other}" and "{self}" cannot be compared', hint=hint)
        return bool(self.key > other.key)

    @property
    def key(self) -> Any:
        """What it is compared by; raises `DataInvalid` for a text that is no time where it should be one."""
        if not self.times or not isinstance(self.value, str):
            return self.value
        try:
            return as_time(self.value)
        except ValueError as exc:
            exact = " exactly" if isinstance(exc, Inexact) else ""
            hint = "write times as ISO 8601, such as 2024-01-02T03:04:05, or declare a STRING"
            raise DataInvalid(
                f'the watermark of a row is "{self.value}", which is no timestamp{exact}',
                hint=str(exc) if exact else hint,
            ) from exc

    def again(self) -> Watermark:
        """The end of a batch that began here and came no further."""
        return Watermark(self.kind, self.value, self.round + 1, self.times)

    def earlier_by(self, late: float, feature: Feature) -> Watermark:
        """`late` units (seconds for times) before; raises `UsageError` for other strings."""
        try:
            return Watermark(self.kind, _STEPS[self.kind](self.value, late, feature), times=self.times)
        except (OverflowError, ArithmeticError) as exc:
            raise UsageError(
                f'"{late}" before the watermark "{self}" is out of range', hint="give a smaller late="
            ) from exc


def has_times(feature: Feature) -> bool:
    """Whether texts are compared as the times, or midnights, that they are."""
    return feature.dtype in (Dtypes.TIMESTAMP, Dtypes.DATE)


def _string_earlier(value: str, late: float, feature: Feature) -> str:
    if not has_times(feature):
        raise UsageError(f'late={late} has no meaning for the watermark "{value}"', hint="leave late= out for strings")
    if feature.dtype is Dtypes.DATE:
        return _day_earlier(as_time(value), late, feature).isoformat()
    return (as_time(value) - timedelta(seconds=late)).isoformat()


def _day_earlier(value: date, late: float, feature: Feature) -> date:
    """The first day whose midnight is not too long ago."""
    first = as_time(value) - timedelta(seconds=late)
    return first.date() if first.time() == time() else first.date() + timedelta(days=1)


def _decimal_earlier(value: Decimal, late: float, feature: Feature) -> Decimal:
    with localcontext(prec=100):
        return value - Decimal(repr(late))


def _int_earlier(value: int, late: float, feature: Feature) -> int:
    return math.ceil(Fraction(value) - Fraction(late))


_KINDS: dict[type, str] = {
    int: "int",
    float: "float",
    Decimal: "decimal",
    str: "string",
    date: "date",
    datetime: "timestamp",
}
_PARSERS: dict[str, Any] = {
    "int": int,
    "float": float,
    "decimal": Decimal,
    "string": str,
    "date": date.fromisoformat,
    "timestamp": datetime.fromisoformat,
    "timestamptz": datetime.fromisoformat,
}
_STEPS: dict[str, Any] = {
    "int": _int_earlier,
    "float": lambda value, late, feature: value - late,
    "decimal": _decimal_earlier,
    "string": _string_earlier,
    "date": _day_earlier,
    "timestamp": lambda value, late, feature: value - timedelta(seconds=late),
    "timestamptz": lambda value, late, feature: value - timedelta(seconds=late),
}
