"""Integers that Python, a plan or a frame cannot hold: they come back the same, or are one clear message."""

from __future__ import annotations

from pathlib import Path

import pytest

from jeyn.errors import NotDigestible
from tests.workflows.projects import Project

FLOW = """
import pandas as pd


@operation
def big() -> int:
    return 10**5000


@operation
def several() -> dict:
    return {"a": [10**5000, -(10**5000)], "b": 2**64}


@operation
def same(number: int, numbers: dict) -> bool:
    return number == 10**5000 and numbers["a"][1] == -number and numbers["b"] == 2**64


@operation
def frame() -> pd.DataFrame:
    return pd.DataFrame({"number": [1, 2**70]})


@operation
def take(number: int) -> int:
    return number


@pipeline
def bigs():
    return same(big(), several())


@pipeline
def frames():
    return frame()


@pipeline
def constants():
    return take(10**5000)
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project").write(FLOW)


def test_integers_of_any_length_travel_between_operations(project: Project) -> None:
    assert project.run("bigs").check().outputs["return"] is True


def test_a_frame_with_integers_beyond_64_bits_is_refused_with_the_cure(project: Project) -> None:
    code, document = project.jeyn("run", "pipeline.py:frames")
    assert code == 5
    assert "would not come back the same" in document["error"]["message"]
    assert "beyond 64 bits" in document["error"]["hint"]


def test_a_plan_holds_no_integer_that_cannot_be_written(project: Project) -> None:
    with pytest.raises(NotDigestible, match="an integer of 16610 bits") as caught:
        project.run("constants")
    assert "pass hex" in caught.value.hint
