"""Returned values in real runs: what does not fit its annotation fails the operation, and nothing is kept of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.workflows.projects import Project, states

FLOW = """
from dataclasses import dataclass
from typing import NamedTuple

@dataclass
class Scores:
    accuracy: float

@dataclass
class More(Scores):
    loss: float = 0.5

class Pair(NamedTuple):
    low: int
    high: int

@operation(retries=3)
def forgotten(x: int = 1) -> int:
    with open("tried", "a") as file:
        file.write("x\\n")
    x + 1

@operation
def pair() -> Pair:
    return Pair(1, "two")

@operation
def nothing() -> Pair:
    pass

@operation
def items(x: int) -> int:
    return x if x != 2 else str(x)

@operation
def more() -> Scores:
    return More(0.25)

@operation
def one_tuple() -> tuple[int]:
    return (7,)

@operation
def two_for_one() -> tuple[int]:
    return (7, 8)

@operation
def same(x):
    return x

@operation
def number(x: int) -> int:
    return x

@pipeline
def alone():
    return number(forgotten())

@pipeline
def named():
    return pair()

@pipeline
def void():
    return nothing()

@pipeline
def mapped():
    return items.map(x=[1, 2, 3])

@pipeline
def derived():
    return more()

@pipeline
def tuples():
    return same(one_tuple()), one_tuple()[0]

@pipeline
def longer():
    return same(two_for_one())

@pipeline
def wrong():
    return number(one_tuple())
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project").write(FLOW)


def test_a_forgotten_return_is_an_error_and_not_tried_again(project: Project) -> None:
    run = project.run("alone")
    assert run.error is not None
    assert run.error["message"] == '"forgotten" is annotated int, and it returned None'
    assert "is a return missing?" in run.error["hint"]
    assert run.exit_code == 6
    assert states(run)["forgotten"] == "failed"
    assert project.touched("tried") == ["x"]


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("named", 'the output "high" of "pair" is annotated int, and it returned \'two\' (str)'),
        ("void", "an operation with the outputs low, high returned None: is a return missing?"),
        ("mapped", "\"items[1]\" is annotated int, and it returned '2' (str) (with x=2)"),
        ("longer", "an operation with 1 outputs (0) returned 2"),
    ],
)
def test_the_output_is_named(project: Project, function: str, said: str) -> None:
    run = project.run(function)
    assert run.error is not None and run.error["message"] == said


def test_what_derives_from_the_annotation_is_what_the_annotation_says(project: Project) -> None:
    run = project.run("derived")
    assert run.outputs == {"accuracy": 0.25}
    assert "More has more than the annotation says: loss" in run.logs()


def test_a_tuple_of_one_is_passed_on_as_a_tuple_of_one(project: Project) -> None:
    assert project.run("tuples").outputs == {"0": [7], "1": 7}
    code, document = project.jeyn("plan", "pipeline.py:wrong")
    assert code == 6
    assert '"number" takes "x" as int, but it is given list' in str(document)
