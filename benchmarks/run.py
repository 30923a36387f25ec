"""Every measured figure in one table: name, measured, limit, whether it holds, and the versions it was measured with.

Run as `python benchmarks/run.py [--long] [NAME …]`; the exit code is 1 when a limit is missed.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from collections.abc import Callable, Iterable
from importlib.metadata import version
from typing import NamedTuple

import compile
import imports
import lineage
import loads
import many_operations
import payloads
import pipelines
import pods
import saves
import validation

SHOWN = ("sqlalchemy", "pyarrow", "numpy")


class Figure(NamedTuple):
    """One line of the table; `limit` is empty where a figure is only shown."""

    name: str
    measured: str
    limit: str
    ok: bool


def from_imports() -> Iterable[Figure]:
    found = imports.measure()
    ratio = float(found["ratio"])
    yield Figure("import jeyn / python -c pass", f"{ratio:.2f}", f"<= {imports.LIMIT:g}", ratio <= imports.LIMIT)
    ratio, most = float(found["ratio of help"]), imports.MOST_TIMES_CLICK
    yield Figure("jeyn --help / python -c 'import click'", f"{ratio:.2f}", f"<= {most:g}", ratio <= most)


def from_validation() -> Iterable[Figure]:
    found = validation.measure()
    for name, figures in found.items():
        if isinstance(figures, dict) and "ratio" in figures:
            ratio = figures["ratio"]
            yield Figure(
                f"validate {found['rows']:,} rows / min_max, {name}",
                f"{ratio:.2f}",
                f"<= {validation.LIMIT:g}",
                ratio <= validation.LIMIT,
            )


def from_payloads() -> Iterable[Figure]:
    for row in payloads.measure():
        yield Figure(f"payload: {row.name}", f"{row.ratio:.2f}", row.target, row.met)


def from_lineage() -> Iterable[Figure]:
    for row in lineage.measure():
        yield Figure(row.name, row.figure, row.target, row.met)


def of(measure: Callable[[], Iterable[saves.Result]]) -> Callable[[], Iterable[Figure]]:
    """The figures of a benchmark whose rows already have the table's four parts."""
    return lambda: (Figure(*row) for row in measure())


MODULES: dict[str, Callable[[], Iterable[Figure]]] = {
    "imports": from_imports,
    "validation": from_validation,
    "payloads": from_payloads,
    "loads": of(loads.measure),
    "saves": of(saves.measure),
    "lineage": from_lineage,
    "pipelines": of(pipelines.measure),
    "many operations": of(many_operations.measure),
    "compile": of(compile.measure),
    "pods": of(pods.measure),
}
LONG: dict[str, Callable[[], Iterable[Figure]]] = {
    "large loads": of(loads.measure_long),
    "many saves": of(saves.measure_long),
    "pipelines of peers": of(pipelines.measure_long),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join([*MODULES, *LONG])}")
    parser.add_argument("--long", action="store_true", help="also what takes many minutes")
    asked = parser.parse_args()
    every = MODULES | LONG
    unknown = sorted(set(asked.names) - set(every))
    if unknown:
        parser.error(f'no benchmark is called "{unknown[0]}"; there is {", ".join(every)}')
    chosen = asked.names or [*MODULES, *(LONG if asked.long else ())]
    figures = [figure for name in chosen for figure in _run(name, every[name])]
    print(f"\n{_versions()}\n")
    for figure in figures:
        verdict = ("ok" if figure.ok else "MISSED") if figure.limit else ""
        print(f"{figure.measured:>9}  {figure.limit:<9} {verdict:<7} {figure.name}")
    return 0 if all(figure.ok for figure in figures) else 1


def _run(name: str, measure: Callable[[], Iterable[Figure]]) -> list[Figure]:
    start = time.perf_counter()
    figures = list(measure())
    print(f"{name}: measured in {time.perf_counter() - start:.0f} s", file=sys.stderr)
    return figures


def _versions() -> str:
    libraries = ", ".join(f"{name} {version(name)}" for name in SHOWN)
    return f"Python {platform.python_version()}, {libraries}, Linux {platform.release()}, {platform.machine()}"


if __name__ == "__main__":
    sys.exit(main())
