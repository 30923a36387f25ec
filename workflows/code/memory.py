"""Memory that several values of a notebook have in common: views of an array, a frame over one, tensors, buffers."""

from __future__ import annotations

import base64
import ctypes
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from jeyn.workflows.code.literal import KEPT, literal

if TYPE_CHECKING:
    from jeyn.workflows.code.live import Live

Range = tuple[int, int]  # addresses: of the first byte, and after the last
Shared = dict[Range, list[Any]]
_VIEWS = ("ndarray", "memmap", "matrix", "recarray", "void")


class Memory:
    """Where lies what is carried. `shared` are the ranges that several values have, as a first look found them."""

    def __init__(self, shared: Mapping[Range, list[Any]] | None = None) -> None:
        self.shared = dict(shared or {})
        self.noted: list[tuple[Range, Any]] = []
        self.buffers: dict[Range, str] = {}
        self._is_inside = False

    @contextmanager
    def of(self, value: Any) -> Iterator[None]:
        """While the parts of a value are looked at: those of pandas' objects are nobody else's to change."""
        before, self._is_inside = self._is_inside, self._is_inside or _is_table(value)
        try:
            yield
        finally:
            self._is_inside = before

    def note(self, value: Any) -> None:
        if not self._is_inside and type(value).__name__ != "Parameter":  # what it is made of is noted
            self.noted += [(each, value) for each in _ranges(value)]

    def found(self) -> Shared:
        """Each range in which two or more values overlap, with them; tables alone copy before they change."""
        merged: list[tuple[Range, list[Any]]] = []
        for (low, high), value in sorted(self.noted, key=lambda each: each[0]):
            if merged and low < merged[-1][0][1]:
                before, values = merged[-1]
                merged[-1] = (before[0], max(before[1], high)), [*values, value]
            else:
                merged.append(((low, high), [value]))
        several = {each: list({id(value): value for value in values}.values()) for each, values in merged}
        return self.shared | {each: values for each, values in several.items() if len(values) > 1 and _matters(values)}

    def buffers_of_the_users(self) -> frozenset[int]:
        """The bytearrays that others are views of, by their ids."""
        return frozenset(id(each) for values in self.shared.values() for each in values if type(each) is bytearray)

    def carried(self, live: Live, value: Any, name: str) -> str | None:
        """A value by the memory that it shares; None for one that shares none, or whose parts do."""
        shared = self._range_of(value)
        if shared is None or type(value).__name__ == "Parameter":
            return None
        top, kind = type(value).__module__.partition(".")[0], type(value).__name__
        if _is_table(value) and sum(map(_is_table, self.shared[shared])) == 1:
            return live.reduced(value, name)
        is_view = kind in _VIEWS if top == "numpy" else _is_array(value) and not vars(value)
        if is_view and not value.dtype.hasobject:
            return live.place(value, self._array(live, value, shared), name)
        if top == "torch" and kind == "Tensor" and (value.is_leaf or not value.requires_grad):
            return live.place(value, self._tensor(live, value, shared), name)
        others = (live.homes.get(id(each)) for each in self.shared[shared] if each is not value)
        other = next((f'"{each}"' for each in others if each), "another value")
        raise live.refused(
            value,
            f"it shares its memory with {other}",
            "copy it where it is made, with .copy(), or pass it to the operation as an input",
        )

    def _range_of(self, value: Any) -> Range | None:
        ranges = _ranges(value) if self.shared and type(value) is not bytearray else ()
        return next((each for low, _ in ranges for each in self.shared if each[0] <= low < each[1]), None)

    def _array(self, live: Live, array: Any, shared: Range) -> str:
        place = (
            _address(array) - shared[0],
            *((array.shape, array.strides) if hasattr(array, "strides") else ((), ())),
        )
        said = f"{self._buffer(live, shared)}, {live.express(array.dtype)}, {literal(place)}"
        made = f"{KEPT}.array({said}, {array.flags.writeable})"
        if type(array).__name__ not in ("ndarray", "memmap", "void"):
            return f"{made}.view({live.express(type(array))})"
        return made if hasattr(array, "ctypes") else f"{made}[()]"

    def _tensor(self, live: Live, tensor: Any, shared: Range) -> str:
        place = (tensor.data_ptr() - shared[0], tuple(tensor.size()), tuple(tensor.stride()))
        kind = str(tensor.dtype).rpartition(".")[2]
        return f"{KEPT}.tensor({self._buffer(live, shared)}, {kind!r}, {literal(place)}, {tensor.requires_grad})"

    def _buffer(self, live: Live, shared: Range) -> str:
        if shared not in self.buffers:
            owner = next((each for each in self.shared[shared] if type(each) is bytearray), None)
            self.buffers[shared] = live.express(owner) if owner is not None else self._copied(live, shared)
        return self.buffers[shared]

    def _copied(self, live: Live, shared: Range) -> str:
        data = zlib.compress(ctypes.string_at(shared[0], shared[1] - shared[0]), 1)
        text = live.checked(self.shared[shared][0], base64.b85encode(data).decode())
        name = live.new_name()
        live.lines.append(f"{name} = {KEPT}.memory({text!r})")
        return name


def _matters(values: Sequence[Any]) -> bool:
    """Whether one of them may be seen to change by another."""
    arrays = [each for each in values if not _is_table(each)]
    is_read_only = all(hasattr(each, "flags") and not each.flags.writeable for each in arrays)
    return bool(arrays) and not (is_read_only and len(values) != len(arrays) + 1)


def _is_table(value: Any) -> bool:
    return type(value).__module__.partition(".")[0] == "pandas"


def _is_array(value: Any) -> bool:
    return any(base.__name__ == "ndarray" and base.__module__ == "numpy" for base in type(value).__mro__)


def _ranges(value: Any) -> Iterator[Range]:
    top = type(value).__module__.partition(".")[0]
    if top == "numpy" or _is_array(value):
        yield from _of_array(value)
        yield from _of_array(getattr(value, "_mask", None))
    elif top == "pandas" and hasattr(value, "_mgr"):
        for block in value._mgr.blocks:
            parts = (getattr(block.values, each, None) for each in ("_ndarray", "_data", "_mask"))
            yield from (each for part in (block.values, *parts) for each in _of_array(part))
    elif top == "torch" and hasattr(value, "data_ptr") and str(value.layout) == "torch.strided":
        size = value.element_size()
        if value.device.type == "cpu":
            yield from _spanned(value.data_ptr(), tuple(value.size()), [size * n for n in value.stride()], size)
    elif (type(value) is bytearray or top == "array") and len(value):
        size = memoryview(value).nbytes
        low = ctypes.addressof((ctypes.c_char * size).from_buffer(value))
        yield low, low + size


def _of_array(array: Any) -> Iterator[Range]:
    if hasattr(array, "ctypes") and hasattr(array, "__array_interface__"):
        yield from _spanned(_address(array), array.shape, array.strides, array.itemsize)
    elif type(array).__name__ == "void" and array.nbytes:
        yield _address(array), _address(array) + array.nbytes


def _spanned(start: int, shape: Sequence[int], strides: Sequence[int], size: int) -> Iterator[Range]:
    if 0 not in shape and size:
        reach = [(count - 1) * stride for count, stride in zip(shape, strides, strict=True)]
        yield start + sum(min(each, 0) for each in reach), start + sum(max(each, 0) for each in reach) + size


def _address(array: Any) -> int:
    return int(array.__array_interface__["data"][0])
