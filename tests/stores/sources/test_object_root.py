"""Roots in an object store, against a real S3-speaking server."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import obstore
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from obstore.store import S3Store

from jeyn.errors import Corrupt, NotFound, PayloadMissing, Unreachable, UsageError
from jeyn.sdk.catalog import DataCatalog
from jeyn.sdk.dtypes import Dtypes
from jeyn.sdk.feature import Feature
from jeyn.stores.sources import DataRoot, SourceFile, open_root, read_batches
from jeyn.stores.stat_cache import StatCache
from tests.s3_server import S3Server, serve


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with serve() as server:
        yield server


@pytest.fixture
def bucket(server: S3Server, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> S3Store:
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    name = "b" + hashlib.sha256(request.node.name.encode()).hexdigest()[:20]
    server.make_bucket(name)
    return S3Store(name, endpoint=server.endpoint, client_options={"allow_http": True})


@pytest.fixture
def root(bucket: S3Store) -> DataRoot:
    return open_root(f"s3://{bucket.config['bucket']}/team/")


def put(bucket: S3Store, path: str, data: bytes) -> None:
    obstore.put(bucket, f"team/{path}", data)


def test_rule_16_objects_are_listed_below_the_prefix(bucket: S3Store, root: DataRoot) -> None:
    for path in ("a.csv", "x/a.csv", "x/y/ä b#1.csv", "x/.h/a.csv", ".a.csv", "x/b.parquet"):
        put(bucket, path, path.encode())
    obstore.put(bucket, "other/a.csv", b"not below the prefix")
    obstore.put(bucket, "teammate/a.csv", b"not below the prefix")
    assert not root.is_local
    assert [file.path for file in root.list("**/*.csv")] == ["a.csv", "x/a.csv", "x/y/ä b#1.csv"]
    assert [file.path for file in root.list("x/*")] == ["x/a.csv", "x/b.parquet"]
    assert root.list("nothing/*") == []
    file = root.list("x/y/*.csv")[0]
    assert (file.size, bool(file.version)) == (len(file.path.encode()), True)
    with root.open(file.path, version=file.version) as reader:
        assert reader.read() == file.path.encode()
    assert root.local_path("a.csv") is None


def test_a_folder_kept_as_an_empty_object_is_no_file(bucket: S3Store, root: DataRoot) -> None:
    put(bucket, "x/", b"")
    put(bucket, "x/a.csv", b"1")
    put(bucket, "empty.csv", b"")
    assert [file.path for file in root.list("**")] == ["empty.csv", "x/a.csv"]


def test_rule_16_a_changed_object_is_noticed(bucket: S3Store, root: DataRoot) -> None:
    put(bucket, "a.csv", b"old")
    file = root.list("a.csv")[0]
    with root.open("a.csv", version=file.version) as reader:
        assert reader.read() == b"old"
    put(bucket, "a.csv", b"new")
    now = root.list("a.csv")[0].version
    with pytest.raises(Corrupt) as caught, root.open("a.csv", version=file.version):
        pass
    assert all(told in str(caught.value) for told in ("a.csv", file.version, now))
    with pytest.raises(Corrupt):
        root.digest(file)


def test_an_object_that_changes_while_it_is_read_is_noticed(bucket: S3Store, root: DataRoot) -> None:
    put(bucket, "a.csv", b"o" * (20 << 20))
    with root.open("a.csv") as reader:
        assert reader.read(1) == b"o"
        put(bucket, "a.csv", b"n" * (20 << 20))
        with pytest.raises(Corrupt, match=r"a\.csv"):
            reader.read()


def test_the_digest_is_that_of_the_bytes_and_is_remembered(bucket: S3Store, root: DataRoot, tmp_path: Path) -> None:
    data, cache = bytes(range(256)) * 80_000, StatCache(tmp_path / "stat.db")
    put(bucket, "big.bin", data)
    put(bucket, "empty.bin", b"")
    big, empty = root.list("*.bin")
    assert root.digest(big, cache) == "sha256:" + hashlib.sha256(data).hexdigest()
    assert root.digest(empty, cache) == "sha256:" + hashlib.sha256(b"").hexdigest()
    obstore.delete(bucket, "team/big.bin")
    assert root.digest(big, cache) == "sha256:" + hashlib.sha256(data).hexdigest()
    with pytest.raises(PayloadMissing, match=r"big\.bin"):
        root.digest(big)


def test_readers_seek(bucket: S3Store, root: DataRoot) -> None:
    put(bucket, "a.bin", b"0123456789")
    with root.open("a.bin") as reader:
        assert reader.seek(-3, 2) == 7
        assert reader.read() == b"789"
        assert reader.seek(2) == 2
        assert reader.read(3) == b"234"


class Numbers(DataCatalog):
    x = Feature(Dtypes.INT64)


def test_a_parquet_object_is_read_in_place(bucket: S3Store, root: DataRoot) -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"x": list(range(1000)), "y": ["t"] * 1000}), sink, row_group_size=300)
    put(bucket, "n.parquet", sink.getvalue().to_pybytes())
    with root.open("n.parquet") as reader:
        batches = list(read_batches("n.parquet", reader, Numbers, 400))
    assert [value for batch in batches for value in batch.column("x").to_pylist()] == list(range(1000))


def test_a_changed_parquet_object_keeps_its_error(bucket: S3Store, root: DataRoot) -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"x": pa.array(range(3_000_000))}), sink, compression="none", use_dictionary=False)
    put(bucket, "n.parquet", sink.getvalue().to_pybytes())
    with root.open("n.parquet") as reader:
        batches = read_batches("n.parquet", reader, Numbers, 1000)
        next(batches)
        put(bucket, "n.parquet", b"else")
        with pytest.raises(Corrupt, match=r"n\.parquet"):
            list(batches)


def test_what_is_not_there_is_named(bucket: S3Store, root: DataRoot, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PayloadMissing, match=r"gone\.csv"), root.open("gone.csv"):
        pass
    with pytest.raises(NotFound, match="JEYN_DATA"):
        open_root("s3://no-such-bucket/x").list("*")
    for path in ("../a", "/a", "a//b"):
        with pytest.raises(UsageError), root.open(path):
            pass
        with pytest.raises(UsageError):
            root.digest(SourceFile(path, 1, "v"))


def test_a_server_that_is_not_there_is_unreachable(monkeypatch: pytest.MonkeyPatch, server: S3Server) -> None:
    for name, value in (server.environment | {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(Unreachable):
        open_root("s3://bucket/x", retry_config={"max_retries": 0}).list("*")
