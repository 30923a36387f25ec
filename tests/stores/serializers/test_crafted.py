"""Archives of trusted types that were crafted: compiled code would follow what they say outside its arrays."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from jeyn.errors import Corrupt
from jeyn.stores.serializers import trees
from jeyn.stores.serializers.archive import pack, unpack
from jeyn.stores.serializers.numpy import array_bytes, read_array
from jeyn.stores.serializers.sklearn import SklearnSerializer
from tests.stores.serializers import blocks, samples
from tests.stores.serializers.mutations import nodes
from tests.stores.serializers.test_sklearn import archive_of, node
from tests.stores.serializers.victims import VICTIMS

pytest.importorskip("sklearn", reason="these are models of scikit-learn")
pytest.importorskip("skops", reason="the sklearn serializer needs skops")


def made(name: str) -> Any:
    return VICTIMS[name][0]()


def setting(path: str, value: Any) -> Callable[[Any], None]:
    """A change of one attribute, or of one item, that is reached from the model by names and places."""

    def change(model: Any) -> None:
        *way, last = path.split(".")
        for step in way:
            model = model[int(step)] if step.isdigit() else getattr(model, step)
        if isinstance(model, (dict, list, np.ndarray)):
            model[last if isinstance(model, dict) else int(last)] = value
        else:
            vars(model)[last] = value

    return change


def wrong_sparse(model: Any) -> None:
    model._fit_X.indices[0] = 10**6


def wrong_generator(model: Any) -> None:
    state = model.random_state.get_state(legacy=False)
    state["state"]["pos"] = 10**6
    model.random_state.set_state(state)


def wide_stages(model: Any) -> None:
    model.estimators_ = np.hstack([model.estimators_] * 4)
    model.n_trees_per_iteration_ = model.estimators_.shape[1]


def category_of_a_number(model: Any) -> None:
    nodes = model._predictors[0][0].nodes
    nodes["is_categorical"][0], nodes["bitset_idx"][0] = 1, 0
    model._predictors[0][0].raw_left_cat_bitsets = np.zeros((1, 8), np.uint32)
    model._predictors[0][0].binned_left_cat_bitsets = np.zeros((1, 8), np.uint32)


CRAFTED: dict[str, tuple[str, Callable[[Any], None]]] = {
    "a sparse index": ("sparse neighbours", wrong_sparse),
    "support vectors that are not there": ("svc", setting("_n_support.0", 10**6)),
    "fewer factors": ("svc", setting("_dual_coef_", np.zeros((1, 1)))),
    "fewer factors of sparse ones": ("svc on sparse", setting("_intercept_", np.zeros(1))),
    "another machine": ("outliers", setting("_impl", "c_svc")),
    "a vote for no class": ("brute", setting("_y.0", 10**6)),
    "more neighbours than rows": ("brute", setting("n_neighbors", 10**6)),
    "narrow rows": ("brute", setting("_fit_X", np.zeros((60, 1)))),
    "narrow centres": ("kmeans", setting("cluster_centers_", np.zeros((3, 1)))),
    "fewer norms than centres": ("birch", setting("_subcluster_norms", np.zeros(1))),
    "a narrow bisection": ("bisecting", setting("_bisecting_tree.left.center", np.zeros(1))),
    "too many threads": ("kmeans", setting("_n_threads", 10**6)),
    "columns of an encoder": ("one hot", setting("_n_features_outs.1", 40)),
    "one feature of an encoder": ("one hot", setting("_n_features_outs", [1])),
    "groups of an encoder": ("one hot", setting("_default_to_infrequent_mappings.0", np.array([9, 0, 0]))),
    "a dropped category": ("one hot", setting("_drop_idx_after_grouping.1", 7)),
    "numbers out of order": ("one hot, unknown", setting("categories_.0", np.array([3.0, 1.0, 2.0]))),
    "a word of no column": ("counts", setting("vocabulary_.cat", 10**6)),
    "a word of a negative column": ("dicts", setting("vocabulary_.a", -5)),
    "a hash of no columns": ("hashed", setting("n_features", 0)),
    "labels twice": ("many labels", setting("classes_", np.array(["a", "a", "b"], dtype=object))),
    "labels of no column": ("many labels", setting("_cached_dict", {"a": 10**6})),
    "a generator's place": ("random state", wrong_generator),
    "stages that are too wide": ("gradient", wide_stages),
    "stages of several outputs": (
        "gradient on sparse",
        setting("estimators_.0", np.array([VICTIMS["tree of two outputs"][0]()], dtype=object)),
    ),
    "a first answer that is too narrow": ("gradient", setting("init_", "zero")),
    "a tree that is none": ("tree", setting("tree_", "a tree")),
    "a tree without a width": ("tree", lambda model: model.__dict__.pop("n_features_in_")),
    "a histogram of binned rows": ("histogram", setting("_in_fit", True)),
    "a histogram of more features": ("histogram", setting("_n_features", 1)),
    "a category of a number": ("histogram", category_of_a_number),
    "features of a bag": ("bagging", setting("estimators_features_.0", np.array([0, 10**6]))),
}
# What is refused for another reason than that it points somewhere.
REASONS = {"a tree without a width": "not whole", "a sparse index": "indices must be < 5"}


@pytest.mark.parametrize("name", CRAFTED)
def test_a_crafted_model_of_trusted_types_is_refused(name: str) -> None:
    victim, change = CRAFTED[name]
    model = made(victim)
    SklearnSerializer().from_bytes(SklearnSerializer().to_bytes(model))
    if victim == "gradient" and name.startswith("a first"):
        model.n_trees_per_iteration_ = 1
    if victim == "counts" or name == "labels of no column":
        model = _loaded(model)
    change(model)
    with pytest.raises(Corrupt, match=REASONS.get(name, "points outside its")):
        SklearnSerializer().from_bytes(SklearnSerializer().to_bytes(model))


def _loaded(model: Any) -> Any:
    return SklearnSerializer().from_bytes(SklearnSerializer().to_bytes(model))


def with_schema(data: bytes, change: Callable[[Any], None]) -> bytes:
    members = unpack(data)
    schema = json.loads(members["schema.json"])
    change(schema)
    return pack({**members, "schema.json": json.dumps(schema).encode()}.items())


CALLED = [
    ("sklearn.utils.validation", "check_array"),
    ("sklearn.cluster._kmeans", "_kmeans_single_lloyd"),
    ("numpy", "clip"),
    ("sklearn.neighbors._kd_tree", "KDTree"),
]


@pytest.mark.parametrize(("module", "name"), CALLED)
@pytest.mark.parametrize("loader", ["ConstructorFromReduceNode", "ListNode", "SetNode", "TupleNode", "LossNode"])
def test_nothing_trusted_is_called_with_what_is_in_an_archive(
    module: str, name: str, loader: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trusted name is no call: each loader makes only what it is for."""
    import importlib

    called: list[Any] = []
    monkeypatch.setattr(importlib.import_module(module), name, lambda *given: called.append(given))
    empty = node("TupleNode", "builtins", "tuple", content=[])
    schema = node(loader, module, name, content=[] if loader != "ConstructorFromReduceNode" else empty)
    if loader == "LossNode":
        schema |= {"__reduce__": {"args": empty}, "content": node("DictNode", "builtins", "dict", content={})}
        schema["content"]["key_types"] = node("ListNode", "builtins", "list", content=[])
    with pytest.raises(Corrupt, match=f"{name}' by a '{loader}"):
        SklearnSerializer().from_bytes(archive_of(schema))
    assert not called


