"""Many processes save into one catalog at once: no error, nothing lost, no number given twice and none left out."""

from __future__ import annotations

import multiprocessing
import time
from collections import Counter
from typing import Any

import numpy as np
import pytest

from jeyn import DatasetBatch, MlUseCase, Workspace
from tests.stores.digits import Digits, Scores, a_batch

PROCESSES = 32
USE_CASES = [MlUseCase(f"reader-{n}", input_catalog=Digits.only("x"), output_catalog=Scores) for n in range(4)]

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


def _save_many(workspace: Workspace, batch: DatasetBatch, process: int, saves: int, start: Any, done: Any) -> None:
    """Checkpoints with bytes of their own, and between them one that every process saves."""
    saved: list[tuple[str, str, str]] = []
    start.wait(timeout=120)
    try:
        for n in range(saves):
            use_case = USE_CASES[(process + n) % len(USE_CASES)]
            shared = n % 10 == 9
            model = np.array([-1.0, n]) if shared else np.array([float(process), n])
            checkpoint = use_case.update_patch(dataset=batch, model=model)
            found = workspace.model_store.save_checkpoint(checkpoint)
            saved.append((use_case.name, str(found.version), found.id))
        done.put((saved, ""))
    except BaseException as exc:
        done.put((saved, f"{type(exc).__name__}: {exc}"))


def save_at_once(workspace: Workspace, saves: int) -> None:
    batch = a_batch(workspace)
    context = multiprocessing.get_context("fork")
    start, done = context.Barrier(PROCESSES), context.Queue()
    children = [
        context.Process(target=_save_many, args=(workspace, batch, n, saves, start, done), daemon=True)
        for n in range(PROCESSES)
    ]
    started = time.perf_counter()
    for child in children:
        child.start()
    answers = [done.get(timeout=900) for _ in children]
    for child in children:
        child.join(timeout=60)
    print(
        f"{PROCESSES} processes x {saves} saves: {time.perf_counter() - started:.1f} s on {workspace.database.dialect}"
    )
    assert [problem for _, problem in answers if problem] == []
    check(workspace, [one for saved, _ in answers for one in saved], saves)


def check(workspace: Workspace, saved: list[tuple[str, str, str]], saves: int) -> None:
    assert len(saved) == PROCESSES * saves
    given = {}
    for name, version, id in saved:
        assert given.setdefault((name, version), id) == id, f"{name}@{version} was given twice"
    assert Counter(id for _, _, id in saved).keys() == set(given.values())
    for use_case in USE_CASES:
        stored = {c.number: c.id for c in workspace.reader.claims(f"checkpoint:{use_case.name}")}
        assert stored == {version: id for (name, version), id in given.items() if name == use_case.name}
        assert sorted(map(_patch, stored)) == list(range(1, len(stored) + 1)), "the versions have a gap"
    seqs = [e.seq for e in workspace.events(limit=10**6)]
    assert sorted(set(seqs)) == list(range(1, max(seqs) + 1))
    assert len({e.seq for e in workspace.events(limit=10**6) if e.kind == "jeyn.checkpoint.saved"}) == len(given)
    findings = workspace.fsck()
    assert findings.ok, str(findings)


def _patch(version: str) -> int:
    major, minor, patch = version.split(".")
    assert (major, minor) == ("0", "0")
    return int(patch)


def test_32_processes_save_into_one_catalog(workspace: Workspace) -> None:
    save_at_once(workspace, saves=20)


@pytest.mark.long
def test_32_processes_save_200_artefacts_each(workspace: Workspace) -> None:
    save_at_once(workspace, saves=200)
