"""Shows a run while it happens, on stderr: live lines on a terminal, plain lines elsewhere; a summary at the end."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from jeyn.cli.board import FINISHED, Board, Line, counted, duration
from jeyn.printable import coloured, printable
from jeyn.workflows.watch import Event, ItemsKnown, OperationChanged, Printed, RunStarted, Watch

REDRAWS = 10  # a second
BAR = 20  # characters
NAMED = 5  # failed items that are named in one line
TOLD = 3  # errors that are told in full at the end

# state -> (symbol, the same in ASCII, style)
LOOKS = {
    "waiting": ("·", ".", "dim"),
    "running": ("▸", ">", "bold cyan"),
    "succeeded": ("✓", "+", "green"),
    "cached": ("✓", "+", "blue"),
    "adopted": ("✓", "+", "blue"),
    "failed": ("✗", "x", "bold red"),
    "skipped": ("-", "-", "dim"),
    "cancelled": ("✗", "x", "yellow"),
    "not run": ("-", "-", "yellow"),
    "held": ("‖", "=", "yellow"),
}
WORDS = {"cached", "adopted", "skipped", "not run", "held", "cancelled", "failed"}  # states that are also written out


class Display(Protocol):
    def show(self, event: Event) -> None: ...

    def close(self) -> None: ...


@contextmanager
def live_display(console: Console | None = None) -> Iterator[Watch]:
    """The watcher to hand to an engine; `console` is stderr unless given.

    NO_COLOR, TERM=dumb and a stderr that is no terminal are honoured. Events may come from any thread.
    """
    console = console or Console(stderr=True, highlight=False)
    board = Board()
    animated = console.is_terminal and not console.is_dumb_terminal
    display: Display = LiveDisplay(console, board) if animated else PlainDisplay(console, board)

    def watch(event: Event) -> None:
        with board.lock:
            board.apply(event)
            display.show(event)

    try:
        yield watch
    finally:
        display.close()
        say(console, *summary(board))


def say(console: Console, *lines: Text) -> None:
    """Prints lines, never cut: what is no terminal has no width."""
    for line in lines:
        console.print(_safe(line), soft_wrap=True)


def _safe(text: Text) -> Text:
    """Names, messages and progress are somebody's text, and rich lets most of what acts on a terminal through."""
    text.plain = printable(text.plain)
    return text


def printed(event: Printed) -> list[Text]:
    """An operation's own lines behind its name; colours stay, anything else that moves a terminal does not."""
    prefix = (f"{event.operation} | ", "dim")
    return [Text.assemble(prefix, Text.from_ansi(coloured(line))) for line in event.text.rstrip("\n").split("\n")]


class PlainDisplay:
    """One line for each thing that matters, as it happens."""

    def __init__(self, console: Console, board: Board) -> None:
        self.console = console
        self.board = board

    def show(self, event: Event) -> None:
        match event:
            case RunStarted():
                say(self.console, title(event))
            case ItemsKnown(operation=name, count=count):
                say(self.console, Text(f"{name}: {count:,} items"))
            case Printed():
                say(self.console, *printed(event))
            case OperationChanged():
                told = self._told(event)
                if told:
                    say(self.console, Text(f"{event.operation}: {told}"))

    def close(self) -> None:
        pass

    def _told(self, event: OperationChanged) -> str:
        mapped = self.board.mapped(event.operation)
        if mapped is not None and event.state != "failed" and event.retry_in is None:
            return ""  # a thousand items are told as one
        line = self.board.lines.get(event.operation)
        if line is None or line.items is None:
            # A traceback that has just been printed ends with the message.
            return change_in_words(event, error=event.operation not in self.board.printed_traceback)
        took = f" in {duration(line.seconds)}" if line.seconds is not None else ""
        return f"{event.state}{took}: {counted(+line.items.counts) or 'nothing to do'}"


def change_in_words(event: OperationChanged, *, error: bool = True) -> str:
    """`succeeded in 1.2 s → digit-reader@0.2.0`; empty where nothing needs to be said, `error` says why it failed."""
    took = "" if event.seconds is None else f" in {duration(event.seconds)}"
    gave = f" → {', '.join(event.outputs)}" if event.outputs else ""
    match event.state:
        case "running":
            return "started" if event.attempt <= 1 else f"started, attempt {event.attempt}/{event.attempts}"
        case "failed":
            return f"failed{took}: {error_line(event.error)}" if error else f"failed{took}"
        case "waiting" if event.retry_in is not None:
            failed = f"attempt {event.attempt}/{event.attempts} failed: {error_line(event.error)}"
            return f"{failed}; retry in {duration(event.retry_in)}"
        case "waiting":
            return ""
        case "succeeded":
            return f"succeeded{took}{gave}"
        case "cached" | "adopted":
            return f"{event.state}{gave}"
    return event.state + (f": {event.reason}" if event.reason else "")


