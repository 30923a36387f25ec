"""What a run shows while it goes on in a notebook: of many items one line, and never so often that nobody can read."""

from __future__ import annotations

import pytest

from jeyn.workflows.notebook_display import MOST_LINES, RunDisplay, notebook_watch
from jeyn.workflows.watch import ItemsKnown, OperationChanged, Progress, RunFinished, RunStarted, unwatched

HOSTILE = "<script>\x1b[2J"


def test_a_mapped_operation_is_one_row_and_its_items_are_drawn_now_and_then() -> None:
    drawn: list[str] = []
    now = [0.0]
    shown = RunDisplay(lambda what: drawn.append(what._repr_html_()), clock=lambda: now[0])
    shown(RunStarted("r-1", "p", "local", ("one", "many")))
    shown(OperationChanged("one", "running", 1))
    shown(Progress("one", 2, 8, "rows"))  # comes at once after a drawing
    assert len(drawn) == 2
    now[0] = 1.0
    shown(Progress("one", 3, 8, "rows"))
    assert "3 of 8 rows" in drawn[-1]
    shown(ItemsKnown("many", 1000))
    before = len(drawn)
    for index in range(500):
        shown(OperationChanged(f"many[{index}]", "succeeded", 1, 0.1))
    assert len(drawn) == before
    now[0] = 2.0
    shown(OperationChanged("many[500]", "failed", 1, error={"message": HOSTILE, "traceback": f"line\n{HOSTILE}"}))
    assert "501 of 1,000: 1 failed, 500 succeeded" in drawn[-1]
    shown(RunFinished("r-1", "failed", 2.5, {"succeeded": 501, "failed": 1}))
    assert "failed in 2.5 s: 501 succeeded, 1 failed" in drawn[-1] and "many[500] failed:" in drawn[-1]
    assert "<script>" not in drawn[-1] and "line\n&lt;script&gt;" in drawn[-1]


def test_lines_tell_of_each_operation_and_of_items_that_failed(capsys: pytest.CaptureFixture[str]) -> None:
    shown = RunDisplay(None)
    shown(RunStarted("r-1", "p", "local", ("many",)))
    shown(ItemsKnown("many", 1000))
    for index in range(100):
        shown(OperationChanged(f"many[{index}]", "succeeded", 1, 0.1))
    shown(OperationChanged("many[100]", "failed", 1, error={"message": HOSTILE}))
    shown(OperationChanged("many", "waiting", 1, retry_in=2.0, attempts=3))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] or line.strip() for line in lines][:2] == ["r-1: many", "many: 1,000 items"]
    assert len(lines) == 4 and "many[100] failed" in lines[2] and "again in 2 s" in lines[3]
    assert "\x1b" not in lines[2]


def test_what_runs_or_failed_is_among_the_rows_of_a_long_plan() -> None:
    shown = RunDisplay(lambda _: None)
    names = tuple(f"op{number}" for number in range(5 * MOST_LINES))
    shown(RunStarted("r-1", "p", "local", names))
    shown(OperationChanged(names[-1], "running", 1))
    text = shown._repr_html_()
    assert text.index(f"{names[-1]}<") < text.index("op1<") and "more" in text


def test_nothing_that_is_drawn_ends_a_run_and_outside_of_a_notebook_nothing_is() -> None:
    def broken(_: RunDisplay) -> None:
        raise OSError("the notebook is gone")

    RunDisplay(broken)(RunStarted("r-1", "p", "local", ()))
    assert notebook_watch() is unwatched
