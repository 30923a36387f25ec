"""Columns of another type than their feature, cast value by value where the formula's options name them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from jeyn.sdk.datasets.source_options import SourceOptions
from jeyn.sdk.dtypes import Dtypes
from jeyn.sdk.feature import Feature
from jeyn.sdk.validation.exact import exactly, is_by_value
from jeyn.stores.sources.cells import Column, checked, days, decimals, holds, large, times, vanished, zeros

_TRUE, _FALSE = ("1", "true", "TRUE", "True"), ("0", "false", "FALSE", "False")


def true_words(options: SourceOptions) -> list[str]:
    return [*_TRUE, *options.true]


def false_words(options: SourceOptions) -> list[str]:
    return [*_FALSE, *options.false]


def cast(name: str, column: Column, feature: Feature, options: SourceOptions) -> Column:
    """The column in the type of the feature, each value kept; raises `BadCell` for the first that is not."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return checked(name, column, feature, lambda part: _parsed(part, feature, options))
    if feature.dtype.is_text and not pa.types.is_dictionary(column.type):
        return checked(name, column, feature, lambda part: part.cast(pa.string()))
    if feature.dtype is Dtypes.BOOL and not pa.types.is_boolean(column.type):
        return checked(name, column, feature, _flags)
    return checked(name, column, feature, lambda part: _exact(part, feature))


def cast_table(table: pa.Table, features: Mapping[str, Feature], options: SourceOptions) -> pa.Table:
    """The table with the columns cast that the options name; raises `BadCell`."""
    for at, name in enumerate(table.column_names):
        if name in options.casts and name in features and features[name].shape == (-1,):
            table = table.set_column(at, name, cast(name, table.column(name), features[name], options))
    return table


def _parsed(column: Column, feature: Feature, options: SourceOptions) -> Column:
    if options.nulls:
        column = pc.if_else(pc.is_in(column, pa.array(options.nulls, column.type)), None, column)
    if feature.dtype.is_text:
        return column
    column = pc.utf8_trim_whitespace(column.cast(pa.string()))
    if feature.dtype is Dtypes.TIMESTAMP:
        return times(column, options)
    if feature.dtype is Dtypes.DATE:
        return days(column, options)
    if feature.dtype is Dtypes.BOOL:
        return _words(column, options)
    if options.decimal != ".":
        column = pc.replace_substring(column, options.decimal, ".")
    if feature.dtype.is_integer:
        # By way of a decimal, which keeps all digits: "1.0" is 1, and "1.5" is refused.
        return decimals(column, pa.decimal128(38, 6)).cast(feature.value_type())
    if feature.dtype is Dtypes.DECIMAL:
        return decimals(column, feature.value_type())
    made = column.cast(feature.value_type())
    if not feature.dtype.is_float:
        return made
    words = pc.match_substring_regex(column, r"^[+-]?inf(inity)?$", ignore_case=True)
    if pc.any(pc.and_(pc.is_inf(made), pc.invert(words))).as_py():
        raise ValueError("out of range")
    if vanished(column, made):
        raise ValueError("too small")
    if not all(holds(column[at].as_py(), feature.dtype) for at in large(made, feature.dtype)):
        raise ValueError("rounded")
    return made


def _exact(column: Column, feature: Feature) -> Column:
    """Arrow by itself cuts times off, rounds floats and decimals, and takes any number for microseconds."""
    if feature.dtype is Dtypes.TIMESTAMP and pa.types.is_primitive(column.type) and _has_no_unit(column):
        raise ValueError("a number has no unit")
    if is_by_value(column.type, feature):
        found = [exactly(chunk, feature) for chunk in column.chunks]
        if any(bad.size for _, bad in found):
            raise ValueError("another value")
        return pa.chunked_array([made for made, _ in found], feature.value_type())
    made = column.cast(feature.value_type())
    if feature.dtype.is_float and not pa.types.is_boolean(column.type):
        if len(zeros(made)) > pc.sum(pc.equal(column, pa.scalar(0, column.type)), min_count=0).as_py():
            raise ValueError("too small")
        for at in large(made, feature.dtype):
            value = column[at].as_py()
            if math.isfinite(value) and not holds(f"{Decimal(value):f}", feature.dtype):
                raise ValueError("rounded, or out of range")
    if pa.types.is_floating(column.type) and feature.dtype is Dtypes.DECIMAL:
        _check_digits(made, column)
    return made


def _has_no_unit(column: Column) -> bool:
    return not pa.types.is_temporal(column.type) and column.null_count < len(column)


def _check_digits(made: Column, column: Column) -> None:
    if not pc.all(pc.equal(made.cast(pa.float64()), column.cast(pa.float64())), min_count=0).as_py():
        raise ValueError("rounded")


def _words(column: Column, options: SourceOptions) -> Column:
    true = pc.is_in(column, pa.array(true_words(options)))
    false = pc.is_in(column, pa.array(false_words(options)))
    if not pc.all(pc.or_(pc.or_(true, false), column.is_null()), min_count=0).as_py():
        raise ValueError("no bool")
    return pc.if_else(column.is_null(), None, true)


def _flags(column: Column) -> Column:
    made = column.cast(pa.bool_())
    if not pc.all(pc.equal(made.cast(pa.int8()).cast(column.type), column), min_count=0).as_py():
        raise ValueError("neither 0 nor 1")
    return made
