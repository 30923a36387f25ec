"""After a run its `code` artefact has the project's files and nothing else, and the run says what it was made with."""

from __future__ import annotations

import io
import os
import platform
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

import jeyn
from jeyn.stores.code import code_payload
from jeyn.workflows.run import Run

ROOT = Path(__file__).parents[2]
FLOW = """
import jeyn
from jeyn import DataCatalog, DatasetBatch, Dtypes, Feature, dataset_store
from jeyn.formulas import StreamingFormula
from lib.rates import RATE


class Points(DataCatalog):
    x = Feature(Dtypes.INT64, shape=(-1,))


points = StreamingFormula("points", version="1.0.0", output_catalog=Points, source="data/*.csv")


@jeyn.operation
def ingest() -> DatasetBatch:
    return dataset_store.save_batch(points.get_new_batch())


@jeyn.operation
def total(batch: DatasetBatch, times: int) -> int:
    return sum(batch.load()["x"].to_pylist()) * times * RATE


@jeyn.pipeline
def flow(times: int = 2):
    return total(ingest(), times)
"""
CODE = ["flow.py", "jeyn.yaml", "lib/__init__.py", "lib/rates.py"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Code, data, a virtual environment, and a home, as a newcomer has them."""
    files = {
        "jeyn.yaml": "name: points\n",
        "flow.py": FLOW,
        "lib/__init__.py": "",
        "lib/rates.py": "RATE = 3\n",
        "data/a.csv": "x\n1\n2\n",
        ".venv/pyvenv.cfg": "",
        ".venv/lib/python3/site-packages/other/__init__.py": "",
        "lib/__pycache__/rates.cpython-311.pyc": "",
    }
    for name, text in files.items():
        place = tmp_path / "project" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    return tmp_path / "project"


def run(project: Path, *arguments: str) -> dict[str, Any]:
    """`jeyn run flow.py` there, as its record: `Run.to_json()`, the row, and the code artefact with its files."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("JEYN_")}
    done = subprocess.run(
        [sys.executable, "-P", "-m", "jeyn.cli", "run", "flow.py", *arguments],
        cwd=project,
        env=clean | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    with jeyn.open(home=project / ".jeyn", data=project) as workspace:
        row = workspace.runs.get("last")
        found = Run(workspace, row.id).to_json()
        _, payload = code_payload(workspace, found["code"])
        with tarfile.open(fileobj=io.BytesIO(payload)) as archive:
            files = archive.getnames()
        body = workspace.row(found["code"]).record.body
        return {"json": found, "row": row, "files": files, "commit": body["commit"], "dirty": body["dirty"]}


def git(project: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-c", "user.name=ada", "-c", "user.email=ada@example.org", *arguments],
        cwd=project,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


def test_b6_without_git_the_code_is_the_files_that_are_code(project: Path) -> None:
    found = run(project)
    assert found["files"] == CODE
    assert (found["commit"], found["dirty"]) == (None, False)


@pytest.mark.skipif(shutil.which("git") is None, reason="there is no git")
def test_b6_with_git_it_is_what_git_knows_with_the_commit_and_whether_it_differs(project: Path) -> None:
    (project / ".gitignore").write_text(".jeyn\n.venv\n__pycache__\nnotes.md\n")
    (project / "notes.md").write_text("ignored")
    git(project, "init", "-q")
    git(project, "add", ".")
    git(project, "commit", "-q", "-m", "first")
    commit = git(project, "rev-parse", "HEAD")
    clean = run(project)
    assert clean["files"] == [".gitignore", *CODE]
    assert (clean["commit"], clean["dirty"]) == (commit, False)
    (project / "data" / "b.csv").write_text("x\n4\n")
    assert run(project)["dirty"] is False  # data is no code
    (project / "new.py").write_text("")
    changed = run(project)
    assert changed["files"] == [".gitignore", *CODE[:3], "lib/rates.py", "new.py"]
    assert (changed["commit"], changed["dirty"]) == (commit, True)


def test_b6_equal_code_is_one_artefact_and_the_run_says_what_it_was_made_with(project: Path) -> None:
    first = run(project, "--set", "times=5")
    second = run(project, "--set", "times=6")
    assert first["json"]["code"] == second["json"]["code"] == second["row"].code
    assert first["row"].parameters == {"times": 5}
    assert first["row"].environment["python"] == platform.python_version()
    assert set(first["row"].environment) == {"python", "platform", "jeyn", "distributions"}
    (project / "lib" / "rates.py").write_text("RATE = 4\n")
    assert run(project)["json"]["code"] != first["json"]["code"]
