"""CSV and TSV, read block by block with the catalog's types and never with guessed ones; used by `read_batches`."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from typing import BinaryIO

import pyarrow as pa
import pyarrow.csv as pa_csv

from jeyn.errors import DataInvalid
from jeyn.sdk.catalog import DataCatalog
from jeyn.sdk.feature import Feature
from jeyn.stores.sources.cells import as_feature, parsed_type
from jeyn.stores.sources.columnar import missing_columns

_MAX_HEADER = 1 << 20
_BLOCK = 4 << 20


def read_delimited(stream: BinaryIO, catalog: type[DataCatalog], delimiter: str) -> Iterator[pa.Table]:
    """A header line, then rows. An empty cell is a null, of every dtype; a quoted one is an empty text."""
    names = _header(stream, delimiter)
    features = _columns(names, catalog)
    yield pa.table({name: pa.array([], feature.arrow_type()) for name, feature in features.items()})
    try:
        with _opened(stream, delimiter, names, features) as reader:
            for batch in reader:
                yield _table(batch, features)
    except pa.ArrowInvalid as exc:
        if "Empty CSV file" not in str(exc):
            raise _named(exc, names) from exc


def _opened(
    stream: BinaryIO, delimiter: str, names: list[str], features: dict[str, Feature]
) -> pa_csv.CSVStreamingReader:
    return pa_csv.open_csv(
        stream,
        read_options=pa_csv.ReadOptions(column_names=names, block_size=_BLOCK),
        parse_options=pa_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
        convert_options=pa_csv.ConvertOptions(
            column_types={name: parsed_type(feature, lists=False) for name, feature in features.items()},
            include_columns=list(features),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )


def _header(stream: BinaryIO, delimiter: str) -> list[str]:
    """The names in the first record, after which the stream is left; a quoted name may hold line breaks."""
    lines = b""
    while line := stream.readline(_MAX_HEADER):
        lines += line
        if len(lines) > _MAX_HEADER:
            raise DataInvalid(f"the header is longer than {_MAX_HEADER} bytes", hint="check that the file is text")
        if lines.strip() and lines.count(b'"') % 2 == 0:
            break
    try:
        text = lines.decode("utf-8-sig").strip("\r\n")
    except UnicodeDecodeError as exc:
        raise DataInvalid("the header is not UTF-8", hint="write the file as UTF-8") from exc
    return next(csv.reader([text] if "\n" not in text else text.splitlines(keepends=True), delimiter=delimiter), [])


def _columns(names: list[str], catalog: type[DataCatalog]) -> dict[str, Feature]:
    missing = [name for name, feature in catalog.features.items() if name not in names and not feature.optional]
    if missing:
        raise missing_columns(missing, names)
    features = {name: feature for name, feature in catalog.features.items() if name in names}
    for name, feature in features.items():
        if names.count(name) > 1:
            raise DataInvalid(f'column "{name}" occurs {names.count(name)} times', hint="rename all but one")
        if feature.shape not in ((-1,), (-1, 1)):
            raise DataInvalid(
                f'column "{name}" of the shape {feature.shape} cannot be in a text file', hint="use Parquet"
            )
    return features


def _table(batch: pa.RecordBatch, features: dict[str, Feature]) -> pa.Table:
    table = pa.Table.from_batches([batch])
    return pa.table({name: as_feature(name, table.column(name), feature) for name, feature in features.items()})


def _named(exc: pa.ArrowInvalid, names: list[str]) -> DataInvalid:
    """Arrow tells the number of the column; people know its name."""
    said = str(exc)
    place = re.match(r"In CSV column #(\d+): (?:CSV conversion error to )?(.*)", said, re.DOTALL)
    if place and int(place[1]) < len(names):
        said = f'column "{names[int(place[1])]}": {place[2]}'
    return DataInvalid(f"cannot be read: {said}", hint="correct the cells, or the catalog")
