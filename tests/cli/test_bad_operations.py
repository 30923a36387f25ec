"""What goes wrong in the operations themselves: the user's own frames, the right exit code, and nothing lost."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.cli.newcomer import COMMAND, ENVIRONMENT, check_document, flow, is_clean, jeyn, last_run, states, write


class Failing(NamedTuple):
    """The body of an operation, and what its end is called."""

    lines: str
    code: int
    error: str
    message: str
    hint: str = "jeyn run --resume"


ODD = """
class Thing: ...


class Silent(Exception):
    def __str__(self): raise RuntimeError("no text")


class Mine(BaseException): ...
"""

FAILING = {
    "an exception": Failing("raise ValueError(f'bad {x}')", 1, "OPERATION_FAILED", "ValueError: bad 1"),
    "a key": Failing("{}['a']", 1, "OPERATION_FAILED", "KeyError: 'a'"),
    "an exit": Failing("raise SystemExit(0)", 1, "OPERATION_FAILED", "the operation called sys.exit(0)"),
    "an interrupt": Failing("raise KeyboardInterrupt", 1, "OPERATION_FAILED", "KeyboardInterrupt"),
    "of no class of ours": Failing("raise Mine('own')", 1, "OPERATION_FAILED", "Mine: own"),
    "without text": Failing("raise Silent", 1, "OPERATION_FAILED", "Silent: <its __str__ failed>"),
    "a huge text": Failing("raise ValueError('x' * 1_000_000)", 1, "OPERATION_FAILED", "characters left out"),
    "a missing module": Failing(
        "import nonesuch", 1, "OPERATION_FAILED", "No module named 'nonesuch'", "pip install nonesuch"
    ),
    "an error of ours": Failing(
        "raise jeyn.errors.NotFound('gone', hint='look there')", 3, "NOT_FOUND", "gone", "look there"
    ),
    "a misused store": Failing("jeyn.search('colour:red')", 1, "INVALID_FILTER", "no field 'colour'", "the fields are"),
    "no serializer": Failing("return Thing()", 5, "NOT_SERIALIZABLE", "'flow.Thing'", "jeyn.register_serializer"),
    "a generator": Failing("return (each for each in [1])", 5, "NOT_SERIALIZABLE", "generator", "convert it"),
    "the process": Failing("import os; os._exit(7)", 1, "WORKER_DIED", "ended with exit code 7", "see what it printed"),
}


def failing(lines: str) -> str:
    return flow("fails(one())", f"{ODD}\n\n@jeyn.operation\ndef fails(x):\n    {lines}\n")


@pytest.mark.parametrize("name", FAILING)
def test_a_failure_says_what_and_what_next_and_keeps_what_was_done(tmp_path: Path, name: str) -> None:
    case = FAILING[name]
    write(tmp_path, {"flow.py": failing(case.lines)})
    answer = jeyn(tmp_path, "run", "flow.py")
    assert (answer.code, answer.out) == (case.code, ""), answer.err
    assert is_clean(answer.err), answer.err
    assert len(answer.err) < 60_000
    assert answer.err.count("error: ") == 1
    message, _, hint = answer.err.partition("error: ")[2].partition("\n")
    assert message.startswith('operation "fails": ') and case.message in message
    assert case.hint in hint and "jeyn run --resume" in hint
    run = last_run(tmp_path)
    assert run["state"] == "failed"
    assert states(run) == {"one": "succeeded", "fails": "failed"}
    assert (run["error"]["code"], run["error"]["exit_code"]) == (case.error, case.code)
    assert case.message in run["error"]["message"]


def test_the_traceback_is_the_users_own(tmp_path: Path) -> None:
    code = "import json\n\ndef deep(text): return json.loads(text)\n\n" + failing("return deep('{')")
    write(tmp_path, {"flow.py": code})
    answer = jeyn(tmp_path, "run", "flow.py")
    frames = [line.removeprefix("fails | ") for line in answer.err.splitlines() if ", line " in line and "File" in line]
    path = tmp_path / "flow.py"
    assert [each.strip().partition(", line")[0] for each in frames] == [f'File "{path}"'] * 2
    assert "fails | json.decoder.JSONDecodeError" in answer.err
    assert jeyn(tmp_path, "logs", "last", "fails").out.count("JSONDecodeError") == 1


def test_a_failure_as_a_document(tmp_path: Path) -> None:
    write(tmp_path, {"flow.py": failing("raise ValueError('bad')")})
    document = check_document(jeyn(tmp_path, "run", "flow.py", "--json"), 1, "OPERATION_FAILED", "ValueError: bad")
    assert document["data"]["state"] == "failed"


@pytest.mark.parametrize(("lines", "attempts"), [("return Thing()", 1), ("raise ValueError('bad')", 3)])
def test_rule_21_what_has_no_serializer_is_not_tried_again(tmp_path: Path, lines: str, attempts: int) -> None:
    code = failing(lines).replace("@jeyn.operation\ndef fails", "@jeyn.operation(retries=2, backoff=0.01)\ndef fails")
    write(tmp_path, {"flow.py": code})
    jeyn(tmp_path, "run", "flow.py")
    found = {each["name"]: each["attempts"] for each in last_run(tmp_path)["operations"]}
    assert found == {"one": 1, "fails": attempts}


def test_what_was_done_is_not_done_again_once_it_is_mended(tmp_path: Path) -> None:
    write(tmp_path, {"flow.py": failing("raise ValueError('bad')")})
    jeyn(tmp_path, "run", "flow.py")
    write(tmp_path, {"flow.py": failing("return x + 1")})
    refused = jeyn(tmp_path, "run", "--resume", "last")
    assert (refused.code, "changed since" in refused.err) == (6, True)
    answer = jeyn(tmp_path, "run", "flow.py")
    assert (answer.code, answer.out) == (0, "2\n")
    assert "one: cached" in answer.err


# Things that change while it runs.

SLOW = """
import time
from pathlib import Path

