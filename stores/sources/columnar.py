"""Parquet and Arrow files, read row group by row group and batch by batch; used by `read_batches`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from jeyn.errors import DataInvalid
from jeyn.sdk.catalog import DataCatalog
from jeyn.sdk.datasets.selection import RowFilter
from jeyn.sdk.dtypes import Dtypes
from jeyn.sdk.feature import split_arrow_type
from jeyn.sdk.validation.exact import with_leaf

if TYPE_CHECKING:
    import pyarrow.dataset as ds

_PAGES = 1 << 20
# Of a file that is smaller, all cores together read no quicker than `pyarrow.dataset` is imported.
_LARGE = 16 << 20
# Of a file that is smaller, handing columns to other cores takes longer than reading them.
_SMALL = 1 << 20
# Arrow reads Spark's times in nanoseconds, in which the year 9999 ends up in 1816.
_INT96 = "us"
_FILE_MAGIC = b"ARROW1"


def read_parquet(
    stream: BinaryIO, catalog: type[DataCatalog], rows: int, keep: RowFilter | None = None
) -> Iterator[pa.Table]:
    """The catalog's columns; row groups that hold no row for `keep`, by their statistics, are left out."""
    # A column chunk is read piece by piece, not whole: a row group may be as large as the file.
    with pq.ParquetFile(stream, pre_buffer=False, buffer_size=_PAGES, coerce_int96_timestamp_unit=_INT96) as file:
        schema = file.schema_arrow
        names, groups = _wanted(schema, catalog), list(range(file.num_row_groups))
        if keep and groups:
            groups = [group.id for group in _pruned(stream, catalog, keep).row_groups]
        if not file.metadata.num_rows or not groups:
            yield schema.empty_table()
            return
        batches = file.iter_batches(batch_size=rows, row_groups=groups, columns=names, use_threads=False)
        if not (times := _in_int96(file, names)):
            yield from (pa.Table.from_batches([batch]) for batch in batches)
            return
        with pq.ParquetFile(stream, pre_buffer=False, coerce_int96_timestamp_unit="ns") as again:
            exact = again.iter_batches(batch_size=rows, row_groups=groups, columns=times, use_threads=False)
            for batch, told in zip(batches, exact, strict=True):
                yield _with_nanoseconds(pa.Table.from_batches([batch]), pa.Table.from_batches([told]))


def load_parquet(
    path: Path, catalog: type[DataCatalog], keep: RowFilter | None = None, *, threads: bool = True
) -> pa.Table:
    """All of what `read_parquet` gives, at once and by all cores, or by one where others read other files."""
    # Given a path, pyarrow looks for its file system first, which takes as long as reading a small file.
    with pa.OSFile(str(path)) as source, pq.ParquetFile(source, coerce_int96_timestamp_unit=_INT96) as file:
        names = _wanted(file.schema_arrow, catalog)
        if times := _in_int96(file, names):
            with pq.ParquetFile(path, coerce_int96_timestamp_unit="ns") as again:
                return _with_nanoseconds(file.read(columns=names), again.read(columns=times))
        size = source.size()
        if keep is None and (size < _LARGE or not threads):
            return file.read(columns=names, use_threads=threads and size > _SMALL)
    fragment = _pruned(path, catalog, keep)
    return fragment.to_table(columns=_wanted(fragment.physical_schema, catalog), use_threads=threads)


def _in_int96(file: pq.ParquetFile, names: list[str]) -> list[str]:
    """The columns of times, also in lists, that may have more digits than microseconds; Spark's have not."""
    schema, metadata = file.schema_arrow, file.metadata
    if not any(pa.types.is_timestamp(split_arrow_type(schema.field(name).type)[0]) for name in names):
        return []
    if any(key.startswith(b"org.apache.spark") for key in metadata.metadata or {}):
        return []
    columns = [metadata.schema.column(at) for at in range(metadata.num_columns)]
    paths = [column.path for column in columns if column.physical_type == "INT96"]
    # Within lists a path goes on, as in "times.list.element".
    return [name for name in names if any(path == name or path.startswith(f"{name}.") for path in paths)]


