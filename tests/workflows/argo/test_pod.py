"""The command of a pod: its exit codes, what it does twice, what it leaves behind, and how a run ends without it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from jeyn import Workspace
from jeyn.errors import Corrupt, NotFound, Unreachable
from jeyn.project_file import ArgoSettings
from jeyn.sdk.plan import Plan
from jeyn.workflows import pod, settle, step
from jeyn.workflows.argo.compile import build, compile_workflow
from jeyn.workflows.create import create_run, enter_run, keep_code, keep_plan, kept_plan, plan_id
from jeyn.workflows.planning import make_plan
from jeyn.workflows.run import Run
from jeyn.workflows.runner import Heart
from jeyn.workflows.settle import close_vanished
from tests.workflows.argo.interpreter import Command, Interpreter
from tests.workflows.argo.pods import Zygotes, bare_environment, zygotes
from tests.workflows.projects import Project, outputs, states

SOURCE = """
@operation
def ingest(count: int = 3) -> list:
    print("reading", count)
    return list(range(count))

@operation(retries=1, backoff=0.1)
def train(number: int) -> float:
    print("training", number)
    if number == 1:
        raise ValueError("one")
    return float(number)

@operation(timeout=0.5, retries=1)
def slow() -> float:
    print("slow begins")
    time.sleep(60)

@operation
def waits() -> float:
    print("waiting", flush=True)
    time.sleep(float(os.environ.get("SECONDS", "60")))
    return 1.0

@operation
def fatal() -> float:
    raise jeyn.Fatal("for good")

@operation
def told(state: str, error: str | None) -> str:
    return f"{state}: {error}"

@pipeline
def single():
    return ingest(5)

@pipeline
def three():
    return ingest(1), ingest(2), ingest(3)

@pipeline(on_exit=told)
def mapped():
    return train.map(number=ingest())

@pipeline
def late():
    return slow()

@pipeline
def waiting():
    return waits()

@pipeline(on_exit=told)
def fatally():
    return fatal()

@pipeline
def referring():
    return ingest(jeyn.ref("batch:nothing@^1/latest"))
