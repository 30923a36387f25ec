"""What every payload store promises, held by each: a folder, memory, S3 over HTTP, a catalog, and two as one."""

from __future__ import annotations

import io
import os
import pickle
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from jeyn.errors import Corrupt, NotFound, PayloadMissing, UsageError
from jeyn.stores.payloads import HashedFile, PayloadStore, hash_file, open_payloads
from tests.stores.payloads.conftest import Kind, digest_of

SMALL = b"the same bytes in every store"
LARGE = os.urandom(1 << 20) * 9 + b"more than one request takes"
SIZES = {"empty": b"", "one byte": b"x", "small": SMALL, "large": LARGE}
ABSENT = "0" * 64


def add(store: PayloadStore, data: bytes) -> str:
    digest = digest_of(data)
    assert store.put(digest, data)
    return digest


@pytest.mark.parametrize("data", SIZES.values(), ids=SIZES.keys())
def test_what_goes_in_comes_out(store: PayloadStore, data: bytes, tmp_path: Path) -> None:
    digest = add(store, data)
    assert store.read(digest) == data
    with store.open(digest) as reader:
        assert reader.read() == data
    store.fetch(digest, tmp_path / "new" / "copy")
    assert (tmp_path / "new" / "copy").read_bytes() == data
    assert store.size(digest) == len(data)
    assert store.exists(digest)
    assert [(found.digest, found.size) for found in store.list()] == [(digest, len(data))]


@pytest.mark.parametrize("data", SIZES.values(), ids=SIZES.keys())
def test_every_kind_of_source_stores_the_same(store: PayloadStore, data: bytes, tmp_path: Path) -> None:
    path, digest = tmp_path / "source", digest_of(data)
    path.write_bytes(data)
    for source in (path, hash_file(path), memoryview(data), bytearray(data)):
        assert store.put(digest, source)
        assert store.read(digest) == data
        store.delete(digest)
    assert path.read_bytes() == data


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])
def test_identical_bytes_are_stored_once(store: PayloadStore, data: bytes, tmp_path: Path) -> None:
    digest = add(store, data)
    path = tmp_path / "source"
    path.write_bytes(data)
    assert not store.put(digest, data)
    assert not store.put(digest, hash_file(path))
    assert len(list(store.list())) == 1


def test_of_eight_threads_that_put_the_same_one_is_first(store: PayloadStore) -> None:
    digest, barrier = digest_of(SMALL), threading.Barrier(8)

    def put(_: int) -> bool:
        barrier.wait()
        return store.put(digest, SMALL)

    with ThreadPoolExecutor(8) as threads:
        assert sorted(threads.map(put, range(8))) == [False] * 7 + [True]
    assert store.read(digest) == SMALL


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])
def test_bytes_of_another_digest_are_refused(store: PayloadStore, data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "source"
    path.write_bytes(data)
    for source in (data, path):
        with pytest.raises(Corrupt):
            store.put(ABSENT, source)
    with pytest.raises(UsageError, match="has the digest"):
        store.put(ABSENT, hash_file(path))
    assert list(store.list()) == []


@pytest.mark.parametrize("settled", [True, False])
@pytest.mark.parametrize("move", [True, False])
def test_a_file_that_changes_after_it_was_hashed_is_refused(
    store: PayloadStore, tmp_path: Path, settled: bool, move: bool
) -> None:
    path = (store.staging() if move else tmp_path) / "source"
    path.write_bytes(SMALL)
    hashed = hash_file(path)
    path.write_bytes(SMALL.upper())
    with pytest.raises(Corrupt, match="changed while it was being saved"):
        store.put(hashed.digest, HashedFile(path, hashed.digest, hashed.size, hashed.stat, settled), move=move)
    assert list(store.list()) == []
    assert path.read_bytes() == SMALL.upper()


def test_move_consumes_the_file_whether_or_not_it_was_new(store: PayloadStore, tmp_path: Path) -> None:
    digest = digest_of(SMALL)
    for folder, new in ((store.staging(), True), (store.staging(), False), (tmp_path, False)):
        path = folder / "made"
        path.write_bytes(SMALL)
        assert store.put(digest, hash_file(path), move=True) is new
        assert not path.exists()
    store.delete(digest)
    (tmp_path / "made").write_bytes(SMALL)
    assert store.put(digest, tmp_path / "made", move=True)
    assert not (tmp_path / "made").exists()
    assert store.read(digest) == SMALL


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("how", ["flipped", "shorter", "longer", "emptied"])
def test_spoiled_bytes_are_noticed(kind: Kind, data: bytes, how: str, tmp_path: Path) -> None:
    store, digest = kind.store, add(kind.store, data)
    flipped = bytearray(data)
    flipped[len(data) // 2] ^= 1
    kind.spoil(digest, {"flipped": bytes(flipped), "shorter": data[:-1], "longer": data + b"x", "emptied": b""}[how])
    with pytest.raises(Corrupt, match=digest):
        store.read(digest)
    with pytest.raises(Corrupt, match=digest), store.open(digest) as reader:
        reader.read()
    with pytest.raises(Corrupt, match=digest):
        store.fetch(digest, tmp_path / "copy")
    assert not [path for path in tmp_path.iterdir() if path.name == "copy" or path.suffix == ".part"]


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])
def test_saving_again_heals_a_truncated_payload(kind: Kind, data: bytes) -> None:
    digest = add(kind.store, data)
    kind.spoil(digest, data[:7])
    assert kind.store.put(digest, data)
    assert kind.store.read(digest) == data


