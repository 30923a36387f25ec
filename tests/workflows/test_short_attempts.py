"""What ends within a moment is written once, at its end; and yet nothing of it is lost when its engine is killed."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from jeyn import Workspace
from tests.workflows.projects import Project, outputs, states, until

SOURCE = """
import signal

@operation
def quick(x: int = 1) -> int:
    print("quick", x)
    return x + 1

@operation
def murder() -> int:
    if Path("again").exists():
        return 1
    print("last words", flush=True)
    os.kill(os.getppid(), signal.SIGKILL)  # the engine, before it could have told of this attempt
    time.sleep(60)

@operation
def slow() -> int:
    Path("began").touch()
    until = time.monotonic() + 60
    while not Path("go").exists() and time.monotonic() < until:
        time.sleep(0.01)
    return 1

@pipeline
def chain():
    return quick(quick(quick()))

@pipeline
def killed():
    return murder()

@pipeline
def lasting():
    return slow()
"""


@pytest.mark.parametrize("catalog", ["sqlite", "postgres"])
def test_each_attempt_is_told_with_its_end(tmp_path: Path, catalog: str, request: pytest.FixtureRequest) -> None:
    project = Project(tmp_path / "project").write(SOURCE)
    if catalog == "postgres":
        project.workspace = Workspace.open(project.folder, catalog=request.getfixturevalue("postgres_url"))
    run = project.run("chain").check()
    assert run.outputs == {"return": 4}
    runs = project.workspace.runs
    for row in runs.operations(run.row.key):
        (attempt,) = runs.attempts(row.key)
        assert (attempt.number, attempt.state, attempt.host) == (1, "succeeded", os.uname().nodename)
        assert row.started == attempt.at
        assert attempt.pid not in (None, os.getpid())
        assert row.started < (attempt.ended or 0) <= time.time_ns() // 1000
    assert len(outputs(run)) == 3
    project.workspace.close()


def test_what_a_killed_engine_had_not_told_is_told_by_its_worker(tmp_path: Path) -> None:
    project = Project(tmp_path / "project").write(SOURCE)
    process = project.start("run", "pipeline.py:killed")
    process.communicate(timeout=60)
    assert process.returncode == -9
    runs = project.workspace.runs
    row = runs.get("last")
    (operation,) = runs.operations(row.key)
    until(lambda: runs.attempts(operation.key))
    (project.folder / "again").touch()
    resumed = project.resume(row.id).check()
    assert states(resumed) == {"murder": "succeeded"}
    assert "".join(each.text for each in runs.log(row.key)) == "last words\n"


def test_what_lasts_is_seen_to_run(tmp_path: Path) -> None:
    project = Project(tmp_path / "project").write(SOURCE)
    process = project.start("run", "pipeline.py:lasting")
    until(lambda: (project.folder / "began").exists())
    row = project.workspace.runs.get("last")

    def running() -> bool:
        (operation,) = project.workspace.runs.operations(row.key)
        return operation.state == "running"

    until(running, seconds=5)
    (project.folder / "go").touch()
    process.communicate(timeout=60)
    assert process.returncode == 0
