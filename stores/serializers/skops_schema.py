"""What a skops archive may make of what, asked of its schema before any of it is made.

skops asks whether a type is trusted, whatever its place; a list of arguments and the name of a trusted function are
enough for it to call that function. So each loader here makes only what it is for, as Jeyn itself writes it, and each
file is of the size that it says (https://skops.readthedocs.io/en/stable/persistence.html).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from jeyn.errors import Corrupt
from jeyn.stores.serializers.archive import unpack
from jeyn.stores.serializers.numpy import check_header, read_array

SCHEMA = "schema.json"
# Since skops 0.11; what an archive says here chooses among readers, of which the newest is the one that was reviewed.
_PROTOCOL = 2
_NUMBERS = (
    "bool bool_ int8 int16 int32 int64 intc longlong uint8 uint16 uint32 uint64 uintc ulonglong float16 float32 "
    "float64 longdouble complex64 complex128 str_ bytes_ datetime64 timedelta64"
)
_SCALARS = {f"numpy.{name}" for name in _NUMBERS.split()}
_KEYS = _SCALARS | {f"builtins.{name}" for name in ("str", "int", "float", "bool")}
_MADE = {
    "BytearrayNode": {"builtins.bytearray"},
    "BytesNode": {"builtins.bytes"},
    "DTypeNode": {"numpy.dtype"},
    "DefaultDictNode": {"collections.defaultdict"},
    "DictNode": {"builtins.dict", "collections.OrderedDict", "sklearn.utils._bunch.Bunch"},
    "ListNode": {"builtins.list"},
    "MaskedArrayNode": {"numpy.ma.MaskedArray", "numpy.ma.core.MaskedArray"},
    "NdArrayNode": {"numpy.ndarray", *_SCALARS},
    "PartialNode": {"functools.partial"},
    "RandomGeneratorNode": {"numpy.random._generator.Generator"},
    "RandomStateNode": {"numpy.random.mtrand.RandomState"},
    "SetNode": {"builtins.set"},
    "SliceNode": {"builtins.slice"},
    "TreeNode": {"sklearn.tree._tree.Tree"},
    "TupleNode": {"builtins.tuple", "sklearn.impute._iterative._ImputerTriplet"},
}
_OWNED = frozenset().union(*_MADE.values())
_MODULES = {
    "LossNode": ("sklearn._loss._loss.Cy", "sklearn.linear_model._sgd_fast."),
    "SparseMatrixNode": ("scipy.sparse.",),
}
_BY_NAME = {"FunctionNode", "TypeNode", "JsonNode"}
# Functions of scikit-learn's own that rely on checked arguments may only stand where scikit-learn keeps them.
_PRIVATE_PLACES = {"_kmeans_single"}
_LARGEST_POOL = 64
# Compiled code takes its state by place, and looks for none that is missing.
_DISTANCES = ("Euclidean", "Manhattan", "Chebyshev", "Minkowski", "Haversine")
_STATES = {
    "sklearn.neighbors._kd_tree.KDTree": 13,
    "sklearn.neighbors._ball_tree.BallTree": 13,
    **{f"sklearn.metrics._dist_metrics.{name}Distance64": 3 for name in _DISTANCES},
}

_Node = dict[str, Any]


def nodes_of(state: Any) -> Iterator[_Node]:
    """The nodes of a schema, each before those below it."""
    if isinstance(state, dict):
        if is_node(state):
            yield state
        for value in state.values():
            yield from nodes_of(value)
    elif isinstance(state, list):
        for value in state:
            yield from nodes_of(value)


def is_node(state: Any) -> bool:
    return isinstance(state, dict) and isinstance(state.get("__loader__"), str)


def name_in(node: _Node) -> str:
    return f"{node['__module__']}.{node['__class__']}"


def check_schema(members: Mapping[str, bytes], free: frozenset[str]) -> None:
    """Corrupt unless each node makes what its loader is for; `free` are types that somebody trusts by name."""
    schema = json.loads(members[SCHEMA])
    _require(schema.get("protocol") == _PROTOCOL, f"is of skops protocol {schema.get('protocol')!r}")
    _check_identities(schema)
    for node in nodes_of(schema):
        if name_in(node) not in free:
            _check_kind(node)
            _check_functions(node, free)
        _check_content(node, members)


def _check_identities(schema: Any) -> None:
    """An object that appears twice is spelled out twice: else what is checked here and what is made would differ."""
    first: dict[Any, _Node] = {}
    for node in nodes_of(schema):
        if "__id__" in node:
            _require(first.setdefault(node["__id__"], node) == node, "holds two objects under one number")


def _check_kind(node: _Node) -> None:
    loader, name = node["__loader__"], name_in(node)
    if loader in _MADE:
        fits = name in _MADE[loader]
    elif loader in _MODULES:
        fits = name.startswith(_MODULES[loader])
    elif loader == "ObjectNode":
        fits = name not in _OWNED and not name.startswith(("scipy.sparse.", "sklearn._loss._loss.Cy"))
    else:
        fits = loader in _BY_NAME
    _require(fits, f"makes '{name}' by a '{loader}'")


def _check_functions(node: _Node, free: frozenset[str]) -> None:
    content = node.get("content")
    for place, inner in content.items() if isinstance(content, dict) else enumerate(content or ()):
        if is_node(inner) and inner["__loader__"] == "FunctionNode" and name_in(inner) not in free:
            is_private = str(inner["__class__"]).startswith("_")
            _require(not is_private or place in _PRIVATE_PLACES, f"puts '{name_in(inner)}' where it does not belong")


def _check_content(node: _Node, members: Mapping[str, bytes]) -> None:
    match node["__loader__"]:
        case "DictNode":
            keys = _content(node["key_types"], "ListNode")
            fits = all(key["__loader__"] == "TypeNode" and name_in(key) in _KEYS for key in keys)
            _require(fits, "has keys that are no text or number")
        case "NdArrayNode" if node["type"] == "numpy":
            check_header(members[node["file"]])
            if name_in(node) in _SCALARS:
                _require(read_array(members[node["file"]]).ndim == 0, "has a number that is an array")
        case "SparseMatrixNode":
            for name, data in unpack(members[node["file"]]).items():
                _require(name.endswith(".npy"), "has a sparse part that is no array")
                check_header(data)
        case "TreeNode":
            _check_tree(node, members)
        case "ObjectNode" if name_in(node) in _STATES:
            _require(len(_content(node["content"], "TupleNode")) == _STATES[name_in(node)], "has a state that is short")
        case "LossNode":
            _require(not node["content"]["content"], "has a loss with a state")
        case "RandomGeneratorNode":
            pool = json.loads(_content(_content(node["content"]["seed_seq"], "DictNode")["pool_size"], "JsonNode"))
            _require(type(pool) is int and 0 < pool <= _LARGEST_POOL, "has a seed of another size")


def _check_tree(node: _Node, members: Mapping[str, bytes]) -> None:
    """Compiled code reads as many classes as there are said to be outputs, and copies as many values as nodes."""
    args, state = node["__reduce__"]["args"], _content(node["content"], "DictNode")
    features, classes, outputs = _content(args, "TupleNode")
    for each in (features, outputs, state["max_depth"], state["node_count"]):
        count = json.loads(_content(each, "JsonNode"))
        _require(type(count) is int and 0 <= count < 2**31, "has a tree of no features or outputs")
    count = json.loads(outputs["content"])
    found = _array(classes, members)
    _require(found.shape == (count,) and found.dtype.kind == "i", "has a tree of other classes than outputs")
    _require(count > 0 and bool((found > 0).all() and (found < 2**31).all()), "has a tree of no classes")
    nodes, values = _array(state["nodes"], members), _array(state["values"], members)
    _require(nodes.ndim == 1 and nodes.dtype.names is not None, "has a tree of no nodes")
    _require(len(nodes) == json.loads(state["node_count"]["content"]), "has a tree of other nodes than it says")
    _require(values.dtype == "float64", "has a tree of values that are no numbers")
    _require(values.shape == (len(nodes), count, int(found.max())), "has a tree of other values than nodes")


def _array(node: _Node, members: Mapping[str, bytes]) -> Any:
    fits = (node["__loader__"], name_in(node), node.get("type")) == ("NdArrayNode", "numpy.ndarray", "numpy")
    _require(fits, "has a tree of what is no array")
    return read_array(members[node["file"]])


def _content(node: _Node, loader: str) -> Any:
    """What a node of that loader holds; Corrupt for any other."""
    _require(node["__loader__"] == loader, f"has a '{node['__loader__']}' in place of a '{loader}'")
    return node["content"]


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise Corrupt(f"the archive {what}", hint="the archive was altered; save the model again")
