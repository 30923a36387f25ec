"""A script that runs a pipeline: it is told of a failure also when it asks for nothing."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.workflows.projects import ROOT, Project

FLOW = """
@operation
def one(fails: bool) -> int:
    if fails:
        raise ValueError("no such luck")
    return 1

@pipeline
def flow(fails: bool = True):
    return one(fails)
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project").write(FLOW)


def python(project: Project, script: str) -> subprocess.CompletedProcess[str]:
    project.write(f"from pipeline import flow\n{script}", "script.py")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JEYN_")}
    return subprocess.run(
        [sys.executable, "script.py"],
        cwd=project.folder,
        env=environment | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_failure_is_one_line_on_stderr_and_success_is_none(project: Project) -> None:
    done = python(project, "flow.run()\nprint('and on it goes')\nflow.run(fails=False)")
    failed = project.workspace.runs.list(state="failed")[0].id
    said = f'{failed} failed: operation "one": ValueError: no such luck; see jeyn logs {failed} one\n'
    assert (done.returncode, done.stdout, done.stderr) == (0, "and on it goes\n", said)


def test_check_makes_it_the_scripts_own_error(project: Project) -> None:
    done = python(project, "flow.run().check()\nprint('not reached')")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1] == "jeyn.errors.OperationFailed: ValueError: no such luck"
    own, _, _ = done.stderr.partition("The above exception was the direct cause")
    assert 'in the operation "one":' in own and "in one\n" in own  # where in the user's own code


def test_logging_decides_where_it_is_told(project: Project, caplog: pytest.LogCaptureFixture) -> None:
    with project.imported("flow") as flow, caplog.at_level(logging.ERROR, "jeyn.run"):
        run = flow.run(workspace=project.workspace)
    assert run.state == "failed"
    assert [(each.name, each.levelname) for each in caplog.records] == [("jeyn.run", "ERROR")]
