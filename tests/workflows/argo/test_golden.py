"""The manifests beside each example are what `jeyn compile` prints, offline, in a process of its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.examples.project import EXAMPLES, FRESH
from tests.workflows.argo.lint import lint

# They cover the versions of Python and of what the operations import, so each machine has its own.
ID = re.compile(r"sha256:[0-9a-f]{64}")
WRITE = "JEYN_WRITE_GOLDENS"


def compiled(folder: Path, *without_network: str) -> str:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("JEYN_")}
    command = [*without_network, sys.executable, "-m", "jeyn.cli", "compile", "pipeline.py"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def without_network() -> list[str]:
    unshare = shutil.which("unshare")
    command = [unshare, "--net", "--map-root-user"] if unshare else []
    works = command and subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0
    return [str(part) for part in command] if works else []


@pytest.mark.parametrize("name", ["digits", "breast_cancer"])
def test_an_example_compiles_to_the_file_beside_it(name: str, tmp_path: Path) -> None:
    folder = tmp_path / name
    shutil.copytree(EXAMPLES / name, folder, ignore=FRESH)
    before = sorted(path.name for path in folder.iterdir())
    found = compiled(folder, *without_network())
    assert len(set(ID.findall(found))) == 2
    golden, masked = EXAMPLES / name / "argo.yaml", ID.sub(f"sha256:{'0' * 64}", found)
    if os.environ.get(WRITE):
        golden.write_text(masked)
    assert golden.read_text() == masked, f"if it is meant: {WRITE}=1 pytest {Path(__file__).name}, and look at the diff"
    after = sorted(path.name for path in folder.iterdir() if path.name != "__pycache__")
    assert after == before, "nothing is kept: no home, no catalog"
    lint(found, tmp_path)
