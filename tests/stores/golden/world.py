"""One artefact of every kind, made the same way each time, so that its id can be compared with what it always was."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from jeyn import DataCatalog, DatasetFormula, Dtypes, Feature, MlUseCase, Workspace
from jeyn.checks import between, matches, not_null, one_of, unique
from jeyn.formulas import CompositeFormula, ModelFormula, SqlFormula, StreamingFormula
from jeyn.sdk.artefact import Artefact, PayloadRef, Record
from jeyn.sdk.canonical import sha256_of
from jeyn.sdk.value import Value
from jeyn.stores.catalog.changes import NewArtefact
from jeyn.stores.code import save_code
from jeyn.stores.serializers.values import encode_value

CSV = "at,x\n1,0.5\n2,1.5\n3,\n"
LINES = '{"price": 10.5, "rooms": 2, "size": 50.0}\n{"price": 20.5, "rooms": 3, "size": 75.0}\n'
KEY = "0" * 64


class Points(DataCatalog):
    """In alphabetical order."""

    at = Feature(Dtypes.INT64, checks=(unique(),))
    x = Feature(Dtypes.FLOAT64, nullable=True)


class Houses(DataCatalog):
    """In another order."""

    size = Feature(Dtypes.FLOAT64, checks=(between(0, None),))
    rooms = Feature(Dtypes.INT64)
    price = Feature(Dtypes.FLOAT64, description="in thousands")


class Guess(DataCatalog):
    guess = Feature(Dtypes.FLOAT64)


DTYPES = (
    "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64 string bytes timestamp categorical"
)
Everything = DataCatalog.of(
    "Everything",
    {f"{name}-plain": Feature(Dtypes(name)) for name in DTYPES.split()}
    | {
        "pixels": Feature(Dtypes.FLOAT32, shape=(-1, 8, 8)),
        "one": Feature(Dtypes.INT64, shape=(-1, 1)),
        "ragged": Feature(Dtypes.STRING, shape=(-1, -1), nullable=True),
        "late": Feature(Dtypes.TIMESTAMP, optional=True, checks=(between(datetime(2024, 1, 1, tzinfo=UTC), None),)),
        "kind": Feature(Dtypes.CATEGORICAL, nullable=True, checks=(one_of("a", "b"), not_null())),
        "code": Feature(Dtypes.STRING, optional=True, nullable=True, checks=matches("[a-z]+"), description="A code"),
    },
)  # fmt: skip


class _Package:
    digest = sha256_of(b"package")
    commit = "abc"
    dirty = True
    payload = b"not really a package"


def fixed(record: Record) -> Record:
    """The record with payloads that no library's version can change: Parquet names the one that wrote it."""
    return replace(record, payloads=tuple(PayloadRef(p.name, sha256_of(p.name.encode()), 1) for p in record.payloads))


def prepare(folder: Path) -> None:
    """The data that the world is made from; `JEYN_DATABASE_GOLDEN` has to name the database."""
    data = folder / "data"
    data.mkdir()
    (data / "points.csv").write_text(CSV)
    (data / "houses.jsonl").write_text(LINES)
    with closing(sqlite3.connect(folder / "golden.db")) as connection, connection:
        connection.execute("CREATE TABLE points (at INTEGER, x REAL)")
        connection.execute("INSERT INTO points VALUES (1, 0.5), (2, NULL)")


def formulas() -> dict[str, DatasetFormula]:
    """Each kind of formula that is complete without a catalog."""
    return {
        "generic": DatasetFormula("generic", version="1.0.0", output_catalog=Points),
        "generic with parameters": DatasetFormula(
            "parameters", version="0.1.0", output_catalog=Houses, parameters={"rate": 0.5, "names": ["a"], "big": 2**60}
        ),
        "every dtype": DatasetFormula("everything", version="1.2.3", output_catalog=Everything),
        "streaming": StreamingFormula("points", version="1.0.0", output_catalog=Points, source="*.csv"),
        "streaming, not alphabetical": StreamingFormula(
            "houses", version="1.0.0", output_catalog=Houses, source="*.jsonl", description="Houses that were sold"
        ),
        "streaming after": StreamingFormula(
            "later", version="2.0.0", output_catalog=Points, source="more/*.csv", after="points@1.0.0/1"
        ),
        "sql": SqlFormula(
            "rows", version="1.0.0", output_catalog=Points, query="SELECT * FROM points;", watermark="at",
            database="golden", late=10,
        ),
    }  # fmt: skip