"""


@pytest.fixture(scope="module")
def pods() -> Iterator[Zygotes]:
    with zygotes(3) as found:
        yield found


class World:
    """A project whose code and plan are kept, and pods of it; no run is there until a pod or a test makes one."""

    def __init__(self, folder: Path, pods: Zygotes, source: str = SOURCE) -> None:
        self.folder, self.pods = folder, pods
        self.project = Project(folder / "project").write(source)
        self.workspace = self.project.workspace
        self.count = 0

    def plan(self, name: str) -> Plan:
        with self.project.imported(name) as pipeline:
            planned = make_plan(pipeline, pipeline.bind(), root=self.project.folder, workspace=self.workspace)
            self.code = keep_code(self.workspace, planned)
            self.plan_id = keep_plan(self.workspace, planned.plan)
            self.planned = planned
            return planned.plan

    def start(self, *args: str, **env: str) -> int:
        """A pod of the run "r1", run to its end."""
        self.count += 1
        self.pod = self.folder / f"pod-{self.count}"
        self.pod.mkdir()
        given = {"JEYN_HOME": str(self.pod / "home"), "JEYN_OUT": str(self.pod / "out"), **env}
        return self.pods.run(Command([*self.ids, *args], given, self.pod), self.places)

    @property
    def ids(self) -> list[str]:
        return ["--run=r1", f"--plan={self.plan_id}", f"--code={self.code}"]

    @property
    def places(self) -> dict[str, str]:
        return {
            "JEYN_CATALOG": self.workspace.settings.catalog,
            "JEYN_PAYLOADS": self.workspace.settings.payloads,
        }

    @property
    def run(self) -> Run:
        return Run(self.workspace, "r1")

    def said(self, name: str) -> str:
        """An output parameter of the last pod."""
        return (self.pod / "out" / name).read_text()

    def attempts(self, operation: str) -> list[str]:
        row = next(row for row in self.run.operations if row.name == operation)
        return [str(each.state) for each in self.workspace.runs.attempts(row.key)]


@pytest.fixture
def world(tmp_path: Path, pods: Zygotes) -> World:
    return World(tmp_path, pods)


def test_the_command_line_runs_one_operation_of_a_run_that_nobody_made(tmp_path: Path, pods: Zygotes) -> None:
    world = World(tmp_path, pods)
    world.plan("single")
    places = world.places | {"JEYN_HOME": str(tmp_path / "home"), "JEYN_OUT": str(tmp_path / "out")}
    (tmp_path / "elsewhere").mkdir()
    done = subprocess.run(
        [sys.executable, "-P", "-u", "-m", "jeyn.workflows.pod", *world.ids, "--operation=ingest"],
        env=bare_environment() | places,
        cwd=tmp_path / "elsewhere",
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "reading 5" in done.stdout and "ingest: succeeded" in done.stdout  # the pod's own log shows it too
    assert json.loads((tmp_path / "out" / "refs").read_text()) == {"return": "[0, 1, 2, 3, 4]"}
    assert (tmp_path / "out" / "state").read_text() == "succeeded"
    run = Run(world.workspace, "r1")
    assert (run.state, states(run), run.logs()) == ("running", {"ingest": "succeeded"}, "reading 5\n")
    assert (run.row.engine, run.row.pipeline, run.row.code) == ("argo", "single", world.code)
    assert not list((tmp_path / "home" / "spool").iterdir())


def test_an_operation_that_committed_is_not_done_again(world: World) -> None:
    world.plan("single")
    assert [world.start("--operation=ingest") for _ in range(2)] == [0, 0]
    assert world.said("refs") == '{"return": "[0, 1, 2, 3, 4]"}'  # also by the pod that did nothing
    assert world.attempts("ingest") == ["succeeded"]
    assert world.run.logs() == "reading 5\n"


def test_of_pods_that_begin_together_one_makes_the_run(world: World) -> None:
    plan = world.plan("three")

    def start(operation: str) -> int:
        folder = world.folder / operation
        folder.mkdir()
        env = {"JEYN_HOME": str(folder / "home"), "JEYN_OUT": str(folder / "out")}
        return world.pods.run(Command([*world.ids, f"--operation={operation}"], env, folder), world.places)

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(start, ["ingest", "ingest-2", "ingest-3"])) == [0, 0, 0]
    assert set(states(world.run).values()) == {"succeeded"}
    assert [row.id for row in world.workspace.runs.list()] == ["r1"]
    assert enter_run(world.workspace, "r1", plan, world.code, "argo", {}) == world.run.row  # who comes too late


@pytest.mark.parametrize("tried", [0, 1])
def test_rule_21_exit_1_is_for_another_attempt_and_the_last_one_ends_the_operation(world: World, tried: int) -> None:
    world.plan("mapped")
    assert world.start("--operation=ingest") == 0
    assert world.start("--operation=train", "--expand") == 0
    assert json.loads(world.said("items")) == [0, 1, 2]
    assert world.start("--operation=train", "--item=1", f"--attempt={tried}") == 1
    assert states(world.run)["train[1]"] == ("failed" if tried else "running")
    assert world.said("state") == "failed" and "ValueError: one" in (world.pod / "log").read_text()


def test_rule_21_exit_64_is_for_what_no_retry_helps(world: World) -> None:
    world.plan("fatally")
    assert world.start("--operation=fatal") == 64
    assert world.start("--finish", "--status=Failed") == 0
    assert states(world.run) == {"fatal": "failed", "told": "succeeded"}
    assert world.run.state == "failed" and (world.run.error or {})["operation"] == "fatal"
    assert world.start("--finish", "--status=Failed") == 0  # the handler ran once
    assert world.attempts("told") == ["succeeded"]


def test_a_timeout_ends_the_pod_by_itself(world: World) -> None:
    world.plan("late")
    begun = time.monotonic()
    assert [world.start("--operation=slow", f"--attempt={tried}") for tried in (0, 1)] == [1, 1]
    assert time.monotonic() - begun < 20
    assert world.attempts("slow") == ["timed out", "timed out"]
    assert states(world.run) == {"slow": "failed"}
    assert world.run.logs() == "slow begins\n" * 2


def test_an_attempt_that_was_killed_is_closed_by_the_next_one(world: World) -> None:
    world.plan("waiting")
    assert _signalled(world, signal.SIGKILL) == -signal.SIGKILL
    assert states(world.run) == {"waits": "running"}
    assert world.start("--operation=waits", SECONDS="0") == 0
    assert world.attempts("waits") == ["failed", "succeeded"]


def test_a_pod_that_is_told_to_stop_says_so_and_may_be_tried_again(world: World) -> None:
    world.plan("waiting")
    assert _signalled(world, signal.SIGTERM) == 143
    assert states(world.run) == {"waits": "cancelled"} and world.run.logs() == "waiting\n"
    assert world.start("--operation=waits", SECONDS="0") == 0
    assert world.attempts("waits") == ["cancelled", "succeeded"]
    assert world.start("--finish") == 0 and world.run.state == "succeeded"


def test_a_workflow_that_was_stopped_makes_a_cancelled_run(world: World) -> None:
    world.plan("waiting")
    _signalled(world, signal.SIGTERM)
    assert world.start("--finish", "--status=Failed") == 0
    assert (world.run.state, world.run.exit_code) == ("cancelled", 130)


def _signalled(world: World, number: int) -> int:
    """A pod of the operation `waits` that gets a signal while it waits."""
    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(world.start, "--operation=waits")
        deadline = time.monotonic() + 30
        while "waiting" not in _text(world.folder / "pod-1" / "log"):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        os.kill(int((world.folder / "pod-1" / "pid").read_text()), number)
        return ended.result(30)


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def test_after_a_request_to_cancel_nothing_begins(world: World) -> None:
    world.plan("mapped")
    assert world.start("--operation=ingest") == 0
    world.workspace.runs.request_cancel("r1")
    assert world.start("--operation=train", "--expand") == 64
    assert world.start("--finish", "--status=Failed") == 0
    assert states(world.run) == {"ingest": "succeeded", "train": "cancelled", "told": "succeeded"}
    assert world.run.state == "cancelled"


# What nobody could say.


def test_a_run_of_which_no_pod_began_is_told_at_its_end(world: World) -> None:
    world.plan("single")
    assert world.start("--finish", "--status=Error") == 0
    assert (world.run.state, states(world.run)) == ("failed", {"ingest": "cancelled"})
    assert 'ended as "Error"' in (world.run.error or {})["message"]
    before = world.run.row
    assert world.start("--finish", "--status=Failed") == 0
    assert world.run.row == before


def test_a_reference_that_is_not_there_is_the_error_of_the_run(world: World) -> None:
    world.plan("referring")
    assert world.start("--operation=ingest") == 73
    assert "nothing" in (world.pod / "log").read_text()
    assert world.start("--finish", "--status=Failed") == 0
    assert (world.run.state, (world.run.error or {})["code"], world.run.exit_code) == ("failed", "NOT_FOUND", 3)


def test_what_was_killed_on_its_last_attempt_has_failed_at_the_end(world: World) -> None:
    world.plan("waiting")
    _signalled(world, signal.SIGKILL)
    assert world.start("--finish", "--status=Failed") == 0
    assert (world.run.state, states(world.run)) == ("failed", {"waits": "failed"})
    assert (world.run.error or {})["code"] == "WORKER_DIED"


def test_a_run_whose_workflow_is_gone_is_closed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.plan("waiting")
    _signalled(world, signal.SIGKILL)
    assert close_vanished(world.workspace, lambda id: False) == []  # its workflow may be about to be made
    monkeypatch.setattr(settle, "UNSEEN_SECONDS", 0)
    assert close_vanished(world.workspace, lambda id: id == "r1") == []
    assert world.run.state == "running"  # nobody knows better
    assert close_vanished(world.workspace, lambda id: False) == ["r1"]
    assert (world.run.state, states(world.run)) == ("failed", {"waits": "cancelled"})
    assert "is gone" in (world.run.error or {})["message"]
    assert close_vanished(world.workspace, lambda id: False) == []


def test_a_local_run_is_not_closed_for_having_no_workflow(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settle, "UNSEEN_SECONDS", 0)
    world.plan("single")
    row = create_run(world.workspace, world.planned, "local")
    assert close_vanished(world.workspace, lambda id: False) == []
    assert world.workspace.runs.get(row.id).state == "running"


# Before it can begin.


@pytest.mark.parametrize(("wrong", "code"), [("--plan=sha256:" + "0" * 64, 73), ("--operation=nothing", 73)])
def test_what_a_pod_cannot_find_is_exit_73(world: World, wrong: str, code: int) -> None:
    world.plan("single")
    assert world.start("--operation=ingest", wrong) == code
    assert "→" in (world.pod / "log").read_text()


def test_a_damaged_code_package_does_not_run(world: World) -> None:
    world.plan("single")
    digest = world.workspace.row(world.code).record.payloads[0].digest[7:]
    for path in world.workspace.settings.home.rglob(f"*{digest[4:]}*"):
        path.chmod(0o600)
        path.write_bytes(b"something else")
    with pytest.raises(Corrupt):
        world.workspace.payloads.read(digest)
    assert world.start("--operation=ingest") == 75


def test_a_store_that_cannot_be_reached_is_tried_five_times(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(pod.time, "sleep", waits.append)
    answers: Iterator[Any] = iter([Unreachable("no"), Unreachable("no"), "found"])

    def work() -> Any:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert pod.patiently(work) == "found"
    assert len(waits) == 2 and 0.5 <= waits[0] < waits[1] * 2
    with pytest.raises(Unreachable):
        pod.patiently(_never)
    assert len(waits) == 2 + 4

    def wrong() -> None:
        waits.append(0)
        raise NotFound("gone")

    with pytest.raises(NotFound):
        pod.patiently(wrong)
    assert len(waits) == 7  # once


def _never() -> None:
    raise Unreachable("never")


def test_a_catalog_that_is_not_there_is_exit_77(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.plan("single")
    monkeypatch.setattr(pod, "TRIES", 1)
    monkeypatch.setattr(pod.patiently, "__defaults__", (1,))
    monkeypatch.setenv("JEYN_CATALOG", "postgresql://nobody@127.0.0.1:1/nothing")
    monkeypatch.setenv("JEYN_OUT", str(world.folder / "out"))
    monkeypatch.setenv("JEYN_HOME", str(world.folder / "home"))
    streams = [os.dup(1), os.dup(2)]
    before = signal.getsignal(signal.SIGTERM)
    try:
        assert pod.Pod(pod.arguments([*world.ids, "--operation=ingest"])).run() == 77
    finally:
        signal.signal(signal.SIGTERM, before)
        for number, kept in enumerate(streams, start=1):
            os.dup2(kept, number)
            os.close(kept)


def test_equal_plans_are_kept_once(world: World) -> None:
    plan = world.plan("mapped")
    assert plan_id(plan) == world.plan_id == keep_plan(world.workspace, plan)
    assert kept_plan(world.workspace, world.plan_id) == plan


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
    run, _ = _interpreted(project, tmp_path, lambda command: pods.run(command, _places(project.workspace)))
    refs = [project.workspace.bound(outputs(run)[f"train[{at}]"]["return"]).ref for at in range(3)]
    assert refs == [f"checkpoint:guess@0.{n}.0" for n in (1, 2, 3)]


def test_rule_2_an_item_does_not_wait_for_ever(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    plan = world.plan("mapped")
    world.start("--operation=ingest")
    world.start("--operation=train", "--expand")
    at = step.Step(world.workspace, world.run.row, plan, plan.operations[1], 1)
    begun = time.monotonic()
    at.await_turn(seconds=0.3)
    assert 0.3 <= time.monotonic() - begun < 5
    assert "goes ahead" in capsys.readouterr().out
    assert world.start("--operation=train", "--item=0") == 0
    at.await_turn(seconds=30)
    assert not capsys.readouterr().out


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
        run, ran = _interpreted(project, tmp_path, start, at_once=1)
        seconds = time.monotonic() - begun
        assert run.check().outputs == {"return": count * (count - 1)}
        assert len(ran.pods) == count + 4 and len(run.operations) == count + 3
        longest = max(len(argument) for args, _ in ran.pods for argument in args)
        assert longest < 100  # references travel, never values; however many items there are
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


def _interpreted(project: Project, folder: Path, start: Any, **options: Any) -> tuple[Run, Any]:
    workspace = project.workspace
    with project.imported("flow") as pipeline:
        planned = make_plan(pipeline, pipeline.bind(), root=project.folder, workspace=workspace)
        row = create_run(workspace, planned, "argo")
        manifest = compile_workflow(
            planned.plan,
            run=row.id,
            code=str(row.code),
            plan_id=keep_plan(workspace, planned.plan),
            settings=ArgoSettings(),
        )
        ran = Interpreter(manifest, start, folder / "pods", **options).run()
    return Run(workspace, row.id), ran


def _places(workspace: Workspace) -> dict[str, str]:
    return {"JEYN_CATALOG": workspace.settings.catalog, "JEYN_PAYLOADS": workspace.settings.payloads}
