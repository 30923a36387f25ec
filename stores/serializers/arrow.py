"""Arrow tables as bytes: Parquet where that brings every type back exactly, else an Arrow IPC file.

Parquet is smaller and holds values only; IPC brings back dictionaries, nested and extension types as they were.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from jeyn.stores.serializers.decoding import decoding
from jeyn.stores.serializers.parquet import ParquetTableWriter

PARQUET = "parquet"
IPC = "arrow"


def table_bytes(table: pa.Table) -> tuple[str, bytes]:
    """The container's name and the bytes; equal tables give equal bytes, whatever their chunks."""
    exact = table.num_columns > 0 and all(_exact_in_parquet(field.type) for field in table.schema)
    return (PARQUET, _parquet_bytes(table)) if exact else (IPC, _ipc_bytes(table))


def read_table(container: str, source: bytes | Path) -> pa.Table:
    """The table in bytes or in a file; Corrupt when they hold none."""
    with decoding(f"a table in {container}"):
        table = pq.ParquetFile(_input(source)).read() if container == PARQUET else _read_ipc(source)
        table.validate(full=True)
        return table


def _parquet_bytes(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with ParquetTableWriter(sink, table.schema) as writer:
        writer.write(table)
    return bytes(sink.getvalue())


def _ipc_bytes(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    settled = _settled(table)
    options = pa.ipc.IpcWriteOptions(compression=None, unify_dictionaries=True)
    with pa.ipc.new_file(sink, settled.schema, options=options) as writer:
        writer.write_table(settled)
    return bytes(sink.getvalue())


def _settled(table: pa.Table) -> pa.Table:
    """The table in one chunk with fresh buffers: under a null, and outside a slice, a buffer may hold anything."""
    if table.num_columns == 0:
        return table
    try:
        return table.unify_dictionaries().take(pa.array(np.arange(table.num_rows))).combine_chunks()
    except pa.ArrowNotImplementedError:
        return table.combine_chunks()


def _read_ipc(source: bytes | Path) -> pa.Table:
    with pa.ipc.open_file(_input(source)) as reader:
        return reader.read_all()


def _input(source: bytes | Path) -> pa.NativeFile | str:
    return str(source) if isinstance(source, Path) else pa.BufferReader(source)


def _exact_in_parquet(data_type: pa.DataType) -> bool:
    """Types that `ParquetFile.read` gives back as they were; among others, seconds become milliseconds."""
    if isinstance(data_type, pa.BaseExtensionType):
        return False
    if pa.types.is_timestamp(data_type) or pa.types.is_time32(data_type):
        return bool(data_type.unit != "s")
    return any(is_type(data_type) for is_type in _EXACT)


_EXACT = (
    pa.types.is_integer,
    pa.types.is_floating,
    pa.types.is_boolean,
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_binary,
    pa.types.is_large_binary,
    pa.types.is_date32,
    pa.types.is_time64,
    pa.types.is_duration,
    pa.types.is_decimal128,
    pa.types.is_null,
)
