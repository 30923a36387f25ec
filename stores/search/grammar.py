"""The filter language of `jeyn search`, read into typed terms; pure, the catalog turns the terms into SQL.

    type:model_checkpoint metrics.accuracy>0.9 created<7d upstream:digits@^1 -tag:old name:dig* "two words"

Terms are separated by spaces and all must hold. `-term` and `field!=value` negate: they hold where the plain term does
not, also for want of a value. A bare word is contained in the name. `name:dig*`, or `dig*` alone, is a glob in which
only `*` is special; `field=value` and quoted values ("with \\" and \\\\ inside") are literal. `created<7d` means
younger than seven days. `on:holdout@1.0.0/3` holds for what was evaluated on that batch, and makes every `metrics.*`
the score on it.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Literal, TypeAlias

from jeyn.errors import InvalidFilter, JeynError
from jeyn.sdk.reference import Reference
from jeyn.sdk.version_range import VersionRange

Op = Literal["=", "<", "<=", ">", ">=", "glob", "contains"]
Value: TypeAlias = str | int | float | datetime | timedelta | VersionRange | Reference

MAX_TEXT = 4096
MAX_TERMS = 64
MARKS = ("quarantined", "tombstoned", "unsafe")
STATISTICS = ("count", "max", "mean", "min", "nan", "nulls", "std")

_COMPARISONS = (":", "=", "!=", "<", "<=", ">", ">=")
_EQUALITIES = (":", "=", "!=")
_TOKEN = re.compile(r'(?:"(?:[^"\\]|\\.)*"|[^\s"])+', re.DOTALL)
_TERM = re.compile(r'([^\s:=!<>"]+)(:|=|!=|<=|>=|<|>)(.*)', re.DOTALL)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_PLAIN_VALUE = re.compile(r"[A-Za-z0-9_.@/+][A-Za-z0-9_.@/+-]*")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_INTEGER = re.compile(r"[0-9]{1,18}")
_AGE = re.compile(r"([0-9]{1,9})([smhdw])")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MOMENT = re.compile(
    rf"{_DATE.pattern}[T ][0-9]{{2}}:[0-9]{{2}}(?::[0-9]{{2}}(?:\.[0-9]{{1,6}})?)?(?:Z|[+-][0-9]{{2}}:[0-9]{{2}})?"
)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_MAX_AGE = timedelta(days=36_525)


@dataclass(frozen=True, slots=True)
class Term:
    """One condition. `str(term)` parses back to it.

    `created` holds a timedelta (the age is compared) or an aware datetime (the moment is compared); `metrics.*` and
    `stats.*.*` a float, `epoch` an int, `version` a VersionRange, `upstream`, `downstream` and `on` a Reference, with
    op "="; other fields a str with op "=", "glob" or, for bare words, "contains" on `name`.
    """

    field: str
    op: Op
    value: Value
    negated: bool = False

    def __str__(self) -> str:
        return ("-" if self.negated else "") + self._positive()

    def _positive(self) -> str:
        value = _written(self.value)
        if self.op == "contains":
            return _quoted(value)
        if self.op == "glob":
            return f"{self.field}:{value}"
        if isinstance(self.value, VersionRange | Reference):
            return f"{self.field}:{_quoted(value)}"
        return f"{self.field}{self.op}{value if _PLAIN_VALUE.fullmatch(value) else _quoted(value)}"


Filter: TypeAlias = tuple[Term, ...]


def parse(text: str) -> Filter:
    """The terms of a filter, in order; () for an empty one, which everything satisfies. Raises InvalidFilter."""
    if not isinstance(text, str) or len(text) > MAX_TEXT:
        raise InvalidFilter(f"{_shown(text)} is not a filter", hint=f"give a text of at most {MAX_TEXT} characters")
    if "\0" in text or any("\ud800" <= c <= "\udfff" for c in text):
        raise InvalidFilter(f"{_shown(text)} has a NUL or a lone surrogate", hint="leave it out")
    terms = tuple(_term(token) for token in list(_tokens(text)))  # the list finds an open quote first
    if len(terms) > MAX_TERMS:
        raise InvalidFilter(f"{_shown(text)} has {len(terms)} terms", hint=f"use at most {MAX_TERMS}")
    return terms


def like_pattern(glob: str) -> str:
    """The SQL LIKE pattern (ESCAPE '\\') of a glob in which only `*` is special."""
    return re.sub(r"([\\%_])", r"\\\1", glob).replace("*", "%")


def _tokens(text: str) -> Iterator[str]:
    end = 0
    for match in _TOKEN.finditer(text):
        if text[end : match.start()].strip():
            break
        end = match.end()
        yield match.group()
    if text[end:].strip():
        raise InvalidFilter(
            f"the quote in {_shown(text[end:].strip())} is not closed", hint='end it with ", or write \\"'
        )


def _term(token: str) -> Term:
    negated = token.startswith("-")
    body = token[1:] if negated else token
    match = _TERM.fullmatch(body)
    if match is None:
        return _bare(body, negated)
    field, op, raw = match.groups()
    read, ops = _reader(field)
    if op not in ops:
        raise InvalidFilter(f"{field!r} does not take {op!r} in {_shown(body)}", hint=f"use one of {' '.join(ops)}")
    try:
        op, value = read(field, op, raw)
    except JeynError as exc:
        raise InvalidFilter(f"{_shown(body)} is not a term: {exc.message}", hint=exc.hint) from exc
    if op == "!=":
        return Term(field, "=", value, not negated)
    return Term(field, op, value, negated)


def _bare(body: str, negated: bool) -> Term:
    value = _word(body)
    if body.startswith('"'):
        return Term("name", "contains", value, negated)
    if set(body) & set(":=<>"):
        raise InvalidFilter(f"{_shown(body)} has no field before its operator", hint="write name:digits, or quote it")
    return Term("name", "glob" if "*" in body else "contains", value, negated)


Reader: TypeAlias = Callable[[str, str, str], tuple["Op | Literal['!=']", Value]]


def _reader(field: str) -> tuple[Reader, tuple[str, ...]]:
    """How to read the values of `field`, and the operators it takes."""
    if field in _FIELDS:
        return _FIELDS[field]
    group, dot, rest = field.partition(".")
    if group == "metrics" and rest:
        return _number, _COMPARISONS
    if group == "stats":
        _check_statistic(field, rest)
        return _number, _COMPARISONS
    known = [*_FIELDS, "metrics.<name>", "stats.<feature>.<stat>"]
    hint = f"the fields are {', '.join(known)}; quote a word that has one of : = ! < >"
    if close := difflib.get_close_matches(group[:40].lower(), [*_FIELDS, "metrics", "stats"], 1):
        hint = f"did you mean {close[0] + dot + rest if dot else close[0]!r}? {hint}"
    raise InvalidFilter(f"there is no field {_shown(field)}", hint=hint)


def _check_statistic(field: str, rest: str) -> None:
    feature, _, statistic = rest.rpartition(".")
    if feature and statistic in STATISTICS:
        return
    close = difflib.get_close_matches(statistic[:40], STATISTICS, 1)
    did_you_mean = f"did you mean {close[0]!r}? " if close else ""
    raise InvalidFilter(
        f"{_shown(field)} is not a statistic",
        hint=f"{did_you_mean}write stats.<feature>.<stat>, where stat is one of {', '.join(STATISTICS)}",
    )


def _text(field: str, op: str, raw: str) -> tuple[Op | Literal["!="], Value]:
    """A literal; with `:` and an unquoted `*`, a glob."""
    value = _word(raw)
    is_glob = op == ":" and not raw.startswith('"') and "*" in raw
    return ("glob" if is_glob else _compared(op)), value


def _mark(field: str, op: str, raw: str) -> tuple[Op | Literal["!="], Value]:
    value = _word(raw)
    if value not in MARKS:
        raise InvalidFilter(f"nothing can be {_shown(value)}", hint=f"use one of {', '.join(MARKS)}")
    return _compared(op), value


def _number(field: str, op: str, raw: str) -> tuple[Op | Literal["!="], Value]:
    text = _word(raw)
    value = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not math.isfinite(value):
        raise InvalidFilter(f"{_shown(text)} is not a finite number", hint=f"write {field}>0.9")
    return _compared(op), value + 0.0  # -0.0 becomes 0.0


def _integer(field: str, op: str, raw: str) -> tuple[Op | Literal["!="], Value]:
    text = _word(raw)
    if not _INTEGER.fullmatch(text):
        raise InvalidFilter(f"{_shown(text)} is not a whole number", hint=f"write {field}>=3")
    return _compared(op), int(text)


def _version(field: str, op: str, raw: str) -> tuple[Op | Literal["!="], Value]:
    """The comparison goes into the range, so that `version>=1.2` and `version:>=1.2` are the same."""
    comparator = op if op in ("<", "<=", ">", ">=") else ""
    return ("!=" if op == "!=" else "="), VersionRange.parse(comparator + _word(raw))


def _reference(field: str, op: str, raw: str) -> tuple[Op | Literal["!="], Value]:
    return _compared(op), Reference.parse(_word(raw))


def _created(field: str, op: str, raw: str) -> tuple[Op | Literal["!="], Value]:
    text = _word(raw)
    try:
        if age := _AGE.fullmatch(text):
            return _compared(op), _age(int(age[1]), age[2])
        if _DATE.fullmatch(text):
            return _whole_day(_compared(op), datetime.combine(datetime.fromisoformat(text), time(), UTC))
        if _MOMENT.fullmatch(text):
            moment = datetime.fromisoformat(text)
            return _compared(op), (moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC))
    except (ValueError, OverflowError) as exc:
        raise InvalidFilter(f"{_shown(text)} is out of range: {exc}", hint="created<7d or created>=2026-05-01") from exc
    raise InvalidFilter(
        f"{_shown(text)} is not an age or a date",
        hint="write created<7d (younger; s m h d w), created>=2026-05-01 or created<2026-05-01T12:00Z (UTC by default)",
    )


def _age(count: int, unit: str) -> timedelta:
    age = timedelta(**{_UNITS[unit]: count})
    if age > _MAX_AGE:
        raise ValueError("more than a hundred years")
    return age


def _whole_day(op: Op | Literal["!="], start: datetime) -> tuple[Op | Literal["!="], Value]:
    """A date is its whole day (UTC): after it, or up to its end, is counted from the next midnight."""
    if op == ">":
        return ">=", start + timedelta(days=1)
    if op == "<=":
        return "<", start + timedelta(days=1)
    return op, start


def _compared(op: str) -> Op | Literal["!="]:
    operators: dict[str, Op | Literal["!="]] = {"<": "<", "<=": "<=", ">": ">", ">=": ">=", "!=": "!="}
    return operators.get(op, "=")


def _word(raw: str) -> str:
    """A value without its quotes."""
    quoted = _QUOTED.fullmatch(raw)
    if quoted is None and ('"' in raw or not raw):
        raise InvalidFilter(f"{_shown(raw)} is not a value", hint='quote all of it: name:"two words"')
    value = re.sub(r"\\(.)", r"\1", quoted[1], flags=re.DOTALL) if quoted else raw
    if not value:
        raise InvalidFilter("a value is empty", hint='give one: name:digits, name:"two words"')
    return value


def _written(value: Value) -> str:
    if isinstance(value, timedelta):
        return f"{value.days * 86_400 + value.seconds}s"
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return repr(value) if isinstance(value, float) else str(value)


def _quoted(text: str) -> str:
    return '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'


def _shown(text: object) -> str:
    shown = str(text)
    return repr(shown[:79] + "…" if len(shown) > 80 else shown)


_FIELDS: dict[str, tuple[Reader, tuple[str, ...]]] = {
    "actor": (_text, _EQUALITIES),
    "alias": (_text, _EQUALITIES),
    "created": (_created, ("<", "<=", ">", ">=")),
    "downstream": (_reference, _EQUALITIES),
    "epoch": (_integer, _COMPARISONS),
    "is": (_mark, _EQUALITIES),
    "kind": (_text, _EQUALITIES),
    "name": (_text, _EQUALITIES),
    "on": (_reference, _EQUALITIES),
    "tag": (_text, _EQUALITIES),
    "type": (_text, _EQUALITIES),
    "upstream": (_reference, _EQUALITIES),
    "version": (_version, _COMPARISONS),
}