def build(workspace: Workspace) -> dict[str, Artefact]:
    """Save one of everything; the names say what each is."""
    store, models = workspace.dataset_store, workspace.model_store
    made: dict[str, Artefact] = {name: store.save_formula(formula) for name, formula in formulas().items()}
    points, houses, generic = made["streaming"], made["streaming, not alphabetical"], made["generic"]
    assert isinstance(points, DatasetFormula)
    assert isinstance(houses, DatasetFormula)
    assert isinstance(generic, DatasetFormula)
    made["batch of files"] = batch = store.save_batch(points.get_new_batch())
    made["batch of files, not alphabetical"] = sold = store.save_batch(houses.get_new_batch())
    made["batch of sql"] = store.save_batch(formulas()["sql"].get_new_batch())
    made["batch of a table"] = store.save_batch(generic.new_table({"at": [1], "x": [0.5]}, sources=[batch]))
    made["batch of an object"] = store.save_batch(generic.new_object(np.arange(3.0), kwargs={"made": "by hand"}))
    made["composite"] = union = store.save_formula(CompositeFormula("both", version="1.0.0", formulas=["points@^1"]))
    made["batch of a composite"] = store.save_batch(union.get_new_batch())
    made |= _models(workspace, batch)
    made["use case, not alphabetical"] = models.save_use_case(
        MlUseCase("prices", input_catalog=Houses.only("size", "rooms"), output_catalog=Houses.only("price"))
    )
    applied = {
        "model": ModelFormula(
            "guesses", version="1.0.0", source="points@^1", checkpoint="guesser@^1", apply="predict", keep=["at"]
        ),
        "model with a catalog": ModelFormula(
            "guessed", version="1.0.0", source=points, checkpoint="guesser@^1", apply="transform", output_catalog=Guess
        ),
    }
    made |= {name: store.save_formula(formula) for name, formula in applied.items()}
    for name, value in VALUES.items():
        made[f"value {name}"] = _value(workspace, name, value)
    made["code"] = save_code(workspace, _Package())
    made["evaluation"] = models.save_evaluation("guesser@1.0.0", batch, {"mae": 0.25, "share": 1.0})
    made["evaluation without a batch"] = models.save_evaluation("guesser@1.0.0", None, {"mae": 2**60})
    made["batch of a table from files"] = store.save_batch(generic.new_table({"at": [2], "x": [None]}, sources=[sold]))
    return made


def _models(workspace: Workspace, batch: Any) -> dict[str, Artefact]:
    use_case = MlUseCase("guesser", input_catalog=Points, output_catalog=Guess, description="Guesses")
    store = workspace.model_store
    first = store.save_checkpoint(use_case.update_major(dataset=batch, model=np.array([1.0, 2.0]), metrics={"mae": 1}))
    second = store.save_checkpoint(use_case.update_minor(dataset=batch, model={"weights": [1, 2]}, parents=[first]))
    made: dict[str, Artefact] = {"use case": store.save_use_case(use_case), "checkpoint of numpy": first}
    from sklearn.linear_model import LinearRegression

    line = LinearRegression().fit([[0.0], [1.0]], [0.0, 2.0])
    made["checkpoint of sklearn"] = store.save_checkpoint(use_case.update_patch(dataset=batch, model=line))
    made["checkpoint of json with a parent"] = second
    return made | {"model serializer": workspace.bound(first.record().parents[-1].parent)}


VALUES: dict[str, Any] = {
    "none": None,
    "bool": True,
    "int": 2**70,
    "float": float("nan"),
    "text": "ä",
    "bytes": b"\x00\x01",
    "list": [1, 2.5, {"a": None}],
    "tuple": (1, "two"),
    "numpy": np.arange(6, dtype="<i4").reshape(2, 3),
    "arrow": pa.table({"b": [1, 2], "a": ["x", None]}),
}


def _value(workspace: Workspace, name: str, value: Any) -> Artefact:
    encoded = encode_value(value, workspace.serializers)
    payload = workspace.keep(encoded.data, "value")
    made = Value(output=name, cache_key=KEY, format=encoded.format, payload=payload)
    id = workspace.commit([NewArtefact(made.record())])[0].id
    found: Artefact = workspace.bound(id)
    return found