def test_the_last_bytes_of_a_spoiled_payload_are_not_handed_out(kind: Kind) -> None:
    digest = add(kind.store, LARGE)
    kind.spoil(digest, b"y" + LARGE[1:])
    received = 0
    with pytest.raises(Corrupt), kind.store.open(digest) as reader:
        while received < len(LARGE):
            received += len(reader.read(300_000))
    assert 0 < received < len(LARGE)


def test_a_block_that_ends_well_has_verified_what_it_did_not_read(kind: Kind) -> None:
    digest = add(kind.store, LARGE)
    with kind.store.open(digest) as reader:
        assert reader.read(10) == LARGE[:10]
    kind.spoil(digest, LARGE[:-1] + b"y")
    with pytest.raises(Corrupt), kind.store.open(digest) as reader:
        assert reader.read(10) == LARGE[:10]
        reader.close()
    with pytest.raises(KeyError), kind.store.open(digest) as reader:
        raise KeyError("left early, so nothing more is read")


def test_a_reader_is_read_like_any_file(store: PayloadStore) -> None:
    lines = [b"%d\n" % n for n in range(100_000)]
    digest = add(store, b"".join(lines))
    with store.open(digest) as reader:
        assert reader.readline() == lines[0]
        buffer = bytearray(len(lines[1]))
        assert reader.readinto(buffer) == len(buffer)  # type: ignore[attr-defined]
        assert bytes(buffer) == lines[1]
        assert reader.readlines() == lines[2:]
        assert reader.read() == b""


def test_arrow_reads_a_payload_as_a_stream(kind: Kind) -> None:
    table = pa.table({"n": range(2_000_000)})
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    digest = add(kind.store, sink.getvalue())
    with kind.store.open(digest) as reader:
        assert pa.ipc.open_stream(reader).read_all() == table
    kind.spoil(digest, sink.getvalue()[:-9] + b"\1" + sink.getvalue()[-8:])
    with pytest.raises(Corrupt), kind.store.open(digest) as reader:
        pa.ipc.open_stream(reader).read_all()


def test_a_range_ends_where_the_payload_ends(store: PayloadStore) -> None:
    digest, empty = add(store, SMALL), add(store, b"")
    ranges = [(0, 4), (3, 0), (3, 5), (len(SMALL) - 2, 10), (len(SMALL), 1), (1000, 1), (0, 1 << 60)]
    for start, length in ranges:
        assert store.read_range(digest, start, length) == SMALL[start : start + length]
    assert store.read_range(empty, 0, 1) == b""
    for start, length in ((-1, 1), (0, -1)):
        with pytest.raises(UsageError, match="range"):
            store.read_range(digest, start, length)


