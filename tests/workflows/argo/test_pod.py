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

from jeyn.errors import Corrupt, NotFound, Unreachable
from jeyn.stores.catalog.small import LIMIT_OF_CODE
from jeyn.workflows import pod, settle
from jeyn.workflows.create import create_run, enter_run, keep_plan, kept_plan, plan_id
from jeyn.workflows.run import Run
from jeyn.workflows.settle import close_vanished
from tests.workflows.argo.interpreter import Command
from tests.workflows.argo.pods import Zygotes, bare_environment
from tests.workflows.argo.world import World, signalled
from tests.workflows.projects import states


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
    assert signalled(world, signal.SIGKILL) == -signal.SIGKILL
    assert states(world.run) == {"waits": "running"}
    assert world.start("--operation=waits", SECONDS="0") == 0
    assert world.attempts("waits") == ["failed", "succeeded"]


def test_a_pod_that_is_told_to_stop_says_so_and_may_be_tried_again(world: World) -> None:
    world.plan("waiting")
    assert signalled(world, signal.SIGTERM) == 143
    assert states(world.run) == {"waits": "cancelled"} and world.run.logs() == "waiting\n"
    assert world.start("--operation=waits", SECONDS="0") == 0
    assert world.attempts("waits") == ["cancelled", "succeeded"]
    assert world.start("--finish") == 0 and world.run.state == "succeeded"


def test_a_workflow_that_was_stopped_makes_a_cancelled_run(world: World) -> None:
    world.plan("waiting")
    signalled(world, signal.SIGTERM)
    assert world.start("--finish", "--status=Failed") == 0
    assert (world.run.state, world.run.exit_code) == ("cancelled", 130)


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
    assert (world.run.state, states(world.run)) == ("failed", {"ingest": "not run"})
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
    signalled(world, signal.SIGKILL)
    assert world.start("--finish", "--status=Failed") == 0
    assert (world.run.state, states(world.run)) == ("failed", {"waits": "failed"})
    assert (world.run.error or {})["code"] == "WORKER_DIED"


def test_a_run_whose_workflow_is_gone_is_closed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.plan("waiting")
    signalled(world, signal.SIGKILL)
    assert not close_vanished(world.workspace, world.run.row)  # its workflow may be about to be made
    assert world.run.state == "running"
    monkeypatch.setattr(settle, "UNSEEN_SECONDS", 0)
    assert close_vanished(world.workspace, world.run.row)
    assert (world.run.state, states(world.run)) == ("failed", {"waits": "cancelled"})
    assert "is gone" in (world.run.error or {})["message"]
    assert not close_vanished(world.workspace, world.run.row)


def test_a_local_run_is_not_closed_for_having_no_workflow(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settle, "UNSEEN_SECONDS", 0)
    world.plan("single")
    row = create_run(world.workspace, world.planned, "local")
    assert not close_vanished(world.workspace, row)
    assert world.workspace.runs.get(row.id).state == "running"


# Before it can begin.


@pytest.mark.parametrize(("wrong", "code"), [("--package={code}/sha256:" + "0" * 64, 73), ("--operation=nothing", 73)])
def test_what_a_pod_cannot_find_is_exit_73(world: World, wrong: str, code: int) -> None:
    world.plan("single")
    assert world.start("--operation=ingest", wrong.replace("{code}", world.code)) == code
    assert "→" in (world.pod / "log").read_text()


def test_a_damaged_code_package_does_not_run(world: World) -> None:
    (world.project.folder / "noise.py").write_text(f"NOISE = '{os.urandom(LIMIT_OF_CODE).hex()}'\n")  # no row, a file
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
    monkeypatch.setenv("JEYN_STORE_PATIENCE", "1s")
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
