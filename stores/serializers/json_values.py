"""Python values as JSON that brings back their exact types: tuples, bytes, large integers, NaN and numpy scalars.

A plain JSON reader sees the value itself; only what JSON cannot say is an object with the key `$`.
"""

from __future__ import annotations

import base64
import json
import math
import sys
from collections.abc import Callable
from typing import Any

from jeyn.errors import Corrupt, NotSerializable
from jeyn.sdk.serializer import class_name, class_names
from jeyn.stores.serializers.conversions import conversion
from jeyn.stores.serializers.decoding import decoding

TAG = "$"
_EXACT_INTEGERS = 2**53
_DEEPEST = 100
_SCALAR_KINDS = "biufcmM"

Part = Callable[[Any, str], str]
ReadPart = Callable[[str], Any]


def unknown_value(value: Any, path: str) -> NotSerializable:
    """The error for a value that no format knows."""
    return NotSerializable(
        f"{path} is a '{class_name(type(value))}', which nothing knows how to store",
        hint=conversion(type(value)),
    )


def refuse_part(value: Any, path: str) -> str:
    """The `part` of plain typed JSON, which has none."""
    raise unknown_value(value, path)


def encode_json(value: Any, part: Part = refuse_part) -> bytes:
    """Typed JSON as UTF-8; `part(value, path)` stores what is not JSON and names it, or raises."""
    plain = _to_plain(value, "value", 0, part)
    return json.dumps(plain, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()


def decode_json(data: bytes, read_part: ReadPart | None = None) -> Any:
    """The value of `encode_json`; Corrupt for anything else."""
    with decoding("typed JSON"):
        return _from_plain(_parsed(data.decode("utf-8")), read_part, 0)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_constant)
    except RecursionError as exc:
        raise _too_deep() from exc
    except ValueError as exc:
        if "integer string" in str(exc):  # CPython's own limit, which it names in words of its own
            raise _damaged(f"a number in it has more than {sys.get_int_max_str_digits()} digits") from exc
        raise


def _too_deep() -> Corrupt:
    return _damaged(f"it is nested deeper than {_DEEPEST} levels")


def _damaged(why: str) -> Corrupt:
    return Corrupt(
        f"a value cannot be read: {why}, which Jeyn never writes", hint="jeyn fsck finds what else is affected"
    )


def is_json_class(cls: type) -> bool:
    """Whether values of this class have a form in typed JSON."""
    return cls in _WRITERS or "numpy.generic" in class_names(cls)


def is_json_value(value: Any) -> bool:
    """Whether the value itself (not what it holds) has a form in typed JSON."""
    return type(value) in _WRITERS or _is_numpy_scalar(value)


def holds_json_only(value: Any, depth: int = 0) -> bool:
    """Whether a value and all that it holds has a form in typed JSON; the writer judges what is nested too deeply."""
    if not is_json_value(value):
        return False
    inner = value.values() if type(value) is dict else value if type(value) in (list, tuple) else ()
    return depth > _DEEPEST or all(holds_json_only(item, depth + 1) for item in inner)


def _to_plain(value: Any, path: str, depth: int, part: Part) -> Any:
    if depth > _DEEPEST:
        raise NotSerializable(
            f"{path[:80]}… is nested deeper than {_DEEPEST} levels, or holds itself", hint="flatten it"
        )
    if _is_numpy_scalar(value):
        return _plain_numpy(value, path)
    writer = _WRITERS.get(type(value))
    return {TAG: "part", "v": part(value, path)} if writer is None else writer(value, path, depth, part)


def _plain_text(value: str, path: str, depth: int = 0, part: Part = refuse_part) -> str:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as exc:
        raise NotSerializable(f"{path} holds a lone surrogate, which is not text", hint="store it as bytes") from exc
    return value


def _plain_int(value: int, path: str, depth: int, part: Part) -> Any:
    # Hexadecimal: Python limits the decimal digits it converts, and other readers lose integers beyond 2^53.
    return value if abs(value) <= _EXACT_INTEGERS else {TAG: "int", "v": hex(value)}


def _plain_float(value: float, path: str, depth: int, part: Part) -> Any:
    return value if math.isfinite(value) else {TAG: "float", "v": repr(value)}


def _plain_bytes(value: bytes, path: str, depth: int, part: Part) -> Any:
    return {TAG: "bytes", "v": base64.b64encode(value).decode()}


