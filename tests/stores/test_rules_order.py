"""SEMANTICS 33: a feature's order is the order in which it was declared, wherever a catalog goes."""

from __future__ import annotations

import json
import logging
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

import jeyn
from jeyn import DataCatalog, DatasetBatch, DatasetFormula, Dtypes, Feature, MlUseCase, Workspace
from jeyn.errors import DataInvalid, Incompatible, Invalid
from jeyn.formulas import CompositeFormula, ModelFormula, StreamingFormula
from jeyn.stores.catalog.changes import NewArtefact, VersionClaim
from jeyn.stores.observation import contract_digest


class Houses(DataCatalog):
    size = Feature(Dtypes.FLOAT64)
    rooms = Feature(Dtypes.INT64)
    price = Feature(Dtypes.FLOAT64)


class Guess(DataCatalog):
    guess = Feature(Dtypes.FLOAT64)


NAMES = ["size", "rooms", "price"]
INPUTS = Houses.only("size", "rooms")
ROWS = {"size": [50.0, 80.0, 70.0], "rooms": [2, 3, 1], "price": [2500.0, 4000.0, 3500.0]}
FORMULA = DatasetFormula("houses", version="1.0.0", output_catalog=Houses)
SAME = DatasetFormula("houses", version="1.0.0", output_catalog=Houses.only("rooms", "price", "size"))


def fresh(workspace: Workspace) -> Workspace:
    """The same catalog, with nothing of it in memory."""
    return Workspace(workspace.settings)


def test_rule_33_json_tells_the_order_where_it_is_not_alphabetical() -> None:
    assert Houses.to_json()["order"] == NAMES
    assert set(Houses.only("price", "rooms", "size").to_json()) == {"features"}
    sorted_by_a_tool = json.dumps(Houses.to_json(), sort_keys=True)
    assert list(DataCatalog.from_json(sorted_by_a_tool).features) == NAMES
    assert list(DataCatalog.from_json({"features": Houses.to_json()["features"]}).features) == NAMES
    assert list(pickle.loads(pickle.dumps(Houses.without("price"))).features) == ["size", "rooms"]


@pytest.mark.parametrize("order", [["size"], ["size", "rooms", "rooms"], [*NAMES, "more"], "size", None])
def test_rule_33_an_order_names_each_feature_once(order: Any) -> None:
    with pytest.raises(Invalid, match="order"):
        DataCatalog.from_json({"features": Houses.to_json()["features"], "order": order})


def test_rule_33_names_that_sort_otherwise_in_utf_16() -> None:
    """Canonical JSON puts U+10000 before U+FFFD, which Python does not."""
    plain = Feature(Dtypes.INT64)
    catalog = DataCatalog.of("Odd", {"\U00010000": plain, "�": plain})
    assert "order" not in catalog.to_json()
    assert DataCatalog.of("Odd", {"�": plain, "\U00010000": plain}).to_json()["order"] == ["�", "\U00010000"]


def test_rule_33_the_order_does_not_matter_for_compatibility() -> None:
    other = Houses.only("rooms", "price", "size")
    assert other == Houses
    assert hash(other) == hash(Houses)
    assert not Houses.diff(other)
    assert Houses.diff(other).bump() == "none"
    assert Houses.satisfies(other)


def test_rule_33_a_saved_formula_and_its_batches_keep_the_declared_order(workspace: Workspace) -> None:
    batch = workspace.dataset_store.save_batch(FORMULA.new_table(ROWS))
    again = fresh(workspace)
    with again:
        assert list(again.dataset_store.get_formula("houses@1.0.0").output_catalog.features) == NAMES
        found = again.dataset_store.get_batch(batch.ref)
        _in_order(found)
    _in_order(batch)


