"""The kinds of payload store behind one fixture, and the S3 server that one of them needs."""

from __future__ import annotations

import hashlib
import threading
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import obstore
import pytest
from sqlalchemy import text

from jeyn.stores.catalog.database import Database
from jeyn.stores.catalog.migrate import ensure_current
from jeyn.stores.catalog.small import SmallPayloads
from jeyn.stores.catalog.small import store as store_small
from jeyn.stores.payloads import FilePayloads, MemoryPayloads, PayloadStore, open_payloads
from jeyn.stores.payloads.layered import LayeredPayloads
from jeyn.stores.payloads.source import Source
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


@pytest.fixture(params=["file", "memory", "s3", "layered", "table"])
def kind(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kind:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    if request.param == "file":
        return file_kind(tmp_path / "payloads")
    if request.param == "memory":
        return memory_kind()
    if request.param == "layered":
        return layered_kind(tmp_path)
    if request.param == "table":
        return table_kind(tmp_path)
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


def empty_table(folder: Path) -> SmallPayloads:
    database = Database(f"sqlite:///{folder}/catalog/catalog.db")
    ensure_current(database)
    return SmallPayloads(database)


def layered_kind(folder: Path) -> Kind:
    files = file_kind(folder / "payloads")
    return Kind(LayeredPayloads(empty_table(folder), files.store), files.spoil)


class InTable(LayeredPayloads):
    """Puts where only a commit does, so that what the suite reads are rows."""

    _moving = threading.Lock()

    def put(self, digest: str, source: Source, *, move: bool = False) -> bool:
        with self._moving:
            super().put(digest, source, move=move)
            with self.small.database.write() as tx:
                stored = store_small(tx, digest, self.files.read(digest))
            self.files.delete(digest)
        return stored


def table_kind(folder: Path) -> Kind:
    small = empty_table(folder)
    return Kind(InTable(small, FilePayloads(folder / "payloads")), partial(spoil_row, small.database))


def spoil_row(database: Database, digest: str, data: bytes) -> None:
    with database.exclusive() as connection:
        found = connection.execute(
            text("UPDATE small_payload SET data = :data WHERE digest = :digest"), {"data": data, "digest": digest}
        )
        assert found.rowcount == 1


def s3_kind(url: str) -> Kind:
    store: Any = open_payloads(url)

    def spoil(digest: str, data: bytes) -> None:
        obstore.put(store._store, f"sha256/{digest[:2]}/{digest}", data)

    return Kind(store, spoil)
