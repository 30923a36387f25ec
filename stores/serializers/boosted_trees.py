"""Checks of LightGBM's and XGBoost's own formats before their libraries read them, which follow what they are told.

LightGBM's text: https://lightgbm.readthedocs.io (`Tree::ToString`). XGBoost's: its `model.schema`, in UBJSON.
"""

from __future__ import annotations

import json
import re
from typing import Any

from jeyn.stores.serializers.bounds import require, require_within
from jeyn.stores.serializers.ubjson import read_ubjson

_TREE_SIZES = "tree_sizes"
_INTEGER = re.compile(r"-?[0-9]{1,10}")
_CATEGORICAL = 1
# XGBoost's own bound of a category, and of what all sets of categories may take, in bits.
_MOST_CATEGORIES = 1 << 24
_MOST_BITS = 1 << 30

Lines = dict[str, str]


def check_lightgbm(text: str) -> None:
    """Corrupt unless each tree of the text has the sizes that it declares and points inside itself."""
    require("\r" not in text and "\0" not in text, "lines")
    head, _, _ = text.partition("\n\n")
    header = _lines(head.removeprefix("tree\n"))
    features = _whole(header, "max_feature_idx") + 1
    classes, together = _whole(header, "num_class"), _whole(header, "num_tree_per_iteration")
    require(features > 0 and classes > 0 and together == classes, "classes")
    for name in ("feature_names", "feature_infos"):
        require(len(header[name].split(" ")) == features, "features")
    told = [int(each) for each in re.findall(r"num_class:([0-9]{1,9})", header.get("objective", ""))]
    require(all(each == classes for each in told), "classes")
    trees = _trees(text, len(head) + 2, _integers(header, _TREE_SIZES))
    require(len(trees) % together == 0, "trees")
    for tree in trees:
        _check_lightgbm_tree(tree, features)


def _trees(text: str, start: int, sizes: list[int]) -> list[Lines]:
    """LightGBM jumps by the sizes that the header gives; in bytes, which are characters but for names of features."""
    data, found = text.encode(), []
    place = len(text[:start].encode())
    for number, size in enumerate(sizes):
        piece = data[place : place + size].decode()
        require(size > 0 and piece.startswith(f"Tree={number}\n") and "\n\n" not in piece.rstrip("\n"), "trees")
        found.append(_lines(piece.rstrip("\n")))
        place += size
    require(data[place:].lstrip(b"\n").startswith(b"end of trees"), "trees")
    return found


def _lines(text: str) -> Lines:
    found: Lines = {}
    for line in text.split("\n"):
        name, separator, value = line.partition("=")
        require(name not in found, "lines")
        found[name] = value if separator else ""
    return found


def _check_lightgbm_tree(tree: Lines, features: int) -> None:
    leaves, sets = _whole(tree, "num_leaves"), _whole(tree, "num_cat")
    require(leaves > 0 and sets >= 0, "leaves")
    require(len(_numbers(tree, "leaf_value")) == leaves, "leaves")
    for name in ("leaf_weight", "leaf_count"):
        require(len(_numbers(tree, name)) in (0, leaves), "leaves")
    for name in ("split_gain", "internal_value", "internal_weight", "internal_count"):
        require(len(_numbers(tree, name)) in (0, leaves - 1), "nodes")
    if leaves > 1:
        _check_splits(tree, leaves, sets, features)
    if tree.get("is_linear", "0").strip() != "0":
        _check_linear(tree, leaves, features)


def _check_splits(tree: Lines, leaves: int, sets: int, features: int) -> None:
    inner = leaves - 1
    chosen, kinds, thresholds = (
        _integers(tree, "split_feature"),
        _integers(tree, "decision_type"),
        _numbers(tree, "threshold"),
    )
    require(len(chosen) == len(kinds) == len(thresholds) == inner, "nodes")
    require_within(chosen, features, "features")
    for name in ("left_child", "right_child"):
        children = _integers(tree, name)
        require(len(children) == inner, "nodes")
        # A node comes before its children, so no walk goes round; a leaf is the complement of its number.
        require(
            all((place < child < inner) or (child < 0 and ~child < leaves) for place, child in enumerate(children)),
            "nodes",
        )
    by_set = [threshold for kind, threshold in zip(kinds, thresholds, strict=True) if kind & _CATEGORICAL]
    if sets == 0:
        require(not by_set, "category sets")
        return
    require(all(number.is_integer() and 0 <= number < sets for number in by_set), "category sets")
    ends = _integers(tree, "cat_boundaries")
    require(len(ends) == sets + 1 and ends[0] == 0 and ends == sorted(ends), "category sets")
    require(len(_numbers(tree, "cat_threshold")) == ends[-1], "category sets")


