"""Signals that stop a run: none is lost between the run's first row and its last."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Stoppable(Protocol):
    def stop(self) -> None: ...


class Stop:
    """Asks the engine to stop, once there is one; `hand_over` raises `KeyboardInterrupt` if that was asked before."""

    def __init__(self) -> None:
        self.engine: Stoppable | None = None
        self.asked = False

    def __call__(self, *_: object) -> None:
        if self.engine is not None:
            self.engine.stop()
        elif self.asked:
            raise KeyboardInterrupt  # who presses twice does not wait for an upload
        self.asked = True

    def hand_over(self, engine: Stoppable) -> None:
        """From here on the engine is asked."""
        self.engine = engine
        if self.asked:
            raise KeyboardInterrupt

    def hang_up(self, *_: object) -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the shell and the system each say that the terminal closed
        self()


@contextmanager
def stopped_by_signals(*, outlives_terminal: bool) -> Iterator[Stop]:
    """SIGINT, SIGTERM and a terminal that closes stop the run cleanly; only the main thread may say so.

    Nothing is raised inside the block, where a row could be left behind that says the run goes on.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    # It is ignored under nohup.
    if not outlives_terminal and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        before[signal.SIGHUP] = signal.signal(signal.SIGHUP, stop.hang_up)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
