"""A database with a table that SQL sources read from, on SQLite and PostgreSQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from sqlalchemy import create_engine, text

from jeyn.sdk.catalog import DataCatalog
from jeyn.sdk.datasets.selection import rows_where
from jeyn.sdk.dtypes import Dtypes
from jeyn.sdk.feature import Feature
from jeyn.stores.sources import LateRows, new_rows
from jeyn.stores.sources.watermark import Watermark


class Orders(DataCatalog):
    at = Feature(Dtypes.INT64)
    name = Feature(Dtypes.STRING, nullable=True)


class Kept(NamedTuple):
    """A batch as it would be kept."""

    start: str | None
    end: str
    table: pa.Table


class Store:
    """A database with the table `t`, and the batches that were read from it so far."""

    def __init__(self, url: str, catalog: type[DataCatalog] = Orders, late: float | None = None) -> None:
        self.url, self.catalog, self.late = url, catalog, late
        self.query = "SELECT * FROM t"
        self.batches: list[Kept] = []
        self.late_rows: LateRows | None = None
        self.asked = 0

    def run(self, statement: str, *rows: dict[str, Any]) -> None:
        engine = create_engine(self.url)
        with engine.begin() as connection:
            connection.execute(text(statement), list(rows) or None)
        engine.dispose()

    def make(self, at: str = "bigint", name: str = "text") -> None:
        self.run(f"CREATE TABLE t (name {name}, at {at})")

    def add(self, *rows: tuple[Any, Any]) -> None:
        self.run("INSERT INTO t (at, name) VALUES (:at, :name)", *({"at": at, "name": name} for at, name in rows))

    def earlier(
        self,
        keep: pc.Expression | None = None,
        columns: Sequence[str] | None = None,
        low: Watermark | None = None,
    ) -> Iterator[pa.RecordBatch]:
        self.asked += columns is None
        for batch in self.batches:
            table = batch.table if keep is None else rows_where(batch.table, keep)
            yield from table.select(columns or table.column_names).to_batches()

    def next(self, watermark: str = "at") -> list[tuple[Any, ...]] | None:
        start = self.batches[-1].end if self.batches else None
        found = new_rows(
            self.url, self.query, watermark, self.catalog, start=start, late=self.late, earlier=self.earlier
        )
        assert found.start == start
        pieces = list(found.pieces())
        self.late_rows = found.late
        if found.end is None:
            assert not pieces
            return None
        table = pa.concat_tables(pieces)
        assert found.rows == table.num_rows
        self.batches.append(Kept(start, found.end, table))
        return [tuple(row.values()) for row in table.to_pylist()]


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database; a test may choose the kind."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres_url"))
    path = tmp_path / "some data?.db"
    sqlite3.connect(path).close()
    return f"sqlite:///{path}"


@pytest.fixture
def store(url: str) -> Store:
    store = Store(url)
    store.make()
    return store
