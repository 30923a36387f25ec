"""What scikit-learn, LightGBM, XGBoost and ONNX people build comes back, with one byte form and the same answers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jeyn.errors import Corrupt, NotAllowed, NotSerializable
from jeyn.stores.serializers.archive import pack, unpack
from jeyn.stores.serializers.parts import Distribution
from jeyn.stores.serializers.saving import written
from jeyn.stores.serializers.sklearn import SklearnSerializer
from jeyn.stores.serializers.table import SerializerTable
from jeyn.stores.serializers.unsafe_pickle import UnsafePickleSerializer
from tests.stores.serializers import blocks

pytest.importorskip("sklearn", reason="these are models of scikit-learn")
ROOT = Path(__file__).parents[3]
BLOCKS = blocks.blocks()
NEEDS = {module for module, *_ in blocks.BOOSTED.values()}

# Not storable, each with the reason: skops does not know it, or it holds what somebody else made.
LEFT_OUT = {
    "FrozenEstimator": "it is a wrapper around any other estimator",
}


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.mark.parametrize("name", BLOCKS)
def test_a_model_that_people_build_comes_back_with_the_same_answers(name: str) -> None:
    make, answer = BLOCKS[name]
    table, model = SerializerTable(), make()
    serializer, data = written(table, model)
    loaded = table.by_id(serializer.id, serializer.version).from_bytes(data)
    assert type(loaded) is type(model)
    assert serializer.to_bytes(loaded) == data  # before it answers: trees of neighbours count their calls
    before, after = answer(model), answer(loaded)
    assert len(before) > 0 and all(map(np.array_equal, before, after))


@pytest.mark.parametrize("module", sorted(NEEDS))
def test_each_library_has_a_serializer_that_was_tried(module: str) -> None:
    pytest.importorskip(module, reason=f"the {module} serializer needs {module}")
    assert any(name in BLOCKS for name, (needed, *_) in blocks.BOOSTED.items() if needed == module)


def test_rule_04_models_that_people_build_give_the_same_bytes_in_two_fresh_processes() -> None:
    runs = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.stores.serializers.blocks"],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in ("1", "99")
    ]
    first, second = (json.loads(run.communicate(timeout=600)[0]) for run in runs)
    assert set(first) == set(BLOCKS)
    differ = {name for name in first if first[name] != second[name]}
    assert differ <= {"random search", "search in a pipeline"}  # these keep how long each fit took


@pytest.mark.long
def test_every_estimator_of_scikit_learn_comes_back() -> None:
    from sklearn.experimental import enable_halving_search_cv, enable_iterative_imputer  # noqa: F401
    from sklearn.utils import all_estimators

    failed, tried = {}, 0
    for name, cls in all_estimators():
        for model in [] if name in LEFT_OUT else fitted(cls):
            tried += 1
            try:
                serializer, data = written(SerializerTable(), model)
                loaded = serializer.from_bytes(data)
                assert serializer.to_bytes(loaded) == data
                for method in ("predict", "transform"):
                    assert same_answer(model, loaded, method)
            except Exception as exc:  # each failure is told at the end
                failed[name] = f"{type(exc).__name__}: {exc}"
    assert not failed and tried > 150


def fitted(cls: Any) -> Iterator[Any]:
    from sklearn.utils._test_common.instance_generator import _construct_instances

    words, rows = ["a b", "c d a", "b"] * 20, np.column_stack([blocks.Y, 1 - blocks.Y])
    inputs: list[tuple[Any, ...]] = [
        (blocks.X, blocks.Y),
        (blocks.X, rows),
        (blocks.X,),
        (words,),
        ([{"a": 1.0}] * 9,),
        (blocks.X[:, 0], blocks.Y),
        (list("ab") * 9,),
    ]
    for model in _construct_instances(cls):
        for given in inputs:
            try:
                yield model.fit(*given)
                break
            except Exception:  # another kind of input
                continue


def same_answer(model: Any, loaded: Any, method: str) -> bool:
    try:
        expected = getattr(model, method)(blocks.X)
    except Exception:  # it takes other inputs, or has no such method
        return True
    again, found = getattr(model, method)(blocks.X), getattr(loaded, method)(blocks.X)
    if not hasattr(again, "toarray") and not np.array_equal(np.asarray(again, object), np.asarray(expected, object)):
        return True  # it draws its answers
    dense = [each.toarray() if hasattr(each, "toarray") else each for each in (expected, found)]
    return bool(
        np.array_equal(*(np.asarray(each, dtype=object) for each in dense)) or np.allclose(*dense, equal_nan=True)
    )


def test_what_cannot_be_stored_is_named() -> None:
    from sklearn.linear_model import Ridge

    with pytest.raises(NotSerializable, match="Ridge"):
        written(SerializerTable(), Ridge(alpha=memoryview(b"")))


def test_a_birch_comes_back_with_its_tree() -> None:
    """Where it is trained on, it goes on from the clusters that it had."""
    from sklearn.cluster import Birch
    from sklearn.pipeline import make_pipeline

    rows = np.random.default_rng(3).normal(size=(400, 3))
    for model in (Birch(threshold=0.4, branching_factor=8).fit(rows), Birch(), make_pipeline(Birch()).fit(rows)):
        serializer, data = written(SerializerTable(), model)
        loaded = serializer.from_bytes(data)
        assert type(loaded) is type(model) and serializer.to_bytes(loaded) == data
        if model is loaded or not hasattr(model, "root_"):
            continue
        assert (loaded.predict(rows) == model.predict(rows)).all()
        more = rows[:150] * 1.7
        assert (loaded.partial_fit(more).predict(rows) == model.partial_fit(more).predict(rows)).all()
        assert np.array_equal(loaded.subcluster_centers_, model.subcluster_centers_)


def test_a_pickle_inside_a_collection_is_refused() -> None:
    table = SerializerTable()
    table.register(f"{Plain.__module__}.Plain", UnsafePickleSerializer())
    with pytest.raises(NotAllowed, match="pickle inside a collection"):
        written(table.of_project(ROOT), [Plain()])


class Plain:
    """Something of ours."""


def test_a_forged_distribution_runs_nothing() -> None:
    """Its name is looked up among the distributions of scipy, whatever the archive says."""
    from sklearn.linear_model import Ridge

    model = Ridge()
    model.alpha = Distribution("sys", (1,), {})
    with pytest.raises(Corrupt, match="no distribution"):
        SklearnSerializer().from_bytes(SklearnSerializer().to_bytes(model))


@pytest.mark.parametrize(("attribute", "value"), [("k", 40), ("k", -1), ("axis", 7)])
def test_a_forged_spline_is_refused(attribute: str, value: int) -> None:
    model = blocks.spline()
    vars(model[0].bsplines_[0])[attribute] = value
    with pytest.raises(Corrupt, match="knots"):
        SklearnSerializer().from_bytes(SklearnSerializer().to_bytes(model))


def test_a_distance_of_another_width_is_refused() -> None:
    from sklearn.neighbors import KNeighborsRegressor

    model = KNeighborsRegressor(metric="haversine", algorithm="ball_tree").fit(blocks.X[:, :2], blocks.Y)
    data = SklearnSerializer().to_bytes(model)
    SklearnSerializer().from_bytes(data)
    wide = KNeighborsRegressor(metric="euclidean", algorithm="ball_tree").fit(blocks.X, blocks.Y)
    members = unpack(SklearnSerializer().to_bytes(wide))
    members["schema.json"] = members["schema.json"].replace(b"EuclideanDistance64", b"HaversineDistance64")
    with pytest.raises(Corrupt, match="features"):
        SklearnSerializer().from_bytes(pack(members.items()))
