"""A Markdown page that runs: its files are written, its commands typed, and what it shows must be what they print."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# (\S+\.(?:py|yaml))\n")  # the first line of a block that is a file
TREE = re.compile(r"^[├└│─ ]+")
# What differs from one run to the next; "…" stands for anything, a line of its own for any lines.
CHANGING = (
    (r"\d{6}-\d{6}-[0-9a-f]{4}", r"\d{6}-\d{6}-[0-9a-f]{4}"),
    (r"[0-9a-f]{12}(?![0-9a-f])", "[0-9a-f]{12}"),
    (r"\d+(?:\.\d+)? s(?![a-z])", r"\d+(?:\.\d+)? s"),
    (r"…", ".*"),
    (r" {2,}", " +"),
)


def blocks(page: Path) -> list[tuple[str, str]]:
    """(language, text) of every fence of a page."""
    return FENCE.findall(page.read_text())


def program(page: Path) -> str:
    """The Python of a page that is no file: one program, in the order it stands there."""
    return "\n".join(text for language, text in blocks(page) if language == "python" and not FILE.match(text))


def follow(page: Path, folder: Path) -> None:
    """Do all that a page says, in `folder`, and compare what it shows with what is printed."""
    for language, text in blocks(page):
        if name := FILE.match(text):
            (folder / name[1]).write_text(text)
        elif language == "console":
            for command, shown in steps(text):
                if command.startswith("cd "):
                    folder /= command.removeprefix("cd ")
                else:
                    check(command, shown, folder)


def steps(text: str) -> Iterator[tuple[str, str]]:
    """Each `$ command` of a console block with the output that stands below it."""
    for step in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, shown = step.partition("\n")
        yield command, shown.strip("\n")


def check(command: str, shown: str, folder: Path) -> None:
    """Type a command. It must succeed unless the page shows its error, and print what the page shows, if anything."""
    if command.startswith("make "):
        assert re.search(rf"^{command.split()[1]}:.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE), command
        return
    finished = run(["bash", "-c", command], folder)
    printed = finished.stdout.strip("\n")
    assert (finished.returncode == 0) == ("error: " not in shown), f"$ {command}\n{printed}"
    if shown:
        assert as_pattern(shown).fullmatch(comparable(printed) + "\n"), (
            f"$ {command}\n{printed}\n--- the page has ---\n{shown}"
        )


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """The caller's settings do not reach it, its warnings are errors, and stderr is where a terminal would show it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JEYN_")}
    environment |= {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONWARNINGS": "error"}
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=300,
    )


def comparable(text: str) -> str:
    """Without what ends a line; a tree, whose branches are in the order of their ids, as sorted lines."""
    lines = [line.rstrip() for line in text.splitlines()]
    return "\n".join(sorted(TREE.sub("", line) for line in lines) if "├── " in text else lines)


def as_pattern(shown: str) -> re.Pattern[str]:
    lines = comparable(shown).splitlines()
    return re.compile("".join("(?:.*\n)*" if line == "…" else _line(line) + "\n" for line in lines))


def _line(shown: str) -> str:
    """What a line must match: itself, but for what changes."""
    pattern, end = "", 0
    for match in re.finditer("|".join(f"({changing})" for changing, _ in CHANGING), shown):
        pattern += re.escape(shown[end : match.start()]) + CHANGING[(match.lastindex or 1) - 1][1]
        end = match.end()
    return pattern + re.escape(shown[end:])
