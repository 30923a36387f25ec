"""Loading two of eight columns against plain pyarrow on the same files, both sides in one run and by turns.

Time when the stat cache vouches for the files, time when it does not (one hash pass more), and peak memory, each side
in a process of its own. Run as `python benchmarks/loads.py [ROWS]`; the long form has 20 million rows.
"""

from __future__ import annotations

import hashlib
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import jeyn
from jeyn import DataCatalog, Dtypes, Feature, Workspace
from jeyn.formulas import StreamingFormula
from jeyn.stores.stat_cache import RACY_NS

ROWS, LONG_ROWS, ROUNDS = 8_000_000, 20_000_000, 9
# How many files the rows are in; memory is that of the fewest.
FILES = (4, 8, 200)
COLUMNS = ["a", "e"]
MOST_TIMES, MOST_MEMORY = 1.5, 1.5


class Eight(DataCatalog):
    a = Feature(Dtypes.FLOAT64)
    b = Feature(Dtypes.FLOAT64)
    c = Feature(Dtypes.FLOAT64)
    d = Feature(Dtypes.FLOAT64)
    e = Feature(Dtypes.INT64)
    f = Feature(Dtypes.INT64)
    g = Feature(Dtypes.INT64)
    h = Feature(Dtypes.INT64)


class Result(NamedTuple):
    """A line of the table of all benchmarks."""

    name: str
    measured: str
    limit: str
    ok: bool


def measure(rows: int = ROWS) -> Iterator[Result]:
    for files in FILES:
        yield from _measure(rows, files)


def _measure(rows: int, files: int) -> Iterator[Result]:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        _write(root / "data", rows, files)
        with jeyn.open(home=root / "home", data=root / "data") as workspace:
            formula = StreamingFormula("eight", version="1.0.0", output_catalog=Eight, source="*.parquet")
            batch = workspace.dataset_store.save_batch(formula.get_new_batch())
            # What was written this moment is not vouched for.
            time.sleep(RACY_NS / 1e9 + 0.2)
            paths = [str(workspace.payloads.local_path(file.digest[7:])) for file in batch.files]
            name = f"load 2 of 8 columns, {rows:,} rows in {files} files"
            yield from _times(name, workspace, batch, paths)
        if files == FILES[0]:
            yield _memory(name, root, paths)


def measure_long() -> Iterator[Result]:
    return measure(LONG_ROWS)


def _times(name: str, workspace: Workspace, batch: Any, paths: list[str]) -> Iterator[Result]:
    def forget() -> None:
        for file in batch.files:
            workspace.stat_cache.forget(workspace.payloads.url, file.digest[7:])

    def unvouched() -> None:
        forget()
        batch.load(columns=COLUMNS)

    def hashed() -> None:
        for path in paths:
            with Path(path).open("rb") as file:
                hashlib.file_digest(file, "sha256")
        pq.read_table(paths, columns=COLUMNS)

    batch.load(columns=COLUMNS)
    seconds = _alternate(
        {
            "vouched": lambda: batch.load(columns=COLUMNS),
            "plain": lambda: pq.read_table(paths, columns=COLUMNS),
        }
    )
    yield _times_of(f"{name} / pyarrow", seconds["vouched"], seconds["plain"])
    seconds = _alternate({"unvouched": unvouched, "hashed": hashed})
    yield _times_of(f"{name}, unvouched / hash and pyarrow", seconds["unvouched"], seconds["hashed"])


def _alternate(sides: dict[str, Callable[[], object]]) -> dict[str, float]:
    seconds: dict[str, list[float]] = {side: [] for side in sides}
    for turn in range(ROUNDS + 1):
        for side, work in sides.items():
            started = time.perf_counter()
            work()
            # The first round warms both sides up.
            if turn:
                seconds[side].append(time.perf_counter() - started)
    return {side: statistics.median(times) for side, times in seconds.items()}


_PEAK = """
import json, re, sys
from pathlib import Path
import pyarrow as pa, pyarrow.dataset, pyarrow.parquet as pq
home, paths, columns = json.loads(sys.argv[1])
if home:
    import jeyn
    batch = jeyn.open(home=home).get("batch:eight@1.0.0/1")
    table = batch.load(columns=columns)
else:
    table = pq.read_table(paths, columns=columns)
print(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
"""


def _memory(name: str, root: Path, paths: list[str]) -> Result:
    ours, plain = (
        int(
            subprocess.run(
                [sys.executable, "-c", _PEAK, json.dumps([home, paths, COLUMNS])],
                capture_output=True,
                text=True,
                check=True,
            ).stdout
        )
        for home in (str(root / "home"), "")
    )
    return _ratio(f"{name}, peak memory of the process / pyarrow", ours / 1024, plain / 1024, MOST_MEMORY)


def _times_of(name: str, ours: float, plain: float) -> Result:
    return _ratio(f"{name} ({ours * 1000:.0f} / {plain * 1000:.0f} ms)", ours, plain, MOST_TIMES)


def _ratio(name: str, ours: float, plain: float, most: float) -> Result:
    return Result(name, f"{ours / plain:.2f}", f"<= {most:g}", ours / plain <= most)


def _write(folder: Path, rows: int, files: int) -> None:
    folder.mkdir()
    random = np.random.default_rng(1)
    for number in range(files):
        columns = {
            name: random.random(rows // files) if name in "abcd" else random.integers(0, 1000, rows // files)
            for name in Eight.features
        }
        pq.write_table(pa.table(columns), folder / f"{number:03}.parquet")


def main() -> int:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    print(f"loads; Python {platform.python_version()}, pyarrow {pa.__version__}")
    found = list(measure(rows))
    for row in found:
        print(f"  {row.measured:>6}  {row.limit:<8} {row.name}")
    return 0 if all(row.ok for row in found) else 1


if __name__ == "__main__":
    sys.exit(main())
