"""What the values of a feature must hold beside their type: `between`, `one_of`, `matches`, `unique`, `not_null`.

Checks are declared here and run by `jeyn.sdk.validation`. Numbers, texts and times can be compared, each with its own
kind only. Patterns are RE2's (https://github.com/google/re2/wiki/Syntax): linear time, whoever wrote the pattern.
"""

from __future__ import annotations

import math
import re
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias, TypeVar

from jeyn.errors import UsageError

Literal: TypeAlias = bool | int | float | str | datetime

MAX_PATTERN = 1000
_EXACT_FLOAT = 2**53


@dataclass(frozen=True)
class Check:
    """The base of all checks: immutable, comparable, JSON-able."""

    def to_json(self) -> dict[str, Any]:
        """One key, the check's name, with its arguments; `check_from_json` reads it."""
        return {str(self).partition("(")[0]: {}}

    def implies(self, other: Check) -> bool:
        """Whether every column that passes this check passes `other`; False also where that cannot be decided."""
        return self == other


@dataclass(frozen=True)
class Between(Check):
    """Values from `low` to `high`, both inclusive; None is open. NaN is never between."""

    low: Literal | None = None
    high: Literal | None = None

    def __post_init__(self) -> None:
        low, high = _bound(self.low, -math.inf), _bound(self.high, math.inf)
        if low is None and high is None:
            raise UsageError("between() has no bound, so it says nothing", hint="give low, high, or both")
        _one_kind("between", [value for value in (low, high) if value is not None])
        if isinstance(low, bool) or isinstance(high, bool):
            raise UsageError("between() takes no bool", hint="use one_of(True) or one_of(False)")
        if low is not None and high is not None and low > high:
            raise UsageError(f'between() has low "{low}" above high "{high}"', hint="swap them")
        object.__setattr__(self, "low", low)
        object.__setattr__(self, "high", high)

    def __str__(self) -> str:
        return f"between({_show(self.low)}, {_show(self.high)})"

    def to_json(self) -> dict[str, Any]:
        return {"between": {"low": _literal_to_json(self.low), "high": _literal_to_json(self.high)}}

    def holds(self, value: Literal) -> bool:
        """Whether one value lies between; False for a value of another kind."""
        bounds = [bound for bound in (self.low, self.high) if bound is not None]
        if any(_kind(bound) != _kind(value) for bound in bounds):
            return False
        low_enough = self.high is None or value <= self.high  # type: ignore[operator]
        return low_enough and (self.low is None or value >= self.low)  # type: ignore[operator]

    def implies(self, other: Check) -> bool:
        if isinstance(other, OneOf):
            return self.low is not None and self.low == self.high and self.low in other.values
        if not isinstance(other, Between):
            return False
        return _no_looser(self.low, other.low, other) and _no_looser(self.high, other.high, other)


@dataclass(frozen=True)
class OneOf(Check):
    """Values out of a fixed set, kept sorted."""

    values: tuple[Literal, ...]

    def __post_init__(self) -> None:
        values = [_literal(value) for value in self.values]
        if not values:
            raise UsageError("one_of() has no value, so nothing can pass", hint="give the values that are allowed")
        _one_kind("one_of", values)
        object.__setattr__(self, "values", tuple(sorted(set(values))))

    def __str__(self) -> str:
        return f"one_of({', '.join(map(_show, self.values))})"

    def to_json(self) -> dict[str, Any]:
        return {"one_of": {"values": [_literal_to_json(value) for value in self.values]}}

    def implies(self, other: Check) -> bool:
        if isinstance(other, OneOf):
            return _kind(self.values[0]) == _kind(other.values[0]) and set(self.values) <= set(other.values)
        if isinstance(other, Between):
            return all(map(other.holds, self.values))
        if isinstance(other, Matches):
            return all(isinstance(value, str) and other.holds(value) for value in self.values)
        return False


@dataclass(frozen=True)
class Matches(Check):
    """Texts that an RE2 pattern matches from their first to their last character."""

    pattern: str

    def __post_init__(self) -> None:
        if not isinstance(self.pattern, str) or len(self.pattern) > MAX_PATTERN:
            raise UsageError(
                f"matches() cannot take {str(self.pattern)[:80]!r}",
                hint=f"give a pattern of at most {MAX_PATTERN} characters",
            )
        _literal(self.pattern)
        _compile(self.pattern, self.pattern)
        _compile(self.anchored, self.pattern)

    def __str__(self) -> str:
        return f"matches({_show(self.pattern)})"

    @property
    def anchored(self) -> str:
        """The pattern that finds only what the whole text matches."""
        return rf"\A(?:{self.pattern})\z"

    def to_json(self) -> dict[str, Any]:
        return {"matches": {"pattern": self.pattern}}

    def holds(self, text: str) -> bool:
        import pyarrow as pa
        import pyarrow.compute as pc

        return bool(pc.match_substring_regex(pa.scalar(text), self.anchored).as_py())


@dataclass(frozen=True)
class Unique(Check):
    """No value occurs twice in the batch; nulls are not compared."""

    def __str__(self) -> str:
        return "unique()"


@dataclass(frozen=True)
class NotNull(Check):
    """No nulls, also where the feature is nullable."""

    def __str__(self) -> str:
        return "not_null()"


def between(low: Literal | None = None, high: Literal | None = None) -> Between:
    """Values from `low` to `high`, both inclusive; None is open. Numbers, texts, or datetimes with a zone."""
    return Between(low, high)


def one_of(*values: Any) -> OneOf:
    """Only these values, given one by one or as one list, tuple or set."""
    if len(values) == 1 and isinstance(values[0], list | tuple | set | frozenset):
        return OneOf(tuple(values[0]))
    return OneOf(values)


