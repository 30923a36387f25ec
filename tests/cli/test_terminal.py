"""What is somebody's text never acts on a terminal: names, reasons, cells, messages, hints, logs and progress."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

import jeyn
from jeyn.cli.display import live_display
from jeyn.cli.output import columns, say, styled
from jeyn.errors import JeynError
from jeyn.printable import coloured, printable
from jeyn.workflows.watch import OperationChanged, Printed, Progress, RunFinished, RunStarted
from tests.cli.conftest import call
from tests.cli.test_output import in_terminal

# Sets the title, clears the screen, moves, writes the clipboard, makes a link, overwrites the line, turns it around.
ATTACKS = (
    "\x1b]0;title\x07",
    "\x1b[2J",
    "\x1b[1A\x1b[2K",
    "\x1b]52;c;ZXZpbA==\x1b\\",
    "\x1b]8;;https://example.org\x1b\\link\x1b]8;;\x1b\\",
    "\x1bc",
    "\x1bP+q544e\x1b\\",
    "\x9b2J",
    "\x9d0;title\x9c",
    "ok\rgone",
    "back\b\b\b\b",
    "\u202egnp.exe",
    "\u2066x\u2069",
    "\x00\x07\x7f\x85",
    "\u2028\u2029",
)
ALL = "".join(ATTACKS)
ACTING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def acting(seen: str) -> list[str]:
    """What of it acts on a terminal, less colours and ends of lines."""
    return ACTING.findall(COLOURS.sub("", seen.replace("\r\n", "\n")))


@given(st.text())
def test_nothing_of_a_text_acts_and_all_that_is_text_stays(text: str) -> None:
    found = printable(text)
    assert not acting(found) and "\x1b" not in found
    assert len(found) == len(text)
    assert all(new == old or new == "�" for new, old in zip(found, text, strict=True))


@given(st.lists(st.sampled_from([*ATTACKS, "\x1b[31m", "\x1b[0m", "word", "\n", "\x1b", "[", "31", "m", "é"])))
def test_of_a_log_only_colours_act(parts: list[str]) -> None:
    assert not acting(coloured("".join(parts)))


def test_scripts_and_spaces_are_text() -> None:
    for text in ("naïve", "می‌خواهم", "👩‍🔬", "a\u00a0b", "tab\tand\nline", "日本語", "\u00ad"):
        assert printable(text) == text


def test_a_log_keeps_its_colours_and_ends_them() -> None:
    assert coloured("\x1b[31mred\nplain") == "\x1b[31mred\x1b[0m\nplain"
    assert coloured("10 %\r55 %\r100 %\r\ndone") == "100 %\ndone"
    assert coloured("a\x1b]0;title\x07b\x1b[2Jc") == "abc"


def test_our_own_looks_reach_a_terminal_and_nobody_can_forge_them(capsys: pytest.CaptureFixture[str]) -> None:
    say(f"{styled('error:', fg='red')} \x1b[32mfine\x1b[0m {styled(ALL, bold=True)}")
    said = capsys.readouterr().err
    assert "\x1b[32m" not in said and not acting(said)
    table = columns([["name\nline\ttab", ALL]], head=["\x1b[2Jhead", "b"])
    assert len(table.splitlines()) == 2 and "\t" not in table


def test_errors_are_safe_wherever_they_are_printed() -> None:
    error = JeynError(f'"{ALL}" is no name', hint=f"not {ALL}")
    assert not acting(str(error))
    assert error.message == f'"{ALL}" is no name'  # what a program compares is as it was


def test_what_stands_in_the_catalog_reaches_a_terminal_without_acting(project: Path) -> None:
    kept = ALL.replace("\0", "")  # no database keeps it
    with jeyn.open(home=project / ".jeyn", actor=f"eve{kept}") as workspace:
        first = workspace.get("checkpoint:digit-reader@latest")
        workspace.model_store.bless(first, f"because {kept}")
        workspace.tag(first, f"tag{kept}", reason=kept)
    (project / "data").mkdir()
    for words in (
        ["ls"],
        ["show", "digit-reader@blessed"],
        ["alias", "history", "digit-reader"],
        ["lineage", "digit-reader@blessed"],
        ["search", "type:model_checkpoint"],
        ["show", f"x{ALL}"],
        ["search", f"type:{ALL}"],
        ["run", f"pipeline{ALL}.py"],
        ["run", "greetings.py:greeting", "--set", f"who{ALL}=1"],
        [f"nothing{ALL}"],
        ["runs", f"last{ALL}"],
    ):
        words = [word.replace("\0", "") for word in words]  # no argument of a process can hold it
        found = call(*words)
        assert not acting(found.out) and not acting(found.err), words
        if found.out:
            assert not acting(in_terminal(*words, TERM="xterm", NO_COLOR="").decode()), words


def test_what_an_operation_prints_raises_and_reports_reaches_a_terminal_without_acting(project: Path) -> None:
    (project / "loud.py").write_text(
        "import jeyn\n"
        f"ALL = {ALL!r}\n"
        "@jeyn.operation\n"
        "def shout() -> None:\n"
        "    print('\\x1b[31mred\\x1b[0m', ALL)\n"
        "    for _ in jeyn.progress(range(2)):\n"
        "        pass\n"
        "    print('\\x1b[31mred\\x1b[0m')\n"
        "    raise ValueError(ALL)\n"
        "@jeyn.pipeline\n"
        "def loud():\n"
        "    return shout()\n"
    )
    run = call("run", "loud.py")
    assert run.code == 1 and not acting(run.err)
    for words in (["runs"], ["runs", "last"], ["logs", "last"], ["logs", "last", "shout"], ["show", "last"]):
        found = call(*words)
        assert not acting(found.out + found.err), words
    assert b"\x1b[31mred\x1b[0m" in in_terminal("logs", "last", "shout", TERM="xterm", NO_COLOR="")
    raw = call("logs", "last", "shout", "--raw").out
    assert all(attack in raw for attack in ATTACKS if "\r" not in attack and "\0" not in attack)
    assert ALL.replace("\0", "?") in call("logs", "last", "--json").data["log"][0]["text"]


@pytest.mark.parametrize("is_terminal", [False, True])
def test_a_display_is_safe(is_terminal: bool) -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=is_terminal, width=400, highlight=False)
    with live_display(console) as watch:
        watch(RunStarted(run=f"r{ALL}", pipeline="p", engine="local", operations=("a",)))
        watch(OperationChanged(operation="a", state="running", attempt=1, attempts=1))
        watch(Progress(operation="a", done=1, total=2, description=ALL))
        watch(Printed(operation="a", text=f"{ALL}\n"))
        watch(OperationChanged(operation="a", state="failed", error={"message": ALL, "traceback": ALL, "hint": ALL}))
        watch(RunFinished(run=f"r{ALL}", state="failed", seconds=1.0))
    seen = re.sub(r"\x1b\[(\?25[lh]|[0-9]*[AK])", "", screen.getvalue())  # what the live display itself does
    assert not acting(seen.replace("\r", ""))


def test_a_shell_is_not_given_names_that_act(project: Path) -> None:
    from jeyn.cli.main import main
    from jeyn.cli.reference import references

    with jeyn.open(home=project / ".jeyn") as workspace:
        workspace.set_alias("formula:digits@1.0.0", "fine")
    context = main.make_context("jeyn", ["ls"])
    assert all(item.value.isprintable() for item in references(context, context.command.params[0], ""))
