"""`jeyn new`: what it makes, what it refuses, and that what it makes runs at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from jeyn.settings import Settings
from tests.cli.conftest import call

ROOT = Path(__file__).parents[2]
FILES = [".gitignore", "README.md", "data/2026-01.csv", "jeyn.yaml", "pipeline.py"]


@pytest.fixture(autouse=True)
def elsewhere(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside any project; a project's own settings say where its home is."""
    monkeypatch.delenv("JEYN_HOME")


def jeyn(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "jeyn.cli", *args]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=env, timeout=120)


def test_it_makes_a_project_with_its_name(tmp_path: Path) -> None:
    answer = call("new", "my-flats", "--json")
    assert answer.data == {
        "folder": str(tmp_path / "my-flats"),
        "files": FILES,
        "next": "cd my-flats && jeyn run pipeline.py",
    }
    made = tmp_path / "my-flats"
    assert sorted(path.relative_to(made).as_posix() for path in made.rglob("*") if path.is_file()) == FILES
    assert not any("PROJECT" in (made / name).read_text() for name in FILES)
    found = Settings.load(made)
    assert (found.name, found.root) == ("my-flats", made)
    assert dict(found.pipelines) == {"nightly": "pipeline.py:nightly"}


def test_it_fills_an_empty_folder_and_refuses_any_other(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert call("new", "empty").code == 0
    before = (tmp_path / "empty" / "pipeline.py").read_text()
    answer = call("new", "empty")
    assert answer.code == 4 and '"' + str(tmp_path / "empty") + '" is there already' in answer.err
    assert (tmp_path / "empty" / "pipeline.py").read_text() == before
    (tmp_path / "file").touch()
    assert call("new", "file").code == 4


@pytest.mark.parametrize("name", ["", "a/b", "..", "-x y", "a b", "ä", "x" * 101, "a\n"])
def test_names_that_are_no_folder_of_their_own_are_refused(tmp_path: Path, name: str) -> None:
    before = sorted(tmp_path.iterdir())
    assert call("new", "--", name).code == 2
    assert sorted(tmp_path.iterdir()) == before


def test_what_it_makes_runs_at_once_and_a_second_run_does_nothing(tmp_path: Path) -> None:
    call("new", "flats")
    folder = tmp_path / "flats"
    first = jeyn(folder, "run", "pipeline.py", "--json")
    assert first.returncode == 0, first.stderr
    assert json.loads(first.stdout)["ok"] is True
    blessed = json.loads(jeyn(folder, "show", "rent@blessed", "--json").stdout)["data"]
    assert blessed["ref"] == "checkpoint:rent@0.1.0"
    assert blessed["made_by"]["operation"] == "train"  # `bless` only passes it through
    again = jeyn(folder, "run", "nightly", "--json")
    assert again.returncode == 0, again.stderr
    assert json.loads(jeyn(folder, "show", "rent@latest", "--json").stdout)["data"]["id"] == blessed["id"]
    assert jeyn(folder, "doctor").returncode == 0
