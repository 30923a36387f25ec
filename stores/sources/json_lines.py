"""JSON lines, read block by block with the catalog's types and never with guessed ones; used by `read_batches`."""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, BinaryIO, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.json as pa_json

from jeyn.errors import DataInvalid
from jeyn.json_text import parse
from jeyn.sdk.catalog import DataCatalog
from jeyn.sdk.datasets.source_options import PLAIN, SourceOptions
from jeyn.sdk.dtypes import Dtypes
from jeyn.sdk.feature import Feature
from jeyn.sdk.validation.bounds import integer_range
from jeyn.stores.sources.casts import cast
from jeyn.stores.sources.cells import (
    BadCell,
    Column,
    as_feature,
    cure,
    holds,
    is_zero,
    large,
    may_vanish,
    parsed_type,
    quoted,
    takes_gaps,
    zeros,
)
from jeyn.stores.sources.columnar import missing_columns
from jeyn.stores.sources.encoded import Readable, in_utf8, not_utf8
from jeyn.stores.sources.records import MAX_RECORD

_BLOCK = 4 << 20
_FIRST = 1 << 16
_NULL = re.compile(rb"^[ \t\r]*null\b", re.MULTILINE)

Features = dict[str, Feature]


def read_json_lines(
    stream: BinaryIO, catalog: type[DataCatalog], options: SourceOptions = PLAIN, block: int = _BLOCK
) -> Iterator[pa.Table]:
    """One object per line. A key that is not there is a null; an optional feature without nulls is in all or none.

    `block` is how many bytes are read at a time.
    """
    features, left_out, rows = dict(catalog.features), None, 0
    for lines in _blocks(in_utf8(stream, options.encoding), block):
        piece = _Piece(lines, rows, features, options)
        table = piece.parsed()
        if not table.num_rows:
            continue
        rows += table.num_rows
        absent = {name for name, feature in features.items() if _absent(table, name, feature)}
        if left_out is None:
            left_out = {name for name in absent if features[name].optional}
        _check(absent, left_out, features)
        kept = {name: feature for name, feature in features.items() if name not in left_out}
        yield piece.conformed(table, kept)


def first_keys(stream: BinaryIO, options: SourceOptions = PLAIN) -> list[str]:
    """The keys of the first lines."""
    keys: dict[str, None] = {}
    for line in next(_blocks(in_utf8(stream, options.encoding), _FIRST), b"").splitlines():
        if line.strip():
            keys |= dict.fromkeys(_loaded(line))
    return list(keys)


def _blocks(stream: Readable, size: int) -> Iterator[bytes]:
    """Whole lines, a few MiB at a time, or one if that is longer; raises `DataInvalid` where that has no end.

    A CR ends one too, as no text of JSON holds it.
    """
    rest, lines = b"", 0
    while more := stream.read(max(size, len(rest))):
        more = more.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        cut = more.rfind(b"\n") + 1
        if cut:
            yield rest + more[:cut]
            lines += more.count(b"\n")
            rest = more[cut:]
        else:
            rest += more
        if len(rest) > MAX_RECORD:
            raise DataInvalid(
                f"line {lines + 1} is longer than {MAX_RECORD >> 20} MiB",
                hint="check that the file has one object in each line; keep such values in Parquet",
            )
    if rest:
        yield rest


