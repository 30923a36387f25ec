"""Archives that were altered a thousand times: refused in the right way, or harmless; never a crash, never all memory.

What is loaded is asked too, in a process of its own whose memory is bounded (`victims.py`).
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stores.serializers.victims import VICTIMS

pytest.importorskip("sklearn", reason="most of these are models of scikit-learn")
pytest.importorskip("skops", reason="the sklearn serializer needs skops")
ROOT = Path(__file__).parents[3]
PATIENCE = 250
# Refused: what is missing or changed here 3 and 6, damaged 5, not trusted 8.
REFUSALS = {"3", "5", "6", "8"}
MAIN = {
    "trees": ["tree", "forest", "gradient", "histogram", "isolation", "random state"],
    "distances": ["kd tree", "ball tree", "brute", "sparse neighbours", "kmeans", "birch", "svc", "svc on sparse"],
    "encoders": ["one hot", "counts", "dicts", "hashed", "many labels", "spline", "isotonic", "process"],
    "libraries": [name for name in ("lightgbm", "xgboost", "onnx", "torch module") if name in VICTIMS],
    "values": ["array", "arrays", "table", "nested table", "dated frame", "polars nested", "json", "bundle"],
}
QUICK = 12
LONG, PARTS = 1000, 4


@pytest.mark.parametrize("family", MAIN)
def test_an_altered_archive_is_refused_or_harmless(family: str) -> None:
    tally = altered([(name, 0, QUICK) for name in MAIN[family]])
    assert sum(tally.values()) == QUICK * len(MAIN[family])
    assert tally["refused"] > QUICK and tally["loaded"] > 1


@pytest.mark.long
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("name", VICTIMS)
def test_a_thousand_alterations_are_refused_or_harmless(name: str, part: int) -> None:
    size = LONG // PARTS
    tally = altered([(name, part * size, (part + 1) * size)])
    assert sum(tally.values()) == size
    assert tally["refused"] > 0


def altered(jobs: list[tuple[str, int, int]]) -> Counter[str]:
    """How many were refused and how many were loaded; fails with the seed of what was neither."""
    tally: Counter[str] = Counter()
    last = "nothing"
    for line in lines_of(jobs):
        kind, first, rest = line.split("\t")
        if kind == "try":
            last = f"{first}, seed {rest}"
            continue
        is_refused = first in REFUSALS
        assert kind == "loaded" or is_refused, f"{last}: {line}"
        tally["refused" if is_refused and kind != "loaded" else "loaded"] += 1
    return tally


def lines_of(jobs: list[tuple[str, int, int]]) -> Iterator[str]:
    command = [sys.executable, "-m", "tests.stores.serializers.victims", json.dumps(jobs)]
    # One thread: memory is bounded, and each thread of a library takes its share of it.
    settings = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
    with subprocess.Popen(
        command, cwd=ROOT, env=settings, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        try:
            yield from _read(child)
        finally:
            child.kill()


def _read(child: subprocess.Popen[str]) -> Iterator[str]:
    assert child.stdout is not None and child.stderr is not None
    said, last = "", "the start"
    while select.select([child.stdout], [], [], PATIENCE)[0]:
        piece = os.read(child.stdout.fileno(), 1 << 16).decode()
        if not piece:
            code = child.wait(timeout=PATIENCE)
            assert code == 0, f"ended with {code} at {last!r}: {child.stderr.read()[-2000:]}"
            return
        *lines, said = (said + piece).split("\n")
        for line in lines:
            last = line
            yield line
    raise AssertionError(f"no answer for {PATIENCE} s at {last!r}")
