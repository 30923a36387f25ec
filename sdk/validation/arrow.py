"""Arrow columns as validation sees them: which types fit a feature, and the innermost values of nested columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jeyn.errors import UsageError
from jeyn.sdk.dtypes import Dtypes
from jeyn.sdk.feature import Feature, feature_of, split_arrow_type
from jeyn.sdk.validation.exact import as_written, beyond_calendar, exactly, is_by_value

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa


def misfit(arrow_type: pa.DataType, feature: Feature) -> str | None:
    """ "dtype" or "shape" if no column of this type can fit the feature, else None; lists are measured elsewhere."""
    import pyarrow as pa

    leaf, shape = split_arrow_type(arrow_type)
    if pa.types.is_null(arrow_type):
        return None
    if not pa.types.is_null(leaf) and not _dtype_fits(leaf, feature):
        return "dtype"
    return None if _shape_fits(shape, feature.shape) else "shape"


def _dtype_fits(leaf: pa.DataType, wanted: Feature) -> bool:
    try:
        found = feature_of(leaf)
    except UsageError:
        return False
    is_label = found.dtype is Dtypes.STRING and wanted.dtype is Dtypes.CATEGORICAL
    return found.widens_to(wanted) or is_label or is_by_value(leaf, wanted)


def cure(arrow_type: pa.DataType, feature: Feature) -> str:
    """What to declare, or to do, where a column of this type does not fit."""
    try:
        found = feature_of(split_arrow_type(arrow_type)[0])
    except UsageError:
        return "cast the column"
    digits = f", precision={found.precision}, scale={found.scale}" if found.dtype is Dtypes.DECIMAL else ""
    gaps = cure_of_gaps(arrow_type, feature).removeprefix(": ")
    return gaps or f"declare Feature(Dtypes.{found.dtype.name}{digits}), or cast the column"


def cure_of_gaps(arrow_type: pa.DataType, feature: Feature) -> str:
    """For floats where integers are asked for, which is how pandas writes integers with gaps; else nothing."""
    import pyarrow as pa

    leaf = split_arrow_type(arrow_type)[0]
    if not (pa.types.is_floating(leaf) and feature.dtype.is_integer):
        return ""
    return (
        f": whole numbers in {leaf}, as pandas writes integers with gaps, fit "
        f"Feature(Dtypes.{feature.dtype.name}, nullable=True)"
    )


def _shape_fits(shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    if wanted == (-1, 1) and shape == (-1,):
        return True
    sizes = zip(shape, wanted, strict=False)
    return len(shape) == len(wanted) and all(-1 in (size, want) or size == want for size, want in sizes)


@dataclass
class Nested:
    """A column taken apart: the list arrays from the outside in, and the values within the innermost of them.

    `inexact` are the positions of values that the feature cannot hold without rounding, and `written` is the first of
    them where Python has no value that shows it; some `is_beyond_calendar` where times are out of all years.
    """

    lists: list[pa.Array]
    leaf: pa.Array
    inexact: npt.NDArray[np.int64]
    written: str | None = None
    is_beyond_calendar: bool = False

    @classmethod
    def of(cls, array: pa.Array, feature: Feature) -> Nested:
        import pyarrow as pa

        lists = []
        while len(split_arrow_type(array.type)[1]) > 1:
            lists.append(array)
            array = array.flatten()
        if pa.types.is_dictionary(array.type):
            array = array.dictionary_decode()
        made, inexact = exactly(array, feature)
        written = as_written(array, int(inexact[0])) if inexact.size else None
        leaf = _comparable(array if inexact.size else made, feature)
        return cls(lists, leaf, inexact, written, bool(inexact.size and beyond_calendar(array).size))

    def rows(self, positions: npt.NDArray[np.int64], depth: int | None = None) -> npt.NDArray[np.int64]:
        """The rows of the column that hold the values at these positions of the leaf, or of `lists[depth]`."""
        import numpy as np

        for array in reversed(self.lists[:depth]):
            positions = np.searchsorted(np.cumsum(sizes(array)), positions, side="right").astype(np.int64)
        return positions


def sizes(array: pa.Array) -> npt.NDArray[np.int64]:
    """How many values each list holds; 0 for a null, which holds none."""
    import pyarrow.compute as pc

    lengths: npt.NDArray[np.int64] = pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False)
    return lengths


def _comparable(leaf: pa.Array, feature: Feature) -> pa.Array:
    """The same values in a type that Arrow's kernels and Python's operators can compare: times as microseconds."""
    import pyarrow as pa

    if pa.types.is_date32(leaf.type):
        return _microseconds(leaf.cast(pa.timestamp("s")))
    if pa.types.is_timestamp(leaf.type):
        return _microseconds(leaf)
    if pa.types.is_null(leaf.type):
        return leaf.cast(_leaf_type(feature))
    if pa.types.is_boolean(leaf.type):
        return leaf.cast(pa.uint8())
    if pa.types.is_float16(leaf.type):
        return leaf.cast(pa.float32())
    if pa.types.is_string_view(leaf.type):
        return leaf.cast(pa.large_string())
    return leaf


def _microseconds(leaf: pa.Array) -> pa.Array:
    """Since the epoch; what is out of range is moved to its end, so that checks see it."""
    import pyarrow as pa
    import pyarrow.compute as pc

    scale = {"s": 1_000_000, "ms": 1_000}.get(leaf.type.unit, 1)
    if scale == 1:
        return leaf.cast(pa.timestamp("us", "UTC"), safe=False).view(pa.int64())
    end = (2**63 - 1) // scale
    within = pc.max_element_wise(
        pc.min_element_wise(leaf.view(pa.int64()), end, skip_nulls=False), -end, skip_nulls=False
    )
    return pc.multiply(within, scale)


def _leaf_type(feature: Feature) -> pa.DataType:
    import pyarrow as pa

    return pa.string() if feature.dtype is Dtypes.CATEGORICAL else comparable_type(feature)


def comparable_type(feature: Feature) -> pa.DataType:
    """The type in which values of the feature are compared: times and days are microseconds."""
    import pyarrow as pa

    times = {Dtypes.TIMESTAMP: pa.int64(), Dtypes.DATE: pa.int64()}
    special = times | {Dtypes.BOOL: pa.uint8(), Dtypes.FLOAT16: pa.float32()}
    return special.get(feature.dtype) or feature.value_type()
