"""Parquet and Arrow files, read row group by row group and batch by batch; used by `read_batches`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from jeyn.errors import DataInvalid
from jeyn.sdk.catalog import DataCatalog

_PAGES = 1 << 20
_FILE_MAGIC = b"ARROW1"


def read_parquet(stream: BinaryIO, catalog: type[DataCatalog], rows: int) -> Iterator[pa.Table]:
    # A column chunk is read piece by piece, not whole: a row group may be as large as the file.
    with pq.ParquetFile(stream, pre_buffer=False, buffer_size=_PAGES) as file:
        schema = file.schema_arrow
        names = _wanted(schema, catalog)
        if not file.metadata.num_rows:
            yield schema.empty_table()
            return
        for batch in file.iter_batches(batch_size=rows, columns=names, use_threads=False):
            yield pa.Table.from_batches([batch])


def read_arrow(stream: BinaryIO, catalog: type[DataCatalog], rows: int) -> Iterator[pa.Table]:
    """The file format and the stream format; both are used under both suffixes."""
    start = stream.read(len(_FILE_MAGIC))
    stream.seek(-len(start), 1)
    if start == _FILE_MAGIC:
        yield from _arrow_file(stream, catalog)
        return
    with pa.ipc.open_stream(stream) as reader:
        yield reader.schema.empty_table()
        for batch in reader:
            yield pa.Table.from_batches([batch])


def _arrow_file(stream: BinaryIO, catalog: type[DataCatalog]) -> Iterator[pa.Table]:
    with pa.ipc.open_file(stream) as file:
        schema = file.schema
    places = [place for name in _wanted(schema, catalog) for place in schema.get_all_field_indices(name)]
    options = pa.ipc.IpcReadOptions(included_fields=sorted(places))
    with pa.ipc.open_file(stream, options=options) as file:
        yield file.schema.empty_table()
        for at in range(file.num_record_batches):
            yield pa.Table.from_batches([file.get_batch(at)])


def _wanted(schema: pa.Schema, catalog: type[DataCatalog]) -> list[str]:
    """The catalog's columns that are there, for a projection; raises `DataInvalid` for a required one that is not."""
    there = set(schema.names)
    missing = [name for name, feature in catalog.features.items() if name not in there and not feature.optional]
    if missing:
        raise missing_columns(missing, schema.names)
    return [name for name in catalog.features if name in there]


def missing_columns(missing: list[str], there: list[str]) -> DataInvalid:
    names = ", ".join(f'"{name}"' for name in missing)
    return DataInvalid(
        f"there is no column {names}", hint=f"the columns are {there}; make the feature optional, or add it"
    )
