"""`Dtypes`, the types of values that a feature may hold, and which of them widen to which without loss."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING

from jeyn.errors import UsageError

if TYPE_CHECKING:
    import pyarrow as pa


class Dtypes(Enum):
    """A type of value; `.value` is its lower-case name, as in JSON."""

    BOOL = "bool"
    INT8 = "int8"
    INT16 = "int16"
    INT32 = "int32"
    INT64 = "int64"
    UINT8 = "uint8"
    UINT16 = "uint16"
    UINT32 = "uint32"
    UINT64 = "uint64"
    FLOAT16 = "float16"
    FLOAT32 = "float32"
    FLOAT64 = "float64"
    STRING = "string"
    BYTES = "bytes"
    DECIMAL = "decimal"
    DATE = "date"
    TIMESTAMP = "timestamp"
    CATEGORICAL = "categorical"

    @property
    def is_integer(self) -> bool:
        return "int" in self.value

    @property
    def is_float(self) -> bool:
        return self.value.startswith("float")

    @property
    def is_number(self) -> bool:
        """An integer or a float; BOOL is neither."""
        return self.is_integer or self.is_float

    @property
    def is_text(self) -> bool:
        return self in (Dtypes.STRING, Dtypes.CATEGORICAL)

    def widens_to(self, other: Dtypes) -> bool:
        """Whether each value of this type is exactly a value of `other`; a type widens to itself."""
        return self is other or other in _WIDER.get(self, ())

    def to_arrow(self) -> pa.DataType:
        """The Arrow type of one value: timestamp("us", "UTC") and dictionary<int32, string> for the last two.

        A decimal's is that of a feature without precision and scale.
        """
        return _arrow_type(self)

    @classmethod
    def from_arrow(cls, arrow_type: pa.DataType) -> Dtypes:
        """The type of a value of a plain Arrow type (any string, binary, unit, zone); raises `UsageError`."""
        import pyarrow as pa

        types = pa.types
        if types.is_dictionary(arrow_type):
            inner = cls.from_arrow(arrow_type.value_type)
            return cls.CATEGORICAL if inner is cls.STRING else inner
        if types.is_string(arrow_type) or types.is_large_string(arrow_type) or types.is_string_view(arrow_type):
            return cls.STRING
        if _is_bytes(arrow_type):
            return cls.BYTES
        if types.is_timestamp(arrow_type):
            return cls.TIMESTAMP
        if types.is_date32(arrow_type):
            return cls.DATE
        if types.is_decimal(arrow_type) and arrow_type.scale >= 0:
            return cls.DECIMAL
        name = "float16" if types.is_float16(arrow_type) else _FLOATS.get(str(arrow_type), str(arrow_type))
        if name not in _PLAIN:
            raise UsageError(f'no dtype holds the Arrow type "{arrow_type}"', hint=f"cast it to one of {_NAMES}")
        return cls(name)


@cache
def _arrow_type(dtype: Dtypes) -> pa.DataType:
    import pyarrow as pa

    if dtype is Dtypes.DATE:
        return pa.date32()
    if dtype is Dtypes.DECIMAL:
        return pa.decimal128(*DECIMAL_DIGITS)
    if dtype is Dtypes.TIMESTAMP:
        return pa.timestamp("us", "UTC")
    if dtype is Dtypes.CATEGORICAL:
        return pa.dictionary(pa.int32(), pa.string())
    name = {Dtypes.BYTES: "binary", Dtypes.BOOL: "bool", Dtypes.FLOAT16: "halffloat"}.get(dtype, dtype.value)
    return pa.type_for_alias(name)


def _is_bytes(arrow_type: pa.DataType) -> bool:
    import pyarrow as pa

    tests = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view, pa.types.is_fixed_size_binary)
    return any(test(arrow_type) for test in tests)


def common(*dtypes: Dtypes) -> Dtypes | None:
    """The smallest type that all of them widen to, an integer before a float of the same size; None if there is none.

    Give all of them at once: taking them in pairs may end in a larger type.
    """
    candidates = [wide for wide in Dtypes if all(dtype.widens_to(wide) for dtype in dtypes)]
    return min(candidates, key=_size, default=None) if dtypes else None


def common_digits(digits: Sequence[tuple[int, int]]) -> tuple[int, int] | None:
    """The smallest precision and scale that hold all of these; None if there are too many digits."""
    scale = max(each[1] for each in digits)
    precision = max(each[0] - each[1] for each in digits) + scale
    return (precision, scale) if precision <= MAX_DIGITS else None


def _size(dtype: Dtypes) -> int:
    return int("".join(filter(str.isdigit, dtype.value)) or 0)


DECIMAL_DIGITS = (38, 9)  # precision and scale
MAX_DIGITS = 76  # of Arrow's decimal256
# How many decimal digits each integer type may need.
INTEGER_DIGITS = {
    Dtypes.INT8: 3,
    Dtypes.INT16: 5,
    Dtypes.INT32: 10,
    Dtypes.INT64: 19,
    Dtypes.UINT8: 3,
    Dtypes.UINT16: 5,
    Dtypes.UINT32: 10,
    Dtypes.UINT64: 20,
}
_FLOATS = {"halffloat": "float16", "float": "float32", "double": "float64"}
_PLAIN = {dtype.value for dtype in Dtypes if dtype.is_number or dtype is Dtypes.BOOL}
_NAMES = ", ".join(dtype.value for dtype in Dtypes)


def _wider(*names: str) -> frozenset[Dtypes]:
    return frozenset(map(Dtypes, names))


# A float of p significant bits holds every integer of at most p bits: 11, 24 and 53 of them.
_WIDER = {
    Dtypes.INT8: _wider("int16", "int32", "int64", "float16", "float32", "float64"),
    Dtypes.INT16: _wider("int32", "int64", "float32", "float64"),
    Dtypes.INT32: _wider("int64", "float64"),
    Dtypes.UINT8: _wider("uint16", "uint32", "uint64", "int16", "int32", "int64", "float16", "float32", "float64"),
    Dtypes.UINT16: _wider("uint32", "uint64", "int32", "int64", "float32", "float64"),
    Dtypes.UINT32: _wider("uint64", "int64", "float64"),
    Dtypes.FLOAT16: _wider("float32", "float64"),
    Dtypes.FLOAT32: _wider("float64"),
    Dtypes.CATEGORICAL: _wider("string"),
    Dtypes.DATE: _wider("timestamp"),  # its midnight in UTC
}
