"""SEMANTICS 21, 22 and 24 on the real engine: retries, workers, plans and exit handlers."""

from __future__ import annotations

import os
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import jeyn
from jeyn.errors import JeynError, OperationFailed
from jeyn.workflows.run import run_plan
from jeyn.workflows.watch import OperationChanged, Progress
from tests.workflows.projects import Project, is_gone, outputs, states, until


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")


# 21: what is tried again.

RETRIED = """
@operation(retries=2, backoff=0.3)
def stumble(times: int) -> int:
    with Path("tries").open("a") as file:
        file.write(f"{time.monotonic()} ")
    print("try", len(Path("tries").read_text().split()))
    if len(Path("tries").read_text().split()) <= times:
        raise RuntimeError("not yet")
    return times

@operation
def after(number: int) -> int:
    return number

@pipeline
def flow(times: int = 2):
    return after(stumble(times))
"""


def test_rule_21_a_user_exception_is_tried_again_with_growing_pauses(project: Project) -> None:
    project.write(RETRIED)
    seen: list[Any] = []
    run = project.run(watch=seen.append).check()
    assert run.outputs == {"return": 2}
    times = [float(each) for each in project.touched("tries")]
    first, second = (after - before for before, after in pairwise(times))
    assert 0.3 <= first < 1.2 and 0.6 <= second < 1.5, (first, second)
    waits = [event for event in seen if isinstance(event, OperationChanged) and event.state == "waiting"]
    assert [(each.attempt, each.retry_in) for each in waits] == [(1, 0.3), (2, 0.6)]
    row = next(each for each in run.operations if each.name == "stumble")
    attempts = project.workspace.runs.attempts(row.key)
    assert [(each.number, each.state) for each in attempts] == [(1, "failed"), (2, "failed"), (3, "succeeded")]
    assert "RuntimeError: not yet" in (attempts[0].error or {})["message"]
    assert [line for line in run.logs("stumble").splitlines() if line.startswith("try")] == ["try 1", "try 2", "try 3"]


def test_rule_21_retries_come_to_an_end_and_dependents_are_not_run(project: Project) -> None:
    project.write(RETRIED.replace("backoff=0.3", "backoff=0"))
    run = project.run(arguments={"times": 10})
    assert (run.state, run.exit_code) == ("failed", 1)
    assert states(run) == {"stumble": "failed", "after": "not run"}
    assert len(project.touched("tries")) == 3
    error = run.error or {}
    assert error["operation"] == "stumble" and 'raise RuntimeError("not yet")' in error["traceback"]
    with pytest.raises(OperationFailed, match="not yet"):
        run.check()


NEVER = {
    "TypeError": ("len(3)", "OPERATION_FAILED", 1),
    "ImportError": ("__import__('no_such_module_anywhere')", "OPERATION_FAILED", 1),
    "SyntaxError": ("exec('1 +')", "OPERATION_FAILED", 1),
    "Fatal": ("_raise(jeyn.Fatal('this is the end'))", "FATAL", 1),
    "a contract": (
        "_save(guess, others)",
        "CATALOG_MISMATCH",
        6,
    ),
    "a validation": ("dataset_store.save_batch(table.new_table({'x': ['a']}))", "DATA_INVALID", 5),
    "nothing there": ("model_store.get_checkpoint('nobody@latest')", "NOT_FOUND", 3),
}


TABLES = """
from jeyn import DatasetFormula

def _raise(exc):
    raise exc

def _save(use_case, formula):  # what the plan's checks cannot see through
    model_store.save_checkpoint(use_case.update_minor(dataset=formula.new_table({'y': [1.0]}), model=np.zeros(1)))

class Other(DataCatalog):
    y = Feature(Dtypes.FLOAT64)

others = DatasetFormula("others", version="1.0.0", output_catalog=Other)
table = DatasetFormula("table", version="1.0.0", output_catalog=Points)
"""


def test_rule_21_what_no_retry_helps_is_not_tried_again(project: Project) -> None:
    bodies = "".join(
        f"""
@operation(retries=3, backoff=0)
def operation_{at}() -> None:
    Path("ran").open("a").write("{at} ")
    {body}
"""
        for at, (body, _, _) in enumerate(NEVER.values())
    )
    calls = "".join(f"    operation_{at}()\n" for at in range(len(NEVER)))
    project.write(f"{TABLES}{bodies}\n@pipeline\ndef flow():\n{calls}", data=True)
    run = project.run()
    found = {row.name: (dict(row.error or {})) for row in run.operations}
    expected = {f"operation_{at}": (code, number) for at, (_, code, number) in enumerate(NEVER.values())}
    assert {name: (error["code"], error["exit_code"]) for name, error in found.items()} == expected, found
    assert sorted(project.touched("ran")) == [str(at) for at in range(len(NEVER))]
    assert all("pipeline.py" in error["traceback"] for error in found.values())