def _plain_list(value: list[Any] | tuple[Any, ...], path: str, depth: int, part: Part) -> list[Any]:
    return [_to_plain(item, f"{path}[{position}]", depth + 1, part) for position, item in enumerate(value)]


def _plain_tuple(value: tuple[Any, ...], path: str, depth: int, part: Part) -> Any:
    return {TAG: "tuple", "v": _plain_list(value, path, depth, part)}


def _plain_dict(value: dict[Any, Any], path: str, depth: int, part: Part) -> Any:
    plain = {_plain_key(key, path): _to_plain(item, f"{path}[{key!r}]", depth + 1, part) for key, item in value.items()}
    return {TAG: "dict", "v": plain} if TAG in plain else plain


def _plain_key(key: Any, path: str) -> str:
    if type(key) is not str:
        raise NotSerializable(f"{path} has the key {key!r}, which is not a string", hint=f"use {str(key)!r}")
    return _plain_text(key, f"a key of {path}")


_WRITERS: dict[type, Callable[[Any, str, int, Part], Any]] = {
    type(None): lambda value, path, depth, part: value,
    bool: lambda value, path, depth, part: value,
    int: _plain_int,
    float: _plain_float,
    str: _plain_text,
    bytes: _plain_bytes,
    list: _plain_list,
    tuple: _plain_tuple,
    dict: _plain_dict,
}


def _is_numpy_scalar(value: Any) -> bool:
    return type(value) not in _WRITERS and "numpy.generic" in class_names(type(value))


def _plain_numpy(value: Any, path: str) -> Any:
    from jeyn.stores.serializers.numpy import has_padded_floats

    if value.dtype.kind not in f"{_SCALAR_KINDS}SU" or has_padded_floats(value.dtype):
        raise NotSerializable(
            f"{path} has dtype '{value.dtype}', which has no exact form", hint="use an array or float"
        )
    if value.dtype.kind == "U":
        return {TAG: "numpy text", "v": _plain_text(str(value), path)}
    if value.dtype.kind == "S":
        return {TAG: "numpy bytes", "v": base64.b64encode(bytes(value)).decode()}
    return {TAG: "numpy", "d": value.dtype.str, "v": base64.b64encode(value.tobytes()).decode()}


def _from_plain(plain: Any, read_part: ReadPart | None, depth: int) -> Any:
    if depth > _DEEPEST:
        raise _too_deep()
    if isinstance(plain, list):
        return [_from_plain(item, read_part, depth + 1) for item in plain]
    if not isinstance(plain, dict):
        if isinstance(plain, float) and math.isinf(plain):
            raise _damaged("a number in it is beyond what 64 bits hold")
        return plain
    if TAG not in plain:
        return {key: _from_plain(item, read_part, depth + 1) for key, item in plain.items()}
    return _from_tag(plain, read_part, depth)


def _from_tag(plain: dict[str, Any], read_part: ReadPart | None, depth: int) -> Any:
    tag, inner = plain[TAG], plain["v"]
    if tag == "dict":
        return {key: _from_plain(item, read_part, depth + 1) for key, item in inner.items()}
    if tag == "tuple":
        return tuple(_from_plain(item, read_part, depth + 1) for item in inner)
    if tag == "part" and read_part is not None:
        return read_part(inner)
    if tag == "numpy":
        return _numpy_scalar(plain["d"], base64.b64decode(inner, validate=True))
    return _LEAVES[tag](inner)


def _numpy_scalar(dtype_name: str, data: bytes) -> Any:
    import numpy as np

    dtype = np.dtype(dtype_name)
    if dtype.kind not in _SCALAR_KINDS or dtype.itemsize != len(data):
        raise ValueError(f"{len(data)} bytes are not a scalar of dtype '{dtype_name}'")
    return np.frombuffer(data, dtype, count=1)[0]


def _numpy_text(text: str) -> Any:
    import numpy as np

    return np.str_(text)


def _numpy_bytes(text: str) -> Any:
    import numpy as np

    return np.bytes_(base64.b64decode(text, validate=True))


_LEAVES: dict[str, Callable[[Any], Any]] = {
    "int": lambda text: int(text, 16),
    "float": lambda text: {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}[text],
    "bytes": lambda text: base64.b64decode(text, validate=True),
    "numpy text": _numpy_text,
    "numpy bytes": _numpy_bytes,
}


def _no_constant(name: str) -> Any:
    raise ValueError(f"'{name}' is not JSON")
