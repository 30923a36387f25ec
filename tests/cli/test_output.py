"""What surrounds every command: streams kept apart, colour, pipes that close, defects and interrupts."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import click
import pytest

from jeyn.cli import output
from jeyn.cli.output import Result, columns, command, say
from jeyn.cli.tree import Entry, Root
from jeyn.errors import Invalid
from tests.cli.conftest import call

JEYN = [sys.executable, "-m", "jeyn.cli"]
ROOT = Path(__file__).parents[2]


def run(*args: str, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run([*JEYN, *args], capture_output=True, text=True, check=False, env=env, timeout=60)


def in_terminal(*args: str, **environment: str) -> bytes:
    """What a person at a terminal sees of stdout."""
    ours, theirs = pty.openpty()
    env = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    subprocess.run([*JEYN, *args], stdout=theirs, stderr=subprocess.DEVNULL, check=False, env=env, timeout=60)
    os.close(theirs)
    try:
        return os.read(ours, 1 << 16)
    finally:
        os.close(ours)


def test_a_process_keeps_results_and_notes_apart(project: Path) -> None:
    found = run("gc")
    assert found.returncode == 0
    assert found.stdout.startswith("would free") and "jeyn gc --yes" not in found.stdout
    assert found.stderr == "nothing is freed yet: jeyn gc --yes does it\n"


def test_a_process_ends_with_the_code_of_its_error(project: Path) -> None:
    found = run("show", "nothing")
    assert (found.returncode, found.stdout) == (3, "")
    assert found.stderr.startswith("error: ") and "\x1b" not in found.stderr


def test_colour_is_for_terminals_that_want_it(project: Path) -> None:
    assert b"\x1b[" in in_terminal("ls", NO_COLOR="", TERM="xterm")
    assert b"REFERENCE" in (plain := in_terminal("ls", NO_COLOR="1", TERM="xterm")) and b"\x1b[" not in plain
    assert "\x1b[" not in run("ls").stdout


def test_a_reader_that_goes_away_is_no_error(project: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    for args in (["ls"], ["ls", "--json"]):
        found = subprocess.run([*JEYN, *args], stdout=write, stderr=subprocess.PIPE, text=True, check=False, env=env)
        assert (found.stderr, found.returncode) == ("", 1)
    os.close(write)


@command()
@click.option("--what", help="What to do.")
def leaf(what: str) -> Result:
    """Do something bad."""
    say("working")
    match what:
        case "defect":
            raise ZeroDivisionError("of the universe")
        case "interrupt":
            raise KeyboardInterrupt
        case "both":
            return Result({"found": 1}, "found 1", Invalid("1 is wrong", hint="make it 2", refs=["sha256:1"]))
        case "odd":
            return Result({"nan": float("nan"), "path": Path("a"), 1: {2, 1}, "bytes": b"x"}, "odd\udcff")
        case "later":
            return Result(lambda: {}, lambda: 1 / 0)
    return Result()


@pytest.fixture
def one_leaf(monkeypatch: pytest.MonkeyPatch) -> None:
    root = Root("jeyn", entries={"leaf": Entry(__name__, "leaf", "")})
    monkeypatch.setattr("jeyn.cli.tree.import_module", lambda _: sys.modules[__name__])
    monkeypatch.setattr("tests.cli.conftest.main", root)


@pytest.mark.usefixtures("one_leaf")
def test_a_defect_is_one_line_with_type_and_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(output.DEBUG, raising=False)
    answer = call("leaf", "--what", "defect")
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.splitlines()[1] == "error: ZeroDivisionError: of the universe"
    assert "Traceback" not in answer.err
    assert call("leaf", "--what", "defect", "--json").document["error"]["code"] == "JEYN_ERROR"


@pytest.mark.usefixtures("one_leaf")
def test_debug_shows_where_a_defect_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(output.DEBUG, "1")
    answer = call("leaf", "--what", "defect")
    assert "Traceback" in answer.err and "in leaf" in answer.err
    assert call("leaf", "--what", "defect", "--json").document["ok"] is False


@pytest.mark.usefixtures("one_leaf")
def test_an_interrupt_is_130() -> None:
    answer = call("leaf", "--what", "interrupt")
    assert (answer.code, answer.out) == (130, "")
    assert "error: interrupted" in answer.err
    assert call("leaf", "--what", "interrupt", "--json").document["error"]["code"] == "INTERRUPTED"


@pytest.mark.usefixtures("one_leaf")
def test_an_answer_may_have_data_and_an_error() -> None:
    answer = call("leaf", "--what", "both")
    assert (answer.code, answer.out) == (5, "found 1\n")
    assert answer.err == "working\nerror: 1 is wrong\n  → make it 2\n"
    document = call("leaf", "--what", "both", "--json").document
    assert document["data"] == {"found": 1}
    assert document["error"] == {"code": "INVALID", "hint": "make it 2", "message": "1 is wrong", "refs": ["sha256:1"]}


@pytest.mark.usefixtures("one_leaf")
def test_what_json_lacks_becomes_text() -> None:
    assert call("leaf", "--what", "odd", "--json").data == {"nan": "nan", "path": "a", "1": [1, 2], "bytes": "b'x'"}
    assert call("leaf", "--what", "odd").out == "odd\\udcff\n"


@pytest.mark.usefixtures("one_leaf")
def test_text_is_not_made_for_json_and_a_defect_in_it_is_told() -> None:
    assert call("leaf", "--what", "later", "--json").document["ok"] is True
    answer = call("leaf", "--what", "later")
    assert (answer.code, answer.out) == (1, "")
    assert "ZeroDivisionError" in answer.err


@pytest.mark.usefixtures("one_leaf")
def test_a_misspelt_command_is_told_what_it_may_mean() -> None:
    answer = call("laef", "--json")
    assert answer.code == 2
    assert answer.document["error"]["message"] == 'there is no command "laef"; did you mean "leaf"?'


def test_columns_align_and_print_nothing_that_moves_the_cursor() -> None:
    assert columns([("a", "bb", ""), ("ccc", "d\x1b[2J", "")]) == "a    bb\nccc  d�[2J"


def test_help_loads_nothing_heavy() -> None:
    heavy = {"rich", "sqlalchemy", "pyarrow", "pydantic", "yaml", "numpy", "jeyn.settings", "jeyn.stores"}
    program = 'import sys, jeyn.cli.main as m\ntry: m.main(["--help"])\nexcept SystemExit: print(*sys.modules)'
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert "Commands:" in shown
    assert heavy & set(shown.splitlines()[-1].split()) == set()


def test_strange_folders_are_not_made_a_home(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.chdir(empty)
    answer = call("ls")
    assert answer.code == 3 and "jeyn new NAME" in answer.err
    assert list(empty.iterdir()) == []
    assert call("--home", str(project / ".jeyn"), "ls").code == 0


def test_a_terminal_that_says_it_has_no_columns_has_as_many_as_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = pty.openpty()  # a new one has no size
    with os.fdopen(theirs, "w") as terminal:
        monkeypatch.setattr(sys, "stdout", terminal)
        assert terminal.isatty() and os.get_terminal_size(theirs).columns == 0
        assert (output.width(), output.width(160)) == (100, 160)
    os.close(ours)
