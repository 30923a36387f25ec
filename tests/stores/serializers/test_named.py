"""Models that name code: what no other process could import is refused when it is saved, what moved since is told."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from jeyn.errors import NotAllowed, NotFound, NotSerializable
from jeyn.stores.serializers import UnsafePickleSerializer, encode_value
from jeyn.stores.serializers.saving import written
from jeyn.stores.serializers.sklearn import SklearnSerializer
from jeyn.stores.serializers.table import SerializerTable

sklearn_base = pytest.importorskip("sklearn.base", reason="these are models of scikit-learn")
FEATURES = """
import os
from os import system
from sklearn.base import BaseEstimator


class Ratio(BaseEstimator):
    pass


class Outer:
    class Inner(BaseEstimator):
        pass


def twice(x):
    return x * 2
"""


@pytest.fixture
def features(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """A module of a project."""
    (tmp_path / "own_features.py").write_text(FEATURES)
    monkeypatch.syspath_prepend(tmp_path)
    import own_features  # type: ignore[import-not-found]

    yield own_features
    sys.modules.pop("own_features", None)


def of_module(name: str) -> Any:
    return type("Mine", (sklearn_base.BaseEstimator,), {"__module__": name})()


def function_of(name: str) -> Any:
    def shaped(x: Any) -> Any:
        return x

    shaped.__module__, shaped.__qualname__ = name, "shaped"
    return shaped


def local() -> Any:
    class Local(sklearn_base.BaseEstimator):  # type: ignore[misc]
        pass

    return Local()


def transformer(function: Any) -> Any:
    from sklearn.preprocessing import FunctionTransformer

    return FunctionTransformer(function)


def deep(step: Any) -> Any:
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import make_pipeline

    return make_pipeline(ColumnTransformer([("one", step, [0])]))


UNNAMEABLE: dict[str, Callable[[], Any]] = {
    "a lambda": lambda: transformer(lambda x: x),
    "a partial of a lambda": lambda: transformer(partial(lambda x, y: x, y=1)),
    "a lambda deep inside": lambda: deep(transformer(lambda x: x)),
    "a local class": local,
    "a class of __main__": lambda: of_module("__main__"),
    "a function of __main__": lambda: transformer(function_of("__main__")),
    "a class of a worker's main": lambda: of_module("__mp_main__"),
    "a class of a notebook": lambda: of_module("notebook_0123456789ab"),
    "a function of a notebook": lambda: transformer(function_of("notebook_0123456789ab")),
    "a module that is no file": lambda: of_module("made_up_here"),
    "a lambda in an attribute": lambda: SetAttribute.on(transformer(np.log1p)),
    "another thing of that name": lambda: transformer(function_of(__name__)),
}


class SetAttribute:
    @staticmethod
    def on(model: Any) -> Any:
        model.extra_ = {"f": [lambda x: x]}
        return model


@pytest.mark.parametrize("what", UNNAMEABLE)
def test_what_no_other_process_could_import_is_refused_on_save_with_the_cure(what: str) -> None:
    model = UNNAMEABLE[what]()
    names = ["__main__.<lambda>", "__main__.shaped", "__main__.Mine", "notebook_0123456789ab.Mine"]
    for serializer in (SklearnSerializer(), SklearnSerializer(trusted=names)):
        with pytest.raises(NotSerializable, match="cannot be imported by another process") as refused:
            serializer.to_bytes(model)
        assert "top level of a module" in refused.value.hint


def test_a_module_of_that_name_elsewhere_does_not_stand_in(tmp_path: Path, features: ModuleType) -> None:
    """The file that is loaded here is not the one that another process would find."""
    features.__file__ = str(tmp_path / "elsewhere.py")
    with pytest.raises(NotSerializable, match="no module"):
        SklearnSerializer(trusted=["own_features.Ratio"]).to_bytes(features.Ratio())


def test_a_project_s_own_estimators_are_trusted_and_its_functions_by_name(features: ModuleType, tmp_path: Path) -> None:
    table = SerializerTable().of_project(tmp_path)
    serializer, data = written(table, deep(features.Ratio()))
    assert isinstance(table.by_id(serializer.id).from_bytes(data).steps[0][1].transformers[0][1], features.Ratio)
    for model in (features.Ratio(), transformer(features.twice)):
        with pytest.raises(NotAllowed, match="own_features") as refused:
            written(SerializerTable(), model)
    assert "jeyn.yaml under trusted:" in refused.value.hint
    with pytest.raises(NotAllowed, match=r"own_features\.twice"):
        written(table, transformer(features.twice))
    trusting = SerializerTable().of_project(tmp_path, ["own_features.twice"])
    serializer, data = written(trusting, transformer(features.twice))
    assert trusting.by_id(serializer.id).from_bytes(data).func is features.twice
    with pytest.raises(NotAllowed):
        table.by_id(serializer.id).from_bytes(data)


def test_what_a_project_imports_is_not_its_own(features: ModuleType, tmp_path: Path) -> None:
    """`system` is a name in its module, and no archive may call it."""
    from tests.stores.serializers.test_sklearn import archive_of, arguments, node

    serializer = SerializerTable().of_project(tmp_path).by_id("jeyn.sklearn")
    for name in ("system", "os", "Ratio"):
        hostile = node("ConstructorFromReduceNode", "own_features", name, content=arguments("touch evidence"))
        with pytest.raises(NotAllowed, match=f"own_features.{name}"):
            serializer.from_bytes(archive_of(hostile))
    assert not (tmp_path / "evidence").exists()


def test_a_class_inside_a_class_cannot_be_found_by_skops(features: ModuleType, tmp_path: Path) -> None:
    with pytest.raises((NotSerializable, NotAllowed, NotFound)):
        written(SerializerTable().of_project(tmp_path), features.Outer.Inner())


def test_a_type_that_was_renamed_is_told_with_the_cure(features: ModuleType, tmp_path: Path) -> None:
    table = SerializerTable().of_project(tmp_path, ["own_features.Ratio"])
    serializer, data = written(table, features.Ratio())
    features.Quotient = features.Ratio
    del features.Ratio
    with pytest.raises(NotFound, match=r"own_features\.Ratio") as missing:
        table.by_id(serializer.id).from_bytes(data)
    assert "OldName = NewName" in missing.value.hint
    features.Ratio = features.Quotient
    assert isinstance(table.by_id(serializer.id).from_bytes(data), features.Quotient)


def test_trust_that_is_added_does_not_take_away_what_was_trusted(features: ModuleType) -> None:
    table = SerializerTable()
    table.register(features.Ratio, SklearnSerializer(trusted=[features.Ratio]))
    serializer, data = written(table, features.Ratio())
    table.register(features.Outer, SklearnSerializer(trusted=["own_features.twice"]))
    assert isinstance(table.by_id(serializer.id).from_bytes(data), features.Ratio)
    assert table.by_id(serializer.id).from_bytes(
        SklearnSerializer(["own_features.twice"]).to_bytes(transformer(features.twice))
    )


class Thing:
    """Something that only a serializer of its own can store."""


class Broken:
    """Writes what it cannot read."""

    id, version = "tests.broken", "1"

    def __init__(self, read: Callable[[bytes], Any]) -> None:
        self.from_bytes = read

    def to_bytes(self, model_object: Any) -> bytes:
        return b"thing"


def fails(data: bytes) -> Any:
    raise KeyError("no such field")


@pytest.mark.parametrize(("read", "said"), [(fails, "no such field"), (lambda data: None, "read back as None")])
def test_what_a_serializer_cannot_read_back_is_refused_on_save(read: Callable[[bytes], Any], said: str) -> None:
    table = SerializerTable()
    table.register(Thing, Broken(read))
    for save in (
        lambda: written(table, Thing()),
        lambda: encode_value(Thing(), table),
        lambda: encode_value([Thing()], table),
    ):
        with pytest.raises(NotSerializable, match=said):
            save()


def test_a_pickle_that_names_the_program_itself_is_refused() -> None:
    serializer = UnsafePickleSerializer()
    serializer.on_register()
    made = type("Mine", (), {"__module__": "__main__"})
    main = sys.modules["__main__"]
    main.Mine = made  # type: ignore[attr-defined]
    try:
        with pytest.raises(NotSerializable, match=r"__main__\.Mine"):
            serializer.to_bytes({"a": [made(), made()]})
    finally:
        del main.Mine  # type: ignore[attr-defined]
    assert serializer.to_bytes({"a": "__main__", "b": "Mine", "c": [Thing()]})


def test_reading_back_draws_no_random_numbers() -> None:
    torch = pytest.importorskip("torch")
    from tests.stores.serializers.torch_models import Perceptron

    model = Perceptron(inputs=4, hidden=6)
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    written(SerializerTable(), model)
    assert torch.rand(1) == expected
