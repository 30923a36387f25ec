"""`read_batches`: the rows of a data file, projected on a catalog, in memory bounded by blocks and row groups."""

from __future__ import annotations

import gzip
import io
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeAlias, cast

import pyarrow as pa

from jeyn.errors import DataInvalid, JeynError, NoMemory, UsageError
from jeyn.sdk.catalog import DataCatalog
from jeyn.sdk.datasets.selection import RowFilter
from jeyn.sdk.datasets.source_options import PLAIN, SourceOptions
from jeyn.stores.payloads.failures import os_errors, translated
from jeyn.stores.payloads.source import opened
from jeyn.stores.sources.casts import cast_table
from jeyn.stores.sources.cells import BadCell
from jeyn.stores.sources.columnar import arrow_names, load_parquet, parquet_names, read_arrow, read_parquet
from jeyn.stores.sources.delimited import header_names, read_delimited
from jeyn.stores.sources.json_lines import first_keys, read_json_lines
from jeyn.stores.sources.partitions import in_file, partitions, with_partitions

_SPOOLED_IN_MEMORY = 8 << 20
_BUFFER = 1 << 20
LOAD_ROWS = 1 << 20

Catalog: TypeAlias = type[DataCatalog]
Reader: TypeAlias = Callable[..., Iterator[pa.Table]]


class _Format(NamedTuple):
    read: Reader
    names: Callable[[BinaryIO, SourceOptions], list[str]]
    seeks: bool = False
    gzipped: bool = False
    casts: bool = False


def _csv(stream: BinaryIO, catalog: Catalog, rows: int, options: SourceOptions) -> Iterator[pa.Table]:
    return read_delimited(stream, catalog, ",", options)


def _tsv(stream: BinaryIO, catalog: Catalog, rows: int, options: SourceOptions) -> Iterator[pa.Table]:
    return read_delimited(stream, catalog, "\t", options)


def _json_lines(stream: BinaryIO, catalog: Catalog, rows: int, options: SourceOptions) -> Iterator[pa.Table]:
    return read_json_lines(stream, catalog, options)


def _arrow(stream: BinaryIO, catalog: Catalog, rows: int, options: SourceOptions) -> Iterator[pa.Table]:
    return read_arrow(stream, catalog, rows)


def _parquet(
    stream: BinaryIO, catalog: Catalog, rows: int, options: SourceOptions, keep: RowFilter | None = None
) -> Iterator[pa.Table]:
    return read_parquet(stream, catalog, rows, keep)


_FORMATS = {
    ".arrow": _Format(_arrow, lambda stream, options: arrow_names(stream), seeks=True, casts=True),
    ".csv": _Format(_csv, lambda stream, options: header_names(stream, ",", options)),
    ".csv.gz": _Format(_csv, lambda stream, options: header_names(stream, ",", options), gzipped=True),
    ".feather": _Format(_arrow, lambda stream, options: arrow_names(stream), seeks=True, casts=True),
    ".jsonl": _Format(_json_lines, first_keys),
    ".jsonl.gz": _Format(_json_lines, first_keys, gzipped=True),
    ".ndjson": _Format(_json_lines, first_keys),
    ".ndjson.gz": _Format(_json_lines, first_keys, gzipped=True),
    ".parquet": _Format(_parquet, lambda stream, options: parquet_names(stream), seeks=True, casts=True),
    ".tsv": _Format(_tsv, lambda stream, options: header_names(stream, "\t", options)),
    ".tsv.gz": _Format(_tsv, lambda stream, options: header_names(stream, "\t", options), gzipped=True),
}

SUFFIXES: tuple[str, ...] = tuple(_FORMATS)


def read_batches(
    name: str,
    source: Path | BinaryIO,
    catalog: Catalog,
    rows: int,
    keep: RowFilter | None = None,
    options: SourceOptions = PLAIN,
) -> Iterator[pa.RecordBatch]:
    """The features of `catalog` in the file `name`, whose suffix tells its format, `rows` rows at most at a time; only
    the rows for `keep`, if it is given. Folders of `name` such as "year=2024" are features too, where the catalog has
    them and the file does not.

    `source` is where the bytes are; a stream is read from its position and stays open. Raises `UsageError` for a
    suffix that is none of `SUFFIXES`, and `DataInvalid`, which names the file, for what cannot be read or does not
    have the catalog's columns and types.
    """
    return _batches(_tables(name, source, _File(name, catalog, keep, options), rows), rows)


def read_table(
    name: str,
    path: Path,
    catalog: Catalog,
    keep: RowFilter | None = None,
    options: SourceOptions = PLAIN,
    *,
    threads: bool = True,
) -> pa.Table:
    """What `read_batches` gives, as one table: not in bounded memory, but as quickly as the format allows, and by more
    than this thread if `threads`."""
    file = _File(name, catalog, keep, options)
    if file.format.read is _parquet:
        with _errors(name):
            return file.fitting(load_parquet(path, file.columns, file.told, threads=threads), 0)
    nothing = pa.schema([(name, feature.arrow_type()) for name, feature in catalog.features.items()]).empty_table()
    return pa.concat_tables(list(_tables(name, path, file, LOAD_ROWS)) or [nothing])


