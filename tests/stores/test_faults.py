"""Faults of the machine: each gives a clear error with its exit code, and loses nothing that was saved."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

import jeyn
from jeyn import Workspace
from jeyn.errors import Busy, Corrupt, JeynError, NotAllowed, PayloadMissing, Unreachable
from jeyn.stores.catalog import database as catalog_database
from tests.stores.digits import READER, a_batch, a_checkpoint, rows
from tests.stores.fault_scenarios import SCENARIOS

ROOT = Path(__file__).parents[2]


def can_mount() -> bool:
    if os.geteuid() != 0 or not shutil.which("unshare"):
        return False
    probe = "mount --make-rprivate / && mount -t tmpfs tmpfs /mnt"
    return subprocess.run(["unshare", "-m", "sh", "-c", probe], capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_fault_of_the_disk_is_clear_and_loses_nothing(scenario: str, tmp_path: Path) -> None:
    if not can_mount():
        pytest.skip("mounting in a private namespace needs root and unshare")
    command = ["unshare", "-m", sys.executable, "-W", "error", "-m", "tests.stores.fault_scenarios", scenario]
    shown = subprocess.run(
        [*command, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.endswith("held\n")


@pytest.fixture
def opened(home: Path) -> Iterator[Workspace]:
    with jeyn.open(home=home) as workspace:
        yield workspace


def payload_of(workspace: Workspace, artefact: object) -> Path:
    path = workspace.payloads.local_path(artefact.record().payloads[0].digest[7:])  # type: ignore[attr-defined]
    assert path is not None
    path.chmod(0o644)
    return path


@pytest.mark.parametrize("size", [0, 1, -1])
def test_a_truncated_payload_is_corrupt_and_the_rest_is_fine(workspace: Workspace, size: int) -> None:
    batch = a_batch(workspace)
    broken, whole = a_checkpoint(workspace, 1, dataset=batch), a_checkpoint(workspace, 2, dataset=batch)
    path = payload_of(workspace, broken)
    os.truncate(path, size if size >= 0 else path.stat().st_size + size)
    with pytest.raises(Corrupt) as refused:
        workspace.get(broken.ref).load()
    assert (refused.value.exit_code, refused.value.retry_helps) == (5, False)
    assert refused.value.hint
    assert workspace.get(whole.ref).load().tolist() == [2.0]
    assert workspace.get(batch.ref).load().num_rows == 10
    assert workspace.fsck().counts == {"corrupt": 1}
    # Saving the same content again heals it.
    assert not a_checkpoint(workspace, 1, dataset=batch).is_new
    assert workspace.get(broken.ref).load().tolist() == [1.0]
    assert workspace.fsck().ok


@pytest.mark.parametrize("change", ["truncated", "flipped"])
def test_a_changed_batch_is_corrupt_however_it_is_read(workspace: Workspace, change: str) -> None:
    batch = a_batch(workspace)
    path = payload_of(workspace, batch)
    data = bytearray(path.read_bytes())
    if change == "truncated":
        del data[-10:]
    else:
        data[len(data) // 2] ^= 1
    path.write_bytes(data)
    for read in (batch.load, batch.to_numpy, lambda: list(batch.iter_batches(3))):
        with pytest.raises(Corrupt):
            read()


def test_a_payload_that_is_gone_is_missing(workspace: Workspace) -> None:
    checkpoint = a_checkpoint(workspace)
    payload_of(workspace, checkpoint).unlink()
    with pytest.raises(PayloadMissing) as refused:
        workspace.get(checkpoint.ref).load()
    assert refused.value.exit_code == 5
    assert "fsck" in refused.value.hint


@pytest.mark.parametrize("content", [b"this is no database, and no catalog" * 100, b"\0" * 8192])
def test_a_damaged_catalog_says_so(home: Path, content: bytes) -> None:
    home.mkdir()
    (home / "catalog.db").write_bytes(content)
    with jeyn.open(home=home) as workspace, pytest.raises(Corrupt) as refused:
        a_batch(workspace)
    assert refused.value.exit_code == 5


def test_a_file_where_the_home_should_be(home: Path) -> None:
    home.write_text("not a folder")
    with jeyn.open(home=home) as workspace, pytest.raises(JeynError) as refused:
        a_batch(workspace)
    assert isinstance(refused.value, NotAllowed)
    assert str(home) in refused.value.message


def test_a_lock_that_is_never_released_is_busy(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog_database, "BUSY_SECONDS", 0.1)
    with jeyn.open(home=home) as workspace:
        batch = a_batch(workspace)
        with closing(sqlite3.connect(home / "catalog.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(Busy) as refused:
                a_batch(workspace, 2)
            assert (refused.value.exit_code, refused.value.retry_helps) == (7, True)
            # Reading goes on meanwhile.
            assert workspace.get(batch.ref).load().num_rows == 10
            other.execute("ROLLBACK")
        assert a_batch(workspace, 2).epoch == 2


def test_a_server_that_is_not_there_is_unreachable(home: Path) -> None:
    pytest.importorskip("psycopg", reason="the postgres extra is not installed")
    with jeyn.open(home=home, catalog="postgresql://nobody:secret@127.0.0.1:1/none") as workspace:
        with pytest.raises(Unreachable) as refused:
            a_batch(workspace)
    assert refused.value.exit_code == 7
    assert "secret" not in str(refused.value)


def test_an_error_while_a_batch_is_made_leaves_no_trace(opened: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = a_batch(opened)

    def broken(*_: object) -> bytes:
        raise MemoryError("no memory left")

    serializer = opened.serializers.for_object(np.zeros(1))
    monkeypatch.setattr(type(serializer), "to_bytes", broken)
    with pytest.raises(MemoryError):
        opened.model_store.save_checkpoint(READER.update_minor(dataset=batch, model=np.array([1.0])))
    monkeypatch.undo()
    assert opened.fsck().ok
    assert str(a_checkpoint(opened, dataset=batch).version) == "0.1.0"


def test_a_save_whose_commit_fails_leaves_only_bytes(opened: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = a_batch(opened)

    def broken(*_: object) -> None:
        raise Unreachable("the catalog went away")

    monkeypatch.setattr("jeyn.stores.workspace.commit", broken)
    with pytest.raises(Unreachable):
        opened.model_store.save_checkpoint(READER.update_minor(dataset=batch, model=np.array([1.0])))
    monkeypatch.undo()
    with opened.database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM lease").scalar_one() == 0
    assert set(opened.fsck().counts) <= {"orphaned"}
    assert a_checkpoint(opened, dataset=batch).is_new
    assert opened.fsck().ok


def test_a_staging_folder_is_left_clean(opened: Workspace) -> None:
    batch = a_batch(opened)
    a_checkpoint(opened, dataset=batch)
    with pytest.raises(JeynError):
        opened.dataset_store.save_batch(batch.formula.new_table(rows(1) | {"label": ["a"] * 10}))
    assert list(opened.payloads.staging().iterdir()) == []
