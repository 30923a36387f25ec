"""Bytes of SQL batches that are gone: asked for again, taken only if they are the very same, and not missed else."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

import jeyn
from jeyn import DataCatalog, DatasetFormula, Dtypes, Feature
from jeyn.errors import DataLeftOut, PayloadMissing
from jeyn.formulas import SqlFormula
from jeyn.sdk.datasets.batch import DatasetBatch
from jeyn.stores.workspace import Workspace


class Orders(DataCatalog):
    at = Feature(Dtypes.INT64)
    name = Feature(Dtypes.STRING)


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[sqlite3.Connection]:
    monkeypatch.setenv("JEYN_DATABASE_SHOP", f"sqlite:///{tmp_path / 'shop.db'}")
    connection = sqlite3.connect(tmp_path / "shop.db", isolation_level=None)
    connection.execute("CREATE TABLE orders (at INTEGER, name TEXT)")
    yield connection
    connection.close()


@pytest.fixture
def workspace(tmp_path: Path, shop: sqlite3.Connection) -> Iterator[Workspace]:
    with jeyn.open(home=tmp_path / "home", data=tmp_path) as workspace:
        yield workspace


def formula(late: float | None = None) -> DatasetFormula:
    query = "SELECT * FROM orders"
    return SqlFormula(
        "orders", version="1.0.0", output_catalog=Orders, query=query, watermark="at", database="shop", late=late
    )


def add(shop: sqlite3.Connection, *at: int, name: str = "order") -> None:
    shop.execute("BEGIN")
    shop.executemany("INSERT INTO orders VALUES (?, ?)", [(each, f"{name} {each}") for each in at])
    shop.execute("COMMIT")


def save(workspace: Workspace, late: float | None = None) -> DatasetBatch:
    return workspace.dataset_store.save_batch(formula(late).get_new_batch())


def lose(workspace: Workspace, *batches: DatasetBatch) -> None:
    for batch in batches:
        workspace.payloads.delete(batch.files[0].digest[7:])


@pytest.mark.parametrize("late", [None, 5.0])
def test_rows_that_are_the_same_come_back(workspace: Workspace, shop: sqlite3.Connection, late: float | None) -> None:
    batches = []
    for start in range(0, 20_000, 5000):
        add(shop, *range(start, start + 5000), start + 4999)
        batches.append(save(workspace, late))
    wanted = [batch.load() for batch in batches]
    assert [len(table) for table in wanted] == [5001] * 4
    lose(workspace, *batches)
    assert batches[-1].load().equals(wanted[-1])
    assert [batch.load().equals(table) for batch, table in zip(batches, wanted, strict=True)] == [True] * 4


def test_very_many_batches_in_a_row_come_back(workspace: Workspace, shop: sqlite3.Connection) -> None:
    batches = []
    for at in range(25):
        add(shop, at)
        batches.append(save(workspace))
    lose(workspace, *batches)
    assert batches[-1].load()["at"].to_pylist() == [24]
    assert batches[0].load()["at"].to_pylist() == [0]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE orders SET name = 'other' WHERE at = 2",
        "DELETE FROM orders WHERE at = 2",
        "INSERT INTO orders VALUES (2, 'late')",
        "DELETE FROM orders",
        "DROP TABLE orders",
    ],
)
def test_other_rows_are_not_taken_for_them(workspace: Workspace, shop: sqlite3.Connection, change: str) -> None:
    add(shop, 1, 2, 3)
    batch = save(workspace)
    lose(workspace, batch)
    shop.execute(change)
    with pytest.raises(PayloadMissing, match='while the query gives the very same rows on the database "shop"'):
        batch.load()


def test_a_batch_that_is_gone_does_not_stop_the_next_ones(workspace: Workspace, shop: sqlite3.Connection) -> None:
    add(shop, 1, 2, 3)
    first = save(workspace)
    add(shop, 4, 5)
    save(workspace)
    shop.execute("UPDATE orders SET name = 'other' WHERE at = 2")
    lose(workspace, first)
    add(shop, 6)
    with pytest.warns(DataLeftOut, match='below the watermark "int:5" came late cannot be told: the bytes'):
        batch = save(workspace)
    assert batch.load()["at"].to_pylist() == [6]
    assert batch.facts["late_rows"]["rows"] is None


def test_what_was_swept_is_not_brought_back_only_to_count_late_rows(
    workspace: Workspace, shop: sqlite3.Connection
) -> None:
    for start in (0, 10, 20):
        add(shop, *range(start, start + 10))
        last = save(workspace)
    workspace.gc(keep=[last.id], retention={"batch": {"last": 0}}, grace=timedelta(0), yes=True)
    add(shop, 30)
    with pytest.warns(DataLeftOut, match='below the watermark "int:29" came late cannot be told: .* swept by gc'):
        assert save(workspace).load()["at"].to_pylist() == [30]
    first = workspace.get("batch:orders@1.0.0/1")
    assert not workspace.payloads.exists(first.files[0].digest[7:])
    assert first.load()["at"].to_pylist() == list(range(10)), "and whoever reads it gets it back"
    with pytest.warns(DataLeftOut, match="orders@1.0.0/2 were swept by gc"):
        save(workspace)
