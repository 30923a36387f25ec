"""A mapped operation in pods: its items claim in map order, and the join does not grow with them."""

from __future__ import annotations

import json
import time
from functools import partial
from pathlib import Path

import pytest

from jeyn import Workspace
from jeyn.project_file import ArgoSettings
from jeyn.workflows import pod, step
from jeyn.workflows.argo.compile import build
from jeyn.workflows.create import kept_plan
from jeyn.workflows.heart import Heart
from tests.workflows.argo.interpreter import Command
from tests.workflows.argo.pods import Zygotes
from tests.workflows.argo.world import SOURCE, World, interpreted, places
from tests.workflows.projects import Project, outputs, states

# Rule 2: claims in map order.

CLAIMS = """
from jeyn import DatasetFormula

table = DatasetFormula("table", version="1.0.0", output_catalog=Points)

@operation
def train(at: int, count: int = 3) -> ModelCheckpoint:
    batch = dataset_store.save_batch(table.new_table({"x": [1.0]}))
    time.sleep(0.4 * (count - at))
    return guess.update_minor(dataset=batch, model=np.array([float(at)]))

@pipeline
def flow():
    return train.map(at=[0, 1, 2])
"""


def test_rule_2_items_claim_in_map_order_also_in_pods(tmp_path: Path, pods: Zygotes) -> None:
    project = Project(tmp_path / "project").write(CLAIMS, data=True)
    run, _ = interpreted(project, tmp_path, lambda command: pods.run(command, places(project.workspace)))
    refs = [project.workspace.bound(outputs(run)[f"train[{at}]"]["return"]).ref for at in range(3)]
    assert refs == [f"checkpoint:guess@0.{n}.0" for n in (1, 2, 3)]


STUMBLES = CLAIMS.replace(
    "    time.sleep(0.4 * (count - at))",
    """    with open(FOLDER + "/ran", "a") as file:
        file.write(f"{at} ")
    if at == 1 and not Path(FOLDER, "mended").exists():
        raise jeyn.Fatal("not yet")""",
)


def test_rule_02_pods_hold_what_comes_after_a_failed_item(tmp_path: Path, pods: Zygotes) -> None:
    project = Project(tmp_path / "project").write(STUMBLES.replace("FOLDER", repr(str(tmp_path))), data=True)

    def start(command: Command) -> int:
        return pods.run(command, places(project.workspace))

    failed, _ = interpreted(project, tmp_path, start)
    assert (failed.state, states(failed)) == (
        "failed", {"train": "failed", "train[0]": "succeeded", "train[1]": "failed", "train[2]": "held"}
    )  # fmt: skip
    assert project.versions() == [("0.1.0", 0.0)]
    (tmp_path / "mended").touch()
    run, _ = interpreted(project, tmp_path, start, resumed=failed)
    assert (run.state, states(run)["train[2]"]) == ("succeeded", "succeeded")
    assert project.versions() == [("0.1.0", 0.0), ("0.2.0", 1.0), ("0.3.0", 2.0)]
    assert (tmp_path / "ran").read_text().split().count("2") == 1, "what was held ran again"


def test_rule_02_whoever_ends_before_it_commits_what_a_pod_held(world: World) -> None:
    world.project.write(CLAIMS.replace("0.4 * ", "0 * "), data=True)
    plan = world.plan("flow")
    world.start("--operation=train", "--expand")
    with world.workspace as workspace:
        heart = Heart(workspace, None)
        for item in (2, 1):
            at = step.Step(workspace, world.run.row, plan, plan.operations[0], item)
            at.await_turn = partial(at.await_turn, seconds=0.2)  # type: ignore[method-assign]
            with world.project.imported("flow"):
                assert at.carry_out(heart).state == "held"
        assert not workspace.search("type:model_checkpoint")
        at = step.Step(workspace, world.run.row, plan, plan.operations[0], 0)
        with world.project.imported("flow"):
            assert at.carry_out(heart).state == "succeeded"
        assert world.project.versions() == [("0.1.0", 0.0), ("0.2.0", 1.0), ("0.3.0", 2.0)]
        assert set(states(world.run).values()) == {"succeeded", "waiting"}  # the map itself ends with the run


# 2,000 mapped operations without pods.

MANY = """
@operation
def numbers() -> list:
    return list(range(int(Path(COUNT).read_text())))

@operation
def double(number: int) -> int:
    return number * 2

@operation
def total(numbers: list) -> int:
    return sum(numbers)

@pipeline
def flow():
    return total(double.map(number=numbers()))
"""


@pytest.mark.parametrize("catalog", ["sqlite", "postgres"])
@pytest.mark.parametrize("count", [100, pytest.param(2000, marks=pytest.mark.long)])
def test_many_items_are_joined_through_the_catalog(
    tmp_path: Path, catalog: str, count: int, request: pytest.FixtureRequest
) -> None:
    project = Project(tmp_path / "project")
    if catalog == "postgres":
        project.workspace = Workspace.open(project.folder, catalog=request.getfixturevalue("postgres_url"))
    (tmp_path / "count").write_text(str(count))
    project.write(MANY.replace("COUNT", repr(str(tmp_path / "count"))))
    with project.workspace as workspace:
        heart = Heart(workspace, None)

        def start(command: Command) -> int:
            told = pod.arguments(command.args)
            ended = pod.carry_out(workspace, told, kept_plan(workspace, told.plan), heart)
            pod.write_parameters(ended, Path(command.env["JEYN_OUT"]))
            return ended.exit_code

        begun = time.monotonic()
        run, ran = interpreted(project, tmp_path, start, at_once=1)
        seconds = time.monotonic() - begun
        assert run.check().outputs == {"return": count * (count - 1)}
        assert len(ran.pods) == count + 4 and len(run.operations) == count + 3
        longest = max(len(argument) for args, _ in ran.pods for argument in args)
        # References travel, never values, however many items there are.
        assert longest == len("--package=/") + 2 * len("sha256:") + 2 * 64
        print(f"{count} items on {catalog}: {seconds:.1f} s")


def test_the_compiled_join_does_not_grow_with_the_items(world: World) -> None:
    sizes = []
    for count in (3, 2000):
        world.project.write(SOURCE.replace("count: int = 3", f"count: int = {count}"))
        plan = world.plan("mapped")
        (manifest,) = (each for each in build(plan, code="sha256:c", plan_id="sha256:p", settings=ArgoSettings())
                       if each["kind"] == "WorkflowTemplate")  # fmt: skip
        sizes.append(len(json.dumps(manifest)))
    assert sizes[0] == sizes[1]