def _check_linear(tree: Lines, leaves: int, features: int) -> None:
    counts = _integers(tree, "num_features")
    require(len(counts) == len(_numbers(tree, "leaf_const")) == leaves and min(counts) >= 0, "leaves")
    chosen = _integers(tree, "leaf_features")
    require(len(chosen) == len(_numbers(tree, "leaf_coeff")) == sum(counts), "leaves")
    require_within(chosen, features, "features")


def _whole(lines: Lines, name: str) -> int:
    (number,) = _integers(lines, name)
    return number


def _integers(lines: Lines, name: str) -> list[int]:
    found = lines.get(name, "").split()
    require(all(_INTEGER.fullmatch(each) for each in found), "numbers")
    return [int(each) for each in found]


def _numbers(lines: Lines, name: str) -> list[float]:
    return [float(each) for each in lines.get(name, "").split()]


def check_xgboost(data: bytes) -> None:
    """Corrupt unless each tree has the sizes that it declares and points inside itself."""
    learner = read_ubjson(data)["learner"]
    about = learner["learner_model_param"]
    features = int(about["num_feature"])
    groups = max(1, int(about["num_class"]), int(about.get("num_target", 1)))
    require(0 <= features < 2**31 and groups < 2**20, "features")
    # Before XGBoost 3 one number, then one or as many as there are outputs.
    scores = json.loads(about["base_score"])
    require(not isinstance(scores, list) or len(scores) in (1, groups), "classes")
    booster = learner["gradient_booster"]
    name = booster["name"]
    require(name in ("gbtree", "dart", "gblinear"), "trees")
    if name == "gblinear":
        require(len(booster["model"]["weights"]) == (features + 1) * groups, "features")
        return
    model = (booster["gbtree"] if name == "dart" else booster)["model"]
    trees = model["trees"]
    require(name != "dart" or len(booster["weight_drop"]) == len(trees), "trees")
    _check_forest(model, trees, groups)
    bits = sum(_check_xgboost_tree(tree, features) for tree in trees)
    require(bits <= _MOST_BITS, "category sets")


def _check_forest(model: dict[str, Any], trees: list[Any], groups: int) -> None:
    about = model["gbtree_model_param"]
    require(int(about["num_trees"]) == len(trees) == len(model["tree_info"]), "trees")
    require(0 < int(about.get("num_parallel_tree", 1)) <= max(1, len(trees)), "trees")
    require_within(list(model["tree_info"]), groups, "classes")
    ends = list(model.get("iteration_indptr", []))
    require(not ends or (ends[0] == 0 and ends == sorted(ends) and ends[-1] == len(trees)), "trees")
    require([int(tree["id"]) for tree in trees] == list(range(len(trees))), "trees")


def _check_xgboost_tree(tree: dict[str, Any], features: int) -> int:
    """How many bits its sets of categories take."""
    import numpy as np

    about = tree["tree_param"]
    nodes, wide = int(about["num_nodes"]), int(about.get("size_leaf_vector", 1))
    require(nodes > 0 and int(about["num_feature"]) <= max(features, 0) and wide < 2**20, "nodes")
    left, right = (np.asarray(tree[name], np.int64) for name in ("left_children", "right_children"))
    for name in ("left_children", "right_children", "split_indices", "split_conditions", "default_left", "parents"):
        require(len(tree[name]) == nodes, "nodes")
    if wide <= 1:
        require(all(len(tree[name]) == nodes for name in ("base_weights", "sum_hessian", "loss_changes")), "nodes")
    require(len(tree.get("split_type", [])) in (0, nodes), "nodes")
    require(bool(((left == -1) == (right == -1)).all()), "nodes")
    children = np.concatenate([left[left != -1], right[right != -1]])
    require_within(children, nodes, "nodes")
    # Each node has one parent and the root none, so no walk goes round.
    require(len(np.unique(children)) == len(children) and not (children == 0).any(), "nodes")
    inner = np.asarray(tree["split_indices"], np.int64)[left != -1]
    require_within(inner, features, "features")
    return _check_categories(tree, nodes)


def _check_categories(tree: dict[str, Any], nodes: int) -> int:
    categories = list(tree.get("categories", []))
    starts, sizes = list(tree.get("categories_segments", [])), list(tree.get("categories_sizes", []))
    places = list(tree.get("categories_nodes", []))
    require(len(starts) == len(sizes) == len(places) and places == sorted(set(places)), "category sets")
    require_within(places, nodes, "nodes")
    require_within(categories, _MOST_CATEGORIES, "category sets")
    bits = 0
    for start, size in zip(starts, sizes, strict=True):
        require(start >= 0 and size > 0 and start + size <= len(categories), "category sets")
        bits += int(max(categories[start : start + size])) + 1
    return bits
