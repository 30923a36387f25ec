"""The filter language: how each kind of term is read, and what is refused with a cure."""

import sqlite3
import time
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jeyn.errors import InvalidFilter
from jeyn.sdk.reference import Reference
from jeyn.sdk.version_range import VersionRange
from jeyn.stores.search import Term, like_pattern, parse


def moment(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type,misc]


def test_the_example_of_the_design() -> None:
    assert parse("type:model_checkpoint metrics.accuracy>0.9 created<7d upstream:digits@^1") == (
        Term("type", "=", "model_checkpoint"),
        Term("metrics.accuracy", ">", 0.9),
        Term("created", "<", timedelta(days=7)),
        Term("upstream", "=", Reference.parse("digits@^1")),
    )


@pytest.mark.parametrize(
    ("text", "term"),
    [
        ("type:model_checkpoint", Term("type", "=", "model_checkpoint")),
        ("-type:value", Term("type", "=", "value", True)),
        ("type!=value", Term("type", "=", "value", True)),
        ("-type!=value", Term("type", "=", "value", False)),
        ("name:dig*", Term("name", "glob", "dig*")),
        ('name:"dig*"', Term("name", "=", "dig*")),
        ("name=dig*", Term("name", "=", "dig*")),
        ("name:digits", Term("name", "=", "digits")),
        ('name:"two words"', Term("name", "=", "two words")),
        (r'name:"a \"b\" \\ c"', Term("name", "=", r'a "b" \ c')),
        ("tag:gold", Term("tag", "=", "gold")),
        ("alias:blessed", Term("alias", "=", "blessed")),
        ("actor:ann", Term("actor", "=", "ann")),
        ("kind:streaming", Term("kind", "=", "streaming")),
        ("is:unsafe", Term("is", "=", "unsafe")),
        ("-is:quarantined", Term("is", "=", "quarantined", True)),
        ("is:tombstoned", Term("is", "=", "tombstoned")),
        ("digits", Term("name", "contains", "digits")),
        ("-digits", Term("name", "contains", "digits", True)),
        ("dig*", Term("name", "glob", "dig*")),
        ('"-two: words*"', Term("name", "contains", "-two: words*")),
        ('-"two words"', Term("name", "contains", "two words", True)),
        ("version:^1", Term("version", "=", VersionRange.parse("^1"))),
        ("version>=1.2", Term("version", "=", VersionRange.parse(">=1.2"))),
        ("version:>=1,<2", Term("version", "=", VersionRange.parse(">=1,<2"))),
        ("version!=1.2.0", Term("version", "=", VersionRange.parse("1.2.0"), True)),
        ("epoch:7", Term("epoch", "=", 7)),
        ("epoch>=3", Term("epoch", ">=", 3)),
        ("metrics.loss<=-1.5e-3", Term("metrics.loss", "<=", -0.0015)),
        ("metrics.val/f1@10=1", Term("metrics.val/f1@10", "=", 1.0)),
        ("stats.pixels.mean>0.5", Term("stats.pixels.mean", ">", 0.5)),
        ("stats.a.b.nulls=0", Term("stats.a.b.nulls", "=", 0.0)),
        ("downstream:checkpoint:reader@blessed", Term("downstream", "=", Reference.parse("checkpoint:reader@blessed"))),
        ("upstream:sha256:deadbeef", Term("upstream", "=", Reference.parse("sha256:deadbeef"))),
        ("upstream:digits@>=1,<2/latest", Term("upstream", "=", Reference.parse("digits@>=1,<2/latest"))),
    ],
)
def test_one_term(text: str, term: Term) -> None:
    assert parse(text) == (term,)
    assert parse(str(term)) == (term,)


@pytest.mark.parametrize(
    ("text", "op", "value"),
    [
        ("created<30s", "<", timedelta(seconds=30)),
        ("created<=5m", "<=", timedelta(minutes=5)),
        ("created>2h", ">", timedelta(hours=2)),
        ("created>=4w", ">=", timedelta(weeks=4)),
        ("created>=2026-05-01", ">=", moment(2026, 5, 1)),
        ("created<2026-05-01", "<", moment(2026, 5, 1)),
        ("created<=2026-05-01", "<", moment(2026, 5, 2)),
        ("created>2026-12-31", ">=", moment(2027, 1, 1)),
        ("created<=2026-05-01T12:30", "<=", moment(2026, 5, 1, 12, 30)),
        ("created>2026-05-01T12:30:15.25Z", ">", moment(2026, 5, 1, 12, 30, 15, 250_000)),
        ("created>2026-05-01T12:30+02:00", ">", moment(2026, 5, 1, 10, 30)),
        ('created>"2026-05-01 12:30"', ">", moment(2026, 5, 1, 12, 30)),
    ],
)
def test_created_takes_ages_and_dates(text: str, op: Any, value: datetime | timedelta) -> None:
    (term,) = parse(text)
    assert term == Term("created", op, value)
    assert parse(str(term)) == (term,)
    if isinstance(value, datetime):
        assert term.value.tzinfo is UTC  # type: ignore[union-attr]


def test_terms_are_separated_by_any_space_and_nothing_is_everything() -> None:
    assert parse("") == parse(" \t\n") == ()
    assert [str(term) for term in parse('  a\tb\n"c d"  ')] == ['"a"', '"b"', '"c d"']