import helper


@jeyn.operation
def wait(x):
    print("waiting", flush=True)
    while not Path("go").exists():
        time.sleep(0.02)
    return x


@jeyn.operation
def after(x, n):
    return helper.VALUE


@jeyn.operation
def read(x, file: jeyn.File):
    return open(file).read()
"""


def meanwhile(folder: Path, *args: str) -> Any:
    """`jeyn ARGS`, once it has come to the operation `wait`; it goes on when there is a file "go"."""
    process = subprocess.Popen(
        [*COMMAND, *args], cwd=folder, env=ENVIRONMENT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "waiting" in line:
            break
    return process


def test_a_file_that_is_edited_meanwhile_does_not_count_where_it_was_imported(tmp_path: Path) -> None:
    """A worker imports a module once; what it has it keeps to the end, as the engine does."""
    write(tmp_path, {"flow.py": flow("after(wait(one()), 1)", SLOW), "helper.py": "VALUE = 'old'\n"})
    process = meanwhile(tmp_path, "run", "flow.py", "--workers", "1")
    write(tmp_path, {"flow.py": "def broken(\n", "helper.py": "VALUE = 'new'\n", "go": ""})
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, "'old'\n"), err


BOTH = """
@jeyn.operation
def both(a, b):
    return [a, b]
"""


def test_rule_18_what_edited_code_would_give_is_not_taken_for_what_the_run_began_with(tmp_path: Path) -> None:
    """A worker that starts later would import the edited file: it refuses, and so no cache entry is wrong."""
    slow = SLOW.replace("    return helper.VALUE", "    time.sleep(1.5)\n    return helper.VALUE")
    code = flow("both(after(s, 1), after(s, 2))", slow + BOTH).replace(
        "    return both", "    s = wait(one())\n    return both"
    )
    write(tmp_path, {"flow.py": code, "helper.py": "VALUE = 'old'\n"})
    process = meanwhile(tmp_path, "run", "flow.py", "--workers", "2")
    write(tmp_path, {"helper.py": "VALUE = 'new'\n", "go": ""})
    _, err = process.communicate(timeout=60)
    assert process.returncode == 6, err
    assert '"helper.py" changed after the run had started' in err
    assert states(last_run(tmp_path))["after"] == "succeeded"
    write(tmp_path, {"helper.py": "VALUE = 'old'\n"})
    assert jeyn(tmp_path, "run", "flow.py").out == "['old', 'old']\n"


def test_an_input_file_that_goes_meanwhile_is_still_there_for_the_run(tmp_path: Path) -> None:
    code = flow("read(wait(one()), jeyn.File('data.txt'))", SLOW)
    write(tmp_path, {"flow.py": code, "helper.py": "", "data.txt": "hello"})
    process = meanwhile(tmp_path, "run", "flow.py")
    (tmp_path / "data.txt").unlink()
    write(tmp_path, {"go": ""})
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, "'hello'\n"), err
    answer = jeyn(tmp_path, "run", "flow.py")
    assert (answer.code, 'the file "data.txt" of "read" is not there' in answer.err) == (3, True)


# `python pipeline.py`.

MAIN = '\n\nif __name__ == "__main__":\n    run = flow.run()\n    print(run.state, run.outputs)\n'


def python(folder: Path, *args: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, *args], cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, timeout=60
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    "arguments", [("night ly.py",), ("-m", "nightly"), ("-c", "import nightly as n; print(n.flow.run().state)")]
)
def test_a_file_run_by_python_and_by_us_is_the_same(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    name = "night ly" if "night ly.py" in arguments else "nightly"
    write(tmp_path, {f"{name}.py": flow() + MAIN})
    code, out, err = python(tmp_path, *arguments)
    assert (code, out.split()[0]) == (0, "succeeded"), err
    answer = jeyn(tmp_path, "run", f"{name}.py")
    assert (answer.code, "one: cached" in answer.err) == (0, True), answer.err


def test_a_run_without_the_guard_stops_at_the_first_import(tmp_path: Path) -> None:
    """Each worker imports the file; that must not start the pipeline again, and again."""
    write(tmp_path, {"nightly.py": flow() + "print(flow.run().error['message'])\n"})
    code, out, err = python(tmp_path, "nightly.py")
    assert code == 0, err
    assert '"flow" is run while its own file is imported' in out
    assert [each["state"] for each in jeyn(tmp_path, "runs", "--json").data["runs"]] == ["failed"]


def test_a_program_that_is_no_file_says_what_to_do(tmp_path: Path) -> None:
    code, _, err = python(tmp_path, "-c", flow() + "flow.run()")
    assert code == 1
    assert err.endswith("→ put the pipeline into a file, or run it in a notebook\n"), err
