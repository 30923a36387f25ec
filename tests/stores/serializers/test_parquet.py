"""Parquet files with one byte form."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jeyn.errors import DataInvalid
from jeyn.stores.serializers.parquet import ROW_GROUP_ROWS, open_parquet_writer, parquet_options

ROWS = pa.table({"n": np.random.default_rng(3).normal(size=300_000), "t": np.char.mod("%d", np.arange(300_000) % 977)})


def written(path: Path, pieces: list[pa.Table]) -> bytes:
    with open_parquet_writer(path, ROWS.schema) as writer:
        for piece in pieces:
            writer.write(piece)
    assert writer.rows == sum(piece.num_rows for piece in pieces)
    return path.read_bytes()


def test_rule_04_the_same_rows_give_the_same_bytes_in_whatever_pieces(tmp_path: Path) -> None:
    whole = written(tmp_path / "whole", [ROWS])
    cuts = [0, 1, 1000, 131_071, 131_073, 290_000, 300_000]
    pieces = [ROWS.slice(start, end - start) for start, end in pairwise(cuts)]
    assert written(tmp_path / "pieces", pieces) == whole
    assert written(tmp_path / "batches", ROWS.to_batches(max_chunksize=7_777)) == whole


def test_row_groups_options_and_metadata(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    schema = ROWS.schema.with_metadata({"pandas": "{}", "origin": "test"})
    with open_parquet_writer(path, schema) as writer:
        writer.write(ROWS)
    file = pq.ParquetFile(path)
    groups = [file.metadata.row_group(i) for i in range(file.metadata.num_row_groups)]
    assert [group.num_rows for group in groups] == [ROW_GROUP_ROWS, ROW_GROUP_ROWS, 300_000 - 2 * ROW_GROUP_ROWS]
    assert groups[0].column(0).compression == "ZSTD" and groups[0].column(0).is_stats_set
    assert file.metadata.format_version == "2.6" == parquet_options()["version"]
    assert file.schema_arrow.metadata == {b"origin": b"test"}
    assert file.read().replace_schema_metadata() == ROWS


def test_rows_of_another_schema_are_refused_and_no_half_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    with pytest.raises(DataInvalid, match="'n: int64'"), open_parquet_writer(path, ROWS.schema) as writer:
        writer.write(ROWS.slice(0, 10))
        writer.write(pa.table({"n": [1]}))
    assert not path.exists()


def test_an_empty_file_has_the_schema(tmp_path: Path) -> None:
    written(tmp_path / "empty", [])
    assert pq.read_table(tmp_path / "empty").equals(ROWS.slice(0, 0))
