"""Archives that were altered: what a mutation changes, in the schema, the arrays and the bytes, each by its seed."""

from __future__ import annotations

import copy
import io
import json
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import numpy as np

from jeyn.stores.serializers.archive import pack, unpack

NUMBERS = [0, 1, -1, 2, 3, 255, 10**6, 2**31 - 1, 2**31, -(2**31), 2**62, -(2**63), 0.5, -1e300]
TEXTS = ['"x"', "null", "true", "false", "[1, 2]", "1e999", '"kd_tree"', '"auto"', "{}"]
DTYPES = ["f4", "f8", "i4", "i8", "u1", "?", "c16", "U3", "M8[s]", "V8"]


def mutated(data: bytes, seed: int) -> bytes:
    """The archive with one to three changes; bytes that are no archive with a few of them changed."""
    rng = Random(seed)
    for _ in range(rng.choice([1, 1, 2, 3])):
        if data[:2] != b"PK" or rng.random() < 0.03:
            data = _flipped(data, rng)
            continue
        try:
            members = unpack(data, compressed=True)
            kinds = [name for name in members if name.endswith((".npy", ".npz"))]
            chosen = _MEMBER if not kinds or rng.random() < 0.5 else rng.choice(kinds)
            name = _other(members, rng) if chosen is _MEMBER else chosen
            data = pack({**members, name: _mutated_member(name, members[name], members, rng)}.items())
        except Exception:  # what an earlier change left can be changed no further
            return data
    return data


_MEMBER = ""


def _other(members: dict[str, bytes], rng: Random) -> str:
    others = [name for name in members if not name.endswith((".npy", ".npz"))]
    return rng.choice(others or list(members))


def _mutated_member(name: str, data: bytes, members: dict[str, bytes], rng: Random) -> bytes:
    if name.endswith(".npy"):
        return _mutated_array(data, rng)
    if name.endswith(".npz") or data[:2] == b"PK":
        return mutated(data, rng.getrandbits(32))
    if name.endswith(".json") and b"__loader__" in data:
        schema = json.loads(data)
        rng.choice(SCHEMA_CHANGES)(schema, [key for key in members if key != name], rng)
        return json.dumps(schema).encode()
    return _flipped(data, rng)


def _flipped(data: bytes, rng: Random) -> bytes:
    changed = bytearray(data)
    text = data[:400].isascii()
    for _ in range(rng.choice([1, 2, 8])):
        place = rng.randrange(len(changed)) if changed else 0
        if text and rng.random() < 0.7:
            digits = [at for at in range(place, min(place + 400, len(changed))) if 48 <= changed[at] < 58]
            if digits:
                changed[digits[0] : digits[0] + 1] = rng.choice([b"-", b"9", b"0", b"99999", b"1 ", b""])
        elif changed:
            changed[place] = rng.randrange(256)
    return bytes(changed)


def _mutated_array(data: bytes, rng: Random) -> bytes:
    array = np.load(io.BytesIO(data), allow_pickle=False)
    array = rng.choice(ARRAY_CHANGES)(array.copy(), rng)
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.asarray(array), allow_pickle=False)
    return stream.getvalue()


def _put(array: Any, rng: Random) -> Any:
    field = array[rng.choice(array.dtype.names)] if array.dtype.names else array
    if field.size:
        value = rng.choice(NUMBERS)
        with np.errstate(all="ignore"):
            for _ in range(rng.choice([1, 1, 5, field.size])):
                place = rng.randrange(field.size)
                field.flat[place] = (
                    np.array(value).astype(field.dtype, casting="unsafe") if field.dtype.kind in "iufbc" else str(value)
                )
    return array


def _moved(array: Any, rng: Random) -> Any:
    field = array[rng.choice(array.dtype.names)] if array.dtype.names else array
    if field.size and field.dtype.kind in "iuf":
        place = rng.randrange(field.size)
        with np.errstate(all="ignore"):
            field.flat[place] = field.flat[place] + np.array(rng.choice([1, -1, 7])).astype(field.dtype)
    return array


