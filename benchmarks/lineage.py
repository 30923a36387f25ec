"""A16: lineage and search in a catalog of 100,000 artefacts and 500,000 edges, on one SQLite file, all warm.

Closure: ours is `trace_upstream(reader, id).ids` on a new `Lineage` each time: the artefact's row, one recursive query,
and the ids of all that it reached. Bare is `sqlite3`: the same recursive query (UNION on the node alone) over a file
that holds nothing but the same edges as integers, PRIMARY KEY (child, parent) WITHOUT ROWID, with the same cache and
mmap settings, fetching the integer keys: it looks up no ids. Both sides alternate in one process.
Depth 3: `trace_upstream(reader, id, depth=3)` with every node read (type, name, reference, time).
Search: `type:model_checkpoint metrics.accuracy>0.9 created<7d upstream:REF`, 50 hits at most, for a REF at the very
beginning (nearly everything comes from it), in the middle, at the end, and one that hardly anything comes from.

The graph: one artefact in fifty is a formula, one in five a checkpoint with a metric, the others batches; each has five
earlier parents, nine in ten of them about 200 places back, the rest anywhere. They were saved evenly over a year.
Run as `python benchmarks/lineage.py [artefacts] [rounds]`.
"""

from __future__ import annotations

import gc
import hashlib
import platform
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy

from jeyn.stores.catalog.database import Database
from jeyn.stores.catalog.migrate import ensure_current
from jeyn.stores.catalog.reader import Reader
from jeyn.stores.lineage import trace_upstream
from jeyn.stores.search import search

PARENTS = 5
YEAR = 365 * 86_400 * 1_000_000
LONER = "loner"
PRAGMAS = ("journal_mode=WAL", "cache_size=-65536", "mmap_size=268435456")
CLOSURE = (
    "WITH RECURSIVE reached(key) AS (SELECT parent FROM edge WHERE child = ? "
    "UNION SELECT edge.parent FROM reached JOIN edge ON edge.child = reached.key) SELECT key FROM reached"
)
Row = tuple[Any, ...]


class Result(NamedTuple):
    """Medians in seconds; `bare` is the other side's, where there is one; `figure` is what the target speaks of."""

    name: str
    ours: float
    bare: float | None
    figure: str
    target: str
    met: bool


def graph(size: int) -> list[tuple[int, int]]:
    """(child, parent) by key, children after their parents; the last but one artefact stands alone."""
    chance = random.Random(16)
    edges: list[tuple[int, int]] = []
    for child in range(2, size + 1):
        parents: set[int] = set()
        while len(parents) < min(PARENTS, child - 1):
            back = 1 + int(chance.expovariate(1 / 200)) if chance.random() < 0.9 else chance.randrange(1, child)
            if back < child:
                parents.add(child - back)
        edges.extend((child, parent) for parent in sorted(parents))
    return edges


def kind_of(key: int) -> str:
    if key % 50 == 1:
        return "dataset_formula"
    return "model_checkpoint" if key % 5 == 0 else "dataset_batch"


def artefacts(size: int, now: int) -> Iterator[Row]:
    for key in range(1, size + 2):
        type = "dataset_formula" if key > size else kind_of(key)
        id = hashlib.sha256(str(key).encode()).hexdigest()
        name = LONER if key > size else f"{type}-{key % 97}"
        document = f'{{"body":{{"key":{key},"filler":"{"x" * 600}"}},"name":"{name}","schema":"{type}/1"}}'
        yield key, id, type, f"{type}/1", name, document, "{}", 0, "ann", now - YEAR + YEAR * key // (size + 1), key


def seed(path: Path, edges: list[tuple[int, int]], size: int, now: int) -> None:
    """Rows straight into a migrated catalog, in one transaction."""
    chance = random.Random(61)
    checkpoints = [key for key in range(1, size + 1) if kind_of(key) == "model_checkpoint"]
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO artefact VALUES (?,?,?,?,?,?,?,?,?,?,?)", artefacts(size, now))
        connection.executemany("INSERT INTO edge VALUES (?, ?, 9)", edges)
        metrics = ((key, "accuracy", key, chance.random()) for key in checkpoints)
        connection.executemany("INSERT INTO metric VALUES (?, ?, ?, ?)", metrics)
        numbers = ((f"checkpoint:model_checkpoint-{key % 97}", f"{key}.0.0", key, 0, 0, "", key) for key in checkpoints)
        connection.executemany("INSERT INTO claim VALUES (?,?,?,?,?,?,?,'ann',0,0)", numbers)
        connection.execute("COMMIT")


