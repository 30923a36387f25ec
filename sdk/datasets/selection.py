"""`Selection`: which features and rows of a batch are asked for, checked against its catalog before a byte is read."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from difflib import get_close_matches
from fractions import Fraction
from numbers import Real
from typing import TYPE_CHECKING, Any, TypeAlias

from jeyn.errors import UsageError
from jeyn.sdk.dtypes import Dtypes
from jeyn.sdk.validation.bounds import in_dtype, integer_range

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.compute as pc

    from jeyn.sdk.catalog import CatalogClass

Condition: TypeAlias = "tuple[str, str, Any]"
Filter: TypeAlias = "pc.Expression | Sequence[Condition] | Sequence[Sequence[Condition]]"

_UNKNOWN = re.compile(r"No match for FieldRef\.Name\((.*)\) in", re.DOTALL)
_HINT = 'give an Arrow expression, pc.field("km") > 2, or conditions that all hold, [("km", ">", 2)]'


@dataclass(frozen=True, slots=True)
class RowFilter:
    """Which rows: those for which the expression over these features is true, neither false nor null.

    `is_plain`: it is made of comparisons only and negates none, so that NaN makes no part of it true.
    """

    expression: pc.Expression
    features: tuple[str, ...]
    is_plain: bool

    @classmethod
    def of(cls, given: Filter, catalog: CatalogClass, whose: str) -> RowFilter:
        import pyarrow.compute as pc

        expression = _expression(given, catalog)
        is_plain = not isinstance(given, pc.Expression) and not _negates(given)
        return cls(expression, tuple(_fields(expression, catalog, whose)), is_plain)

    def rows(self, table: pa.Table, catalog: CatalogClass) -> pa.Table:
        """The rows of a table with the catalog's types, in their order; an optional feature that is not there is
        null."""
        import pyarrow as pa

        names = table.column_names
        try:
            return rows_where(completed(table, catalog, self.features), self.expression).select(names)
        except pa.ArrowInvalid as exc:
            said = str(exc).partition("\n")[0]
            hint = 'compare with values of the feature\'s dtype, or give conditions, as in [("km", ">", 2)]'
            raise UsageError(f"filter is {self.expression}, which does not fit a value: {said}", hint=hint) from exc


@dataclass(frozen=True, slots=True)
class Selection:
    """The features asked for, in that order, the rows (all where `filter` is None), and all features this reads.

    `is_whole`: no features were asked for by name, so they are those that are there.
    """

    catalog: CatalogClass
    columns: tuple[str, ...]
    filter: RowFilter | None
    needed: tuple[str, ...]
    is_whole: bool = False

    @classmethod
    def of(
        cls,
        catalog: CatalogClass,
        columns: Iterable[str] | None = None,
        filter: Filter | None = None,
        *,
        whose: str = "",
    ) -> Selection:
        """Of what a caller gave, `whose` dataset it may be; raises `UsageError` for a feature that the catalog does not
        have or that is named twice, and for a filter that is none or does not fit the dtypes."""
        chosen = tuple(catalog.features) if columns is None else _checked(catalog, columns, whose)
        rows = None if filter is None else RowFilter.of(filter, catalog, whose)
        needed = dict.fromkeys([*chosen, *(rows.features if rows else ())])
        return cls(catalog, chosen, rows, anchored(tuple(needed), catalog), columns is None)

    @property
    def reads(self) -> CatalogClass:
        """The features to read."""
        return self.catalog.only(*self.needed)

    def of_table(self, table: pa.Table) -> pa.Table:
        """The selected part of a table with the catalog's types."""
        return self.columns_of(self.filter.rows(table, self.catalog) if self.filter else table)

    def columns_of(self, table: pa.Table) -> pa.Table:
        """The selected features of rows that were selected before; one that was asked for by name is there."""
        if not self.is_whole:
            return completed(table, self.catalog, self.columns).select(self.columns)
        return table.select([name for name in self.columns if name in table.column_names])


def anchored(names: tuple[str, ...], catalog: CatalogClass) -> tuple[str, ...]:
    """The names, with more where a file may have none of these features: what it has says how many rows there are."""
    features = catalog.features
    if not all(features[name].optional for name in names):
        return names
    required = [name for name, feature in features.items() if not feature.optional][:1]
    return tuple(dict.fromkeys([*names, *(required or features)]))


