"""The local engine under stress: signals, cancelling, workers that vanish, two runs at once, and many operations."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from jeyn.errors import Conflict
from jeyn.workflows.run import Run, cancel_run
from jeyn.workflows.watch import ItemsKnown, OperationChanged, Printed, RunFinished, RunStarted
from tests.workflows.projects import Project, is_gone, outputs, states, until

SLOW = """
import subprocess

@operation
def quick() -> int:
    return 1

@operation(retries=3, backoff=0)
def slow(number: int, seconds: float) -> int:
    child = subprocess.Popen(["sleep", "600"])
    Path("pids").open("a").write(f"{os.getpid()} {child.pid} ")
    print("sleeping", flush=True)
    try:
        time.sleep(seconds if not Path("wake").exists() else 0)
    finally:
        child.kill()
        child.wait()
        print("tidied up", flush=True)
        Path("sleeping").unlink(missing_ok=True)
    return number

@operation
def stubborn(number: int) -> int:
    Path("pids").open("a").write(f"{os.getpid()} ")
    Path("stubborn").touch()
    while not Path("wake").exists():
        try:
            time.sleep(600)
        except BaseException:
            pass
    return number

@operation
def after(number: int) -> int:
    return number + 1

@operation
def tidy(state: str, run: str) -> None:
    time.sleep(2.5)
    Path("tidied").write_text(f"{state} {run}")

@pipeline
def flow():
    return after(slow(quick(), 600.0))

@pipeline
def refusing():
    return after(stubborn(quick()))

@pipeline(on_exit=tidy)
def handled():
    return after(slow(quick(), 600.0))
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project").write(SLOW)


def pids(project: Project, count: int) -> list[int]:
    """The processes that the user's code was in, when that many are known."""
    until(lambda: len(project.touched("pids")) >= count)
    return [int(each) for each in project.touched("pids")]


def stop(process: subprocess.Popen[str], number: int) -> tuple[int, str]:
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    return process.returncode, err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_a_run_cleanly_and_it_can_be_resumed(project: Project, number: int) -> None:
    process = project.start("run", "pipeline.py:flow")
    worker, child = pids(project, 2)
    begin = time.monotonic()
    code, err = stop(process, number)
    assert (code, time.monotonic() - begin < 5) == (130, True), err
    run = project.last()
    assert (run.state, run.exit_code) == ("cancelled", 130)
    assert states(run) == {"quick": "succeeded", "slow": "cancelled", "after": "cancelled"}
    assert is_gone(worker) and is_gone(child)
    assert run.logs("slow") == "sleeping\ntidied up\n"
    (project.folder / "wake").touch()
    resumed = project.resume(run).check()
    assert (resumed.outputs, states(resumed)["quick"]) == ({"return": 2}, "adopted")


def test_a_second_signal_does_not_wait(project: Project) -> None:
    process = project.start("run", "pipeline.py:refusing")
    (worker,) = pids(project, 1)
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert process.poll() is None
    begin = time.monotonic()
    code, err = stop(process, signal.SIGINT)
    assert (code, time.monotonic() - begin < 3) == (130, True), err
    assert is_gone(worker)
    assert (project.last().state, states(project.last())["stubborn"]) == ("cancelled", "cancelled")


def test_who_does_not_stop_when_asked_is_killed(project: Project) -> None:
    process = project.start("run", "pipeline.py:refusing")
    (worker,) = pids(project, 1)
    begin = time.monotonic()
    code, err = stop(process, signal.SIGTERM)
    assert (code, 4 < time.monotonic() - begin < 12) == (130, True), err
    assert is_gone(worker)


def test_rule_24_a_run_is_cancelled_from_another_process_and_its_exit_handler_is_told(project: Project) -> None:
    process = project.start("run", "pipeline.py:handled")
    worker, child = pids(project, 2)
    run = project.last()
    code, found = project.jeyn("cancel", run.id)
    assert code == 0, found
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert is_gone(worker) and is_gone(child)
    assert (run.state, (project.folder / "tidied").read_text()) == ("cancelled", f"cancelled {run.id}")
    assert states(run) == {"quick": "succeeded", "slow": "cancelled", "after": "cancelled", "tidy": "succeeded"}
    with pytest.raises(Conflict, match="cancelled already"):
        cancel_run(run.id, workspace=project.workspace)


def test_a_run_whose_engine_is_dead_is_lost_and_can_be_cancelled(project: Project) -> None:
    process = project.start("run", "pipeline.py:flow")
    found = pids(project, 2)
    process.kill()
    process.communicate()
    until(lambda: all(map(is_gone, found)), 5)  # the workers notice
    run = project.last()
    assert run.state == "lost"
    assert cancel_run(run.id, workspace=project.workspace).state == "cancelled"
    assert run.state == "cancelled"
    assert "running" not in states(run).values()
    assert run.logs("slow").startswith("sleeping\n")


