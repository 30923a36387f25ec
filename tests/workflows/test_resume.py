"""SEMANTICS 20: a run goes on where another one ended, with its plan, code, parameters and pins."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from jeyn.errors import CodeChanged, Conflict, NotFound
from tests.workflows.projects import Project, outputs, states, until

FLOW = """
RATE = 1

@operation(cache=False)
def first(number: int) -> int:
    Path("ran").open("a").write("first ")
    return number

@operation
def item(number: int) -> int:
    Path("ran").open("a").write(f"item{number} ")
    if number == 2 and not Path("mended").exists():
        raise ValueError("not yet")
    return number * 10

@operation
def total(numbers: list, rate: int) -> int:
    Path("ran").open("a").write("total ")
    return sum(numbers) * rate

@operation
def tidy(state: str) -> None:
    Path("tidied").open("a").write(f"{state} ")

@pipeline(on_exit=tidy)
def flow(rate: int = 1):
    start = first(5)
    with jeyn.when(start > 100):
        skipped = first(7)
    return total(item.map(number=[1, 2, 3]), rate * RATE)
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project").write(FLOW)


def test_rule_20_what_was_committed_is_adopted_whatever_its_cache_setting(project: Project) -> None:
    failed = project.run(arguments={"rate": 3})
    assert (failed.state, states(failed)["item[1]"]) == ("failed", "failed")
    (project.folder / "mended").touch()
    resumed = project.resume(failed).check()
    assert states(resumed) == {
        "first": "adopted", "first-2": "skipped", "item": "succeeded", "item[0]": "adopted", "item[1]": "succeeded",
        "item[2]": "adopted", "total": "succeeded", "tidy": "succeeded",
    }  # fmt: skip
    assert resumed.outputs == {"return": 180}
    assert sorted(project.touched("ran")) == ["first", "item1", "item2", "item2", "item3", "total"]
    assert project.touched("tidied") == ["failed", "succeeded"]  # the exit handler runs again
    assert resumed.row.resumed_from == failed.id
    assert outputs(resumed)["first"] == outputs(failed)["first"]
    assert resumed.row.parameters == failed.row.parameters == {"rate": 3}


def test_rule_20_a_resumed_run_can_fail_and_be_resumed_again(project: Project) -> None:
    first = project.run()
    second = project.resume(first)
    assert (second.state, states(second)["first"]) == ("failed", "adopted")
    (project.folder / "mended").touch()
    third = project.resume("last").check()
    assert states(third)["first"] == states(third)["item[0]"] == "adopted"
    assert project.touched("ran").count("first") == 1
    with pytest.raises(Conflict, match="has succeeded"):
        project.resume(third)


def test_rule_20_changed_code_is_refused_and_needs_a_new_run(project: Project) -> None:
    failed = project.run()
    (project.folder / "mended").touch()
    path = project.folder / "pipeline.py"
    text = path.read_text()
    path.write_text(text.replace("number * 10", "number * 20"))
    with pytest.raises(CodeChanged, match=r"pipeline\.py:item") as caught:
        project.resume(failed)
    assert caught.value.exit_code == 6 and "new run" in caught.value.hint
    # What does not count as code is no obstacle.
    path.write_text(text.replace("return number * 10", "# a comment\n    return number * 10"))
    assert project.resume(failed).check().outputs == {"return": 60}


def test_rule_20_an_operation_that_is_gone_is_refused(project: Project) -> None:
    failed = project.run()
    path = project.folder / "pipeline.py"
    path.write_text(path.read_text().replace("def total(", "def sums(").replace("total(item", "sums(item"))
    with pytest.raises(CodeChanged, match="total"):
        project.resume(failed)


PINNED = """
from jeyn import DatasetFormula

table = DatasetFormula("table", version="1.0.0", output_catalog=Points)

@operation(cache=False)
def read(checkpoint: ModelCheckpoint, number: int) -> float:
    if number == 2 and not Path("mended").exists():
        raise ValueError("not yet")
    return float(checkpoint.load()[0])

@operation
def save(number: float) -> ModelCheckpoint:
    batch = dataset_store.save_batch(table.new_table({"x": [number]}))
    return guess.update_minor(dataset=batch, model=np.array([number]))

@pipeline
def saving(number: float):
    return save(number)

@pipeline
def flow():
    blessed = jeyn.ref("guess@blessed")
    return read.map(checkpoint=[blessed, jeyn.ref("guess@latest")], number=[1, 2])
"""


