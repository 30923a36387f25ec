"""`ValidationReport`: what in some data does not match its catalog, with counts, rows and an example."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from jeyn.sdk.validation.places import Places

MAX_ROWS = 5
MAX_EXAMPLE = 160
# The checks whose example is a sentence.
_PHRASED = ("present", "dtype", "shape", "exact", "not_null")


@dataclass(frozen=True)
class Failure:
    """One check that one feature fails.

    `check` is "present", "dtype", "shape", "not_null", or a declared check as in "between(0, 1)". `count` is the number
    of values that fail, within lists too; `rows` are the first rows that hold one, from 0 over all batches.
    """

    feature: str
    check: str
    count: int
    rows: tuple[int, ...] = ()
    example: str = ""

    def __str__(self) -> str:
        return self.told()

    def told(self, where: Places | None = None) -> str:
        """In words, with the rows as those of their files where it is known which rows are whose."""
        text = f'feature "{self.feature}" fails {self.check}'
        if self.count:
            place = where.told(self.rows) if where else f"row {', '.join(map(str, self.rows))}"
            text += f": {self.count:,} value{'s' * (self.count != 1)}, first in {place}"
        return f"{text}, {self._example}" if self.example else text

    @property
    def _example(self) -> str:
        """A value looks like one more row unless it is called a value."""
        is_value = self.check not in _PHRASED and (self.count or self.check != "levels")
        return f"value {self.example}" if is_value else self.example


@dataclass(frozen=True)
class ValidationReport:
    """All failures in `rows` rows of data; true when there are none."""

    rows: int
    failures: tuple[Failure, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.failures

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        return self.told()

    def told(self, where: Places | None = None) -> str:
        """In words; see `Failure.told`."""
        return "\n".join(failure.told(where) for failure in self.failures) or f"valid, {self.rows:,} rows"

    def to_json(self) -> dict[str, Any]:
        """A JSON object: ok, rows, and the failures."""
        return {"ok": self.ok, "rows": self.rows, "failures": [_to_json(failure) for failure in self.failures]}


def _to_json(failure: Failure) -> dict[str, Any]:
    return {**asdict(failure), "rows": list(failure.rows)}


@dataclass
class FailureLog:
    """Gathers the failures of one feature over many batches."""

    feature: str
    found: dict[str, Failure] = field(default_factory=dict)

    def add(self, check: str, count: int, rows: list[int], example: str = "") -> None:
        """Rows come sorted, the first ones; the example is that of the first of them."""
        found = Failure(self.feature, check, count, tuple(rows), shortened(example))
        before = self.found.get(check, found)
        if before is not found:
            first = min(before, found, key=lambda failure: failure.rows[:1])
            all_rows = tuple(sorted({*before.rows, *rows}))[:MAX_ROWS]
            found = Failure(self.feature, check, before.count + count, all_rows, first.example)
        self.found[check] = found


def shortened(text: str) -> str:
    return text if len(text) <= MAX_EXAMPLE else f"{text[: MAX_EXAMPLE - 1]}…"
