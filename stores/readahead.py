"""`side_by_side`: the answers of some jobs in order, as many of them worked on at once as Arrow uses cores."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, islice
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from jeyn.sdk.artefact import PayloadRef

# Of less than that, handing it to another thread takes longer than reading it.
_PORTION = 4 << 20

Answer = TypeVar("Answer")


def portions(payloads: Iterable[PayloadRef]) -> Iterator[list[PayloadRef]]:
    """Payloads in their order, small ones together."""
    some: list[PayloadRef] = []
    for payload in payloads:
        some.append(payload)
        if sum(each.size for each in some) >= _PORTION:
            yield some
            some = []
    if some:
        yield some


def side_by_side(jobs: Iterable[Callable[[], Answer]]) -> Iterator[Answer]:
    """What each job answers, in the order of the jobs, or the error of the first that raises.

    A job is asked for when one of the threads is free, so that no more answers than threads wait to be taken.
    """
    import pyarrow as pa

    left = iter(jobs)
    first = list(islice(left, 2))
    if len(first) < 2:  # as most datasets of one file are
        yield from (job() for job in first)
        return
    threads = max(2, pa.cpu_count())
    running: deque[Future[Answer]] = deque()
    # Leaving the block waits for those that run, so that no thread outlives the call.
    with ThreadPoolExecutor(threads, "jeyn-read") as pool:
        for job in chain(first, left):
            running.append(pool.submit(job))
            if len(running) >= threads:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
