"""The live display: scripted events onto a terminal and into a file."""

from __future__ import annotations

import io
import time

import pytest
from rich.console import Console

from jeyn.cli.board import Board, duration
from jeyn.cli.display import LiveDisplay, live_display
from jeyn.workflows.watch import Event, ItemsKnown, OperationChanged, Printed, Progress, RunFinished, RunStarted

RUN = "nightly-20260102-030405-abcd"
ERROR = {
    "code": "OPERATION_FAILED",
    "message": "ValueError: no rows",
    "hint": "look at the data",
    "traceback": '  File "pipeline.py", line 7, in train\n    raise ValueError("no rows")\nValueError: no rows',
}
SUCCESS: tuple[Event, ...] = (
    RunStarted(RUN, "nightly", "local", ("ingest", "train", "evaluate")),
    OperationChanged("ingest", "cached", outputs=("digits@1.0.0/7",)),
    OperationChanged("train", "running", attempt=1, attempts=3),
    Printed("train", "epoch 1\nepoch 2\n"),
    OperationChanged("train", "waiting", attempt=1, seconds=0.5, retry_in=2.0, error=ERROR, attempts=3),
    OperationChanged("train", "running", attempt=2, attempts=3),
    OperationChanged("train", "succeeded", attempt=2, seconds=1.25, outputs=("digit-reader@0.2.0",)),
    OperationChanged("evaluate", "skipped", reason="its condition does not hold"),
    RunFinished(RUN, "succeeded", 3.21, {"cached": 1, "succeeded": 1, "skipped": 1}),
)


def plain(*events: Event) -> str:
    console = Console(file=io.StringIO(), width=40)
    with live_display(console) as watch:
        for event in events:
            watch(event)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def drawn(*events: Event, width: int = 100, height: int = 25, now: float = 100.0, encoding: str = "utf-8") -> str:
    """The frame that a terminal of this size would show after these events."""
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    console = Console(file=file, force_terminal=True, width=width, height=height, color_system=None)
    board = Board(clock=lambda: now)
    for event in events:
        board.apply(event)
    with console.capture() as capture:
        console.print(LiveDisplay(console, board).drawing())
    return capture.get()


def test_plain_lines_say_what_matters_once() -> None:
    assert plain(*SUCCESS).splitlines() == [
        f"{RUN} (local, 3 operations)",
        "ingest: cached → digits@1.0.0/7",
        "train: started",
        "train | epoch 1",
        "train | epoch 2",
        "train: attempt 1/3 failed: ValueError: no rows; retry in 2.0 s",
        "train: started, attempt 2/3",
        "train: succeeded in 1.2 s → digit-reader@0.2.0",
        "evaluate: skipped: its condition does not hold",
        f"{RUN} succeeded in 3.2 s: 1 ran, 1 cached, 1 skipped",
    ]


FAILED = (
    OperationChanged("train", "failed", attempt=1, seconds=0.2, error=ERROR),
    RunFinished(RUN, "failed", 1.0, {"failed": 1}, ERROR),
)


def test_a_failure_ends_with_the_users_own_traceback() -> None:
    text = plain(RunStarted(RUN, "nightly", "local", ("train",)), *FAILED)
    assert text.splitlines()[1:] == [
        "train: failed in 0.2 s: ValueError: no rows",
        f"{RUN} failed in 1.0 s: 1 failed",
        *ERROR["traceback"].splitlines(),
    ]  # the message and the hint are the command's own error


def test_a_traceback_that_the_operation_printed_is_not_told_again() -> None:
    printed = Printed("train", f"begin\n{ERROR['traceback']}\n")
    text = plain(RunStarted(RUN, "nightly", "local", ("train",)), printed, *FAILED)
    assert text.count("raise ValueError") == 1
    assert "\ntrain: failed in 0.2 s\n" in text
    assert text.endswith(f"{RUN} failed in 1.0 s: 1 failed\n")


def test_only_some_of_many_failures_are_told_in_full() -> None:
    names = tuple(f"op-{number}" for number in range(20))
    failures = [OperationChanged(name, "failed", error=ERROR) for name in names]
    text = plain(RunStarted(RUN, "n", "local", names), *failures, RunFinished(RUN, "failed", 1.0))
    assert text.count('File "pipeline.py"') == 3
    assert text.count("→ look at the data") == 3
    assert "op-2 failed: ValueError: no rows" in text
    assert "and 17 more: op-3, op-4, op-5, op-6, op-7 and 12 more" in text
    assert "20 failed" in text  # counted here, since the event had no counts


def test_a_cancelled_run_says_so() -> None:
    events = (OperationChanged("a", "cancelled"), RunFinished(RUN, "cancelled", 1.0, {"cancelled": 1}))
    text = plain(RunStarted(RUN, "n", "local", ("a",)), *events)
    assert text.endswith(f"{RUN} cancelled in 1.0 s: 1 cancelled\n")


def test_items_are_told_as_one_unless_they_fail() -> None:
    done = [OperationChanged(f"train[{n}]", "succeeded", seconds=0.1) for n in range(99)]
    text = plain(
        RunStarted(RUN, "n", "local", ("train",)),
        ItemsKnown("train", 100),
        *done,
        OperationChanged("train[99]", "failed", error=ERROR),
        OperationChanged("train", "failed"),
    )
    *lines, last = text.splitlines()[1:]
    assert lines == ["train: 100 items", "train[99]: failed: ValueError: no rows"]
    assert last.startswith("train: failed in ")
    assert last.endswith(" s: 99 ran, 1 failed")