def test_rule_20_references_stay_what_they_were_when_the_run_was_created(project: Project) -> None:
    project.write(PINNED, data=True)
    bless = project.workspace.model_store.bless
    bless(project.run("saving", arguments={"number": 1.0}).outputs["return"], "good")
    failed = project.run("flow")
    assert failed.state == "failed"
    assert set(failed.row.pins) == {"guess@blessed", "guess@latest"}
    bless(project.run("saving", arguments={"number": 2.0}).outputs["return"], "better")
    (project.folder / "mended").touch()
    resumed = project.resume(failed).check()
    assert resumed.outputs == {"return": [1.0, 1.0]}
    assert resumed.row.pins == failed.row.pins
    assert project.run("flow").outputs == {"return": [2.0, 2.0]}


def test_rule_20_a_file_stays_what_it_was_when_the_run_was_created(project: Project) -> None:
    project.write(
        """
@operation
def read(file: jeyn.File) -> str:
    if not Path("mended").exists():
        raise ValueError("not yet")
    return file.read_text()

@pipeline
def flow():
    return read(jeyn.File("notes.txt"))
"""
    )
    (project.folder / "notes.txt").write_text("before")
    failed = project.run()
    (project.folder / "mended").touch()
    (project.folder / "notes.txt").write_text("after")
    assert project.resume(failed).check().outputs == {"return": "before"}
    assert project.run().outputs == {"return": "after"}


def test_rule_20_what_cannot_be_resumed(project: Project) -> None:
    with pytest.raises(NotFound):
        project.resume("nothing")
    (project.folder / "mended").touch()
    run = project.run()
    with pytest.raises(Conflict, match="has succeeded") as caught:
        project.resume(run)
    assert caught.value.exit_code == 4


def test_rule_20_a_run_that_is_alive_is_not_resumed_and_a_killed_one_is(project: Project) -> None:
    project.write(
        """
@operation
def one() -> int:
    Path("ran").open("a").write("one ")
    return 1

@operation
def slow(number: int) -> int:
    Path("ran").open("a").write("slow ")
    print("half a line, then ", end="", flush=True)
    time.sleep(0 if Path("mended").exists() else 600)
    return number

@pipeline
def flow():
    return slow(one())
"""
    )
    process = project.start("run", "pipeline.py")
    until(lambda: "slow" in project.touched("ran"))
    run = project.last()
    with pytest.raises(Conflict, match="still running"):
        project.resume(run)
    time.sleep(0.1)
    process.kill()
    process.communicate()
    (project.folder / "mended").touch()
    code, found = project.jeyn("run", "--resume", run.id)
    assert code == 0, found
    assert {each["name"]: each["state"] for each in found["data"]["operations"]} == {
        "one": "adopted", "slow": "succeeded"
    }  # fmt: skip
    assert project.touched("ran") == ["one", "slow", "slow"]
    assert (run.state, (run.error or {})["code"], states(run)["slow"]) == ("failed", "ENGINE_DIED", "cancelled")
    assert run.logs("slow") == "half a line, then "


def test_rule_20_a_plan_that_came_as_json_is_resumed_as_well(project: Project) -> None:
    from jeyn import Plan
    from jeyn.workflows.run import run_plan

    with project.imported() as pipeline:
        plan = Plan.from_json(pipeline(rate=2).dump())
        failed = run_plan(plan, root=project.folder, workspace=project.workspace, workers=2)
    (project.folder / "mended").touch()
    resumed: Any = project.resume(failed).check()
    assert resumed.outputs == {"return": 120}


CLAIMS = """
@operation
def ingest() -> DatasetBatch:
    return points.get_new_batch()


@operation
def train(batch: DatasetBatch, by: int) -> ModelCheckpoint:
    with open("ran", "a") as file:
        file.write(f"{by} ")
    if by == 1 and not Path("mended").exists():
        raise ValueError("not yet")
    return guess.update_minor(dataset=batch, model=np.array([float(by)]))


@operation
def best(trained: list) -> str:
    return trained[-1].ref


@pipeline
def flow():
    trained = train.bind(batch=ingest()).map(by=[0, 1, 2, 3])
    return {"trained": trained, "best": best(trained)}
"""


@pytest.fixture
def claiming(tmp_path: Path) -> Project:
    project = Project(tmp_path / "project").write(CLAIMS, data=True)
    project.arrive("a.csv", 1, 2)
    return project


