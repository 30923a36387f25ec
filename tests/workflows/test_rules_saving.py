"""SEMANTICS 9 and 10 on the real engine: what an attempt saves, and what becomes of what it returns."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.workflows.projects import Project, outputs, states


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")


# 9 and 10: what an attempt saves.

STAGED = """
@operation
def save(fails: bool) -> DatasetBatch:
    batch = dataset_store.save_batch(points.get_new_batch())
    assert dataset_store.get_batch("points@^1/latest").id == batch.id
    assert batch.load().num_rows == 2
    Path("saved").touch()
    while not Path("go on").exists():
        time.sleep(0.02)
    if fails:
        raise ValueError("it does not end well")
    return batch

@operation
def look() -> list:
    while not Path("saved").exists():
        time.sleep(0.02)
    found = [hit.ref for hit in jeyn.search("type:batch")]
    Path("go on").touch()
    return found

@pipeline
def flow(fails: bool = False):
    return save(fails), look()
"""


def test_rule_9_what_an_attempt_saves_is_its_own_until_it_commits(project: Project) -> None:
    project.write(STAGED, data=True).arrive("a.csv", 1, 2)
    run = project.run()
    assert run.check().outputs["1"] == []
    assert run.outputs["0"].ref == "batch:points@1.0.0/1"
    assert [hit.ref for hit in project.workspace.search("type:batch")] == ["batch:points@1.0.0/1"]


def test_rule_9_a_failed_attempt_leaves_nothing_but_unreferenced_payloads(project: Project) -> None:
    project.write(STAGED, data=True).arrive("a.csv", 1, 2)
    run = project.run(arguments={"fails": True})
    assert (run.state, states(run)) == ("failed", {"save": "failed", "look": "succeeded"})
    assert project.workspace.search("type:batch") == []
    found = project.workspace.fsck()
    assert set(found.counts) <= {"orphaned"}, found.counts
    assert list((project.folder / ".jeyn").glob("scratch/*")) == []


OUTPUTS = """
from dataclasses import dataclass
from typing import NamedTuple

class Two(NamedTuple):
    number: int
    text: str

@dataclass
class Pair:
    batch: DatasetBatch
    rows: int

@operation
def unsaved_batch() -> Pair:
    return Pair(points.get_new_batch(), 2)

@operation
def unsaved_checkpoint(batch: DatasetBatch) -> ModelCheckpoint:
    return guess.update_minor(dataset=batch, model=np.array([1.5]))

@operation
def saved_checkpoint(batch: DatasetBatch) -> ModelCheckpoint:
    return model_store.save_checkpoint(guess.update_minor(dataset=batch, model=np.array([1.5])))

@operation
def named() -> Two:
    return Two(3, "three")

@operation
def unnamed(two: int) -> tuple[int, str]:
    return two + 1, "four"

@operation
def listed(batch: DatasetBatch, checkpoint: ModelCheckpoint) -> list:
    return [batch, checkpoint]

@operation
def joined(things: list, text: str, number: int) -> str:
    return " ".join([*(type(each).__name__ for each in things), text, str(number)])

@operation
def nothing() -> None:
    pass

@pipeline
def flow():
    pair = unsaved_batch()
    checkpoint = unsaved_checkpoint(pair.batch)
    again = saved_checkpoint(pair.batch)
    two = named()
    number, text = unnamed(two.number)
    things = listed(pair.batch, checkpoint)
    return {
        "pair": pair.rows, "things": things, "text": joined(things, text, number), "again": again, "none": nothing(),
    }
"""


def test_rule_10_each_kind_of_output_is_one_artefact(project: Project) -> None:
    project.write(OUTPUTS, data=True).arrive("a.csv", 1, 2)
    run = project.run().check()
    found = run.outputs
    assert found["pair"] == 2 and found["none"] is None
    assert found["text"] == "FileBatch ModelCheckpoint four 4"
    assert found["things"] == [found["things"][0], found["again"]]
    assert [each.ref for each in found["things"]] == ["batch:points@1.0.0/1", "checkpoint:guess@0.1.0"]
    assert outputs(run)["unsaved_checkpoint"] == outputs(run)["saved_checkpoint"]  # saving it first is optional
    assert set(outputs(run)["unsaved_batch"]) == {"batch", "rows"}
    assert set(outputs(run)["unnamed"]) == {"0", "1"}
    above = project.workspace.upstream(outputs(run)["listed"]["return"], depth=1)
    assert {each.id for each in found["things"]} <= {node.id for node in above}


def test_an_output_that_cannot_be_kept_is_an_error_that_says_what_to_do(project: Project) -> None:
    project.write(
        """
@operation(retries=3, backoff=0)
def thing() -> object:
    Path("ran").open("a").write("once ")
    return object()

@pipeline
def flow():
    return thing()
"""
    )
    run = project.run()
    error = run.error or {}
    assert (run.state, error["code"], run.exit_code) == ("failed", "NOT_SERIALIZABLE", 5)
    assert "register_serializer" in error["hint"]
    assert project.touched("ran") == ["once"]  # no retry can help
