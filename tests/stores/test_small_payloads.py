"""Values of a few bytes live in the catalog: as durable as their row, without leases, and cared for like any other."""

from __future__ import annotations

import pickle
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import jeyn
from jeyn import Workspace
from jeyn.errors import PayloadMissing
from jeyn.sdk.artefact import PayloadRef
from jeyn.sdk.canonical import sha256_of
from jeyn.sdk.value import Value
from jeyn.stores.care.bundle import export_bundle, import_bundle
from jeyn.stores.care.gc import Sweep, collect
from jeyn.stores.catalog import small
from jeyn.stores.catalog.changes import CacheKey, NewArtefact
from jeyn.stores.catalog.database import Database
from jeyn.stores.catalog.leases import condemn
from jeyn.stores.catalog.small import LIMIT
from jeyn.workflows.outputs import save_output
from tests.stores.conftest import Sql
from tests.stores.runs_world import KEY, an_operation

NOW = timedelta(0)
SEVEN = b"7"
DIGEST = sha256_of(SEVEN)[7:]


def change(data: bytes = SEVEN, key: str = KEY, output: str = "return") -> NewArtefact:
    """A value that holds a number, its bytes in the commit."""
    payload = PayloadRef(output, sha256_of(data), len(data))
    record = Value(output=output, cache_key=key, format="json/1", payload=payload).record()
    return NewArtefact(record, inline={payload.digest[7:]: data}, event="jeyn.value.saved")


def save(workspace: Workspace, data: bytes = SEVEN, **options: str) -> Value:
    (outcome,) = workspace.commit([change(data, **options)])
    value: Value = workspace.bound(outcome.id)
    return value


def sweep(workspace: Workspace, *, keep: Value | None = None, yes: bool = True) -> Sweep:
    """Every value but one, by name."""
    ids = [hit.id for hit in workspace.search("type:value") if keep is None or hit.id != keep.id]
    return collect(workspace, *ids, grace=NOW, yes=yes)


def rows(workspace: Workspace) -> set[str]:
    return {payload.digest for payload in workspace.payloads.small.list()}


def kinds(workspace: Workspace, **options: bool) -> dict[str, int]:
    return dict(workspace.fsck(**options).counts)


def spoil(sql: Sql, data: bytes = b"8") -> None:
    sql("UPDATE small_payload SET data = :data WHERE digest = :digest", data=data, digest=DIGEST)


# Where values go.


@pytest.mark.parametrize(("length", "in_catalog"), [(0, True), (LIMIT - 1, True), (LIMIT, True), (LIMIT + 1, False)])
def test_values_up_to_the_limit_are_rows_and_longer_ones_files(
    workspace: Workspace, length: int, in_catalog: bool
) -> None:
    data = bytes(length)
    with workspace.attempt() as attempt:
        kept = save_output(attempt, "return", data, "sha256:" + KEY, [])
        attempt.finish()
    digest = sha256_of(data)[7:]
    assert workspace.bound(kept.produced.id).load() == data
    assert (digest in rows(workspace)) is in_catalog
    assert workspace.payloads.files.exists(digest) is not in_catalog
    assert workspace.fsck().ok


def test_a_file_of_a_few_bytes_stays_a_file(workspace: Workspace) -> None:
    with workspace.attempt() as attempt:
        path = attempt.scratch / "note.txt"
        path.write_bytes(SEVEN)
        kept = save_output(attempt, "return", path, "sha256:" + KEY, [])
        equal = save_output(attempt, "other", "7", "sha256:" + KEY, [])
        attempt.finish()
    assert workspace.payloads.local_path(DIGEST) is not None
    assert rows(workspace) == {DIGEST}
    assert workspace.bound(kept.produced.id).load().read_bytes() == SEVEN
    assert workspace.bound(equal.produced.id).load() == "7"
    assert workspace.fsck().ok


