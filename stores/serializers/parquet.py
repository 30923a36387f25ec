"""Parquet with one byte form: every writer option is fixed here, and row groups do not depend on how rows arrive.

The format: https://parquet.apache.org/docs/file-format/
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from jeyn.errors import DataInvalid

ROW_GROUP_ROWS = 128 * 1024


def parquet_options() -> dict[str, Any]:
    """The options of every Parquet file that Jeyn writes, for `pyarrow.parquet.ParquetWriter`."""
    return {
        "version": "2.6",
        "compression": "zstd",
        "compression_level": 3,
        "use_dictionary": True,
        "write_statistics": True,
        "data_page_version": "1.0",
        "data_page_size": 1 << 20,
        "write_batch_size": 1024,
        "store_schema": True,
        "write_page_index": False,
        "write_page_checksum": False,
    }


def open_parquet_writer(path: str | Path | pa.NativeFile, schema: pa.Schema) -> ParquetTableWriter:
    """A writer of tables and record batches to a file; the schema is stored without pandas metadata."""
    metadata = {key: value for key, value in (schema.metadata or {}).items() if key != b"pandas"}
    return ParquetTableWriter(path, schema.with_metadata(metadata or None))


class ParquetTableWriter:
    """Writes groups of ROW_GROUP_ROWS rows: the same rows give the same bytes in whatever pieces they come."""

    def __init__(self, path: str | Path | pa.NativeFile, schema: pa.Schema) -> None:
        self.schema = schema
        self.rows = 0
        self._waiting: list[pa.Table] = []
        self._waiting_rows = 0
        self._path = Path(path) if isinstance(path, (str, Path)) else None
        sink = path if self._path is None else str(self._path)
        self._writer = pq.ParquetWriter(sink, schema, **parquet_options())

    def write(self, rows: pa.Table | pa.RecordBatch) -> None:
        """Add rows; DataInvalid when their schema is another one."""
        table = pa.Table.from_batches([rows]) if isinstance(rows, pa.RecordBatch) else rows
        if not table.schema.equals(self.schema):
            raise DataInvalid(
                f"rows have the schema '{_one_line(table.schema)}', the file has '{_one_line(self.schema)}'",
                hint="cast them to the file's schema before writing",
            )
        self.rows += table.num_rows
        for start in range(0, table.num_rows, ROW_GROUP_ROWS):
            self._add(table.slice(start, ROW_GROUP_ROWS))

    def close(self) -> None:
        """Write what waits and the footer; a file that was not closed cannot be read."""
        if self._waiting_rows:
            self._write_group(self._waiting_rows)
        self._writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None:
            self.close()
            return
        # Arrow's writer cannot be left without a footer, so half a file would look like a whole one.
        self._writer.close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def _add(self, table: pa.Table) -> None:
        self._waiting.append(table)
        self._waiting_rows += table.num_rows
        if self._waiting_rows >= ROW_GROUP_ROWS:
            self._write_group(ROW_GROUP_ROWS)

    def _write_group(self, rows: int) -> None:
        # Where a chunk ends decides where a page may end, so a group is always written as one chunk.
        waiting = pa.concat_tables([table.replace_schema_metadata(self.schema.metadata) for table in self._waiting])
        self._writer.write_table(waiting.slice(0, rows).combine_chunks(), row_group_size=ROW_GROUP_ROWS)
        self._waiting = [waiting.slice(rows)]
        self._waiting_rows = waiting.num_rows - rows


def _one_line(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name}: {field.type}" for field in schema)