def _shorter(array: Any, rng: Random) -> Any:
    axis = rng.randrange(array.ndim) if array.ndim else None
    return array if axis is None else array.take(range(rng.randrange(array.shape[axis] + 1)), axis=axis)


def _longer(array: Any, rng: Random) -> Any:
    return np.concatenate([array] * rng.choice([2, 3]), axis=rng.randrange(array.ndim)) if array.ndim else array


def _reshaped(array: Any, rng: Random) -> Any:
    return rng.choice([array.ravel(), array.T, array[None], array.reshape(-1, 1)])


def _other_dtype(array: Any, rng: Random) -> Any:
    with np.errstate(all="ignore"):
        return array.astype(rng.choice(DTYPES))


ARRAY_CHANGES: list[Callable[[Any, Random], Any]] = [_put, _put, _moved, _shorter, _longer, _reshaped, _other_dtype]


def nodes(state: Any) -> Iterator[dict[str, Any]]:
    """The nodes of a schema of skops."""
    if isinstance(state, dict):
        if "__loader__" in state:
            yield state
        for value in state.values():
            yield from nodes(value)
    elif isinstance(state, list):
        for value in state:
            yield from nodes(value)


def _other_number(schema: Any, files: list[str], rng: Random) -> None:
    found = [node for node in nodes(schema) if node["__loader__"] == "JsonNode"]
    rng.choice(found)["content"] = rng.choice([*map(json.dumps, NUMBERS), *TEXTS])


def _next_number(schema: Any, files: list[str], rng: Random) -> None:
    plain = [node for node in nodes(schema) if node["__loader__"] == "JsonNode"]
    node = rng.choice([node for node in plain if node["content"].lstrip("-").isdigit()])
    node["content"] = str(int(node["content"]) + rng.choice([1, -1, 5]))


def _other_file(schema: Any, files: list[str], rng: Random) -> None:
    rng.choice([node for node in nodes(schema) if "file" in node])["file"] = rng.choice(files)


def _swapped(schema: Any, files: list[str], rng: Random) -> None:
    found = list(nodes(schema))
    one, two = rng.choice(found), copy.deepcopy(rng.choice(found))
    one.clear()
    one.update(two)


def _other_items(schema: Any, files: list[str], rng: Random) -> None:
    items = rng.choice([node for node in nodes(schema) if isinstance(node.get("content"), list)])["content"]
    change = rng.choice(["drop", "again", "shuffle"])
    if items and change == "drop":
        del items[rng.randrange(len(items))]
    elif items and change == "again":
        items.append(copy.deepcopy(rng.choice(items)))
    rng.shuffle(items)


def _other_attributes(schema: Any, files: list[str], rng: Random) -> None:
    found = [node for node in nodes(schema) if node["__loader__"] == "DictNode" and node["content"]]
    content = rng.choice(found)["content"]
    one, two = rng.choice(list(content)), rng.choice(list(content))
    content[one], content[two] = content[two], content[one]
    if rng.random() < 0.3:
        del content[one]


def _other_class(schema: Any, files: list[str], rng: Random) -> None:
    found = list(nodes(schema))
    one, two = rng.choice(found), rng.choice(found)
    one["__class__"], one["__module__"] = two["__class__"], two["__module__"]


def _other_loader(schema: Any, files: list[str], rng: Random) -> None:
    found = list(nodes(schema))
    rng.choice(found)["__loader__"] = rng.choice(
        [rng.choice(found)["__loader__"], "ConstructorFromReduceNode", "ListNode", "LossNode", "ObjectNode", "TypeNode"]
    )


SCHEMA_CHANGES: list[Callable[[Any, list[str], Random], None]] = [
    _other_number,
    _other_number,
    _next_number,
    _other_file,
    _swapped,
    _other_items,
    _other_attributes,
    _other_class,
    _other_loader,
]