def bare_file(path: Path, edges: list[tuple[int, int]]) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("CREATE TABLE edge (child INTEGER, parent INTEGER, PRIMARY KEY (child, parent)) WITHOUT ROWID")
    connection.execute("BEGIN")
    connection.executemany("INSERT INTO edge VALUES (?, ?)", edges)
    connection.execute("COMMIT")
    return connection


def measure(size: int = 100_000, rounds: int = 9) -> list[Result]:
    """The three targets of A16."""
    now = time.time_ns() // 1000
    edges = graph(size)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "catalog.db"
        database = Database(f"sqlite:///{path}")
        try:
            ensure_current(database)
            seed(path, edges, size, now)
            with closing(bare_file(Path(folder) / "bare.db", edges)) as bare:
                return _measure(Reader(database), bare, size, rounds, now)
        finally:
            database.dispose()


def _measure(reader: Reader, bare: sqlite3.Connection, size: int, rounds: int, now: int) -> list[Result]:
    id = _id(size)

    def ours() -> int:
        return len(trace_upstream(reader, id).ids)

    def theirs() -> int:
        return len(bare.execute(CLOSURE, (size,)).fetchall())

    if ours() != theirs():
        raise AssertionError(f"{ours()} artefacts are not {theirs()}")
    both = _medians(rounds, ours, theirs)
    ratio = both[0] / both[1]
    name = f"closure of {ours()} with ids / bare keys"
    results = [Result(name, *both, f"{ratio:.2f}", "<= 1.3", ratio <= 1.3)]
    results.append(_within("depth 3, all nodes read", 0.05, rounds, lambda: list(trace_upstream(reader, id, depth=3))))
    places = {
        "first": 1,
        "middle": size // 100 * 50 + 1,
        "near the end": (size - 1500) // 50 * 50 + 1,
        "loner": size + 1,
    }
    for place, key in places.items():
        text = f"type:model_checkpoint metrics.accuracy>0.9 created<7d upstream:{_id(key)}"
        hits = len(search(reader, text, now=now))
        name = f"search, upstream {place} ({hits} hits)"
        results.append(_within(name, 0.1, rounds, lambda text=text: search(reader, text, now=now)))  # type: ignore[misc]
    return results


def _id(key: int) -> str:
    return f"sha256:{hashlib.sha256(str(key).encode()).hexdigest()}"


def _within(name: str, limit: float, rounds: int, ours: Callable[[], object]) -> Result:
    (median,) = _medians(rounds, ours)
    return Result(name, median, None, f"{median * 1000:.1f} ms", f"< {limit * 1000:.0f} ms", median < limit)


def _medians(rounds: int, *sides: Callable[[], object]) -> list[float]:
    """Alternating runs, each side first in every other round; the first round warms up and does not count."""
    times: list[list[float]] = [[] for _ in sides]
    for n in range(rounds + 1):
        for place in range(len(sides)) if n % 2 else reversed(range(len(sides))):
            gc.collect()
            started = time.perf_counter()
            sides[place]()
            if n:
                times[place].append(time.perf_counter() - started)
    return [statistics.median(each) for each in times]


def main() -> int:
    size, rounds = (int(value) for value in (sys.argv[1:] + ["100000", "9"][len(sys.argv) - 1 :])[:2])
    versions = (
        f"SQLite {sqlite3.sqlite_version}, SQLAlchemy {sqlalchemy.__version__}, Python {platform.python_version()}"
    )
    print(f"lineage: {size} artefacts with {PARENTS} parents each, medians of {rounds}; {versions}")
    results = measure(size, rounds)
    for row in results:
        bare = "" if row.bare is None else f"{row.bare * 1000:8.1f} ms"
        print(f"  {row.name:48} {row.ours * 1000:8.1f} ms {bare:11}  {row.figure:>9}  {row.target}")
    return 0 if all(row.met for row in results) else 1


if __name__ == "__main__":
    sys.exit(main())
