"""The sweep: what it takes, what it never takes, and that saving at the same time loses nothing (SEMANTICS 28)."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import jeyn
from jeyn import Workspace
from jeyn.errors import NotFound, PayloadMissing, UsageError
from jeyn.formulas import CompositeFormula
from jeyn.stores.care.gc import Sweep, collect
from jeyn.stores.payloads import hash_file
from tests.stores.digits import DIGITS, READER, a_batch, a_checkpoint, rows

NOW = timedelta(0)
# A rule that keeps none but what an alias, a pin or a name needs.
NOTHING = {"batch": {"last": 0}, "checkpoint": {"last": 0}}
Sql = Callable[..., list[Any]]


def sweep(workspace: Workspace, **options: Any) -> Sweep:
    return collect(workspace, retention=NOTHING, grace=NOW, yes=True, **options)


def test_rule_28_the_sweep_takes_what_no_alias_needs(workspace: Workspace) -> None:
    kept = a_checkpoint(workspace, seed=1)
    gone = a_checkpoint(workspace, seed=2, dataset=a_batch(workspace, seed=7))
    workspace.model_store.bless(kept)
    done = sweep(workspace)
    assert done.done
    assert sorted(done.refs) == ["batch:digits@1.0.0/2", "checkpoint:digit-reader@0.2.0"]
    assert done.payloads == 2
    assert done.bytes == sum(p.size for a in (gone, gone.dataset) for p in a.record().payloads)
    assert kept.load()[0] == 1.0
    assert len(kept.dataset.load()) == 10, "a blessed checkpoint keeps its batch"
    with pytest.raises(PayloadMissing, match="swept by gc"):
        gone.load()
    assert workspace.fsck().ok


def test_rule_28_nothing_is_swept_without_yes(workspace: Workspace) -> None:
    checkpoint = a_checkpoint(workspace)
    workspace.payloads.put(hash_file(_file(workspace, b"stray")).digest, b"stray")
    before = workspace.events(limit=10_000)
    found = collect(workspace, grace=NOW, retention=NOTHING)
    assert not found.done
    assert len(found.artefacts) == 2
    done = sweep(workspace)
    assert (done.artefacts, done.payloads, done.bytes) == (found.artefacts, found.payloads, found.bytes)
    assert len(workspace.events(limit=10_000)) == len(before) + 2
    assert found.to_json()["artefacts"][0]["id"].startswith("sha256:")
    assert checkpoint.ref in str(found)


def test_rule_28_a_sweep_spares_what_is_young(workspace: Workspace) -> None:
    checkpoint = a_checkpoint(workspace)
    assert collect(workspace, yes=True, retention=NOTHING).artefacts == ()
    workspace.payloads.put(hash_file(_file(workspace, b"stray")).digest, b"stray")
    assert collect(workspace, yes=True).payloads == 0
    assert checkpoint.load()[0] == 1.0


def test_rule_28_pins_and_kept_references_are_needed(workspace: Workspace) -> None:
    pinned, kept, gone = (a_checkpoint(workspace, seed=seed) for seed in (1, 2, 3))
    workspace.pin(pinned, reason="an audit")
    done = sweep(workspace, keep=["digit-reader@0.2.0"])
    assert done.refs == (gone.ref,)
    assert kept.load()[0] == 2.0
    assert sweep(workspace, keep=kept).refs == ()
    workspace.pin(pinned, present=False)
    assert sweep(workspace, keep=kept).refs == (pinned.ref,)


def test_rule_28_a_composite_batch_keeps_its_parts(workspace: Workspace) -> None:
    part = a_batch(workspace)
    both = workspace.dataset_store.save_formula(CompositeFormula("both", version="1.0.0", formulas=["digits@^1"]))
    union = workspace.dataset_store.save_batch(both.get_new_batch())
    stray = a_batch(workspace, seed=5)
    assert sweep(workspace, keep=union.id).refs == (stray.ref,)
    assert sweep(workspace).refs == (), "the latest batch of a composite formula consists of its parts"
    assert union.load().num_rows == part.rows


def test_rule_28_payloads_that_two_artefacts_share_stay_while_one_is_needed(workspace: Workspace) -> None:
    one = a_checkpoint(workspace, seed=1)
    two = workspace.model_store.save_checkpoint(
        READER.update_minor(dataset=a_batch(workspace, seed=9), model=np.array([1.0]))
    )
    assert one.record().payloads == two.record().payloads
    done = sweep(workspace, keep=one)
    assert two.ref in done.refs
    assert done.payloads == 1, "only the batch of the other"
    assert one.load()[0] == 1.0


def test_rule_28_saving_swept_content_again_restores_it_with_history(workspace: Workspace) -> None:
    checkpoint = a_checkpoint(workspace, seed=4)
    sweep(workspace)
    swept = workspace.model_store.get_checkpoint("digit-reader@latest")
    assert swept.id == checkpoint.id, "a sweep takes bytes, and never a place in a list"
    with pytest.raises(PayloadMissing, match="swept by gc"):
        swept.load()
    again = a_checkpoint(workspace, seed=4)
    assert (again.id, again.version, again.is_new) == (checkpoint.id, checkpoint.version, False)
    assert again.load()[0] == 4.0
    history = [(mark.kind, mark.present) for mark in workspace.marks(checkpoint)]
    assert history == [("tombstone", True), ("tombstone", False)]
    assert workspace.model_store.get_checkpoint("digit-reader@latest").id == checkpoint.id
    kinds = [event.kind for event in workspace.events(limit=1000) if event.subject == checkpoint.id]
    assert kinds[-2:] == ["jeyn.artefact.buried", "jeyn.artefact.restored"]


def test_rule_28_what_was_restored_is_young_again(workspace: Workspace) -> None:
    a_checkpoint(workspace)
    sweep(workspace)
    time.sleep(1.1)
    a_checkpoint(workspace)
    assert collect(workspace, retention=NOTHING, grace=timedelta(seconds=1), yes=True).artefacts == ()


def test_rule_28_latest_and_search_know_what_was_swept(workspace: Workspace) -> None:
    first = a_checkpoint(workspace, seed=1)
    second = a_checkpoint(workspace, seed=2)
    sweep(workspace, keep=first)
    assert workspace.model_store.get_checkpoint("digit-reader@latest").id == second.id
    hits = {hit.ref: hit.swept for hit in workspace.search("type:model_checkpoint")}
    assert hits == {first.ref: False, second.ref: True}
    assert workspace.model_store.get_checkpoint("digit-reader@0.2.0").id == second.id
    assert {upstream.id for upstream in second.upstream()} >= {second.dataset.id}


def test_rule_28_an_alias_cannot_move_to_what_was_swept(workspace: Workspace) -> None:
    checkpoint = a_checkpoint(workspace)
    sweep(workspace)
    with pytest.raises(PayloadMissing, match="swept"):
        workspace.model_store.bless(checkpoint)
    assert workspace.model_store.bless(a_checkpoint(workspace)).load()[0] == 1.0


def test_rule_28_rollback_passes_over_what_was_swept(workspace: Workspace) -> None:
    first, second, third = (a_checkpoint(workspace, seed=seed) for seed in (1, 2, 3))
    for each in (first, second, third):
        workspace.model_store.bless(each)
    sweep(workspace, keep=first)
    rolled = workspace.model_store.rollback(READER)
    assert rolled is not None
    assert rolled.id == first.id


def test_rule_28_left_over_bytes_of_buried_artefacts_go_with_the_next_sweep(workspace: Workspace) -> None:
    checkpoint = a_checkpoint(workspace)
    payload = checkpoint.record().payloads[0].digest[7:]
    leases = workspace._writer().leases
    leases.take([payload])
    assert sweep(workspace).payloads == 1
    assert workspace.payloads.exists(payload)
    leases.release()
    done = collect(workspace, yes=True)
    assert (done.artefacts, done.payloads) == ((), 1)


def test_rule_28_stale_staging_files_go(workspace: Workspace) -> None:
    old, young = _file(workspace, b"old"), _file(workspace, b"young")
    os.utime(old, (time.time() - 3 * 86400,) * 2)
    assert sweep(workspace).staging == 1
    assert young.exists()
    assert not old.exists()


def test_rule_28_a_staging_file_that_vanishes_meanwhile_is_no_failure(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    staging, iterdir = workspace.payloads.staging(), Path.iterdir

    def with_gone(self: Path) -> Any:
        yield from iterdir(self)
        if self == staging:
            yield self / "gone"

    monkeypatch.setattr(Path, "iterdir", with_gone)
    assert sweep(workspace).staging == 0


def test_rule_28_a_quarantined_batch_is_leased_until_it_is_committed(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[int] = []
    commit = Workspace.commit

    def swept_first(self: Workspace, changes: Any) -> Any:
        if any(getattr(change, "quarantined", False) for change in changes):
            taken.append(sweep(workspace).payloads)
        return commit(self, changes)

    monkeypatch.setattr(Workspace, "commit", swept_first)
    with pytest.raises(jeyn.errors.DataInvalid):
        workspace.dataset_store.save_batch(DIGITS.new_table({"x": np.array([1.0])}))
    assert taken == [0]
    assert workspace.fsck().ok


def test_the_grace_and_the_references_are_checked(workspace: Workspace) -> None:
    with pytest.raises(UsageError, match="negative"):
        collect(workspace, grace=timedelta(hours=-1))
    with pytest.raises(NotFound):
        collect(workspace, keep="digits@9")


# Real processes.

SAVER = """
import sys, jeyn
from tests.stores.digits import a_checkpoint
home, catalog, seed, until = sys.argv[1:]
import time
with jeyn.open(home=home, catalog=catalog, actor="saver") as workspace:
    count = 0
    while time.time() < float(until) or count < 6:
        checkpoint = a_checkpoint(workspace, seed=int(seed))
        if count % 3 == 0:
            try:
                workspace.model_store.bless(checkpoint)
            except jeyn.errors.PayloadMissing:
                pass
        count += 1
    print(count)
