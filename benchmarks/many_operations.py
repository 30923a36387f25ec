"""B14: a thousand operations that are all cached, a fan-out of a thousand, and planning ten thousand, in seconds.

Run as `python benchmarks/many_operations.py`; each figure is the median of several rounds on homes of their own.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

from pipelines import Project
from saves import Result, versions

from jeyn.workflows.planning import make_plan

CACHED, FANNED_OUT, PLANNED = 1_000, 1_000, 10_000
MOST_CACHED, MOST_FANNED_OUT, MOST_PLANNED = 1.0, 5.0, 2.0


def measure(rounds: int = 3) -> list[Result]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "project")
        path.mkdir()
        project = Project(path)
        chained = _cached(project, rounds, "chain", length=CACHED)
        fanned_out, again = _fan_out(project, rounds)
        planned = _planned(project, rounds)
    return [
        _row(f"a chain of {CACHED:,} operations, all cached", chained, MOST_CACHED),
        _row(f"a fan-out of {FANNED_OUT:,} operations, all cached", again, MOST_CACHED),
        _row(f"a fan-out of {FANNED_OUT:,} operations on a new home", fanned_out, MOST_FANNED_OUT),
        _row(f"planning a chain of {PLANNED:,} operations, with every check", planned, MOST_PLANNED),
    ]


def _row(name: str, seconds: float, most: float) -> Result:
    return Result(f"{name} (s)", f"{seconds:.2f}", f"< {most:g}", seconds < most)


def _cached(project: Project, rounds: int, name: str, **arguments: int) -> float:
    with project.new_home() as workspace:
        project.timed(workspace, name, **arguments)
        walls = []
        for _ in range(rounds):
            wall, run = project.timed(workspace, name, **arguments)
            states = {operation.state for operation in run.operations}
            assert states == {"cached"}, f"not all were cached: {states}"
            walls.append(wall)
    return statistics.median(walls)


def _fan_out(project: Project, rounds: int) -> tuple[float, float]:
    """Seconds of a fan-out on a new home, and of the same run again."""
    new = []
    for _ in range(rounds):
        with project.new_home() as workspace:
            wall, _ = project.timed(workspace, "fan_out", count=FANNED_OUT)
            new.append(wall)
    return statistics.median(new), _cached(project, rounds, "fan_out", count=FANNED_OUT)


def _planned(project: Project, rounds: int) -> float:
    walls = []
    with project.new_home() as workspace:
        for _ in range(rounds):
            pipeline = project.pipeline("chain")
            start = time.perf_counter()
            planned = make_plan(pipeline, {"length": PLANNED}, root=project.folder, workspace=workspace)
            walls.append(time.perf_counter() - start)
            assert len(planned.plan.operations) == PLANNED, len(planned.plan.operations)
    return statistics.median(walls)


def main() -> int:
    results = measure()
    print(f"many operations ({versions()})")
    for row in results:
        print(f"  {row.figure:>6} {row.target:7} {'OK' if row.met else 'OVER':5} {row.name}")
    return 0 if all(row.met for row in results) else 1


if __name__ == "__main__":
    sys.exit(main())
