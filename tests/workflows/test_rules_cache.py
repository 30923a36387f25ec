"""SEMANTICS 16 to 19 on the real engine: what is taken from the cache, what is not, and why."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from jeyn.errors import NotDigestible
from jeyn.workflows.run import Run
from jeyn.workflows.watch import OperationChanged
from tests.workflows.projects import Project, outputs, states

INGEST = """
@operation
def ingest() -> DatasetBatch:
    return dataset_store.save_batch(points.get_new_batch())

@operation
def total(batch: DatasetBatch) -> float:
    return float(batch.to_numpy()["x"].sum())

@pipeline
def flow():
    return total(ingest())
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")


def reasons(project: Project, **options: Any) -> tuple[Run, dict[str, str]]:
    """A run, and why each operation was not taken from the cache."""
    found: dict[str, str] = {}

    def watch(event: Any) -> None:
        if isinstance(event, OperationChanged) and event.state == "running":
            found[event.operation] = event.reason

    return project.run(watch=watch, explain=True, **options), found


def test_rule_16_the_root_is_location_and_never_identity(tmp_path: Path) -> None:
    ids = []
    for name in ("one", "two"):
        project = Project(tmp_path / name).write(INGEST, data=True)
        project.arrive("a.csv", 1, 2)
        run = project.run()
        assert run.outputs == {"return": 3.0}
        ids.append(outputs(run))
        code = run.row.code
        assert code is not None
        assert b"a.csv" not in project.workspace.payloads.read(
            project.workspace.row(code).record.payloads[0].digest[7:]
        )
    assert ids[0] == ids[1]


def test_rule_17_ingest_runs_again_when_a_file_arrives_and_not_otherwise(project: Project) -> None:
    project.write(INGEST, data=True).arrive("a.csv", 1, 2)
    project.run()
    again, _ = reasons(project)
    assert states(again) == {"ingest": "cached", "total": "cached"}
    project.arrive("b.csv", 10)
    more, why = reasons(project)
    assert states(more) == {"ingest": "succeeded", "total": "succeeded"}
    assert "b.csv" in why["ingest"] and "points" in why["ingest"]
    assert 'input "batch" changed' in why["total"]
    assert more.outputs == {"return": 10.0}
    assert states(project.run()) == {"ingest": "cached", "total": "cached"}
    project.arrive("c.csv", 1, 2)  # the content of a.csv, which is in a batch already
    assert states(project.run()) == {"ingest": "cached", "total": "cached"}


BLESSED = """
from jeyn import DatasetFormula

table = DatasetFormula("table", version="1.0.0", output_catalog=Points)

@operation
def save(number: float) -> ModelCheckpoint:
    batch = dataset_store.save_batch(table.new_table({"x": [number]}))
    return model_store.save_checkpoint(guess.update_minor(dataset=batch, model=np.array([number])))

@operation
def start() -> float:
    blessed = model_store.get_checkpoint("guess@blessed", default=None)
    return 0.0 if blessed is None else float(blessed.load()[0])

@pipeline
def saving(number: float):
    return save(number)

@pipeline
def flow():
    return start()
"""


def test_rule_17_a_read_of_an_alias_is_observed_and_a_bless_makes_it_run_again(project: Project) -> None:
    project.write(BLESSED, data=True)
    first = project.run("saving", arguments={"number": 1.0})
    second = project.run("saving", arguments={"number": 2.0})
    assert project.run("flow").outputs == {"return": 0.0}
    assert states(project.run("flow")) == {"start": "cached"}
    for run, number in ((first, 1.0), (second, 2.0)):
        project.workspace.model_store.bless(run.outputs["return"], "better")
        found, why = reasons(project, function="flow")
        assert states(found) == {"start": "succeeded"} and found.outputs == {"return": number}
        assert "guess@blessed" in why["start"]
        assert states(project.run("flow")) == {"start": "cached"}


CODE = """
import helpers

RATE = 2
OTHER = 5

def scaled(x):
    return x * RATE

def unrelated(x):
    return x + OTHER

@operation
def compute(x: int = 3) -> int:
    return helpers.shifted(scaled(x))

@pipeline
def flow():
    return compute()
"""


def test_rule_18_what_an_operation_uses_counts_and_nothing_else(project: Project) -> None:
    project.write("def shifted(x):\n    return x + 1\n", "helpers.py").write(CODE)
    assert project.run().outputs == {"return": 7}

    def changed(before: str, now: str, path: str = "pipeline.py") -> tuple[str, str]:
        file = project.folder / path
        text = file.read_text()
        assert before in text
        file.write_text(text.replace(before, now, 1))
        run, why = reasons(project)
        return states(run)["compute"], why.get("compute", "")

    # What cannot matter.
    assert changed("return helpers", "\n    # a comment\n    return   helpers") == ("cached", "")
    assert changed("x + OTHER", "x - OTHER") == ("cached", "")
    assert changed("OTHER = 5", "OTHER = 6") == ("cached", "")
    assert changed("@operation", "@operation(retries=2, timeout=50, backoff=0.1)") == ("cached", "")
    # What may.
    assert changed("x * RATE", "x * RATE * 10") == ("succeeded", "code changed: pipeline.py:scaled")
    assert changed("RATE = 2", "RATE = 3") == ("succeeded", "code changed: pipeline.py:RATE")
    assert changed("x + 1", "x + 2", "helpers.py") == ("succeeded", "code changed: helpers.py")
    state, why = changed("x: int = 3", "x: int = 4")
    assert state == "succeeded" and "compute" in why
    assert project.last().outputs == {"return": 4 * 3 * 10 + 2}
    # And back: nothing is lost.
    assert changed("x: int = 4", "x: int = 3") == ("cached", "")