@dataclass(frozen=True)
class _Piece:
    """Some whole lines, before which `rows` rows of the file lie."""

    lines: bytes
    rows: int
    features: Features
    options: SourceOptions

    def parsed(self) -> pa.Table:
        """Every feature, all null where no line has its key; raises `DataInvalid`."""
        try:
            self.lines.decode()  # Arrow takes any bytes for UTF-8
            table = _read(self.lines, self._types())
            self._check_lines(table)
            for name in self.features:
                if name in self.options.casts:
                    table = table.append_column(name, self._texts(name))
            return table
        except UnicodeDecodeError as exc:
            at = self.lines.count(b"\n", 0, exc.start)
            raise not_utf8(f"row {self.rows + at}") from exc
        except DataInvalid:
            raise
        except (pa.ArrowInvalid, ValueError) as exc:
            return self._with_gaps(exc)

    def _check_lines(self, table: pa.Table) -> None:
        """Arrow takes several objects in a line; raises `DataInvalid`, as rows are counted by lines."""
        rows = self._rows()
        if table.num_rows <= len(rows):
            return
        at = next((at for at, line in enumerate(rows) if len(_read(line, self._types())) > 1), 0)
        told = f"row {self.rows + at} has several objects in one line: {quoted(rows[at].decode())}"
        raise DataInvalid(told, hint="write each object in a line of its own")

    def _with_gaps(self, why: Exception) -> pa.Table:
        """Nullable integers by their digits, for some may be written as whole floats."""
        gaps = self._gaps()
        if not gaps:
            self._fail(why)
        try:
            table = _read(self.lines, {name: type for name, type in self._types().items() if name not in gaps})
            for name in self.features:
                if name in self.options.casts:
                    table = table.append_column(name, self._texts(name))
                elif name in gaps:
                    table = table.append_column(name, self._integers(name))
            return table
        except BadCell as exc:
            raise self._bad(exc.at, f"{self._value(exc.at, exc.name)} {exc.verdict}", exc.name) from exc
        except (pa.ArrowInvalid, ValueError):
            self._fail(why)

    def _gaps(self) -> Features:
        return {name: self.features[name] for name in self._types() if takes_gaps(self.features[name])}

    def _integers(self, name: str) -> Column:
        feature, found = self.features[name], []
        for at, line in enumerate(self._rows()):
            value = _loaded(line).get(name)
            try:
                found.append(_whole(value, feature.dtype))
            except ValueError:
                raise BadCell(name, at, value, f"is no {feature.dtype.value}") from None
        return pa.chunked_array([pa.array(found, parsed_type(feature))])

    def conformed(self, table: pa.Table, kept: Features) -> pa.Table:
        """These features; where there are none, a table that only tells how many rows there are."""
        try:
            columns = {name: self._column(name, table.column(name), feature) for name, feature in kept.items()}
        except BadCell as exc:
            raise self._bad(exc.at, f"{self._value(exc.at, exc.name)} {exc.verdict}", exc.name) from exc
        return pa.table(columns) if columns else pa.table({"": pa.nulls(table.num_rows)})

    def _types(self) -> dict[str, pa.DataType]:
        return {name: parsed_type(each) for name, each in self.features.items() if name not in self.options.casts}

    def _column(self, name: str, column: Column, feature: Feature) -> Column:
        if name in self.options.casts:
            return cast(name, column, feature, self.options)
        if feature.dtype.is_float:
            self._check_range(name, column, feature)
        return as_feature(name, column, feature, self.options)

    def _check_range(self, name: str, column: Column, feature: Feature) -> None:
        """Arrow makes infinities of numbers that are too large for a float and zeros of those that are too small, and
        rounds whole ones; of a double it refuses what is too large."""
        found = large(column, feature.dtype)
        if may_vanish(self.lines, feature.dtype):
            found += zeros(column.cast(_halved(column.type)) if feature.dtype is Dtypes.FLOAT16 else column)
        rows = self._rows() if found else []
        for at in found:
            for number in _numbers(_loaded(rows[at]).get(name)):
                if _is_out_of_range(float(number), feature.dtype):
                    raise BadCell(name, at, number, f"is out of the range of {feature.dtype.value}")
                if not is_zero(number) and not np.dtype(feature.dtype.value).type(number):
                    raise BadCell(name, at, number, f"is too small for {feature.dtype.value}")
                if not holds(number, feature.dtype):
                    raise BadCell(name, at, number, f"is no {feature.dtype.value} exactly")

    def _texts(self, name: str) -> Column:
        """What each line has under a key, as text, whatever its type."""
        return pa.chunked_array([pa.array([_text(_loaded(line).get(name)) for line in self._rows()], pa.string())])

    def _rows(self) -> list[bytes]:
        return [line for line in self.lines.split(b"\n") if line.strip()]

    def _value(self, at: int, name: str) -> str:
        try:
            return quoted(_shown(_loaded(self._rows()[at]).get(name)))
        except (ValueError, IndexError):
            return "the value"

    def _fail(self, exc: Exception) -> NoReturn:
        """Arrow says neither which line nor which column it could not read: they are looked for by reading again."""
        rows = self._rows()
        types = self._types() | {name: parsed_type(_double(each)) for name, each in self._gaps().items()}
        at = next((at for at, line in enumerate(rows) if not self._is_readable(line, types)), None)
        if at is None:
            said = str(exc).partition(" in row ")[0]
            raise DataInvalid(f"cannot be read after row {self.rows}: {said}", hint="one object in each line") from exc
        try:
            _loaded(rows[at])
        except ValueError as problem:
            told = f"row {self.rows + at} is no JSON object: {quoted(rows[at].decode())} ({problem})"
            raise DataInvalid(told, hint="check that the file is whole, and has one object in each line") from exc
        for name, type in types.items():
            if not self._is_readable(rows[at], {name: type}):
                told = f"{self._value(at, name)} is no {self.features[name].dtype.value}"
                raise self._bad(at, told, name) from exc
        raise DataInvalid(f"row {self.rows + at} cannot be read: {exc}", hint="correct the line") from exc

    @staticmethod
    def _is_readable(line: bytes, types: dict[str, pa.DataType]) -> bool:
        try:
            _read(line, types)
        except (pa.ArrowInvalid, ValueError):
            return False
        return True

    def _bad(self, at: int, problem: str, name: str) -> DataInvalid:
        return DataInvalid(
            f'column "{name}" in row {self.rows + at}: {problem}', hint=cure(self.features[name], problem, "line")
        )


