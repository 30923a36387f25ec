"""Checks: what they refuse, their JSON, and what implies what."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jeyn.checks
from jeyn.checks import between, matches, not_null, one_of, unique
from jeyn.errors import UsageError
from jeyn.sdk.checks import Check, check_from_json

NUMBERS = st.integers(-5, 5) | st.sampled_from([-1.5, 0.5, 2.5])
INTERVALS = st.lists(NUMBERS, min_size=2, max_size=2).map(sorted).map(lambda pair: between(*pair))
NUMBER_CHECKS = INTERVALS | st.lists(NUMBERS, min_size=1, max_size=4).map(one_of) | NUMBERS.map(between)
TIMES = st.datetimes(min_value=datetime(1900, 1, 1), timezones=st.just(UTC))
CHECKS = (
    NUMBER_CHECKS
    | st.lists(st.text(max_size=5), min_size=1, max_size=4).map(one_of)
    | TIMES.map(between)
    | st.sampled_from([unique(), not_null(), matches("a+"), matches("[0-9]{3}"), one_of(True)])
)


def test_the_public_names_are_the_five_checks() -> None:
    assert jeyn.checks.__all__ == ["between", "matches", "not_null", "one_of", "unique"]


@settings(deadline=None)
@given(CHECKS)
def test_json_round_trip(check: Check) -> None:
    assert check_from_json(check.to_json()) == check


def test_equal_checks_have_one_form() -> None:
    assert between(0.0, 1.0).to_json() == {"between": {"low": 0, "high": 1}}
    assert one_of([3, 1, 1.0]).to_json() == {"one_of": {"values": [1, 3]}}
    assert one_of({"b", "a"}) == one_of("a", "b")
    assert between(0, float("inf")) == between(low=0)
    east = timezone(timedelta(hours=2))
    assert between(datetime(2026, 1, 1, 2, tzinfo=east)) == between(datetime(2026, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: between(), "no bound"),
        (lambda: between(2, 1), 'low "2" above high "1"'),
        (lambda: between(0, "a"), "mixes number and text"),
        (lambda: between(float("nan"), 1), "nan"),
        (lambda: between(False, True), "no bool"),
        (lambda: between(datetime(2026, 1, 1)), "no zone"),
        (lambda: between(0, 10**400), "cannot compare"),
        (lambda: one_of(), "no value"),
        (lambda: one_of(1, "a"), "mixes number and text"),
        (lambda: one_of(b"a"), "cannot compare"),
        (lambda: one_of("\ud800"), "not valid Unicode"),
        (lambda: matches("("), "not an RE2 pattern"),
        (lambda: matches("a)|(b"), "not an RE2 pattern"),
        (lambda: matches("(?=a)"), "not an RE2 pattern"),
        (lambda: matches(r"\Qa"), "not an RE2 pattern"),
        (lambda: matches("a" * 1001), "cannot take"),
        (lambda: check_from_json({"between": {"low": 0}}), "not a check"),
        (lambda: check_from_json({"near": {}}), "not a check"),
        (lambda: check_from_json({"unique": {}, "not_null": {}}), "not a check"),
        (lambda: check_from_json({"one_of": {"values": "ab"}}), "not a list"),
        (lambda: check_from_json({"one_of": {"values": [[1]]}}), "cannot compare"),
        (lambda: check_from_json({"between": {"low": {"time": "noon"}, "high": None}}), "not a time"),
    ],
)
def test_what_makes_no_sense_is_refused(make, words: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UsageError, match=words) as caught:
        make()
    assert caught.value.hint


@settings(deadline=None)
@given(NUMBER_CHECKS, NUMBER_CHECKS)
def test_a_number_check_implies_another_only_if_no_value_tells_otherwise(check: Check, other: Check) -> None:
    values = [step / 2 for step in range(-14, 15)]

    def passes(tested: Check, value: float) -> bool:
        return one_of(value).implies(tested)

    if check.implies(other):
        assert all(passes(other, value) for value in values if passes(check, value))


def test_implies() -> None:
    assert between(1, 2).implies(between(0, 2)) and not between(0, 2).implies(between(1, 2))
    assert between(0, 1).implies(between(0)) and not between(0).implies(between(0, 1))
    assert one_of(1, 2).implies(one_of(1, 2, 3)) and not one_of(1, 4).implies(one_of(1, 2, 3))
    assert one_of(1, 2).implies(between(1, 2)) and not one_of("a").implies(between(1, 2))
    assert one_of("a", "aa").implies(matches("a+")) and not one_of("ab").implies(matches("a+"))
    assert between(3, 3).implies(one_of(3)) and not between(3, 4).implies(one_of(3, 4))
    assert unique().implies(unique()) and not unique().implies(not_null())
    assert not matches("a").implies(matches("a+"))  # not decided