@pytest.mark.parametrize(
    ("text", "says", "hint"),
    [
        ("nmae:digits", "'nmae'", "did you mean 'name'"),
        ("Name:digits", "'Name'", "did you mean 'name'"),
        ("metric.accuracy>0.9", "'metric.accuracy'", "did you mean 'metrics.accuracy'"),
        ("metrics>0.9", "'metrics'", "metrics.<name>"),
        ("metrics.>0.9", "'metrics.'", "metrics.<name>"),
        ("zzzz:1", "'zzzz'", "the fields are actor,"),
        ("stats.pixels>1", "'stats.pixels'", "stats.<feature>.<stat>"),
        ("stats.pixels.maen>1", "'stats.pixels.maen'", "did you mean 'mean'"),
        ("name<a", "'<'", "use one of : = !="),
        ("created:7d", "':'", "use one of < <= > >="),
        ("upstream>digits", "'>'", "use one of"),
        ("metrics.accuracy>high", "'high'", "metrics.accuracy>0.9"),
        ("metrics.accuracy>nan", "'nan'", "metrics.accuracy>0.9"),
        ("metrics.accuracy>1e999", "'1e999'", "metrics.accuracy>0.9"),
        ("metrics.accuracy>1_0", "'1_0'", "metrics.accuracy>0.9"),
        ("epoch:1.5", "'1.5'", "epoch>=3"),
        ("epoch:-1", "'-1'", "epoch>=3"),
        ("created<7", "'7'", "created<7d"),
        ("created<7y", "'7y'", "created<7d"),
        ("created<999999999w", "out of range", "created<7d"),
        ("created<2026-13-01", "'2026-13-01'", "created<7d"),
        ("created<=9999-12-31", "out of range", "created<7d"),
        ("created<0001-01-01T00:00+14:00", "out of range", "created<7d"),
        ("is:broken", "'broken'", "quarantined, tombstoned, unsafe"),
        ("version:abc", "'abc'", "write"),
        ("upstream:@", "'@'", "use 1 to 200"),
        ("name:", "''", "quote all of it"),
        ('name:""', "empty", "give one"),
        ("-", "''", "quote all of it"),
        ('name:"open', "not closed", "end it"),
        ('na"me', "not closed", "end it"),
        ('name:a"b"', "'a\"b\"'", "quote all of it"),
        ('"a""b"', "not a value", "quote all of it"),
        (">5", "'>5'", "quote it"),
        (":x", "':x'", "quote it"),
        ("a\0b", "NUL", "leave it out"),
        ("a\ud800b", "surrogate", "leave it out"),
    ],
)
def test_refusals_give_the_value_and_the_cure(text: str, says: str, hint: str) -> None:
    with pytest.raises(InvalidFilter) as caught:
        parse(text)
    assert says in caught.value.message
    assert hint in caught.value.hint
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("value", [None, 3, b"name:x"])
def test_other_types_are_refused(value: object) -> None:
    with pytest.raises(InvalidFilter):
        parse(value)  # type: ignore[arg-type]


def test_length_and_number_of_terms_are_limited() -> None:
    assert len(parse("a " * 64)) == 64
    with pytest.raises(InvalidFilter, match="has 65 terms"):
        parse("a " * 65)
    assert len(parse("a" * 4096)) == 1
    with pytest.raises(InvalidFilter, match="not a filter"):
        parse("a" * 4097)


fields = st.sampled_from(
    [
        *["actor", "alias", "created", "downstream", "epoch", "is", "kind", "name", "tag", "type", "upstream"],
        *["version", "metrics.a", "stats.x.mean", "nope"],
    ]
)
ops = st.sampled_from([":", "=", "!=", "<", "<=", ">", ">="])
raw_values = st.sampled_from(
    [
        "7d",
        "0s",
        "2026-05-01",
        "2026-05-01T10:00:00.5+05:30",
        "0.9",
        "-1e-7",
        "1e17",
        "-0",
        "3",
        "^1",
        ">=1,<2",
        "digits@^1/3",
        *["dig*", "*", "unsafe", "a%b", "a\\", '"a b"', '"\\""', '"*"', "é"],
    ]
) | st.text(max_size=6)
terms = st.tuples(st.sampled_from(["", "-"]), fields, ops, raw_values).map("".join)


@settings(max_examples=600)
@given(st.lists(terms, max_size=3).map(" ".join) | st.text('a*-:=!<>"\\ .7d', max_size=30) | st.text(max_size=40))
@example('-"-a"')
@example('"\\\\"')
def test_any_text_round_trips_or_is_refused(text: str) -> None:
    try:
        found = parse(text)
    except InvalidFilter as refused:
        assert refused.message
        return
    assert parse(" ".join(map(str, found))) == found


@given(st.text(min_size=1, max_size=12).filter(lambda text: "\0" not in text and text.isprintable()))
def test_any_printable_text_can_be_quoted(text: str) -> None:
    term = Term("name", "=", text)
    assert parse(f"{term} {Term('name', 'contains', text, True)}") == (term, Term("name", "contains", text, True))


@pytest.mark.parametrize(
    "text",
    ['"' + "\\" * 4000, '"a' * 2000, '\\"' * 2000, "-" * 4096, "a:" * 2048, "stats." * 680 + ":1", "." * 4095 + ":"],
)
def test_hostile_texts_are_refused_fast(text: str) -> None:
    started = time.process_time()
    try:
        parse(text)
    except InvalidFilter as refused:
        assert len(str(refused)) < 1000
    assert time.process_time() - started < 0.2


@given(st.text("ab*%_\\.", max_size=8), st.text("ab%_\\.", max_size=8))
def test_like_pattern_matches_what_the_glob_does(glob: str, text: str) -> None:
    database = sqlite3.connect(":memory:")
    try:
        (liked,) = database.execute("SELECT ? LIKE ? ESCAPE '\\'", (text, like_pattern(glob))).fetchone()
    finally:
        database.close()
    assert bool(liked) == fnmatchcase(text, glob)
