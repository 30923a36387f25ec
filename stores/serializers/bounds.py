"""The questions that checks of loaded models ask; each is Corrupt where the answer is no."""

from __future__ import annotations

from typing import Any

from jeyn.errors import Corrupt

# More threads than this ends the process: OpenMP does not come back from it.
MOST_THREADS = 1024


def require(holds: bool, what: str) -> None:
    """Corrupt, saying that a part points outside its `what`."""
    if not holds:
        raise Corrupt(
            f"a part of this model points outside its {what}", hint="the archive was altered; save the model again"
        )


def require_within(indices: Any, count: int, what: str) -> None:
    """All of `indices` are from 0 to below `count`."""
    import numpy as np

    values = np.asarray(indices)
    require(values.size == 0 or (int(values.min()) >= 0 and int(values.max()) < count), what)


def whole(value: Any, what: str, *, least: int = 0, most: int = 2**31 - 1) -> int:
    """An integer of exactly that, Python's or numpy's, in these bounds."""
    import numpy as np

    require(type(value) is int or (isinstance(value, np.integer) and type(value).__module__ == "numpy"), what)
    require(least <= int(value) <= most, what)
    return int(value)


def array_of(value: Any, dimensions: int, kinds: str, what: str) -> Any:
    """A plain numpy array with so many dimensions, of a dtype of one of these kinds."""
    import numpy as np

    require(type(value) is np.ndarray and value.ndim == dimensions and value.dtype.kind in kinds, what)
    return value