def matches(pattern: str) -> Matches:
    """Texts that the RE2 pattern matches in full; raises `UsageError` for a pattern that RE2 does not take."""
    return Matches(pattern)


def unique() -> Unique:
    """No value occurs twice in the batch."""
    return Unique()


def not_null() -> NotNull:
    """No nulls, also where the feature is nullable."""
    return NotNull()


def check_from_json(data: Any) -> Check:
    """The check that `Check.to_json` wrote; raises `UsageError` for anything else."""
    if not isinstance(data, Mapping) or len(data) != 1:
        raise UsageError(f"not a check: {reprlib.repr(data)}", hint='write it as {"between": {"low": 0, "high": 1}}')
    ((name, arguments),) = data.items()
    expected = _ARGUMENTS.get(name)
    if expected is None or not isinstance(arguments, Mapping) or set(arguments) != expected:
        raise UsageError(f"not a check: {reprlib.repr(data)}", hint=f"checks are {', '.join(_ARGUMENTS)}")
    if name == "between":
        return Between(_literal_from_json(arguments["low"]), _literal_from_json(arguments["high"]))
    if name == "one_of":
        if not isinstance(arguments["values"], list):
            raise UsageError(f"not a list of values: {reprlib.repr(arguments['values'])}", hint="write a JSON list")
        return OneOf(tuple(_literal_from_json(value) for value in arguments["values"]))
    if name == "matches":
        return Matches(arguments["pattern"])
    return Unique() if name == "unique" else NotNull()


_ARGUMENTS: dict[str, set[str]] = {
    "between": {"low", "high"},
    "one_of": {"values"},
    "matches": {"pattern"},
    "unique": set(),
    "not_null": set(),
}


def kind_of(check: Check) -> str | None:
    """What the check compares: "number", "text", "time" or "bool"; None if any value will do."""
    if isinstance(check, Matches):
        return "text"
    if isinstance(check, OneOf):
        return _kind(check.values[0])
    if isinstance(check, Between):
        return _kind(check.low if check.low is not None else check.high)
    return None


def with_times(check: Check) -> Check:
    """The same check with its ISO texts read as times; what a TIMESTAMP feature makes of its checks."""
    if isinstance(check, Between):
        return Between(_time(check.low), _time(check.high))
    return OneOf(tuple(_time(value) for value in check.values)) if isinstance(check, OneOf) else check


_Value = TypeVar("_Value")
_NANOSECONDS = re.compile(r"[.,]\d{6}0*[1-9]")


def _time(value: _Value) -> _Value | datetime:
    if not isinstance(value, str):
        return value
    if _NANOSECONDS.search(value):  # which Python would cut off
        raise UsageError(f'"{value[:80]}" has more digits than microseconds', hint="times have whole microseconds")
    try:
        time = datetime.fromisoformat(value)
    except ValueError as exc:
        raise UsageError(f'"{value[:80]}" is not a time', hint="write ISO 8601, as in 2026-01-31T12:00:00Z") from exc
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _bound(value: Any, open_end: float) -> Any:
    return None if value is None or value == open_end else _literal(value)


def _literal(value: Any) -> Literal:
    """The one form of equal values, so that equal checks have equal JSON: 1.0 is 1, times are in UTC."""
    if hasattr(value, "item") and not isinstance(value, str):  # a numpy scalar
        value = value.item()
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _utf8(value)
    if isinstance(value, datetime):
        return _utc(value)
    if not isinstance(value, int | float) or not _finite(value):
        raise UsageError(f"a check cannot compare with {reprlib.repr(value)}", hint="give numbers, texts or datetimes")
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT_FLOAT else value


def _finite(value: int | float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _utf8(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as exc:
        raise UsageError(f"{text[:80]!r} is not valid Unicode", hint="remove the lone surrogates") from exc
    return text


def _utc(time: datetime) -> datetime:
    if time.tzinfo is None:
        raise UsageError(f'the time "{time}" has no zone', hint="give it one, as in datetime(2026, 1, 31, tzinfo=UTC)")
    try:
        return datetime.fromisoformat(time.astimezone(UTC).isoformat())
    except OverflowError as exc:
        raise UsageError(f'the time "{time}" cannot be told in UTC', hint="keep to the years 1 to 9999") from exc


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    return "time" if isinstance(value, datetime) else "text"


def _one_kind(name: str, values: list[Any]) -> None:
    kinds = sorted({_kind(value) for value in values})
    if len(kinds) > 1:
        raise UsageError(f"{name}() mixes {' and '.join(kinds)}", hint="give values of one kind")


def _no_looser(bound: Literal | None, other: Literal | None, interval: Between) -> bool:
    return other is None or (bound is not None and interval.holds(bound))


def _literal_to_json(value: Literal | None) -> Any:
    return {"time": value.isoformat()} if isinstance(value, datetime) else value


def _literal_from_json(data: Any) -> Any:
    if isinstance(data, Mapping):
        if set(data) != {"time"} or not isinstance(data["time"], str):
            raise UsageError(
                f"not a value: {reprlib.repr(data)}", hint='a time is {"time": "2026-01-31T12:00:00+00:00"}'
            )
        return _time(data["time"])
    return data


def _show(value: Literal | None) -> str:
    return f'"{value.isoformat()}"' if isinstance(value, datetime) else repr(value)


def _compile(pattern: str, given: str) -> None:
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        pc.match_substring_regex(pa.scalar(""), pattern)
    except pa.ArrowInvalid as exc:
        raise UsageError(
            f"{given[:80]!r} is not an RE2 pattern: {exc}", hint="RE2 has no lookaround and no back-references"
        ) from exc