def test_rule_02_what_comes_after_a_failed_item_claims_its_numbers_after_it(claiming: Project) -> None:
    failed = claiming.run()
    assert (failed.state, failed.error and failed.error["message"][:19]) == ("failed", "ValueError: not yet")
    assert states(failed) == {
        "ingest": "succeeded", "train": "failed", "train[0]": "succeeded", "train[1]": "failed", "train[2]": "held",
        "train[3]": "held", "best": "not run",
    }  # fmt: skip
    assert claiming.versions() == [("0.1.0", 0.0)]
    (claiming.folder / "mended").touch()
    resumed = claiming.resume(failed).check()
    assert claiming.versions() == [("0.1.0", 0.0), ("0.2.0", 1.0), ("0.3.0", 2.0), ("0.4.0", 3.0)]
    assert [str(each.version) for each in resumed.outputs["trained"]] == ["0.1.0", "0.2.0", "0.3.0", "0.4.0"]
    assert resumed.outputs["best"] == "checkpoint:guess@0.4.0"
    assert sorted(claiming.touched("ran")) == ["0", "1", "1", "2", "3"], "what was held ran again"
    assert claiming.workspace.fsck().ok


MORE = """
from jeyn import DatasetFormula


class Coloured(DataCatalog):
    colour = Feature(Dtypes.CATEGORICAL)


table = DatasetFormula("table", version="1.0.0", output_catalog=Coloured)


@operation
def save(colour: str, number: int) -> DatasetBatch:
    with open("ran", "a") as file:
        file.write(f"{number} ")
    if number == 1 and not Path("mended").exists():
        raise ValueError("not yet")
    batch = dataset_store.save_batch(table.new_table({"colour": [colour]}))
    jeyn.context().tag(batch, f"tag-{number}")
    return batch


@pipeline
def flow():
    return save.map(colour=["red", "green", "blue"], number=[0, 1, 2])
"""


def test_rule_02_held_batches_get_their_epochs_categories_and_tags_in_map_order(tmp_path: Path) -> None:
    project = Project(tmp_path / "project").write(MORE, data=True)
    failed = project.run()
    assert [states(failed)[f"save[{at}]"] for at in range(3)] == ["succeeded", "failed", "held"]
    again = project.resume(failed)
    assert [states(again)[f"save[{at}]"] for at in range(3)] == ["adopted", "failed", "held"]
    (project.folder / "mended").touch()
    batches = project.resume(again).check().outputs["return"]
    assert [each.epoch for each in batches] == [1, 2, 3]
    assert [each.facts["levels"]["colour"] for each in batches] == [
        ["red"], ["red", "green"], ["red", "green", "blue"]
    ]  # fmt: skip
    assert project.workspace.tags(batches[2]) == {"tag-2"}
    assert sorted(project.touched("ran")) == ["0", "1", "1", "1", "2"]


def test_rule_02_held_work_outlives_a_sweep_and_runs_again_where_its_bytes_are_gone(claiming: Project) -> None:
    failed = claiming.run()
    claiming.workspace.gc(grace="0s", yes=True)
    kept = claiming.resume(failed)
    assert (states(kept)["train[2]"], sorted(claiming.touched("ran"))) == ("held", ["0", "1", "1", "2", "3"])
    with claiming.workspace.database.write_soft() as connection:
        connection.execute(text("DELETE FROM lease"))
        connection.execute(text("UPDATE held_work SET at = 1"))
    claiming.workspace.gc(grace="0s", yes=True)
    with claiming.workspace.database.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM held_work")).scalar_one() == 0
    (claiming.folder / "mended").touch()
    claiming.resume(kept).check()
    assert claiming.versions() == [("0.1.0", 0.0), ("0.2.0", 1.0), ("0.3.0", 2.0), ("0.4.0", 3.0)]
    assert sorted(claiming.touched("ran")) == ["0", "1", "1", "1", "2", "2", "3", "3"]


def test_rule_02_what_waits_is_not_let_ahead_when_the_run_is_stopped(claiming: Project) -> None:
    source = (claiming.folder / "pipeline.py").read_text()
    waits = "    while by == 1 and not Path('mended').exists():\n        time.sleep(0.01)\n    return guess"
    source = source.replace("    return guess", waits).replace('raise ValueError("not yet")', "pass")
    (claiming.folder / "pipeline.py").write_text(source)
    process = claiming.start("run", "pipeline.py", "--workers", "3")
    try:
        until(lambda: {"1", "2"} <= set(claiming.touched("ran")))
        until(lambda: claiming.versions() == [("0.1.0", 0.0)])
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, claiming.last().state) == (130, "cancelled")
    assert claiming.versions() == [("0.1.0", 0.0)]
    (claiming.folder / "mended").touch()
    claiming.resume("last").check()
    assert claiming.versions() == [("0.1.0", 0.0), ("0.2.0", 1.0), ("0.3.0", 2.0), ("0.4.0", 3.0)]
