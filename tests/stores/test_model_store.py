"""`model_store` and `dataset_store` as DESIGN 5 lists them, and what bless and rollback do (SEMANTICS 6 and 19)."""

from __future__ import annotations

import io
import pickle
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

import jeyn
from jeyn import DataCatalog, DatasetFormula, Dtypes, Feature, MlUseCase, ModelCheckpoint, Version
from jeyn.errors import (
    AliasMoved,
    Ambiguous,
    BumpTooSmall,
    CatalogMismatch,
    Conflict,
    Corrupt,
    NotAllowed,
    NotFound,
    NotSerializable,
    Unsaved,
    VersionTaken,
)
from jeyn.stores.serializers import UnsafePickleSerializer
from jeyn.stores.workspace import Workspace


class Rows(DataCatalog):
    x = Feature(Dtypes.FLOAT64)
    y = Feature(Dtypes.FLOAT64)


X, Y = Rows.only("x"), Rows.only("y")
FORMULA = DatasetFormula("rows", version="1.0.0", output_catalog=Rows)
BATCH = FORMULA.new_table({"x": [1.0, 2.0], "y": [2.0, 4.0]})
READER = MlUseCase("reader", input_catalog=X, output_catalog=Y)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return jeyn.open(home=tmp_path / "home")


def train(workspace: Workspace, weight: float, level: str = "minor", **options: object) -> ModelCheckpoint:
    update = getattr(READER, f"update_{level}")
    checkpoint: ModelCheckpoint = update(dataset=BATCH, model=np.array([weight]), **options)
    return workspace.model_store.save_checkpoint(checkpoint)


def test_the_whole_of_dataset_store(workspace: Workspace) -> None:
    store = workspace.dataset_store
    formula = store.save_formula(FORMULA)
    batch = store.save_batch(BATCH)
    assert store.get_formula("rows@^1") == formula == store.get_formula("rows", "^1")
    assert store.get_batch("rows@1.0.0/1") == batch == store.get_batch("batch:rows@^1/latest")
    assert store.get_batch_from_id(batch.id) == batch == store.get_batch_from_id(batch.id[7:20])
    assert store.get_formula_batches(formula) == [batch] == store.get_formula_batches("rows@^1")
    assert store.get_latest_formula_batch(FORMULA) == batch
    with pytest.warns(DeprecationWarning, match="get_formula"):
        assert store.get_fromula("rows") == formula


def test_the_whole_of_model_store(workspace: Workspace) -> None:
    store = workspace.model_store
    use_case = store.save_use_case(READER)
    checkpoint = train(workspace, 2.0, metrics={"error": 0.5})
    assert store.get_use_case("reader") == use_case
    assert store.get_checkpoint("reader@0.1.0") == checkpoint == store.get_latest_use_case_checkpoint(READER)
    assert store.load("reader@^0.1").tolist() == [2.0]
    assert checkpoint.metrics == {"error": 0.5}
    evaluation = store.save_evaluation(checkpoint, "rows@1.0.0/1", {"error": 0.25})
    assert evaluation.metrics == {"error": 0.25}
    assert store.bless(checkpoint, reason="small error") == store.get_checkpoint("reader@blessed")
    assert store.rollback(READER) is None
    with pytest.raises(NotFound):
        store.get_checkpoint("reader@blessed")


def test_a_missing_checkpoint_has_a_default_for_the_first_run(workspace: Workspace) -> None:
    assert workspace.model_store.get_checkpoint("reader@blessed", default=None) is None
    with pytest.raises(NotFound):
        workspace.model_store.get_checkpoint("reader@blessed")


def test_first_versions_and_bumps(tmp_path: Path) -> None:
    for level, first, then in (("patch", "0.0.1", "0.0.2"), ("minor", "0.1.0", "0.2.0"), ("major", "1.0.0", "2.0.0")):
        workspace = jeyn.open(home=tmp_path / level)
        assert str(train(workspace, 1.0, level).version) == first
        assert str(train(workspace, 2.0, level).version) == then
        workspace.close()


