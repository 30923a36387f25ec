"""SEMANTICS 23 on the real engine: maps, branches, failures, nested pipelines; and rule 2, claims in map order."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.workflows.projects import Project, states

MAPS = """
import numpy as np

@operation
def numbers(count: int) -> list:
    return list(range(count))

@operation
def array(count: int) -> np.ndarray:
    return np.arange(count) * 1.5

@operation
def scale(number: float, by: float = 10, plus: float = 0) -> float:
    return number * by + plus

@operation
def total(numbers: list) -> float:
    return sum(numbers)

@operation
def count(numbers: list) -> int:
    return len(numbers)

@operation
def minmax(number: int) -> tuple[int, int]:
    return number - 1, number + 1
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")


def result(project: Project, text: str, body: str, **options: Any) -> Any:
    lines = "".join(f"    {line}\n" for line in body.strip().splitlines())
    project.write(f"{text}\n@pipeline\ndef flow():\n{lines}", data="DatasetBatch" in text)
    return project.run(**options).check().outputs


def test_rule_23_map_zip_bind_and_collect(project: Project) -> None:
    found = result(
        project,
        MAPS,
        """
zipped = scale.map(number=[1, 2, 3], plus=[0.5, 0.25, 0.125])
bound = scale.bind(by=100).map(number=(1, 2))
over_a_map = scale.map(number=zipped)
over_a_list = scale.map(number=numbers(3))
over_an_array = scale.map(number=array(3))
both = scale.map(number=zipped, plus=numbers(3))
low, high = minmax.map(number=[5, 6])
listed = total([5, total(zipped)])
return {
    "zipped": zipped, "bound": bound, "over_a_map": over_a_map, "over_a_list": over_a_list, "both": both,
    "over_an_array": over_an_array, "total": total(bound), "low": low, "high": total(high), "listed": listed,
}
""",
    )
    assert found == {
        "zipped": [10.5, 20.25, 30.125],
        "bound": [100, 200],
        "over_a_map": [105, 202.5, 301.25],
        "over_a_list": [0, 10, 20],
        "over_an_array": [0, 15, 30],
        "both": [105, 203.5, 303.25],
        "total": 300,
        "low": [4, 5],
        "high": 13,
        "listed": 5 + 60.875,
    }


def test_rule_23_a_longer_list_keeps_what_was_done(project: Project) -> None:
    text = MAPS.replace("return list(range(count))", 'return list(range(int(Path("count").read_text())))')
    text = text.replace("def numbers(count: int)", "def numbers(file: jeyn.File)")
    body = "return scale.map(number=numbers(jeyn.File('count')))"
    (project.folder / "count").write_text("2")
    assert result(project, text, body) == {"return": [0, 10]}
    (project.folder / "count").write_text("4")
    assert result(project, text, body) == {"return": [0, 10, 20, 30]}
    assert [states(project.last())[f"scale[{at}]"] for at in range(4)] == ["cached", "cached", "succeeded", "succeeded"]


def test_rule_23_an_empty_map_gives_an_empty_list(project: Project) -> None:
    body = "empty = scale.map(number=numbers(0))\nreturn count(empty), count(scale.map(number=empty))"
    assert result(project, MAPS, body) == {"0": 0, "1": 0}


def test_rule_23_unequal_lengths_fail_the_operation_and_name_them(project: Project) -> None:
    project.write(f"{MAPS}\n@pipeline\ndef flow():\n    return scale.map(number=numbers(2), plus=array(3))\n")
    run = project.run()
    error = run.error or {}
    assert (run.state, error["operation"], run.exit_code) == ("failed", "scale", 5)
    assert '"number" has 2' in error["message"] and '"plus" has 3' in error["message"]


@pytest.mark.parametrize("value", ["5", '"text"', '{"a": 1}'])
def test_rule_23_what_is_no_list_cannot_be_mapped(project: Project, value: str) -> None:
    project.write(
        f"{MAPS}\n@operation\ndef thing():\n    return {value}\n"
        "@pipeline\ndef flow():\n    return scale.map(number=thing())\n"
    )
    run = project.run()
    assert (run.state, (run.error or {})["operation"], run.exit_code) == ("failed", "scale", 5)
    assert states(run) == {"thing": "succeeded", "scale": "failed"}


