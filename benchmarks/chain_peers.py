"""What one trivial operation of a chain costs in Metaflow, Dagster and Kedro, each in a virtual environment of its own.

Each peer is run by the command that its users type, at two lengths of the chain, alternating; the difference of the
medians per operation is the cost, so starting up is counted for nobody.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from environments import Environment, last_line

RUN_SECONDS = 900


def metaflow_program(count: int) -> str:
    """Metaflow reads its graph from the source, so every step is written out; `start` and `end` come on top."""
    steps = "".join(
        f"    @step\n    def s{n}(self):\n        self.x = self.x + 1\n        self.next(self.s{n + 1})\n\n"
        for n in range(count)
    )
    return f"""
from metaflow import FlowSpec, step

class Chain(FlowSpec):
    @step
    def start(self):
        self.x = 0
        self.next(self.s0)

{steps.replace(f"self.s{count})", "self.end)")}
    @step
    def end(self):
        assert self.x == {count}

if __name__ == "__main__":
    Chain()
"""


def dagster_program(executor: str) -> Callable[[int], str]:
    return lambda count: (
        f"""
from dagster import {executor}, job, op

@op
def zero() -> int:
    return 0

@op
def add(x: int) -> int:
    return x + 1

@job(executor_def={executor})
def chain():
    x = zero()
    for n in range({count}):
        x = add.alias(f"add_{{n}}")(x)
"""
    )


def kedro_program(count: int) -> str:
    return f"""
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import node, pipeline
from kedro.runner import SequentialRunner

def add(x):
    return x + 1

nodes = [node(add, f"x{{n}}", f"x{{n + 1}}", name=f"add_{{n}}") for n in range({count})]
found = SequentialRunner().run(pipeline(nodes), DataCatalog({{"x0": MemoryDataset(0)}}))
assert found["x{count}"].load() == {count}
"""


@dataclass(frozen=True)
class ChainPeer:
    """A peer: its programs by length, how one is run, two lengths, and whether Jeyn's limit holds against it."""

    name: str
    environment: Environment
    program: Callable[[int], str]
    arguments: tuple[str, ...]
    lengths: tuple[int, int]
    limited: bool
    keeps: str


DAGSTER = Environment("dagster", ("dagster",))
EXECUTE = ("-m", "dagster", "job", "execute", "-f", "chain.py", "-j", "chain")
CHAIN_PEERS = (
    ChainPeer(
        "Metaflow",
        Environment("metaflow", ("metaflow",)),
        metaflow_program,
        ("chain.py", "run"),
        (2, 22),
        True,
        "20 steps rather than 200, a process each, pickles in local files",
    ),
    ChainPeer(
        "Dagster in one process",
        DAGSTER,
        dagster_program("in_process_executor"),
        EXECUTE,
        (1, 201),
        True,
        "dagster job execute, its quicker executor, SQLite in DAGSTER_HOME",
    ),
    ChainPeer(
        "Dagster as it comes",
        DAGSTER,
        dagster_program("multiprocess_executor"),
        EXECUTE,
        (1, 6),
        False,
        "5 steps rather than 200, a process each, SQLite in DAGSTER_HOME",
    ),
    ChainPeer(
        "Kedro",
        Environment("kedro", ("kedro",)),
        kedro_program,
        ("chain.py",),
        (1, 201),
        False,
        "SequentialRunner, keeps nothing",
    ),
)


@dataclass(frozen=True)
class ChainTiming:
    """Seconds of one operation of a peer, or why there are none."""

    seconds: float | None
    version: str = ""
    problem: str = ""


def time_chain(peer: ChainPeer, rounds: int = 3) -> ChainTiming:
    """The median run at each length, and their difference per operation."""
    python = peer.environment.python()
    if isinstance(python, str):
        return ChainTiming(None, problem=python)
    walls: dict[int, list[float]] = {length: [] for length in peer.lengths}
    for _ in range(rounds):
        for length, taken in walls.items():
            wall = _run(peer, python, length)
            if isinstance(wall, str):
                return ChainTiming(None, problem=wall)
            taken.append(wall)
    short, long = peer.lengths
    seconds = (median(walls[long]) - median(walls[short])) / (long - short)
    return ChainTiming(seconds, _version(peer, python))


def _run(peer: ChainPeer, python: Path, length: int) -> float | str:
    """Seconds of the whole command in a new folder, or what it ended with."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "chain.py").write_text(peer.program(length))
        Path(folder, "dagster.yaml").touch()
        homes = {"HOME": folder, "DAGSTER_HOME": folder, "METAFLOW_USER": "bench", "USERNAME": "bench"}
        silent = {"DAGSTER_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1", "KEDRO_DISABLE_TELEMETRY": "1"}
        start = time.perf_counter()
        shown = subprocess.run(
            [str(python), *peer.arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=folder,
            env=os.environ | homes | silent,
            timeout=RUN_SECONDS,
        )
        wall = time.perf_counter() - start
    return last_line(shown.stderr or shown.stdout) if shown.returncode else wall


def _version(peer: ChainPeer, python: Path) -> str:
    program = f"from importlib.metadata import version; print(version({peer.environment.module!r}))"
    return subprocess.run([str(python), "-c", program], capture_output=True, text=True, check=True).stdout.strip()


def main() -> int:
    for peer in CHAIN_PEERS:
        timing = time_chain(peer, rounds=1)
        took = timing.problem if timing.seconds is None else f"{timing.seconds * 1e3:9.2f} ms per operation"
        print(f"{took}  {peer.name} {timing.version} ({peer.keeps})", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