def column_names(name: str, path: Path, options: SourceOptions = PLAIN) -> list[str]:
    """The columns that a file has, whatever the catalog; of JSON lines those of the first few."""
    found = _format_of(name)
    with ExitStack() as stack, _errors(name):
        return found.names(stack.enter_context(_stream(path, found)), options)


def _batches(tables: Iterator[pa.Table], rows: int) -> Iterator[pa.RecordBatch]:
    for table in tables:
        yield from table.to_batches(max_chunksize=rows)


def _tables(name: str, source: Path | BinaryIO, file: _File, rows: int) -> Iterator[pa.Table]:
    with ExitStack() as stack, _errors(name):
        stream = stack.enter_context(_stream(source, file.format))
        # Only Parquet knows of rows that it need not read.
        known = (file.told,) if file.format.read is _parquet else ()
        row = 0
        for table in file.format.read(stream, file.columns, rows, file.options, *known):
            yield file.fitting(table, row)
            row += table.num_rows


class _File:
    """What is wanted of a file, and what its name says of it."""

    def __init__(self, name: str, catalog: Catalog, keep: RowFilter | None, options: SourceOptions) -> None:
        self.format = _format_of(name)
        self.catalog, self.keep, self.options = catalog, keep, options
        self.folders = partitions(name)
        self.columns = in_file(catalog, self.folders)
        # Statistics are about what is in the file, and casts may make something else of it.
        self.told = None if options.casts else keep

    def fitting(self, table: pa.Table, row: int) -> pa.Table:
        """The table, whose first row is `row` of the file, with the catalog's types, and only the rows to keep."""
        if self.format.casts and self.options.casts:
            try:
                table = cast_table(table, self.catalog.features, self.options)
            except BadCell as exc:
                problem = f'column "{exc.name}" in row {row + exc.at}: {exc}'
                raise DataInvalid(problem, hint="correct the value, or the catalog") from exc
        table = with_partitions(table, self.catalog, self.folders, self.options)
        table = self.catalog.conform(table, first_row=row)
        return self.keep.rows(table, self.catalog) if self.keep else table


def _format_of(name: str) -> _Format:
    low = name.lower()
    suffix = max((suffix for suffix in SUFFIXES if low.endswith(suffix)), key=len, default=None)
    if suffix is None:
        raise UsageError(f'"{name}" is in no format that Jeyn reads', hint=f"use one of {', '.join(SUFFIXES)}")
    return _FORMATS[suffix]


@contextmanager
def _stream(source: Path | BinaryIO, found: _Format) -> Iterator[BinaryIO]:
    with ExitStack() as stack:
        if isinstance(source, Path):
            source = _file(stack, source, found)
        if found.seeks and not source.seekable():
            source = stack.enter_context(_spooled(source))
        if found.gzipped:
            unpacked = stack.enter_context(gzip.GzipFile(fileobj=source))
            # GzipFile reads little at a time, and a line at a time slowly.
            source = stack.enter_context(io.BufferedReader(cast(io.RawIOBase, unpacked), _BUFFER))
        yield source


def _file(stack: ExitStack, path: Path, found: _Format) -> BinaryIO:
    file = stack.enter_context(opened(path))
    if found.seeks:  # of what Python reads, each of Arrow's threads would wait for the others
        return cast(BinaryIO, stack.enter_context(pa.OSFile(str(path))))
    return io.BufferedReader(file, _BUFFER)


@contextmanager
def _spooled(source: BinaryIO) -> Iterator[BinaryIO]:
    """A copy that can seek, for formats whose index is at the end."""
    with tempfile.SpooledTemporaryFile(_SPOOLED_IN_MEMORY) as copy:
        with os_errors("make a temporary copy"):
            shutil.copyfileobj(source, copy, _BUFFER)
        copy.seek(0)
        yield cast(BinaryIO, copy)


@contextmanager
def _errors(name: str) -> Iterator[None]:
    try:
        yield
    except DataInvalid as exc:
        raise DataInvalid(f'"{name}": {exc.message}', hint=exc.hint) from exc
    except JeynError:
        raise
    except OSError as exc:
        # Arrow says of broken files too that they are OSErrors; those of the system have a number.
        raise translated(exc, f'read "{name}"') if exc.errno else _unreadable(name, exc) from exc
    except MemoryError as exc:
        raise NoMemory(
            f'there is too little memory to read "{name}"', hint="give it more, or split the file into smaller ones"
        ) from exc
    except (pa.ArrowException, EOFError, KeyError, ValueError, zlib.error) as exc:
        raise _unreadable(name, exc) from exc


def _unreadable(name: str, exc: Exception) -> DataInvalid:
    said = str(exc).partition("\n")[0]
    return DataInvalid(
        f'"{name}" cannot be read: {said}', hint="check that the file is whole and is what its name says"
    )
