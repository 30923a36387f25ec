"""SQL formulas from the database to the batch: memory, and rows that came late."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

import jeyn
from jeyn import DataCatalog, Dtypes, Feature
from jeyn.errors import DataInvalid, DataLeftOut, NoData
from jeyn.formulas import SqlFormula
from jeyn.stores.batches.new_batch import what_is_new
from jeyn.stores.workspace import Workspace
from tests.workflows.projects import Project


class Orders(DataCatalog):
    at = Feature(Dtypes.INT64)
    name = Feature(Dtypes.STRING)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    path = tmp_path / "shop.db"
    run(path, "CREATE TABLE orders (at INTEGER, name TEXT)")
    return path


def run(path: Path, statement: str, *rows: tuple[object, ...]) -> None:
    with sqlite3.connect(path) as connection:
        connection.executemany(statement, rows) if rows else connection.execute(statement)
    connection.close()


def arrive(path: Path, *rows: tuple[object, ...]) -> None:
    run(path, "INSERT INTO orders VALUES (?, ?)", *rows)


@pytest.fixture
def workspace(tmp_path: Path, shop: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("JEYN_DATABASE_SHOP", f"sqlite:///{shop}")
    return jeyn.open(home=tmp_path / "home")


def orders(version: str = "1.0.0", **options: object) -> SqlFormula:
    query = "SELECT at, name FROM orders"
    return SqlFormula(
        "orders", version=version, output_catalog=Orders, query=query, watermark="at", database="shop", **options
    )  # type: ignore[arg-type]


def test_rows_that_came_late_are_in_the_facts_and_in_a_warning(workspace: Workspace, shop: Path) -> None:
    arrive(shop, (1, "a"), (5, "b"))
    store = workspace.dataset_store
    first = store.save_batch(orders().get_new_batch())
    assert "late_rows" not in first.facts
    arrive(shop, (3, "late"), (6, "c"))
    with pytest.warns(DataLeftOut, match=r'1 row below the watermark "int:5" is in no batch, the first at "3"') as said:
        second = store.save_batch(orders().get_new_batch())
    assert said[0].filename == __file__, "it points at who asked for the batch"
    assert second.facts["late_rows"] == {"rows": 1, "below": "int:5", "first": "3"}
    assert workspace.get(second.ref).facts["late_rows"]["rows"] == 1
    with pytest.warns(DataLeftOut, match=r'below the watermark "int:6"'):
        assert store.save_batch(orders().get_new_batch()).is_new is False
    news = what_is_new(workspace, second.formula)
    assert news.new == ""
    assert "1 row below the watermark" in news.left_out


def test_a_new_version_with_late_and_after_takes_them(workspace: Workspace, shop: Path) -> None:
    store = workspace.dataset_store
    arrive(shop, (1, "a"), (5, "b"))
    first = store.save_batch(orders().get_new_batch())
    arrive(shop, (3, "late"))
    wider = orders("1.1.0", late=4, after=first)
    assert store.save_batch(wider.get_new_batch()).load().to_pylist() == [{"at": 3, "name": "late"}]


def test_half_of_the_rows_are_no_batch(workspace: Workspace, shop: Path) -> None:
    """A row that cannot be read comes after many that can."""
    arrive(shop, *((n, "a") for n in range(20_000)), (20_000, b"x"))
    with pytest.raises(DataInvalid, match='column "name" holds b'):
        workspace.dataset_store.save_batch(orders().get_new_batch())
    assert list(workspace.search("type:dataset_batch")) == []
    run(shop, "UPDATE orders SET name = 'b' WHERE at = 20000")
    assert workspace.dataset_store.save_batch(orders().get_new_batch()).rows == 20_001


def test_an_empty_table_is_no_data(workspace: Workspace) -> None:
    with pytest.raises(NoData, match="never had any data"):
        workspace.dataset_store.save_batch(orders().get_new_batch())


PIPELINE = """
from jeyn import DataCatalog, DatasetBatch, Dtypes, Feature
from jeyn.formulas import SqlFormula


class Orders(DataCatalog):
    at = Feature(Dtypes.INT64)
    name = Feature(Dtypes.STRING)


orders = SqlFormula(
    "orders", version="1.0.0", output_catalog=Orders, query="SELECT * FROM orders", watermark="at", database="shop"
)


@operation
def ingest() -> DatasetBatch:
    return dataset_store.save_batch(orders.get_new_batch())


@pipeline
def daily():
    return ingest()
"""


def test_plan_and_run_say_how_many_rows_came_late(tmp_path: Path, shop: Path) -> None:
    project = Project(tmp_path / "project").write(PIPELINE)

    def jeyn(verb: str) -> str:
        process = project.start(verb, "pipeline.py", JEYN_DATABASE_SHOP=f"sqlite:///{shop}")
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        return f"{out}{err}"

    arrive(shop, (1, "a"), (5, "b"))
    jeyn("run")
    arrive(shop, (3, "late"))
    said = r'1 row below the watermark "int:5" is in no batch'
    assert re.search(rf"be cached +{said}", jeyn("plan"))
    cached = jeyn("run")
    assert re.search(rf"ingest \| {said}", cached)
    assert "ingest: cached" in cached
    arrive(shop, (6, "new"))
    assert re.search(rf"1 new row up to int:6; {said}", jeyn("plan"))
    assert re.search(rf"ingest \| .*DataLeftOut: {said}", jeyn("run"))


MEMORY = """
import re, sys
from pathlib import Path
import jeyn
from jeyn import DataCatalog, Dtypes, Feature
from jeyn.formulas import SqlFormula

class Rows(DataCatalog):
    at = Feature(Dtypes.INT64)
    name = Feature(Dtypes.STRING)
    x = Feature(Dtypes.FLOAT64)

def status(name):
    return int(re.search(name + r":\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024

workspace = jeyn.open(home=sys.argv[1])
formula = SqlFormula("rows", version="1.0.0", output_catalog=Rows, query=sys.argv[2], watermark="at", database="big")
workspace.dataset_store.save_formula(formula)
Path("/proc/self/clear_refs").write_text("5")
before = status("VmRSS")
batch = workspace.dataset_store.save_batch(formula.get_new_batch())
print(status("VmHWM") - before, batch.rows)
"""


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_memory_of_an_ingest_does_not_grow_with_the_rows(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path}/big.db" if kind == "sqlite" else str(request.getfixturevalue("postgres_url"))
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE big (at BIGINT, name TEXT, x DOUBLE PRECISION)"))
        numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400000)"
        connection.execute(text(f"INSERT INTO big {numbers} SELECT i, 'name number ' || (i * 79), i / 3.0 FROM n"))
    engine.dispose()
    monkeypatch.setenv("JEYN_DATABASE_BIG", url)
    peaks = {}
    for rows in (200_000, 400_000):
        query = f"SELECT at, name, x FROM big WHERE at <= {rows}"
        done = subprocess.run(
            [sys.executable, "-c", MEMORY, str(tmp_path / f"home-{rows}"), query],
            capture_output=True,
            text=True,
            check=True,
        )
        peak, read = done.stdout.split()
        assert int(read) == rows
        peaks[rows] = float(peak)
    # Rows of about 40 bytes: all of the second half in memory would be 8 MB as Arrow, and 40 as Python's own objects.
    assert peaks[400_000] - peaks[200_000] < 6, peaks