def test_a_bump_of_a_base_that_is_taken_is_refused(workspace: Workspace) -> None:
    first = train(workspace, 1.0)
    train(workspace, 2.0)
    with pytest.raises(VersionTaken, match=r"reader@0\.2\.0"):
        train(workspace, 3.0, base=first)
    assert str(train(workspace, 3.0, "patch", base=first).version) == "0.1.1"


def test_an_exact_version_is_kept_and_cannot_be_overridden(workspace: Workspace) -> None:
    store = workspace.model_store
    store.save_checkpoint(READER.update_to("1.0.0-rc.1", dataset=BATCH, model=np.array([1.0])))
    with pytest.raises(NotFound):
        store.get_checkpoint("reader@latest")
    released = store.save_checkpoint(READER.update_to("1.0.0", dataset=BATCH, model=np.array([1.0])))
    assert released.version == Version.parse("1.0.0")
    assert released.id == store.get_checkpoint("reader@1.0.0-rc.1").id
    with pytest.raises(VersionTaken):
        store.save_checkpoint(READER.update_to("1.0.0", dataset=BATCH, model=np.array([9.0])))
    with pytest.raises(VersionTaken):
        store.save_checkpoint(READER.update_to("1.5.0", dataset=BATCH, model=np.array([1.0])))


def test_a_minor_may_need_less_and_give_more_and_anything_else_is_a_major(workspace: Workspace) -> None:
    store = workspace.model_store

    def save(level: str, weight: float, inputs: type[DataCatalog], outputs: type[DataCatalog]) -> ModelCheckpoint:
        use_case = MlUseCase("strict", input_catalog=inputs, output_catalog=outputs)
        update = getattr(use_case, f"update_{level}")
        return store.save_checkpoint(update(dataset=BATCH, model=np.array([weight])))

    save("major", 1.0, Rows, Y)
    assert str(save("minor", 2.0, X, Y).version) == "1.1.0"
    assert str(save("minor", 3.0, X, Rows).version) == "1.2.0"
    for level, inputs, outputs in (("minor", Rows, Rows), ("minor", X, Y), ("patch", X, X)):
        with pytest.raises(BumpTooSmall, match=r"strict@1\.2\.0") as refused:
            save(level, 4.0, inputs, outputs)
        assert "2.0.0" in refused.value.hint
    assert str(save("major", 4.0, Rows, Y).version) == "2.0.0"


def test_a_formula_minor_may_add_features_only(workspace: Workspace) -> None:
    store = workspace.dataset_store
    store.save_formula(DatasetFormula("f", version="1.0.0", output_catalog=X))
    store.save_formula(DatasetFormula("f", version="1.1.0", output_catalog=Rows))
    with pytest.raises(BumpTooSmall, match="x") as refused:
        store.save_formula(DatasetFormula("f", version="1.2.0", output_catalog=Y))
    assert "2.0.0" in refused.value.hint
    with pytest.raises(VersionTaken):
        store.save_formula(DatasetFormula("f", version="1.1.0", output_catalog=Y))
    store.save_formula(DatasetFormula("f", version="2.0.0", output_catalog=Y))


def test_a_batch_that_a_model_cannot_take_is_refused_before_anything_is_saved(workspace: Workspace) -> None:
    only_y = DatasetFormula("ys", version="1.0.0", output_catalog=Y).new_table({"y": [1.0]})
    with pytest.raises(CatalogMismatch, match="x"):
        READER.update_minor(dataset=only_y, model=np.array([1.0]))


def test_parents_survive_a_reload(workspace: Workspace) -> None:
    parent = train(workspace, 1.0)
    child = train(workspace, 2.0, parents=[parent, "reader@0.1.0"])
    again = workspace.model_store.get_checkpoint(child.ref)
    assert [found.id for found in again.parents] == [parent.id]
    assert again.dataset == workspace.dataset_store.get_batch("rows@1.0.0/1")


def test_bless_is_one_move_and_its_history_has_actor_reason_and_time(workspace: Workspace) -> None:
    store = workspace.model_store
    first, second = train(workspace, 1.0), train(workspace, 2.0)
    store.bless(first, reason="first")
    store.bless(first, reason="again, which changes nothing")
    store.bless(second, reason="better", over=first)
    history = workspace.alias_history("usecase:reader", "blessed")
    assert [(m.id, m.verb, m.reason) for m in history] == [
        (second.id, "bless", "better"),
        (first.id, "bless", "first"),
    ]
    assert all(m.actor and m.at > 0 for m in history)


