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

from jeyn.errors import DataInvalid, JeynError, UsageError
from jeyn.sdk.catalog import DataCatalog
from jeyn.sdk.datasets.selection import RowFilter
from jeyn.stores.payloads.failures import os_errors, translated
from jeyn.stores.payloads.source import opened
from jeyn.stores.sources.columnar import load_parquet, read_arrow, read_parquet
from jeyn.stores.sources.delimited import read_delimited
from jeyn.stores.sources.json_lines import read_json_lines

_SPOOLED_IN_MEMORY = 8 << 20
_BUFFER = 1 << 20
LOAD_ROWS = 1 << 20

Catalog: TypeAlias = type[DataCatalog]
Reader: TypeAlias = Callable[..., Iterator[pa.Table]]


class _Format(NamedTuple):
    read: Reader
    seeks: bool = False
    gzipped: bool = False


def _csv(stream: BinaryIO, catalog: Catalog, rows: int) -> Iterator[pa.Table]:
    return read_delimited(stream, catalog, ",")


def _tsv(stream: BinaryIO, catalog: Catalog, rows: int) -> Iterator[pa.Table]:
    return read_delimited(stream, catalog, "\t")


def _json_lines(stream: BinaryIO, catalog: Catalog, rows: int) -> Iterator[pa.Table]:
    return read_json_lines(stream, catalog)


_FORMATS = {
    ".arrow": _Format(read_arrow, seeks=True),
    ".csv": _Format(_csv),
    ".csv.gz": _Format(_csv, gzipped=True),
    ".feather": _Format(read_arrow, seeks=True),
    ".jsonl": _Format(_json_lines),
    ".jsonl.gz": _Format(_json_lines, gzipped=True),
    ".ndjson": _Format(_json_lines),
    ".ndjson.gz": _Format(_json_lines, gzipped=True),
    ".parquet": _Format(read_parquet, seeks=True),
    ".tsv": _Format(_tsv),
    ".tsv.gz": _Format(_tsv, gzipped=True),
}

SUFFIXES: tuple[str, ...] = tuple(_FORMATS)


def read_batches(
    name: str, source: Path | BinaryIO, catalog: Catalog, rows: int, keep: RowFilter | None = None
) -> Iterator[pa.RecordBatch]:
    """The features of `catalog` in the file `name`, whose suffix tells its format, `rows` rows at most at a time; only
    the rows for `keep`, if it is given.

    `source` is where the bytes are; a stream is read from its position and stays open. Raises `UsageError` for a
    suffix that is none of `SUFFIXES`, and `DataInvalid`, which names the file, for what cannot be read or does not
    have the catalog's columns and types.
    """
    return _batches(_tables(name, source, _format_of(name), catalog, rows, keep), rows)


def read_table(name: str, path: Path, catalog: Catalog, keep: RowFilter | None = None) -> pa.Table:
    """What `read_batches` gives, as one table: not in bounded memory, but as quickly as the format allows."""
    found = _format_of(name)
    if found.read is read_parquet:
        with _errors(name):
            return _fitting(load_parquet(path, catalog, keep), catalog, keep)
    nothing = pa.schema([(name, feature.arrow_type()) for name, feature in catalog.features.items()]).empty_table()
    return pa.concat_tables(list(_tables(name, path, found, catalog, LOAD_ROWS, keep)) or [nothing])


def _batches(tables: Iterator[pa.Table], rows: int) -> Iterator[pa.RecordBatch]:
    for table in tables:
        yield from table.to_batches(max_chunksize=rows)


def _tables(
    name: str, source: Path | BinaryIO, found: _Format, catalog: Catalog, rows: int, keep: RowFilter | None
) -> Iterator[pa.Table]:
    with ExitStack() as stack, _errors(name):
        stream = stack.enter_context(_stream(source, found))
        # Only Parquet knows of rows that it need not read.
        known = (keep,) if found.read is read_parquet else ()
        done = 0
        for table in found.read(stream, catalog, rows, *known):
            yield _fitting(table, catalog, keep, done)
            done += table.num_rows


def _fitting(table: pa.Table, catalog: Catalog, keep: RowFilter | None, first_row: int = 0) -> pa.Table:
    table = catalog.conform(table, first_row=first_row)
    return keep.rows(table, catalog) if keep else table


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
            source = io.BufferedReader(stack.enter_context(opened(source)), _BUFFER)
        if found.seeks and not source.seekable():
            source = stack.enter_context(_spooled(source))
        if found.gzipped:
            unpacked = stack.enter_context(gzip.GzipFile(fileobj=source))
            # GzipFile reads little at a time, and a line at a time slowly.
            source = stack.enter_context(io.BufferedReader(cast(io.RawIOBase, unpacked), _BUFFER))
        yield source


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
    except (pa.ArrowException, EOFError, KeyError, ValueError, zlib.error) as exc:
        raise _unreadable(name, exc) from exc


def _unreadable(name: str, exc: Exception) -> DataInvalid:
    said = str(exc).partition("\n")[0]
    return DataInvalid(
        f'"{name}" cannot be read: {said}', hint="check that the file is whole and is what its name says"
    )
