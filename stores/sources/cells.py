"""Features as text files hold them: the type to parse a column as, and the way from there to the feature's type."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Context, Decimal, InvalidOperation
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from jeyn.sdk.datasets.source_options import PLAIN, SourceOptions
from jeyn.sdk.dtypes import Dtypes
from jeyn.sdk.feature import Feature
from jeyn.sdk.validation.exact import with_leaf

_DATE = r"^\d{4}-\d\d-\d\d$"
_ZONE = r"(Z|[+-]\d\d(:?\d\d)?)$"
_BEYOND_MICROSECONDS = r"(\.\d{6})0+(\D|$)"
_NANOSECONDS = re.compile(r"\.\d{6}0*[1-9]")
_LOCAL = re.compile(r"(doesn't exist|is ambiguous) in timezone '([^']*)'")
_MAX_SHOWN = 80
_MOST_DIGITS = 400
_WHOLE = re.compile(r"[+-]?\d+(\.0*)?")
# Up to here a float type holds every whole number.
EXACT = {Dtypes.FLOAT16: 2.0**11, Dtypes.FLOAT32: 2.0**24, Dtypes.FLOAT64: 2.0**53}
# After so many zeros a digit may be too small for the type.
_ZEROS = {Dtypes.FLOAT16: 6, Dtypes.FLOAT32: 36, Dtypes.FLOAT64: 300}
# The years 1 to 9999, in microseconds since 1970.
_FIRST, _LAST = -62_135_596_800_000_000, 253_402_300_799_999_999

Column: TypeAlias = "pa.ChunkedArray[pa.Scalar[pa.DataType]]"


class BadCell(Exception):
    """A value, in row `at` of a piece, that its feature cannot hold; who knows the file says where that is, and shows
    the value as the file writes it."""

    def __init__(self, name: str, at: int, value: Any, verdict: str) -> None:
        super().__init__(f"{quoted(value)} {verdict}")
        self.name = name
        self.at = at
        self.verdict = verdict


def quoted(value: Any) -> str:
    text = str(value)
    return f'"{text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "…"}"'


def parsed_type(feature: Feature, *, lists: bool = True) -> pa.DataType:
    """What Arrow's parsers can make of the cells without loss; lists have any size here, if the format has them."""
    leaf = {
        Dtypes.TIMESTAMP: pa.string(),
        Dtypes.DATE: pa.string(),
        Dtypes.CATEGORICAL: pa.string(),
        Dtypes.FLOAT16: pa.float32(),
    }
    parsed = leaf.get(feature.dtype) or feature.value_type()
    for _ in feature.shape[1:] if lists else ():
        parsed = pa.list_(parsed)
    return parsed


def as_feature(name: str, column: Column, feature: Feature, options: SourceOptions = PLAIN) -> Column:
    """A parsed column in a type that conforms to the feature; raises `BadCell`."""
    if feature.dtype is Dtypes.TIMESTAMP and pa.types.is_string(column.type):
        return checked(name, column, feature, lambda part: times(part, options))
    if feature.dtype is Dtypes.DATE and options.dates and pa.types.is_string(column.type):
        return checked(name, column, feature, lambda part: days(part, options))
    if feature.dtype in (Dtypes.TIMESTAMP, Dtypes.DATE):
        return checked(name, column, feature, lambda part: _in_lists(part, feature, options))
    if feature.dtype is Dtypes.FLOAT16:
        wanted = _lists_of(feature.dtype.to_arrow(), column.type)
        return checked(name, column, feature, lambda part: _halves(part, wanted))
    return column


def holds(digits: str, dtype: Dtypes) -> bool:
    """Whether a float is the number that is written: a whole one to its last digit. What has a fraction or an exponent
    is meant to be the nearest there is."""
    if not _WHOLE.fullmatch(digits):
        return True
    import numpy as np

    whole = digits.partition(".")[0]
    if len(whole) > _MOST_DIGITS:  # beyond every float, and more than Python makes a number of
        return False
    number = int(whole)
    try:
        with np.errstate(over="ignore"):
            made = float(np.dtype(dtype.value).type(number))
    except OverflowError:
        return False
    return math.isfinite(made) and int(made) == number


def takes_gaps(feature: Feature) -> bool:
    """Whether "1.0" is a number of it: so pandas writes integers with gaps."""
    return feature.dtype.is_integer and feature.nullable


def whole_numbers(column: Column, feature: Feature, options: SourceOptions = PLAIN) -> Column:
    """Texts such as "1" and "1.0" as integers, by way of a decimal, which keeps all digits; raises `ValueError`."""
    texts = pc.replace_substring(pc.utf8_trim_whitespace(column), options.decimal, ".")
    if not pc.all(pc.match_substring_regex(texts, f"^{_WHOLE.pattern}$"), min_count=0).as_py():
        raise ValueError("no whole number")
    return decimals(texts, pa.decimal128(38, 6)).cast(feature.value_type())


