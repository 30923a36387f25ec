"""A skops archive in its one byte form: skops names members and objects by memory address and dates them.

Here both are numbered in order of appearance, sets are sorted, and the gaps inside structured arrays are zeroed.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import PurePosixPath
from typing import Any

from jeyn.stores.serializers.archive import pack, unpack
from jeyn.stores.serializers.numpy import array_bytes, has_padded_floats, read_array
from jeyn.stores.serializers.skops_schema import SCHEMA, is_node, nodes_of

# Whether two equal immutable objects are one object is the interpreter's business, not the model's.
_WITHOUT_IDENTITY = {"JsonNode", "TypeNode", "FunctionNode", "TupleNode", "DTypeNode", "BytesNode", "SliceNode"}
# Vectorizers remember the address of the stop words they have checked; without it they check again.
_VECTORIZERS, _ADDRESSES = "sklearn.feature_extraction.text", {"_stop_words_id"}

_Node = dict[str, Any]


def settled(archive: bytes) -> bytes:
    """The same model as an archive whose bytes depend on the model alone."""
    members = {name: _settled_member(name, data) for name, data in unpack(archive).items()}
    schema = json.loads(members.pop(SCHEMA))
    nodes = list(nodes_of(schema))
    _drop_addresses(nodes)
    _drop_empty_namespaces(nodes)
    nodes = list(nodes_of(schema))
    _sort_sets(nodes, {name: hashlib.sha256(data).hexdigest() for name, data in members.items()})
    nodes = list(nodes_of(schema))
    _number_objects(nodes)
    files = _number_files(nodes, members)
    return pack([(SCHEMA, json.dumps(schema, separators=(",", ":")).encode()), *files])


def _settled_member(name: str, data: bytes) -> bytes:
    if name.endswith(".npz"):
        return pack(
            (inner, _settled_member(inner, content)) for inner, content in unpack(data, compressed=True).items()
        )
    if name.endswith(".npy"):
        array = read_array(data)
        return data if has_padded_floats(array.dtype) else array_bytes(array)
    return data


def _drop_addresses(nodes: list[_Node]) -> None:
    for node in nodes:
        attributes: Any = node.get("content")
        if node["__module__"] != _VECTORIZERS or not is_node(attributes) or attributes["__loader__"] != "DictNode":
            continue
        for name in _ADDRESSES.intersection(attributes["content"]):
            del attributes["key_types"]["content"][list(attributes["content"]).index(name)]
            del attributes["content"][name]


def _drop_empty_namespaces(nodes: list[_Node]) -> None:
    """A partial that somebody looked at has an empty dict where an untouched one has nothing."""
    for node in nodes:
        if node["__loader__"] == "PartialNode" and node["content"]["namespace"].get("content") == {}:
            nothing = {"__class__": "str", "__module__": "builtins", "__loader__": "JsonNode"}
            node["content"]["namespace"] = {**nothing, "content": "null", "is_json": True}


def _sort_sets(nodes: list[_Node], digests: dict[str, str]) -> None:
    # The order of a set of strings changes with PYTHONHASHSEED. Inner sets come later in the list, so they go first.
    for node in reversed(nodes):
        if node["__loader__"] == "SetNode":
            node["content"].sort(key=lambda item: json.dumps(_anonymous(item, digests)))


def _anonymous(state: Any, digests: dict[str, str]) -> Any:
    """A node without its address and with its file's content, to be compared."""
    if isinstance(state, list):
        return [_anonymous(value, digests) for value in state]
    if not isinstance(state, dict):
        return state
    plain = {key: _anonymous(value, digests) for key, value in state.items() if key != "__id__"}
    file = plain.get("file")
    return {**plain, "file": digests[file]} if isinstance(file, str) else plain


def _number_objects(nodes: list[_Node]) -> None:
    """Keep a number only for an object that appears twice, where skops needs it to load it as one."""
    appearances = Counter(node["__id__"] for node in nodes if "__id__" in node)
    numbers: dict[int, int] = {}
    for node in nodes:
        address = node.pop("__id__", None)
        if appearances[address] > 1 and node["__loader__"] not in _WITHOUT_IDENTITY:
            node["__id__"] = numbers.setdefault(address, len(numbers) + 1)


def _number_files(nodes: list[_Node], members: dict[str, bytes]) -> list[tuple[str, bytes]]:
    files: dict[bytes, str] = {}
    for node in nodes:
        if isinstance(node.get("file"), str):
            data = members[node["file"]]
            node["file"] = files.setdefault(data, f"{len(files)}{PurePosixPath(node['file']).suffix}")
    return [(name, data) for data, name in files.items()]