INPUTS = """
@operation
def source(number: int) -> int:
    return number // 10

@operation
def use(number: int, label: str = "a") -> str:
    with Path("used").open("a") as file:
        file.write(f"{number}\\n")
    return f"{number}{label}"

@pipeline
def flow(number: int = 10, label: str = "a"):
    return use(source(number), label)
"""


def test_rule_17_equal_values_cut_off_early_and_a_miss_says_which_input_differed(project: Project) -> None:
    project.write(INPUTS)
    project.run()
    early, why = reasons(project, arguments={"number": 11})
    assert states(early) == {"source": "succeeded", "use": "cached"}
    assert why == {"source": 'input "number" was 10, is 11'}
    _, why = reasons(project, arguments={"number": 11, "label": "b"})
    assert why == {"use": 'input "label" was "a", is "b"'}
    assert project.touched("used") == ["1", "1"]


def test_cache_off_for_an_operation_and_for_a_run(project: Project) -> None:
    project.write(INPUTS.replace("use(source(number), label)", "use.options(cache=False)(source(number), label)"))
    first = project.run()
    second, why = reasons(project)
    assert states(second) == {"source": "cached", "use": "succeeded"}
    assert why == {"use": "the cache is off for it"}
    third = project.run(cache=False)
    assert states(third) == {"source": "succeeded", "use": "succeeded"}
    assert outputs(first) == outputs(second) == outputs(third)  # what is made again is the same


def test_rule_19_what_moved_an_alias_is_never_taken_from_the_cache(project: Project) -> None:
    project.write(
        """
@operation
def save() -> ModelCheckpoint:
    batch = dataset_store.save_batch(points.get_new_batch())
    return guess.update_minor(dataset=batch, model=np.array([1.0]))

@operation
def bless(checkpoint: ModelCheckpoint) -> ModelCheckpoint:
    model_store.bless(checkpoint, "good")
    return checkpoint

@pipeline
def flow():
    return bless(save())
""",
        data=True,
    ).arrive("a.csv", 1)
    runs = [project.run(), project.run()]
    assert [states(run) for run in runs] == [
        {"save": "succeeded", "bless": "succeeded"},
        {"save": "cached", "bless": "succeeded"},
    ]
    assert [row.effects for row in runs[0].operations if row.name == "bless"] == [("bless guess@blessed",)]
    assert len(project.workspace.alias_history("checkpoint:guess", "blessed")) == 1  # and it is idempotent


def test_what_a_sweep_took_is_a_miss_and_is_made_again(project: Project) -> None:
    project.write(INPUTS)
    before = project.run()
    assert project.workspace.gc(keep_runs=0, grace=timedelta(0), yes=True).artefacts
    after, why = reasons(project)
    assert states(after) == {"source": "succeeded", "use": "succeeded"}
    assert why["source"] == "its payloads were swept"
    assert outputs(before) == outputs(after)
    assert after.outputs == {"return": "1a"}
    assert states(project.run()) == {"source": "cached", "use": "cached"}
    assert project.workspace.fsck().ok


NOT_DIGESTIBLE: dict[str, tuple[str, Callable[[str], bool]]] = {
    "object()": ("use(object())", lambda said: "number" in said),
    "a set": ("use({1, 2})", lambda said: "number" in said),
    "a dict of handles": ("use({'a': source(1)})", lambda said: "dict" in said),
    "a function": ("use(len)", lambda said: "number" in said),
}


@pytest.mark.parametrize("case", NOT_DIGESTIBLE)
def test_an_input_that_cannot_be_digested_is_an_error_never_a_partial_key(project: Project, case: str) -> None:
    call, names_it = NOT_DIGESTIBLE[case]
    project.write(INPUTS.replace("use(source(number), label)", call).replace("use(number: int", "use(number"))
    with pytest.raises(NotDigestible) as caught:
        project.run()
    assert names_it(caught.value.message) and caught.value.hint
    assert project.workspace.runs.list() == []


def test_a_file_counts_by_its_content(project: Project) -> None:
    project.write(
        """
@operation
def count(file: jeyn.File) -> int:
    return len(file.read_text())

@pipeline
def flow():
    return count(jeyn.File("notes.txt"))
"""
    )
    notes = project.folder / "notes.txt"
    notes.write_text("four")
    assert project.run().outputs == {"return": 4}
    notes.write_text("four")  # another time, the same bytes
    assert states(project.run()) == {"count": "cached"}
    notes.write_text("fives")
    run, why = reasons(project)
    assert (states(run), run.outputs) == ({"count": "succeeded"}, {"return": 5})
    assert why == {"count": 'input "file" changed'}


def test_rule_18_the_seed_comes_from_the_cache_key(project: Project) -> None:
    project.write(
        """
import random

import numpy as np

@operation(cache=False)
def draw(number: int) -> list:
    return [random.random(), float(np.random.random()), jeyn.context().seed]

@pipeline
def flow():
    return draw.map(number=[1, 2])
"""
    )
    first, second = project.run().outputs["return"], project.run().outputs["return"]
    assert first == second
    assert first[0] != first[1]
