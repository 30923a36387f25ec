"""A copy of an example in a folder of its own, run as a newcomer runs it: in processes, with a fresh home."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from jeyn import Workspace

EXAMPLES = Path(__file__).parents[2] / "examples"
CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FRESH = shutil.ignore_patterns("data", ".jeyn", "__pycache__")


@dataclass(frozen=True)
class RunResult:
    """What a run did, by operation, and what is in the home after it."""

    states: dict[str, str]
    ids: dict[str, str]  # of every artefact but code, by id with its reference

    def ran(self) -> set[str]:
        """The operations that were really carried out; all others came from the cache."""
        assert set(self.states.values()) <= {"succeeded", "cached"}, self.states
        return {name for name, state in self.states.items() if state == "succeeded"}

    def refs(self, kind: str) -> list[str]:
        return sorted(ref for ref in self.ids.values() if ref.startswith(f"{kind}:"))


class ExampleProject:
    """One example; whatever it makes is below `folder`."""

    def __init__(self, name: str, folder: Path) -> None:
        self.top, self.folder = folder, folder / "examples" / name
        shutil.copytree(EXAMPLES / name, self.folder, ignore=FRESH)
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith("JEYN_")}
        self.environment["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"

    def call(self, *command: str, folder: Path | None = None) -> str:
        """What a command prints on stdout; it must succeed."""
        done = subprocess.run(
            command,
            cwd=folder or self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def arrive(self, number: int = 1) -> str:
        return self.call("python", "-W", "error", "arrive.py", str(number))

    def run(self, *options: str) -> RunResult:
        document = json.loads(self.call("jeyn", "run", "pipeline.py", *options, "--json"))
        assert document["ok"], document["error"]
        assert document["data"]["state"] == "succeeded"
        states = {operation["name"]: operation["state"] for operation in document["data"]["operations"]}
        with self.workspace() as workspace:
            hits = workspace.search("", limit=10_000)
        return RunResult(states, {hit.id: hit.ref for hit in hits if hit.type != "code"})

    def workspace(self) -> Workspace:
        """What is in the example's home."""
        return Workspace.open(self.folder)

    def blessed(self, use_case: str) -> str:
        with self.workspace() as workspace:
            return str(workspace.get(f"{use_case}@blessed").ref)

    def follow_readme(self) -> str:
        """What all its commands print, typed one after the other where the README says."""
        blocks = CONSOLE.findall((self.folder / "README.md").read_text())
        commands = [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]
        assert commands
        return self.call("bash", "-ec", "\n".join(commands), folder=self.top)
