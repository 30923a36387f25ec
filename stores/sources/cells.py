"""Features as text files hold them: the type to parse a column as, and the way from there to the feature's type."""

from __future__ import annotations

from typing import TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from jeyn.errors import DataInvalid
from jeyn.sdk.dtypes import Dtypes
from jeyn.sdk.feature import Feature

_DATE = r"^\d{4}-\d\d-\d\d$"
_ZONE = r"(Z|[+-]\d\d(:?\d\d)?)$"
_BEYOND_MICROSECONDS = r"(\.\d{6})\d+"

Column: TypeAlias = "pa.ChunkedArray[pa.Scalar[pa.DataType]]"


def parsed_type(feature: Feature, *, lists: bool = True) -> pa.DataType:
    """What Arrow's parsers can make of the cells without loss; lists have any size here, if the format has them."""
    leaf = {
        Dtypes.TIMESTAMP: pa.string(),
        Dtypes.DATE: pa.string(),
        Dtypes.CATEGORICAL: pa.string(),
        Dtypes.FLOAT16: pa.float32(),
    }
    parsed = leaf.get(feature.dtype) or feature.value_type()
    for _ in feature.shape[1:] if lists else ():
        parsed = pa.list_(parsed)
    return parsed


def as_feature(name: str, column: Column, feature: Feature) -> Column:
    """A parsed column in a type that conforms to the feature; raises `DataInvalid`."""
    try:
        if feature.dtype is Dtypes.TIMESTAMP and pa.types.is_string(column.type):
            return _times(column)
        if feature.dtype in (Dtypes.TIMESTAMP, Dtypes.DATE, Dtypes.FLOAT16):
            return column.cast(_lists_of(feature.dtype.to_arrow(), column.type))
    except pa.ArrowInvalid as exc:
        message = f'column "{name}" is no {feature.dtype.value}: {str(exc).partition(": expected")[0]}'
        raise DataInvalid(message, hint="correct the cells, or the catalog") from exc
    return column


def _lists_of(leaf: pa.DataType, like: pa.DataType) -> pa.DataType:
    return pa.list_(_lists_of(leaf, like.value_type)) if pa.types.is_list(like) else leaf


def _times(column: Column) -> Column:
    """ISO 8601 with "T" or a space; UTC where there is no zone, midnight where there is only a date."""
    wanted = Dtypes.TIMESTAMP.to_arrow()
    try:
        return column.cast(wanted)
    except pa.ArrowInvalid:
        text = pc.replace_substring_regex(column, _BEYOND_MICROSECONDS, r"\1")
        suffix = pc.if_else(
            pc.match_substring_regex(text, _DATE),
            "T00:00:00Z",
            pc.if_else(pc.match_substring_regex(text, _ZONE), "", "Z"),
        )
        return pc.binary_join_element_wise(text, suffix, "").cast(wanted)