def decimals(texts: Column, type: pa.Decimal128Type | pa.Decimal256Type) -> Column:
    """Texts as decimals, to the last digit; raises `ArrowInvalid` or `ValueError`.

    Of more digits than the type has Arrow makes another number without a word, so those are read one by one.
    """
    unsafe = pc.or_(pc.greater(pc.binary_length(texts), type.precision), pc.match_substring_regex(texts, "[eE]"))
    if not pc.any(unsafe, min_count=0).as_py():
        return texts.cast(type)
    found = [None if text is None else _decimal(text, type.precision) for text in texts.to_pylist()]
    return pa.chunked_array([pa.array(found, type)])


def _decimal(text: str, digits: int) -> Decimal:
    try:
        found = Decimal(text)
    except InvalidOperation as exc:
        raise ValueError("no number") from exc
    if not found.is_finite() or abs(found.adjusted()) > digits:
        raise ValueError("out of range")
    return found.normalize(Context(prec=max(len(text), 1)))


def infinite(column: Column) -> list[int]:
    """The rows that hold an infinity, within lists too."""
    return rows_where(column, pc.is_inf)


def may_vanish(data: bytes, dtype: Dtypes) -> bool:
    """Whether a text may hold a number that is too small for the float type: one with a negative exponent, or with that
    many zeros in a row."""
    return b"e-" in data or b"E-" in data or b"0" * _ZEROS[dtype] in data


def vanished(texts: Column, floats: Column) -> list[int]:
    """The rows whose text is a number other than 0, and whose float is 0."""
    if not len(texts):
        return []  # Arrow 21 crashes below on a column without a chunk
    is_zero = pc.fill_null(pc.equal(floats.cast(pa.float64()), 0.0), False)
    is_number = pc.match_substring_regex(texts.cast(pa.string()), r"^[^eE]*[1-9]")
    found: list[int] = pc.indices_nonzero(pc.and_(is_zero, pc.fill_null(is_number, False))).to_pylist()
    return found


def is_zero(number: str) -> bool:
    """Of a number as it is written."""
    return not any(digit in "123456789" for digit in number.lower().partition("e")[0])


def zeros(column: Column) -> list[int]:
    """The rows that hold a zero, within lists too."""
    return rows_where(column, lambda leaf: pc.equal(leaf, pa.scalar(0.0, leaf.type)))


def large(column: Column, dtype: Dtypes) -> list[int]:
    """The rows that hold a number beyond which the float type has gaps between whole numbers."""
    return rows_where(column, lambda leaf: pc.greater_equal(pc.abs(leaf), pa.scalar(EXACT[dtype], leaf.type)))


def rows_where(column: Column, test: Callable[[Any], Any]) -> list[int]:
    """The rows that hold a value which passes, within lists too."""
    rows: list[int] = []
    offset = 0
    for chunk in column.chunks:
        leaf, where = chunk, None
        while pa.types.is_list(leaf.type):
            parents = pc.list_parent_indices(leaf)
            where = parents if where is None else where.take(parents)
            leaf = leaf.flatten()
        if pa.types.is_float16(leaf.type):
            leaf = leaf.cast(pa.float32())
        found = pc.indices_nonzero(test(leaf))
        rows += [offset + at for at in (found if where is None else where.take(found)).to_pylist()]
        offset += len(chunk)
    return rows


def checked(name: str, column: Column, feature: Feature, convert: Callable[[Column], Column]) -> Column:
    try:
        return convert(column)
    except (pa.ArrowInvalid, ValueError):
        at = _first_bad(column, convert)
        value = column[at].as_py()
        why = _why(value, feature) or _clocks(column.slice(at, 1), convert)
        raise BadCell(name, at, value, f"is no {feature.dtype.value}{why}") from None


def _why(value: Any, feature: Feature) -> str:
    if feature.dtype is Dtypes.TIMESTAMP and _NANOSECONDS.search(str(value)):
        return " exactly, which has whole microseconds: cut it where it is written"
    return ""


def _clocks(cell: Column, convert: Callable[[Column], Column]) -> str:
    """Why a local time is no moment: where clocks are put forward some are left out, and where back some come twice."""
    try:
        convert(cell)
    except (pa.ArrowInvalid, ValueError) as exc:
        if found := _LOCAL.search(str(exc)):
            what = "skip that time" if "exist" in found[1] else "show that time twice"
            return f": clocks in {found[2]} {what}"
    return ""


def cure(feature: Feature, verdict: str, what: str = "cell") -> str:
    """What to do about a text that is no value of the feature."""
    if ": clocks in " in verdict:
        return f"correct the {what}, or write it with its offset from UTC, as in 2024-03-31T02:30:00+01:00"
    told = f"correct the {what}, or the catalog"
    if "is no" not in verdict or "exactly" in verdict or feature.dtype.is_text:
        return told
    said = 'nulls=["NA"]'
    if feature.dtype in (Dtypes.TIMESTAMP, Dtypes.DATE):
        said = 'dates=["%d/%m/%Y"]'
    elif feature.dtype is Dtypes.BOOL:
        said = 'true=["yes"], false=["no"]'
    return f"{told}, or say what the file means by it: options=SourceOptions({said})"


