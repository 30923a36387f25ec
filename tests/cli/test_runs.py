"""`jeyn runs`, `jeyn logs` and `jeyn cancel`, over real runs and over rows that a killed engine would leave."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import jeyn
from jeyn.cli.logs import LogLines
from jeyn.sdk.plan import Plan
from jeyn.stores.runs import LogChunk, NewOperation, RunRow
from jeyn.stores.workspace import Workspace
from tests.cli.conftest import call

DEAD = 2**22 + 1  # no process has this id: Linux counts to 2**22


def begun(workspace: Workspace, id: str, *, pid: int | None = None) -> RunRow:
    """A run of one operation, which says that it is running."""
    row = workspace.runs.create(
        id=id,
        pipeline="nightly",
        plan=Plan(pipeline="nightly").dump(),
        parameters={"strength": 0.5},
        pins={"digits@latest": "sha256:" + "0" * 64},
        environment={"python": "3.11"},
        code=None,
        engine="local",
        host=socket.gethostname(),
        pid=os.getpid() if pid is None else pid,
        operations=[NewOperation("train", "pipeline:train", 0)],
    )
    workspace.runs.heartbeat(row.key)
    return row


def chunk(operation: str, attempt: int, text: str) -> LogChunk:
    return LogChunk(key=1, operation=operation, attempt=attempt, at=0, text=text, attempt_key=1)


@pytest.fixture
def three(flow: Path) -> Path:
    """A project with a run that succeeded, one that runs in this process, and one whose engine is dead."""
    with jeyn.open(home=flow / ".jeyn") as workspace:
        workspace.runs.finish(begun(workspace, "nightly-1-aaaa").key, "succeeded")
        begun(workspace, "nightly-2-bbbb")
        begun(workspace, "other-3-cccc", pid=DEAD)
    return flow


def listed(*options: str) -> dict[str, str]:
    return {each["id"]: each["state"] for each in call("runs", "--json", *options).data["runs"]}


def test_runs_are_listed_newest_first_and_dead_ones_are_lost(three: Path) -> None:
    assert list(listed().items()) == [
        ("other-3-cccc", "lost"),
        ("nightly-2-bbbb", "running"),
        ("nightly-1-aaaa", "succeeded"),
    ]
    text = call("runs").out.splitlines()
    assert text[0].split() == ["RUN", "PIPELINE", "STATE", "STARTED", "TOOK"]
    assert text[3].split()[:3] == ["nightly-1-aaaa", "nightly", "succeeded"]


@pytest.mark.parametrize("state", ["lost", "running", "succeeded"])
def test_runs_can_be_asked_for_by_state(three: Path, state: str) -> None:
    assert set(listed("--state", state).values()) == {state}
    assert len(listed("--state", state)) == 1


def test_runs_can_be_asked_for_by_pipeline_and_number(three: Path) -> None:
    assert list(listed("--limit", "1")) == ["other-3-cccc"]
    assert listed("--pipeline", "nothing") == {}
    assert call("runs", "--pipeline", "nothing").out.startswith("no run fits")


def test_one_run_is_shown_with_all_that_is_known(flow: Path) -> None:
    (flow / "fail").touch()
    call("run", "flow.py", "--set", "rows=3")
    text = call("runs", "last").out
    assert "flow(rows=3)" in text
    lines = {line.split()[0]: line.split() for line in text.splitlines() if line}
    assert lines["load"][1] == "succeeded" and lines["load"][-3:] == ["[0,", "1,", "2]"]
    assert lines["check"][1] == "failed"
    assert "check: ValueError: 3 is wrong" in text
    data = call("runs", "last", "--json").data
    assert (data["state"], data["parameters"]) == ("failed", {"rows": 3})
    assert data["code"].startswith("sha256:")
    assert [each["attempts"] for each in data["operations"]] == [1, 1, 1]
    assert data["operations"][0]["outputs"]["return"].startswith("sha256:")


def test_a_run_is_found_by_the_beginning_of_its_id(three: Path) -> None:
    assert call("runs", "oth", "--json").data["id"] == "other-3-cccc"
    assert call("runs", "nightly").code == 2
    assert call("runs", "unknown").code == 3
    assert call("runs", "oth", "--limit", "1").code == 2


def test_logs_are_of_all_operations_or_of_one(flow: Path) -> None:
    (flow / "fail").touch()
    call("run", "flow.py")
    text = call("logs", "last").out
    assert text.startswith("load | loading 4\nload | to stderr\n")
    assert text.endswith("check | ValueError: 6 is wrong\n")
    assert call("logs", "last", "load").out == "loading 4\nto stderr\n"
    log = call("logs", "last", "--json").data["log"]
    assert {each["operation"] for each in log} == {"load", "check"}


def test_logs_of_an_unknown_operation_name_those_there_are(flow: Path) -> None:
    call("run", "flow.py")
    answer = call("logs", "last", "lead")
    assert answer.code == 3
    assert "it has load, total, check" in answer.err


def test_further_attempts_are_headed() -> None:
    chunks = [chunk("train", 1, "one\n"), chunk("train", 2, "two\n"), chunk("b", 1, "x")]
    assert "".join(map(LogLines().text, chunks)) == "train | one\ntrain | --- attempt 2 ---\ntrain | two\nb | x\n"
    assert "".join(map(LogLines("train").text, chunks[:2])) == "one\n--- attempt 2 ---\ntwo\n"


def test_follow_ends_when_the_run_ends(three: Path) -> None:
    command = [sys.executable, "-m", "jeyn.cli", "logs", "nightly-2-bbbb", "--follow"]
    with jeyn.open(home=three / ".jeyn") as workspace:
        row = workspace.runs.get("nightly-2-bbbb")
        operation = workspace.runs.operations(row.key)[0]
        attempt = workspace.runs.start_attempt(operation.key, 1, "here", os.getpid())
        workspace.runs.append_log(attempt, "one\n")
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "train | one\n"
        workspace.runs.append_log(attempt, "two\n")
        assert process.stdout.readline() == "train | two\n"
        assert process.poll() is None
        workspace.runs.append_log(attempt, "three\n")
        workspace.runs.finish(row.key, "succeeded")
        rest, _ = process.communicate(timeout=30)
    assert (process.returncode, rest) == (0, "train | three\n")


def test_follow_of_what_is_over_is_the_log(flow: Path) -> None:
    call("run", "flow.py")
    assert call("logs", "last", "--follow").out == call("logs", "last").out
    assert call("logs", "last", "-f", "--json").data == call("logs", "last", "--json").data


def test_cancel_asks_a_run_that_lives_and_closes_one_that_does_not(three: Path) -> None:
    answer = call("cancel", "nightly-2-bbbb")
    assert (answer.code, answer.out) == (0, "nightly-2-bbbb was asked to stop\n")
    assert call("runs", "nightly-2-bbbb", "--json").data["cancel_requested"] is True
    answer = call("cancel", "other-3-cccc")
    assert (answer.code, answer.out) == (0, "other-3-cccc is cancelled\n")
    assert call("cancel", "nightly-1-aaaa").code == 4


SLOW = """
import time

