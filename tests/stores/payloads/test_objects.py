"""What only object stores can get wrong: the network, the bucket, the credentials, and uploads in parts."""

from __future__ import annotations

import os
import pickle
import socket
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from obstore.exceptions import PermissionDeniedError, UnauthenticatedError

from jeyn.errors import Corrupt, NotAllowed, NotFound, PayloadMissing, Unreachable, UsageError
from jeyn.stores.payloads import PayloadStore, objects, open_payloads
from tests.s3_server import S3Server
from tests.stores.payloads.conftest import digest_of

LARGE = os.urandom(1 << 20) * 9
DIGEST = digest_of(LARGE)
AT_ONCE = {"max_retries": 0}
ANYONE = {"skip_signature": True, "region": "us-east-1"}


def calls(store: PayloadStore, folder: Path) -> dict[str, Callable[[], object]]:
    return {
        "put small": lambda: store.put(digest_of(b"x"), b"x"),
        "put large": lambda: store.put(DIGEST, LARGE),
        "read": lambda: store.read(DIGEST),
        "open": lambda: store.open(DIGEST).__enter__(),
        "read_range": lambda: store.read_range(DIGEST, 0, 1),
        "fetch": lambda: store.fetch(DIGEST, folder / "copy"),
        "size": lambda: store.size(DIGEST),
        "exists": lambda: store.exists(DIGEST),
        "list": lambda: list(store.list()),
        "delete": lambda: store.delete(DIGEST),
    }


def test_no_server_is_unreachable(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{taken.getsockname()[1]}"
        store = open_payloads("s3://bucket/prefix", endpoint=endpoint, retry_config=AT_ONCE, **ANYONE)
        for name, call in calls(store, tmp_path).items():
            with pytest.raises(Unreachable) as caught:
                call()
            assert type(caught.value) is Unreachable, name
            assert "s3://bucket/prefix" in caught.value.message and "AWS_ENDPOINT_URL" in caught.value.hint
            assert "\n" not in caught.value.message
            assert caught.value.retry_helps


def test_no_bucket_says_so(s3_server: S3Server, s3_url: str, tmp_path: Path) -> None:
    store = open_payloads("s3://no-such-bucket")
    for name, call in calls(store, tmp_path).items():
        # The answer to "how large is it" carries no body, so a missing bucket is a missing payload there.
        if name == "exists":
            assert call() is False
            continue
        with pytest.raises(PayloadMissing if name in ("size", "read_range") else NotFound):
            call()
    with pytest.raises(NotFound, match="bucket") as caught:
        store.put(digest_of(b"x"), b"x")
    assert "make the bucket" in caught.value.hint


@pytest.mark.parametrize("error", [PermissionDeniedError, UnauthenticatedError])
def test_refused_credentials_are_not_allowed(error: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error("Access Denied\n\nDebug source: long")

    for name in ("put", "get", "get_range", "head", "list", "delete"):
        monkeypatch.setattr(objects.obstore, name, refuse)
    for call in calls(open_payloads("s3://bucket", **ANYONE), tmp_path).values():
        with pytest.raises(NotAllowed, match="Access Denied") as caught:
            call()
        assert "credentials" in caught.value.hint and "Debug" not in caught.value.message


def test_an_answer_that_breaks_off_is_unreachable(tmp_path: Path) -> None:
    head = (
        b"HTTP/1.1 206 Partial Content\r\nContent-Length: 1000\r\nContent-Range: bytes 0-999/1000\r\n"
        b'ETag: "1"\r\nLast-Modified: Sat, 21 Nov 2026 00:00:00 GMT\r\nConnection: close\r\n\r\n'
    )
    with _answers(head + b"x" * 10) as endpoint:
        store = open_payloads("s3://bucket", endpoint=endpoint, retry_config=AT_ONCE, **ANYONE)
        with pytest.raises(Unreachable, match=DIGEST):
            store.read(DIGEST)
        with pytest.raises(Unreachable, match=DIGEST), store.open(DIGEST) as reader:
            reader.read()
        with pytest.raises(Unreachable, match=DIGEST):
            store.fetch(DIGEST, tmp_path / "copy")
    assert list(tmp_path.iterdir()) == []


@contextmanager
def _answers(answer: bytes) -> Iterator[str]:
    """A server that answers every request alike and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                connection, _ = server.accept()
                with connection:
                    if not connection.recv(65536):
                        return
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        socket.create_connection(server.getsockname()).close()
        thread.join(10)


def test_an_upload_that_fails_leaves_neither_object_nor_parts(s3_server: S3Server, s3_url: str, tmp_path: Path) -> None:
    store, path = open_payloads(s3_url), tmp_path / "source"
    path.write_bytes(LARGE * 3)
    with pytest.raises(Corrupt, match="changed while it was being saved"):
        store.put(DIGEST, path)
    assert not store.exists(DIGEST)
    bucket = s3_url.split("/")[2]
    with urllib.request.urlopen(f"{s3_server.endpoint}/{bucket}?uploads", timeout=10) as answer:
        assert b"<Upload>" not in answer.read()


def test_the_key_lies_below_the_prefix(s3_server: S3Server, s3_url: str) -> None:
    open_payloads(s3_url).put(DIGEST, LARGE)
    bucket = s3_url.split("/")[2]
    with urllib.request.urlopen(f"{s3_server.endpoint}/{bucket}?list-type=2", timeout=10) as answer:
        assert f"<Key>some/prefix/sha256/{DIGEST[:2]}/{DIGEST}</Key>".encode() in answer.read()


def test_a_payload_of_several_pieces_is_read_whole(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "_PIECE", 1_000_000)
    store = open_payloads(s3_url)
    store.put(DIGEST, LARGE)
    assert store.read(DIGEST) == LARGE
    with store.open(DIGEST) as reader:
        assert reader.read() == LARGE


def test_a_listing_of_many_pages_is_complete(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store, real = open_payloads(s3_url), objects.obstore.list
    monkeypatch.setattr(objects.obstore, "list", lambda *args, **options: real(*args, chunk_size=3, **options))
    for n in range(10):
        store.put(digest_of(b"%d" % n), b"%d" % n)
    assert {found.digest for found in store.list()} == {digest_of(b"%d" % n) for n in range(10)}


def test_google_and_azure_open_and_pickle_without_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
    monkeypatch.setenv("GOOGLE_SKIP_SIGNATURE", "true")
    for url in ("gs://bucket/prefix", "az://container/prefix"):
        assert pickle.loads(pickle.dumps(open_payloads(url))).url == url


@pytest.mark.parametrize("options", [{"wrong": "1"}, {"config": {"timeout": "1s"}}, {"retry_config": 1}])
def test_an_option_that_is_not_known_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="s3://bucket"):
        open_payloads("s3://bucket", **options)