def test_a_key_is_made_by_no_function() -> None:
    def change(schema: Any) -> None:
        keys = next(each for each in nodes(schema) if each["__loader__"] == "DictNode")["key_types"]["content"]
        keys[0] = node("FunctionNode", "sklearn.utils.validation", "check_array")

    with pytest.raises(Corrupt, match="keys"):
        SklearnSerializer().from_bytes(with_schema(SklearnSerializer().to_bytes(samples.pipeline()), change))


def test_a_function_of_scikit_learn_itself_is_no_step_of_a_model() -> None:
    from sklearn.cluster._kmeans import _kmeans_single_lloyd
    from sklearn.preprocessing import FunctionTransformer

    with pytest.raises(Corrupt, match="where it does not belong"):
        SklearnSerializer().from_bytes(SklearnSerializer().to_bytes(FunctionTransformer(_kmeans_single_lloyd)))
    SklearnSerializer(["sklearn.cluster._kmeans._kmeans_single_lloyd"])


def test_two_objects_under_one_number_are_refused() -> None:
    def change(schema: Any) -> None:
        found = [each for each in nodes(schema) if each["__loader__"] == "NdArrayNode"]
        found[0]["__id__"] = found[1]["__id__"] = 7

    with pytest.raises(Corrupt, match="two objects under one number"):
        SklearnSerializer().from_bytes(with_schema(SklearnSerializer().to_bytes(samples.pipeline()), change))


