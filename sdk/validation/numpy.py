"""A dict of numpy arrays as Arrow arrays: the first axis is the rows, further axes become lists of fixed size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from jeyn.errors import DataInvalid
from jeyn.sdk.validation.tables import Columns, Unreadable, read_column

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from jeyn.sdk.catalog import DataCatalog
    from jeyn.sdk.feature import Feature


def array_columns(catalog: type[DataCatalog], arrays: Mapping[str, Any]) -> Columns:
    """Each feature that the dict has; raises `DataInvalid` when the arrays have different numbers of rows."""
    import numpy as np

    found = {name: arrays[name] for name in catalog.features if name in arrays}
    made = {name: value if isinstance(value, np.ndarray) else _as_array(value) for name, value in found.items()}
    rows = {name: len(array) if array.ndim else 0 for name, array in made.items()}
    if len(set(rows.values())) > 1:
        told = ", ".join(f'"{name}" has {count}' for name, count in rows.items())
        raise DataInvalid(f"the arrays differ in their rows: {told}", hint="the first axis of each is the rows")
    return {name: _read(array, catalog.features[name]) for name, array in made.items()}


def _as_array(values: Any) -> npt.NDArray[Any]:
    """A list may be ragged, and then it is an array of lists."""
    import numpy as np

    try:
        return np.asarray(values)
    except ValueError:
        made = np.empty(len(values), dtype=object)
        made[:] = values
        return made


def _read(array: npt.NDArray[Any], feature: Feature) -> object:
    import pyarrow as pa

    if array.ndim == 0:
        return Unreadable("it is one value without rows")
    if array.ndim > 1 and 0 in array.shape[1:]:
        return Unreadable(f"its shape is {array.shape}")
    native = _native(array)
    flat = native if isinstance(native, Unreadable) else read_column(native, feature)
    if isinstance(flat, Unreadable):
        return flat
    for size in reversed(array.shape[1:]):
        flat = pa.FixedSizeListArray.from_arrays(flat, size)
    return flat


def _native(array: npt.NDArray[Any]) -> npt.NDArray[np.generic] | Unreadable:
    """One contiguous axis in this machine's byte order; times of a unit that Arrow has not are told in microseconds."""
    import numpy as np

    # A masked array goes on as it is: its mask says what is null.
    flat = array.reshape(-1) if isinstance(array, np.ma.MaskedArray) else np.ascontiguousarray(array).reshape(-1)
    flat = flat if flat.dtype.isnative else flat.astype(flat.dtype.newbyteorder("="))
    if flat.dtype.kind != "M" or flat.dtype in (np.dtype("datetime64[ns]"), np.dtype("datetime64[D]")):
        return flat
    made = flat.astype("datetime64[us]")
    bad = np.flatnonzero((made.astype(flat.dtype) != flat) & ~np.isnat(flat))
    if bad.size:
        row = int(bad[0]) // max(1, flat.size // len(array))
        return Unreadable(f"{flat[bad[0]]} in row {row} is no time in whole microseconds, or too far away")
    return made