def _in_order(batch: DatasetBatch) -> None:
    assert batch.load().column_names == NAMES
    assert batch.to_pandas().columns.tolist() == NAMES
    assert batch.to_polars().columns == NAMES
    assert list(batch.to_numpy()) == NAMES
    assert list(batch.to_torch()) == NAMES
    assert list(batch.statistics) == NAMES
    assert [piece.schema.names for piece in batch.iter_batches(2)] == [NAMES, NAMES]
    assert batch.output_catalog.to_arrow().names == NAMES


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet", "tsv", "arrow"])
def test_rule_33_files_are_read_in_the_declared_order(workspace: Workspace, suffix: str) -> None:
    data = Path(str(workspace.settings.data))
    data.mkdir(exist_ok=True)
    frame = pd.DataFrame(ROWS)[["rooms", "size", "price"]]
    path = data / f"houses.{suffix}"
    match suffix:
        case "csv" | "tsv":
            frame.to_csv(path, index=False, sep="," if suffix == "csv" else "\t")
        case "jsonl":
            frame.to_json(path, orient="records", lines=True)
        case "parquet":
            frame.to_parquet(path)
        case "arrow":
            table = pa.Table.from_pandas(frame, preserve_index=False)
            with pa.ipc.new_file(path, table.schema) as writer:
                writer.write_table(table)
    formula = StreamingFormula("files", version="1.0.0", output_catalog=Houses, source=f"*.{suffix}")
    batch = workspace.dataset_store.save_batch(formula.get_new_batch())
    assert batch.load().to_pydict() == ROWS
    assert [piece.schema.names for piece in batch.iter_batches()] == [NAMES]


def test_rule_33_a_union_has_the_order_of_its_first_part(workspace: Workspace) -> None:
    store = workspace.dataset_store
    store.save_batch(FORMULA.new_table(ROWS))
    both = store.save_formula(CompositeFormula("both", version="1.0.0", formulas=["houses@^1"]))
    batch = store.save_batch(both.get_new_batch())
    assert list(fresh(workspace).dataset_store.get_formula("both@1.0.0").output_catalog.features) == NAMES
    assert batch.load().column_names == NAMES