def test_another_protocol_is_refused() -> None:
    with pytest.raises(Corrupt, match="protocol 1"):
        SklearnSerializer().from_bytes(
            with_schema(SklearnSerializer().to_bytes(samples.pipeline()), lambda schema: schema.update(protocol=1))
        )


@pytest.mark.parametrize("counts", [("3", "2"), ("3", "0"), ("3", "-1"), ("3", "1000000"), ('"3"', "1")])
def test_a_tree_is_not_made_of_other_outputs_than_classes(counts: tuple[str, str]) -> None:
    """Its constructor reads as many numbers of classes as it is told that there are outputs."""

    def change(schema: Any) -> None:
        args = next(each for each in nodes(schema) if each["__loader__"] == "TreeNode")["__reduce__"]["args"]["content"]
        args[0]["content"], args[2]["content"] = counts

    with pytest.raises(Corrupt, match="tree of"):
        SklearnSerializer().from_bytes(with_schema(SklearnSerializer().to_bytes(made("tree")), change))


def _tree_state(schema: Any) -> Any:
    return next(each for each in nodes(schema) if each["__loader__"] == "TreeNode")["content"]["content"]


def _other_values(schema: Any) -> None:
    state = _tree_state(schema)
    state["nodes"]["file"] = state["values"]["file"]


@pytest.mark.parametrize(
    ("reason", "change"),
    [
        ("no nodes", _other_values),
        ("other nodes", lambda schema: _tree_state(schema)["node_count"].update(content="1")),
        ("no array", lambda schema: _tree_state(schema)["values"].update(__class__="float64")),
        ("outside its depth", lambda schema: _tree_state(schema)["max_depth"].update(content="1")),
    ],
)
def test_a_tree_is_as_large_and_as_deep_as_it_says(reason: str, change: Callable[[Any], None]) -> None:
    with pytest.raises(Corrupt, match=reason):
        SklearnSerializer().from_bytes(with_schema(SklearnSerializer().to_bytes(made("tree")), change))


@pytest.mark.parametrize("name", ["KDTree", "EuclideanDistance64"])
def test_a_state_that_is_taken_by_place_has_all_its_places(name: str) -> None:
    def change(schema: Any) -> None:
        del next(each for each in nodes(schema) if each["__class__"] == name)["content"]["content"][-1]

    with pytest.raises(Corrupt, match="short"):
        SklearnSerializer().from_bytes(with_schema(SklearnSerializer().to_bytes(made("kd tree")), change))


def test_what_a_small_sparse_part_inflates_to_is_not_read() -> None:
    members = unpack(SklearnSerializer().to_bytes(samples.sparse()))
    name = next(name for name in members if name.endswith(".npz"))
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for inner, data in unpack(members[name]).items():
            archive.writestr(inner, array_bytes(np.zeros(10**7)) if inner == "data.npy" else data)
    with pytest.raises(Corrupt, match="compressed"):
        SklearnSerializer().from_bytes(pack({**members, name: stream.getvalue()}.items()))


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_a_header_claims_no_more_than_there_is(version: tuple[int, int]) -> None:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.zeros(10**3), version=version)
    data = stream.getvalue()
    assert read_array(data).shape == (1000,)
    with pytest.raises(Corrupt, match="does not fit its"):
        read_array(data.replace(b"(1000,)", b"(10**9,)".replace(b"10**9", b"9999")))