class LiveDisplay:
    """One line per operation, redrawn at most ten times a second by a thread of its own."""

    def __init__(self, console: Console, board: Board) -> None:
        self.console = console
        self.board = board
        self.ascii = not console.encoding.lower().startswith("utf")
        self._live = Live(console=console, auto_refresh=False, redirect_stdout=False, get_renderable=self.drawing)
        self._pending: list[Text] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._redraw, name="jeyn-display", daemon=True)

    def show(self, event: Event) -> None:
        match event:
            case RunStarted():
                say(self.console, title(event))
                self._live.start()
                self._thread.start()
            case Printed():
                self._pending += printed(event)

    def close(self) -> None:
        if not self._thread.is_alive():
            return
        self._over.set()
        self._thread.join()
        self._draw()
        self._live.stop()

    def _redraw(self) -> None:
        while not self._over.wait(1 / REDRAWS):
            self._draw()

    def _draw(self) -> None:
        with self.board.lock:
            pending, self._pending = self._pending, []
        if pending:
            say(self.console, Text("\n").join(pending))
        self._live.refresh()

    def drawing(self) -> Group:
        """The lines that fit on the screen: all of them, or first those that somebody should look at."""
        with self.board.lock:
            return self._drawing()

    def _drawing(self) -> Group:
        lines = list(self.board.lines.values())
        room = max(self.console.height - 2, 1)
        shown = lines if len(lines) <= room else most_urgent(lines, room)
        table = Table.grid(padding=(0, 2), expand=True)
        table.add_column(width=1)
        table.add_column(no_wrap=True, overflow="ellipsis", max_width=max(self.console.width // 3, 12))
        table.add_column(justify="right", no_wrap=True)
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        for line in shown:
            table.add_row(*map(_safe, self._row(line)))
        hidden = Counter(line.state for line in lines) - Counter(line.state for line in shown)
        more = [Text(f"{'...' if self.ascii else '…'} {hidden.total():,} more: {counted(hidden)}", style="dim")]
        return Group(table, *(more if hidden else []))

    def _row(self, line: Line) -> tuple[Text, ...]:
        symbol, plain, style = LOOKS.get(line.state, LOOKS["waiting"])
        return (
            Text(plain if self.ascii else symbol, style=style),
            Text(line.name, style="dim" if line.state == "waiting" else ""),
            Text(duration(self.board.seconds(line)), style="dim"),
            Text("  ").join(part for part in self._parts(line) if part),
        )

    def _parts(self, line: Line) -> Iterator[Text]:
        if line.state in WORDS:
            yield Text(line.state, style=LOOKS[line.state][2])
        if line.retry_at is not None:
            wait = max(line.retry_at - self.board.clock(), 0.0)
            yield Text(f"attempt {line.attempt}/{line.attempts} failed, retry in {duration(wait)}", style="yellow")
        elif line.attempt > 1:
            yield Text(f"attempt {line.attempt}/{line.attempts}", style="yellow")
        if line.items is not None:
            yield self._bar(line.items.finished, line.items.count)
            yield Text(counted(+line.items.counts))
            yield Text(_some(list(line.items.errors)), style="red")
        elif line.progress is not None and line.state == "running":
            yield self._bar(line.progress.done, line.progress.total)
            yield Text(line.progress.description)
        if line.state == "failed" and line.error:
            yield Text(error_line(line.error))
        yield Text(", ".join(line.outputs))

    def _bar(self, done: int, total: int | None) -> Text:
        if not total:
            return Text(f"{done:,}")
        full = min(BAR * done // total, BAR)
        on, off = ("#", "-") if self.ascii else ("━", "─")
        return Text.assemble((on * full, "green"), (off * (BAR - full), "dim"), f" {done:,}/{total:,}")


def most_urgent(lines: list[Line], room: int) -> list[Line]:
    """As many lines as fit, in plan order: running and failed ones, then the last finished, then the next waiting."""

    def urgency(numbered: tuple[int, Line]) -> tuple[int, int]:
        place, line = numbered
        return (0, place) if line.open else (1, -place) if line.state in FINISHED else (2, place)

    chosen = sorted(enumerate(lines), key=urgency)[:room]
    return [line for _, line in sorted(chosen, key=lambda numbered: numbered[0])]


def title(event: RunStarted) -> Text:
    resumed = f", continues {event.resumed_from}" if event.resumed_from else ""
    many = "operation" if len(event.operations) == 1 else "operations"
    return Text.assemble((event.run, "bold"), f" ({event.engine}, {len(event.operations):,} {many}{resumed})")


def summary(board: Board) -> list[Text]:
    """How the run ended, and what failed in the user's own words; what to do next is the command's error."""
    end = board.finished
    if end is None:
        return []
    counts = counted(board.counts())
    words = f" {end.state} in {duration(end.seconds)}" + (f": {counts}" if counts else "")
    lines = [Text.assemble((end.run, "bold"), (words, LOOKS.get(end.state, LOOKS["waiting"])[2]))]
    return lines if end.state == "succeeded" else [*lines, *_failures(board)]


def _failures(board: Board) -> Iterator[Text]:
    errors = board.errors()
    alone = len(errors) == 1  # then the command's own error, which comes next, says what it is
    for name, error in errors[:TOLD]:
        if not alone:
            yield Text.assemble((f"{name} failed: ", "bold red"), error_line(error))
        if error.get("traceback") and name not in board.printed_traceback:
            yield Text(str(error["traceback"]).rstrip(), style="dim")
        if error.get("hint") and not alone:
            yield Text(f"  → {error['hint']}")
    if len(errors) > TOLD:
        yield Text(f"and {len(errors) - TOLD:,} more: {_some([name for name, _ in errors[TOLD:]])}")


def error_line(error: Mapping[str, Any] | None) -> str:
    """The first line of an error's message."""
    message = str((error or {}).get("message") or "no reason is known").strip()
    return message.splitlines()[0] if message else ""


def _some(names: list[str]) -> str:
    rest = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + rest
