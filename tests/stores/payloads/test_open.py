"""Which urls name a payload store, and what is said about those that do not."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import jeyn.stores.payloads as payloads
from jeyn.errors import UsageError
from jeyn.stores.payloads import FilePayloads, MemoryPayloads, open_payloads
from tests.stores.payloads.conftest import digest_of


@pytest.mark.parametrize("name", ["plain", "with space", "per%20cent", "hash#mark", "ünïcode", "what?"])
def test_a_folder_url_survives_the_round_trip(tmp_path: Path, name: str) -> None:
    store = FilePayloads(tmp_path / name)
    store.put(digest_of(b"x"), b"x")
    again = open_payloads(store.url)
    assert isinstance(again, FilePayloads)
    assert again.root == tmp_path / name
    assert again.url == store.url == pickle.loads(pickle.dumps(again)).url
    assert (tmp_path / name / "sha256").is_dir()


def test_memory_is_shared_by_name_only() -> None:
    one, same, other = (open_payloads(f"memory://{name}") for name in ("test-open-1", "test-open-1", "test-open-2"))
    assert isinstance(one, MemoryPayloads)
    one.put(digest_of(b"x"), b"x")
    assert same.read(digest_of(b"x")) == b"x"
    assert not other.exists(digest_of(b"x"))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "folder",
        "/folder",
        "ftp://host/x",
        "file://host/x",
        "file:relative",
        "s3://",
        "s3:bucket",
        "http://[",
        "gs:///x",
    ],
)
def test_what_names_no_store_is_refused_with_those_known(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_payloads(url)
    # Of what cannot be parsed no more is shown than what it began with: it may hold a secret.
    assert f"'{url.replace('[', '…')}'" in caught.value.message
    for scheme in ("file://", "memory://", "s3://", "gs://", "az://"):
        assert scheme in caught.value.hint


def test_a_secret_in_a_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(UsageError, match="credentials") as caught:
        open_payloads("s3://me:hunter2@bucket/prefix")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("url", ["s3://bucket/x?region=a", "file:///x#y", "memory://x?y=z"])
def test_a_query_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="query"):
        open_payloads(url)


def test_options_are_for_object_stores_only(tmp_path: Path) -> None:
    for url in (tmp_path.as_uri(), "memory://x"):
        with pytest.raises(UsageError, match="no options: endpoint"):
            open_payloads(url, endpoint="http://localhost")


def test_the_public_names() -> None:
    assert payloads.__all__ == sorted(payloads.__all__)
    assert all(hasattr(payloads, name) for name in payloads.__all__)


def test_importing_payload_stores_does_not_load_the_object_stores() -> None:
    code = "import sys, jeyn.stores.payloads; sys.exit(bool({'obstore', 'pyarrow', 'numpy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
