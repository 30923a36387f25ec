"""All rows of a batch have one schema, and a category means the same in each batch of a formula."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import jeyn
from jeyn import DataCatalog, DatasetFormula, Dtypes, Feature, Workspace
from jeyn.checks import not_null, one_of
from jeyn.errors import Busy, DataInvalid, UsageError
from jeyn.formulas import CompositeFormula, StreamingFormula
from jeyn.stores.catalog.changes import EpochClaim, NewArtefact
from jeyn.stores.catalog.reader import owner_of


@pytest.fixture
def folder(workspace: Workspace) -> Path:
    path = Path(str(workspace.settings.data))
    path.mkdir(exist_ok=True)
    return path


# Optional features that only some files have.


class Trips(DataCatalog):
    tip = Feature(Dtypes.FLOAT64, optional=True)
    id = Feature(Dtypes.INT64)
    note = Feature(Dtypes.STRING, optional=True)
    tags = Feature(Dtypes.INT64, shape=(-1, 2), optional=True)


WITH, WITHOUT = {"id": [1, 2], "tip": [0.5, 1.5]}, {"id": [3]}
TRIPS = StreamingFormula("trips", version="1.0.0", output_catalog=Trips, source="*.*")


def _write(path: Path, columns: dict[str, list[Any]]) -> None:
    frame = pd.DataFrame(columns)
    match path.suffix:
        case ".parquet":
            pq.write_table(pa.table(columns), path)
        case ".csv":
            frame.to_csv(path, index=False)
        case ".jsonl":
            frame.to_json(path, orient="records", lines=True)


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl"])
@pytest.mark.parametrize("order", [(WITH, WITHOUT), (WITHOUT, WITH)], ids=["with first", "without first"])
def test_an_optional_feature_of_some_files_is_null_in_the_others(
    workspace: Workspace, folder: Path, suffix: str, order: tuple[Any, Any]
) -> None:
    for name, columns in zip("ab", order, strict=True):
        _write(folder / f"{name}.{suffix}", columns)
    batch = workspace.dataset_store.save_batch(TRIPS.get_new_batch())
    tips = [tip for columns in order for tip in columns.get("tip", [None])]
    table = batch.load()
    assert table.column_names == ["tip", "id"]
    assert table.column("tip").to_pylist() == tips
    assert batch.statistics["tip"] == pytest.approx(
        {"count": 2, "nulls": 1, "min": 0.5, "max": 1.5, "mean": 1.0, "std": 0.5**0.5}
    )
    assert list(batch.statistics) == ["tip", "id"]
    assert Trips.validate(table).ok, Trips.validate(table)
    for rows in (1, 2, 100):
        pieces = list(batch.iter_batches(rows))
        assert {piece.schema for piece in pieces} == {table.schema}
        assert pa.Table.from_batches(pieces).equals(table.combine_chunks())
    assert np.isnan(batch.to_numpy()["tip"]).sum() == 1


def test_an_optional_feature_that_no_file_has_is_not_there(workspace: Workspace, folder: Path) -> None:
    for name in "ab":
        _write(folder / f"{name}.parquet", WITHOUT)
    batch = workspace.dataset_store.save_batch(TRIPS.get_new_batch())
    assert batch.load().column_names == ["id"]
    assert list(batch.statistics) == ["id"]
    assert {tuple(piece.schema.names) for piece in batch.iter_batches(1)} == {("id",)}


def test_a_shape_is_filled_in_too(workspace: Workspace, folder: Path) -> None:
    tags = pa.array([[1, 2]], pa.list_(pa.int64(), 2))
    pq.write_table(pa.table({"id": [1], "tags": tags}), folder / "a.parquet")
    pq.write_table(pa.table({"id": [2]}), folder / "b.parquet")
    batch = workspace.dataset_store.save_batch(TRIPS.get_new_batch())
    assert batch.load().column("tags").to_pylist() == [[1, 2], None]


def test_rows_of_an_empty_file_are_none(workspace: Workspace, folder: Path) -> None:
    (folder / "a.csv").write_text("id,tip\n")
    (folder / "b.csv").write_text("id\n1\n")
    batch = workspace.dataset_store.save_batch(TRIPS.get_new_batch())
    assert batch.load().to_pydict().get("tip", [None]) == [None]
    assert Trips.validate(batch.load()).ok


def test_within_a_file_an_optional_feature_without_nulls_is_in_all_rows_or_in_none(
    workspace: Workspace, folder: Path
) -> None:
    (folder / "a.csv").write_text("id,tip\n1,0.5\n2,\n")
    with pytest.raises(DataInvalid, match='feature "tip" fails not_null: 1 value, first in row 1'):
        workspace.dataset_store.save_batch(TRIPS.get_new_batch())


def test_what_was_loaded_can_be_saved_again(workspace: Workspace, folder: Path) -> None:
    _write(folder / "a.parquet", WITH)
    _write(folder / "b.parquet", WITHOUT)
    batch = workspace.dataset_store.save_batch(TRIPS.get_new_batch())
    again = DatasetFormula("again", version="1.0.0", output_catalog=Trips).new_table(batch.load())
    assert workspace.dataset_store.save_batch(again).load().equals(batch.load().combine_chunks())


def test_a_feature_that_may_be_absent_but_never_null_is_in_all_files_or_in_none(
    workspace: Workspace, folder: Path
) -> None:
    catalog = DataCatalog.of(
        "Strict", {"id": Feature(Dtypes.INT64), "tip": Feature(Dtypes.FLOAT64, optional=True, checks=(not_null(),))}
    )
    _write(folder / "a.parquet", WITH)
    _write(folder / "b.parquet", WITHOUT)
    formula = StreamingFormula("strict", version="1.0.0", output_catalog=catalog, source="*.parquet")
    with pytest.raises(DataInvalid, match="it is only in some files"):
        workspace.dataset_store.save_batch(formula.get_new_batch())


def test_a_union_of_parts_with_and_without_has_one_schema(workspace: Workspace) -> None:
    store = workspace.dataset_store
    for name, columns in (("one", WITHOUT), ("two", WITH)):
        store.save_batch(DatasetFormula(name, version="1.0.0", output_catalog=Trips).new_table(columns))
    both = store.save_formula(CompositeFormula("both", version="1.0.0", formulas=["one@^1", "two@^1"]))
    batch = store.save_batch(both.get_new_batch())
    assert batch.load().column("tip").to_pylist() == [None, 0.5, 1.5]
    assert batch.statistics["tip"]["nulls"] == 1
    assert len({piece.schema for piece in batch.iter_batches(1)}) == 1


@pytest.mark.parametrize("order", [(WITH, WITHOUT), (WITHOUT, WITH)], ids=["with first", "without first"])
def test_a_batch_that_an_older_jeyn_saved_is_uniform_too(
    workspace: Workspace, folder: Path, order: tuple[Any, Any]
) -> None:
    """Its statistics know a feature only if its last file has it, and no fact tells which ones no file has."""
    for name, columns in zip("ab", order, strict=True):
        _write(folder / f"{name}.parquet", columns)
    saved = workspace.dataset_store.save_batch(TRIPS.get_new_batch())
    statistics = {"id": dict(saved.statistics["id"])}
    old = NewArtefact(
        saved.record(), {"rows": 3, "statistics": statistics}, claim=EpochClaim(owner_of("batch", saved.formula.id))
    )
    with jeyn.open(home=workspace.settings.root / "older", data=folder) as other:
        other.dataset_store.save_formula(TRIPS)
        for payload in saved.record().payloads:
            other.keep(workspace.payloads.read(payload.digest[7:]), payload.name)
        id = other.commit([old])[0].id
        batch = other.get(id)
        assert batch.load().column("tip").to_pylist() == saved.load().column("tip").to_pylist()
        assert len({piece.schema for piece in batch.iter_batches(1)}) == 1


# Categories.


class Sizes(DataCatalog):
    size = Feature(Dtypes.CATEGORICAL, nullable=True)


SIZES = DatasetFormula("sizes", version="1.0.0", output_catalog=Sizes)
LEVELS = ("low", "mid", "high")
Declared = DataCatalog.of("Declared", {"size": Feature(Dtypes.CATEGORICAL, levels=LEVELS)})


def _save(workspace: Workspace, sizes: Any, formula: DatasetFormula = SIZES) -> Any:
    return workspace.dataset_store.save_batch(formula.new_table(pd.DataFrame({"size": sizes})))


def _categories(batch: Any) -> list[str]:
    found: list[str] = batch.to_pandas()["size"].cat.categories.tolist()
    return found


def test_declared_levels_have_their_order_in_every_batch(workspace: Workspace) -> None:
    formula = DatasetFormula("declared", version="1.0.0", output_catalog=Declared)
    for sizes, codes in ((["high", "low"], [2, 0]), (["mid"], [1]), ([], [])):
        batch = _save(workspace, pd.Series(sizes, dtype="str"), formula)
        assert _categories(batch) == list(LEVELS)
        assert batch.to_pandas()["size"].cat.codes.tolist() == codes
        assert batch.load().column("size").to_pylist() == sizes
        assert all(piece.column(0).dictionary.to_pylist() == list(LEVELS) for piece in batch.iter_batches(1))
        assert batch.to_numpy()["size"].tolist() == sizes
        assert Declared.validate(batch.load()).ok
    assert "levels" not in batch.facts


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_a_value_outside_the_declared_levels_is_refused(workspace: Workspace, folder: Path, suffix: str) -> None:
    _write(folder / f"a.{suffix}", {"size": ["low", "huge"]})
    formula = StreamingFormula("declared", version="1.0.0", output_catalog=Declared, source=f"*.{suffix}")
    with pytest.raises(DataInvalid, match="'huge' in row 1, which is none of its levels") as caught:
        workspace.dataset_store.save_batch(formula.get_new_batch())
    assert "low, mid, high" in str(caught.value)


def test_a_table_with_a_value_outside_the_declared_levels_is_refused(workspace: Workspace) -> None:
    formula = DatasetFormula("declared", version="1.0.0", output_catalog=Declared)
    with pytest.raises(DataInvalid, match='feature "size" fails levels: 1 value, first in row 1'):
        _save(workspace, ["low", "huge"], formula)
    with pytest.raises(DataInvalid, match="'huge' in row 0"):
        Declared.conform(pa.table({"size": ["huge"]}))


@pytest.mark.parametrize("levels", ["low", ["a", "a"], [1], [None], {"a"}, 3])
def test_levels_that_make_no_sense_are_refused(levels: Any) -> None:
    with pytest.raises(UsageError, match="are no levels"):
        Feature(Dtypes.CATEGORICAL, levels=levels)


def test_levels_are_in_the_catalog_and_absent_by_default() -> None:
    feature = Declared.features["size"]
    assert feature.to_json()["levels"] == list(LEVELS)
    assert DataCatalog.from_json(json.dumps(Declared.to_json())) == Declared
    assert DataCatalog.from_arrow(Declared.to_arrow()) == Declared
    assert "levels" not in Feature(Dtypes.CATEGORICAL).to_json()
    assert "levels('low', 'mid', 'high')" in str(feature)
    with pytest.raises(UsageError, match="string has no levels"):
        Feature(Dtypes.STRING, levels=["a"])


def _with(*levels: str) -> type[DataCatalog]:
    return DataCatalog.of("With", {"size": Feature(Dtypes.CATEGORICAL, levels=levels)})


@pytest.mark.parametrize(
    ("old", "new", "output", "input"),
    [
        (LEVELS, LEVELS, "none", "none"),
        (LEVELS, (*LEVELS, "huge"), "major", "minor"),
        (LEVELS, LEVELS[:2], "minor", "major"),
        (LEVELS, ("mid", "low", "high"), "major", "major"),
        ((), LEVELS, "minor", "major"),
        (LEVELS, (), "major", "minor"),
    ],
)
def test_which_bump_a_change_of_levels_takes(old: Any, new: Any, output: str, input: str) -> None:
    change = _with(*old).diff(_with(*new))
    assert (change.bump("output"), change.bump("input")) == (output, input)


def test_levels_guarantee_a_check() -> None:
    assert Feature(Dtypes.CATEGORICAL, levels=LEVELS).guarantees(one_of(*LEVELS, "huge"))


def test_categories_grow_in_one_order(workspace: Workspace) -> None:
    first, second = _save(workspace, ["b", "a", None]), _save(workspace, ["c", "a"])
    third = _save(workspace, ["a", "a"])
    assert [_categories(batch) for batch in (first, second, third)] == [["b", "a"], ["b", "a", "c"], ["b", "a", "c"]]
    assert second.to_pandas()["size"].cat.codes.tolist() == [2, 1]
    assert third.to_pandas()["size"].cat.codes.tolist() == [1, 1]
    assert second.load().column("size").to_pylist() == ["c", "a"]
    with Workspace(workspace.settings) as fresh:
        assert _categories(fresh.get(first.id)) == ["b", "a"]
        assert _categories(fresh.get(third.id)) == ["b", "a", "c"]


def test_categories_of_a_frame_keep_their_levels_and_their_order(workspace: Workspace) -> None:
    sizes = pd.Categorical(["mid", "low"], categories=list(LEVELS), ordered=True)
    batch = _save(workspace, sizes)
    assert _categories(batch) == list(LEVELS)
    assert batch.to_pandas()["size"].cat.codes.tolist() == [1, 0]
    assert _categories(_save(workspace, ["high"])) == list(LEVELS)


def test_a_batch_without_any_category_forgets_none(workspace: Workspace) -> None:
    _save(workspace, ["b"])
    assert _categories(_save(workspace, pd.Series([None, None], dtype="str"))) == ["b"]
    assert _categories(_save(workspace, ["a"])) == ["b", "a"]


def test_categories_within_lists_and_in_files(workspace: Workspace, folder: Path) -> None:
    catalog = DataCatalog.of("Lists", {"size": Feature(Dtypes.CATEGORICAL, shape=(-1, -1))})
    formula = StreamingFormula("lists", version="1.0.0", output_catalog=catalog, source="*.jsonl")
    (folder / "a.jsonl").write_text('{"size": ["b", "a"]}\n{"size": []}\n')
    (folder / "b.jsonl").write_text('{"size": ["c"]}\n')
    batch = workspace.dataset_store.save_batch(formula.get_new_batch())
    assert batch.load().column("size").to_pylist() == [["b", "a"], [], ["c"]]
    assert batch.facts["levels"] == {"size": ["b", "a", "c"]}
    assert {tuple(piece.column(0).flatten().dictionary.to_pylist()) for piece in batch.iter_batches(1)} == {
        ("b", "a", "c")
    }


def test_each_piece_of_a_batch_has_the_same_categories(workspace: Workspace, folder: Path) -> None:
    formula = StreamingFormula("files", version="1.0.0", output_catalog=Sizes, source="*.csv")
    (folder / "a.csv").write_text("size\nb\na\n")
    (folder / "b.csv").write_text("size\na\nc\n")
    batch = workspace.dataset_store.save_batch(formula.get_new_batch())
    assert [piece.column(0).indices.to_pylist() for piece in batch.iter_batches(1)] == [[0], [1], [1], [2]]
    assert batch.to_pandas()["size"].cat.codes.tolist() == [0, 1, 1, 2]


def test_rows_are_chosen_by_days_decimals_and_categories(workspace: Workspace) -> None:
    catalog = DataCatalog.of(
        "Sales",
        {
            "day": Feature(Dtypes.DATE),
            "price": Feature(Dtypes.DECIMAL, precision=8, scale=2),
            "size": Feature(Dtypes.CATEGORICAL, levels=LEVELS),
        },
    )
    formula = DatasetFormula("sales", version="1.0.0", output_catalog=catalog)
    days = np.array(["2024-01-31", "2024-02-01"], "datetime64[D]")
    prices = np.array([Decimal("4.50"), Decimal(5)], object)
    batch = workspace.dataset_store.save_batch(
        formula.new_table({"day": days, "price": prices, "size": ["high", "low"]})
    )
    for condition in (("day", ">", date(2024, 1, 31)), ("price", ">=", 5), ("price", ">", 4.5), ("size", "==", "low")):
        assert batch.load(filter=[condition]).num_rows == 1
    chosen = batch.load(columns=["size"], filter=[("price", ">", 4.5)])
    assert chosen.column("size").chunk(0).dictionary.to_pylist() == list(LEVELS)
    assert batch.to_pandas(columns=["size"])["size"].cat.codes.tolist() == [2, 0]


def test_batches_that_are_saved_at_once_have_one_order(workspace: Workspace) -> None:
    workspace.dataset_store.save_formula(SIZES)
    with ThreadPoolExecutor(4) as pool:
        saved = list(pool.map(lambda name: _save(workspace, [f"{name}", "z"]), "abcdefgh"))
    in_order = sorted(saved, key=lambda batch: batch.epoch)
    for before, after in pairwise(in_order):
        known = _categories(before)
        assert _categories(after)[: len(known)] == known
    assert sorted(_categories(in_order[-1])) == list("abcdefghz")


def test_attempts_settle_the_order_when_they_commit(workspace: Workspace) -> None:
    with workspace.attempt() as one, workspace.attempt() as other:
        first, second = _save(one, ["a"]), _save(other, ["b"])
        assert _categories(other.get(second.id)) == ["b"]
        other.finish()
        one.finish()
    assert _categories(workspace.get(second.id)) == ["b"]
    assert _categories(workspace.get(first.id)) == ["b", "a"]


def test_an_attempt_whose_codes_changed_meanwhile_commits_nothing(workspace: Workspace) -> None:
    with workspace.attempt() as one, workspace.attempt() as other:
        first, second = _save(one, ["a"]), _save(other, ["b"])
        assert _categories(one.get(first.id)) == ["a"]
        other.finish()
        with pytest.raises(Busy, match="have other codes"):
            one.finish()
    assert [batch.id for batch in workspace.dataset_store.get_formula_batches("sizes@1.0.0")] == [second.id]


def test_two_batches_of_one_attempt_grow_too(workspace: Workspace) -> None:
    with workspace.attempt() as attempt:
        first, second = _save(attempt, ["b"]), _save(attempt, ["a"])
        assert _categories(attempt.get(second.id)) == ["b", "a"]
        attempt.finish()
    assert _categories(workspace.get(first.id)) == ["b"]
    assert _categories(workspace.get(second.id)) == ["b", "a"]


def test_a_bundle_of_one_batch_carries_the_order(workspace: Workspace, tmp_path: Path) -> None:
    _save(workspace, ["b", "a"])
    second = _save(workspace, ["c"])
    workspace.export_bundle(second, tmp_path / "bundle")
    with jeyn.open(home=tmp_path / "other") as other:
        other.import_bundle(tmp_path / "bundle")
        assert _categories(other.get(second.id)) == ["b", "a", "c"]
        third = _save(other, ["d"])
        assert third.epoch == 3
        assert _categories(third) == ["b", "a", "c", "d"]


def test_a_new_version_begins_an_order_of_its_own(workspace: Workspace) -> None:
    _save(workspace, ["b"])
    newer = DatasetFormula("sizes", version="1.0.1", output_catalog=Sizes)
    assert _categories(_save(workspace, ["a"], newer)) == ["a"]


def test_more_categories_than_make_sense_are_refused(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jeyn.sdk.validation.column.MAX_LEVELS", 2)
    with pytest.raises(DataInvalid, match=r"declare Dtypes\.STRING"):
        _save(workspace, ["a", "b", "c"])
