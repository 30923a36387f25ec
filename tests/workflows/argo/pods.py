"""Starting pods for the interpreter: as processes that a zygote forks, or in this process."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.workflows.argo.interpreter import Command

ROOT = Path(__file__).parents[3]


class Zygotes:
    """A few processes that fork pods, one at a time each."""

    def __init__(self, count: int) -> None:
        self._free: queue.Queue[subprocess.Popen[str]] = queue.Queue()
        self._all = [self._started() for _ in range(count)]
        for each in self._all:
            self._free.put(each)

    def _started(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-B", str(Path(__file__).with_name("zygote.py"))],
            cwd=ROOT,
            env=bare_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, command: Command, places: Mapping[str, str]) -> int:
        """Run a pod to its end. What it printed is in `log` of its folder."""
        zygote = self._free.get()
        try:
            told = {
                "args": command.args,
                "env": bare_environment() | dict(places) | command.env,
                "folder": str(command.folder),
                "log": str(command.folder / "log"),
            }
            self._say(zygote, told)
            (command.folder / "pid").write_text(str(self._heard(zygote)["pid"]))
            return int(self._heard(zygote)["code"])
        finally:
            self._free.put(zygote)

    def _say(self, zygote: subprocess.Popen[str], told: Mapping[str, Any]) -> None:
        assert zygote.stdin is not None
        zygote.stdin.write(json.dumps(told) + "\n")
        zygote.stdin.flush()

    def _heard(self, zygote: subprocess.Popen[str]) -> dict[str, Any]:
        assert zygote.stdout is not None
        found: dict[str, Any] = json.loads(zygote.stdout.readline())
        return found

    def close(self) -> None:
        for each in self._all:
            assert each.stdin is not None and each.stdout is not None
            each.stdin.close()
            each.wait(10)
            each.stdout.close()


@contextmanager
def zygotes(count: int) -> Iterator[Zygotes]:
    found = Zygotes(count)
    try:
        yield found
    finally:
        found.close()


def bare_environment() -> dict[str, str]:
    """This one less all that says where a workspace is."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("JEYN_")}
    return clean | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
