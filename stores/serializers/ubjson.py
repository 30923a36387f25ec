"""Reading UBJSON, the binary JSON that XGBoost writes: https://ubjson.org, as far as XGBoost uses it."""

from __future__ import annotations

import struct
from typing import Any

from jeyn.errors import Corrupt

_NUMBERS = {"i": "b", "U": "B", "I": "h", "u": "H", "l": "i", "m": "I", "L": "q", "d": "f", "D": "d"}
_PLAIN = {"Z": None, "T": True, "F": False}
_DEEPEST = 64


def read_ubjson(data: bytes) -> Any:
    """The value of exactly these bytes; Corrupt for anything else. Arrays of numbers are numpy's."""
    reader = _Reader(data)
    try:
        found = reader.value(reader.text(1), 0)
    except (struct.error, IndexError, KeyError, UnicodeDecodeError, ValueError) as exc:
        raise Corrupt(f"these bytes are no UBJSON: {exc}", hint="the archive was altered; save it again") from exc
    if reader.place != len(data):
        raise Corrupt("UBJSON has bytes after its end", hint="the archive was altered; save it again")
    return found


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.place = 0

    def text(self, count: int) -> str:
        return self.take(count).decode()

    def take(self, count: int) -> bytes:
        if count < 0 or self.place + count > len(self.data):
            raise IndexError("it ends too early")
        self.place += count
        return self.data[self.place - count : self.place]

    def peek(self) -> str:
        return chr(self.data[self.place])

    def value(self, marker: str, depth: int) -> Any:
        if depth > _DEEPEST:
            raise ValueError("it is nested too deeply")
        if marker in _PLAIN:
            return _PLAIN[marker]
        if marker == "S":
            return self.name()
        if marker == "C":
            return self.text(1)
        if marker == "{":
            return self.fields(depth)
        return self.items(depth) if marker == "[" else self.number(marker)

    def number(self, marker: str) -> Any:
        code = f">{_NUMBERS[marker]}"
        return struct.unpack(code, self.take(struct.calcsize(code)))[0]

    def name(self) -> str:
        return self.text(self.number(self.text(1)))

    def fields(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while self.peek() != "}":
            name = self.name()
            if name in found:
                raise ValueError(f"it names {name!r} twice")
            found[name] = self.value(self.text(1), depth + 1)
        self.take(1)
        return found

    def items(self, depth: int) -> Any:
        kind = ""
        if self.peek() == "$":
            self.take(1)
            kind = self.text(1)
        if self.peek() == "#":
            self.take(1)
            count = self.number(self.text(1))
            return self.array(kind, count) if kind else self.counted(count, depth)
        found = []
        while self.peek() != "]":
            found.append(self.value(self.text(1), depth + 1))
        self.take(1)
        return found

    def counted(self, count: int, depth: int) -> list[Any]:
        # Each item takes a byte at least, so a count that is too large ends with the bytes.
        return [self.value(self.text(1), depth + 1) for _ in range(count)]

    def array(self, kind: str, count: int) -> Any:
        import numpy as np

        dtype = np.dtype(f">{_NUMBERS[kind]}")
        return np.frombuffer(self.take(count * dtype.itemsize), dtype)
