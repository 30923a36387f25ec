"""A newcomer at a real command line: `jeyn` as a process of its own in a folder of their own, and what they may see."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.cli.conftest import ROOT, Answer, call

COMMAND = [sys.executable, "-P", "-m", "jeyn.cli"]  # -P: as for the script `jeyn`, the working folder is no module path
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("JEYN_")} | {
    "PYTHONPATH": str(ROOT),
    "PYTHONDONTWRITEBYTECODE": "1",
}

ONE = """import jeyn


@jeyn.operation
def one(x: int = 1) -> int:
    print("one ran")
    return x


"""


def flow(returned: str = "one()", before: str = "") -> str:
    """A pipeline file: the operation `one`, more code, and a pipeline `flow` that returns an expression."""
    return f"{ONE}{before}\n\n@jeyn.pipeline\ndef flow():\n    return {returned}\n"


def write(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    for name, text in files.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def jeyn(folder: Path, *args: str, prefix: tuple[str, ...] = (), **environment: str) -> Answer:
    """`jeyn ARGS` in a folder, as a process."""
    done = subprocess.run(
        [*prefix, *COMMAND, *args],
        cwd=folder,
        env=ENVIRONMENT | environment,
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )
    return Answer(done.returncode, done.stdout, done.stderr)


def is_clean(text: str) -> bool:
    """Whether nothing of ours is shown: no frame of Jeyn or of a library, and no word of a defect."""
    frames = re.findall(r'File "([^"]+)", line', text)
    foreign = [each for each in frames if each.startswith((str(ROOT), "<frozen")) or "site-packages" in each]
    return not foreign and "defect of Jeyn" not in text


def check_refused(answer: Answer, code: int, message: str, hint: str) -> None:
    """One clear error and what to do next, nothing on stdout, and nothing of ours."""
    assert answer.code == code, answer.err
    assert answer.out == ""
    assert is_clean(answer.err), answer.err
    assert answer.err.count("error: ") == 1, answer.err
    assert message in answer.err
    *_, last = answer.err.splitlines()
    assert last.startswith("  → ") and hint in last, answer.err


def check_document(answer: Answer, code: int, name: str, message: str) -> dict[str, Any]:
    """The same as one JSON document on stdout."""
    document: dict[str, Any] = json.loads(answer.out)
    assert answer.code == code, answer.out
    assert (document["schema"], document["ok"]) == ("jeyn/v1", False)
    assert set(document["error"]) == {"code", "message", "hint", "refs"}
    assert document["error"]["code"] == name
    assert message in document["error"]["message"]
    assert document["error"]["hint"]
    return document


def last_run(folder: Path) -> dict[str, Any]:
    """What is kept of the last run."""
    answer = call("--home", str(folder / ".jeyn"), "runs", "last", "--json")  # no process: it is asked often
    assert answer.code == 0, answer.out + answer.err
    found: dict[str, Any] = answer.data
    return found


def states(run: Mapping[str, Any]) -> dict[str, str]:
    return {each["name"]: each["state"] for each in run["operations"]}