def completed(table: pa.Table, catalog: CatalogClass, names: Iterable[str]) -> pa.Table:
    """The table with these features; those that are not there are all null."""
    import pyarrow as pa

    for name in names:
        if name not in table.column_names:
            table = table.append_column(name, pa.nulls(table.num_rows, catalog.features[name].arrow_type()))
    return table


def rows_where(table: pa.Table, expression: pc.Expression) -> pa.Table:
    """The rows for which the expression is true, neither false nor null, in their order."""
    import pyarrow as pa
    import pyarrow.acero as acero

    if any(pa.types.is_float16(type) for type in table.schema.types):
        return table.take(_places_where(table, expression))
    source = acero.Declaration("table_source", acero.TableSourceNodeOptions(table))
    # One thread: with several, rows come in the order in which they are done.
    return acero.Declaration("filter", acero.FilterNodeOptions(expression), [source]).to_table(use_threads=False)


def _places_where(table: pa.Table, expression: pc.Expression) -> pa.ChunkedArray[pa.Int64Scalar]:
    """The numbers of the rows; Arrow cannot compare halves, so they are compared as floats."""
    import pyarrow as pa

    floats = [column.cast(pa.float32()) if pa.types.is_float16(column.type) else column for column in table.columns]
    numbers = pa.array(range(table.num_rows), pa.int64())
    # A feature's name is never empty.
    return rows_where(pa.table([*floats, numbers], [*table.column_names, ""]), expression).column("")


def _checked(catalog: CatalogClass, columns: Iterable[str], whose: str) -> tuple[str, ...]:
    names = (columns,) if isinstance(columns, str) else tuple(columns)
    if isinstance(columns, str) or not names or not all(isinstance(name, str) for name in names):
        raise UsageError(f"columns is {columns!r}", hint='name one or more features in a list: columns=["km"]')
    for name in names:
        if name not in catalog.features:
            raise _unknown(name, catalog, whose)
        if names.count(name) > 1:
            raise UsageError(f'columns names "{name}" twice', hint="name each feature once")
    return names


def _unknown(name: str, catalog: CatalogClass, whose: str) -> UsageError:
    close = get_close_matches(name, catalog.features, n=1)
    meant = f'did you mean "{close[0]}"? ' if close else ""
    return UsageError(
        f'"{whose or catalog.name}" has no feature "{name}"', hint=f"{meant}its features: {', '.join(catalog.features)}"
    )


def _expression(given: Any, catalog: CatalogClass) -> pc.Expression:
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    if isinstance(given, pc.Expression):
        return given
    try:
        return pq.filters_to_expression(_in_utc(given, catalog))
    except (ValueError, TypeError, IndexError, OverflowError) as exc:
        raise UsageError(f"filter is {given!r}, which is no filter ({exc})", hint=_HINT) from exc


def _negates(given: Any) -> bool:
    """Whether one of the conditions holds where a comparison does not."""
    if isinstance(given, list):
        return any(_negates(each) for each in given)
    return given[1] in ("!=", "not in")


def _in_utc(given: Any, catalog: CatalogClass) -> Any:
    """Conditions whose times have a zone, as those of a batch do: UTC where they say none, midnight for a date."""
    if isinstance(given, list):
        return [_in_utc(each, catalog) for each in given]
    if not isinstance(given, tuple):
        raise TypeError("conditions are tuples in a list")
    if len(given) != 3 or not isinstance(given[0], str):
        raise ValueError('a condition is ("feature", "operator", value)')
    name, operator, values = given
    if values is None:
        raise ValueError('nothing equals null; say pc.field("feature").is_null()')
    dtype = catalog.features[name].dtype if name in catalog.features else None
    many = isinstance(values, list | tuple | set | frozenset)
    if dtype is not None and dtype.is_integer and all(map(_is_number, values if many else [values])):
        return _of_integers(name, operator, values, dtype)
    if dtype is not None and dtype.is_float:
        return name, operator, _of_floats(values, dtype, many=many)
    convert = _LITERALS.get(dtype) if dtype else None
    if convert is None:
        return given
    if many and dtype is Dtypes.DATE:
        return name, operator, _days(values)
    return name, operator, [convert(value) for value in values] if many else convert(values)


def _is_number(value: Any) -> bool:
    """Also one of NumPy; NaN is none."""
    return isinstance(value, Real | Decimal) and not isinstance(value, bool) and value == value


