"""Scikit-learn: what is trusted, what is refused, and archives that were tampered with."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
import pytest

from jeyn.errors import Corrupt, NotAllowed, NotSerializable
from jeyn.stores.serializers.archive import pack, unpack
from jeyn.stores.serializers.numpy import array_bytes, read_array
from jeyn.stores.serializers.sklearn import SklearnSerializer
from jeyn.stores.serializers.table import SerializerTable
from tests.stores.serializers import samples

sklearn_base = pytest.importorskip("sklearn.base", reason="the sklearn serializer needs scikit-learn")
skops_io = pytest.importorskip("skops.io", reason="the sklearn serializer needs skops")


class Mine(sklearn_base.BaseEstimator):  # type: ignore[misc]
    """An estimator that Jeyn has never seen."""

    def __init__(self, strength: float = 1.0) -> None:
        self.strength = strength


MINE = f"{Mine.__module__}.Mine"


def node(loader: str, module: str, name: str, **fields: Any) -> dict[str, Any]:
    return {"__class__": name, "__module__": module, "__loader__": loader, **fields}


def archive_of(schema: dict[str, Any]) -> bytes:
    return pack([("schema.json", json.dumps({**schema, "protocol": 2, "_skops_version": "0.16"}).encode())])


def arguments(*texts: str) -> dict[str, Any]:
    values = [node("JsonNode", "builtins", "str", content=json.dumps(text), is_json=True) for text in texts]
    return node("TupleNode", "builtins", "tuple", content=values)


def test_an_untrusted_type_is_refused_on_save_and_on_load() -> None:
    with pytest.raises(NotAllowed, match=MINE) as saving:
        SklearnSerializer().to_bytes(Mine())
    assert "SklearnSerializer(trusted=" in saving.value.hint
    with pytest.raises(NotAllowed, match=MINE):
        SklearnSerializer().from_bytes(skops_io.dumps(Mine()))


@pytest.mark.parametrize("trusted", [[Mine], [MINE]])
def test_a_user_extends_the_trust_when_registering(trusted: list[Any]) -> None:
    table = SerializerTable()
    table.register(Mine, SklearnSerializer(trusted=trusted))
    serializer = table.for_object(Mine())
    loaded = table.by_id(serializer.id, serializer.version).from_bytes(serializer.to_bytes(Mine(2.5)))
    assert (type(loaded), loaded.strength) == (Mine, 2.5)
    with pytest.raises(NotAllowed):
        SerializerTable().for_object(Mine()).to_bytes(Mine())


@pytest.mark.parametrize(
    ("module", "name", "call"),
    [
        ("os", "system", ("touch evidence",)),
        ("builtins", "exec", ("raise SystemExit('code from an archive ran')",)),
        ("sklearn.utils._joblib", "joblib", ("x",)),
        ("sklearn.datasets._base", "urlretrieve", ("file:///etc/hostname", "evidence")),
        ("sklearn.utils.fixes", "sys", ()),
        ("numpy", "load", ("evidence",)),
    ],
)
def test_a_malicious_archive_is_refused(
    module: str, name: str, call: tuple[str, ...], tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    schema = node("ConstructorFromReduceNode", module, name, content=arguments(*call))
    for hostile in (schema, {**schema, "trusted": True, "__trusted__": [f"{module}.{name}"]}):
        with pytest.raises(NotAllowed, match=f"{module}.{name}"):
            SklearnSerializer().from_bytes(archive_of(hostile))
    assert list(tmp_path.iterdir()) == []


def test_an_older_protocol_or_an_unknown_loader_does_not_get_around_the_list() -> None:
    schema = node("ConstructorFromReduceNode", "os", "system", content=arguments("touch evidence"))
    for protocol in (0, 1):
        data = pack([("schema.json", json.dumps({**schema, "protocol": protocol}).encode())])
        with pytest.raises(NotAllowed):
            SklearnSerializer().from_bytes(data)
    with pytest.raises(Corrupt):
        SklearnSerializer().from_bytes(archive_of({**schema, "__loader__": "PickleNode"}))


def test_a_compressed_member_is_refused_before_it_inflates() -> None:
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("schema.json", b" " * 50_000_000)
    with pytest.raises(Corrupt, match="compressed"):
        SklearnSerializer().from_bytes(stream.getvalue())


def test_rule_04_an_archive_holds_no_address_and_no_date() -> None:
    data = SklearnSerializer().to_bytes(samples.pipeline())
    with zipfile.ZipFile(BytesIO(data)) as archive:
        names = archive.namelist()
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    assert names[0] == "schema.json"
    assert names[1:] == [f"{number}.npy" for number in range(len(names) - 1)]
    identities = [item["__id__"] for item in walk(json.loads(unpack(data)["schema.json"])) if "__id__" in item]
    assert all(identity < 1000 for identity in identities)


def test_an_object_that_appears_twice_is_still_one_object() -> None:
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    scaler, rows = StandardScaler().fit(samples.ROWS), np.zeros(3)
    model = Pipeline([("first", scaler), ("again", scaler)])
    model.extra_ = [rows, rows, rows.copy()]
    loaded = SklearnSerializer().from_bytes(SklearnSerializer().to_bytes(model))
    assert loaded.steps[0][1] is loaded.steps[1][1]
    assert loaded.extra_[0] is loaded.extra_[1]
    assert loaded.extra_[0] is not loaded.extra_[2]


def test_what_skops_cannot_store_is_named() -> None:
    from sklearn.linear_model import Ridge

    with pytest.raises(NotSerializable, match="Ridge"):
        SklearnSerializer().to_bytes(Ridge(alpha=memoryview(b"")))


def walk(state: Any) -> list[dict[str, Any]]:
    if isinstance(state, dict):
        return [state, *(item for value in state.values() for item in walk(value))]
    return [item for value in state for item in walk(value)] if isinstance(state, list) else []


def altered(data: bytes, field: str, change: Callable[[np.ndarray], None]) -> bytes:
    """The archive with one structured array changed: the first one that has the field."""
    members = unpack(data)
    for name in members:
        if name.endswith(".npy"):
            array = read_array(members[name]).copy()
            if array.dtype.names and field in array.dtype.names:
                change(array[field])
                return pack({**members, name: array_bytes(array)}.items())
    raise AssertionError(f"no array has '{field}'")


def put(value: int) -> Callable[[np.ndarray], None]:
    def change(array: np.ndarray) -> None:
        array[0] = value

    return change


@pytest.mark.parametrize(
    ("model", "field", "value"),
    [
        (samples.forest, "left_child", 10**6),
        (samples.forest, "left_child", -7),
        (samples.forest, "right_child", 0),
        (samples.forest, "feature", 10**6),
        (samples.forest, "feature", -9),
        (samples.boosted, "left", 10**6),
        (samples.boosted, "right", 0),
        (samples.boosted, "feature_idx", 10**6),
        (samples.neighbours, "idx_end", 10**6),
        (samples.neighbours, "idx_start", -5),
        (samples.neighbours, "is_leaf", 0),
    ],
)
def test_a_tree_that_points_outside_itself_is_refused(model: Callable[[], Any], field: str, value: int) -> None:
    data = SklearnSerializer().to_bytes(model())
    SklearnSerializer().from_bytes(altered(data, field, lambda array: None))
    with pytest.raises(Corrupt, match="points outside its"):
        SklearnSerializer().from_bytes(altered(data, field, put(value)))


def test_a_tree_of_another_width_is_refused() -> None:
    forest = samples.forest()
    forest.n_features_in_ = 2
    with pytest.raises(Corrupt, match="features"):
        SklearnSerializer().from_bytes(SklearnSerializer().to_bytes(forest))


def test_a_model_whose_tree_is_of_neighbours_comes_back() -> None:
    from sklearn.neighbors import KernelDensity

    model = KernelDensity().fit(samples.ROWS)
    loaded = SklearnSerializer().from_bytes(SklearnSerializer().to_bytes(model))
    assert loaded.score(samples.ROWS) == model.score(samples.ROWS)
