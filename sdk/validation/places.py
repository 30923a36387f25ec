"""`Places`: where the rows of several files lie, so that a row is told as that of a file."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import groupby


class Places:
    """Files in the order in which their rows were counted."""

    def __init__(self) -> None:
        self._files: list[str] = []
        self._starts: list[int] = []
        self._rows = 0

    def add(self, file: str, rows: int) -> None:
        """The next rows, which may be of the same file as the ones before."""
        if not self._files or self._files[-1] != file:
            self._files.append(file)
            self._starts.append(self._rows)
        self._rows += rows

    def place(self, row: int) -> tuple[str, int]:
        """The file of a row, and its number there."""
        at = bisect_right(self._starts, row) - 1
        return self._files[at], row - self._starts[at]

    def told(self, rows: Sequence[int]) -> str:
        """Rows as those of their files: 'row 1, 2 of "a.csv", row 0 of "b.csv"'."""
        found = [bisect_right(self._starts, row) - 1 for row in rows]
        pairs = zip(found, rows, strict=True)
        return ", ".join(
            self._of_file(at, [row for _, row in each]) for at, each in groupby(pairs, lambda pair: pair[0])
        )

    def _of_file(self, at: int, rows: list[int]) -> str:
        numbers = ", ".join(str(row - self._starts[at]) for row in rows)
        return f'row {numbers} of "{self._files[at]}"'
