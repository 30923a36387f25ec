"""Whether results can be saved is asked before anything runs; what could not be saved is kept, and the run goes on."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest

import jeyn
from jeyn import DatasetBatch, ModelCheckpoint, Workspace
from jeyn.errors import NotAllowed, NotFound, NotSerializable
from jeyn.sdk.plan import Plan, PlannedOperation, Problem
from jeyn.sdk.signature import signature_of
from jeyn.stores.rescue import read
from jeyn.workflows.checks import check_plan
from tests.stores.digits import DIGITS, READER, a_batch, rows
from tests.workflows.projects import Project, states

sklearn_base = pytest.importorskip("sklearn.base", reason="the models here are scikit-learn's")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return jeyn.open(home=tmp_path / "home")


class Thing:
    """Nothing stores this one."""


class Base:
    """Nor this one, but what derives from it may be stored."""


class Derived(Base):
    pass


class Asked(Protocol):
    def ask(self) -> None: ...


class Untold(sklearn_base.BaseEstimator):  # type: ignore[misc]
    """An estimator that holds what cannot be stored before it is trained."""

    def __init__(self, function: Callable[[Any], Any] = lambda x: x) -> None:
        self.function = function


class Needing(sklearn_base.BaseEstimator):  # type: ignore[misc]
    def __init__(self, size: int) -> None:
        self.size = size


def problems(workspace: Workspace, annotation: Any, registers: bool = False) -> tuple[Problem, ...]:
    def noted() -> Any:
        jeyn.register_serializer(Thing, Plain())

    def plain() -> Any:
        return None

    work = noted if registers else plain
    work.__annotations__["return"] = annotation
    outputs = dict.fromkeys(signature_of(work).outputs, "")
    operation = PlannedOperation(name="work", function="here:work", outputs=outputs)
    plan = Plan(pipeline="flow", operations=(operation,))
    return check_plan(plan, workspace, root=workspace.settings.root, functions={"here:work": work})


@pytest.mark.parametrize(
    "annotation", [Thing, Thing | None, list[Thing], dict[str, Thing], tuple[Thing, ...], tuple[int, Thing], Untold]
)
def test_a_result_that_nothing_can_save_is_a_problem_of_the_plan(workspace: Workspace, annotation: Any) -> None:
    (problem,) = problems(workspace, annotation)
    assert problem.error == "NotSerializable" and '"work" is to return' in problem.message
    assert problem.hint


@pytest.mark.parametrize(
    "annotation",
    [
        Any,
        None,
        object,
        int,
        str | None,
        dict,
        list[float],
        tuple[int, str],
        Path,
        np.ndarray,
        np.float64,
        DatasetBatch,
        ModelCheckpoint,
        list[DatasetBatch],
        Thing | int,
        Base,
        Asked,
        Needing,
        sklearn_base.BaseEstimator,
        sklearn_base.ClassifierMixin,
    ],
)
def test_what_could_be_saved_is_no_problem(workspace: Workspace, annotation: Any) -> None:
    assert problems(workspace, annotation) == ()


def test_a_class_with_a_serializer_is_no_problem(workspace: Workspace) -> None:
    class Known:
        pass

    assert problems(workspace, Known)
    workspace.serializers.register(Known, Plain())
    assert problems(workspace, Known) == ()
    assert problems(workspace, Thing, registers=True) == ()


class Plain:
    id, version = "tests.plain", "1"

    def to_bytes(self, model_object: Any) -> bytes:
        return b"known"

    def from_bytes(self, model_bytes: bytes) -> Any:
        return Thing()


def test_a_model_is_checked_before_it_is_trained(workspace: Workspace) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import FunctionTransformer

    assert workspace.model_store.check(LogisticRegression()) == "jeyn.sklearn"
    with pytest.raises(NotSerializable, match="lambda"):
        workspace.model_store.check(FunctionTransformer(lambda x: x))
    with pytest.raises(NotSerializable, match="Thing"):
        workspace.model_store.check(Thing())
    assert workspace.search("") == [] and not (workspace.settings.home / "rescue").exists()


def test_a_model_that_cannot_be_saved_is_kept_and_can_be_mended(workspace: Workspace) -> None:
    from sklearn.preprocessing import FunctionTransformer

    made = READER.update_minor(dataset=a_batch(workspace), model=FunctionTransformer(lambda x: x + 1), metrics={"m": 2})
    with pytest.raises(NotSerializable, match="the object itself is kept in") as refused:
        workspace.model_store.save_checkpoint(made)
    (kept,) = (workspace.settings.home / "rescue").glob("*.pickle")
    assert kept.name in str(refused.value) and f"jeyn rescue {kept}" in refused.value.hint.replace('"', "")
    for path in (kept, kept.with_suffix(".json")):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    checkpoint = workspace.model_store.rescued(kept.name)
    assert checkpoint.model.func(1) == 2 and checkpoint.metrics == {"m": 2.0}
    with pytest.raises(NotSerializable):  # and no second file
        workspace.model_store.save_checkpoint(checkpoint)
    assert len(list(kept.parent.glob("*.pickle"))) == 1
    checkpoint.model.func = np.log1p
    saved = workspace.model_store.save_checkpoint(checkpoint)
    assert saved.ref == "checkpoint:digit-reader@0.1.0" and saved.load().func is np.log1p
    with pytest.raises(NotFound, match="no rescue file"):
        workspace.model_store.rescued("nothing")


def test_what_a_pod_cannot_keep_beside_it_is_kept_in_the_catalog(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jeyn.stores.rescue.is_far", lambda url: True)
    made = READER.update_minor(dataset=DIGITS.new_table(rows(1)), model=Thing())
    with workspace.attempt() as attempt, pytest.raises(NotSerializable, match="is kept in sha256:") as refused:
        attempt.model_store.save_checkpoint(made)
    assert "--yes" in refused.value.hint
    (hit,) = workspace.search("type:value")
    with pytest.raises(NotAllowed):
        workspace.get(hit.id).load()
    assert read(workspace, hit.id).about["name"] == "digit-reader"
    with pytest.raises(NotFound, match="was not saved"):
        workspace.model_store.rescued(hit.id)  # what the attempt saved is gone with it
    batch = a_batch(workspace)
    assert isinstance(workspace.model_store.rescued(hit.id, batch=batch.id).model, Thing)


TRAINING = """
from sklearn.preprocessing import FunctionTransformer
import features

