"""A14 and A15: what saving costs beside a bare SQLite transaction, beside peers, and in a catalog of a million.

A14: ours is `save_evaluation` of a new evaluation of a saved checkpoint: an artefact with one relationship, one metric
and one event. Bare is `sqlite3` in WAL with `synchronous=FULL`: BEGIN IMMEDIATE, the very rows that our save wrote into
plain tables without keys, indexes or triggers, COMMIT. Blocks of both alternate in one process; medians, and the median
of several folders.
A15 (`--long`): blocks of saves alternate between a catalog of 10,000 artefacts and one of 1,000,000, both seeded by
bulk SQL with as many edges, metrics and events as saving would have made.
Run as `python benchmarks/saves.py [--long] [--no-peers]`.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import platform
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import numpy as np
import sqlalchemy
from peers import PEERS, time_peer

import jeyn
from jeyn import DataCatalog, DatasetFormula, Dtypes, Feature, MlUseCase, ModelCheckpoint, Workspace
from jeyn.sdk.evaluation import Evaluation

MOST_TIMES_BARE = 3.0
LEAST_OF_RATE = 0.8
SMALL, LARGE = 10_000, 1_000_000
CHUNK = 50_000
WARM = 600


class Result(NamedTuple):
    """One figure against its limit; `target` is empty where a figure is only shown."""

    name: str
    figure: str
    target: str
    met: bool


class Digits(DataCatalog):
    x = Feature(Dtypes.FLOAT64)


class Saves:
    """A home with one checkpoint, and evaluations of it that never were there before."""

    def __init__(self, home: Path) -> None:
        self.workspace: Workspace = jeyn.open(home=home)
        formula = DatasetFormula("digits", version="1.0.0", output_catalog=Digits)
        batch = self.workspace.dataset_store.save_batch(formula.new_table({"x": [1.0, 2.0]}))
        use_case = MlUseCase("reader", input_catalog=Digits, output_catalog=Digits)
        checkpoint = use_case.update_minor(dataset=batch, model=np.zeros(4))
        self.checkpoint: ModelCheckpoint = self.workspace.model_store.save_checkpoint(checkpoint)
        self.saved = 0

    def save(self) -> None:
        self.saved += 1
        self.workspace.model_store.save_evaluation(self.checkpoint, None, {"accuracy": self.saved + 0.5})

    def rows(self) -> dict[str, list[tuple[object, ...]]]:
        """All that one save writes: the rows of the artefact, its edge, its metric and its event."""
        self.save()
        path = self.workspace.database.path
        assert path is not None
        with closing(sqlite3.connect(path)) as connection:
            (key, seq) = connection.execute("SELECT key, seq FROM artefact ORDER BY key DESC LIMIT 1").fetchone()
            wanted = {
                "artefact": ("key", key),
                "edge": ("child", key),
                "metric": ("source", key),
                "event": ("seq", seq),
            }
            return {
                table: connection.execute(f"SELECT * FROM {table} WHERE {column} = ?", (value,)).fetchall()
                for table, (column, value) in wanted.items()
            }

    def document(self) -> bytes:
        return Evaluation("reader", self.checkpoint.id, None, {"accuracy": 0.5}).record().document


class Bare:
    """The bytes of one save into plain tables without keys, indexes or triggers, with the same durability."""

    def __init__(self, path: Path, rows: dict[str, list[tuple[object, ...]]]) -> None:
        self.connection = sqlite3.connect(path, isolation_level=None)
        self.connection.execute("PRAGMA journal_mode=WAL")
        self.connection.execute("PRAGMA synchronous=FULL")
        self.inserts: list[tuple[str, tuple[object, ...]]] = []
        for table, values in rows.items():
            columns = [f"c{n}" for n in range(len(values[0]))]
            self.connection.execute(f"CREATE TABLE {table} ({', '.join(columns)})")
            insert = f"INSERT INTO {table} VALUES ({', '.join('?' * len(columns))})"
            self.inserts += [(insert, row) for row in values]

    def save(self) -> None:
        run = self.connection.execute
        run("BEGIN IMMEDIATE")
        for insert, row in self.inserts:
            run(insert, row)
        run("COMMIT")


def measure(folders: int = 7, blocks: int = 6, size: int = 100, peers: bool = True) -> list[Result]:
    """A14, with the factors over the peers that can be installed here.

    Where a disk puts a file changes what syncing it costs by a third, so each side has several files.
    """
    ratio, ours, theirs, setting = sorted(_in_new_folder(blocks, size) for _ in range(folders))[folders // 2]
    sides = f"save with one edge ({ours * 1e3:.2f} ms) / the same rows in bare SQLite ({theirs * 1e3:.2f} ms)"
    name = f"{sides}, both {setting}"
    results = [Result(name, f"{ratio:.2f}", f"<= {MOST_TIMES_BARE:g}", ratio <= MOST_TIMES_BARE)]
    return results + (list(_beside_peers(ours, setting)) if peers else [])


def _in_new_folder(blocks: int, size: int) -> tuple[float, float, float, str]:
    with tempfile.TemporaryDirectory() as folder:
        saves = Saves(Path(folder) / "home")
        bare = Bare(Path(folder) / "bare.db", saves.rows())
        with saves.workspace, closing(bare.connection):
            # Until the log is used again from its beginning, syncing it also makes it longer.
            for _ in range(WARM):
                saves.save()
                bare.save()
            ours, theirs = alternate(blocks, size, saves.save, bare.save)
            return ours / theirs, ours, theirs, _setting(saves.workspace)


def measure_long(blocks: int = 20, size: int = 500) -> list[Result]:
    """A15: the rate of saving at a million artefacts over the rate at ten thousand."""
    with tempfile.TemporaryDirectory() as folder:
        few, many = (Saves(Path(folder) / name) for name in ("few", "many"))
        with few.workspace, many.workspace:
            for saves, count in ((few, SMALL), (many, LARGE)):
                seed(saves, count)
            at_few, at_many = alternate(blocks, size, few.save, many.save)
    rate = at_few / at_many
    name = f"rate of saving at {LARGE:,} ({at_many * 1e3:.2f} ms) / at {SMALL:,} ({at_few * 1e3:.2f} ms)"
    return [Result(name, f"{rate:.2f}", f">= {LEAST_OF_RATE:g}", rate >= LEAST_OF_RATE)]


def alternate(blocks: int, size: int, *sides: Callable[[], None]) -> list[float]:
    """The median seconds of one call of each side, from blocks by turns; the first of each warms up."""
    times: list[list[float]] = [[] for _ in sides]
    for block in range(blocks + 1):
        for side, taken in zip(sides, times, strict=True):
            gc.collect()
            for _ in range(size):
                start = time.perf_counter()
                side()
                if block:
                    taken.append(time.perf_counter() - start)
    return [statistics.median(taken) for taken in times]


def _setting(workspace: Workspace) -> str:
    with workspace.database.read() as connection:
        journal = connection.exec_driver_sql("PRAGMA journal_mode").scalar_one()
        level = connection.exec_driver_sql("PRAGMA synchronous").scalar_one()
    return f"journal_mode={journal}, synchronous={('OFF', 'NORMAL', 'FULL', 'EXTRA')[level]}"


def _beside_peers(ours: float, setting: str) -> Iterator[Result]:
    for peer in PEERS:
        timing = time_peer(peer, count=200)
        if timing.seconds is None:
            yield Result(f"{peer.name} is not measured: {timing.problem}", "-", "", True)
            continue
        what = f"{peer.name} {timing.version} ({timing.seconds * 1e3:.2f} ms, {timing.durability}) / ours ({setting})"
        yield Result(what, f"{timing.seconds / ours:.1f}", "", True)


def seed(saves: Saves, count: int) -> None:
    """Evaluations by bulk SQL, each of an earlier artefact, as if each had been saved by itself."""
    path = saves.workspace.database.path
    assert path is not None
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA cache_size=-524288")
        triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        (first,) = connection.execute("SELECT max(key) + 1 FROM artefact").fetchone()
        (seq,) = connection.execute("SELECT seq + 1 FROM catalog_clock").fetchone()
        connection.execute("BEGIN IMMEDIATE")
        # They would look up every row, and no row is there twice.
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        for start in range(0, count, CHUNK):
            _insert(connection, saves, first + start, seq + start, min(CHUNK, count - start))
        connection.execute("UPDATE catalog_clock SET seq = ?", (seq + count,))
        for _, statement in triggers:
            connection.execute(statement)
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _insert(connection: sqlite3.Connection, saves: Saves, key: int, seq: int, count: int) -> None:
    text, now = saves.document().decode(), time.time_ns() // 1000
    ids = {n: hashlib.sha256(f"{key + n}".encode()).hexdigest() for n in range(count)}
    rows = {
        "artefact (key, id, type, schema, name, document, facts, quarantined, actor, at, seq)": (
            (key + n, id, "evaluation", "evaluation/1", "reader", text, "{}", 0, "ada", now + n, seq + n)
            for n, id in ids.items()
        ),
        "edge (child, parent, type)": ((key + n, 1 + (key + n) // 2, 10) for n in range(count)),
        "metric (subject, name, source, value)": (
            (1 + (key + n) // 2, "accuracy", key + n, n / count) for n in range(count)
        ),
        "event (seq, position, kind, subject, data, actor, at)": (
            (seq + n, 0, "jeyn.evaluation.saved", f"sha256:{id}", '{"name": "reader"}', "ada", now + n)
            for n, id in ids.items()
        ),
    }
    for table, values in rows.items():
        places = ", ".join("?" * (table.count(",") + 1))
        connection.executemany(f"INSERT INTO {table} VALUES ({places})", values)


def versions() -> str:
    return f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, SQLAlchemy {sqlalchemy.__version__}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--long", action="store_true", help="A15, which seeds a million artefacts")
    parser.add_argument("--no-peers", action="store_true", help="leave out ml-metadata and MLflow")
    asked = parser.parse_args()
    results = measure(peers=not asked.no_peers) + (measure_long() if asked.long else [])
    print(f"saves ({versions()})")
    for row in results:
        print(f"  {row.figure:>6} {row.target:7} {row.name}")
    return 0 if all(row.met for row in results) else 1


if __name__ == "__main__":
    sys.exit(main())