def test_an_operation_that_returns_a_number_takes_no_lease_and_writes_no_file(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = an_operation(workspace)
    key = workspace.runs.start_attempt(row.key, 1, "here", 1)

    def never(self: Database) -> Any:
        raise AssertionError("a lease was written")

    monkeypatch.setattr(Database, "write_soft", never)
    with workspace.attempt(row.key, key) as attempt:
        kept = save_output(attempt, "return", 7, "sha256:" + KEY, [])
        attempt.finish([("return", 0, kept.produced.id)], cache=CacheKey(KEY, {}))
    assert workspace.bound(kept.produced.id).load() == 7
    assert workspace.runs.has_payloads([kept.produced.id])
    assert list(workspace.payloads.files.list()) == []
    assert len(rows(workspace)) == 1


def test_a_failed_attempt_leaves_no_bytes(workspace: Workspace) -> None:
    with workspace.attempt() as attempt:
        save_output(attempt, "return", 7, "sha256:" + KEY, [])
    assert list(workspace.payloads.list()) == []


def test_only_payloads_of_the_artefact_itself_are_written(workspace: Workspace) -> None:
    new = change()
    stray = sha256_of(b"stray")[7:]
    workspace.commit([NewArtefact(new.record, inline={**new.inline, stray: b"stray"})])
    assert rows(workspace) == {DIGEST}


def test_equal_bytes_are_one_row_and_saving_again_commits_nothing(workspace: Workspace, sql: Sql) -> None:
    first = save(workspace)
    assert save(workspace, output="other").id != first.id
    before = sql("SELECT seq FROM catalog_clock")
    assert save(workspace).id == first.id
    assert sql("SELECT seq FROM catalog_clock") == before
    assert rows(workspace) == {DIGEST}


def test_a_file_of_the_same_bytes_that_a_sweep_is_deleting_is_no_obstacle(workspace: Workspace) -> None:
    assert condemn(workspace.database, [DIGEST], "sweeper") == [DIGEST]
    assert save(workspace).load() == 7


# Other processes and places.


def test_a_pickled_workspace_reads_them(workspace: Workspace) -> None:
    value = save(workspace)
    with pickle.loads(pickle.dumps(workspace)) as again:
        assert again.bound(value.id).load() == 7
    assert pickle.loads(pickle.dumps(value)).load() == 7


def test_they_outlive_a_payload_store_in_memory(catalog_url: str, home: Path) -> None:
    with jeyn.open(home=home, catalog=catalog_url, payloads="memory://one") as opened:
        id = save(opened).id
        assert opened.bound(id).load() == 7
        assert opened.fsck().ok
    with jeyn.open(home=home, catalog=catalog_url, payloads="memory://two") as opened:
        assert opened.bound(id).load() == 7


SAVER = """
import sys, pathlib, jeyn
from tests.stores.test_small_payloads import save
home, catalog, times = sys.argv[1:]
enough = pathlib.Path(home, "enough")
with jeyn.open(home=home, catalog=catalog, actor="saver") as workspace:
    ids = []
    while len(ids) < int(times) or (times == "0" and not enough.exists()):
        ids.append(save(workspace, b"%d" % (len(ids) % 3)).id)
    print(len(ids), *set(ids))
"""
SWEEPER = """
import sys, pathlib, jeyn
from datetime import timedelta
home, catalog, times = sys.argv[1:]
with jeyn.open(home=home, catalog=catalog, actor="sweeper") as workspace:
    freed = 0
    while freed < int(times):
        ids = [hit.id for hit in workspace.search("type:value")]
        freed += workspace.gc(*ids, grace=timedelta(0), yes=True).payloads
pathlib.Path(home, "enough").touch()
"""


def run_at_once(home: Path, catalog: str, *scripts: tuple[str, int]) -> list[list[str]]:
    """What each printed, the last one first; a script is given a number of times."""
    home.mkdir(exist_ok=True)
    root = Path(__file__).parents[2]
    commands = [[sys.executable, "-c", script, str(home), catalog, str(times)] for script, times in scripts]
    running = [subprocess.Popen(command, cwd=root, stdout=-1, stderr=-1, text=True) for command in commands]
    said = []
    try:
        for process in reversed(running):  # the savers wait for a sweeper
            out, err = process.communicate(timeout=240)
            assert process.returncode == 0, err
            said.append(out.split())
    finally:
        for process in running:
            process.kill()
    return said


def test_processes_that_save_equal_values_agree(workspace: Workspace, home: Path, catalog_url: str) -> None:
    value = save(workspace, b"0")
    said = run_at_once(home, catalog_url, *[(SAVER, 60)] * 3)
    assert [count for count, *_ in said] == ["60"] * 3
    ids = {id for _, *ids in said for id in ids}
    assert value.id in ids
    assert len(ids) == len(rows(workspace)) == 3
    assert workspace.fsck().ok


def check_race(workspace: Workspace, home: Path, catalog_url: str, freed: int) -> None:
    save(workspace, b"0")
    _, *saved = run_at_once(home, catalog_url, (SAVER, 0), (SAVER, 0), (SWEEPER, freed))
    assert sum(int(count) for count, *_ in saved) >= freed
    found = workspace.fsck()
    assert found.ok, str(found)
    assert [save(workspace, b"%d" % number).load() for number in range(3)] == [0, 1, 2]


def test_rule_28_small_values_are_saved_and_swept_at_once(workspace: Workspace, home: Path, catalog_url: str) -> None:
    check_race(workspace, home, catalog_url, freed=30)


@pytest.mark.long
def test_rule_28_small_values_are_saved_and_swept_for_long(workspace: Workspace, home: Path, catalog_url: str) -> None:
    check_race(workspace, home, catalog_url, freed=200)


# Sweeping.


def test_rule_28_the_sweep_takes_small_values_and_saving_again_restores_them(workspace: Workspace) -> None:
    value, kept = save(workspace), save(workspace, b"8")
    would = sweep(workspace, keep=kept, yes=False)
    assert (len(would.artefacts), would.payloads, would.bytes) == (1, 1, 1)
    done = sweep(workspace, keep=kept)
    assert (done.refs, done.payloads, done.bytes) == (would.refs, would.payloads, would.bytes)
    assert rows(workspace) == {kept.payload.digest[7:]}
    assert not workspace.runs.has_payloads([value.id])
    with pytest.raises(PayloadMissing, match="swept by gc"):
        value.load()
    assert workspace.fsck().ok
    with workspace.attempt() as attempt:
        attempt.commit([change()])
        attempt.finish()
    assert value.load() == 7
    assert [(mark.kind, mark.present) for mark in workspace.marks(value)] == [("tombstone", True), ("tombstone", False)]
    assert workspace.fsck().ok


def test_rule_28_a_row_stays_while_any_artefact_needs_it(workspace: Workspace) -> None:
    one, two = save(workspace), save(workspace, output="other")
    assert sweep(workspace, keep=one).payloads == 0
    with pytest.raises(PayloadMissing):
        workspace.payloads.read(sha256_of(b"neither")[7:])
    assert (one.load(), workspace.reader.is_buried(two.id)) == (7, True)


def test_rule_28_a_copy_in_each_place_goes_with_the_last_that_needs_it(workspace: Workspace) -> None:
    value = save(workspace)
    workspace.payloads.put(DIGEST, SEVEN)
    assert sweep(workspace, keep=value).payloads == 0
    assert sweep(workspace).payloads == 2
    assert list(workspace.payloads.list()) == []


def test_rule_28_a_lease_keeps_a_row_from_the_sweep(workspace: Workspace) -> None:
    save(workspace)
    leases = workspace._writer().leases
    leases.take([DIGEST])
    assert sweep(workspace).payloads == 0
    assert small.remove(workspace.database, [DIGEST]) == []
    leases.release()
    assert small.remove(workspace.database, [DIGEST]) == [DIGEST]


def test_rule_28_a_sweep_that_decided_too_early_spares_what_was_saved_again(workspace: Workspace) -> None:
    value = save(workspace)
    leases = workspace._writer().leases
    leases.take([DIGEST])
    sweep(workspace)
    leases.release()
    assert workspace.reader.is_buried(value.id)
    save(workspace)  # after the sweep has seen that nobody needs it, before it deletes
    assert small.remove(workspace.database, [DIGEST]) == []
    assert value.load() == 7


# Checking.


@pytest.fixture
def stray(workspace: Workspace, sql: Sql) -> Callable[[int], str]:
    def insert(at: int) -> str:
        digest = sha256_of(b"stray")[7:]
        sql("INSERT INTO small_payload (digest, data, at) VALUES (:d, :data, :at)", d=digest, data=b"stray", at=at)
        return digest

    return insert


def test_an_orphaned_row_is_found_and_removed(workspace: Workspace, stray: Callable[[int], str]) -> None:
    save(workspace)
    digest = stray(time.time_ns() // 1000)
    found = workspace.fsck()
    assert dict(found.counts) == {"orphaned": 1}
    assert found.of("orphaned")[0].subject == f"sha256:{digest}"
    assert workspace.fsck(repair=True).left == 0
    assert rows(workspace) == {DIGEST}


def test_the_sweep_takes_old_orphaned_rows_and_spares_young_ones(
    workspace: Workspace, stray: Callable[[int], str]
) -> None:
    digest = stray(time.time_ns() // 1000)
    assert collect(workspace, yes=True).payloads == 0
    workspace.payloads.delete(digest)
    stray(1)
    assert collect(workspace, yes=True).payloads == 1
    assert rows(workspace) == set()


@pytest.mark.parametrize("repair", [True, False])
def test_a_lost_row_is_found_and_saving_again_restores_it(workspace: Workspace, sql: Sql, repair: bool) -> None:
    value = save(workspace)
    sql("DELETE FROM small_payload")
    found = workspace.fsck()
    assert dict(found.counts) == {"missing": 1}
    assert value.id in found.of("missing")[0].problem
    if repair:
        assert workspace.fsck(repair=True).left == 0
        assert workspace.fsck().ok
    with pytest.raises(PayloadMissing):
        value.load()
    assert save(workspace).load() == 7
    assert workspace.fsck().ok


@pytest.mark.parametrize("wrong", [b"8", b"", b"77"])
def test_a_corrupt_row_is_found_set_aside_and_mended_by_saving_again(
    workspace: Workspace, sql: Sql, home: Path, wrong: bytes
) -> None:
    value = save(workspace)
    spoil(sql, wrong)
    assert kinds(workspace) == {"corrupt": 1}
    assert [fault.repaired for fault in workspace.fsck(repair=True).of("corrupt")] == [True]
    assert (home / "corrupt" / DIGEST).read_bytes() == wrong
    assert workspace.reader.is_buried(value.id)
    assert workspace.fsck().ok
    assert save(workspace).load() == 7
    assert workspace.fsck().ok


def test_saving_again_heals_a_corrupt_row_by_itself(workspace: Workspace, sql: Sql) -> None:
    save(workspace)
    spoil(sql)
    assert save(workspace).load() == 7
    assert workspace.fsck().ok


@pytest.mark.parametrize("place", ["row", "file"])
def test_of_two_copies_the_wrong_one_goes_and_nothing_is_lost(
    workspace: Workspace, sql: Sql, home: Path, place: str
) -> None:
    value = save(workspace)
    workspace.payloads.put(DIGEST, SEVEN)
    if place == "row":
        spoil(sql)
    else:
        path = workspace.payloads.local_path(DIGEST)
        assert path is not None
        path.chmod(0o644)
        path.write_bytes(b"8")
    assert kinds(workspace) == {"corrupt": 1}
    assert workspace.fsck(repair=True).left == 0
    assert (home / "corrupt" / DIGEST).read_bytes() == b"8"
    assert workspace.fsck().ok
    assert not workspace.reader.is_buried(value.id)
    assert value.load() == 7


# Travelling.


@pytest.fixture
def other(home: Path) -> Iterator[Workspace]:
    with jeyn.open(home=home.parent / "other", actor="bob") as opened:
        yield opened


def test_rule_29_a_bundle_carries_small_values(workspace: Workspace, other: Workspace, home: Path) -> None:
    value, bundle = save(workspace), home.parent / "it.jeyn"
    done = export_bundle(workspace, value, bundle)
    assert (done.payloads, done.bytes) == (1, 1)
    assert import_bundle(other, bundle).payloads == 1
    assert other.bound(value.id).load() == 7
    assert other.fsck().ok
    assert not save(other).is_new
    again = home.parent / "again.jeyn"
    export_bundle(other, value.id, again)
    assert again.read_bytes() == bundle.read_bytes()


def test_rule_29_importing_restores_a_swept_small_value(workspace: Workspace, home: Path) -> None:
    value, bundle = save(workspace), home.parent / "it.jeyn"
    export_bundle(workspace, value, bundle)
    sweep(workspace)
    assert import_bundle(workspace, bundle).restored == 1
    assert value.load() == 7
    assert workspace.fsck().ok
