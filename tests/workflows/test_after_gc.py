"""Runs after a sweep, a loss or a correction: right, or an error that says what to do (SEMANTICS 28, 31 and 32)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.workflows.projects import Project, states

FLOW = """
@operation
def ingest() -> DatasetBatch:
    return dataset_store.save_batch(points.get_new_batch())

@operation
def train(batch: DatasetBatch) -> ModelCheckpoint:
    mean = np.array([float(batch.to_numpy()["x"].mean())])
    return model_store.save_checkpoint(guess.update_minor(dataset=batch, model=mean))

@operation
def read(checkpoint: ModelCheckpoint) -> float:
    return float(checkpoint.load()[0])

@pipeline
def flow():
    return read(train(ingest()))

@operation
def every(newest: DatasetBatch) -> float:
    return float(sum(batch.to_numpy()["x"].sum() for batch in dataset_store.get_formula_batches(points)))

@pipeline
def totals():
    return every(ingest())
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project").write(FLOW, data=True)


def test_rule_31_a_streaming_pipeline_runs_again_after_everything_was_swept(project: Project) -> None:
    for month, name in enumerate(("march", "april", "may"), start=3):
        project.arrive(f"{name}.csv", month, month)
        assert project.run("flow").outputs == {"return": float(month)}
    workspace = project.workspace
    refs = [f"batch:points@1.0.0/{n}" for n in (1, 2, 3)] + [f"checkpoint:guess@0.{n}.0" for n in (1, 2, 3)]
    assert len(workspace.gc(*refs, yes=True).refs) == 6
    run = project.run("flow")
    assert run.outputs == {"return": 5.0}, "May, and not March"
    assert states(run)["ingest"] == "succeeded"
    assert [node.epoch for node in workspace.dataset_store.get_formula_batches("points@1.0.0")] == [1, 2, 3]
    assert workspace.model_store.get_checkpoint("guess@latest").ref == "checkpoint:guess@0.3.0"
    assert not workspace.model_store.get_checkpoint("guess@latest").is_swept
    assert workspace.fsck().ok
    project.arrive("june.csv", 6)
    assert project.run("flow").outputs == {"return": 6.0}


def test_rule_31_a_default_sweep_changes_nothing_of_the_next_run(project: Project) -> None:
    project.arrive("march.csv", 3)
    project.run("flow")
    project.workspace.gc(grace="0s", yes=True)
    assert set(states(project.run("flow")).values()) == {"cached"}


def test_a_lost_payload_is_restored_by_a_run_that_uses_no_cache(project: Project) -> None:
    project.arrive("march.csv", 3)
    project.run("flow")
    batch = project.workspace.dataset_store.get_batch("points@1.0.0/1")
    project.workspace.payloads.files.delete(batch.files[0].digest[7:])
    assert project.run("flow", cache=False).outputs == {"return": 3.0}
    assert project.workspace.fsck().ok


def test_a_lost_code_package_is_kept_again_by_the_next_run(project: Project) -> None:
    project.arrive("march.csv", 3)
    run = project.run("flow")
    workspace = project.workspace
    workspace.payloads.delete(workspace.row(str(run.row.code)).record.payloads[0].digest[7:])
    project.arrive("april.csv", 4)
    assert project.run("flow").outputs == {"return": 4.0}
    assert workspace.fsck().ok


def test_values_of_old_runs_go_by_keep_and_those_of_new_ones_stay(project: Project) -> None:
    runs = []
    for month, name in enumerate(("march", "april", "may"), start=3):
        project.arrive(f"{name}.csv", month)
        runs.append(project.run("flow"))
    again = project.run("flow")
    assert set(states(again).values()) == {"cached"}
    assert project.workspace.gc(grace="0s").artefacts == ()
    swept = project.workspace.gc(grace="0s", keep_runs=1, yes=True)
    assert [node.type for node in swept.artefacts] == ["value", "value"], "of March and April"
    assert set(states(project.run("flow")).values()) == {"cached"}, "the newest run took them from an older one"
    assert again.outputs == {"return": 5.0}


def test_rule_32_a_corrected_file_is_not_counted_twice(project: Project) -> None:
    project.arrive("january.csv", 1)
    assert project.run("totals").outputs == {"return": 1.0}
    project.arrive("february.csv", 2)
    assert project.run("totals", cache=False).outputs == {"return": 3.0}
    project.arrive("february.csv", 20)
    assert project.run("totals", cache=False).outputs == {"return": 21.0}
    project.arrive("february.csv", 2)
    assert project.run("totals", cache=False).outputs == {"return": 3.0}


def test_rule_32_the_plan_says_what_is_replaced(project: Project) -> None:
    from jeyn.stores.observation import explain

    project.arrive("february.csv", 2)
    project.run("flow")
    project.arrive("february.csv", 20)
    (entry,) = project.workspace.runs.entries(_ingest_key(project))
    said = [explain(project.workspace, each) for each in entry.observations]
    assert any("february.csv replaces what batch 1 has of it" in sentence for sentence in said), said
    assert project.run("flow").outputs == {"return": 20.0}


def _ingest_key(project: Project) -> str:
    run = project.workspace.runs.list(limit=1)[0]
    row = next(row for row in project.workspace.runs.operations(run.key) if row.name == "ingest")
    return str(row.cache_key)
