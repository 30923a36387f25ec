"""Commands whose clock lies, and how long things took whatever the clock says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.workflows.projects import ROOT, Project, states

FLOW = """
import sqlite3

@operation
def slow(number: int) -> int:
    time.sleep(0.2)
    with sqlite3.connect(".jeyn/catalog.db") as connection:  # as by a commit of a machine whose clock is ahead
        connection.execute("UPDATE catalog_clock SET at = at + 4 * 3600 * 1000000")
    connection.close()
    if number == 2 and not Path("mended").exists():
        raise jeyn.Fatal("no")
    return number

@pipeline
def flow():
    return slow.map(number=[1, 2])
"""
AHEAD = """
import time

_ns, _seconds = time.time_ns, time.time
time.time_ns = lambda: _ns() + {days} * 86_400 * 10**9
time.time = lambda: _seconds() + {days} * 86_400
"""


def jeyn(project: Project, folder: Path, days: int, *arguments: str) -> tuple[int, str]:
    """Exit code and what was said by a command whose clock is so many days ahead, and that of its workers."""
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(AHEAD.format(days=days))
    process = project.start(*arguments, PYTHONPATH=f"{folder}:{ROOT}")
    out, err = process.communicate(timeout=120)
    return process.returncode, out + err


def test_a_command_whose_clock_is_ahead_writes_nothing_unless_told_that_it_is_right(tmp_path: Path) -> None:
    project = Project(tmp_path / "project").write(FLOW)
    (project.folder / "mended").touch()
    project.run().check()
    before = project.workspace.events()
    code, said = jeyn(project, tmp_path / "ahead", 80 * 365, "run", "pipeline.py")
    assert (code, "--clock-is-right" in said) == (5, True), said
    code, said = jeyn(project, tmp_path / "ahead", 80 * 365, "gc", "--yes", "--json")
    assert (code, "--clock-is-right" in json.loads(said)["error"]["hint"]) == (5, True)
    assert jeyn(project, tmp_path / "ahead", 80 * 365, "runs")[0] == 0
    assert project.workspace.events() == before
    assert jeyn(project, tmp_path / "ahead", 80 * 365, "run", "pipeline.py", "--no-cache", "--clock-is-right")[0] == 0
    code, said = jeyn(project, tmp_path / "right", 0, "run", "pipeline.py", "--no-cache")
    assert (code, "newest commit is of 21" in said) == (5, True)
    code, said = jeyn(project, tmp_path / "right", 0, "fsck", "--repair", "--yes")
    assert (code, "moved back" in said) == (0, True)
    assert jeyn(project, tmp_path / "right", 0, "--clock-is-right", "run", "pipeline.py", "--no-cache")[0] == 0
    assert jeyn(project, tmp_path / "right", 0, "run", "pipeline.py", "--no-cache")[0] == 0


@pytest.mark.parametrize("end", ["succeeded", "failed"])
def test_durations_are_those_of_a_clock_that_nobody_sets(tmp_path: Path, end: str) -> None:
    project = Project(tmp_path / "project").write(FLOW)
    if end == "succeeded":
        (project.folder / "mended").touch()
    run = project.run()
    assert (run.state, states(run)["slow[1]"]) == (end, end)
    told = run.to_json()
    item = next(each for each in told["operations"] if each["name"] == "slow[1]")
    assert 0.2 <= item["seconds"] < 60
    assert 0.2 <= told["seconds"] < 60
    assert 0.2 <= project.workspace.runs.durations("flow")["slow[0]"] < 60
