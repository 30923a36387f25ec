"""`kill -9` at random moments while saving: nothing that was saved is missing, and the same save succeeds."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import jeyn
from jeyn import Workspace
from tests.stores.digits import DIGITS, READER, rows

LONGEST_MS = 60
HARMLESS = {"orphaned"}

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


def _save_until_killed(workspace: Workspace, first: int, ready: int) -> None:
    os.write(ready, b"!")
    for seed in range(first, first + 10**6):
        _save(workspace, seed)


def _save(workspace: Workspace, seed: int) -> tuple[str, str]:
    """A batch with a payload, a checkpoint with another, and its promotion: what a training run saves."""
    batch = workspace.dataset_store.save_batch(DIGITS.new_table(rows(seed)))
    model = {"weights": np.full(2000, float(seed))}
    checkpoint = workspace.model_store.save_checkpoint(READER.update_patch(dataset=batch, model=model))
    workspace.model_store.bless(checkpoint)
    return batch.id, checkpoint.id


def _killed_child(workspace: Workspace, first: int, after_s: float) -> None:
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            _save_until_killed(workspace, first, writes)
        finally:
            os._exit(3)  # only an error gets here
    assert os.read(reads, 1) == b"!"
    time.sleep(after_s)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    os.close(reads)
    os.close(writes)
    assert os.WIFSIGNALED(status), f"the child failed by itself: {status}"


def kill_many(workspace: Workspace, times: int, fsck_every: int) -> None:
    chance = random.Random(20)
    # The parent is warm, so that its children save from their first moment on.
    kept = set(_save(workspace, 1))
    for n in range(times):
        first = 100 + 1000 * n
        _killed_child(workspace, first, chance.uniform(1, LONGEST_MS) / 1000)
        # The save that was cut off, done again; and another after it.
        kept.update(_save(workspace, first), _save(workspace, first + 999))
        if n % fsck_every == 0 or n == times - 1:
            _check(workspace, kept)


def _check(workspace: Workspace, kept: set[str]) -> None:
    findings = workspace.fsck()
    assert set(findings.counts) <= HARMLESS, str(findings)
    assert all(workspace.reader.row(id) for id in kept)
    epochs = [int(claimed.number) for claimed in workspace.reader.claims(f"batch:{DIGITS.record().id[7:]}")]
    assert epochs == list(range(1, len(epochs) + 1))
    seqs = sorted({e.seq for e in workspace.events(limit=10**6)})
    assert seqs == list(range(1, len(seqs) + 1))
    assert workspace.model_store.get_checkpoint("digit-reader@blessed").load()["weights"].shape == (2000,)


@pytest.fixture
def on_sqlite(home: Path) -> Iterator[Workspace]:
    with jeyn.open(home=home) as opened:
        yield opened


def test_kill_9_at_100_random_moments(on_sqlite: Workspace) -> None:
    kill_many(on_sqlite, 100, fsck_every=20)


def test_kill_9_on_both_databases(workspace: Workspace) -> None:
    kill_many(workspace, 10, fsck_every=5)


def test_a_killed_process_saved_something(on_sqlite: Workspace) -> None:
    """The test above would hold for children that never come to save."""
    _save(on_sqlite, 1)
    before = len(on_sqlite.events(limit=10**6))
    for n in range(10):
        _killed_child(on_sqlite, 1000 * n + 100, LONGEST_MS / 1000)
    assert len(on_sqlite.events(limit=10**6)) > before + 10