import jeyn


@jeyn.operation
def sleep() -> int:
    print("sleeping", flush=True)
    time.sleep(60)
    return 1


@jeyn.pipeline
def slow():
    return sleep()
"""


@pytest.fixture
def sleeping(flow: Path) -> Iterator[subprocess.Popen[str]]:
    """`jeyn run` in a process of its own, in the middle of an operation that has printed something."""
    (flow / "slow.py").write_text(SLOW)
    command = [sys.executable, "-m", "jeyn.cli", "run", "slow.py"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert any("sleep | sleeping" in line for line in process.stderr)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_cancel_stops_a_run_of_another_process(sleeping: subprocess.Popen[str]) -> None:
    begin = time.monotonic()
    assert call("cancel", "last").code == 0
    sleeping.communicate(timeout=30)
    assert sleeping.returncode == 130
    assert time.monotonic() - begin < 20
    assert call("runs", "last", "--json").data["state"] == "cancelled"


def test_logs_are_there_after_the_engine_was_killed(sleeping: subprocess.Popen[str]) -> None:
    sleeping.kill()
    sleeping.wait(timeout=30)
    assert call("runs", "last", "--json").data["state"] == "lost"
    assert call("logs", "last", "sleep").out == "sleeping\n"
    assert call("logs", "last", "sleep", "--follow").out == "sleeping\n"