def test_a_lost_compare_and_swap_is_a_conflict(workspace: Workspace) -> None:
    store = workspace.model_store
    first, second, third = (train(workspace, weight) for weight in (1.0, 2.0, 3.0))
    store.bless(first)
    store.bless(second, over=first)
    with pytest.raises(AliasMoved) as refused:
        store.bless(third, over=first)
    assert refused.value.exit_code == 4
    assert store.get_checkpoint("reader@blessed") == second


def test_rollback_withdraws_and_blessing_again_must_be_said(workspace: Workspace) -> None:
    store = workspace.model_store
    first, second = train(workspace, 1.0), train(workspace, 2.0)
    store.bless(first)
    store.bless(second)
    assert store.rollback("reader", reason="bad on Mondays") == first
    with pytest.raises(Conflict, match="withdrawn"):
        store.bless(second)
    with workspace.attempt() as attempt:
        attempt.model_store.bless(second)
        attempt.finish()
    assert store.get_checkpoint("reader@blessed") == first
    assert store.bless(second, again=True) == store.get_checkpoint("reader@blessed")
    assert store.bless(second) == second


def test_rollback_goes_back_past_what_was_withdrawn(workspace: Workspace) -> None:
    store = workspace.model_store
    found = [train(workspace, weight) for weight in (1.0, 2.0, 3.0)]
    for checkpoint in found:
        store.bless(checkpoint)
    assert store.rollback("reader") == found[1]
    assert store.rollback("reader") == found[0]
    assert store.rollback("reader") is None


def test_an_alias_can_be_read_as_of_a_time_and_as_of_a_commit(workspace: Workspace) -> None:
    store = workspace.model_store
    first, second = train(workspace, 1.0), train(workspace, 2.0)
    start = datetime.now(UTC) - timedelta(hours=1)
    store.bless(first)
    between = workspace.events()[-1]
    store.bless(second)
    assert workspace.alias("reader@blessed") == second
    assert workspace.alias("reader@blessed", as_of=between.seq) == first
    then = datetime.fromtimestamp(between.at / 1e6, UTC) + timedelta(microseconds=1)
    assert workspace.alias("reader@blessed", as_of=then) in (first, second)
    with pytest.raises(NotFound):
        workspace.alias("reader@blessed", as_of=start)


def test_other_aliases_tags_and_pins_have_history_too(workspace: Workspace) -> None:
    checkpoint = train(workspace, 1.0)
    workspace.set_alias(checkpoint, "candidate", reason="looks good")
    assert workspace.model_store.get_checkpoint("reader@candidate") == checkpoint
    workspace.remove_alias("usecase:reader", "candidate", reason="was not")
    with pytest.raises(NotFound):
        workspace.model_store.get_checkpoint("reader@candidate")
    assert [m.reason for m in workspace.alias_history("usecase:reader", "candidate")] == ["was not", "looks good"]
    workspace.tag(checkpoint, "gold", "q3", reason="audit")
    workspace.tag(checkpoint, "gold", present=False)
    workspace.pin(checkpoint, reason="keep")
    assert workspace.tags(checkpoint) == {"q3"}
    assert [(m.kind, m.value, m.present) for m in workspace.marks(checkpoint)] == [
        ("tag", "gold", True),
        ("tag", "q3", True),
        ("tag", "gold", False),
        ("pin", "", True),
    ]


def test_what_is_unsaved_says_so() -> None:
    checkpoint = READER.update_minor(dataset=BATCH, model=np.array([1.0]))
    for what in ("version", "id", "ref", "created_at"):
        with pytest.raises(Unsaved):
            getattr(checkpoint, what)
    assert checkpoint.load().tolist() == [1.0]


