"""Values of one type as another without rounding: a column whose type fits only where each of its values does."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from jeyn.errors import UsageError
from jeyn.sdk.dtypes import Dtypes
from jeyn.sdk.feature import Feature, feature_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    Positions = npt.NDArray[np.int64]

_DAY = 86_400_000_000  # microseconds
# The years 1 to 9999, in seconds and days since 1970.
_YEARS, _DAYS = (-62_135_596_800, 253_402_300_799), (-719_162, 2_932_896)
CURE_OF_YEARS = "times have the years 1 to 9999; write a null for never"
CURE_OF_NANOSECONDS = 'times have whole microseconds: cut them where they are made, in pandas by .dt.floor("us")'


def is_by_value(leaf: pa.DataType, feature: Feature) -> bool:
    """Whether values of this Arrow type fit the feature where each is exactly one of its own.

    Integers as floats, whole floats as integers that may be null (there NaN is the null, as pandas writes it),
    midnights as days, nanoseconds as the microseconds that they are, and numbers of fewer digits as decimals.
    """
    if _is_in_nanoseconds(leaf):
        return feature.dtype in (Dtypes.TIMESTAMP, Dtypes.DATE)
    try:
        found = feature_of(leaf)
    except UsageError:
        return False
    if found.widens_to(feature):
        return False
    pairs = (
        found.dtype.is_integer and feature.dtype.is_float,
        found.dtype.is_float and feature.dtype.is_integer and feature.nullable,
        found.dtype is Dtypes.TIMESTAMP and feature.dtype is Dtypes.DATE,
        (found.dtype.is_integer or found.dtype is Dtypes.DECIMAL) and feature.dtype is Dtypes.DECIMAL,
    )
    return any(pairs)


def exactly(leaf: pa.Array, feature: Feature) -> tuple[pa.Array, Positions]:
    """The values as the feature's own type, and the positions of those that are none of it."""
    import numpy as np
    import pyarrow as pa

    if pa.types.is_dictionary(leaf.type) and not feature.dtype.is_text:
        leaf = leaf.dictionary_decode()
    if is_by_value(leaf.type, feature):
        if feature.dtype is Dtypes.DECIMAL:
            return _decimals(leaf, feature)
        if feature.dtype is Dtypes.DATE:
            days, bad = _days(leaf)
            return days, bad if bad.size else beyond_calendar(days)
        if feature.dtype is Dtypes.TIMESTAMP:
            return _microseconds(leaf)
        return _floats(leaf, feature) if feature.dtype.is_float else _integers(leaf, feature)
    if feature.dtype in (Dtypes.TIMESTAMP, Dtypes.DATE):
        return leaf, beyond_calendar(leaf)
    return (without_nan(leaf) if feature.nan_is_null else leaf), np.empty(0, np.int64)


def beyond_calendar(leaf: pa.Array) -> Positions:
    """The positions of times and days in years that no `datetime` has."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_date32(leaf.type):
        low, high, numbers = *_DAYS, leaf.view(pa.int32())
    elif pa.types.is_timestamp(leaf.type):
        scale = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[leaf.type.unit]
        low, high = _YEARS[0] * scale, (_YEARS[1] + 1) * scale - 1
        numbers = leaf.view(pa.int64())
    else:
        return np.empty(0, np.int64)
    found = pc.min_max(numbers).as_py()
    if found["min"] is None or (found["min"] >= low and found["max"] <= high):
        return np.empty(0, np.int64)
    values = numbers.fill_null(0).to_numpy(zero_copy_only=False)
    return np.flatnonzero((values < low) | (values > high)).astype(np.int64)


def without_nan(leaf: pa.Array) -> pa.Array:
    """The same floats with null for NaN."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_floating(leaf.type):
        return leaf
    wide = leaf.cast(pa.float32()) if pa.types.is_float16(leaf.type) else leaf
    nan = pc.fill_null(pc.is_nan(wide), False)
    return pc.if_else(nan, pa.scalar(None, leaf.type), leaf) if pc.any(nan).as_py() else leaf


def _floats(leaf: pa.Array, feature: Feature) -> tuple[pa.Array, Positions]:
    import pyarrow as pa

    floats, bad = as_floats(leaf.fill_null(0).to_numpy(zero_copy_only=False), feature.dtype.value)
    return pa.array(floats, mask=_nulls(leaf)), bad


def _integers(leaf: pa.Array, feature: Feature) -> tuple[pa.Array, Positions]:
    import pyarrow as pa

    leaf = without_nan(leaf)
    wide = leaf.cast(pa.float64())
    integers, bad = as_integers(wide.fill_null(0).to_numpy(zero_copy_only=False), feature.dtype.value)
    return pa.array(integers, mask=_nulls(leaf)), bad