def test_what_is_missing_is_named_with_its_store(store: PayloadStore, tmp_path: Path) -> None:
    reads = [
        store.read,
        store.size,
        store.local_path,
        lambda digest: store.open(digest).__enter__(),
        lambda digest: store.read_range(digest, 0, 1),
        lambda digest: store.read_range(digest, 0, 0),
        lambda digest: store.fetch(digest, tmp_path / "copy"),
    ]
    for read in reads:
        with pytest.raises(PayloadMissing, match=ABSENT) as caught:
            read(ABSENT)
        assert store.url in caught.value.message
        assert caught.value.hint
    assert not store.exists(ABSENT)
    assert not (tmp_path / "copy").exists()


def test_deleting_twice_is_no_error(store: PayloadStore) -> None:
    digest, other = add(store, SMALL), add(store, b"other")
    store.delete(digest)
    store.delete(digest)
    assert not store.exists(digest)
    assert store.read(other) == b"other"
    assert store.put(digest, SMALL)


def test_a_listing_says_when_in_utc(store: PayloadStore) -> None:
    assert list(store.list()) == []
    for n in range(30):
        add(store, b"%d" % n)
    listed = list(store.list())
    assert {found.digest for found in listed} == {digest_of(b"%d" % n) for n in range(30)}
    for found in listed:
        assert abs(datetime.now(UTC) - found.modified) < timedelta(minutes=5)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "ab",
        "../../../etc/passwd",
        "A" * 64,
        "g" * 64,
        "0" * 63 + "\n",
        "sha256:" + "0" * 64,
        "0" * 65,
        "../" + "0" * 61,
    ],
)
def test_only_digests_are_names(store: PayloadStore, name: str, tmp_path: Path) -> None:
    calls = [
        lambda: store.put(name, b"x"),
        lambda: store.read(name),
        lambda: store.open(name).__enter__(),
        lambda: store.read_range(name, 0, 1),
        lambda: store.fetch(name, tmp_path / "copy"),
        lambda: store.size(name),
        lambda: store.exists(name),
        lambda: store.delete(name),
        lambda: store.local_path(name),
    ]
    for call in calls:
        with pytest.raises(UsageError, match="not a payload digest"):
            call()


def test_a_source_that_is_no_file_is_refused(store: PayloadStore, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(UsageError, match="not a regular file"):
            store.put(ABSENT, path)
        with pytest.raises(UsageError, match="not a regular file"):
            hash_file(path)
    with pytest.raises(NotFound, match="nowhere"):
        store.put(ABSENT, tmp_path / "nowhere")
    with pytest.raises(NotFound, match="nowhere"):
        hash_file(tmp_path / "nowhere")


def test_sweeping_takes_only_what_is_old(store: PayloadStore) -> None:
    folder = store.staging()
    old = time.time() - 1000
    (folder / "old").write_bytes(b"")
    (folder / "young").write_bytes(b"")
    (folder / "busy").mkdir()
    (folder / "busy" / "inside").write_bytes(b"")
    (folder / "left").mkdir()
    (folder / "left" / "inside").write_bytes(b"")
    for name in ("old", "busy", "left/inside", "left"):
        os.utime(folder / name, (old, old))
    digest = add(store, SMALL)
    assert store.sweep_staging(500) == 2
    assert sorted(path.name for path in folder.iterdir()) == ["busy", "young"]
    assert store.read(digest) == SMALL


def test_a_pickled_store_is_its_url(store: PayloadStore) -> None:
    digest = add(store, SMALL)
    again = pickle.loads(pickle.dumps(store))
    assert again.url == store.url
    assert again.read(digest) == SMALL


@pytest.mark.parametrize("kind", ["file", "memory", "s3", "layered"], indirect=True)
def test_what_was_put_is_found_by_the_url(store: PayloadStore) -> None:
    assert open_payloads(store.url).read(add(store, SMALL)) == SMALL


def test_a_fetch_replaces_what_was_there_only_when_verified(kind: Kind, tmp_path: Path) -> None:
    digest = add(kind.store, SMALL)
    target = tmp_path / "target"
    target.write_bytes(b"before")
    kind.spoil(digest, b"spoiled")
    with pytest.raises(Corrupt):
        kind.store.fetch(digest, target)
    assert target.read_bytes() == b"before"
    kind.spoil(digest, SMALL)
    kind.store.fetch(digest, target)
    assert target.read_bytes() == SMALL
