"""What is saved keeps its id: literal ids of one artefact of every kind, and a catalog that an older Jeyn wrote.

`golden/ids.json` and `golden/catalog.sql` are never made again: a body may only gain keys that are absent by default.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

import jeyn
from jeyn import DatasetBatch, DatasetFormula, Dtypes, Workspace
from jeyn.sdk.artefact import id_of_document
from tests.stores.golden.world import VALUES, Everything, Points, build, fixed, formulas, prepare

GOLDEN = Path(__file__).parent / "golden"
IDS: dict[str, str] = json.loads((GOLDEN / "ids.json").read_text(encoding="utf-8"))
OLD: dict[str, str] = json.loads((GOLDEN / "listing.json").read_text(encoding="utf-8"))


@pytest.fixture
def folder(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("JEYN_DATABASE_GOLDEN", f"sqlite:///{tmp_path}/golden.db")
    prepare(tmp_path)
    return tmp_path


@pytest.fixture
def old(folder: Path) -> Iterator[Workspace]:
    """The stored catalog; payloads that were files are in its table of small ones."""
    home = folder / ".jeyn"
    home.mkdir()
    with closing(sqlite3.connect(home / "catalog.db")) as connection:
        connection.executescript((GOLDEN / "catalog.sql").read_text(encoding="utf-8"))
    with jeyn.open(home=home, data=folder / "data") as opened:
        yield opened


def test_what_is_saved_today_has_the_ids_that_it_always_had(folder: Path) -> None:
    with jeyn.open(home=folder / ".jeyn", data=folder / "data") as workspace:
        found = {name: fixed(artefact.record()).id for name, artefact in build(workspace).items()}
    assert found == IDS


def test_the_sample_has_every_dtype_that_older_catalogs_have() -> None:
    used = {feature.dtype for feature in Everything.features.values()}
    assert {Dtypes.FLOAT16, Dtypes.UINT64, Dtypes.BYTES, Dtypes.TIMESTAMP, Dtypes.CATEGORICAL} <= used
    assert len(used) == 16


def test_an_old_catalog_opens_and_lists_what_it_holds(old: Workspace) -> None:
    found = {hit.id for hit in old.search("", limit=1000)}
    assert set(OLD.values()) <= found
    assert old.get("guesser@blessed").id == OLD["checkpoint of numpy"]
    assert old.tags(OLD["batch of files"]) == {"gold"}
    assert old.dataset_store.get_batch("points@^1/latest").id == OLD["batch of files"]


def test_an_old_catalog_gives_every_artefact_under_its_id(old: Workspace) -> None:
    for name, id in OLD.items():
        artefact = old.get(id)
        assert artefact.record().id == id, name
        assert artefact.id == id
        row = old.reader.row(id)
        assert row is not None
        assert id_of_document(row.document.encode()) == id


def test_an_old_catalog_loads_what_it_holds(old: Workspace) -> None:
    store = old.dataset_store
    assert store.get_batch(OLD["batch of files"]).load().to_pydict() == {"at": [1, 2, 3], "x": [0.5, 1.5, None]}
    houses = store.get_batch(OLD["batch of files, not alphabetical"])
    expected = {"price": [10.5, 20.5], "rooms": [2, 3], "size": [50.0, 75.0]}
    assert houses.load().to_pydict() == expected
    assert [batch.num_rows for batch in houses.iter_batches(1)] == [1, 1]
    assert store.get_batch(OLD["batch of sql"]).load().to_pydict() == {"at": [1, 2], "x": [0.5, None]}
    assert store.get_batch(OLD["batch of a composite"]).load().num_rows == 3
    assert store.get_batch(OLD["batch of an object"]).load().tolist() == [0, 1, 2]
    assert old.get(OLD["checkpoint of sklearn"]).load().predict([[2.0]]) == pytest.approx([4.0])
    assert old.get(OLD["checkpoint, not alphabetical"]).load().tolist() == [3.0]


def test_an_old_catalog_loads_its_values(old: Workspace) -> None:
    for name, value in VALUES.items():
        found = old.get(OLD[f"value {name}"]).load()
        if name == "numpy":
            assert np.array_equal(found, value)
            assert found.dtype == value.dtype
        else:
            assert str(found) == str(value), name


def test_declaring_again_what_an_old_catalog_has_makes_nothing_new(old: Workspace, folder: Path) -> None:
    store = old.dataset_store
    for name, formula in formulas().items():
        saved = store.save_formula(formula)
        assert (saved.id, saved.is_new) == (OLD[name], False)
    again = store.save_batch(formulas()["streaming"].get_new_batch())
    assert (again.id, again.is_new, again.epoch) == (OLD["batch of files"], False, 1)


def test_an_old_catalog_goes_on(old: Workspace, folder: Path) -> None:
    (folder / "data" / "more.csv").write_text("at,x\n4,2.5\n")
    batch = old.dataset_store.save_batch(formulas()["streaming"].get_new_batch())
    assert isinstance(batch, DatasetBatch)
    assert batch.epoch == 2
    formula = DatasetFormula("points", version="1.1.0", output_catalog=Points)
    assert old.dataset_store.save_formula(formula).is_new


def test_an_old_catalog_travels_as_a_bundle(old: Workspace, folder: Path) -> None:
    old.export_bundle("guesser@blessed", folder / "old.jeyn")
    with jeyn.open(home=folder / "other") as other:
        other.import_bundle(folder / "old.jeyn")
        assert other.get("guesser@1.0.0").id == OLD["checkpoint of numpy"]
        assert other.get("guesser@1.0.0").dataset.load().num_rows == 3