def test_a_run_is_stopped_from_a_thread_of_this_process(project: Project) -> None:
    threading.Thread(target=lambda: (pids(project, 2), cancel_run("last", workspace=project.workspace))).start()
    run = project.run("flow")
    assert (run.state, states(run)["slow"]) == ("cancelled", "cancelled")


def test_many_short_operations_do_not_keep_a_cancel_from_being_noticed(project: Project) -> None:
    project.write(
        """
@operation
def short(number: int) -> int:
    time.sleep(0.02)
    return number

@pipeline
def flow():
    return short.map(number=list(range(2000)))
"""
    )
    seen: list[float] = []

    def cancel() -> None:
        until(lambda: project.workspace.runs.list())
        until(lambda: "succeeded" in states(project.last()).values())
        cancel_run("last", workspace=project.workspace)
        seen.append(time.monotonic())

    thread = threading.Thread(target=cancel)
    thread.start()
    run = project.run()
    thread.join()
    assert run.state == "cancelled"
    assert time.monotonic() - seen[0] < 8
    assert set(states(run).values()) == {"succeeded", "cancelled"}


def test_a_worker_whose_fork_lives_on_is_noticed_all_the_same(project: Project) -> None:
    project.write(
        """
@operation
def die() -> int:
    if os.fork() == 0:
        Path("pids").open("a").write(f"{os.getpid()} ")
        time.sleep(600)
    while not Path("pids").exists():
        time.sleep(0.01)
    os._exit(3)

@pipeline
def flow():
    return die()
"""
    )
    begin = time.monotonic()
    run = project.run()
    assert (run.state, (run.error or {})["code"]) == ("failed", "WORKER_DIED")
    assert time.monotonic() - begin < 10
    until(lambda: is_gone(pids(project, 1)[0]), 5)


def test_two_runs_of_one_pipeline_at_once_make_the_same(project: Project) -> None:
    project.write(
        """
@operation
def ingest() -> DatasetBatch:
    return dataset_store.save_batch(points.get_new_batch())

@operation
def train(batch: DatasetBatch, number: int) -> ModelCheckpoint:
    time.sleep(0.1)
    return guess.update_minor(dataset=batch, model=np.array([float(number)]))

@operation
def score(checkpoint: ModelCheckpoint) -> float:
    return float(checkpoint.load()[0])

@pipeline
def flow():
    return score.map(checkpoint=train.bind(batch=ingest()).map(number=[1, 2, 3]))
""",
        data=True,
    ).arrive("a.csv", 1, 2)
    processes = [project.start("run", "pipeline.py", "--json") for _ in range(2)]
    for process in processes:
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, out + err
    one, two = project.workspace.runs.list()
    first, second = outputs(Run(project.workspace, one.id)), outputs(Run(project.workspace, two.id))
    assert first == second and len(first) >= 7
    assert project.workspace.fsck().ok
    epochs = project.workspace.search("type:batch")
    assert [each.ref for each in epochs] == ["batch:points@1.0.0/1"]


def test_who_watches_is_told_of_everything_in_order(project: Project) -> None:
    project.write(
        """
@operation
def say(number: int) -> int:
    print("number", number)
    return number

@pipeline
def flow():
    return say.map(number=[1, 2])
"""
    )
    seen: list[Any] = []
    run = project.run(workers=1, watch=seen.append)
    assert isinstance(seen[0], RunStarted) and isinstance(seen[-1], RunFinished)
    assert (seen[0].run, seen[-1].state) == (run.id, "succeeded")
    assert [event.count for event in seen if isinstance(event, ItemsKnown)] == [2]
    assert [event.text for event in seen if isinstance(event, Printed)] == ["number 1\n", "number 2\n"]
    changes = [(event.operation, event.state) for event in seen if isinstance(event, OperationChanged)]
    assert changes == [
        ("say[0]", "running"), ("say[0]", "succeeded"), ("say[1]", "running"), ("say[1]", "succeeded"),
        ("say", "succeeded"),
    ]  # fmt: skip
    assert seen[-1].counts == {"succeeded": 2}  # a mapped operation is its items


def test_the_workers_of_a_run_are_gone_when_it_raises(project: Project) -> None:
    def watch(event: Any) -> None:
        if isinstance(event, Printed):
            raise RuntimeError("the watcher broke")

    with pytest.raises(RuntimeError, match="the watcher broke"):
        project.run("flow", watch=watch)
    assert all(map(is_gone, pids(project, 2)))
    run = project.last()
    assert (run.state, run.logs("slow")) == ("failed", "sleeping\n")
    assert states(run) == {"quick": "succeeded", "slow": "cancelled", "after": "not run"}