TIMEOUT = """
import subprocess

@operation(retries=1, backoff=0, timeout=1.5)
def slow() -> None:
    child = subprocess.Popen(["sleep", "600"])
    with Path("pids").open("a") as file:
        file.write(f"{os.getpid()} {child.pid} ")
    print("about to sleep", flush=True)
    try:
        time.sleep(600)
    except BaseException:
        time.sleep(600)

@pipeline
def flow():
    slow()
"""


def test_rule_21_and_22_a_timeout_ends_the_worker_and_what_it_started_and_is_tried_again(project: Project) -> None:
    project.write(TIMEOUT)
    begin = time.monotonic()
    run = project.run()
    assert time.monotonic() - begin < 15
    assert (run.state, (run.error or {})["code"]) == ("failed", "TIMED_OUT")
    pids = [int(each) for each in project.touched("pids")]
    assert len(pids) == 4
    until(lambda: all(is_gone(pid) for pid in pids), 5)
    row = run.operations[0]
    assert [each.state for each in project.workspace.runs.attempts(row.key)] == ["timed out", "timed out"]
    assert run.logs().count("about to sleep") == 2


DEATHS = {
    "exit": ("os._exit(7)", "exit code 7"),
    "kill": ("os.kill(os.getpid(), signal.SIGKILL)", "signal 9"),
    "segfault": ("ctypes.string_at(0)", "signal 11"),
}


@pytest.mark.parametrize("how", DEATHS)
def test_rule_21_a_worker_that_dies_is_noticed_and_replaced(project: Project, how: str) -> None:
    death, said = DEATHS[how]
    project.write(
        f"""
import ctypes
import faulthandler
import signal

@operation(retries=1, backoff=0)
def die() -> int:
    print("dying of {how}", end="")
    if not Path("died").exists():
        Path("died").touch()
        {death}
    return 1

@operation
def live() -> int:
    time.sleep(0.5)
    return 2

@pipeline
def flow():
    return die(), live()
"""
    )
    run = project.run().check()
    assert run.outputs == {"0": 1, "1": 2}
    row = run.operations[0]
    attempts = project.workspace.runs.attempts(row.key)
    assert [each.state for each in attempts] == ["failed", "succeeded"]
    assert (attempts[0].error or {})["code"] == "WORKER_DIED"
    assert said in (attempts[0].error or {})["message"]
    assert run.logs("die").count(f"dying of {how}") == 2  # also what had no line end
    (project.folder / "died").unlink()
    project.write((project.folder / "pipeline.py").read_text().replace("retries=1", "retries=0"))
    again = project.run(cache=False)
    assert (again.state, again.exit_code) == ("failed", 1)


@pytest.mark.parametrize("retries", [0, 1])
def test_rule_21_a_worker_that_someone_else_stops_has_failed(project: Project, retries: int) -> None:
    project.write(
        f"""
import signal

@operation(retries={retries}, backoff=0)
def stop() -> int:
    if not Path("stopped").exists():
        Path("stopped").touch()
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(30)
    return 1

@pipeline
def flow():
    return stop()
"""
    )
    run = project.run()
    expected = "succeeded" if retries else "failed"
    assert (run.state, states(run)) == (expected, {"stop": expected})
    if run.error:
        assert "signal 15" in run.error["message"]


# 22: the worker processes.

WORKERS = """
import threading

@operation
def who(number: int, seconds: float = 0.0) -> dict:
    began = time.time()
    time.sleep(seconds)
    return {
        "pid": os.getpid(), "module": __name__, "main": sys.modules["__main__"].__spec__.name, "cwd": os.getcwd(),
        "parent": os.getppid(), "group": os.getpgrp(), "began": began, "ended": time.time(), "path": sys.path[0],
        "inherited": "only_in_the_engine" in os.environ.get("NEVER", ""), "stdin": sys.stdin.read(),
    }

@pipeline
def reused():
    return who.map(number=[1, 2, 3, 4, 5])

@pipeline
def overlapping():
    return who(1, 1.0), who(2, 1.0)
"""


def test_rule_22_workers_are_spawned_reused_and_import_by_module_name(project: Project) -> None:
    project.write(WORKERS, "pipeline.py")
    found = project.run("reused", workers=1).check().outputs["return"]
    assert len({each["pid"] for each in found}) == 1  # one after the other in one process
    (one, *_) = found
    assert one["pid"] != os.getpid() and one["parent"] == os.getpid()
    assert one["group"] == one["pid"]
    assert (one["module"], one["main"]) == ("pipeline", "jeyn.workflows.runner")
    assert one["cwd"] == one["path"] == str(project.folder)
    assert one["stdin"] == ""
    assert is_gone(one["pid"])


def test_rule_22_independent_operations_overlap_in_time(project: Project) -> None:
    project.write(WORKERS)
    first, second = project.run("overlapping").check().outputs.values()
    assert first["pid"] != second["pid"]
    assert max(first["began"], second["began"]) < min(first["ended"], second["ended"])


