"""A Birch clustering for an archive: its tree of clusters, whose nodes point at each other, as a flat list.

`predict` asks the centres alone; `partial_fit` goes on from the tree, so all of it is kept
(https://scikit-learn.org/stable/modules/clustering.html#birch).
"""

from __future__ import annotations

import itertools
from typing import Any

from jeyn.errors import Corrupt

BIRCH = "sklearn.cluster._birch.Birch"
_TREE = ("root_", "dummy_leaf_")
_NODE = ("threshold", "branching_factor", "is_leaf", "n_features")
_CLUSTER = ("n_samples_", "squared_sum_", "linear_sum_", "centroid_", "sq_norm_")


class BirchParts:
    """The attributes of a Birch, the nodes of its tree from the root down, and its leaves in their order."""

    def __init__(self, held: dict[str, Any], nodes: list[dict[str, Any]], leaves: list[int]) -> None:
        self.held, self.nodes, self.leaves = held, nodes, leaves


def taken_apart(model: Any) -> BirchParts:
    """The parts of a Birch, fitted or not."""
    held = {name: value for name, value in vars(model).items() if name not in _TREE}
    if not hasattr(model, "root_"):
        return BirchParts(held, [], [])
    found = [model.root_]
    for node in found:
        found += [cluster.child_ for cluster in node.subclusters_ if cluster.child_ is not None]
    places = {id(node): place for place, node in enumerate(found)}
    return BirchParts(held, [_flat(node, places) for node in found], [places[id(leaf)] for leaf in _leaves(model)])


def _leaves(model: Any) -> list[Any]:
    found, leaf = [], model.dummy_leaf_.next_leaf_
    while leaf is not None:
        found.append(leaf)
        leaf = leaf.next_leaf_
    return found


def _flat(node: Any, places: dict[int, int]) -> dict[str, Any]:
    clusters = [
        {
            **{name: getattr(cluster, name) for name in _CLUSTER},
            "child": None if cluster.child_ is None else places[id(cluster.child_)],
        }
        for cluster in node.subclusters_
    ]
    return {**{name: getattr(node, name) for name in _NODE}, "dtype": str(node.init_centroids_.dtype), "in": clusters}


def put_together(parts: BirchParts) -> Any:
    """The Birch again. Corrupt for nodes that are no tree."""
    from sklearn.cluster import Birch

    model = object.__new__(Birch)
    model.__dict__.update(parts.held)
    if parts.nodes:
        nodes = [_node(flat) for flat in parts.nodes]
        _hang(nodes, parts.nodes)
        model.root_, model.dummy_leaf_ = nodes[0], _node({**parts.nodes[0], "is_leaf": True, "in": []})
        _chain([model.dummy_leaf_, *(nodes[place] for place in _own(parts.leaves, parts.nodes))])
    return model


def _node(flat: dict[str, Any]) -> Any:
    from sklearn.cluster._birch import _CFNode, _CFSubcluster

    _require(flat["dtype"] in ("float32", "float64") and len(flat["in"]) <= flat["branching_factor"] + 1)
    _require(len(flat["in"]) > 0 or flat["is_leaf"])
    _require(all(len(each["centroid_"]) == flat["n_features"] for each in flat["in"]))
    # A node has room for as many rows as its clusters may become; rows that are not there are no reason for memory.
    _require(flat["branching_factor"] <= 1 << 16)
    node = _CFNode(**{name: flat[name] for name in _NODE}, dtype=flat["dtype"])
    for each in flat["in"]:
        cluster = _CFSubcluster()
        cluster.__dict__.update({name: each[name] for name in _CLUSTER})
        node.append_subcluster(cluster)
    return node


def _hang(nodes: list[Any], flats: list[dict[str, Any]]) -> None:
    """Each node but the root is the child of one cluster of a node before it."""
    hung = {0}
    for place, flat in enumerate(flats):
        for cluster, each in zip(nodes[place].subclusters_, flat["in"], strict=True):
            child = each["child"]
            if child is not None:
                _require(type(child) is int and place < child < len(nodes) and child not in hung)
                hung.add(child)
                cluster.child_ = nodes[child]
            _require((child is None) == bool(flat["is_leaf"]))
    _require(len(hung) == len(nodes))


def _own(leaves: list[int], flats: list[dict[str, Any]]) -> list[int]:
    _require(sorted(leaves) == [place for place, flat in enumerate(flats) if flat["is_leaf"]])
    return leaves


def _chain(leaves: list[Any]) -> None:
    for one, two in itertools.pairwise(leaves):
        one.next_leaf_, two.prev_leaf_ = two, one


def _require(holds: bool) -> None:
    if not holds:
        raise Corrupt("the clusters of this Birch are no tree", hint="the archive was altered; save the model again")
