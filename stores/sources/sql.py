"""`new_rows`: the rows of a query that no earlier batch has, by a watermark column (SEMANTICS 13)."""

from __future__ import annotations

import hashlib
import math
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Connection, TextClause, text

from jeyn.errors import DataInvalid, UsageError
from jeyn.sdk.catalog import DataCatalog
from jeyn.sdk.dtypes import Dtypes
from jeyn.stores.sources.late_rows import Earlier, LateRows, late_rows
from jeyn.stores.sources.source_database import TIME, snapshot
from jeyn.stores.sources.sql_values import as_column, comparable, within
from jeyn.stores.sources.watermark import Watermark, has_times

_ROWS = 8192

Catalog: TypeAlias = type[DataCatalog]


class NewRows:
    """The rows to make a batch of, from one snapshot of the database, in their order.

    `start` is where the batch before ended, None for the first. When all `pieces` were taken, `end` is where this one
    ends, None where there were no rows, and `late` is about the rows that came too late for any batch.
    """

    def __init__(
        self,
        url: str,
        query: str,
        watermark: str,
        catalog: Catalog,
        since: _Since | None,
        until: Watermark | None = None,
    ) -> None:
        self.start = str(since.start) if since else None
        # From where on rows are compared with those that earlier batches hold.
        self.low = since.low if since else None
        self.end: str | None = None
        self.rows = 0
        self.late: LateRows | None = None
        self._url, self._since, self._until = url, since, until
        self._question = (query, watermark, catalog)

    def pieces(self) -> Iterator[pa.Table]:
        """Tables of some thousand rows, none of them empty; memory does not grow with the rows."""
        since, end = self._since, self._since.start if self._since else None
        with snapshot(self._url) as connection:
            question = Question(connection, *self._question)
            with closing(question.answers(self.low, self._until)) as answers:
                for columns, rows in answers:
                    marks = [row[columns.index(question.watermark)] for row in rows]
                    last = _last(marks, times=question.has_times)
                    table = _table(columns, rows, question)
                    end = last if end is None or last.is_after(end) else end
                    new = since.new_of(table, marks) if since else table
                    self.rows += new.num_rows
                    if new.num_rows:
                        yield new
            self.late = since.late_rows(question) if since and self._until is None else None
        if self.rows and end is not None:
            self.end = str(end.again() if since and end == since.start else end)


def new_rows(
    url: str,
    query: str,
    watermark: str,
    catalog: Catalog,
    *,
    start: str | None,
    late: float | None,
    earlier: Earlier,
    until: str | None = None,
) -> NewRows:
    """The rows beyond `start`, and those at it (or up to `late` before it) that `earlier` does not hold.

    `start` is the `end` of the batch before; nothing beyond `until` is read, if it is given. `late` is in the
    watermark's own unit, seconds for times. `earlier` gives the rows of the batches so far, those that a filter
    chooses; they are compared by content: a row that is there twice is new once if earlier batches hold it once. Rows
    come in the order of their watermark, then of all columns. Raises `UsageError`; taking the pieces raises
    `DataInvalid`, `Unreachable`, `NotAllowed` as well.
    """
    _check(watermark, catalog, late)
    times = has_times(catalog.features[watermark])
    begun = None if start is None else Watermark.parse(start, times=times)
    since = None if begun is None else _Since(watermark, catalog, begun, late or 0.0, earlier)
    return NewRows(url, query, watermark, catalog, since, None if until is None else Watermark.parse(until))


def _check(watermark: str, catalog: Catalog, late: float | None) -> None:
    feature = catalog.features.get(watermark)
    if feature is None or feature.shape != (-1,):
        hint = f'add it to the features of "{catalog.name}", one value for each row'
        raise UsageError(f'the watermark "{watermark}" is no feature of the catalog', hint=hint)
    if late is not None and not 0 <= late < math.inf:
        raise UsageError(f"late={late} is no length", hint="give how far back to look, 0 or more")


def _last(marks: Sequence[Any], *, times: bool) -> Watermark:
    """The last of some ordered values, all of which can be watermarks that compare with it; raises `DataInvalid`."""
    for value in {type(mark): mark for mark in marks}.values():
        Watermark.of(value).is_after(Watermark.of(marks[-1]))
    if times and isinstance(marks[-1], str):
        for mark in marks:
            _ = Watermark.of(mark, times=True).key  # each is a time, or it raises
    if isinstance(marks[-1], (float, Decimal)):
        for mark in marks:
            Watermark.of(mark)  # none may be NaN or infinite
    return Watermark.of(marks[-1], times=times)