def _days(leaf: pa.Array) -> tuple[pa.Array, Positions]:
    import numpy as np
    import pyarrow as pa

    values = leaf.cast(pa.timestamp(leaf.type.unit)).fill_null(0).to_numpy(zero_copy_only=False)
    days = values.astype("datetime64[D]")
    return pa.array(days, mask=_nulls(leaf)), np.flatnonzero(days.astype(values.dtype) != values).astype(np.int64)


def _is_in_nanoseconds(kind: pa.DataType) -> bool:
    import pyarrow as pa

    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return isinstance(kind, pa.TimestampType) and kind.unit == "ns"


def _microseconds(leaf: pa.Array) -> tuple[pa.Array, Positions]:
    import numpy as np
    import pyarrow as pa

    try:
        return leaf.cast(Dtypes.TIMESTAMP.to_arrow()), np.empty(0, np.int64)
    except pa.ArrowInvalid:
        values = leaf.view(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
        return leaf, np.flatnonzero(values % 1000).astype(np.int64)


def as_written(leaf: pa.Array, at: int) -> str | None:
    """A time in nanoseconds with all its digits, which no `datetime` holds; None for other types."""
    import pyarrow as pa

    if not _is_in_nanoseconds(leaf.type):
        return None
    value = leaf.slice(at, 1)
    value = value.dictionary_decode() if pa.types.is_dictionary(leaf.type) else value
    return str(value.cast(pa.string())[0])


def _decimals(leaf: pa.Array, feature: Feature) -> tuple[pa.Array, Positions]:
    import numpy as np
    import pyarrow as pa

    wanted = feature.value_type()
    try:
        return _as_decimal(leaf, wanted), np.empty(0, np.int64)
    except pa.ArrowInvalid:
        bad = [at for at in range(len(leaf)) if not _casts(leaf.slice(at, 1), wanted)]
        return leaf, np.array(bad, np.int64)


def _as_decimal(leaf: pa.Array, wanted: pa.DataType) -> pa.Array:
    import pyarrow as pa

    if pa.types.is_integer(leaf.type):
        leaf = leaf.cast(pa.decimal128(20, 0))
    wide = pa.decimal256(76, max(leaf.type.scale, wanted.scale))
    return leaf.cast(wide).cast(wanted)


def _casts(value: pa.Array, wanted: pa.DataType) -> bool:
    import pyarrow as pa

    try:
        _as_decimal(value, wanted)
    except pa.ArrowInvalid:
        return False
    return True


def _nulls(leaf: pa.Array) -> Any:
    return leaf.is_null().to_numpy(zero_copy_only=False) if leaf.null_count else None


def as_floats(values: npt.NDArray[Any], dtype: str) -> tuple[npt.NDArray[Any], Positions]:
    """Integers as floats, and the positions of those that are another number there."""
    import numpy as np

    with np.errstate(over="ignore", invalid="ignore"):
        floats = values.astype(dtype)
        wide = floats.astype(np.float64)
        # 2.0**63 and 2.0**64 are no values of the integers, and what casting them back gives differs by machine.
        within = np.isfinite(wide) & (wide < 2.0 ** (np.iinfo(values.dtype).bits - (values.dtype.kind == "i")))
        same = np.where(within, wide, 0).astype(values.dtype) == values
    return floats, np.flatnonzero(~(within & same)).astype(np.int64)


def as_integers(values: npt.NDArray[Any], dtype: str) -> tuple[npt.NDArray[Any], Positions]:
    """Floats as integers, and the positions of those that have a fraction or are out of range; NaN is one of them."""
    import numpy as np

    wide = values.astype(np.float64)
    info = np.iinfo(dtype)
    with np.errstate(invalid="ignore"):
        within = (wide >= float(info.min)) & (wide < 2.0 ** (info.bits - (info.min < 0))) & (wide == np.floor(wide))
    return np.where(within, wide, 0).astype(dtype), np.flatnonzero(~within).astype(np.int64)


def with_leaf(array: pa.Array, change: Callable[[pa.Array], pa.Array]) -> pa.Array:
    """The same lists around changed innermost values."""
    import pyarrow as pa

    kind = array.type
    if not (pa.types.is_fixed_size_list(kind) or pa.types.is_list(kind) or pa.types.is_large_list(kind)):
        return change(array)
    array = pa.concat_arrays([array])  # a slice's own values, from the first on
    nulls = array.is_null() if array.null_count else None
    if pa.types.is_fixed_size_list(kind):
        values = array.values.slice(array.offset * kind.list_size, len(array) * kind.list_size)
        return pa.FixedSizeListArray.from_arrays(with_leaf(values, change), kind.list_size, mask=nulls)
    made = pa.ListArray if pa.types.is_list(kind) else pa.LargeListArray
    return made.from_arrays(array.offsets, with_leaf(array.values, change), mask=nulls)
