"""A17: payloads in a folder against the same work in bare Python, on one file, in alternating runs.

Run as `python benchmarks/payloads.py [MB] [rounds]`. The file is warm (in the page cache) on both sides.
"""

from __future__ import annotations

import gc
import hashlib
import os
import platform
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from jeyn.stores.payloads import FilePayloads, hash_file

MB = 1 << 20


class Row(NamedTuple):
    """Medians in seconds; `ratio` is what the target speaks of, and `met` whether it holds."""

    name: str
    ours: float
    bare: float
    ratio: float
    target: str
    met: bool


class Bench:
    """One file of `size` bytes, and what is done with it on either side."""

    def __init__(self, folder: Path, size: int) -> None:
        self.source, self.copy = folder / "source", folder / "copy"
        self.store = FilePayloads(folder / "payloads")
        block = os.urandom(MB)
        with self.source.open("wb") as file:
            for n in range(size // MB):
                file.write(n.to_bytes(8, "big") + block[8:])
            os.fsync(file.fileno())
        # A file written this moment would be hashed twice.
        time.sleep(0.1)
        self.digest = self.hash()

    def hash(self) -> str:
        with self.source.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def hash_copy_and_sync(self) -> None:
        self.hash()
        shutil.copyfile(self.source, self.copy)
        with self.copy.open("rb") as file:
            os.fsync(file.fileno())

    def save(self) -> None:
        hashed = hash_file(self.source)
        self.store.put(hashed.digest, hashed)

    def stream(self) -> None:
        buffer = bytearray(MB // 4)
        with self.store.open(self.digest) as reader:
            while reader.readinto(buffer):  # type: ignore[attr-defined]
                pass

    def read(self) -> None:
        self.store.read(self.digest)

    def hash_stored(self) -> None:
        path = self.store.local_path(self.digest)
        assert path is not None
        with path.open("rb") as file:
            hashlib.file_digest(file, "sha256")

    def forget(self) -> None:
        self.store.delete(self.digest)
        self.copy.unlink(missing_ok=True)
        os.sync()


def measure(size: int = 1024 * MB, rounds: int = 5) -> list[Row]:
    """The three targets of A17, and `read()`, which also makes one `bytes` object of everything."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), size)
        written = _alternate(bench.save, bench.hash_copy_and_sync, rounds, bench.forget)
        bench.save()
        streamed = _alternate(bench.stream, bench.hash_stored, rounds)
        read = _alternate(bench.read, bench.hash_stored, rounds)
        again = _alternate(bench.save, bench.hash, rounds)
    return [
        _speed("write / hash, copy and fsync", *written, at_least=0.7),
        _speed("verified read, open() / file_digest", *streamed, at_least=0.9),
        _speed("verified read, read() / file_digest", *read),
        _passes("save what is there, in hash passes", *again, at_most=1.1),
    ]


def _alternate(
    ours: Callable[[], None], bare: Callable[[], object], rounds: int, between: Callable[[], None] = lambda: None
) -> tuple[float, float]:
    times: dict[Callable[[], object], list[float]] = {ours: [], bare: []}
    for n in range(rounds + 1):
        for side in (ours, bare) if n % 2 else (bare, ours):
            between()
            gc.collect()
            started = time.perf_counter()
            side()
            # The first round warms both sides up.
            if n:
                times[side].append(time.perf_counter() - started)
    between()
    return statistics.median(times[ours]), statistics.median(times[bare])


def _speed(name: str, ours: float, bare: float, at_least: float | None = None) -> Row:
    ratio = bare / ours
    return Row(name, ours, bare, ratio, f">= {at_least}" if at_least else "", at_least is None or ratio >= at_least)


def _passes(name: str, ours: float, bare: float, at_most: float) -> Row:
    return Row(name, ours, bare, ours / bare, f"<= {at_most}", ours / bare <= at_most)


def main() -> int:
    size, rounds = (int(value) for value in (sys.argv[1:] + ["1024", "5"][len(sys.argv) - 1 :])[:2])
    print(f"payloads: {size} MB, medians of {rounds}; Python {platform.python_version()}, {platform.release()}")
    rows = measure(size * MB, rounds)
    for row in rows:
        print(f"  {row.name:38} {row.ours:8.3f} s {row.bare:8.3f} s  {row.ratio:5.2f}  {row.target}")
    return 0 if all(row.met for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
