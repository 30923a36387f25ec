"""`examples/breast_cancer`: a torch network with a serializer of its own, fine-tuned from the blessed checkpoint."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.examples.project import ExampleProject, RunResult

OPERATIONS = {"ingest", "hold_out", "train", "evaluate", "bless"}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> ExampleProject:
    return ExampleProject("breast_cancer", tmp_path_factory.mktemp("breast_cancer"))


@pytest.fixture(scope="module")
def first(project: ExampleProject) -> RunResult:
    assert "next: jeyn run pipeline.py" in project.arrive()
    return project.run()


@pytest.fixture(scope="module")
def fine_tuned(project: ExampleProject, first: RunResult) -> RunResult:
    project.arrive(2)
    return project.run()


def test_the_first_network_is_kept_by_the_serializer_of_the_project(project: ExampleProject, first: RunResult) -> None:
    assert first.ran() == OPERATIONS
    with project.workspace() as workspace:
        checkpoint = workspace.get("oncologist@blessed")
        payload = checkpoint.record().payloads[0]
        data = workspace.payloads.read(payload.digest.removeprefix("sha256:"))
    assert checkpoint.serializer == {"id": "breast-cancer.tumour-net", "version": "1", "unsafe": False}
    assert checkpoint.parents == ()
    assert int.from_bytes(data[:8], "little") < len(data)  # safetensors: the header's length comes first
    assert b'"hidden.weight"' in data


def test_another_process_reads_the_network_through_jeyn_yaml(project: ExampleProject, first: RunResult) -> None:
    program = "import jeyn; print(type(jeyn.model_store.load('oncologist@blessed')).__name__)"
    assert project.call(sys.executable, "-c", program) == "TumourNet\n"


def test_what_arrives_next_fine_tunes_the_blessed_network(project: ExampleProject, fine_tuned: RunResult) -> None:
    assert fine_tuned.ran() == OPERATIONS - {"hold_out"}
    with project.workspace() as workspace:
        checkpoint = workspace.get("oncologist@0.2.0")
        assert [parent.ref for parent in checkpoint.parents] == ["checkpoint:oncologist@0.1.0"]
        assert checkpoint.dataset.ref == "batch:biopsies@1.0.0/2"
        lineage = str(workspace.upstream(checkpoint))
    assert "batch:biopsies@1.0.0/1" in lineage
    assert project.blessed("oncologist") == "checkpoint:oncologist@0.2.0"


def test_with_nothing_new_no_network_is_trained(project: ExampleProject, fine_tuned: RunResult) -> None:
    again = project.run()
    # `train` looks which network is blessed, and that has moved; it finds that this batch is learnt already.
    assert again.ran() == {"train", "bless"}
    assert again.ids == fine_tuned.ids


@pytest.mark.long
def test_another_home_ends_with_the_same_ids(first: RunResult, tmp_path: Path) -> None:
    other = ExampleProject("breast_cancer", tmp_path)
    other.arrive()
    assert other.run().ids == first.ids


@pytest.mark.long
def test_readme_commands_show_the_parent(tmp_path: Path) -> None:
    printed = ExampleProject("breast_cancer", tmp_path).follow_readme()
    assert "checkpoint:oncologist@0.1.0  (checkpoint_parent)" in printed
