"""Pandas and polars frames as Arrow tables; a frame that would not come back equal is refused when it is saved.

Pandas labels (columns, index levels, their names) travel in a header of ours, because Arrow columns are named by text.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from jeyn.errors import NotSerializable
from jeyn.stores.serializers.arrow import read_table, table_bytes
from jeyn.stores.serializers.decoding import decoding
from jeyn.stores.serializers.extras import need
from jeyn.stores.serializers.json_values import decode_json, encode_json

_HEADER = b"jeyn"


def pandas_bytes(frame: Any) -> tuple[str, bytes]:
    """A pandas.DataFrame as (container, bytes)."""
    try:
        table = _pandas_table(frame)
        exact = _same_pandas(_pandas_frame(table), frame)
    except (NotSerializable, MemoryError):  # Arrow's own lack of memory is an ArrowException too
        raise
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as exc:
        raise _inexact("pandas data frame", _pandas_dtypes(frame)) from exc
    if not exact:
        raise _inexact("pandas data frame", _pandas_dtypes(frame))
    return table_bytes(table)


def read_pandas(container: str, source: bytes | Path) -> Any:
    need("pandas", "pandas")
    table = read_table(container, source)
    with decoding("a pandas data frame"):
        return _pandas_frame(table)


def series_bytes(series: Any) -> tuple[str, bytes]:
    """A pandas.Series as (container, bytes): the one column of a frame."""
    return pandas_bytes(series.to_frame(name=series.name).set_axis([series.name], axis="columns"))


def read_series(container: str, source: bytes | Path) -> Any:
    frame = read_pandas(container, source)
    with decoding("a pandas series"):
        (name,) = frame.columns.tolist()
        return frame.iloc[:, 0].rename(name)


def polars_bytes(frame: Any) -> tuple[str, bytes]:
    """A polars.DataFrame as (container, bytes)."""
    polars = need("polars", "polars")
    try:
        table = frame.to_arrow()
        restored = polars.from_arrow(table)
        exact = restored.schema == frame.schema and restored.equals(frame)
    except MemoryError:
        raise
    except (pa.ArrowException, polars.exceptions.PolarsError, TypeError, ValueError, OverflowError) as exc:
        raise _inexact("polars data frame", str(dict(frame.schema))) from exc
    if not exact:
        raise _inexact("polars data frame", str(dict(frame.schema)))
    return table_bytes(table)


def read_polars(container: str, source: bytes | Path) -> Any:
    polars = need("polars", "polars")
    table = read_table(container, source)
    with decoding("a polars data frame"):
        return polars.from_arrow(table)


def _inexact(what: str, dtypes: str) -> NotSerializable:
    return NotSerializable(
        f"a {what} with the dtypes '{dtypes}' would not come back the same",
        hint="give object columns a precise dtype (convert_dtypes; text or Decimal for integers beyond 64 bits), "
        "or return a pyarrow.Table",
    )


def _pandas_dtypes(frame: Any) -> str:
    return ", ".join(f"{name}: {dtype}" for name, dtype in zip(frame.columns, frame.dtypes, strict=True))


def _pandas_table(frame: Any) -> pa.Table:
    pandas = need("pandas", "pandas")
    plain = frame.set_axis([f"c{i}" for i in range(frame.shape[1])], axis="columns").reset_index(drop=True)
    levels = [] if isinstance(frame.index, pandas.RangeIndex) else _levels(frame.index)
    for position, level in enumerate(levels):
        plain[f"i{position}"] = level.array
    header = {
        "columns": _labels(frame.columns),
        "index": {**_index_header(frame.index), "levels": len(levels)},
        "objects": [i for i, dtype in enumerate(frame.dtypes) if _is_object(dtype)],
        "rows": len(frame),
    }
    table = pa.Table.from_pandas(plain, preserve_index=False)
    return table.replace_schema_metadata({**(table.schema.metadata or {}), _HEADER: encode_json(header)})


def _pandas_frame(table: pa.Table) -> Any:
    header = decode_json(table.schema.metadata[_HEADER])
    plain = table.to_pandas()
    levels = [plain.pop(f"i{position}") for position in range(header["index"]["levels"])]
    plain.columns = _columns(header["columns"])
    for position in header["objects"]:
        column = plain.iloc[:, position].astype(object)
        plain.isetitem(position, column.where(column.notna(), None))
    plain.index = _index(header["index"], levels, header["rows"])
    return plain


def _levels(index: Any) -> list[Any]:
    return [index.get_level_values(position) for position in range(index.nlevels)]


def _index_header(index: Any) -> dict[str, Any]:
    """What an index is besides its values: names, a range's numbers, a datetime's frequency."""
    pandas = need("pandas", "pandas")
    header: dict[str, Any] = {"names": list(index.names), "multi": isinstance(index, pandas.MultiIndex)}
    if isinstance(index, pandas.RangeIndex):
        header["range"] = [index.start, index.stop, index.step]
    if isinstance(index, (pandas.DatetimeIndex, pandas.TimedeltaIndex)):
        header["frequency"] = index.freqstr
    if _is_object(index.dtype):
        header["object"] = True
    return header


def _is_object(dtype: Any) -> bool:
    return getattr(dtype, "kind", "") == "O" and str(dtype) == "object"


def _labels(columns: Any) -> dict[str, Any]:
    header = _index_header(columns)
    return header if "range" in header else {**header, "dtype": str(columns.dtype), "labels": columns.tolist()}


def _columns(header: dict[str, Any]) -> Any:
    pandas = need("pandas", "pandas")
    if "range" in header:
        return pandas.RangeIndex(*header["range"], name=header["names"][0])
    if header["multi"]:
        return pandas.MultiIndex.from_tuples(header["labels"], names=header["names"])
    return pandas.Index(header["labels"], dtype=header["dtype"], name=header["names"][0], tupleize_cols=False)


def _index(header: dict[str, Any], levels: list[Any], rows: int) -> Any:
    pandas = need("pandas", "pandas")
    names = header["names"]
    if "range" in header:
        return pandas.RangeIndex(*header["range"], name=names[0])
    if header["multi"]:
        return pandas.MultiIndex.from_arrays(levels, names=names)
    (level,) = levels
    values = level.astype(object) if header.get("object") else level
    index = pandas.Index(values.array, name=names[0], copy=True)
    if header.get("frequency"):
        index.freq = header["frequency"]
    return index


def _same_pandas(restored: Any, frame: Any) -> bool:
    return bool(
        restored.equals(frame)
        and list(restored.dtypes) == list(frame.dtypes)
        and restored.index.identical(frame.index)
        and restored.columns.identical(frame.columns)
    )