"""
SWEEPER = """
import sys, time, jeyn
from datetime import timedelta
home, catalog, until = sys.argv[1:]
with jeyn.open(home=home, catalog=catalog, actor="sweeper") as workspace:
    count = freed = 0
    while time.time() < float(until) or count < 2:
        done = workspace.gc(grace=timedelta(0), yes=True, retention={"batch": {"last": 0}, "checkpoint": {"last": 0}})
        count, freed = count + 1, freed + done.payloads
    print(count, freed)
"""


def race(workspace: Workspace, home: Path, catalog: str, seconds: float, savers: int) -> tuple[int, int, int]:
    """How often was saved and swept, and how many payloads went."""
    a_batch(workspace)
    until = str(time.time() + 2 + seconds)
    commands = [[SAVER, str(home), catalog, str(1 + seed % 2), until] for seed in range(savers)]
    commands.append([SWEEPER, str(home), catalog, until])
    root = Path(__file__).parents[2]
    running = [
        subprocess.Popen([sys.executable, "-c", *command], cwd=root, stdout=-1, stderr=-1, text=True)
        for command in commands
    ]
    said = []
    for process in running:
        out, err = process.communicate(timeout=seconds + 240)
        assert process.returncode == 0, err
        said.append([int(word) for word in out.split()])
    return sum(count for (count,) in said[:-1]), *said[-1]


def check_race(workspace: Workspace, home: Path, catalog_url: str, seconds: float, savers: int) -> None:
    saved, swept, freed = race(workspace, home, catalog_url, seconds, savers)
    assert saved > 5
    assert swept > 1
    assert freed > 0, "the race was none"
    found = workspace.fsck()
    assert found.ok, str(found)
    buried = {event.subject for event in workspace.events(limit=100_000) if event.kind == "jeyn.artefact.buried"}
    assert buried
    for seed in (1, 2):
        assert a_checkpoint(workspace, seed=seed).load()[0] == float(seed)


def test_rule_28_saving_and_sweeping_at_once_loses_nothing(workspace: Workspace, home: Path, catalog_url: str) -> None:
    check_race(workspace, home, catalog_url, seconds=3, savers=2)


@pytest.mark.long
def test_rule_28_saving_and_sweeping_for_a_minute_loses_nothing(
    workspace: Workspace, home: Path, catalog_url: str
) -> None:
    check_race(workspace, home, catalog_url, seconds=60, savers=4)


def test_rule_28_one_sweep_is_one_burial(workspace: Workspace, sql: Sql) -> None:
    for seed in range(30):
        workspace.dataset_store.save_batch(DIGITS.new_table(rows(seed, 3)))
    done = sweep(workspace)
    assert len(done.artefacts) == done.payloads == 30
    assert sql("SELECT count(DISTINCT seq) FROM mark WHERE kind = 'tombstone'")[0][0] == 1


def _file(workspace: Workspace, data: bytes) -> Path:
    path = workspace.payloads.staging() / data.decode()
    path.write_bytes(data)
    return path
