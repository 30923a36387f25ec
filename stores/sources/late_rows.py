"""`late_rows`: how many rows of a query stand below where the batches have read to, and are in none of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from jeyn.errors import DataInvalid, PayloadMissing
from jeyn.stores.sources.sql_values import as_column, comparable, within

if TYPE_CHECKING:
    from jeyn.stores.sources.sql import Question
    from jeyn.stores.sources.watermark import Watermark

_CURE = "; they came late: late= of SqlFormula says how far back to look"
# Of more rows than that below the watermark only the totals are compared: counting must not take longer than reading.
MOST = 1_000_000


class Earlier(Protocol):
    """The rows of the batches so far, first to last: those that a filter chooses, the columns named."""

    def __call__(
        self, keep: pc.Expression | None = None, columns: Sequence[str] | None = None
    ) -> Iterable[pa.RecordBatch]: ...


@dataclass(frozen=True)
class LateRows:
    """`rows` below the watermark `below` are in no batch, the first of them at `first`.

    Where only totals could be compared (`is_exact` is False), there are at least so many: rows that were deleted or
    whose watermark moved on hide as many, and `first` is empty.
    """

    rows: int
    below: str
    first: str = ""
    is_exact: bool = True

    def to_json(self) -> dict[str, object]:
        return {"rows": self.rows, "below": self.below, "first": self.first, "exact": self.is_exact}

    def __str__(self) -> str:
        many = f"{'' if self.is_exact else 'at least '}{self.rows} row{'s' if self.rows > 1 else ''}"
        first = f', the first at "{self.first}"' if self.first else ""
        return f'{many} below the watermark "{self.below}" {"are" if self.rows > 1 else "is"} in no batch{first}{_CURE}'


def late_rows(question: Question, low: Watermark, last: Watermark, earlier: Earlier) -> LateRows | None:
    """What is below `low`, from where on rows are compared; `last` is where the last batch ended.

    For each watermark the number of rows that have it now is compared with that of the rows that all batches hold, so
    that a row that was deleted, or changed and so moved on, hides none but those that came with its very watermark.
    None where nothing is late, or a batch was swept.
    """
    total = question.count(low)
    if not total:
        return None
    try:
        if total <= MOST:
            return _compared(question, low, last, earlier)
        return _totals(question, total, low, earlier)
    except PayloadMissing:
        return None


def _compared(question: Question, low: Watermark, last: Watermark, earlier: Earlier) -> LateRows | None:
    try:
        found = [_counted(question, marks, counts) for marks, counts in question.counts(last)]
    except DataInvalid:  # a row below that would be refused if it were read
        return _totals(question, question.count(low), low, earlier)
    held = [_held(question, batch) for batch in earlier(_below(question, low), [question.watermark])]
    if not found:
        return None
    every = pa.concat_tables([*found, *held]).group_by("mark").aggregate([("rows", "sum")])
    bound = _bound(question, low)
    late = every.filter(pc.and_(pc.less(every.column("mark"), bound), pc.greater(every.column("rows_sum"), 0)))
    if not late.num_rows:
        return None
    first = pc.min(late.column("mark")).as_py()
    shown = first.isoformat() if hasattr(first, "isoformat") else str(first)
    return LateRows(pc.sum(late.column("rows_sum")).as_py(), str(low), shown)


def _totals(question: Question, total: int, low: Watermark, earlier: Earlier) -> LateRows | None:
    held = sum(batch.num_rows for batch in earlier(_below(question, low), [question.watermark]))
    return LateRows(total - held, str(low), is_exact=False) if total > held else None


def _counted(question: Question, marks: Sequence[object], counts: Sequence[int]) -> pa.Table:
    column = as_column(question.watermark, marks, question.catalog.features[question.watermark])
    return pa.table({"mark": comparable(column), "rows": pa.array(counts, pa.int64())})


def _held(question: Question, batch: pa.RecordBatch) -> pa.Table:
    """The rows that a batch holds, to be taken off."""
    table = question.catalog.only(question.watermark).conform(pa.Table.from_batches([batch]))
    counted = pc.value_counts(comparable(table.column(0)))
    rows = pc.negate(counted.field("counts"))
    return pa.table({"mark": counted.field("values"), "rows": rows})


def _below(question: Question, low: Watermark) -> pc.Expression:
    return pc.field(question.watermark) < _bound(question, low)


def _bound(question: Question, low: Watermark) -> pa.Scalar:
    feature = question.catalog.features[question.watermark]
    return comparable(as_column(question.watermark, [within(low.value, feature)], feature))[0]
