"""CSV and TSV, read block by block with the catalog's types and never with guessed ones; used by `read_batches`."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import BinaryIO, NoReturn

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from jeyn.errors import DataInvalid
from jeyn.sdk.catalog import DataCatalog
from jeyn.sdk.datasets.source_options import PLAIN, SourceOptions
from jeyn.sdk.dtypes import Dtypes
from jeyn.sdk.feature import Feature
from jeyn.stores.sources.casts import cast, false_words, true_words
from jeyn.stores.sources.cells import (
    BadCell,
    Column,
    as_feature,
    checked,
    cure,
    holds,
    large,
    may_vanish,
    parsed_type,
    quoted,
    takes_gaps,
    vanished,
    whole_numbers,
)
from jeyn.stores.sources.columnar import missing_columns
from jeyn.stores.sources.encoded import in_utf8, not_utf8
from jeyn.stores.sources.records import BLOCK, Block, blocks

_MAX_HEADER = 1 << 20
_SEPARATORS = (";", "\t", "|", ",")
_INFINITE = re.compile(r"[+-]?inf(inity)?", re.IGNORECASE)
_HEXADECIMAL = re.compile(rb"\s*0x", re.IGNORECASE)
_CONVERSION = re.compile(r"In CSV column #(\d+): Row #(\d+): (?:CSV conversion error to .*?: )?(.*)", re.DOTALL)
_COUNT = re.compile(r"CSV parse error: Row #(\d+): Expected (\d+) columns, got (\d+)")
_VALUE = re.compile(r"invalid value '(.*)'", re.DOTALL)


def read_delimited(
    stream: BinaryIO,
    catalog: type[DataCatalog],
    delimiter: str,
    options: SourceOptions = PLAIN,
    block: int = BLOCK,
) -> Iterator[pa.Table]:
    """A header line, then rows. An empty cell is a null, and so is an empty line where there is one column.

    `block` is how many bytes are read at a time.
    """
    delimiter = options.separator or delimiter
    pieces = blocks(in_utf8(stream, options.encoding), delimiter, block)
    names, rest = _header(pieces, delimiter)
    features = _columns(names, catalog)
    yield pa.table({name: pa.array([], feature.arrow_type()) for name, feature in features.items()})
    rows = 0
    for piece in chain(rest, pieces):
        table = _Piece(piece, rows, names, features, delimiter, options).table()
        rows += table.num_rows
        yield table


def header_names(stream: BinaryIO, delimiter: str, options: SourceOptions = PLAIN) -> list[str]:
    """The names of all columns."""
    delimiter = options.separator or delimiter
    return _header(blocks(in_utf8(stream, options.encoding), delimiter), delimiter)[0]


def _header(pieces: Iterator[Block], delimiter: str) -> tuple[list[str], list[Block]]:
    """The names in the first record, which may follow empty lines, and what of its block comes after it."""
    passed = 0
    for piece in pieces:
        start = 0
        for end in piece.ends():
            record = piece.data[start:end]
            if len(record) > _MAX_HEADER:
                raise DataInvalid(f"the header is longer than {_MAX_HEADER} bytes", hint="check that the file is text")
            passed += len(record)
            if passed > 2 * _MAX_HEADER:  # empty lines, which have no end
                hint = "check that the file is text, and begins with the names of its columns"
                raise DataInvalid(f"there is no header in its first {_MAX_HEADER:,} bytes", hint=hint)
            if record.strip():
                rest = piece.after(end)
                return _names(record, delimiter), [rest] if rest.data else []
            start = end
    return [], []


def _names(record: bytes, delimiter: str) -> list[str]:
    try:
        text = record.decode().rstrip("\r\n")
    except UnicodeDecodeError as exc:
        raise not_utf8("the header") from exc
    if "\0" in text:
        raise DataInvalid(
            "the header holds zero bytes", hint='check that it is text; of UTF-16, say encoding="utf-16-le"'
        )
    return next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), [])


def _columns(names: list[str], catalog: type[DataCatalog]) -> dict[str, Feature]:
    missing = [name for name, feature in catalog.features.items() if name not in names and not feature.optional]
    if missing:
        found = missing_columns(missing, names)
        other = next((each for each in _SEPARATORS if len(names) == 1 and each in names[0]), None)
        hint = f"if they stand between {other!r}, say options=SourceOptions(separator={other!r})"
        raise DataInvalid(found.message, hint=hint) if other else found
    features = {name: feature for name, feature in catalog.features.items() if name in names}
    for name, feature in features.items():
        if names.count(name) > 1:
            raise DataInvalid(f'column "{name}" occurs {names.count(name)} times', hint="rename all but one")
        if feature.shape not in ((-1,), (-1, 1)):
            raise DataInvalid(
                f'column "{name}" of the shape {feature.shape} cannot be in a text file', hint="use Parquet"
            )
    return features


@dataclass(frozen=True)
class _Piece:
    """One block, and what is needed to parse it; `rows` of the file come before it."""

    block: Block
    rows: int
    names: list[str]
    features: dict[str, Feature]
    delimiter: str
    options: SourceOptions

    def table(self) -> pa.Table:
        """The features; where there are none, a column that only tells how many rows there are."""
        types = {name: self._type(name, feature) for name, feature in self.features.items()}
        try:
            found = self._parsed(types or {self.names[0]: pa.binary()})
        except pa.ArrowInvalid as exc:
            found = self._with_gaps(types, exc)
        try:
            columns = {name: self._column(name, found.column(name), feature) for name, feature in self.features.items()}
        except BadCell as exc:
            shown = self._shown(self._texts(exc.name), exc.at)
            raise self._bad(exc.at, f"{shown} {exc.verdict}", exc.name) from exc
        return pa.table(columns) if columns else found

    def _with_gaps(self, types: dict[str, pa.DataType], why: pa.ArrowInvalid) -> pa.Table:
        """Nullable integers as texts, for some may be written as whole floats."""
        gaps = {name: pa.string() for name, feature in self.features.items() if takes_gaps(feature)}
        if not gaps:
            self._fail(why)
        try:
            return self._parsed(types | gaps)
        except pa.ArrowInvalid as exc:
            self._fail(exc)

    def _type(self, name: str, feature: Feature) -> pa.DataType:
        return pa.string() if name in self.options.casts else parsed_type(feature, lists=False)

    def _column(self, name: str, column: Column, feature: Feature) -> Column:
        if pa.types.is_string(column.type) and not feature.dtype.is_text:
            nulls = pa.array(["", *self.options.nulls], pa.string())
            column = pc.if_else(pc.is_in(column, nulls), None, column)
        if name in self.options.casts:
            return cast(name, column, feature, self.options)
        if feature.dtype.is_integer and pa.types.is_string(column.type):
            return checked(name, column, feature, lambda part: whole_numbers(part, feature, self.options))
        if feature.dtype.is_float:
            self._check_range(name, column, feature)
        if feature.dtype.is_integer and (b"0x" in self.block.data or b"0X" in self.block.data):
            self._check_digits(name, feature)
        return as_feature(name, column, feature, self.options)

    def _check_range(self, name: str, column: Column, feature: Feature) -> None:
        """Arrow makes infinities of numbers that are too large and zeros of those that are too small, and rounds whole
        ones."""
        self._check_zeros(name, column, feature)
        if not (found := large(column, feature.dtype)):
            return
        texts = self._texts(name)
        for at in found:
            text = texts[at].as_py().strip().decode(errors="replace").replace(self.options.decimal, ".")
            if math.isinf(column[at].as_py()) and not _INFINITE.fullmatch(text):
                raise BadCell(name, at, text, f"is out of the range of {feature.dtype.value}")
            if not holds(text, feature.dtype):
                raise BadCell(name, at, text, f"is no {feature.dtype.value} exactly")

    def _check_zeros(self, name: str, column: Column, feature: Feature) -> None:
        if not may_vanish(self.block.data, feature.dtype):
            return
        texts = self._texts(name)
        for at in vanished(texts, self._rounded(column, feature))[:1]:
            raise BadCell(name, at, texts[at].as_py().decode(), f"is too small for {feature.dtype.value}")

    @staticmethod
    def _rounded(column: Column, feature: Feature) -> Column:
        return column.cast(pa.float16()) if feature.dtype is Dtypes.FLOAT16 else column

    def _check_digits(self, name: str, feature: Feature) -> None:
        """Arrow reads hexadecimal digits as bits: 0xFF would be -1."""
        texts = self._texts(name)
        for at, text in enumerate(texts.to_pylist()):
            if text is not None and _HEXADECIMAL.match(text):
                raise BadCell(name, at, text, f"is no {feature.dtype.value}")

    def _texts(self, name: str) -> Column:
        return self._parsed({name: pa.binary()}).column(name)

    @staticmethod
    def _shown(texts: Column, at: int) -> str:
        return quoted(texts[at].as_py().decode(errors="replace"))

    def _parsed(self, types: dict[str, pa.DataType]) -> pa.Table:
        """A null in quotes is a text; in what is no text it is a null, as tools write one that quote all."""
        try:
            return self._read(types)
        except pa.ArrowInvalid:
            if b'"' not in self.block.data:
                raise
        texts = {name: type for name, type in types.items() if type in (pa.string(), pa.binary())}
        others = {name: type for name, type in types.items() if name not in texts}
        kinds = ((texts, False), (others, True))
        found = [self._read(each, quoted_nulls=nulls) for each, nulls in kinds if each]
        return pa.table({name: table.column(name) for table in found for name in table.column_names})

    def _read(self, types: dict[str, pa.DataType], *, quoted_nulls: bool = False) -> pa.Table:
        # By number: names may occur twice, or be empty.
        places = {str(self.names.index(name)): type for name, type in types.items()}
        data = self.block.data
        found = pa_csv.read_csv(
            pa.BufferReader(data),
            read_options=pa_csv.ReadOptions(
                column_names=[str(at) for at in range(len(self.names))], block_size=len(data) + 1, use_threads=False
            ),
            parse_options=pa_csv.ParseOptions(
                delimiter=self.delimiter,
                newlines_in_values=self.block.is_quoted,
                ignore_empty_lines=self._skips_blank,
            ),
            convert_options=self._conversion(places, quoted_nulls),
        )
        return found.rename_columns(list(types))

    def _conversion(self, places: dict[str, pa.DataType], quoted_nulls: bool) -> pa_csv.ConvertOptions:
        return pa_csv.ConvertOptions(
            column_types=places,
            include_columns=list(places),
            null_values=["", *self.options.nulls],
            strings_can_be_null=True,
            quoted_strings_can_be_null=quoted_nulls,
            true_values=true_words(self.options),
            false_values=false_words(self.options),
            decimal_point=self.options.decimal,
        )

    @property
    def _skips_blank(self) -> bool:
        """With one column an empty line is a row: so pyarrow and polars write a null."""
        return len(self.names) > 1

    def _fail(self, exc: pa.ArrowInvalid) -> NoReturn:
        said = str(exc)
        if count := _COUNT.match(said):
            raise self._miscounted(int(count[1]) - 1, int(count[2]), int(count[3])) from exc
        if found := _CONVERSION.match(said):
            name, at = self.names[int(found[1])], int(found[2]) - 1
            if "UTF8" in found[3]:
                raise not_utf8(f"{self._place(at, name)}: the text") from exc
            value = _VALUE.search(found[3])
            shown = quoted(value[1]) if value else self._shown(self._texts(name), at)
            told = f"{shown} is no {self.features[name].dtype.value}{'' if value else f': {found[3]}'}"
            raise self._bad(at, told, name) from exc
        raise DataInvalid(f"cannot be read after row {self.rows}: {said}", hint="check that the file is whole") from exc

    def _miscounted(self, at: int, expected: int, found: int) -> DataInvalid:
        record = self.block.record(at, blank=not self._skips_blank)[0].rstrip(b"\r\n").decode(errors="replace")
        hint = "check that the file is whole, and quote cells that hold a separator or a line break"
        return DataInvalid(
            f"{self._place(at)} has {found} columns, not {expected} columns: {quoted(record)}", hint=hint
        )

    def _bad(self, at: int, problem: str, name: str) -> DataInvalid:
        return DataInvalid(f"{self._place(at, name)}: {problem}", hint=cure(self.features[name], problem))

    def _place(self, at: int, name: str = "") -> str:
        line = self.block.record(at, blank=not self._skips_blank)[1]
        column = f'column "{name}" in ' if name else ""
        return f"{column}row {self.rows + at} (line {line})"
