"""`conform`: a table with exactly the columns and types of a catalog, where the values allow it without loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jeyn.errors import DataInvalid
from jeyn.sdk.feature import Feature
from jeyn.sdk.validation.arrow import misfit

if TYPE_CHECKING:
    import pyarrow as pa

    from jeyn.sdk.catalog import DataCatalog


def conform(catalog: type[DataCatalog], table: pa.Table) -> pa.Table:
    """The features of the catalog in its order, cast to its types; absent optional ones and other columns left out.

    Times are cut to microseconds, and those without a zone are UTC. The checks, nulls included, are not looked at, and
    the schema has no metadata, so that equal data has equal bytes. Raises `DataInvalid`.
    """
    import pyarrow as pa

    columns = {}
    for name, feature in catalog.features.items():
        places = table.schema.get_all_field_indices(name)
        if len(places) > 1 or not (places or feature.optional):
            problem = "occurs several times" if places else "is required and not there"
            raise DataInvalid(f'feature "{name}" {problem}', hint=f"the columns are {table.column_names}")
        if places:
            columns[name] = _cast(name, table.column(places[0]), feature)
    return pa.table(columns)


def _cast(name: str, column: pa.ChunkedArray | pa.Array, feature: Feature) -> pa.ChunkedArray | pa.Array:
    import pyarrow as pa

    wanted = feature.arrow_type()
    if column.type == wanted:
        return column
    problem = misfit(column.type, feature)
    if problem is not None:
        raise DataInvalid(
            f'feature "{name}" has another {problem}: expected {wanted}, got {column.type}', hint="cast the column"
        )
    try:
        return _to_type(column, wanted, feature)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as exc:
        raise DataInvalid(f'feature "{name}" cannot be {wanted}: {exc}', hint="see what validate() says") from exc


def _to_type(column: pa.ChunkedArray | pa.Array, wanted: pa.DataType, feature: Feature) -> pa.ChunkedArray | pa.Array:
    import pyarrow as pa

    if len(feature.shape) == 2 and not pa.types.is_nested(column.type) and not pa.types.is_null(column.type):
        chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
        leaf = wanted.value_type
        made = [pa.FixedSizeListArray.from_arrays(chunk.cast(leaf), 1) for chunk in chunks]
        return pa.chunked_array(made, wanted)
    # Only nanoseconds may lose something; every other cast that a feature takes is exact, or an error.
    return column.cast(wanted, safe="timestamp[ns" not in str(column.type))
