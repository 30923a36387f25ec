"""The pages of docs/ do what they say: the guide is one program, the others are followed command by command."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from jeyn.cli.main import COMMANDS
from jeyn.project_file import ProjectFile
from tests.page import ROOT, blocks, follow, program, run

DOCS = ROOT / "docs"


def test_the_guide_runs(tmp_path: Path) -> None:
    finished = run([sys.executable, "-c", program(DOCS / "guide.md")], tmp_path)
    assert finished.returncode == 0, finished.stdout
    assert "trip-timer@0.1.0" in finished.stdout


@pytest.mark.parametrize("page", ["pipelines.md", "command-line.md"])
def test_the_page_does_what_it_says(page: str, tmp_path: Path) -> None:
    assert not program(DOCS / page)
    follow(DOCS / page, tmp_path)


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.name)
def test_every_fence_is_run_and_every_link_leads_somewhere(page: Path) -> None:
    text = page.read_text()
    assert {language for language, _ in blocks(page)} <= {"python", "console", "yaml"}
    assert text.count("\n```") == 2 * len(blocks(page))
    links = re.findall(r"\]\((?!https?:)([^)#]+)", text)
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_guide_names_every_setting() -> None:
    guide = (DOCS / "guide.md").read_text()
    settings = (ROOT / "jeyn" / "settings.py").read_text()
    for name in set(re.findall(r"JEYN_[A-Z]+", settings)):
        assert name.rstrip("_") in guide, name


def test_the_command_line_page_names_every_command_and_every_key_of_the_project_file() -> None:
    page = (DOCS / "command-line.md").read_text()
    assert [name for name in COMMANDS if not re.search(rf"\b{name}\b", page)] == []
    assert [key for key in ProjectFile.model_fields if f"`{key}:`" not in page] == []


def test_the_architecture_page_names_what_is_there() -> None:
    rows = [line for line in (ROOT / "ARCHITECTURE.md").read_text().splitlines() if line.startswith("| ")]
    named = [name for row in rows for name in _places(row)]
    assert len(named) > 50
    assert [name for name in named if not (ROOT / name).exists()] == []


def _places(row: str) -> Iterator[str]:
    """The files and folders of a table's row; a bare name is beside the one before it."""
    folder = ""
    for name in re.findall(r"`([\w/]+(?:\.py|/))`", row):
        if "/" in name.rstrip("/"):
            folder = name.rstrip("/").rpartition("/")[0] + "/" if name.endswith(".py") else name
            yield name
        else:
            yield folder + name
