"""SECURITY.md: each promise names a test that is there, and the README leads to it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "SECURITY.md").read_text()
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)


@pytest.mark.parametrize(("file", "test"), NAMED)
def test_a_promise_names_a_test_that_is_there(file: str, test: str) -> None:
    functions = [each for each in ast.walk(ast.parse((ROOT / file).read_text())) if isinstance(each, ast.FunctionDef)]
    assert test in [each.name for each in functions]


def test_every_promise_names_a_test() -> None:
    promises = PAGE.partition("## What Jeyn promises")[2].partition("## What it does not")[0]
    items = re.split(r"\n(?=- )", promises)[1:]
    assert len(items) >= 15 and [item for item in items if "::test_" not in item] == []


def test_the_readme_leads_there() -> None:
    assert "[SECURITY.md](SECURITY.md)" in (ROOT / "README.md").read_text()