@dataclass(frozen=True)
class Question:
    """The wrapped query in one snapshot."""

    connection: Connection
    query: str
    watermark: str
    catalog: Catalog

    def answers(
        self, low: Watermark | None, until: Watermark | None = None
    ) -> Generator[tuple[list[str], Sequence[Sequence[Any]]], None, None]:
        """The names of the columns and some rows at a time, ordered, from `low` on."""
        columns = self._columns()
        code = columns[self.watermark]
        mark, where = self._mark(code), ""
        if low is not None:
            empty = f"{self._quoted(self.watermark)} IS NULL"
            where = f" WHERE ({mark} >= {self._bound(':low', code)} OR {empty}{self._mixed(low)})"
        if until is not None:
            where += f" {'AND' if where else 'WHERE'} {mark} <= {self._bound(':until', code)}"
        order = ", ".join([mark, *(self._sorted(name) for name in columns)])
        statement = self._text(f"{where} ORDER BY {order}")
        ends = {name: end.value for name, end in (("low", low), ("until", until)) if end is not None}
        statement = statement.bindparams(**ends)
        # As a statement's option: as a connection's, it would stream but give the rows one by one.
        with self.connection.execute(statement.execution_options(yield_per=_ROWS)) as result:
            for rows in result.partitions(_ROWS):
                yield list(columns), rows

    def counts(self, low: Watermark) -> Generator[tuple[Sequence[Any], Sequence[int]], None, None]:
        """Watermarks below `low` in their order, and how many rows have each, some at a time."""
        code = self._columns()[self.watermark]
        column, mark = self._quoted(self.watermark), self._mark(code)
        where = f" WHERE {mark} < {self._bound(':low', code)} GROUP BY {column} ORDER BY {self._mark(code)}"
        statement = self._text(where, f"{column}, count(*)").bindparams(low=low.value)
        with self.connection.execute(statement.execution_options(yield_per=_ROWS)) as result:
            for rows in result.partitions(_ROWS):
                yield [row[0] for row in rows], [row[1] for row in rows]

    def _columns(self) -> dict[str, Any]:
        """The columns by name, each with the driver's code for its type; raises `UsageError`, `DataInvalid`."""
        # The parameter makes PostgreSQL's driver use a protocol that takes one statement: nothing hides behind a ";".
        with self.connection.execute(self._text(" LIMIT :none").bindparams(none=0)) as result:
            description = list(result.cursor.description) if result.cursor else []
        names = [str(column[0]) for column in description]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise UsageError(f'the query gives the column "{twice[0]}" twice', hint="name one of them with AS")
        required = {name for name, feature in self.catalog.features.items() if not feature.optional}
        absent = sorted((required | {self.watermark}) - set(names))
        if absent:
            raise DataInvalid(f'the query gives no column "{absent[0]}"', hint=f"its columns are {names}")
        return {name: column[1] for name, column in zip(names, description, strict=True)}

    def _text(self, rest: str, columns: str = "*") -> TextClause:
        # A line of its own: the query may end with a comment. Its colons are its own too, and no parameters.
        query = self.query.strip().rstrip(";").replace(":", "\\:")
        return text(f"SELECT {columns} FROM (\n{query}\n) AS jeyn_rows{rest}")  # noqa: S608 (the query is the user's own; values are bound)

    def _quoted(self, name: str) -> str:
        # Not by SQLAlchemy, which doubles "%" here and again in a text.
        escaped = name.replace('"', '""').replace(":", "\\:")
        return f'"{escaped}"'

    def _mark(self, type_code: Any) -> str:
        """The watermark, of which texts that are no times are compared by their characters: a locale's order changes
        with its version."""
        column = self._quoted(self.watermark)
        if self._is_cast(type_code):
            return self._bound(column, type_code)
        if self._is_sqlite:
            return f"{column} COLLATE BINARY"
        return f'{column} COLLATE "C"' if type_code in _POSTGRES_TEXTS else column

    def _bound(self, value: str, type_code: Any) -> str:
        """An expression of SQL as what the watermark is compared as."""
        if not self._is_cast(type_code):
            return value
        return f"{TIME}({value})" if self._is_sqlite else f"CAST({value} AS timestamptz)"

    def _is_cast(self, type_code: Any) -> bool:
        """Whether texts are compared as the times that they are."""
        return self.has_times and (self._is_sqlite or type_code in _POSTGRES_TEXTS)

    def _mixed(self, low: Watermark) -> str:
        """Numbers, which SQLite sorts before all texts, are read, so that they are refused and not passed over."""
        if not self._is_sqlite or self.has_times or low.kind != "string":
            return ""
        return f" OR typeof({self._quoted(self.watermark)}) IN ('integer', 'real')"

    @property
    def has_times(self) -> bool:
        return has_times(self.catalog.features[self.watermark])

    def _sorted(self, name: str) -> str:
        column = self._quoted(name)
        # Not every type of PostgreSQL has an order of its own: JSON has none.
        return f"{column} COLLATE BINARY" if self._is_sqlite else f'CAST({column} AS text) COLLATE "C"'

    @property
    def _is_sqlite(self) -> bool:
        return self.connection.dialect.name == "sqlite"


