"""A payload file that nobody touched since it was checked is not hashed again; whatever touches it is noticed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import jeyn
from jeyn import DataCatalog, Dtypes, Feature
from jeyn.errors import Corrupt
from jeyn.formulas import StreamingFormula
from jeyn.sdk.datasets.batch import DatasetBatch
from jeyn.stores import stat_cache
from jeyn.stores.workspace import Workspace


class Points(DataCatalog):
    x = Feature(Dtypes.INT64)
    y = Feature(Dtypes.INT64)


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    (tmp_path / "data").mkdir()
    # Files that were written this moment would not be vouched for.
    monkeypatch.setattr(stat_cache, "RACY_NS", 0)
    return jeyn.open(home=tmp_path / "home", data=tmp_path / "data")


@pytest.fixture
def hashed(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The digests of the payloads that were read to be checked."""
    seen: list[str] = []
    opened = workspace.payloads.open
    monkeypatch.setattr(workspace.payloads, "open", lambda digest: (seen.append(digest), opened(digest))[1])
    return seen


def saved(workspace: Workspace, files: int = 2) -> DatasetBatch:
    for n in range(files):
        table = pa.table({"x": np.arange(1000 * n, 1000 * n + 1000), "y": np.arange(1000)})
        pq.write_table(table, Path(workspace.settings.data) / f"{n}.parquet", compression="none")
    formula = StreamingFormula("points", version="1.0.0", output_catalog=Points, source="*.parquet")
    return workspace.dataset_store.save_batch(formula.get_new_batch())


def kept(workspace: Workspace, batch: DatasetBatch) -> Path:
    path = workspace.payloads.local_path(batch.files[0].digest[7:])
    assert path is not None
    return path


def test_only_the_first_load_hashes_and_other_processes_know_it(workspace: Workspace, hashed: list[str]) -> None:
    batch = saved(workspace)
    batch.load()
    hashed.clear()
    assert batch.load(columns=["x"]).num_rows == 2000
    assert sum(piece.num_rows for piece in batch.iter_batches(100)) == 2000
    assert hashed == []
    again = Workspace(workspace.settings)
    assert again.stat_cache.get(workspace.payloads.url, batch.files[0].digest[7:], 0, "") is None
    opened = again.payloads.open
    again.payloads.open = lambda digest: (hashed.append(digest), opened(digest))[1]  # type: ignore[method-assign]
    again.get(batch.ref).load()
    assert hashed == []


def test_what_was_written_this_moment_is_hashed_once_more(
    workspace: Workspace, hashed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stat_cache, "RACY_NS", 3_600_000_000_000)
    batch = saved(workspace, files=1)
    for _ in range(2):
        hashed.clear()
        batch.load()
        assert hashed == [batch.files[0].digest[7:]]


def overwrite(path: Path) -> None:
    before = path.stat()
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def exchange(path: Path) -> None:
    before, other = path.stat(), path.with_name("other")
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    other.write_bytes(data)
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(path)


def shorten(path: Path) -> None:
    path.chmod(0o644)
    os.truncate(path, path.stat().st_size - 1)


@pytest.mark.parametrize("tamper", [overwrite, exchange, shorten])
def test_a_file_that_was_touched_is_hashed_again_also_when_its_size_and_times_were_put_back(
    workspace: Workspace, tamper: Callable[[Path], None]
) -> None:
    batch = saved(workspace)
    batch.load()
    tamper(kept(workspace, batch))
    for read in (batch.load, batch.to_pandas, lambda: list(batch.iter_batches())):
        with pytest.raises(Corrupt):
            read()
    assert [fault.subject for fault in workspace.fsck().of("corrupt")] == [batch.files[0].digest]


def test_fsck_reads_what_is_vouched_for_and_what_it_finds_wrong_is_vouched_for_no_more(workspace: Workspace) -> None:
    batch = saved(workspace)
    batch.load()
    path, digest = kept(workspace, batch), batch.files[0].digest
    overwrite(path)
    # As a fault of the disk would be: other bytes behind the same look.
    seen = path.stat()
    look = f"{seen.st_mtime_ns}:{seen.st_ctime_ns}:{seen.st_ino}:{seen.st_dev}:{seen.st_size}"
    workspace.stat_cache.put(workspace.payloads.url, digest[7:], seen.st_size, look, digest)
    batch.load()
    assert [fault.subject for fault in workspace.fsck().of("corrupt")] == [digest]
    with pytest.raises(Corrupt):
        batch.load()


def test_a_payload_that_came_back_is_checked_anew(workspace: Workspace, hashed: list[str]) -> None:
    batch = saved(workspace, files=1)
    batch.load()
    digest, path = batch.files[0].digest[7:], kept(workspace, batch)
    data = path.read_bytes()
    path.unlink()
    workspace.payloads.put(digest, data)
    hashed.clear()
    assert batch.load().num_rows == 1000
    assert hashed == [digest]


def test_without_a_cache_that_can_be_written_every_load_hashes(workspace: Workspace, hashed: list[str]) -> None:
    batch = saved(workspace, files=1)
    workspace.stat_cache.close()
    workspace.stat_cache.path.unlink(missing_ok=True)
    workspace.stat_cache.path.mkdir()
    for _ in range(2):
        hashed.clear()
        assert batch.load().num_rows == 1000
        assert len(hashed) == 1
