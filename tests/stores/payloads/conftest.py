"""The three kinds of payload store behind one fixture, and the S3 server that one of them needs."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import obstore
import pytest

from jeyn.stores.payloads import FilePayloads, MemoryPayloads, PayloadStore, open_payloads
from tests.s3_server import S3Server, serve


class Kind(NamedTuple):
    """A store under test, and how to spoil what it holds behind its back."""

    store: PayloadStore
    spoil: Callable[[str, bytes], None]


def digest_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    with serve() as server:
        yield server


@pytest.fixture
def s3_url(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    bucket = f"bucket-{uuid.uuid4().hex}"
    s3_server.make_bucket(bucket)
    return f"s3://{bucket}/some/prefix"


@pytest.fixture(params=["file", "memory", "s3"])
def kind(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kind:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    if request.param == "file":
        return file_kind(tmp_path / "payloads")
    if request.param == "memory":
        return memory_kind()
    return s3_kind(request.getfixturevalue("s3_url"))


@pytest.fixture
def store(kind: Kind) -> PayloadStore:
    return kind.store


def file_kind(root: Path) -> Kind:
    store = FilePayloads(root)

    def spoil(digest: str, data: bytes) -> None:
        path: Any = store.local_path(digest)
        path.chmod(0o644)
        path.write_bytes(data)

    return Kind(store, spoil)


def memory_kind() -> Kind:
    store = MemoryPayloads(f"memory://{uuid.uuid4().hex}")

    def spoil(digest: str, data: bytes) -> None:
        store._held[digest] = store._held[digest]._replace(data=data)

    return Kind(store, spoil)


def s3_kind(url: str) -> Kind:
    store: Any = open_payloads(url)

    def spoil(digest: str, data: bytes) -> None:
        obstore.put(store._store, f"sha256/{digest[:2]}/{digest}", data)

    return Kind(store, spoil)
