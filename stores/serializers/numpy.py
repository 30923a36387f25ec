"""Numpy arrays as `.npy` and dicts of arrays as `.npz`, without pickle and with one byte form.

The format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
"""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING, Any

from jeyn.errors import Corrupt, NotSerializable
from jeyn.sdk.serializer import class_name, class_names
from jeyn.stores.serializers.archive import holds_name, pack, unpack
from jeyn.stores.serializers.decoding import decoding

if TYPE_CHECKING:
    import numpy as np

_PLAIN_ARRAYS = {"numpy.ndarray", "numpy.memmap"}
_LONGEST_HEADER = 1 << 20


class NumpySerializer:
    """A numpy array of any dtype but objects and extended floats; a memmap comes back as a plain array."""

    id = "jeyn.numpy"
    version = "1"
    is_plain = True

    def to_bytes(self, model_object: Any) -> bytes:
        return array_bytes(model_object)

    def from_bytes(self, model_bytes: bytes) -> Any:
        return read_array(model_bytes)


class NumpyDictSerializer:
    """A dict of named numpy arrays; its order is kept."""

    id = "jeyn.numpy-dict"
    version = "1"
    is_plain = True

    def accepts(self, obj: Any) -> bool:
        return bool(obj) and all("numpy.ndarray" in class_names(type(value)) for value in obj.values())

    def to_bytes(self, model_object: Any) -> bytes:
        for name in model_object:
            if not isinstance(name, str) or not holds_name(f"{name}.npy"):
                raise NotSerializable(f"{name!r} cannot name an array in an archive", hint="use plain text names")
        return pack((f"{name}.npy", array_bytes(array, f"array {name!r}")) for name, array in model_object.items())

    def from_bytes(self, model_bytes: bytes) -> Any:
        with decoding(self.id):
            members = unpack(model_bytes)
            if not all(name.endswith(".npy") for name in members):
                raise Corrupt("an archive of arrays holds something that is not one")
            return {name.removesuffix(".npy"): read_array(data) for name, data in members.items()}


def array_bytes(array: np.ndarray[Any, Any], what: str = "the array") -> bytes:
    """An array of any shape as `.npy`; NotSerializable for object dtypes, extended floats and subclasses."""
    import numpy as np

    if class_name(type(array)) not in _PLAIN_ARRAYS:
        raise NotSerializable(
            f"{what} is a '{class_name(type(array))}', of which an .npy file would keep only the data",
            hint="save its plain arrays in a dict, or register_serializer for its class",
        )
    if has_padded_floats(array.dtype):
        raise NotSerializable(
            f"{what} has dtype '{array.dtype}', whose padding bytes are arbitrary", hint="convert it to float64"
        )
    stream = io.BytesIO()
    try:
        np.lib.format.write_array(stream, np.asarray(array), allow_pickle=False)
    except (ValueError, TypeError) as exc:
        raise NotSerializable(
            f"{what} has dtype '{array.dtype}', which has no safe form", hint="convert it to numbers, text or bytes"
        ) from exc
    written = stream.getvalue()
    return written if array.dtype.names is None else written[: len(written) - array.nbytes] + _settled(array)


def read_array(data: bytes) -> np.ndarray[Any, Any]:
    """The array of an `.npy` file; Corrupt unless the bytes are exactly one."""
    import numpy as np

    with decoding("npy"):
        check_header(data)
        stream = io.BytesIO(data)
        array: np.ndarray[Any, Any] = np.lib.format.read_array(
            stream, allow_pickle=False, max_header_size=_LONGEST_HEADER
        )
        if stream.tell() != len(data):
            raise Corrupt("an .npy file has bytes after its end")
        return array


def has_padded_floats(dtype: np.dtype[Any]) -> bool:
    """Whether a dtype is or holds an extended float, stored as 10 bytes of value and 6 of whatever was there."""
    if dtype.subdtype is not None:
        return has_padded_floats(dtype.subdtype[0])
    if dtype.names is not None:
        return any(has_padded_floats(dtype[name]) for name in dtype.names)
    return (dtype.kind, dtype.itemsize) in {("f", 12), ("f", 16), ("c", 24), ("c", 32)}


def check_header(data: bytes) -> None:
    """Corrupt unless an `.npy` header claims as much as there is; numpy would allocate what it claims."""
    import numpy as np

    stream = io.BytesIO(data)
    version = np.lib.format.read_magic(stream)
    # A header of version 3 differs in the encoding of its names only.
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(stream, max_header_size=_LONGEST_HEADER)
    size = len(data) - stream.tell()
    if dtype.hasobject or min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != size:
        raise Corrupt(f"an .npy header of shape {shape} and dtype '{dtype}' does not fit its {len(data)} bytes")
    if dtype.itemsize == 0 and math.prod(shape) > len(data):
        raise Corrupt(f"an .npy header claims {math.prod(shape)} items of nothing")


def _settled(array: np.ndarray[Any, Any]) -> bytes:
    """The bytes of a structured array with the gaps between its fields zeroed: they hold whatever memory did."""
    import numpy as np

    settled = np.zeros(array.shape, array.dtype, order="F" if array.flags.fnc else "C")
    _copy_fields(array, settled)
    return settled.tobytes(order="A")


def _copy_fields(source: np.ndarray[Any, Any], target: np.ndarray[Any, Any]) -> None:
    for name in source.dtype.names or ():
        if source[name].dtype.names is None:
            target[name] = source[name]
        else:
            _copy_fields(source[name], target[name])