def test_rule_33_a_version_keeps_the_order_that_it_was_first_declared_with(
    workspace: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    store = workspace.dataset_store
    first = store.save_batch(FORMULA.new_table(ROWS))
    assert not caplog.records
    with caplog.at_level(logging.WARNING):
        saved = store.save_formula(SAME)
    assert saved.id == first.formula.id
    assert list(saved.output_catalog.features) == NAMES
    assert '"formula:houses@1.0.0" keeps the order' in caplog.text
    assert "size, rooms, price" in caplog.text
    assert store.save_batch(SAME.new_table(ROWS)).id == first.id
    assert store.get_batch(first.id).load().column_names == NAMES


def test_rule_33_another_order_takes_another_version_of_any_size(workspace: Workspace) -> None:
    store = workspace.dataset_store
    store.save_formula(FORMULA)
    patch = DatasetFormula("houses", version="1.0.1", output_catalog=Houses.only("rooms", "price", "size"))
    assert list(store.save_formula(patch).output_catalog.features) == ["rooms", "price", "size"]
    assert list(store.get_formula("houses@1.0.0").output_catalog.features) == NAMES
    changes = workspace.diff("houses@1.0.0", "houses@1.0.1").changes
    assert changes["order of output_catalog"] == (NAMES, ["rooms", "price", "size"])


def test_rule_33_in_an_attempt_the_order_is_kept_too(workspace: Workspace) -> None:
    with workspace.attempt() as attempt:
        batch = attempt.dataset_store.save_batch(FORMULA.new_table(ROWS))
        assert attempt.dataset_store.get_batch(batch.id).load().column_names == NAMES
        assert attempt.effects == ()
        attempt.finish()
    assert workspace.dataset_store.get_batch(batch.id).load().column_names == NAMES


def _older(workspace: Workspace) -> str:
    """A formula as an older Jeyn kept it: its order is in no fact."""
    claim = VersionClaim("formula:houses", "exact", exact=FORMULA.version)
    return workspace.commit([NewArtefact(FORMULA.record(), claim=claim)])[0].id


def test_rule_33_what_an_older_jeyn_saved_is_alphabetical_until_it_is_declared_again(
    workspace: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    id, store = _older(workspace), workspace.dataset_store
    assert list(store.get_formula("houses@1.0.0").output_catalog.features) == sorted(NAMES)
    saved = store.save_formula(FORMULA)
    assert (saved.id, saved.is_new) == (id, False)
    assert list(store.get_formula("houses@1.0.0").output_catalog.features) == NAMES
    store.save_formula(SAME)
    assert list(store.get_formula("houses@1.0.0").output_catalog.features) == NAMES
    assert "keeps the order" in caplog.text
    assert len([mark for mark in workspace.marks(id) if mark.kind == "order"]) == 1


def test_rule_33_an_older_formula_is_declared_again_in_an_attempt(workspace: Workspace) -> None:
    id = _older(workspace)
    with workspace.attempt() as attempt:
        attempt.dataset_store.save_formula(FORMULA)
        assert list(attempt.dataset_store.get_formula("houses@1.0.0").output_catalog.features) == NAMES
        assert attempt.effects == ()
        attempt.finish()
    assert list(fresh(workspace).get(id).output_catalog.features) == NAMES


@pytest.mark.parametrize("theirs", ["new", "declared again"])
@pytest.mark.parametrize("ours", ["nothing", "older"])
def test_rule_33_a_bundle_carries_the_order(workspace: Workspace, tmp_path: Path, theirs: str, ours: str) -> None:
    if theirs == "declared again":
        _older(workspace)
    batch = workspace.dataset_store.save_batch(FORMULA.new_table(ROWS))
    workspace.export_bundle(batch, tmp_path / "bundle")
    with jeyn.open(home=tmp_path / "other") as other:
        if ours == "older":
            _older(other)
        other.import_bundle(tmp_path / "bundle")
        assert other.get(batch.id).load().column_names == NAMES
        other.export_bundle(batch.id, tmp_path / "again")
        with jeyn.open(home=tmp_path / "third") as third:
            third.import_bundle(tmp_path / "again")
            assert third.get(batch.id).load().column_names == NAMES


def test_rule_33_an_import_does_not_change_the_order_that_is_here(workspace: Workspace, tmp_path: Path) -> None:
    batch = workspace.dataset_store.save_batch(FORMULA.new_table(ROWS))
    workspace.export_bundle(batch, tmp_path / "bundle")
    with jeyn.open(home=tmp_path / "other") as other:
        other.dataset_store.save_formula(SAME)
        other.import_bundle(tmp_path / "bundle")
        assert other.get(batch.id).load().column_names == ["rooms", "price", "size"]


def test_rule_33_the_contract_of_a_use_case_keeps_the_order_and_it_is_observed(workspace: Workspace) -> None:
    store = workspace.model_store
    saved = store.save_use_case(MlUseCase("prices", input_catalog=INPUTS, output_catalog=Guess))
    assert list(store.get_use_case("prices").input_catalog.features) == ["size", "rooms"]
    before = contract_digest(workspace, saved.id)
    store.save_use_case(MlUseCase("prices", input_catalog=Houses.only("rooms", "size"), output_catalog=Guess))
    assert list(store.get_use_case("prices").input_catalog.features) == ["rooms", "size"]
    assert contract_digest(workspace, saved.id) != before


def _checkpoint(workspace: Workspace, model: Any, inputs: type[DataCatalog] = INPUTS, **options: Any) -> Any:
    batch = workspace.dataset_store.save_batch(FORMULA.new_table(ROWS))
    use_case = MlUseCase("prices", input_catalog=inputs, output_catalog=Guess)
    return workspace.model_store.save_checkpoint(use_case.update_major(dataset=batch, model=model, **options))


def test_rule_33_the_order_is_in_a_checkpoints_id_where_it_is_not_alphabetical(workspace: Workspace) -> None:
    first = _checkpoint(workspace, np.array([1.0]))
    alphabetical = _checkpoint(workspace, np.array([1.0]), Houses.only("rooms", "size"))
    assert alphabetical.id != first.id
    assert first.record().body["input_catalog"]["order"] == ["size", "rooms"]
    assert set(alphabetical.record().body["input_catalog"]) == {"features"}
    found = fresh(workspace).get(first.id)
    assert list(found.input_catalog.features) == ["size", "rooms"]
    changes = workspace.diff(first, alphabetical)
    assert changes.changes["order of input_catalog"] == (["size", "rooms"], ["rooms", "size"])
    assert not changes.catalogs


class Unnamed(RegressorMixin, BaseEstimator):
    """Says what it was given, and knows no names."""

    def predict(self, rows: Any) -> Any:
        return rows[:, 0] * 1000 + rows[:, 1]


def _predictions(workspace: Workspace, model: Any, **options: Any) -> list[float]:
    _checkpoint(workspace, model, **options)
    formula = ModelFormula("guesses", version="1.0.0", source="houses@^1", checkpoint="prices@^1")
    found: list[float] = workspace.dataset_store.save_batch(formula.get_new_batch()).to_numpy()["guess"].tolist()
    return found


FRAME = pd.DataFrame(ROWS)
TARGET = FRAME["size"] * 50


def by_name() -> Pipeline:
    parts = [("size", StandardScaler(), ["size"]), ("rooms", "passthrough", ["rooms"])]
    return make_pipeline(ColumnTransformer(parts), LinearRegression())


@pytest.mark.parametrize("columns", [["size", "rooms"], ["rooms", "size"], ["size"]])
@pytest.mark.parametrize("make", [LinearRegression, lambda: make_pipeline(StandardScaler(), LinearRegression())])
def test_rule_33_a_model_that_knows_its_names_gets_a_frame_in_its_own_order(
    workspace: Workspace, make: Any, columns: list[str]
) -> None:
    assert _predictions(workspace, make().fit(FRAME[columns], TARGET)) == pytest.approx([2500, 4000, 3500])


def test_rule_33_a_model_fitted_on_a_frame_with_a_column_transformer_works(workspace: Workspace) -> None:
    assert _predictions(workspace, by_name().fit(FRAME[["rooms", "size"]], TARGET)) == pytest.approx([2500, 4000, 3500])


def test_rule_33_grid_search_and_boosted_trees_work(workspace: Workspace) -> None:
    frame, target = pd.concat([FRAME[["rooms", "size"]]] * 10), pd.concat([TARGET] * 10)
    search = GridSearchCV(LinearRegression(), {"fit_intercept": [True, False]}, cv=2).fit(frame, target)
    assert _predictions(workspace, search) == pytest.approx([2500, 4000, 3500])
    trees = HistGradientBoostingRegressor(min_samples_leaf=1).fit(frame, target)
    assert list(trees.feature_names_in_) == ["rooms", "size"]


@pytest.mark.parametrize("inputs", [INPUTS, Houses.only("rooms", "size")])
def test_rule_33_a_model_fitted_on_arrays_gets_the_order_of_its_input_catalog(
    workspace: Workspace, inputs: type[DataCatalog]
) -> None:
    matrix = FRAME[list(inputs.features)].to_numpy()
    model = LinearRegression().fit(matrix, TARGET)
    assert _predictions(workspace, model, inputs=inputs) == pytest.approx([2500, 4000, 3500])


def test_rule_33_a_model_fitted_on_names_that_its_catalog_lacks_is_refused(workspace: Workspace) -> None:
    model = LinearRegression().fit(FRAME[["size", "rooms"]].rename(columns={"size": "metres"}), TARGET)
    with pytest.raises(Incompatible, match='"metres", which is no feature of its input catalog') as caught:
        _predictions(workspace, model)
    assert "size, rooms" in str(caught.value.hint)


class Pixels(DataCatalog):
    pixels = Feature(Dtypes.FLOAT64, shape=(-1, 2))


def test_rule_33_names_of_the_values_of_one_feature_are_filled_in(workspace: Workspace) -> None:
    pixels = DatasetFormula("pixels", version="1.0.0", output_catalog=Pixels)
    batch = workspace.dataset_store.save_batch(pixels.new_table({"pixels": np.array([[1.0, 2.0], [3.0, 4.0]])}))
    frame = pd.DataFrame(batch.to_numpy()["pixels"], columns=["left", "right"])
    model = LinearRegression(fit_intercept=False).fit(frame, frame["left"] * 2)
    use_case = MlUseCase("pixels-read", input_catalog=Pixels, output_catalog=Guess)
    workspace.model_store.save_checkpoint(use_case.update_major(dataset=batch, model=model))
    formula = ModelFormula("read", version="1.0.0", source="pixels@^1", checkpoint="pixels-read@^1")
    made = workspace.dataset_store.save_batch(formula.get_new_batch())
    assert made.to_numpy()["guess"].tolist() == pytest.approx([2.0, 6.0])


def seen(model: Any, table: pa.Table) -> dict[str, Any]:
    assert table.column_names == NAMES
    return {"guess": np.column_stack(table.select(["size", "rooms"]).columns) @ np.array([50.0, 0.0])}


def test_rule_33_a_function_gets_the_rows_in_the_order_of_their_source(workspace: Workspace) -> None:
    _checkpoint(workspace, np.array([1.0]))
    formula = ModelFormula("guesses", version="1.0.0", source="houses@^1", checkpoint="prices@^1", apply=seen)
    batch = workspace.dataset_store.save_batch(formula.get_new_batch())
    assert batch.to_numpy()["guess"].tolist() == [2500, 4000, 3500]


def test_rule_33_what_is_kept_comes_after_what_is_guessed(workspace: Workspace) -> None:
    _checkpoint(workspace, LinearRegression().fit(FRAME[["size", "rooms"]], TARGET))
    formula = ModelFormula(
        "guesses", version="1.0.0", source="houses@^1", checkpoint="prices@^1", keep=["size", "price"]
    )
    saved = workspace.dataset_store.save_batch(formula.get_new_batch())
    assert saved.load().column_names == ["guess", "size", "price"]
    assert fresh(workspace).get(saved.id).load().column_names == ["guess", "size", "price"]


class Ids(DataCatalog):
    size = Feature(Dtypes.FLOAT64)
    id = Feature(Dtypes.INT64)


def test_a_number_that_one_array_would_round_is_refused_and_a_frame_takes_it(workspace: Workspace) -> None:
    big = 2**53 + 1
    ids = DatasetFormula("ids", version="1.0.0", output_catalog=Ids)
    batch = workspace.dataset_store.save_batch(ids.new_table({"size": [0.5, 1.5], "id": [1, big]}))
    use_case = MlUseCase("sizes", input_catalog=Ids, output_catalog=Guess)
    frame = pd.DataFrame({"size": [0.5, 1.5], "id": [1, 2]})
    for level, data in (("major", frame.to_numpy()), ("minor", frame[["size", "id"]])):
        model = LinearRegression().fit(data, [1.0, 2.0])
        workspace.model_store.save_checkpoint(getattr(use_case, f"update_{level}")(dataset=batch, model=model))
    formula = ModelFormula("guesses", version="1.0.0", source="ids@^1", checkpoint="sizes@1.0.0")
    with pytest.raises(DataInvalid, match=f'feature "id" holds {big} in row 1, which float64 does not hold exactly'):
        workspace.dataset_store.save_batch(formula.get_new_batch())
    named = ModelFormula("named", version="1.0.0", source="ids@^1", checkpoint="sizes@1.1.0")
    assert workspace.dataset_store.save_batch(named.get_new_batch()).rows == 2
