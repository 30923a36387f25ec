"""The categories of a column: which there are and in what order, and the column with given ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from jeyn.sdk.feature import split_arrow_type
from jeyn.sdk.validation.exact import with_leaf

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

MAX_LEVELS = 100_000


def levels_of(array: pa.Array) -> list[str]:
    """The categories in their own order, used or not; of plain texts the order in which they first come."""
    import pyarrow as pa
    import pyarrow.compute as pc

    while len(split_arrow_type(array.type)[1]) > 1:
        array = array.flatten()
    if pa.types.is_null(array.type):
        return []
    found = array.dictionary if pa.types.is_dictionary(array.type) else pc.unique(array)
    return [level for level in found.to_pylist() if level is not None]


def encoded(array: pa.Array, levels: Sequence[str]) -> tuple[pa.Array, npt.NDArray[np.int64]]:
    """The column with exactly these categories in this order, and the positions of innermost values that are none."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    outside: list[npt.NDArray[np.int64]] = []
    categories = pa.array(levels, pa.string())

    def change(leaf: pa.Array) -> pa.Array:
        if pa.types.is_dictionary(leaf.type) and leaf.dictionary.equals(categories):
            outside.append(np.empty(0, np.int64))
            return leaf if leaf.type.index_type == pa.int32() else leaf.cast(pa.dictionary(pa.int32(), pa.string()))
        texts = leaf.dictionary_decode() if pa.types.is_dictionary(leaf.type) else leaf
        texts = texts.cast(pa.string())
        codes = pc.index_in(texts, value_set=categories)
        bad = pc.and_(codes.is_null(), texts.is_valid()).to_numpy(zero_copy_only=False)
        outside.append(np.flatnonzero(bad).astype(np.int64))
        return pa.DictionaryArray.from_arrays(codes.cast(pa.int32()), categories)

    made = with_leaf(array, change)
    return made, outside[0] if outside else np.empty(0, np.int64)
