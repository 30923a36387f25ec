"""Checks of trees of neighbours and of the models that ask them: rows, features, bounds and classes."""

from __future__ import annotations

from typing import Any

from jeyn.sdk.serializer import class_name
from jeyn.stores.serializers.bounds import array_of, require, require_within, whole

_KD, _BALL = "sklearn.neighbors._kd_tree.KDTree", "sklearn.neighbors._ball_tree.BallTree"
_DISTANCES = "sklearn.metrics._dist_metrics."


def _check_tree(tree: Any) -> None:
    import numpy as np

    data, rows, nodes, bounds = map(np.asarray, tree.get_arrays())
    levels, count, metric, weights = (tree.__getstate__()[place] for place in (5, 6, 11, 12))
    require_within(rows, len(data), "rows")
    require(len(rows) == len(data) and count == len(nodes), "rows")
    corners = 2 if class_name(type(tree)) == _KD else 1
    require(bounds.shape == (corners, len(nodes), data.shape[1]), "rows")
    require(0 <= levels < 64 and len(nodes) >= 2**levels - 1, "nodes")
    require_within(nodes["idx_start"], len(data) + 1, "rows")
    require_within(nodes["idx_end"], len(data) + 1, "rows")
    require(weights is None or len(weights) == len(data), "rows")
    _check_distance(metric, data.shape[1])
    last_child = (nodes["is_leaf"] == 0).nonzero()[0] * 2 + 2
    require_within(last_child, len(nodes), "nodes")


def _check_distance(metric: Any, features: int) -> None:
    """These read as many numbers of each row as they were made for."""
    import numpy as np

    name = class_name(type(metric))
    require(name.startswith(_DISTANCES), "features")
    if name == f"{_DISTANCES}HaversineDistance64":
        require(features == 2, "features")
    elif name == f"{_DISTANCES}MinkowskiDistance64":
        weights = np.asarray(metric.__getstate__()[1])
        require(weights.size <= 1 or weights.size == features, "features")


def _check_neighbours(model: Any) -> None:
    held = vars(model)
    if "_fit_X" not in held:
        return
    rows, features = held["_fit_X"].shape
    require(rows == whole(held["n_samples_fit_"], "rows", most=2**62), "rows")
    require(features == whole(held["n_features_in_"], "features"), "features")
    tree = held.get("_tree")
    if tree is not None:
        require(class_name(type(tree)) in (_KD, _BALL), "rows")
        require(tree.data.shape == (rows, features), "rows")


def _check_classes(model: Any) -> None:
    """Compiled code counts a vote for the class that each row names."""
    held = vars(model)
    if "_y" not in held or "classes_" not in held:
        return
    targets = held["_y"]
    several = isinstance(held["classes_"], list)
    array_of(targets, 2 if several else 1, "iu", "classes")
    require(len(targets) == held["n_samples_fit_"], "rows")
    for place, classes in enumerate(held["classes_"] if several else [held["classes_"]]):
        require_within(targets[:, place] if several else targets, len(classes), "classes")
    require(several == bool(held["outputs_2d_"]) or held["outputs_2d_"], "classes")
    if held.get("_fit_method") == "brute" and held.get("n_neighbors") is not None:
        whole(held["n_neighbors"], "rows", least=1, most=held["n_samples_fit_"])


def _check_density(model: Any) -> None:
    if "tree_" in vars(model):
        require(class_name(type(model.tree_)) in (_KD, _BALL), "rows")
        require(model.tree_.data.shape[1] == whole(vars(model)["n_features_in_"], "features"), "features")


EXACT = {_KD: _check_tree, _BALL: _check_tree}
ESTIMATORS = {
    "sklearn.neighbors._base.NeighborsBase": _check_neighbours,
    "sklearn.neighbors._classification.KNeighborsClassifier": _check_classes,
    "sklearn.neighbors._classification.RadiusNeighborsClassifier": _check_classes,
    "sklearn.neighbors._kde.KernelDensity": _check_density,
}
