"""B13: what one trivial operation of a chain of 200 costs, beside its rows in bare SQLite and beside peers.

Ours is the local engine on a new home: (a run of 200 operations - a run of 1) / 199, so that starting up is neither
counted nor hidden; the median of several rounds. Bare is `sqlite3` in WAL with `synchronous=FULL`: BEGIN IMMEDIATE,
the rows that our run kept of one operation into plain tables without keys, indexes or triggers, COMMIT; what we update
on the way and the payload file are not in it. Rounds of both alternate in one process.
Peers (`--long`) run the same chain by their own command and are taken by two lengths as well: chain_peers.py.
Run as `python benchmarks/pipelines.py [--long]`.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from chain_peers import CHAIN_PEERS, time_chain
from saves import Bare, Result, versions

import jeyn
from jeyn.errors import JeynError
from jeyn.stores.workspace import Workspace
from jeyn.workflows.load import load_pipeline
from jeyn.workflows.run import Run, run_pipeline

OPERATIONS = 200
MOST_TIMES_BARE = 6.0
LEAST_TIMES_LESS = 20.0
COMMITS = 1000
_NUMBERS = itertools.count(1)

PROJECT = '''
"""Pipelines of trivial operations."""

from jeyn import operation, pipeline


@operation
def step(x: int) -> int:
    return x + 1


@operation
def total(found: list[int]) -> int:
    return sum(found)


@pipeline
def chain(length: int):
    x = 0
    for _ in range(length):
        x = step(x)
    return x


@pipeline
def fan_out(count: int):
    return total(step.map(x=list(range(count))))
'''


class Project:
    """A folder with `PROJECT`, as a user has it, and runs of its pipelines in this process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # A module's name is taken for as long as its process lives.
        self.file = folder / f"benchmarked_{next(_NUMBERS)}.py"
        self.file.write_text(PROJECT)
        self.homes = 0

    def pipeline(self, name: str) -> Any:
        return load_pipeline(f"{self.file}:{name}", root=self.folder).pipeline

    def new_home(self) -> Workspace:
        self.homes += 1
        return jeyn.open(home=self.folder.parent / f"home-{self.homes}")

    def timed(self, workspace: Workspace, name: str, **arguments: int) -> tuple[float, Run]:
        """Wall-clock seconds of a run that succeeds, and the run."""
        pipeline = self.pipeline(name)
        gc.collect()
        start = time.perf_counter()
        run = run_pipeline(pipeline, arguments, workspace=workspace)
        wall = time.perf_counter() - start
        if run.state != "succeeded":
            raise JeynError(f'the benchmarked run "{run.id}" {run.state}: {run.error}')
        return wall, run


def measure(rounds: int = 7) -> list[Result]:
    """One operation of ours against a bare commit of its rows."""
    ours, bare, rows = _ours_and_bare(rounds)
    ratio = ours / bare
    sides = f"one operation of a chain of {OPERATIONS} ({ours * 1e3:.2f} ms) / its {rows} rows in one bare durable"
    name = f"{sides} SQLite commit ({bare * 1e3:.2f} ms)"
    return [Result(name, f"{ratio:.2f}", f"<= {MOST_TIMES_BARE:g}", ratio <= MOST_TIMES_BARE)]


def measure_long(rounds: int = 3) -> list[Result]:
    """One operation of each peer against one of ours."""
    ours, _, _ = _ours_and_bare(rounds)
    return list(_beside_peers(ours, rounds))


def _ours_and_bare(rounds: int) -> tuple[float, float, int]:
    """Median seconds of one operation and of the bare commit of its rows, and how many rows those are."""
    ours, bare, rows = [], [], 0
    with tempfile.TemporaryDirectory() as folder:
        project = _new_project(folder)
        for round in range(rounds + 1):
            with project.new_home() as one, project.new_home() as many:
                short, _ = project.timed(one, "chain", length=1)
                long, _ = project.timed(many, "chain", length=OPERATIONS)
                kept = rows_of_one_operation(_path(one), _path(many))
            rows = sum(len(values) for values in kept.values())
            theirs = _bare_commit(Path(folder, f"bare-{round}.db"), kept)
            if round:  # the first warms up
                ours.append((long - short) / (OPERATIONS - 1))
                bare.append(theirs)
    return statistics.median(ours), statistics.median(bare), rows


def _new_project(folder: str) -> Project:
    path = Path(folder, "project")
    path.mkdir()
    return Project(path)


def _path(workspace: Workspace) -> Path:
    path = workspace.database.path
    assert path is not None
    return path


def rows_of_one_operation(one: Path, many: Path) -> dict[str, list[tuple[object, ...]]]:
    """By table, the last rows of a run of 200: as many as each operation more has brought beside a run of one."""
    with closing(sqlite3.connect(one)) as short, closing(sqlite3.connect(many)) as long:
        tables = [name for (name,) in long.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        found = {}
        for table in tables:
            count = _count(long, table)
            if each := round((count - _count(short, table)) / (OPERATIONS - 1)):
                found[table] = long.execute(f"SELECT * FROM {table} LIMIT {each} OFFSET {count - each}").fetchall()
        return found


def _count(connection: sqlite3.Connection, table: str) -> int:
    (count,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    return int(count)


def _bare_commit(path: Path, rows: dict[str, list[tuple[object, ...]]]) -> float:
    """Median seconds; until the log is used again from its beginning, syncing it also makes it longer."""
    side = Bare(path, rows)
    times = []
    with closing(side.connection):
        for _ in range(2 * COMMITS):
            start = time.perf_counter()
            side.save()
            times.append(time.perf_counter() - start)
    return statistics.median(times[COMMITS:])


def _beside_peers(ours: float, rounds: int) -> Iterator[Result]:
    for peer in CHAIN_PEERS:
        timing = time_chain(peer, rounds)
        if timing.seconds is None:
            yield Result(f"{peer.name} is not measured: {timing.problem}", "-", "", True)
            continue
        ratio = timing.seconds / ours
        what = f"{peer.name} {timing.version} ({peer.keeps}: {timing.seconds * 1e3:.2f} ms)"
        name = f"one operation of a chain: {what} / ours ({ours * 1e3:.2f} ms)"
        target = f">= {LEAST_TIMES_LESS:g}" if peer.limited else ""
        yield Result(name, f"{ratio:.1f}", target, not peer.limited or ratio >= LEAST_TIMES_LESS)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--long", action="store_true", help="also Metaflow, Dagster and Kedro")
    results = measure() + (measure_long() if parser.parse_args().long else [])
    print(f"pipelines ({versions()})")
    for row in results:
        print(f"  {row.figure:>6} {row.target:7} {row.name}")
    return 0 if all(row.met for row in results) else 1


if __name__ == "__main__":
    sys.exit(main())
