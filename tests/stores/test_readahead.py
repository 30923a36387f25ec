"""Jobs side by side: in their order, at once, and never more of them than there are threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial

import pyarrow as pa
import pytest

from jeyn.sdk.artefact import PayloadRef
from jeyn.stores.readahead import portions, side_by_side


def refs(*sizes: int) -> list[PayloadRef]:
    return [PayloadRef(f"{at}.parquet", f"sha256:{at:064x}", size) for at, size in enumerate(sizes)]


def test_two_jobs_run_at_once() -> None:
    both = threading.Barrier(2, timeout=60)
    assert sorted(side_by_side([both.wait, both.wait])) == [0, 1]


def test_answers_come_in_the_order_of_the_jobs() -> None:
    later = threading.Event()

    def first() -> int:
        assert later.wait(60)
        return 0

    def second() -> int:
        later.set()
        return 1

    assert list(side_by_side([first, second, lambda: 2])) == [0, 1, 2]


def test_no_more_answers_than_threads_wait_to_be_taken() -> None:
    asked: list[int] = []

    def jobs() -> Iterator[Callable[[], int]]:
        for at in range(100):
            asked.append(at)
            yield partial(int, at)

    answers = side_by_side(jobs())
    for taken in range(100):
        assert next(answers) == taken
        assert len(asked) <= taken + max(2, pa.cpu_count())


def test_the_first_job_that_fails_is_told() -> None:
    def fails(at: int) -> int:
        raise ValueError(str(at))

    with pytest.raises(ValueError, match="1"):
        list(side_by_side([lambda: 0, partial(fails, 1), partial(fails, 2)]))
    assert not [each for each in threading.enumerate() if each.name.startswith("jeyn-read")]


def test_one_job_needs_no_thread() -> None:
    assert list(side_by_side([threading.current_thread])) == [threading.current_thread()]
    assert list(side_by_side([])) == []


def test_small_files_are_read_together_and_large_ones_alone() -> None:
    mebibyte = 1 << 20
    found = portions(refs(mebibyte, 5 * mebibyte, 9 * mebibyte, mebibyte, mebibyte))
    assert [[payload.size // mebibyte for payload in some] for some in found] == [[1, 5], [9], [1, 1]]