def test_members_that_share_their_bytes_are_refused() -> None:
    """Few bytes that many members point at would be many bytes."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("0", bytes(100_000))
        for number in range(1, 50):
            entry = zipfile.ZipInfo(str(number))
            entry.file_size = entry.compress_size = 100_000
            entry.CRC, entry.header_offset = archive.filelist[0].CRC, 0
            archive.filelist.append(entry)
            archive.NameToInfo[entry.filename] = entry
        archive._didModify = True  # type: ignore[attr-defined]
    with pytest.raises(Corrupt, match="larger than itself"):
        unpack(stream.getvalue())


def test_a_part_behind_a_partial_is_looked_at() -> None:
    from functools import partial

    from sklearn.preprocessing import FunctionTransformer

    forest = samples.forest()
    forest.n_features_in_ = 2
    model = FunctionTransformer(partial(np.clip, forest))
    with pytest.raises(Corrupt, match="features"):
        SklearnSerializer().from_bytes(SklearnSerializer().to_bytes(model))


LIGHTGBM = [
    (r"left_child=-1", "left_child=0"),
    (r"left_child=-1", "left_child=-9"),
    (r"left_child=-1", "left_child=700"),
    (r"split_feature=0", "split_feature=99"),
    (r"num_leaves=2", "num_leaves=3"),
    (r"num_cat=0", "num_cat=1"),
    (r"decision_type=2", "decision_type=1"),
    (r"max_feature_idx=2", "max_feature_idx=-1"),
    (r"num_class=1", "num_class=9"),
    (r"num_tree_per_iteration=1", "num_tree_per_iteration=4"),
    (r"tree_sizes=", "tree_sizes=9"),
]


@pytest.mark.parametrize(("found", "written"), LIGHTGBM)
def test_a_crafted_text_of_lightgbm_is_refused(found: str, written: str) -> None:
    pytest.importorskip("lightgbm", reason="it reads the text")
    from jeyn.stores.serializers.boosted import LightGBMSerializer

    members = unpack(LightGBMSerializer().to_bytes(blocks.booster()))
    text = members["trees"].decode()
    assert found in text
    with pytest.raises(Corrupt):
        LightGBMSerializer().from_bytes(pack({**members, "trees": text.replace(found, written, 1).encode()}.items()))


XGBOOST = [
    ("left_children", 0, 0),
    ("left_children", 0, 2**30),
    ("right_children", 0, -5),
    ("split_indices", 0, 2**20),
    ("tree_info", 0, 77),
]


@pytest.mark.parametrize(("name", "place", "value"), XGBOOST)
def test_a_crafted_model_of_xgboost_is_refused(name: str, place: int, value: int) -> None:
    xgboost = pytest.importorskip("xgboost", reason="it reads the model")
    from jeyn.stores.serializers.boosted import XGBoostSerializer
    from jeyn.stores.serializers.ubjson import read_ubjson

    members = unpack(XGBoostSerializer().to_bytes(blocks.xgboost_booster()))
    assert xgboost.Booster
    data = bytearray(members["trees"])
    array = read_ubjson(bytes(data))["learner"]["gradient_booster"]["model"]
    array = array[name] if name in array else array["trees"][0][name]
    at = bytes(data).index(name.encode())
    start = bytes(data).index(np.asarray(array, ">i4").tobytes(), at)
    data[start + 4 * place : start + 4 * place + 4] = np.array(value, ">i4").tobytes()
    with pytest.raises(Corrupt, match="points outside its"):
        XGBoostSerializer().from_bytes(pack({**members, "trees": bytes(data)}.items()))


def test_a_distribution_is_made_of_numbers_only() -> None:
    from sklearn.linear_model import Ridge

    from jeyn.stores.serializers.parts import Distribution

    model = Ridge()
    model.alpha = Distribution("norm", (samples.pipeline(),), {})
    with pytest.raises(Corrupt, match="more than numbers"):
        SklearnSerializer().from_bytes(SklearnSerializer().to_bytes(model))


@pytest.mark.parametrize(("place", "value"), [(0, 10**6), (0, 0), (-1, 1)])
def test_nodes_of_a_birch_that_are_no_tree_are_refused(place: int, value: int) -> None:
    from jeyn.stores.serializers.birch import put_together, taken_apart

    parts = taken_apart(_made_birch())
    assert len(parts.nodes) > 2 and put_together(parts).root_.subclusters_
    parts.nodes[place]["in"][0]["child"] = value
    with pytest.raises(Corrupt, match="no tree"):
        put_together(parts)


def _made_birch() -> Any:
    from sklearn.cluster import Birch

    return Birch(threshold=0.3, branching_factor=5).fit(samples.ROWS)


def test_a_module_of_torch_is_not_built_larger_than_its_bytes() -> None:
    """Its arguments stand beside the tensors; 10^6 by 10^6 weights would be 4 TB."""
    pytest.importorskip("torch", reason="it builds modules")
    from jeyn.errors import Incompatible
    from jeyn.stores.serializers.torch import TorchModuleSerializer

    data = TorchModuleSerializer().to_bytes(samples.perceptron())
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    about = json.loads(header["__metadata__"]["jeyn"])
    about["arguments"] = json.dumps({"inputs": 10**6, "hidden": 10**6})
    header["__metadata__"]["jeyn"] = json.dumps(about)
    changed = json.dumps(header).encode()
    with pytest.raises(Incompatible, match="other tensors than the artefact"):
        TorchModuleSerializer().from_bytes(len(changed).to_bytes(8, "little") + changed + data[8 + length :])


def test_what_a_leaf_says_of_a_right_child_leads_nowhere() -> None:
    """The walk of the check itself ended never, where a leaf named the root."""
    assert trees._depth(np.array([1, -1, -1]), np.array([2, 0, 0])) == 1
