"""How a run moves, in a notebook: one table in the cell's output that is drawn again, or lines where text is all."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from jeyn.printable import printable
from jeyn.sdk.html import card, table, text_block
from jeyn.workflows.watch import (
    Event,
    ItemsKnown,
    OperationChanged,
    Progress,
    RunFinished,
    RunStarted,
    Watch,
    unwatched,
)

REDRAW_SECONDS = 0.25
MOST_LINES = 50  # of operations; what runs or failed comes first
MOST_ITEMS = 20  # of a mapped operation, each with lines of its own
_OVER = ("succeeded", "cached", "adopted", "failed", "skipped", "cancelled", "not run", "held")


def notebook_watch() -> Watch:
    """Shows the run that begins now in the cell that runs; shows nothing outside of IPython."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is None:
        return unwatched
    return RunDisplay(_cell_output() if hasattr(shell, "kernel") else None)


def _cell_output() -> Callable[[RunDisplay], None]:
    """Draws in one place of the cell's output, with the messages that every notebook server and client knows."""
    from IPython.display import display

    handles: list[Any] = []

    def draw(what: RunDisplay) -> None:
        if handles:
            handles[0].update(what)
        else:
            handles.append(display(what, display_id=True))  # type: ignore[no-untyped-call]

    return draw


class RunDisplay:
    """A run so far. `draw` is called as it changes; without it each change is printed as a line."""

    def __init__(self, draw: Callable[[RunDisplay], None] | None, clock: Callable[[], float] = time.monotonic) -> None:
        self.draw, self.clock = draw, clock
        self.lock = threading.Lock()  # an engine may tell of things from several threads
        self.run: RunStarted | None = None
        self.end: RunFinished | None = None
        self.states: dict[str, str] = {}
        self.said: dict[str, str] = {}
        self.items: dict[str, int] = {}
        self.failures: dict[str, Mapping[str, Any]] = {}
        self._drawn = float("-inf")

    def __call__(self, event: Event) -> None:
        with self.lock, suppress(Exception):  # nothing that is shown may end a run
            line = self._apply(event)
            if self.draw is None:
                if line:
                    print(printable(line), flush=True)
            elif not _is_small(event) or self.clock() - self._drawn >= REDRAW_SECONDS:
                self._drawn = self.clock()
                self.draw(self)

    def _apply(self, event: Event) -> str:
        """Take in what happened; a line that says it, "" for what is not worth one."""
        match event:
            case RunStarted():
                self.run = event
                self.states = dict.fromkeys(event.operations, "waiting")
                return f"{event.run}: {', '.join(event.operations[:10])}{' …' if len(event.operations) > 10 else ''}"
            case ItemsKnown(operation=name, count=count):
                self.items[name] = count
                return f"  {name}: {count:,} items"
            case OperationChanged():
                self.states[event.operation] = event.state
                self.said[event.operation] = _said(event)
                if event.state == "failed":
                    self.failures[event.operation] = event.error or {}
                count = self.items.get(event.operation.rpartition("[")[0], 0)
                if count > MOST_ITEMS and event.state != "failed":
                    return ""
                return f"  {event.operation} {event.state}  {self.said[event.operation]}".rstrip()
            case Progress(operation=name):
                total = f" of {event.total:,}" if event.total else ""
                self.said[name] = f"{event.done:,}{total} {event.description}".rstrip()
            case RunFinished():
                self.end = event
                return "\n".join([_summary(event), *map(_failure, self.failures.items())])
        return ""

    def __repr__(self) -> str:
        if self.end is not None:
            return "\n".join([_summary(self.end), *map(_failure, self.failures.items())])
        rows = [f"  {name}  {state}  {said}".rstrip() for name, state, said in self._rows()]
        return "\n".join([self._title(), *rows])

    def _repr_html_(self) -> str:
        if self.end is not None:
            return card(
                self.end.run,
                (),
                *(text_block(_failure(each)) for each in self.failures.items()),
                note=_summary(self.end).removeprefix(self.end.run).strip(),
            )
        return card(self._title(), (), table(["operation", "state", ""], self._rows(), most=MOST_LINES), note="running")

    def _title(self) -> str:
        return self.run.run if self.run is not None else "run"

    def _rows(self) -> list[tuple[str, str, str]]:
        """Of a mapped operation one row for all its items."""
        rows = [(name, *self._row(name)) for name in self.run.operations] if self.run else []
        urgent = [row for row in rows if row[1] in ("running", "failed")]
        return rows if len(rows) <= MOST_LINES else [*urgent, *(row for row in rows if row not in urgent)]

    def _row(self, name: str) -> tuple[str, str]:
        count = self.items.get(name)
        if count is None:
            return self.states[name], self.said.get(name, "")
        states = Counter(state for each, state in self.states.items() if each.startswith(f"{name}["))
        over = sum(states[state] for state in _OVER)
        kinds = ", ".join(f"{number:,} {state}" for state, number in sorted(states.items()))
        return ("running" if over < count else self.states[name]), f"{over:,} of {count:,}: {kinds}"


def _is_small(event: Event) -> bool:
    """One of many, after which another one comes soon."""
    is_item = isinstance(event, OperationChanged) and event.operation.endswith("]")
    return is_item or isinstance(event, Progress)


def _said(event: OperationChanged) -> str:
    if event.state == "running":
        tried = f"attempt {event.attempt} of {event.attempts}, " if event.attempt > 1 else ""
        return f"{tried}since {time.strftime('%H:%M:%S')}"
    if event.state == "failed":
        return str((event.error or {}).get("message", "")).partition("\n")[0]
    took = f"{event.seconds:.1f} s" if event.seconds is not None else ""
    wait = f"again in {event.retry_in:.0f} s" if event.retry_in else ""
    return "  ".join(part for part in (took, ", ".join(event.outputs), wait, event.reason) if part)


def _summary(end: RunFinished) -> str:
    counts = ", ".join(f"{number:,} {state}" for state, number in end.counts.items())
    return f"{end.run} {end.state} in {end.seconds:.1f} s" + (f": {counts}" if counts else "")


def _failure(failed: tuple[str, Mapping[str, Any]]) -> str:
    """An operation's error in the user's own words: the traceback of their code."""
    name, error = failed
    said = str(error.get("traceback") or error.get("message") or "no reason is known").rstrip()
    hint = f"\n→ {error['hint']}" if error.get("hint") and str(error["hint"]) not in said else ""
    return f"{name} failed:\n{said}{hint}"
