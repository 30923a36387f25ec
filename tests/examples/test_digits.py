"""`examples/digits` as a newcomer runs it: what is new is learnt, what is better is blessed, nothing is done twice."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from sklearn.linear_model import LogisticRegression

from tests.examples.project import ExampleProject, RunResult

OPERATIONS = {"ingest", "train", "evaluate", "draw", "bless"}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> ExampleProject:
    return ExampleProject("digits", tmp_path_factory.mktemp("digits"))


@pytest.fixture(scope="module")
def first(project: ExampleProject) -> RunResult:
    assert "next: jeyn run pipeline.py" in project.arrive()
    return project.run()


@pytest.fixture(scope="module")
def again(project: ExampleProject, first: RunResult) -> RunResult:
    return project.run()


@pytest.fixture(scope="module")
def settled(project: ExampleProject, again: RunResult) -> RunResult:
    return project.run()


@pytest.fixture(scope="module")
def next_day(project: ExampleProject, settled: RunResult) -> RunResult:
    project.arrive(2)
    return project.run()


def test_the_first_run_does_everything_and_blesses_what_comes_from_the_batch(
    project: ExampleProject, first: RunResult
) -> None:
    assert first.ran() == OPERATIONS
    assert first.refs("checkpoint") == ["checkpoint:digit-reader@0.1.0"]
    with project.workspace() as workspace:
        lineage = str(workspace.upstream("digit-reader@0.1.0"))
        (moved,) = [each for each in workspace.alias_history("digit-reader@0.1.0") if each.id in first.ids]
    assert "batch:digits@1.0.0/1" in lineage
    assert "formula:digits@1.0.0" in lineage
    assert first.ids[moved.id] == "checkpoint:digit-reader@0.1.0"


def test_the_confusion_matrix_is_a_picture_that_the_store_keeps(project: ExampleProject, first: RunResult) -> None:
    with project.workspace() as workspace:
        values = [workspace.get(hit.id) for hit in workspace.search("type:value", limit=100) if hit.id in first.ids]
        (picture,) = [value.load() for value in values if value.format == "file/1"]
        root = ElementTree.fromstring(Path(picture).read_text())
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "333 of 397 scans read correctly" in texts


def test_with_nothing_new_all_is_cached_but_what_moved_the_alias(
    first: RunResult, again: RunResult, settled: RunResult
) -> None:
    assert again.states.keys() == OPERATIONS
    assert again.ran() == {"bless"}
    assert again.ids == first.ids
    assert settled.ran() == set()
    assert settled.ids == first.ids


def accuracy_of(project: ExampleProject, epoch: int) -> float:
    """The same by scikit-learn alone; which figure it is depends on the machine's arithmetic."""
    with project.workspace() as workspace:
        scans, holdout = (
            workspace.dataset_store.get_batch(ref).to_numpy()
            for ref in (f"digits@1.0.0/{epoch}", "digits-holdout@^1/latest")
        )
    model = LogisticRegression(C=1.0, max_iter=500).fit(scans["pixels"], scans["label"])
    return float((model.predict(holdout["pixels"]) == holdout["label"]).mean())


def test_a_new_file_makes_one_batch_and_one_checkpoint_that_is_compared_and_blessed(
    project: ExampleProject, settled: RunResult, next_day: RunResult
) -> None:
    assert next_day.ran() == OPERATIONS
    assert set(next_day.refs("batch")) - set(settled.refs("batch")) == {"batch:digits@1.0.0/2"}
    assert set(next_day.refs("checkpoint")) - set(settled.refs("checkpoint")) == {"checkpoint:digit-reader@0.2.0"}
    assert project.blessed("digit-reader") == "checkpoint:digit-reader@0.2.0"
    with project.workspace() as workspace:
        evaluations = [workspace.get(hit.id) for hit in workspace.search("type:evaluation", limit=100)]
    # Both on the same held-out batch; the old one's score is no new artefact.
    assert len({evaluation.batch_id for evaluation in evaluations}) == 1
    found = {evaluation.metrics["accuracy"] for evaluation in evaluations}
    assert found == {accuracy_of(project, epoch) for epoch in (1, 2)}


def test_another_home_ends_with_the_same_ids_one_operation_at_a_time(first: RunResult, tmp_path: Path) -> None:
    other = ExampleProject("digits", tmp_path)
    other.arrive()
    assert other.run("--workers", "1").ids == first.ids


@pytest.mark.long
def test_readme_commands_end_with_the_better_model_blessed(tmp_path: Path) -> None:
    project = ExampleProject("digits", tmp_path)
    printed = project.follow_readme()
    assert "digit-reader@0.1.0" in printed
    assert project.blessed("digit-reader") == "checkpoint:digit-reader@0.2.0"
    with project.workspace() as workspace:
        assert workspace.get("digit-reader@0.3.0").ref == "checkpoint:digit-reader@0.3.0"