def test_no_events_print_nothing() -> None:
    assert plain() == ""


def test_what_an_operation_prints_cannot_move_the_terminal() -> None:
    text = plain(
        RunStarted(RUN, "n", "local", ("a",)), Printed("a", "10%\r100%\n\x1b[2J\x1b[31mred\x1b[0m\x07\n[b]x[/b]\n")
    )
    assert text.splitlines()[1:] == ["a | 100%", "a | red", "a | [b]x[/b]"]


def test_a_frame_has_one_line_per_operation() -> None:
    lines = drawn(*SUCCESS[:3], Progress("train", 30, 120, "epochs")).splitlines()
    assert [line.split() for line in lines] == [
        ["✓", "ingest", "cached", "digits@1.0.0/7"],
        ["▸", "train", "0.00", "s", "━━━━━───────────────", "30/120", "epochs"],
        ["·", "evaluate"],
    ]


def test_a_frame_shows_the_attempt_and_the_wait_for_the_next() -> None:
    assert "attempt 1/3 failed, retry in 2.0 s" in drawn(*SUCCESS[:5])
    assert "attempt 2/3" in drawn(*SUCCESS[:6])
    assert "1.2 s  attempt 2/3  digit-reader@0.2.0" in drawn(*SUCCESS)


def test_a_mapped_operation_is_one_line_with_a_bar() -> None:
    states = ["succeeded"] * 6 + ["failed", "running"]
    changes = [OperationChanged(f"train[{n}]", state, error=ERROR) for n, state in enumerate(states)]
    frame = drawn(RunStarted(RUN, "n", "local", ("train",)), ItemsKnown("train", 10), *changes)
    assert "7/10  6 ran, 1 failed, 1 running  train[6]" in frame
    assert len(frame.splitlines()) == 1


def test_a_mapped_operation_ends_as_its_items_do() -> None:
    board = Board()
    board.apply(RunStarted(RUN, "n", "local", ("a", "b")))
    for name, last in (("a", "cached"), ("b", "failed")):
        board.apply(ItemsKnown(name, 2))
        board.apply(OperationChanged(f"{name}[0]", "cached"))
        assert board.lines[name].state == "running"
        board.apply(OperationChanged(f"{name}[1]", last))
    assert [line.state for line in board.lines.values()] == ["cached", "failed"]
    assert [name for name, _ in board.errors()] == ["b[1]"]


def test_a_thousand_operations_fit_on_the_screen_with_the_urgent_first() -> None:
    names = tuple(f"op-{number:04}" for number in range(1000))
    changes = [OperationChanged(name, "succeeded", seconds=0.1) for name in names[:500]]
    changes += [OperationChanged(names[7], "failed", error=ERROR), OperationChanged(names[900], "running", attempt=1)]
    lines = drawn(RunStarted(RUN, "n", "local", names), *changes, height=24).splitlines()
    assert len(lines) == 23
    assert lines[0].split()[:2] == ["✗", "op-0007"]
    assert any(line.split()[:2] == ["▸", "op-0900"] for line in lines)
    assert lines[-1] == "… 978 more: 479 ran, 499 not started"


def test_a_narrow_terminal_cuts_lines_and_never_wraps_them() -> None:
    long = OperationChanged("train", "succeeded", seconds=1.0, outputs=("x" * 200,))
    lines = drawn(RunStarted(RUN, "n", "local", ("train", "n" * 80)), long, width=40).splitlines()
    assert len(lines) == 2
    assert all(len(line) <= 40 for line in lines)


def test_a_terminal_without_unicode_gets_ascii() -> None:
    events = (*SUCCESS[:3], Progress("train", 5, 10))
    assert drawn(*events, encoding="ascii").isascii()


def test_a_terminal_keeps_printed_lines_above_and_the_summary_below() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=80, height=24, color_system=None)
    with live_display(console) as watch:
        for event in SUCCESS:
            watch(event)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert text.count("train | epoch 1\n") == 1
    assert text.rstrip().endswith(f"{RUN} succeeded in 3.2 s: 1 ran, 1 cached, 1 skipped")


def test_redraws_are_bounded_however_many_events_come() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=80, height=24, color_system=None)
    names = tuple(f"op-{number}" for number in range(1000))
    begin = time.perf_counter()
    with live_display(console) as watch:
        watch(RunStarted(RUN, "n", "local", names))
        for name in names:
            watch(OperationChanged(name, "running", attempt=1))
            watch(Printed(name, "hello\n"))
            watch(OperationChanged(name, "succeeded", attempt=1, seconds=0.001))
        took = time.perf_counter() - begin
    assert took < 2  # 0.1 s here; a frame for each event would take 10 s
    frames = console.file.getvalue().count(" more: ")  # type: ignore[attr-defined]
    assert frames < 5 + 40 * took


@pytest.mark.parametrize("variable", ["NO_COLOR", "TERM"])
def test_no_color_and_dumb_terminals_are_honoured(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv(variable, {"NO_COLOR": "1", "TERM": "dumb"}[variable])
    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    with live_display(console) as watch:
        for event in SUCCESS:
            watch(event)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "\x1b[3" not in text
    assert ("\x1b" in text) == (variable == "NO_COLOR")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, ""),
        (0.004, "0.00 s"),
        (1.25, "1.2 s"),
        (59.96, "1 min 00 s"),
        (123.4, "2 min 03 s"),
        (3725, "1 h 02 min"),
    ],
)
def test_durations_read_like_words(seconds: float | None, words: str) -> None:
    assert duration(seconds) == words
