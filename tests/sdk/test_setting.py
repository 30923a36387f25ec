"""Texts of the command line as values, for every kind of annotation; and hints that work as they are typed."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, NewType
from uuid import UUID

import pytest
from pydantic import BaseModel
from typing_extensions import TypedDict  # pydantic takes Python's own from 3.12 on

from jeyn.errors import UsageError
from jeyn.sdk.parameter import check_value, recorded
from jeyn.sdk.setting import parse_setting
from jeyn.sdk.signature import Parameter

ID = UUID("9f1c6a3e-0d3b-4f0e-8d2a-5b8e2b1f7c44")
Metres = NewType("Metres", float)


class Mode(Enum):
    FULL = "full"
    QUICK = 2


class Level(IntEnum):
    LOW = 1


class Name(StrEnum):
    A = "a"


@dataclass
class Inner:
    since: date
    at: Path = Path("x")


@dataclass
class Outer:
    inner: Inner
    sizes: list[int] = field(default_factory=list)
    mode: Mode = Mode.FULL


class Rates(BaseModel):
    rate: float
    until: date | None = None


class Pair(NamedTuple):
    low: int
    high: Decimal


class Row(TypedDict):
    day: date


READ: list[tuple[Any, str, Any]] = [
    (str | None, "", ""), (str | None, "none", None), (str | None, "null", None), (str | None, '"none"', "none"),
    (str | None, '""', ""), (str | None, '"a', '"a'), (str | None, "text", "text"), (None | str, '"null"', "null"),
    (str, "none", "none"), (str, "", ""), (str, '"a"', '"a"'), (int | None, "none", None),
    (int | str | None, '"5"', "5"), (int | str | None, "5", 5), (str | None, '"a" or "b"', '"a" or "b"'),
    (date, "2024-01-31", date(2024, 1, 31)), (date, "20240131", date(2024, 1, 31)), (date | None, "none", None),
    (datetime, "2024-01-31T12:30:00Z", datetime(2024, 1, 31, 12, 30, tzinfo=UTC)),
    (datetime, "2024-01-31 12:30", datetime(2024, 1, 31, 12, 30)), (time, "12:30", time(12, 30)),
    (timedelta, "90", timedelta(seconds=90)), (timedelta, "PT1H", timedelta(hours=1)), (date | str, "soon", "soon"),
    (Decimal, "1.10", Decimal("1.10")), (UUID, str(ID), ID), (Path, "a/b", Path("a/b")), (Metres, "1.5", 1.5),
    (Annotated[int, "rows"], "3", 3), (Mode | None, "QUICK", Mode.QUICK),
    (Mode | None, "none", None), (Level, "1", Level.LOW), (Name, "a", Name.A), (Literal["a", 3], "3", 3),
    (datetime, "2024-01-31T12:30:00.123456000Z", datetime(2024, 1, 31, 12, 30, 0, 123456, tzinfo=UTC)),
    (datetime | str, "2024-01-31T10:00:00.123456789", "2024-01-31T10:00:00.123456789"),
    (float, "0e-400", 0.0), (float, "-inf", float("-inf")), (float, "5e-324", 5e-324),
    (bool, "YES", True), (bool, "off", False), (bool | None, "none", None), (Literal["x"] | None, "none", None),
    (tuple[int, int], "[1, 2]", (1, 2)), (tuple[int, str], '[1, "a"]', (1, "a")), (tuple[int, ...], "[1]", (1,)),
    (list[str], '["a", "b"]', ["a", "b"]), (list[date], '["2024-01-31"]', [date(2024, 1, 31)]),
    (set[int], "[1, 2]", {1, 2}),
    (dict[str, date], '{"a": "2024-01-31"}', {"a": date(2024, 1, 31)}),
    (dict[str, list[int]], '{"a": [1]}', {"a": [1]}),
    (tuple[date, Decimal], '["2024-01-31", "1.5"]', (date(2024, 1, 31), Decimal("1.5"))),
    (Inner, '{"since": "2024-01-31"}', Inner(date(2024, 1, 31))),
    (Outer, '{"inner": {"since": "2024-01-31", "at": "y"}, "mode": 2}',
     Outer(Inner(date(2024, 1, 31), Path("y")), [], Mode.QUICK)),
    (list[Inner], '[{"since": "2024-01-31"}]', [Inner(date(2024, 1, 31))]), (Inner | None, "none", None),
    (Rates, '{"rate": 1, "until": "2024-01-31"}', Rates(rate=1, until=date(2024, 1, 31))),
    (Pair, '[1, "2.5"]', Pair(1, Decimal("2.5"))), (Row, '{"day": "2024-01-31"}', {"day": date(2024, 1, 31)}),
    (list[Row], '[{"day": "2024-01-31"}]', [{"day": date(2024, 1, 31)}]),
]  # fmt: skip
REFUSED: list[tuple[Any, str]] = [
    (tuple[int, int], "[1, 2, 3]"), (tuple[int, int], "[1]"), (tuple[int, str], '["a", 1]'), (date, "31.01.2024"),
    (date, "1704067200"), (date, "2024-01-31T10:00:00"), (datetime, "noon"), (timedelta, "long"), (Decimal, "1,5"),
    (UUID, "1"), (Inner, "{}"), (Inner, '{"since": 1}'), (Rates, '{"rate": "much"}'), (list[date], '["soon"]'),
    (list[str], "a,b"), (set[int], '["a"]'), (dict[str, int], '{"a": "1"}'), (Mode, "slow"), (Mode | None, "quick"),
    (bool, "maybe"), (bool, ""), (float, "1e400"), (float, "-1e-400"), (datetime, "2024-01-31T10:00:00.123456789"),
    (time, "10:00:00.1234567"), (timedelta, "PT0.1234567S"), (timedelta, "0.1234567"),
    (datetime | None, "2024-01-31T10:00:00.0000001Z"),
    (list[int], '["1"]'), (Outer, '{"inner": {}}'),
]  # fmt: skip


def parameter(annotation: Any) -> Parameter:
    return Parameter("x", annotation)


@pytest.mark.parametrize(("annotation", "text", "value"), READ, ids=str)
def test_a_text_is_read_as_its_annotation_says(annotation: Any, text: str, value: Any) -> None:
    found = parse_setting(text, parameter(annotation))
    assert (found, type(found)) == (value, type(value))
    check_value(found, parameter(annotation), "the pipeline")
    recorded(found, "x")


@pytest.mark.parametrize(("annotation", "text"), REFUSED, ids=str)
def test_what_it_is_not_is_refused_with_a_hint_that_works_as_typed(annotation: Any, text: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_setting(text, parameter(annotation))
    assert refused.value.message.startswith(f'"x" cannot be "{text}"')
    hint = refused.value.hint
    if "such as '" in hint:
        typed = shlex.split(hint.partition(" such as ")[2])[0]
    elif " such as " in hint:
        typed = hint.rpartition(" such as ")[2].partition(" or ")[0].partition(",")[0]
    else:
        assert "one of" in hint or "true or false" in hint
        return
    check_value(parse_setting(typed, parameter(annotation)), parameter(annotation), "it")


@pytest.mark.parametrize(
    ("annotation", "text", "why"),
    [
        (float, "1e400", "too large for a float"),
        (float, "-1e-400", "too small for a float"),
        (datetime, "2024-01-31T10:00:00.123456789", "times have whole microseconds"),
        (timedelta | None, "PT0.1234567S", "times have whole microseconds"),
    ],
)
def test_no_digit_is_cut_off_without_a_word(annotation: Any, text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        parse_setting(text, parameter(annotation))


def test_what_a_plan_records_is_json() -> None:
    assert recorded(Outer(Inner(date(2024, 1, 31)), [1]), "x") == {
        "inner": {"since": "2024-01-31", "at": "x"}, "sizes": [1], "mode": "full",
    }  # fmt: skip
    assert recorded([Decimal("1.10"), ID, timedelta(hours=1)], "x") == ["1.10", str(ID), 3600.0]
    assert recorded({2, 1}, "x") == [1, 2]