def _first_bad(column: Column, convert: Callable[[Column], Column]) -> int:
    """The first row that does not convert, by halving."""
    low, high = 0, len(column)
    while high - low > 1:
        middle = (low + high) // 2
        try:
            convert(column.slice(low, middle - low))
            low = middle
        except (pa.ArrowInvalid, ValueError):
            high = middle
    return low


def _in_lists(column: Column, feature: Feature, options: SourceOptions) -> Column:
    read = times if feature.dtype is Dtypes.TIMESTAMP else days
    made = [
        with_leaf(chunk, lambda leaf: read(pa.chunked_array([leaf]), options).combine_chunks())
        for chunk in column.chunks
    ]
    return pa.chunked_array(made, _lists_of(feature.dtype.to_arrow(), column.type))


def _halves(column: Column, wanted: pa.DataType) -> Column:
    made = column.cast(wanted)
    if len(infinite(made)) > len(infinite(column)) or len(zeros(made)) > len(zeros(column)):
        raise ValueError("out of range")
    return made


def _lists_of(leaf: pa.DataType, like: pa.DataType) -> pa.DataType:
    return pa.list_(_lists_of(leaf, like.value_type)) if pa.types.is_list(like) else leaf


def times(column: Column, options: SourceOptions = PLAIN) -> Column:
    """ISO 8601 with "T" or a space, or the options' forms; in the options' zone, UTC, where a time names none, and
    midnight where there is only a date. Raises `ArrowInvalid` or `ValueError`."""
    return _formatted(column, options) if options.dates else _in_calendar(_iso(column, options))


def _in_calendar(column: Column) -> Column:
    """The times themselves; raises `ValueError` for a year that no `datetime` has."""
    found = pc.min_max(column.cast(pa.int64())).as_py()
    if found["min"] is not None and not (found["min"] >= _FIRST and found["max"] <= _LAST):
        raise ValueError("out of the calendar")
    return column


def _iso(column: Column, options: SourceOptions) -> Column:
    try:
        return column.cast(Dtypes.TIMESTAMP.to_arrow())
    except pa.ArrowInvalid:
        pass
    try:
        return _with_zone(column, options)
    except pa.ArrowInvalid:
        return _with_zone(_closed_up(column), options)


def _with_zone(column: Column, options: SourceOptions) -> Column:
    wanted = Dtypes.TIMESTAMP.to_arrow()
    text = pc.replace_substring_regex(column, _BEYOND_MICROSECONDS, r"\1\2")
    text = pc.if_else(pc.match_substring_regex(text, _DATE), pc.binary_join_element_wise(text, "T00:00:00", ""), text)
    has_zone = pc.match_substring_regex(text, _ZONE)
    nothing = pa.scalar(None, pa.string())
    zoned = pc.if_else(has_zone, text, nothing).cast(wanted)
    local = pc.if_else(has_zone, nothing, text).cast(pa.timestamp("us"))
    return pc.coalesce(zoned, pc.assume_timezone(local, options.zone).cast(wanted))


def _closed_up(column: Column) -> Column:
    """Without spaces around, and with zones as ISO 8601 has them: databases write "12:00 UTC" and "12:00 +0100"."""
    text = pc.replace_substring_regex(pc.utf8_trim_whitespace(column), r"(\d) ?(UTC|GMT)$", r"\1Z")
    return pc.replace_substring_regex(text, r"(\d) ([+-]\d\d:?\d\d)$", r"\1\2")


def days(column: Column, options: SourceOptions) -> Column:
    """The days of ISO 8601 dates or of midnights, or of the options' forms; raises for any other time of a day."""
    if not options.dates:
        try:
            return column.cast(pa.date32())
        except pa.ArrowInvalid:
            pass
    local = SourceOptions(dates=options.dates)
    found = times(column, local)
    made = found.cast(pa.date32())
    if not pc.all(pc.equal(made.cast(found.type), found), min_count=0).as_py():
        raise ValueError("no midnight")
    return made


def _formatted(column: Column, options: SourceOptions) -> Column:
    """By Python, each text once: Arrow's parser knows neither fractions nor zones."""
    made = {text: None if text is None else _time(text, options) for text in column.unique().to_pylist()}
    return pa.chunked_array([pa.array([made[text] for text in column.to_pylist()], Dtypes.TIMESTAMP.to_arrow())])


def _time(text: str, options: SourceOptions) -> datetime:
    for form in options.dates:
        try:
            found = datetime.strptime(text.strip(), form)
        except ValueError:
            continue
        return found.astimezone(UTC) if found.tzinfo else _in_zone(found, options.zone)
    raise ValueError("in none of the forms")


def _in_zone(local: datetime, zone: str) -> datetime:
    """The moment of a local time; raises `ValueError` where clocks show it twice or never."""
    first, second = (local.replace(tzinfo=ZoneInfo(zone), fold=fold) for fold in (0, 1))
    if first.utcoffset() != second.utcoffset():
        # In Arrow's words. What is skipped is another time when it has been a moment.
        is_there = first.astimezone(UTC).astimezone(first.tzinfo).replace(tzinfo=None, fold=0) == local
        what = "is ambiguous" if is_there else "doesn't exist"
        raise ValueError(f"{what} in timezone '{zone}'")
    return first.astimezone(UTC)