def test_rule_23_artefacts_are_mapped_and_collected(project: Project) -> None:
    found = result(
        project,
        """
from jeyn import DatasetFormula

table = DatasetFormula("table", version="1.0.0", output_catalog=Points)

@operation
def batches() -> list:
    return [dataset_store.save_batch(table.new_table({"x": [float(n)] * n})) for n in (1, 2, 3)]

@operation
def rows(batch: DatasetBatch) -> int:
    return batch.rows

@operation
def refs(batches: list) -> list:
    return [batch.ref for batch in batches]

@operation
def same(batch: DatasetBatch) -> DatasetBatch:
    return batch
""",
        "made = batches()\nreturn rows.map(batch=made), refs(made), refs(same.map(batch=made))",
    )
    assert found["0"] == [1, 2, 3]
    assert found["1"] == found["2"] == [f"batch:table@1.0.0/{n}" for n in (1, 2, 3)]


BRANCHES = """
@operation
def number(value: float) -> float:
    return value

@operation
def say(text: str, after: float = 0) -> str:
    return text

@operation
def gather(texts: list) -> list:
    return texts

@operation
def fail(value: float) -> float:
    raise ValueError("no")

@pipeline
def flow(value: float = 0.5):
    measured = number(value)
    with jeyn.when(measured > 0.9):
        good = say("good", measured)
        more = say.options(name="more")("more")
        with jeyn.when((measured > 0.95) & ~(measured == 1)):
            great = say.options(name="great")("great")
    with jeyn.otherwise():
        bad = say.options(name="bad")("bad")
    either = say.options(name="either")(jeyn.first(great, good, bad))
    consumer = say.options(name="consumer")(good)
    return {"either": either, "all": gather([good, great, bad, consumer]), "first": jeyn.first(good, bad)}
"""


@pytest.mark.parametrize(
    ("value", "either", "gathered", "skipped"),
    [
        (0.5, "bad", ["bad"], {"say", "more", "great", "consumer"}),
        (0.92, "good", ["good", "good"], {"great", "bad"}),
        (0.97, "great", ["good", "great", "good"], {"bad"}),
        (1.0, "good", ["good", "good"], {"great", "bad"}),
    ],
)
def test_rule_23_branches(project: Project, value: float, either: str, gathered: list[str], skipped: set[str]) -> None:
    project.write(BRANCHES)
    run = project.run(arguments={"value": value}).check()
    assert run.outputs == {"either": either, "all": gathered, "first": "bad" if value < 0.9 else "good"}
    assert {name for name, state in states(run).items() if state == "skipped"} == skipped


def test_rule_23_skipping_spreads_and_a_skipped_output_is_none(project: Project) -> None:
    project.write(
        BRANCHES.partition("@pipeline")[0]
        + """
@pipeline
def flow():
    with jeyn.when(number(0.1) > 0.5):
        one = say("one")
    two = say.options(name="two")(one)
    mapped = say.options(name="mapped").map(text=["a", "b"], after=[two_number(two), two_number(two)])
    return {"two": two, "kept": say.options(name="kept")("kept"), "mapped": gather(mapped)}

@operation
def two_number(text: str) -> float:
    return 1.0
"""
    )
    run = project.run().check()
    assert run.outputs == {"kept": "kept", "mapped": []}
    found = states(run)
    assert found["two"] == found["two_number"] == found["two_number-2"] == "skipped"
    assert found["mapped[0]"] == found["mapped[1]"] == "skipped"


def test_rule_23_after_a_failure_the_other_branches_go_on(project: Project) -> None:
    project.write(
        BRANCHES.partition("@pipeline")[0]
        + """
@pipeline
def flow():
    failed = fail(1.0)
    after = number(failed)
    later = number.options(name="later")(after)
    slow = number.options(name="slow")(number.options(name="before")(3.0))
    some = fail_some.map(value=[1, 2, 3])
    whole = gather(some)
    with jeyn.when(failed > 1):
        guarded = number.options(name="guarded")(1.0)
    return slow

@operation
def fail_some(value: int) -> int:
    if value == 2:
        raise ValueError("two")
    return value
"""
    )
    run = project.run()
    assert (run.state, run.exit_code) == ("failed", 1)
    assert states(run) == {
        "fail": "failed", "number": "not run", "later": "not run", "before": "succeeded", "slow": "succeeded",
        "fail_some": "failed", "fail_some[0]": "succeeded", "fail_some[1]": "failed", "fail_some[2]": "succeeded",
        "gather": "not run", "guarded": "not run",
    }  # fmt: skip
    (item,) = [each for each in run.to_json()["operations"] if each["name"] == "fail_some[1]"]
    assert item["error"]["message"] == "ValueError: two (with value=2)"