@operation
def ingest() -> DatasetBatch:
    return dataset_store.save_batch(points.get_new_batch())

@operation
def train(batch: DatasetBatch) -> ModelCheckpoint:
    Path("trained").open("a").write("once\\n")
    model = FunctionTransformer(features.doubled).fit(np.array([[1.0], [2.0]]))
    return model_store.save_checkpoint(guess.update_minor(dataset=batch, model=model))

@operation
def use(checkpoint: ModelCheckpoint) -> float:
    return float(checkpoint.load().transform(np.array([[4.0]]))[0, 0])

@pipeline
def flow():
    return use(train(ingest()))
"""


def test_training_is_not_lost_for_want_of_trust(tmp_path: Path) -> None:
    """Hours later the hint is followed: trust, rescue, resume; nothing is trained again."""
    project = Project(tmp_path / "project").write(TRAINING, data=True)
    project.write("def doubled(x):\n    return x * 2\n", "features.py").arrive("a.csv", 1, 2)
    failed = project.run()
    assert states(failed)["train"] == "failed" and "the object itself is kept in" in str(failed.error)
    (kept,) = (project.folder / ".jeyn" / "rescue").glob("*.pickle")
    assert json.loads(kept.with_suffix(".json").read_text())["name"] == "guess"
    code, told = project.jeyn("rescue", str(kept), "--finish")
    assert (code, told["error"]["code"]) == (8, "NOT_ALLOWED") and kept.exists()
    (project.folder / "jeyn.yaml").write_text("name: tried\ntrusted: [features.doubled]\n")
    code, told = project.jeyn("rescue", str(kept), "--finish")
    assert (code, told["data"]["ref"]) == (0, "checkpoint:guess@0.1.0") and not kept.exists()
    code, told = project.jeyn("run", "--resume", failed.id)
    assert code == 0 and project.last().outputs["return"] == 8.0, told
    assert project.touched("trained") == ["once"]
