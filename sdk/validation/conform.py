"""`conform`: a table with exactly the columns and types of a catalog, where the values allow it without loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jeyn.errors import DataInvalid
from jeyn.sdk.dtypes import Dtypes
from jeyn.sdk.feature import Feature, split_arrow_type, type_only
from jeyn.sdk.validation.arrow import Nested, misfit, sizes
from jeyn.sdk.validation.arrow import cure as cure_of_type
from jeyn.sdk.validation.bounds import iso
from jeyn.sdk.validation.categories import encoded
from jeyn.sdk.validation.exact import CURE_OF_NANOSECONDS, CURE_OF_YEARS, exactly, is_by_value, with_leaf

if TYPE_CHECKING:
    import pyarrow as pa

    from jeyn.sdk.catalog import DataCatalog


def conform(catalog: type[DataCatalog], table: pa.Table, *, first_row: int = 0) -> pa.Table:
    """The features of the catalog in its order, cast to its types; absent optional ones and other columns left out.

    Times without a zone are UTC; no number is rounded, and no time is cut. The checks, nulls included, are not looked
    at, and the schema has no metadata, so that equal data has equal bytes. Raises `DataInvalid`, which
    counts rows from `first_row` on.
    """
    import pyarrow as pa

    columns = {}
    for name, feature in catalog.features.items():
        places = table.schema.get_all_field_indices(name)
        if len(places) > 1 or not (places or feature.optional):
            problem = "occurs several times" if places else "is required and not there"
            raise DataInvalid(f'feature "{name}" {problem}', hint=f"the columns are {table.column_names}")
        if places:
            columns[name] = _cast(name, table.column(places[0]), feature, first_row)
    return pa.table(columns)


def _cast(
    name: str, column: pa.ChunkedArray | pa.Array, feature: Feature, first_row: int
) -> pa.ChunkedArray | pa.Array:
    import pyarrow as pa

    wanted = feature.arrow_type()
    if column.type == wanted and not feature.nan_is_null and not feature.levels:
        return column
    problem = misfit(column.type, feature)
    if problem is not None:
        raise DataInvalid(
            f'feature "{name}" has another {problem}: expected {wanted}, got {column.type}',
            hint=cure_of_type(column.type, feature) if problem == "dtype" else "reshape the column",
        )
    if feature.nan_is_null or is_by_value(split_arrow_type(column.type)[0], feature):
        column = _exact(name, column, feature, first_row)
    if feature.levels:
        return _in_levels(name, column, feature, first_row)
    try:
        return _to_type(column, wanted, feature)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as exc:
        _check_sizes(name, column, feature, first_row)
        raise DataInvalid(f'feature "{name}" cannot be {wanted}: {exc}', hint="see what validate() says") from exc


def _exact(name: str, column: pa.ChunkedArray | pa.Array, feature: Feature, first_row: int) -> pa.ChunkedArray:
    """The values as the feature's own, none of them rounded; raises `DataInvalid` with the first that would be."""
    import pyarrow as pa

    made, row = [], first_row
    for chunk in column.chunks if isinstance(column, pa.ChunkedArray) else [column]:
        nested = Nested.of(chunk, feature)
        if nested.inexact.size:
            at = int(nested.rows(nested.inexact[:1])[0])
            if nested.is_beyond_calendar:
                value, cure = iso(nested.leaf[int(nested.inexact[0])].as_py()), CURE_OF_YEARS
            else:
                value, cure = nested.written or chunk[at].as_py(), _cure_of_value(feature)
            raise DataInvalid(
                f'feature "{name}" holds {value} in row {row + at}, which is no {type_only(feature)} exactly',
                hint=cure,
            )
        made.append(with_leaf(chunk, lambda leaf: exactly(leaf, feature)[0]))
        row += len(chunk)
    return pa.chunked_array(made) if made else column


def _check_sizes(name: str, column: pa.ChunkedArray | pa.Array, feature: Feature, row: int) -> None:
    """Raise `DataInvalid` for the first list that has not the feature's size."""
    import numpy as np
    import pyarrow as pa

    for chunk in column.chunks if isinstance(column, pa.ChunkedArray) else [column]:
        nested = Nested.of(chunk, feature)
        for depth, (lists, size) in enumerate(zip(nested.lists, feature.shape[1:], strict=False)):
            wrong = (sizes(lists) != size) & lists.is_valid().to_numpy(zero_copy_only=False)
            if size != -1 and wrong.any():
                at = np.flatnonzero(wrong)[:1]
                place = row + int(nested.rows(at, depth)[0])
                raise DataInvalid(
                    f'feature "{name}" holds a list of {sizes(lists)[at[0]]} in row {place}, expected {size} values',
                    hint="correct the list, or declare a size of -1, which is any",
                )
        row += len(chunk)


def _in_levels(name: str, column: pa.ChunkedArray | pa.Array, feature: Feature, first_row: int) -> pa.ChunkedArray:
    """The column with the categories that the feature declares, in their order; raises `DataInvalid` for another."""
    import pyarrow as pa

    made, row = [], first_row
    for chunk in column.chunks if isinstance(column, pa.ChunkedArray) else [column]:
        found, outside = encoded(chunk.cast(feature.arrow_type()), feature.levels)
        if outside.size:
            at = int(Nested.of(chunk, feature).rows(outside[:1])[0])
            raise DataInvalid(
                f'feature "{name}" holds {chunk[at].as_py()!r} in row {row + at}, which is none of its levels',
                hint=f"its levels are {', '.join(feature.levels)}: add it in a new version, or correct the value",
            )
        made.append(found)
        row += len(chunk)
    return pa.chunked_array(made, feature.arrow_type())


def _cure_of_value(feature: Feature) -> str:
    if feature.dtype.is_float:
        bits = {Dtypes.FLOAT16: 11, Dtypes.FLOAT32: 24}.get(feature.dtype, 53)
        return f"{feature.dtype.value} holds whole numbers up to 2^{bits}: declare an integer, or correct the value"
    if feature.dtype.is_integer:
        return f"{feature.dtype.value} takes whole floats in its range only: declare FLOAT64, or correct the value"
    if feature.dtype is Dtypes.DATE:
        return "a day takes times at midnight UTC only: declare TIMESTAMP, or correct the value"
    if feature.dtype is Dtypes.TIMESTAMP:
        return CURE_OF_NANOSECONDS
    return "declare more digits, or correct the value"


def _to_type(column: pa.ChunkedArray | pa.Array, wanted: pa.DataType, feature: Feature) -> pa.ChunkedArray | pa.Array:
    import pyarrow as pa

    if len(feature.shape) == 2 and not pa.types.is_nested(column.type) and not pa.types.is_null(column.type):
        chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
        leaf = wanted.value_type
        made = [pa.FixedSizeListArray.from_arrays(chunk.cast(leaf), 1) for chunk in chunks]
        return pa.chunked_array(made, wanted)
    return column.cast(wanted)