def test_rule_23_a_condition_that_cannot_be_answered_fails_its_operation(project: Project) -> None:
    project.write(
        BRANCHES.partition("@pipeline")[0]
        + """
@operation
def anything() -> object:
    return "text"

@pipeline
def flow():
    with jeyn.when(anything() > 3):
        return number(1.0)
"""
    )
    run = project.run()
    assert (run.state, (run.error or {})["operation"], run.exit_code) == ("failed", "number", 5)
    assert "'text' > 3" in (run.error or {})["message"]


def test_rule_23_a_nested_pipeline_is_part_of_the_outer_one(project: Project) -> None:
    project.write(
        MAPS
        + """
@pipeline
def evaluation(value):
    scaled = scale(value)
    return scaled, total(scale.map(number=[scaled, 1]))

@pipeline
def flow():
    first, both = evaluation(2)
    other, _ = evaluation(first)
    return both, other
"""
    )
    run = project.run("flow").check()
    assert run.outputs == {"0": 210, "1": 200}
    names = [name for name in states(run) if "[" not in name]
    assert names[:3] == ["evaluation/scale", "evaluation/scale-2", "evaluation/total"]
    assert len(names) == 6 and all("/" in name for name in names)


# Rule 2: numbers are claimed in map order.

ORDER = """
from jeyn import DatasetFormula

table = DatasetFormula("table", version="1.0.0", output_catalog=Points)

@operation(retries=1, backoff=0.1)
def train(at: int, count: int, fails: int = -1, twice: list = ()) -> ModelCheckpoint:
    batch = dataset_store.save_batch(table.new_table({"x": [1.0]}))
    time.sleep(0.15 * (count - at))
    if at == fails or (at in twice and not Path(f"once-{at}").exists()):
        Path(f"once-{at}").touch()
        raise ValueError("not this one")
    return guess.update_minor(dataset=batch, model=np.array([float(at)]))

@operation
def save(at: int, count: int) -> DatasetBatch:
    time.sleep(0.15 * (count - at))
    return table.new_table({"x": [at + 100.0]})

@pipeline
def training(count: int = 4, fails: int = -1, twice: list[int] = []):
    return train.bind(count=count, fails=fails, twice=twice).map(at=list(range(count)))

@pipeline
def saving(count: int = 4):
    return save.bind(count=count).map(at=list(range(count)))
"""


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_rule_2_numbers_are_claimed_in_map_order_also_by_what_is_tried_again(project: Project, workers: int) -> None:
    project.write(ORDER, data=True)
    run = project.run("training", arguments={"count": 5, "twice": [0, 1, 3]}, workers=workers).check()
    assert [each.ref for each in run.outputs["return"]] == [f"checkpoint:guess@0.{n}.0" for n in (1, 2, 3, 4, 5)]


def test_rule_2_epochs_are_claimed_in_map_order(project: Project) -> None:
    project.write(ORDER, data=True)
    run = project.run("saving", workers=4).check()
    assert [each.epoch for each in run.outputs["return"]] == [1, 2, 3, 4]


@pytest.mark.parametrize("workers", [1, 3])
def test_rule_2_what_comes_after_a_failed_item_is_held_and_takes_no_number(project: Project, workers: int) -> None:
    project.write(ORDER, data=True)
    begin = time.monotonic()
    run = project.run("training", arguments={"count": 4, "fails": 1}, workers=workers)
    assert time.monotonic() - begin < 20
    assert [states(run)[f"train[{at}]"] for at in range(4)] == ["succeeded", "failed", "held", "held"]
    assert [each.ref for each in project.workspace.search("type:model_checkpoint")] == ["checkpoint:guess@0.1.0"]
