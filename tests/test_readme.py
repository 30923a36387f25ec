"""Every command and program in README.md runs, in an empty folder, in the order they stand there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = FENCE.findall(README)
PROGRAMS = [text for language, text in BLOCKS if language == "python"]
COMMANDS = [line[2:] for language, text in BLOCKS if language == "console" for line in text.splitlines()]


def run(command: list[str], folder: Path) -> str:
    """What `command` prints in `folder`; the caller's settings do not reach it, and its warnings are errors."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JEYN_")}
    environment |= {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONWARNINGS": "error"}
    finished = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def test_every_fence_is_of_a_kind_that_is_tested_or_a_picture() -> None:
    assert {language for language, _ in BLOCKS} == {"python", "console", "text"}
    assert README.count("\n```") == 2 * len(BLOCKS)


@pytest.mark.parametrize("program", PROGRAMS)
def test_program_runs(program: str, tmp_path: Path) -> None:
    assert "appraiser" in run([sys.executable, "-c", program], tmp_path)
    assert (tmp_path / ".jeyn").is_dir()


@pytest.mark.parametrize("command", COMMANDS)
def test_command_runs(command: str, tmp_path: Path) -> None:
    program, *arguments = command.split()
    if program == "make":
        (target,) = arguments
        assert re.search(rf"^{target}:.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
    else:
        run(["bash", "-c", command], tmp_path)


def test_links_lead_somewhere() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