def _read(lines: bytes, types: dict[str, pa.DataType]) -> pa.Table:
    if found := _NULL.search(lines):
        raise ValueError(found[0])  # Arrow crashes when the first line is a null
    return pa_json.read_json(
        io.BytesIO(lines),
        read_options=pa_json.ReadOptions(block_size=len(lines) + 1),
        parse_options=pa_json.ParseOptions(
            explicit_schema=pa.schema(list(types.items())), unexpected_field_behavior="ignore"
        ),
    )


def _loaded(line: bytes) -> dict[str, Any]:
    """Numbers as they are written; raises `ValueError` for what is no object."""
    found = parse(line, number=_Number)
    if not isinstance(found, dict):
        raise ValueError("no object")
    return found


def _is_out_of_range(number: float, dtype: Dtypes) -> bool:
    with np.errstate(over="ignore"):
        return math.isinf(number) or math.isinf(np.dtype(dtype.value).type(number))


def _halved(type: pa.DataType) -> pa.DataType:
    return pa.list_(_halved(type.value_type)) if pa.types.is_list(type) else pa.float16()


def _numbers(value: Any) -> Iterator[str]:
    """The numbers in a value, by their digits."""
    if isinstance(value, list):
        for each in value:
            yield from _numbers(each)
    elif isinstance(value, _Number):
        yield value


def _whole(value: Any, dtype: Dtypes) -> Any:
    """Whole numbers, however they are written; raises `ValueError` for others."""
    if value is None:
        return None
    if isinstance(value, list):
        return [_whole(each, dtype) for each in value]
    if not isinstance(value, _Number):
        raise ValueError("no number")
    number, (low, high) = Decimal(value), integer_range(dtype)
    if not low <= number <= high or number != int(number):
        raise ValueError("no such integer")
    return int(number)


def _double(feature: Feature) -> Feature:
    return Feature(Dtypes.FLOAT64, feature.shape, nullable=True)


class _Number(str):
    """A number by its digits."""


def _text(value: Any) -> str | None:
    return None if value is None else str(_shown(value))


def _shown(value: Any) -> Any:
    """A text or number by itself; numbers in lists as they are written too."""
    if isinstance(value, list):
        shown = (str(_shown(each)) if isinstance(each, _Number | list) else json.dumps(each) for each in value)
        return f"[{', '.join(shown)}]"
    return value if isinstance(value, str) else json.dumps(value)


def _absent(table: pa.Table, name: str, feature: Feature) -> bool:
    return not feature.takes_nulls and table.column(name).null_count == table.num_rows


def _check(absent: set[str], left_out: set[str], features: Features) -> None:
    required = [name for name in features if name in absent and name not in left_out]
    if required:
        raise missing_columns(required, [name for name in features if name not in absent])
    late = sorted(left_out - absent)
    if late:
        raise DataInvalid(f'column "{late[0]}" is only in some lines', hint="give it in all lines, or make it nullable")
