"""The oldest versions that pyproject.toml allows: each dependency has one, and CI knows when they changed."""

from __future__ import annotations

import runpy
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = runpy.run_path(str(ROOT / "scripts" / "floors.py"))
PROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def test_each_dependency_has_a_floor() -> None:
    found = dict(line.split("==") for line in SCRIPT["floors"](PROJECT))
    named = {line.partition(">=")[0].partition("[")[0] for line in SCRIPT["requirements"](tomllib.loads(PROJECT))}
    assert set(found) == named - {"jeyn", "xgboost"}
    assert {"numpy", "torch", "pytest"} <= set(found)


@pytest.mark.parametrize("requirement", ["numpy", "numpy<3", "click>=1"])
def test_a_dependency_without_a_floor_or_with_two_is_told(requirement: str) -> None:
    with pytest.raises(ValueError, match=requirement):
        SCRIPT["floors"](PROJECT.replace("dependencies = [\n", f'dependencies = [\n  "{requirement}",\n', 1))


def test_the_floor_of_skops_is_what_was_reviewed() -> None:
    from jeyn.stores.serializers.sklearn import _REVIEWED

    (floor,) = [line.split("==")[1] for line in SCRIPT["floors"](PROJECT) if line.startswith("skops==")]
    assert tuple(map(int, floor.split("."))) == _REVIEWED >= (0, 16)


def test_an_older_skops_reads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever installs by hand may have one that runs code of an archive."""
    import importlib.metadata

    from jeyn.errors import Incompatible
    from jeyn.stores.serializers.sklearn import SklearnSerializer

    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0.11.0")
    with pytest.raises(Incompatible, match=r"skops 0\.11\.0 may run code"):
        SklearnSerializer().from_bytes(b"")
    with pytest.raises(Incompatible):
        SklearnSerializer().to_bytes({})


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with the scripts, whose floors have passed."""
    place = tmp_path / "there"
    (place / "scripts").mkdir(parents=True)
    for name in ("floors.py", "floors.sh"):
        shutil.copy2(ROOT / "scripts" / name, place / "scripts" / name)
    (place / ".gitignore").write_text(".venv\n")
    (place / ".venv").symlink_to(ROOT / ".venv")
    (place / "pyproject.toml").write_text(PROJECT)
    git(place, "init", "-q")
    commit(place)
    passed(place)
    commit(place)
    (place / "README").write_text("more")
    commit(place)
    return place


def git(place: Path, *given: str) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", *who, *given], cwd=place, check=True, capture_output=True, timeout=60)


def commit(place: Path) -> None:
    git(place, "add", "-A")
    git(place, "commit", "-q", "-m", "next")


def passed(place: Path) -> None:
    """What floors.sh writes at its end."""
    digest = subprocess.run(
        [".venv/bin/python", "scripts/floors.py", "--digest"], cwd=place, check=True, capture_output=True, text=True
    )
    (place / "floors.txt").write_text(f"# a digest\n{digest.stdout}")


def changed(place: Path) -> bool:
    asked: Any = subprocess.run(
        ["scripts/floors.sh", "changed"], cwd=place, capture_output=True, timeout=60, check=False
    )
    assert asked.returncode in (0, 1) and not asked.stderr, asked
    return bool(asked.returncode == 0)


def test_floors_that_passed_are_not_tried_again(checkout: Path, tmp_path: Path) -> None:
    assert not changed(checkout)
    git(tmp_path, "clone", "-q", "--depth", "1", checkout.as_uri(), "shallow")
    (tmp_path / "shallow" / ".venv").symlink_to(ROOT / ".venv")
    assert not changed(tmp_path / "shallow")


def test_a_changed_floor_is_noticed_and_the_rest_of_the_file_is_not(checkout: Path) -> None:
    project = checkout / "pyproject.toml"
    project.write_text(PROJECT.replace("line-length = 120", "line-length = 121"))
    assert not changed(checkout)
    project.write_text(PROJECT.replace('"click>=8.2"', '"click>=8.3"'))
    assert changed(checkout)
    commit(checkout)
    assert changed(checkout)


def test_ci_runs_them_itself_for_the_commit_that_changed_them(checkout: Path) -> None:
    (checkout / "pyproject.toml").write_text(PROJECT.replace('"click>=8.2"', '"click>=8.3"'))
    passed(checkout)
    commit(checkout)
    assert changed(checkout)
    (checkout / "README").write_text("most")
    commit(checkout)
    assert not changed(checkout)
    (checkout / "floors.txt").unlink()
    assert changed(checkout)


def test_ci_runs_them_where_they_changed() -> None:
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "if scripts/floors.sh changed; then\n  make test-floors\nfi" in lines
    assert "\ntest-floors: setup" in (ROOT / "Makefile").read_text(encoding="utf-8")
