"""Misuse of the two stores: each gets one clear error, and nothing is saved by accident."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import jeyn
from jeyn import DataCatalog, DatasetFormula, Dtypes, Feature, MlUseCase
from jeyn.errors import AliasMoved, BumpTooSmall, NotFound
from jeyn.stores.workspace import Workspace
from tests.stores.test_model_store import BATCH, FORMULA, READER, train


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return jeyn.open(home=tmp_path / "home")


def test_a_getter_gives_what_its_name_says_or_nothing(workspace: Workspace) -> None:
    from jeyn.errors import UsageError

    saved, store, data = train(workspace, 1.0), workspace.model_store, workspace.dataset_store
    for wrong in (
        lambda: store.get_checkpoint("formula:rows"),
        lambda: store.get_checkpoint("formula:rows", default=None) or store.get_checkpoint("formula:rows"),
        lambda: data.get_batch("checkpoint:reader@latest"),
        lambda: data.get_formula("rows@1.0.0/1"),
        lambda: store.bless("formula:rows"),
        lambda: store.save_evaluation("formula:rows", None, {"a": 1}),
    ):
        with pytest.raises(NotFound):
            wrong()
    batch = data.get_batch("rows@1.0.0/1")
    for misuse in (
        lambda: store.save_evaluation(batch, None, {"a": 1}),  # type: ignore[arg-type]
        lambda: store.save_evaluation(saved, saved, {"a": 1}),  # type: ignore[arg-type]
        lambda: store.save_evaluation(saved, None, {"a": "x"}),  # type: ignore[dict-item]
        lambda: train(workspace, 2.0, parents=[batch]),
        lambda: train(workspace, 2.0, metrics={"a": None}),
        lambda: READER.update_minor(dataset="rows@1.0.0/1", model=1),  # type: ignore[arg-type]
        lambda: store.get_checkpoint("zzz", defualt=3),  # type: ignore[call-overload]
        lambda: workspace.alias("reader@blessed", as_of="2020-01-01"),  # type: ignore[arg-type]
        lambda: workspace.set_alias("reader", "prod"),
        lambda: FORMULA.new_object([1]).to_pandas(),
    ):
        with pytest.raises(UsageError):
            misuse()


def test_one_parent_and_one_file_need_no_list(workspace: Workspace, tmp_path: Path) -> None:
    parent = train(workspace, 1.0)
    assert train(workspace, 2.0, parents=parent).parent_ids() == (parent.id,)
    assert train(workspace, 3.0, parents="reader@0.1.0").parent_ids() == (parent.id,)
    assert FORMULA.new_files(str(tmp_path / "a.csv")).paths == (tmp_path / "a.csv",)


def test_what_was_saved_elsewhere_is_not_saved_here(workspace: Workspace, tmp_path: Path) -> None:
    other = jeyn.open(home=tmp_path / "other")
    formula = workspace.dataset_store.save_formula(FORMULA)
    assert other.dataset_store.save_formula(formula).is_new
    assert other.dataset_store.save_batch(formula.new_table({"x": [1.0], "y": [1.0]})).epoch == 1
    for artefact, save in (
        (workspace.dataset_store.save_batch(BATCH), other.dataset_store.save_batch),
        (train(workspace, 1.0), other.model_store.save_checkpoint),
    ):
        with pytest.raises(NotFound, match="another workspace"):
            save(artefact)  # type: ignore[operator]


def test_what_a_discarded_attempt_returned_can_be_saved_again(workspace: Workspace) -> None:
    with workspace.attempt() as attempt:
        formula = attempt.dataset_store.save_formula(FORMULA)
    assert workspace.dataset_store.save_formula(formula).is_new
    assert workspace.dataset_store.get_formula("rows") == FORMULA


def test_rule_19_bless_over_is_idempotent_and_can_say_over_nothing(workspace: Workspace) -> None:
    store = workspace.model_store
    first, second = train(workspace, 1.0), train(workspace, 2.0)
    store.bless(first, over=None)
    with pytest.raises(AliasMoved):
        store.bless(second, over=None)
    for _ in range(2):
        store.bless(second, over=first)
    assert len(workspace.alias_history("usecase:reader", "blessed")) == 2


def test_nothing_is_built_on_a_higher_version(workspace: Workspace) -> None:
    train(workspace, 1.0, "major")
    train(workspace, 2.0, "major")
    with pytest.raises(BumpTooSmall, match="not above"):
        workspace.model_store.save_checkpoint(
            READER.update_to("1.0.1", base="2.0.0", dataset=BATCH, model=np.array([3.0]))
        )


def test_no_model_is_trained_on_a_quarantined_batch(workspace: Workspace) -> None:
    from jeyn.checks import between
    from jeyn.errors import DataInvalid

    class Small(DataCatalog):
        x = Feature(Dtypes.FLOAT64, checks=[between(0, 1)])

    formula = DatasetFormula("small", version="1.0.0", output_catalog=Small)
    with pytest.raises(DataInvalid) as refused:
        workspace.dataset_store.save_batch(formula.new_table({"x": [5.0]}))
    held = workspace.dataset_store.get_batch(refused.value.refs[0])
    use_case = MlUseCase("tiny", input_catalog=Small, output_catalog=Small)
    with pytest.raises(DataInvalid, match="quarantine"):
        workspace.model_store.save_checkpoint(use_case.update_minor(dataset=held, model=np.array([1.0])))


def test_a_model_formula_gives_scikit_learn_the_shape_it_wants(workspace: Workspace) -> None:
    from jeyn.formulas import ModelFormula

    sklearn = pytest.importorskip("sklearn.linear_model", reason="the sklearn extra is not installed")
    model = sklearn.LinearRegression().fit([[1.0], [2.0]], [2.0, 4.0])
    workspace.model_store.save_checkpoint(READER.update_minor(dataset=BATCH, model=model))
    formula = ModelFormula("guesses", version="1.0.0", source="rows@^1", checkpoint="reader@latest")
    batch = workspace.dataset_store.save_batch(formula.get_new_batch())
    assert batch.load()["y"].to_pylist() == pytest.approx([2.0, 4.0])


@pytest.mark.parametrize("name", ["a b", "a%20b", "a?b", "a#b", "ü"])
def test_a_home_may_have_any_name(tmp_path: Path, name: str) -> None:
    with jeyn.open(home=tmp_path / name) as workspace:
        workspace.dataset_store.save_batch(BATCH)
    assert (tmp_path / name / "catalog.db").is_file()
    assert (tmp_path / name / "payloads").is_dir()
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_bad_settings_are_usage_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from jeyn.errors import UsageError

    monkeypatch.chdir(tmp_path)
    for text in (b"databases: foo\n", b"serializers: 5\n", b"\xff\xfe\x00", b"- a\n", b"what: 1\n"):
        (tmp_path / "jeyn.yaml").write_bytes(text)
        with pytest.raises(UsageError):
            jeyn.open(home=tmp_path / "home")
    (tmp_path / "jeyn.yaml").unlink()
    for url in ("postgresql://u:p@h:abc/x", "sqlite://", "mysql://x", "nonsense"):
        with pytest.raises(UsageError) as refused:
            jeyn.open(home=tmp_path / "home", catalog=url).get("x")
        assert ":p@" not in str(refused.value)
