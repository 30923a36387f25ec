"""Between Arrow tables and arrays of a feature's shape: the rows first, then the feature's own dimensions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jeyn.errors import DataInvalid, NotSerializable, UsageError
from jeyn.sdk.validation.tables import Unreadable, batches_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa
    import torch

    from jeyn.sdk.catalog import DataCatalog
    from jeyn.sdk.feature import Feature


def as_table(data: Any, catalog: type[DataCatalog]) -> pa.Table:
    """The catalog's features of a table, record batch, pandas or polars frame, or a dict of arrays (rows first).

    Raises `NotSerializable` for what is no table, and `DataInvalid` for a column that Arrow cannot hold.
    """
    import pyarrow as pa

    if isinstance(data, pa.Table):
        return data
    try:
        pieces = [pa.table(_readable(columns)) for columns, _ in batches_of(catalog, data)]
    except UsageError as exc:
        raise NotSerializable(
            f'a "{type(data).__name__}" is no table', hint="give an Arrow table, a data frame, or a dict of arrays"
        ) from exc
    return pa.concat_tables(pieces)


def _readable(columns: dict[str, Any]) -> dict[str, Any]:
    for name, column in columns.items():
        if isinstance(column, Unreadable):
            raise DataInvalid(f'the column "{name}" cannot be read: {column.problem}', hint="give it one type")
    return columns


def table_to_numpy(table: pa.Table, catalog: type[DataCatalog]) -> dict[str, npt.NDArray[np.generic]]:
    """Arrays of the features in `table`; a ragged dimension gives an object array of arrays."""
    return {
        name: _to_array(table.column(name), feature)
        for name, feature in catalog.features.items()
        if name in table.column_names
    }


def _to_array(column: pa.ChunkedArray, feature: Feature) -> npt.NDArray[np.generic]:
    import pyarrow as pa

    rows, flat = len(column), column.combine_chunks()
    if isinstance(flat, pa.ChunkedArray):
        flat = flat.chunk(0) if flat.num_chunks == 1 else pa.concat_arrays(flat.chunks)
    while pa.types.is_fixed_size_list(flat.type) and flat.null_count == 0:
        flat = flat.flatten()
    if pa.types.is_dictionary(flat.type):
        flat = flat.cast(flat.type.value_type)
    values: npt.NDArray[np.generic] = flat.to_numpy(zero_copy_only=False)
    if -1 in feature.shape[1:] or len(feature.shape) == 1 or pa.types.is_nested(flat.type):
        return values
    return values.reshape((rows, *feature.shape[1:]))


def table_to_torch(table: pa.Table, catalog: type[DataCatalog]) -> dict[str, torch.Tensor]:
    """Tensors of the numeric and bool features in `table`; raises `UsageError` for a ragged one."""
    import torch

    tensors = {}
    for name, array in table_to_numpy(table, catalog).items():
        if array.dtype.kind in "USMm" or (array.dtype == object and catalog.features[name].shape == (-1,)):
            continue
        if array.dtype == object:
            raise UsageError(f'"{name}" is ragged, so it has no tensor', hint="use to_numpy() and pad it")
        tensors[name] = torch.from_numpy(array.copy())
    return tensors