# text, varchar, bpchar and name; other types have no collation to choose.
_POSTGRES_TEXTS = (25, 1043, 1042, 19)


@dataclass(frozen=True)
class _Since:
    """Where the last batch ended, and which of the rows up to there are in none yet."""

    watermark: str
    catalog: Catalog
    start: Watermark
    late: float
    earlier: Earlier

    def late_rows(self, question: Question) -> LateRows | None:
        return late_rows(question, self.low, self.earlier)

    @cached_property
    def low(self) -> Watermark:
        feature = self.catalog.features[self.watermark]
        return self.start.earlier_by(self.late, feature) if self.late else replace(self.start, round=0)

    def new_of(self, table: pa.Table, marks: Sequence[Any]) -> pa.Table:
        """The rows of `table` that are new; `marks` are their watermarks in order."""
        Watermark.of(marks[0], times=self.start.times).is_after(self.start)  # the values compare, or it raises
        count = bisect_right(marks, self.start.key, key=lambda mark: Watermark.of(mark, times=self.start.times).key)
        if not count:
            return table
        known = self._known(table.slice(0, count))
        return table.filter(pa.array([not is_known for is_known in known] + [True] * (len(marks) - count)))

    def _known(self, table: pa.Table) -> list[bool]:
        """Which rows to leave out: as many of each content as earlier batches hold."""
        known = [False] * table.num_rows
        for names, seen in self._seen.items():
            for at, content in enumerate(_contents(table, names)):
                if not known[at] and seen[content]:
                    seen[content] -= 1
                    known[at] = True
        return known

    @cached_property
    def _seen(self) -> dict[tuple[str, ...], Counter[bytes]]:
        """How many rows of each content the earlier batches hold from `low` on, by the features they can compare."""
        feature, seen = self.catalog.features[self.watermark], defaultdict[tuple[str, ...], Counter[bytes]](Counter)
        low = comparable(as_column(self.watermark, [within(self.low.value, feature)], feature))[0]
        for batch in self.earlier(self._from(low), low=self.low):
            table = self._shared(pa.Table.from_batches([batch]))
            near = pc.greater_equal(comparable(table.column(self.watermark)), low)
            names = tuple(sorted(table.column_names))
            seen[names].update(_contents(table.filter(near), names))
        return seen

    def _from(self, low: pa.Scalar[Any]) -> pc.Expression:
        return pc.field(self.watermark) >= low

    def _shared(self, table: pa.Table) -> pa.Table:
        """The features that the batch, perhaps of an earlier version of the formula, has with the same meaning."""
        columns = dict(zip([self.watermark], self.catalog.only(self.watermark).conform(table).columns, strict=True))
        for name in self.catalog.features:
            with suppress(DataInvalid):
                found = self.catalog.only(name).conform(table)
                columns.update(zip(found.column_names, found.columns, strict=True))
        return pa.table(columns)


def _table(columns: list[str], rows: Sequence[Sequence[Any]], question: Question) -> pa.Table:
    features = question.catalog.features
    places = {name: columns.index(name) for name in features if name in columns}
    mark = columns.index(question.watermark)

    if features[question.watermark].dtype is Dtypes.DECIMAL and isinstance(rows[0][mark] if rows else None, str):
        told = f'the watermark of a row is the text "{rows[0][mark]}", and texts have another order than decimals'
        raise DataInvalid(told, hint="cast it in the query, or order by another column")

    def where(at: int) -> str:
        return f', where "{question.watermark}" is {rows[at][mark]!r}'

    return pa.table(
        {name: as_column(name, [row[at] for row in rows], features[name], where) for name, at in places.items()}
    )


def _contents(table: pa.Table, names: Sequence[str]) -> Iterator[bytes]:
    """For each row a digest of these features, null where they are not there; NaN equals NaN."""
    there = set(table.column_names)
    columns = [comparable(table.column(name)).to_pylist() if name in there else [None] * len(table) for name in names]
    return (hashlib.sha256(repr(row).encode()).digest() for row in zip(*columns, strict=True))
