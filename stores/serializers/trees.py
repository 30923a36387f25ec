"""Checks of trees and of ensembles of them, and of splines: their children, features, category sets and knots."""

from __future__ import annotations

from typing import Any

from jeyn.sdk.serializer import class_name, class_names
from jeyn.stores.serializers.bounds import array_of, require, require_within, whole

_LEAF = -1
_TREE = "sklearn.tree._tree.Tree"
_PREDICTOR = "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"
_WORDS_OF_A_SET = 8


def _check_tree(tree: Any) -> None:
    left, right, feature = tree.children_left, tree.children_right, tree.feature
    inner = left != _LEAF
    require(tree.node_count > 0, "nodes")
    _require_children(left[inner], right[inner], inner, tree.node_count)
    require_within(feature[inner], tree.n_features, "features")
    # The path of a row is written into as many places as the deepest leaf is said to have before it.
    require(_depth(left, right) <= tree.max_depth, "depth")


def _depth(left: Any, right: Any) -> int:
    import numpy as np

    depth, level = -1, np.zeros(1, np.intp)
    while level.size:
        depth += 1
        inner = level[left[level] != _LEAF]  # what a leaf says of its right child is read by nobody
        level = np.unique(np.concatenate([left[inner], right[inner]]))
    return depth


def _check_tree_model(model: Any) -> None:
    if "tree_" in vars(model):
        require(class_name(type(model.tree_)) == _TREE, "nodes")
        require(model.tree_.n_features == whole(vars(model)["n_features_in_"], "features"), "features")


def _check_members(ensemble: Any) -> None:
    """These ensembles hand rows to their trees without checking the number of columns again."""
    held = vars(ensemble)
    if "estimators_" not in held:
        return
    features = whole(held["n_features_in_"], "features")
    members = held["estimators_"]
    trees = list(members.ravel()) if class_name(type(members)) == "numpy.ndarray" else list(members)
    for tree in trees:
        require(whole(vars(tree)["n_features_in_"], "features") <= features, "features")
    for tree, chosen in zip(trees, held.get("estimators_features_", ()), strict=False):
        require(tree.n_features_in_ == len(chosen), "features")
        require_within(chosen, features, "features")


def _check_gradients(model: Any) -> None:
    _check_members(model)
    _check_stages(model)


def _check_stages(model: Any) -> None:
    """Each stage adds to as many columns as it has trees; the first prediction says how many there are."""
    import numpy as np

    held = vars(model)
    if "estimators_" not in held:
        return
    stages = array_of(held["estimators_"], 2, "O", "trees")
    for member in stages.ravel():
        require("sklearn.tree._classes.BaseDecisionTree" in class_names(type(member)), "trees")
        tree = vars(member)["tree_"]
        require(tree.n_outputs == 1 and tree.max_n_classes == 1, "classes")
    require(stages.size > 0 and stages.shape[1] == whole(held["n_trees_per_iteration_"], "classes"), "classes")
    row = np.zeros((1, held["n_features_in_"]), np.float32)
    require(model._raw_predict_init(row).shape == (1, stages.shape[1]), "classes")


def _check_predictor(predictor: Any) -> None:
    held = vars(predictor)
    nodes = held["nodes"]
    require(len(nodes) > 0, "nodes")
    inner = nodes["is_leaf"] == 0
    _require_children(nodes["left"][inner], nodes["right"][inner], inner, len(nodes))
    categorical = nodes["bitset_idx"][inner & (nodes["is_categorical"] != 0)]
    for name in ("raw_left_cat_bitsets", "binned_left_cat_bitsets"):
        sets = array_of(held[name], 2, "u", "category sets")
        require(sets.shape[1] == _WORDS_OF_A_SET, "category sets")
        require_within(categorical, len(sets), "category sets")


def _check_histogram(model: Any) -> None:
    held = vars(model)
    if "_predictors" not in held:
        return
    require(not held.get("_in_fit"), "features")
    features = whole(held["_n_features"], "features")
    mapper = held["_bin_mapper"]
    require(class_name(type(mapper)) == "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper", "categories")
    is_categorical = vars(mapper)["is_categorical_"]
    require(array_of(is_categorical, 1, "ub", "categories").size == features, "categories")
    for predictor in (each for stage in held["_predictors"] for each in stage):
        require(class_name(type(predictor)) == _PREDICTOR, "nodes")
        nodes = vars(predictor)["nodes"]
        inner = nodes["is_leaf"] == 0
        require_within(nodes["feature_idx"][inner], features, "features")
        by_category = nodes["feature_idx"][inner & (nodes["is_categorical"] != 0)]
        require(bool((is_categorical[by_category] != 0).all()), "categories")


def _check_spline(spline: Any) -> None:
    """As the constructor of BSpline would, which setting attributes leaves out."""
    import numpy as np

    held = vars(spline)
    knots, factors, degree = held.get("_t", held.get("t")), held.get("_c", held.get("c")), held["k"]
    require(type(degree) is int and 0 <= degree <= 1000 and type(held["axis"]) is int, "knots")
    for array in (knots, factors):
        require(isinstance(array, np.ndarray) and array.dtype.kind in "fc" and array.dtype.itemsize in (8, 16), "knots")
    require(knots.ndim == 1 and knots.dtype.kind == "f" and factors.ndim >= 1, "knots")
    require(-factors.ndim <= held["axis"] < factors.ndim, "knots")
    require(bool(np.isfinite(knots).all() and (np.diff(knots) >= 0).all()), "knots")
    require(len(knots) - degree - 1 > 0 and factors.shape[0] >= len(knots) - degree - 1, "knots")


def _require_children(left: Any, right: Any, inner: Any, count: int) -> None:
    parents = inner.nonzero()[0]
    for children in (left, right):
        require_within(children, count, "nodes")
        # Builders add a child after its parent, so this also rules out a walk that never ends.
        require(bool((children > parents).all()), "nodes")


EXACT = {
    _TREE: _check_tree,
    _PREDICTOR: _check_predictor,
    "scipy.interpolate._bsplines.BSpline": _check_spline,
}
ESTIMATORS = {
    "sklearn.tree._classes.BaseDecisionTree": _check_tree_model,
    "sklearn.ensemble._forest.BaseForest": _check_members,
    "sklearn.ensemble._bagging.BaseBagging": _check_members,
    "sklearn.ensemble._gb.BaseGradientBoosting": _check_gradients,
    "sklearn.ensemble._hist_gradient_boosting.gradient_boosting.BaseHistGradientBoosting": _check_histogram,
}
