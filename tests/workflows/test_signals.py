"""Signals that come where no engine runs yet, or none any more: the run's row always says how it ended."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from jeyn.stores.runs import Runs
from jeyn.workflows import run as runs
from tests.workflows.projects import Project

FLOW = """
@operation
def one() -> int:
    Path("ran").touch()
    return 1

@pipeline
def flow():
    return one()
"""
NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project").write(FLOW)


def signalled(real: Any, number: int, times: int = 1) -> Any:
    """The same function, whose caller is sent a signal as it returns."""

    def called(*arguments: Any, **named: Any) -> Any:
        found = real(*arguments, **named)
        for _ in range(times):
            os.kill(os.getpid(), number)
        return found

    return called


@pytest.mark.parametrize("number", NUMBERS)
def test_a_signal_before_the_engine_begins_closes_the_run(
    project: Project, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    before = [signal.getsignal(each) for each in NUMBERS]
    monkeypatch.setattr(runs, "create_run", signalled(runs.create_run, number))
    with pytest.raises(KeyboardInterrupt):
        project.run()
    assert (project.last().state, project.touched("ran")) == ("cancelled", [])
    assert not (project.folder / "ran").exists()
    assert [signal.getsignal(each) for each in NUMBERS] == before


@pytest.mark.parametrize("number", NUMBERS)
def test_a_signal_after_the_last_operation_does_not_leave_the_run_open(
    project: Project, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(runs.LocalEngine, "run", signalled(runs.LocalEngine.run, number, times=2))
    monkeypatch.setattr(Runs, "finish", signalled(Runs.finish, number))
    assert project.run().outputs == {"return": 1}
    assert project.last().state == "succeeded"


def test_who_presses_twice_does_not_wait_for_the_run_to_be_made(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def endless(*_: Any) -> None:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("it went on")

    monkeypatch.setattr(runs, "create_run", endless)
    with pytest.raises(KeyboardInterrupt):
        project.run()
