"""docs/argo.md does what it says, as far as that needs no cluster: its kubectl keeps objects in a folder."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from jeyn.project_file import ArgoSettings
from tests.kubectl import install
from tests.page import ROOT, follow
from tests.s3_server import serve

PAGE = ROOT / "docs" / "argo.md"


def test_the_page_does_what_it_says(tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.delenv("PYTHONPATH", raising=False)
    places = {
        "postgresql://jeyn@db.example.com/jeyn": postgres_url,
        "s3://our-bucket": "s3://page",
        "https://argo.example.com": "http://127.0.0.1:1",
    }
    text = PAGE.read_text()
    for shown, real in places.items():
        assert shown in text
        text = text.replace(shown, real)
    page, project = tmp_path / "page.md", tmp_path / "project"
    page.write_text(text)
    project.mkdir()
    with serve() as server:
        server.make_bucket("page")
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        follow(page, project)


def test_the_page_names_every_setting_of_argo() -> None:
    text = PAGE.read_text()
    assert [key for key in ArgoSettings.model_fields if not re.search(rf"\b{key}:", text)] == []
