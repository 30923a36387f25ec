"""`jeyn run` over real runs: what goes where, exit codes, resuming, plans as files, and being stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.conftest import call

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


def test_only_the_result_is_on_stdout(flow: Path) -> None:
    answer = call("run", "flow.py")
    assert (answer.code, answer.out) == (0, "6\n"), answer.err
    assert "load | loading 4" in answer.err
    assert "load | to stderr" in answer.err
    assert "total: succeeded in" in answer.err
    assert "succeeded in" in answer.err.splitlines()[-1] and answer.err.endswith(": 3 ran\n")


def test_a_second_run_is_all_cache_and_says_so(flow: Path) -> None:
    call("run", "flow.py")
    again = call("run", "flow.py", "--explain-cache", "--json")
    assert again.code == 0, again.err
    assert again.data["outputs"] == {"return": "6"}
    assert {name: each["state"] for name, each in again.data["cache"].items()} == {
        "load": "cached", "total": "cached", "check": "cached"
    }  # fmt: skip
    assert "3 cached" in again.err
    forced = call("run", "flow.py", "--no-cache")
    assert "3 ran" in forced.err


def test_explain_cache_names_what_differs(flow: Path) -> None:
    call("run", "flow.py")
    answer = call("run", "flow.py", "--set", "rows=5", "--explain-cache")
    assert answer.out == "10\n"
    table = [line.split(maxsplit=2) for line in answer.err.splitlines() if line.startswith(("OPERATION", "load "))][-2:]
    assert table[0] == ["OPERATION", "STATE", "WHY IT RAN"]
    assert table[1][:2] == ["load", "succeeded"] and "rows" in table[1][2]


def test_a_name_of_jeyn_yaml_is_a_target(flow: Path) -> None:
    assert call("run", "adding", "--set", "rows=3").out == "3\n"


def test_a_failure_is_the_users_own_traceback_and_what_to_do(flow: Path) -> None:
    (flow / "fail").touch()
    answer = call("run", "flow.py")
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.count('raise ValueError(f"{number} is wrong")') == 1
    assert "jeyn/" not in answer.err
    message, *hints = answer.err.splitlines()[-3:]
    assert message == 'error: operation "check": ValueError: 6 is wrong'
    run = call("runs", "--json").data["runs"][0]["id"]
    assert hints == [f"  → jeyn logs {run} check", f"  → jeyn run --resume {run}"]
    # In full where it was printed, and once more in short.
    assert answer.err.count("ValueError: 6 is wrong") == 2


def test_a_failure_is_one_document_with_the_run_so_far(flow: Path) -> None:
    (flow / "fail").touch()
    answer = call("run", "flow.py", "--json")
    assert answer.code == 1
    assert answer.document["ok"] is False
    run = answer.data["run"]
    assert answer.document["error"]["code"] == "OPERATION_FAILED"
    assert answer.document["error"]["hint"] == f"jeyn logs {run} check; jeyn run --resume {run}"
    assert answer.data["state"] == "failed"
    assert [each["state"] for each in answer.data["operations"]] == ["succeeded", "succeeded", "failed"]


def test_resume_goes_on_where_it_stopped(flow: Path) -> None:
    (flow / "fail").touch()
    call("run", "flow.py")
    (flow / "fail").unlink()
    answer = call("run", "--resume", "last")
    assert (answer.code, answer.out) == (0, "6\n"), answer.err
    assert answer.err.endswith(": 1 ran, 2 adopted\n")
    assert "continues flow-" in answer.err
    done = call("run", "--resume", "last")
    assert done.code == 4


def test_a_plan_as_a_file_runs_the_same(flow: Path) -> None:
    planned = call("plan", "flow.py", "--set", "rows=3", "--json")
    (flow / "document.json").write_text(planned.out)
    (flow / "bare.json").write_text(json.dumps(planned.data["plan"]))
    assert call("run", "document.json").out == "3\n"
    assert call("run", "bare.json").out == "3\n"


def test_isolated_runs_the_packaged_code(flow: Path) -> None:
    answer = call("run", "flow.py", "--isolated", "--workers", "1")
    assert (answer.code, answer.out) == (0, "6\n"), answer.err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ("run", 2, "name either a pipeline or a run"),
        ("run flow.py --resume last", 2, "name either a pipeline or a run"),
        ("run --resume last --set rows=1", 2, "keeps its parameters"),
        ("run --resume nothing", 3, 'no run "nothing"'),
        ("run flow.py --set rows", 2, 'has no "="'),
        ("run flow.py --set row=1", 2, 'no parameter "row"'),
        ("run flow.py --set rows=many", 2, "many"),
        ("run flow.py --on argo", 6, "no pod can reach it"),
        ("run nothing.py", 3, "nothing.py"),
        ("run flow.py:flew", 3, "flew"),
        ("run flow.py:load", 2, "load"),
        ("run jeyn.yaml.json", 3, "no file"),
        ("run empty.json", 5, "not JSON"),
        ("run list.json", 5, "not a plan"),
        ("run list.json --set rows=1", 2, "are fixed"),
        ("run broken.py", 2, "broken.py"),
    ],
)
def test_bad_input_is_one_clear_message(flow: Path, arguments: str, code: int, message: str) -> None:
    (flow / "empty.json").touch()
    (flow / "list.json").write_text("[]")
    (flow / "broken.py").write_text("def (:\n")
    answer = call(*arguments.split())
    assert answer.code == code, answer.err
    assert answer.out == ""
    assert message in answer.err
    assert "Traceback" not in answer.err
    assert answer.err.splitlines()[-1].startswith("  → ")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_run_and_keeps_what_it_wrote(flow: Path, number: signal.Signals) -> None:
    (flow / "slow.py").write_text(SLOW)
    command = [sys.executable, "-m", "jeyn.cli", "run", "slow.py", "--json"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"}
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "sleeping" in line:
            break
    begin = time.monotonic()
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert time.monotonic() - begin < 20
    document = json.loads(out)
    assert (document["error"]["code"], document["data"]["state"]) == ("INTERRUPTED", "cancelled")
    assert "jeyn/" not in err  # frames of the user's own file only
    assert call("logs", "last", "sleep").out.startswith("sleeping\n")
