"""Checks of what is held by all kinds of estimators: sparse matrices, random generators, numbers of threads."""

from __future__ import annotations

from typing import Any

from jeyn.stores.serializers.bounds import MOST_THREADS, require, require_within, whole

_MATRICES = {"csr", "csc", "bsr", "coo", "dia"}


def _check_sparse(matrix: Any) -> None:
    """As scipy would if it were asked to look at each index."""
    import numpy as np

    require(min(matrix.shape) >= 0, "shape")
    if matrix.format in ("csr", "csc", "bsr"):
        matrix.check_format(full_check=True)
        # An index array may be longer than what the pointers use, and compiled code reads all of it.
        minor = matrix.shape[1 if matrix.format != "csc" else 0]
        blocks = matrix.blocksize[1] if matrix.format == "bsr" else 1
        require_within(matrix.indices, -(-minor // blocks), "columns")
        require(len(matrix.indices) == len(matrix.data), "entries")
        require(bool((np.diff(matrix.indptr) >= 0).all()), "rows")
    elif matrix.format == "coo":
        for indices, count in zip(matrix.coords, matrix.shape, strict=True):
            require(len(indices) == len(matrix.data), "entries")
            require_within(indices, count, "rows")
    else:
        require(matrix.data.ndim == 2 and len(matrix.offsets) == matrix.data.shape[0], "diagonals")


def _check_generator(generator: Any) -> None:
    """A generator reads its next number at the place that its state names."""
    bits = generator if hasattr(generator, "state") else generator._bit_generator
    state = bits.state
    if state["bit_generator"] == "MT19937":
        whole(state["state"]["pos"], "numbers", most=624)
    elif state["bit_generator"] == "Philox":
        whole(state["buffer_pos"], "numbers", most=4)


def _check_threads(model: Any) -> None:
    held = vars(model)
    if "_n_threads" in held:
        whole(held["_n_threads"], "threads", least=1, most=MOST_THREADS)
    if type(held.get("n_jobs")) is int:
        require(abs(held["n_jobs"]) <= MOST_THREADS, "threads")


EXACT = {
    **{
        f"scipy.sparse._{format}.{format}_{kind}": _check_sparse for format in _MATRICES for kind in ("matrix", "array")
    },
    "numpy.random.mtrand.RandomState": _check_generator,
    "numpy.random._generator.Generator": lambda generator: _check_generator(generator.bit_generator),
}
ESTIMATORS = {"sklearn.base.BaseEstimator": _check_threads}