def _with_nanoseconds(table: pa.Table, times: pa.Table) -> pa.Table:
    """The table with nanoseconds where there are such digits, to be refused as those of any other column."""
    for name in times.column_names:
        micros, nanos = (_whole(found.column(name)) for found in (table, times))
        leaf = _leaf(nanos)
        exact = _nanoseconds(_leaf(micros), leaf)
        if exact is not None:
            table = table.set_column(table.column_names.index(name), name, _with(nanos, exact))
    return table


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def _leaf(array: pa.Array) -> pa.Array:
    """The innermost values, as `with_leaf` sees them."""
    found: list[pa.Array] = []

    def look(leaf: pa.Array) -> pa.Array:
        found.append(leaf)
        return leaf

    with_leaf(array, look)
    return found[0]


def _with(array: pa.Array, leaf: pa.Array) -> pa.Array:
    return with_leaf(array, lambda _: leaf)


def _nanoseconds(micros: pa.Array, nanos: pa.Array) -> pa.Array | None:
    """The times in nanoseconds, null where they are too far away for that; None where no digit is below a microsecond.

    In nanoseconds far times are counted modulo 2^64, and so is the difference.
    """
    import numpy as np

    is_there = nanos.is_valid().to_numpy(zero_copy_only=False)
    coarse, fine = (each.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False) for each in (micros, nanos))
    if not (fine - coarse * 1000).any():
        return None
    far = np.abs(coarse) >= (2**63 - 1) // 1000
    return pa.array(fine, pa.timestamp("ns"), mask=far | ~is_there)


def _pruned(source: Path | BinaryIO, catalog: type[DataCatalog], keep: RowFilter | None) -> ds.ParquetFileFragment:
    """The row groups that may hold rows for `keep`: those whose statistics do not rule it out."""
    fragment = _fragment(source)
    schema = fragment.physical_schema
    if keep is None or not all(_tells(schema, catalog, name, keep) for name in keep.features):
        return fragment
    return fragment.subset(filter=keep.expression, schema=schema)


def _fragment(source: Path | BinaryIO) -> ds.ParquetFileFragment:
    import pyarrow.dataset as ds
    from pyarrow.fs import LocalFileSystem

    format = ds.ParquetFileFormat(coerce_int96_timestamp_unit=_INT96)
    if isinstance(source, Path):
        return format.make_fragment(str(source), filesystem=LocalFileSystem())
    return format.make_fragment(source)


def _tells(schema: pa.Schema, catalog: type[DataCatalog], name: str, keep: RowFilter) -> bool:
    """Whether statistics can be trusted: those of another type mean other values, and none of them tells of NaN.

    Arrow cannot compare halves at all.
    """
    feature = catalog.features.get(name)
    if feature is None:  # the file's folders say it
        return False
    places = schema.get_all_field_indices(name)
    is_exact = len(places) == 1 and schema.field(places[0]).type == feature.arrow_type()
    return is_exact and feature.dtype is not Dtypes.FLOAT16 and (keep.is_plain or not feature.dtype.is_float)


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


def parquet_names(stream: BinaryIO) -> list[str]:
    return list(pq.read_schema(stream).names)


def arrow_names(stream: BinaryIO) -> list[str]:
    start = stream.read(len(_FILE_MAGIC))
    stream.seek(-len(start), 1)
    with pa.ipc.open_file(stream) if start == _FILE_MAGIC else pa.ipc.open_stream(stream) as reader:
        return list(reader.schema.names)


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
    for name in there & set(catalog.features):
        if (times := schema.names.count(name)) > 1:
            raise DataInvalid(f'column "{name}" occurs {times} times', hint="rename all but one")
    return [name for name in catalog.features if name in there]


def missing_columns(missing: list[str], there: list[str]) -> DataInvalid:
    names = ", ".join(f'"{name}"' for name in missing)
    return DataInvalid(
        f"there is no column {names}", hint=f"the columns are {there}; make the feature optional, or add it"
    )