def _of_floats(values: Any, dtype: Dtypes, *, many: bool) -> Any:
    """The literals as numbers of the dtype: 0.1 is the float32 that prints so. One that it cannot hold is compared as a
    double, if it is one; among several it is left out, as no number of the dtype is such a one."""
    import pyarrow as pa

    if not many:
        held = _held(values, dtype)
        return _held(values, Dtypes.FLOAT64, default=values) if held is None else held
    if not all(_is_number(value) or isinstance(value, float) for value in values):
        return values
    held = [_held(value, dtype) for value in values]
    # Arrow casts a set to the column's type; halves are compared as floats.
    kind = pa.float64() if dtype is Dtypes.FLOAT64 else pa.float32()
    return pa.array([each for each in held if each is not None], kind)


def _held(value: Any, dtype: Dtypes, default: Any = None) -> Any:
    """The number of the dtype that a literal means: a whole one itself, one with a fraction the nearest there is."""
    value = value.item() if hasattr(value, "item") else value
    if not _is_number(value):
        return value
    if not math.isfinite(value):
        return float(value)
    exact = Fraction(value)
    try:
        found = float(in_dtype(float(value), dtype))
    except OverflowError:
        return default
    is_lost = math.isinf(found) or (not found and exact)
    return default if is_lost or (exact.denominator == 1 and Fraction(found) != exact) else found


def _of_integers(name: str, operator: str, values: Any, dtype: Dtypes) -> Any:
    """A condition that means the same with integers of the dtype: beside a float Arrow takes a column of them for one,
    which only holds small ones."""
    import pyarrow as pa

    low, high = integer_range(dtype)
    type = dtype.to_arrow()
    if not _is_number(values):
        kept = [int(each) for each in values if low <= each <= high and each == int(each)]
        return name, operator, pa.array(kept, type)
    if low <= values <= high and values == int(values):
        return name, operator, pa.scalar(int(values), type)
    rounded = math.ceil if operator in (">", ">=") else math.floor
    bound = low - 1 if values < low else high + 1 if values > high else rounded(values)
    if operator in ("==", "!="):
        bound = low if operator == "!=" else high + 1
    operator = "<=" if operator in ("<", "<=") else ">="
    bound = min(bound, high) if operator == "<=" else max(bound, low)
    if low <= bound <= high:
        return name, operator, pa.scalar(bound, type)
    return name, "in", pa.array([], type)


def _time(value: Any) -> Any:
    if getattr(value, "nanosecond", 0) > 0:
        raise ValueError(f"{value} has digits below a microsecond, and times have none")
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value
    return datetime.combine(value, time(), UTC) if isinstance(value, date) else value


def _day(value: Any) -> Any:
    _time(value)
    return value


def _days(values: Any) -> Any:
    """The days among dates and times; a time that is no midnight is none, where Arrow would cut it to its day."""
    import pyarrow as pa

    if not all(isinstance(value, date) for value in values):
        raise TypeError("days are dates")
    times = [_time(value).astimezone(UTC) for value in values]
    return pa.array([each.date() for each in times if each.time() == time()], pa.date32())


def _decimal(value: Any) -> Any:
    """A number as its digits: Arrow gives an integer more of them than a decimal may have room for."""
    return Decimal(str(value)) if isinstance(value, int | float) and not isinstance(value, bool) else value


_LITERALS: dict[Dtypes, Callable[[Any], Any]] = {Dtypes.TIMESTAMP: _time, Dtypes.DATE: _day, Dtypes.DECIMAL: _decimal}


def _fields(expression: pc.Expression, catalog: CatalogClass, whose: str) -> list[str]:
    """The features that an expression reads, found by binding it to more and more of them; raises `UsageError`."""
    import pyarrow as pa

    found: list[str] = []
    while True:
        schema = pa.schema([(name, catalog.features[name].arrow_type()) for name in found])
        try:
            rows_where(schema.empty_table(), expression)
            return found
        except (pa.ArrowException, TypeError) as exc:
            absent = _UNKNOWN.match(str(exc))
            if absent is None or absent[1] in found:
                said = str(exc).partition("\n")[0]
                raise UsageError(f"filter is {expression}, which does not fit: {said}", hint=_HINT) from exc
            if absent[1] not in catalog.features:
                raise _unknown(absent[1], catalog, whose) from exc
            found.append(absent[1])
