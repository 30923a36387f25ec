"""`jeyn.progress`: how far an operation is, reported while it iterates."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from jeyn.sdk.recorder import current_recorder
from jeyn.sdk.workspace import current_workspace

T = TypeVar("T")

_SECONDS_BETWEEN = 0.1  # a display needs no more, and each report crosses a process


def progress(iterable: Iterable[T], total: int | None = None) -> Iterator[T]:
    """The items themselves; inside an operation the display shows how many were taken, of `total` or the length."""
    report = _reporter()
    if report is None:
        yield from iterable
        return
    total = _length(iterable) if total is None else total
    done, reported, due = 0, 0, time.monotonic() + _SECONDS_BETWEEN
    report(0, total)
    try:
        for item in iterable:
            yield item
            done += 1
            if time.monotonic() >= due:
                report(done, total)
                reported, due = done, time.monotonic() + _SECONDS_BETWEEN
    finally:
        if done > reported:
            report(done, total)


def _reporter() -> Callable[[int, int | None], Any] | None:
    if current_recorder() is not None:
        return None
    found: Callable[[int, int | None], Any] | None = getattr(current_workspace(), "report_progress", None)
    return found


def _length(iterable: Iterable[Any]) -> int | None:
    try:
        return len(iterable)  # type: ignore[arg-type]  # not everything has one
    except TypeError:
        return None
