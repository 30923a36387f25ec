"""What Jeyn generates is no code of the project: the same is compiled whatever was printed into it before."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.workflows.projects import ROOT, Project

FLOW = """
@operation
def one() -> int:
    return 1

@pipeline
def flow():
    return one()
"""


@pytest.fixture(params=["plain", "git"])
def jeyn(tmp_path: Path, request: pytest.FixtureRequest) -> Callable[..., bytes]:
    project = Project(tmp_path / "project").write(FLOW)
    project.write("rate: 1\n", "params.yaml").write('{"a": 1}', "params.json")
    if request.param == "git":
        subprocess.run(["git", "init", "-q"], cwd=project.folder, check=True)

    def run(*arguments: str, into: str) -> bytes:
        with (project.folder / into).open("wb") as file:
            environment = {**os.environ, "PYTHONPATH": str(ROOT)}
            command = [sys.executable, "-m", "jeyn.cli", *arguments]
            subprocess.run(command, cwd=project.folder, env=environment, stdout=file, check=True, timeout=120)
        return (project.folder / into).read_bytes()

    return run


def test_compiling_twice_gives_the_same_bytes(jeyn: Callable[..., bytes], tmp_path: Path) -> None:
    first = jeyn("compile", "pipeline.py", into="argo.yaml")
    assert b"WorkflowTemplate" in first
    assert jeyn("compile", "pipeline.py", into="argo.yaml") == first
    assert jeyn("compile", "pipeline.py", into="deploy.yml") == first
    assert jeyn("plan", "pipeline.py", "--json", into="plan.json")
    assert jeyn("compile", "pipeline.py", "--json", into="compiled.json")
    assert jeyn("compile", "pipeline.py", into="out.txt") == first
    (tmp_path / "project" / "out.txt").unlink()
    assert jeyn("compile", "pipeline.py", into="again.yaml") == first
    (tmp_path / "project" / "params.yaml").write_text("rate: 2\n")
    assert jeyn("compile", "pipeline.py", into="argo.yaml") != first