def test_rule_22_modules_and_packages_beside_the_pipeline_are_imported(tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    project.write("def answer():\n    return 42\n", "beside.py")
    project.write("", "lib/__init__.py").write("from lib.inner import deep\n", "lib/names.py")
    project.write("from . import deeper\ndef deep():\n    return deeper.VALUE\n", "lib/inner.py")
    project.write("VALUE = 7\n", "lib/deeper.py")
    project.write(
        """
import beside
from lib.names import deep

@operation
def compute() -> int:
    from lib import deeper
    return beside.answer() + deep() + deeper.VALUE

@pipeline
def flow():
    return compute()
"""
    )
    assert project.run().check().outputs == {"return": 56}
    # The pipeline itself may be in a package, and import its siblings by relative names.
    project.write(
        "from jeyn import operation, pipeline\n"
        "from .inner import deep\n"
        "@operation\ndef compute() -> int:\n    return deep()\n"
        "@pipeline\ndef flow():\n    return compute()\n",
        "lib/flow.py",
    )
    code, found = project.jeyn("run", "lib/flow.py")
    assert code == 0, found
    assert found["data"]["outputs"] == {"return": "7"}


# 24: from Python.

HANDLED = """
@operation
def work(fails: bool) -> int:
    print("working")
    if fails:
        raise ValueError("no")
    return 5

@operation
def tidy(state: str, run: str, error: str | None, suffix: str = ".") -> str:
    Path("tidied").open("a").write(f"{state}{suffix} {run} {error!r}\\n")
    if Path("untidy").exists():
        raise OSError("cannot tidy")
    return state

@operation
def only_state(state: str) -> None:
    Path("tidied").open("a").write(state)

@pipeline(on_exit=tidy)
def flow(fails: bool = False):
    return work(fails)

@pipeline(on_exit=only_state)
def other():
    return work(False)
"""


def test_rule_24_a_call_gives_a_plan_and_run_gives_a_run(project: Project) -> None:
    project.write(HANDLED)
    with project.imported("flow") as nightly:
        plan = nightly(fails=False)
        assert isinstance(plan, jeyn.Plan)
        assert [each.name for each in plan.operations] == ["work"]
        run = nightly.run(workspace=project.workspace, workers=1)
        assert (run.state, run.outputs, run.exit_code) == ("succeeded", {"return": 5}, 0)
        assert run.logs() == "working\n" == run.logs("work")
        assert run.id in repr(run) and "work" in run._repr_html_()
        # A plan that went through JSON runs the same, and gives the same ids.
        read = jeyn.Plan.from_json(run.plan.dump())
        again = run_plan(read, root=project.folder, workspace=project.workspace, cache=False, workers=1).check()
    assert outputs(again)["work"] == outputs(run)["work"]


def test_rule_24_the_exit_handler_runs_whatever_the_end_and_is_told_of_it(project: Project) -> None:
    project.write(HANDLED)
    good, bad = project.run("flow"), project.run("flow", arguments={"fails": True})
    lines = (project.folder / "tidied").read_text().splitlines()
    assert lines == [f"succeeded. {good.id} None", f"failed. {bad.id} 'ValueError: no'"]
    assert states(good) == {"work": "succeeded", "tidy": "succeeded"}
    assert states(bad) == {"work": "failed", "tidy": "succeeded"}
    assert (good.state, bad.state, (bad.error or {})["operation"]) == ("succeeded", "failed", "work")
    # Never from the cache; and a handler that fails makes a failed run.
    (project.folder / "untidy").touch()
    third = project.run("flow")
    assert states(third) == {"work": "cached", "tidy": "failed"}
    assert (third.state, (third.error or {})["operation"]) == ("failed", "tidy")
    assert project.run("other").state == "succeeded"


def test_a_store_read_in_the_body_of_a_pipeline_is_an_error(project: Project) -> None:
    project.write(
        """
@operation
def use(number: int) -> int:
    return number

@pipeline
def flow():
    found = model_store.get_checkpoint("guess@latest", default=None)
    return use(1 if found is None else 2)
"""
    )
    with pytest.raises(JeynError) as caught:
        project.run()
    assert caught.value.exit_code == 2 and '"model_store"' in caught.value.message
    assert "jeyn.ref" in caught.value.hint


def test_progress_is_told_while_it_iterates(project: Project) -> None:
    project.write(
        """
@operation
def count() -> int:
    return sum(1 for _ in jeyn.progress(range(5)) if time.sleep(0.05) is None)

@pipeline
def flow():
    return count()
"""
    )
    seen: list[Any] = []
    assert project.run(watch=seen.append).outputs == {"return": 5}
    told = [(event.done, event.total) for event in seen if isinstance(event, Progress)]
    assert told[0] == (0, 5) and told[-1] == (5, 5)