def test_an_ambiguous_name_says_what_to_write(workspace: Workspace) -> None:
    store = workspace.dataset_store
    store.save_formula(DatasetFormula("reader", version="0.1.0", output_catalog=Rows))
    train(workspace, 1.0)
    with pytest.raises(Ambiguous) as refused:
        workspace.get("reader@0.1.0")
    assert "formula:reader@0.1.0" in refused.value.hint
    assert "checkpoint:reader@0.1.0" in refused.value.hint
    assert workspace.get("formula:reader@0.1.0").type == "dataset_formula"


def test_what_nothing_can_store_names_the_way_out(workspace: Workspace) -> None:
    with pytest.raises(NotSerializable, match="Odd") as refused:
        workspace.model_store.save_checkpoint(READER.update_minor(dataset=BATCH, model=Odd()))
    assert "register_serializer" in refused.value.hint


class Odd:
    weight = 1.0


class OddSerializer:
    id, version = "tests.odd", "1"

    def to_bytes(self, model_object: Odd) -> bytes:
        return b"odd"

    def from_bytes(self, model_bytes: bytes) -> Odd:
        return Odd()


def test_a_registered_serializer_is_recorded_with_the_checkpoint(workspace: Workspace) -> None:
    workspace.model_store.register_serializer(Odd, OddSerializer(), ("old.module.Odd",))
    saved = workspace.model_store.save_checkpoint(READER.update_minor(dataset=BATCH, model=Odd()))
    assert saved.serializer == {"id": "tests.odd", "version": "1", "unsafe": False}
    assert isinstance(saved.load(), Odd)
    assert any(node.type == "model_serializer" and node.name == "tests.odd" for node in saved.upstream())


class Pickled:
    def __init__(self, weight: float) -> None:
        self.weight = weight


def test_a_pickle_is_marked_on_the_artefact_and_found_by_search(workspace: Workspace) -> None:
    workspace.model_store.register_serializer(Pickled, UnsafePickleSerializer())
    saved = workspace.model_store.save_checkpoint(READER.update_minor(dataset=BATCH, model=Pickled(3.0)))
    assert saved.is_unsafe
    assert saved.load().weight == 3.0
    assert [hit.id for hit in workspace.search("is:unsafe type:model_checkpoint")] == [saved.id]
    assert not train(workspace, 1.0).is_unsafe


def test_sklearn_and_torch_models_come_back(workspace: Workspace) -> None:
    sklearn = pytest.importorskip("sklearn.linear_model", reason="the sklearn extra is not installed")
    model = sklearn.LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    saved = workspace.model_store.save_checkpoint(READER.update_minor(dataset=BATCH, model=model))
    assert saved.load().predict([[0.0], [1.0]]).tolist() == [0, 1]
    torch = pytest.importorskip("torch", reason="the torch extra is not installed")
    net = torch.nn.Linear(2, 1)
    saved = workspace.model_store.save_checkpoint(READER.update_minor(dataset=BATCH, model=net.state_dict()))
    assert torch.equal(saved.load()["weight"], net.weight)


def test_serializers_of_the_project_file_are_there_in_every_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SEMANTICS 26: never from the artefact, but from jeyn.yaml or an entry point."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sevens.py").write_text(
        "class Seven:\n    pass\n"
        "class SevenSerializer:\n"
        "    id, version = 'sevens', '1'\n"
        "    def to_bytes(self, model): return b'7'\n"
        "    def from_bytes(self, data): return Seven()\n"
    )
    (tmp_path / "jeyn.yaml").write_text("serializers:\n  sevens.Seven: sevens:SevenSerializer\n")
    workspace = jeyn.open(home=tmp_path / "home")
    assert workspace.serializers.by_id("sevens", "1").id == "sevens"


def test_a_formula_function_of_a_model_is_never_imported_from_the_catalog(workspace: Workspace) -> None:
    from jeyn.errors import UsageError
    from jeyn.formulas import ModelFormula

    workspace.dataset_store.save_batch(BATCH)
    train(workspace, 1.0)
    formula = ModelFormula("m", version="1.0.0", source="rows@^1", checkpoint="reader@latest", apply=_twice)
    workspace.dataset_store.save_formula(formula)
    with pytest.raises(UsageError, match="never imported"):
        workspace.dataset_store.save_batch(workspace.dataset_store.get_formula("m").get_new_batch())
    assert workspace.dataset_store.save_batch(formula.get_new_batch()).rows == 2


