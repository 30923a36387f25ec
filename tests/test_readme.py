"""README.md does what it says: its pipeline is run as it stands there, its commands are typed, its links are there."""

from __future__ import annotations

import re
from pathlib import Path

from tests.page import ROOT, blocks, follow

README = ROOT / "README.md"


def test_the_pipeline_runs_and_prints_what_the_readme_shows(tmp_path: Path) -> None:
    follow(README, tmp_path)
    assert (tmp_path / ".jeyn").is_dir()


def test_the_pipeline_has_ten_lines() -> None:
    (pipeline,) = [text for language, text in blocks(README) if language == "python"]
    body = pipeline[pipeline.index("@operation") :].splitlines()
    assert len([line for line in body if line.strip()]) == 10


def test_every_fence_is_run() -> None:
    assert {language for language, _ in blocks(README)} == {"python", "console"}
    assert README.read_text().count("\n```") == 2 * len(blocks(README))


def test_links_lead_somewhere() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README.read_text())
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
