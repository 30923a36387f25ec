"""Between Arrow tables and arrays of a feature's shape: the rows first, then the feature's own dimensions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jeyn.errors import DataInvalid, NotSerializable, UsageError
from jeyn.sdk.dtypes import Dtypes
from jeyn.sdk.validation.arrow import Nested
from jeyn.sdk.validation.exact import as_floats
from jeyn.sdk.validation.tables import Unreadable, batches_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd
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
    """Arrays of the features in `table`; a ragged dimension gives an object array of arrays.

    NumPy has no null: a float is NaN there, a time NaT, anything else None in an object array. Integers with nulls are
    float64, and `DataInvalid` where one of them is beyond what float64 holds exactly. Categories are their texts.
    """
    return {
        name: _to_array(name, table.column(name), feature)
        for name, feature in catalog.features.items()
        if name in table.column_names
    }


def _to_array(name: str, column: pa.ChunkedArray, feature: Feature) -> npt.NDArray[np.generic]:
    import pyarrow as pa

    rows, flat = len(column), column.combine_chunks()
    if isinstance(flat, pa.ChunkedArray):
        flat = flat.chunk(0) if flat.num_chunks == 1 else pa.concat_arrays(flat.chunks)
    check_floats_hold(name, flat, feature)
    flat = _without_hidden_nulls(flat)
    while pa.types.is_fixed_size_list(flat.type) and flat.null_count == 0:
        flat = flat.flatten()
    if pa.types.is_dictionary(flat.type):
        flat = flat.cast(flat.type.value_type)
    values: npt.NDArray[np.generic] = flat.to_numpy(zero_copy_only=False)
    if -1 in feature.shape[1:] or len(feature.shape) == 1 or pa.types.is_nested(flat.type):
        return values
    return values.reshape((rows, *feature.shape[1:]))


def _without_hidden_nulls(array: pa.Array) -> pa.Array:
    """The same lists, with values of other rows where there is a null for each value of a list that is null: for those
    Arrow makes floats of all integers."""
    import numpy as np
    import pyarrow as pa

    if not pa.types.is_fixed_size_list(array.type) or array.null_count in (0, len(array)):
        return array
    size, there = array.type.list_size, array.is_valid().to_numpy(zero_copy_only=False)
    rows = np.where(there, np.cumsum(there) - 1, 0)
    places = (rows[:, None] * size + np.arange(size)).reshape(-1)
    values = _without_hidden_nulls(array.flatten()).take(pa.array(places))
    return pa.FixedSizeListArray.from_arrays(values, size, mask=pa.array(~there))


def check_floats_hold(name: str, array: pa.Array, feature: Feature) -> None:
    """Raise `DataInvalid` for integers beside nulls, which become float64, that float64 does not hold exactly."""
    if not feature.dtype.is_integer:
        return
    nested = Nested.of(array, feature)
    if not nested.leaf.null_count:
        return
    _, bad = as_floats(nested.leaf.fill_null(0).to_numpy(zero_copy_only=False), "float64")
    if bad.size:
        row, value = int(nested.rows(bad[:1])[0]), nested.leaf[int(bad[0])].as_py()
        raise DataInvalid(
            f'feature "{name}" holds {value} in row {row}, which float64 does not hold exactly, and NumPy has no other '
            "place for its nulls",
            hint="use load() or to_pandas(), or fill the nulls first",
        )


def table_to_matrix(table: pa.Table, catalog: type[DataCatalog]) -> npt.NDArray[np.generic]:
    """The features side by side in the catalog's order, shape (rows, values); one that has dimensions is as it is.

    Numbers take the type that NumPy finds for all of them, and `DataInvalid` where that would round one. With texts or
    times among them each value stays what it is, in an object array.
    """
    import numpy as np

    arrays = table_to_numpy(table, catalog)
    if len(arrays) == 1 and next(iter(arrays.values())).ndim > 1:
        return next(iter(arrays.values()))
    flat = {name: array.reshape(len(array), -1) for name, array in arrays.items()}
    dtypes = {array.dtype for array in flat.values()}
    if len(dtypes) > 1 and not all(dtype.kind in "biuf" for dtype in dtypes):
        return np.column_stack([array.astype(object) for array in flat.values()])
    wanted = np.result_type(*dtypes) if dtypes else np.dtype(np.float64)
    for name, array in flat.items():
        if array.dtype.kind in "iu" and wanted.kind == "f":
            _check_matrix(name, array, str(wanted))
    return np.column_stack([array.astype(wanted, copy=False) for array in flat.values()])


def _check_matrix(name: str, array: npt.NDArray[Any], wanted: str) -> None:
    _, bad = as_floats(array.reshape(-1), wanted)
    if bad.size:
        row, value = int(bad[0]) // array.shape[1], array.reshape(-1)[bad[0]]
        raise DataInvalid(
            f'feature "{name}" holds {value} in row {row}, which {wanted} does not hold exactly, and one array for the '
            f"model is {wanted}",
            hint="fit the model on a data frame, pass a function as apply=, or leave the feature out",
        )


def table_to_pandas(table: pa.Table, catalog: type[DataCatalog]) -> pd.DataFrame:
    """A frame of the features in `table`, in its order. Each dtype follows from the catalog, never from the values.

    Nullable integers and bools have pandas' own nullable dtypes ("Int64", "boolean"), so that none is rounded. Times
    are in UTC, days, decimals and bytes are Python objects. Needs the `pandas` extra.
    """
    import pyarrow as pa

    special = {name: mapped for name in table.column_names if (mapped := _nullable(catalog.features.get(name)))}
    for name in table.column_names:
        feature = catalog.features.get(name)
        if feature is not None and len(feature.shape) > 1:
            chunks = table.column(name).chunks
            for chunk in chunks:
                check_floats_hold(name, chunk, feature)
            column = pa.chunked_array([_without_hidden_nulls(chunk) for chunk in chunks], table.schema.field(name).type)
            table = table.set_column(table.column_names.index(name), name, column)
    plain = table.drop_columns(list(special))
    frame: pd.DataFrame = plain.to_pandas()
    for name, mapped in special.items():
        column = table.column(name)
        made = column.to_pandas(types_mapper={column.type: mapped}.get)
        frame.insert(table.column_names.index(name), name, made, allow_duplicates=True)
    return frame


def _nullable(feature: Feature | None) -> Any:
    """The pandas dtype of a nullable integer or bool."""
    if feature is None or feature.shape != (-1,) or not (feature.takes_nulls or feature.optional):
        return None
    import pandas as pd

    if feature.dtype.is_integer:
        return pd.api.types.pandas_dtype(feature.dtype.value.replace("int", "Int").replace("uI", "UI"))
    return pd.BooleanDtype() if feature.dtype is Dtypes.BOOL else None


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
