"""`late_rows`: how many rows of a query stand below where the batches have read to, and are in none of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from jeyn.errors import DataInvalid, PayloadMissing
from jeyn.stores.sources.sql_values import as_column, comparable

if TYPE_CHECKING:
    from jeyn.stores.sources.sql import Question
    from jeyn.stores.sources.watermark import Watermark

_CURE = "; they came late: late= of SqlFormula says how far back to look"
# So many watermarks are compared at a time; memory does not grow beyond what they take.
MOST = 1_000_000


class Earlier(Protocol):
    """The rows of the batches so far, first to last: those that a filter chooses, the columns named. Batches that ended
    before `low` may be left out."""

    def __call__(
        self,
        keep: pc.Expression | None = None,
        columns: Sequence[str] | None = None,
        low: Watermark | None = None,
    ) -> Iterable[pa.RecordBatch]: ...


@dataclass(frozen=True)
class LateRows:
    """`rows` below the watermark `below` are in no batch, the first of them at `first`; or `untold`, which is why
    nobody can tell."""

    rows: int
    below: str
    first: str = ""
    untold: str = ""

    def to_json(self) -> dict[str, object]:
        told = {"rows": self.rows, "below": self.below, "first": self.first}
        return {**told, "rows": None, "untold": self.untold} if self.untold else told

    def __str__(self) -> str:
        if self.untold:
            return f'whether rows below the watermark "{self.below}" came late cannot be told: {self.untold}'
        many = f"{self.rows} row{'s' if self.rows > 1 else ''}"
        first = f', the first at "{self.first}"'
        return f'{many} below the watermark "{self.below}" {"are" if self.rows > 1 else "is"} in no batch{first}{_CURE}'


def late_rows(question: Question, low: Watermark, earlier: Earlier) -> LateRows | None:
    """What is below `low`, from where on rows are compared; None where nothing is late.

    For each watermark the number of rows that have it now is compared with that of the rows that all batches hold, so
    that a row that was deleted, or changed and so moved on, hides none but those that came with its very watermark.
    """
    late = Counted()
    try:
        for found in _portions(question, low, late):
            late.add(found, _held(question, found, earlier))
    except PayloadMissing as exc:
        return LateRows(0, str(low), untold=exc.message)
    return LateRows(late.rows, str(low), late.first) if late.rows else None


class Counted:
    """How many rows are late, and the watermark of the first."""

    def __init__(self) -> None:
        self.rows = 0
        self.first = ""

    def add(self, found: pa.Table, held: list[pa.Table]) -> None:
        every = _summed([found, *held])
        late = every.filter(pc.greater(every.column("rows"), 0))
        if late.num_rows:
            self.take(pc.min(late.column("mark")).as_py(), pc.sum(late.column("rows")).as_py())

    def take(self, mark: Any, rows: int) -> None:
        self.rows += rows
        self.first = self.first or (mark.isoformat() if hasattr(mark, "isoformat") else str(mark))


def _portions(question: Question, low: Watermark, late: Counted) -> Iterator[pa.Table]:
    """The watermarks below `low` in their order, with how many rows have each. What could not be read if it were not
    below is in no batch, and late."""
    pending: list[pa.Table] = []
    for marks, counts in question.counts(low):
        pending.append(_counted(question, marks, counts, late))
        if sum(map(len, pending)) >= MOST:
            whole, rest = _cut(_summed(pending))
            pending = [rest]
            if whole.num_rows:
                yield whole
    if pending and sum(map(len, pending)):
        yield _summed(pending)


def _cut(table: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Before the last watermark: other texts of that very moment may follow."""
    is_last = pc.equal(table.column("mark"), pc.max(table.column("mark")))
    return table.filter(pc.invert(is_last)), table.filter(is_last)


def _counted(question: Question, marks: Sequence[object], counts: Sequence[int], late: Counted) -> pa.Table:
    feature = question.catalog.features[question.watermark]
    try:
        column = comparable(as_column(question.watermark, marks, feature))
    except DataInvalid:
        if len(marks) == 1:
            late.take(marks[0], counts[0])
            return pa.table({"mark": comparable(pa.array([], feature.arrow_type())), "rows": pa.array([], pa.int64())})
        each = [_counted(question, [mark], [count], late) for mark, count in zip(marks, counts, strict=True)]
        return pa.concat_tables(each)
    return pa.table({"mark": column, "rows": pa.array(counts, pa.int64())})


def _held(question: Question, found: pa.Table, earlier: Earlier) -> list[pa.Table]:
    """How many rows of each watermark the batches hold, to be taken off."""
    name, marks = question.watermark, found.column("mark")
    ends = pc.min_max(marks)
    keep = (pc.field(name) >= ends["min"]) & (pc.field(name) <= ends["max"])
    held: list[pa.Table] = []
    for batch in earlier(keep, [name]):
        column = comparable(question.catalog.only(name).conform(pa.Table.from_batches([batch])).column(0))
        counts = pc.value_counts(column.filter(pc.is_in(column, value_set=marks.combine_chunks())))
        held.append(pa.table({"mark": counts.field("values"), "rows": pc.negate(counts.field("counts"))}))
        if sum(map(len, held)) >= MOST:
            held = [_summed(held)]
    return held


def _summed(tables: list[pa.Table]) -> pa.Table:
    found = pa.concat_tables(tables).group_by("mark").aggregate([("rows", "sum")])
    return found.rename_columns(["mark", "rows"])
