"""A dataset that grows by rows: each new batch has the rows of a query beyond the last batch's watermark."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from jeyn.errors import UsageError
from jeyn.sdk.datasets.batch import DatasetBatch
from jeyn.sdk.datasets.formula import DatasetFormula
from jeyn.sdk.datasets.streaming import batch_reference

if TYPE_CHECKING:
    from jeyn.sdk.catalog import CatalogClass
    from jeyn.sdk.version import Version


class SqlFormula(DatasetFormula):
    """The rows of `query` by their `watermark` column, from the database that settings know by this name.

    Rows with the last batch's exact watermark that arrive later are in the next batch. `late` looks further back:
    rows whose watermark is up to that much older (in the watermark's own unit; seconds or a timedelta for timestamps)
    are compared by content with what earlier batches hold.
    """

    kind: ClassVar[str] = "sql"

    def __init__(
        self,
        name: str,
        *,
        version: str | Version,
        output_catalog: CatalogClass,
        query: str,
        watermark: str,
        database: str = "default",
        late: float | timedelta | None = None,
        after: str | DatasetBatch | None = None,
        description: str = "",
    ) -> None:
        self._declare(name, version, output_catalog, description)
        if "://" in database:
            raise UsageError(
                f'the database of "{name}" is a name, not an address (addresses hold secrets and move)',
                hint="say database=NAME and set JEYN_DATABASE_<NAME>, or databases: in jeyn.yaml",
            )
        self.query = query.strip().rstrip(";")
        self.watermark = watermark
        self.database = database
        feature = output_catalog.features.get(watermark) if isinstance(late, timedelta) else None
        if feature is not None and feature.dtype.is_number:
            raise UsageError(
                f'late= of "{name}" is {late!r}, and its watermark "{watermark}" is no time',
                hint="give a number in the watermark's own unit",
            )
        self.late = None if late is None else _distance(late, name)
        self.after = batch_reference(after)

    def recipe(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "query": self.query,
            "watermark": self.watermark,
            "database": self.database,
            "late": self.late,
            "after": self.after,
        }

    def get_new_batch(self, *, after: str | DatasetBatch | None = None) -> DatasetBatch:
        return DatasetBatch.requested(self, after=batch_reference(after) or self.after)


def _distance(late: float | timedelta, name: str) -> float:
    found = late.total_seconds() if isinstance(late, timedelta) else late
    if isinstance(found, bool) or not isinstance(found, int | float) or not math.isfinite(found) or found < 0:
        raise UsageError(
            f'late= of "{name}" is {late!r}, not how far back to look',
            hint="give a number in the watermark's own unit, 0 or more, or for times a timedelta",
        )
    return float(found)
