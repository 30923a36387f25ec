"""Checks of clusterings: each centre has as many numbers as a row."""

from __future__ import annotations

from typing import Any

from jeyn.stores.serializers.bounds import array_of, require, whole


def _check_centres(model: Any) -> None:
    held = vars(model)
    if "cluster_centers_" in held:
        centres = array_of(held["cluster_centers_"], 2, "f", "features")
        require(len(centres) > 0 and centres.shape[1] == whole(held["n_features_in_"], "features"), "features")


def _check_birch(model: Any) -> None:
    """The distance to a centre is computed from a norm that is kept for each."""
    held = vars(model)
    if "subcluster_centers_" in held:
        centres = array_of(held["subcluster_centers_"], 2, "f", "features")
        require(centres.shape[1] == whole(held["n_features_in_"], "features"), "features")
        require(array_of(held["_subcluster_norms"], 1, "f", "clusters").size == len(centres), "clusters")


def _check_bisections(model: Any) -> None:
    held = vars(model)
    seen: set[int] = set()
    waiting = [held.get("_bisecting_tree")]
    while waiting:
        node = waiting.pop()
        if node is None or id(node) in seen:
            require(node is None, "clusters")
            continue
        seen.add(id(node))
        inner = vars(node)
        require(array_of(inner["center"], 1, "f", "features").size == held["n_features_in_"], "features")
        waiting += [inner.get("left"), inner.get("right")]


def _check_single_linkage(model: Any) -> None:
    """Row i joins two of the rows and of the clusters before it."""
    held = vars(model)
    if "_single_linkage_tree_" in held:
        links = held["_single_linkage_tree_"]
        for name in ("left_node", "right_node"):
            places = links[name]
            require(bool((places >= 0).all() and (places <= len(links) + _range(len(links))).all()), "clusters")


def _range(count: int) -> Any:
    import numpy as np

    return np.arange(count)


ESTIMATORS = {
    "sklearn.cluster._kmeans._BaseKMeans": _check_centres,
    "sklearn.cluster._birch.Birch": _check_birch,
    "sklearn.cluster._bisect_k_means.BisectingKMeans": _check_bisections,
    "sklearn.cluster._hdbscan.hdbscan.HDBSCAN": _check_single_linkage,
}