def _twice(model: object, table: object) -> dict[str, object]:
    return {"y": table.column("x").to_numpy() * 2}  # type: ignore[attr-defined]


def test_not_allowed_is_a_permission_error() -> None:
    assert issubclass(NotAllowed, PermissionError)


def test_metrics_that_are_no_numbers_are_kept_and_do_not_stand_in_the_way(workspace: Workspace) -> None:
    checkpoint = train(workspace, 1.0, metrics={"loss": float("nan"), "error": 0.5})
    assert np.isnan(workspace.model_store.get_checkpoint(checkpoint.ref).metrics["loss"])
    evaluation = workspace.model_store.save_evaluation(checkpoint, None, {"loss": float("inf"), "error": 0.25})
    assert workspace.get(evaluation.id).metrics == {"loss": float("inf"), "error": 0.25}
    assert [hit.id for hit in workspace.search("type:model_checkpoint metrics.error<0.3")] == [checkpoint.id]
    assert workspace.search("metrics.loss>0") == []


def test_stores_say_what_they_keep(workspace: Workspace) -> None:
    from jeyn.errors import UsageError

    for save in (
        workspace.model_store.save_checkpoint,
        workspace.model_store.save_use_case,
        workspace.dataset_store.save_batch,
        workspace.dataset_store.save_formula,
    ):
        with pytest.raises(UsageError, match="'x' is no "):
            save("x")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="no data catalog"):
        DatasetFormula("f", version="1.0.0", output_catalog="Rows")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="no data catalog"):
        MlUseCase("u", input_catalog=X, output_catalog=None)  # type: ignore[arg-type]


def test_what_is_staged_has_no_lineage_yet_and_says_so(workspace: Workspace) -> None:
    train(workspace, 1.0)
    with workspace.attempt() as attempt:
        staged = attempt.model_store.save_checkpoint(READER.update_minor(dataset=BATCH, model=np.array([2.0])))
        for ask in (staged.upstream, staged.downstream, lambda: attempt.impact(staged)):
            with pytest.raises(Unsaved, match="staged"):
                ask()
        assert len(attempt.upstream("reader@0.1.0")) == 4


HOSTILE = {
    "an array of objects": ("jeyn.numpy", lambda: _of_objects()),
    "an array that claims more": ("jeyn.numpy", lambda: _bytes_of(np.zeros(3)).replace(b"(3,)", b"(9,)")),
    "a text of lightgbm": ("jeyn.lightgbm", lambda: b"tree\nnum_class=-1"),
    "no archive": ("jeyn.sklearn", lambda: b"PK\x03\x04"),
    "weights of torch": ("jeyn.torch-state-dict", lambda: b"\xff" * 64),
    "a pickle for torch": ("jeyn.torch-module", lambda: pickle.dumps({"a": 1})),
    "a model of onnx": ("jeyn.onnx", lambda: b"\x08" * 50),
}


def _of_objects() -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.array([{}], dtype=object), allow_pickle=True)
    return stream.getvalue()


def _bytes_of(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


@pytest.mark.parametrize("what", HOSTILE)
def test_bytes_that_are_no_model_are_told_with_their_artefact(
    what: str, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever writes into a catalog writes bytes with their right digest."""
    id, make = HOSTILE[what]
    module = {"jeyn.lightgbm": "lightgbm", "jeyn.sklearn": "skops", "jeyn.onnx": "onnx"}.get(id, "numpy")
    pytest.importorskip("safetensors" if "torch" in id else module, reason="it reads the bytes")
    serializer = workspace.serializers.by_id(id)
    monkeypatch.setattr("jeyn.stores.model_store.written", lambda table, model: (serializer, make()))
    monkeypatch.setattr("jeyn.stores.model_store.code_facts", lambda *given: {})
    saved = workspace.model_store.save_checkpoint(READER.update_minor(dataset=BATCH, model=1.0))
    with pytest.raises(Corrupt, match=saved.ref) as caught:
        workspace.model_store.load(saved.ref)
    assert caught.value.exit_code == 5 and saved.id in caught.value.refs
