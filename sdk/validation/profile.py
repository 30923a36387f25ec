"""`Profiler`: validation and statistics of a stream of record batches in one pass, and `validate` for data at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jeyn.errors import UsageError
from jeyn.sdk.validation.column import Column, Gaps
from jeyn.sdk.validation.report import ValidationReport
from jeyn.sdk.validation.tables import Columns, Unreadable, batches_of

if TYPE_CHECKING:
    from jeyn.sdk.catalog import DataCatalog


class Profiler:
    """Feed it batches with `update`, then ask for the `report()` and the `statistics()`, also in between.

    Memory does not grow with the rows, but for features with a `unique()` check, whose values are kept. An
    optional feature that is not nullable may be null in a whole piece of the data, as `load` gives the rows of a file
    that lacks it; `gaps="rows"` takes single nulls of it too, and `gaps="none"` takes none.
    """

    def __init__(self, catalog: type[DataCatalog], *, statistics: bool = True, gaps: Gaps = "pieces") -> None:
        self._catalog = catalog
        self._rows = 0
        self._with_statistics = statistics
        self._columns = {
            name: Column(name, feature, statistics=statistics, gaps=gaps) for name, feature in catalog.features.items()
        }

    def update(self, data: Any) -> None:
        """Take the next rows: a record batch, or whatever `validate` takes."""
        for columns, rows in batches_of(self._catalog, data):
            self.take(columns, rows)

    def take(self, columns: Columns, rows: int) -> None:
        """Take the next rows as arrays by feature; the other columns of the data are of no interest."""
        for name, column in self._columns.items():
            array = columns.get(name)
            if array is None:
                column.missing(rows)
            elif isinstance(array, Unreadable):
                column.unreadable(array.problem, rows, self._rows)
            else:
                column.update(array, self._rows)
        self._rows += rows

    def report(self) -> ValidationReport:
        """What failed in the rows so far."""
        failures = [failure for column in self._columns.values() for failure in column.failures()]
        return ValidationReport(self._rows, tuple(failures))

    def statistics(self) -> dict[str, dict[str, Any]]:
        """{feature: {count, nulls, min, max, mean, std}} of the features that are there, JSON-able.

        A feature is there if any batch had it; the rows of the others count as nulls.
        `count` is the values that are not null, those within lists one by one; `nulls` the nulls, lists included. Times
        are ISO 8601 in UTC, texts are cut after 200 characters, a mean of bools is the share that is true. `std` is the
        sample standard deviation. NaN and infinities are in none of min, max, mean, std: they are counted under "nan"
        and "infinite" where there are any. What does not apply is None.
        """
        if not self._with_statistics:
            raise UsageError("this profiler only validates", hint="make it with statistics=True")
        absent = self.absent()
        return {name: column.statistics() for name, column in self._columns.items() if name not in absent}

    def absent(self) -> list[str]:
        """The features that no batch had; none as long as there was no batch."""
        return [name for name, column in self._columns.items() if column.is_missing]

    def levels(self) -> dict[str, list[str]]:
        """The categories of the features that declare none, in the order in which they came."""
        return {name: list(column.levels) for name, column in self._columns.items() if column.keeps_levels}


def validate(catalog: type[DataCatalog], data: Any) -> ValidationReport:
    """Validate an Arrow table, batch or reader, a pandas or polars frame, or a dict of arrays, without statistics."""
    profiler = Profiler(catalog, statistics=False)
    profiler.update(data)
    return profiler.report()
