"""Numbers from one kind into the other without rounding: which of them are exactly the same there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


def as_floats(values: npt.NDArray[Any], dtype: str) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    """Integers as floats, and the positions of those that are another number there."""
    import numpy as np

    with np.errstate(over="ignore", invalid="ignore"):
        floats = values.astype(dtype)
        wide = floats.astype(np.float64)
        # 2.0**63 and 2.0**64 are no values of the integers, and what casting them back gives differs by machine.
        within = np.isfinite(wide) & (wide < 2.0 ** (np.iinfo(values.dtype).bits - (values.dtype.kind == "i")))
        same = np.where(within, wide, 0).astype(values.dtype) == values
    return floats, np.flatnonzero(~(within & same)).astype(np.int64)


def as_integers(values: npt.NDArray[Any], dtype: str) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    """Floats as integers, and the positions of those that have a fraction or are out of range; NaN is one of them."""
    import numpy as np

    wide = values.astype(np.float64)
    info = np.iinfo(dtype)
    with np.errstate(invalid="ignore"):
        within = (wide >= float(info.min)) & (wide < 2.0 ** (info.bits - (info.min < 0))) & (wide == np.floor(wide))
    return np.where(within, wide, 0).astype(dtype), np.flatnonzero(~within).astype(np.int64)
