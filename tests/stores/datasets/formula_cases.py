"""One case for each kind of formula, behind the same four verbs, so that one suite of tests holds for all.

Each case is made from a folder alone, so that another process can make the same one.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import jeyn
from jeyn import DataCatalog, DatasetFormula, Dtypes, Feature, MlUseCase
from jeyn.formulas import CompositeFormula, ModelFormula, SqlFormula, StreamingFormula
from jeyn.stores.workspace import Workspace


class Points(DataCatalog):
    at = Feature(Dtypes.INT64)
    x = Feature(Dtypes.FLOAT64)


class OnlyAt(DataCatalog):
    at = Feature(Dtypes.INT64)


class Guess(DataCatalog):
    guess = Feature(Dtypes.FLOAT64)


class Case:
    """A formula and the world that its data come from, below `folder`."""

    name = ""

    def __init__(self, folder: Path, catalog: str | None = None) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.data.mkdir(parents=True, exist_ok=True)
        os.environ["JEYN_DATABASE_EVENTS"] = f"sqlite:///{folder}/events.db"
        places = {"catalog": catalog} if catalog else {}
        self.workspace: Workspace = jeyn.open(home=folder / "home", data=folder / "data", **places)
        self.prepare()

    def prepare(self) -> None:
        """Whatever must be there before the first batch."""

    def formula(self) -> DatasetFormula:
        raise NotImplementedError

    def add(self, start: int, name: str = "") -> None:
        """Three new rows: start, start + 1, start + 2."""
        table = pa.table({"at": [start, start + 1, start + 2], "x": [float(start), 0.5, 1.5]})
        pq.write_table(table, self.data / f"{name or f'{start:05d}'}.parquet")

    def add_late(self) -> None:
        """Rows 1, 2, 3, which are older than what a batch already has."""
        self.add(1, name="00000-late")
        path = self.data / "00000-late.parquet"
        os.utime(path, (1, 1))

    def break_schema(self) -> None:
        """Data without the feature `x`."""
        pq.write_table(pa.table({"at": [900]}), self.data / "broken.parquet")

    def mend(self) -> None:
        (self.data / "broken.parquet").unlink()

    def save(self) -> Any:
        return self.workspace.dataset_store.save_batch(self.formula().get_new_batch())


class Streaming(Case):
    name = "streaming"

    def formula(self) -> DatasetFormula:
        return StreamingFormula("points", version="1.0.0", output_catalog=Points, source="*.parquet")


class Sql(Case):
    name = "sql"

    def prepare(self) -> None:
        self._run("CREATE TABLE IF NOT EXISTS points (at INTEGER, x REAL)")

    def formula(self) -> DatasetFormula:
        return SqlFormula(
            "points",
            version="1.0.0",
            output_catalog=Points,
            query="SELECT * FROM points",
            watermark="at",
            database="events",
            late=1000,
        )

    def add(self, start: int, name: str = "") -> None:
        rows = ", ".join(f"({at}, {x})" for at, x in ((start, float(start)), (start + 1, 0.5), (start + 2, 1.5)))
        self._run(f"INSERT INTO points VALUES {rows}")

    def add_late(self) -> None:
        self.add(1)

    def break_schema(self) -> None:
        self._run("ALTER TABLE points RENAME COLUMN x TO y")

    def mend(self) -> None:
        self._run("ALTER TABLE points RENAME COLUMN y TO x")

    def _run(self, statement: str) -> None:
        with closing(sqlite3.connect(self.folder / "events.db")) as connection, connection:
            connection.execute(statement)


class _OverPoints(Case):
    """A formula over the streaming one, which it asks for at >=1: a 2.0.0 without `x` is what breaks it."""

    def source(self, version: str = "1.0.0", catalog: type[DataCatalog] = Points) -> DatasetFormula:
        return StreamingFormula("points", version=version, output_catalog=catalog, source="*.parquet")

    def save(self) -> Any:
        store = self.workspace.dataset_store
        store.save_batch(self.source().get_new_batch())
        return store.save_batch(self.formula().get_new_batch())

    def break_schema(self) -> None:
        store = self.workspace.dataset_store
        pq.write_table(pa.table({"at": [900], "x": [1.0]}), self.data / "more.parquet")
        store.save_batch(self.source("2.0.0", OnlyAt).get_new_batch())

    def mend(self) -> None:
        store = self.workspace.dataset_store
        store.save_batch(self.source("3.0.0", Points).get_new_batch())


class Composite(_OverPoints):
    name = "composite"

    def formula(self) -> DatasetFormula:
        store = self.workspace.dataset_store
        store.save_formula(self.source())
        return CompositeFormula("all", version="1.0.0", formulas=["points@>=1"], output_catalog=Points)


class Model(_OverPoints):
    name = "model"

    def prepare(self) -> None:
        store, use_case = self.workspace.model_store, MlUseCase("guesser", input_catalog=Points, output_catalog=Guess)
        if store.get_checkpoint("guesser@latest", default=None) is None:
            seed = DatasetFormula("seed", version="1.0.0", output_catalog=Points).new_table({"at": [0], "x": [0.0]})
            store.save_checkpoint(use_case.update_major(dataset=seed, model=np.array([1.0, 2.0])))

    def formula(self) -> DatasetFormula:
        self.workspace.dataset_store.save_formula(self.source())
        return ModelFormula(
            "guesses", version="1.0.0", source="points@>=1", checkpoint="guesser@^1", apply=weigh, keep=["at"]
        )


def weigh(model: Any, table: pa.Table) -> dict[str, Any]:
    return {"guess": table.column("at").to_numpy() * model[0] + table.column("x").to_numpy() * model[1]}


CASES: dict[str, type[Case]] = {case.name: case for case in (Streaming, Sql, Composite, Model)}


def in_new_process(case: Case, *, die_before_commit: bool = False) -> subprocess.Popen[str]:
    """Another process that saves the next batch and prints its id and epoch; or dies once its payloads are kept."""
    settings = case.workspace.settings
    what = {"kind": case.name, "folder": str(case.folder), "catalog": settings.catalog, "die": die_before_commit}
    program = "from tests.stores.datasets.formula_cases import child; child()"
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", program, json.dumps(what)], stdout=subprocess.PIPE, text=True
    )


def child() -> None:
    what = json.loads(sys.argv[1])
    case = CASES[what["kind"]](Path(what["folder"]), what["catalog"])
    if what["die"]:
        _die_at_the_batch(case)
    batch = case.save()
    print(json.dumps({"id": batch.id, "epoch": batch.epoch}))


def _die_at_the_batch(case: Case) -> None:
    from jeyn.stores import workspace
    from jeyn.stores.catalog.changes import NewArtefact

    name, commit = case.formula().name, workspace.commit

    def dying(database: Any, changes: Any, actor: str) -> Any:
        for change in changes:
            if isinstance(change, NewArtefact) and change.record.type == "dataset_batch" and change.record.name == name:
                os.kill(os.getpid(), 9)
        return commit(database, changes, actor)

    workspace.commit = dying  # type: ignore[assignment]
