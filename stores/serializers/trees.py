"""The bounds check of trees and splines that were loaded: compiled code follows their indices without looking.

A crafted archive of trusted types could otherwise make `predict` read outside an array
(https://github.com/scikit-learn/scikit-learn/pull/34558).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from jeyn.errors import Corrupt
from jeyn.sdk.serializer import class_name, class_names

_LEAF = -1
_TREE = "sklearn.tree._tree.Tree"


def check_trees(model: Any) -> None:
    """Corrupt when a tree or spline below `model` points outside its nodes, its rows, its features or its knots."""
    for part in _parts(model, set()):
        check = _CHECKS.get(class_name(type(part)))
        if check is not None:
            check(part)
        if class_name(type(getattr(part, "tree_", None))) == _TREE:
            _require(part.tree_.n_features == part.n_features_in_, "features")
        if hasattr(part, "estimators_") and _UNCHECKED.intersection(class_names(type(part))):
            _check_members(part)
        if hasattr(part, "_predictors"):
            _check_predictor_features(part)


def _parts(value: Any, seen: set[int]) -> Iterator[Any]:
    """What a model holds, through attributes, containers and arrays of objects."""
    if isinstance(value, (str, bytes, int, float, type, type(None))) or id(value) in seen:
        return
    seen.add(id(value))
    yield value
    for inner in _inner(value):
        yield from _parts(inner, seen)


def _inner(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    if isinstance(value, (list, tuple, set)):
        return list(value)
    if class_name(type(value)) == "numpy.ndarray":
        return list(value.ravel()) if value.dtype.hasobject else []
    return list(getattr(value, "__dict__", {}).values())


def _check_tree(tree: Any) -> None:
    left, right, feature = tree.children_left, tree.children_right, tree.feature
    inner = left != _LEAF
    _require(tree.node_count > 0, "nodes")
    _require_children(left[inner], right[inner], inner, tree.node_count)
    _require_within(feature[inner], tree.n_features, "features")


def _check_predictor(predictor: Any) -> None:
    nodes = predictor.nodes
    inner = nodes["is_leaf"] == 0
    _require(len(nodes) > 0, "nodes")
    _require_children(nodes["left"][inner], nodes["right"][inner], inner, len(nodes))
    categorical = nodes["bitset_idx"][inner & (nodes["is_categorical"] != 0)]
    _require_within(categorical, len(predictor.raw_left_cat_bitsets), "category sets")
    _require_within(categorical, len(predictor.binned_left_cat_bitsets), "category sets")


def _check_predictor_features(model: Any) -> None:
    for predictor in _parts(model._predictors, set()):
        if class_name(type(predictor)) in _CHECKS:
            inner = predictor.nodes["is_leaf"] == 0
            _require_within(predictor.nodes["feature_idx"][inner], model.n_features_in_, "features")


def _check_neighbours(tree: Any) -> None:
    import numpy as np

    data, rows, nodes, bounds = map(np.asarray, tree.get_arrays())
    _require_within(rows, len(data), "rows")
    _require(len(rows) == len(data) and bounds.shape[1] == len(nodes), "rows")
    _require_within(nodes["idx_start"], len(data) + 1, "rows")
    _require_within(nodes["idx_end"], len(data) + 1, "rows")
    for metric in tree.__getstate__():
        _check_distance(metric, data.shape[1])
    last_child = (nodes["is_leaf"] == 0).nonzero()[0] * 2 + 2
    _require_within(last_child, len(nodes), "nodes")


def _check_distance(metric: Any, features: int) -> None:
    """These read as many numbers of each row as they were made for."""
    import numpy as np

    name = type(metric).__name__
    if name == "HaversineDistance64":
        _require(features == 2, "features")
    elif name == "MinkowskiDistance64":
        weights = np.asarray(metric.__getstate__()[1])
        _require(weights.size <= 1 or weights.size == features, "features")


def _check_spline(spline: Any) -> None:
    """As the constructor of BSpline would, which setting attributes leaves out."""
    import numpy as np

    held = vars(spline)
    knots, factors, degree = held.get("_t", held.get("t")), held.get("_c", held.get("c")), held["k"]
    _require(type(degree) is int and 0 <= degree <= 1000 and type(held["axis"]) is int, "knots")
    for array in (knots, factors):
        _require(
            isinstance(array, np.ndarray) and array.dtype.kind in "fc" and array.dtype.itemsize in (8, 16), "knots"
        )
    _require(knots.ndim == 1 and knots.dtype.kind == "f" and factors.ndim >= 1, "knots")
    _require(-factors.ndim <= held["axis"] < factors.ndim, "knots")
    _require(bool(np.isfinite(knots).all() and (np.diff(knots) >= 0).all()), "knots")
    _require(len(knots) - degree - 1 > 0 and factors.shape[0] >= len(knots) - degree - 1, "knots")


def _check_members(ensemble: Any) -> None:
    """These ensembles hand rows to their trees without checking the number of columns again."""
    members = ensemble.estimators_
    trees = members.ravel() if hasattr(members, "ravel") else members
    for tree in trees:
        _require(tree.n_features_in_ <= ensemble.n_features_in_, "features")
    for tree, features in zip(trees, getattr(ensemble, "estimators_features_", ()), strict=False):
        _require(tree.n_features_in_ == len(features), "features")


def _require_children(left: Any, right: Any, inner: Any, count: int) -> None:
    parents = inner.nonzero()[0]
    for children in (left, right):
        _require_within(children, count, "nodes")
        # Builders add a child after its parent, so this also rules out a walk that never ends.
        _require(bool((children > parents).all()), "nodes")


def _require_within(indices: Any, count: int, what: str) -> None:
    import numpy as np

    values = np.asarray(indices)
    _require(values.size == 0 or (int(values.min()) >= 0 and int(values.max()) < count), what)


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise Corrupt(
            f"a tree or spline in this model points outside its {what}", hint="the archive was altered; save it again"
        )


_UNCHECKED = {
    "sklearn.ensemble._forest.BaseForest",
    "sklearn.ensemble._gb.BaseGradientBoosting",
    "sklearn.ensemble._bagging.BaseBagging",
}
_CHECKS = {
    _TREE: _check_tree,
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor": _check_predictor,
    "sklearn.neighbors._kd_tree.KDTree": _check_neighbours,
    "sklearn.neighbors._ball_tree.BallTree": _check_neighbours,
    "scipy.interpolate._bsplines.BSpline": _check_spline,
}
