"""Two places as one store: where bytes are looked for, and what happens to those that are in both."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from jeyn.errors import Corrupt, PayloadMissing
from jeyn.stores.catalog.database import Database
from jeyn.stores.catalog.migrate import ensure_current
from jeyn.stores.catalog.small import SmallPayloads, store
from jeyn.stores.payloads.layered import LayeredPayloads
from tests.stores.payloads.conftest import Kind, digest_of, empty_table, file_kind, memory_kind, s3_kind, spoil_row

DATA = b"a few bytes"
DIGEST = digest_of(DATA)
Make = Callable[[str], tuple[LayeredPayloads, Kind]]


@pytest.fixture
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    """A layered store over a kind of store, and that one."""

    def made(name: str) -> tuple[LayeredPayloads, Kind]:
        kinds: dict[str, Callable[[], Kind]] = {
            "file": lambda: file_kind(tmp_path / "payloads"),
            "memory": memory_kind,
            "s3": lambda: s3_kind(request.getfixturevalue("s3_url")),
        }
        below = kinds[name]()
        return LayeredPayloads(empty_table(tmp_path), below.store), below

    return made


def write(small: SmallPayloads, data: bytes) -> bool:
    with small.database.write() as tx:
        return store(tx, digest_of(data), data)


@pytest.mark.parametrize("name", ["file", "memory", "s3"])
def test_a_small_one_is_read_like_any_other(make: Make, name: str, tmp_path: Path) -> None:
    layered, below = make(name)
    assert write(layered.small, DATA)
    assert not below.store.exists(DIGEST)
    assert layered.exists(DIGEST)
    assert layered.read(DIGEST) == DATA
    with layered.open(DIGEST) as file:
        assert file.read() == DATA
    assert layered.read_range(DIGEST, 2, 3) == DATA[2:5]
    assert layered.size(DIGEST) == len(DATA)
    assert layered.local_path(DIGEST) is None
    layered.fetch(DIGEST, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == DATA


@pytest.mark.parametrize("name", ["file", "memory", "s3"])
def test_a_catalog_in_a_file_is_asked_first(make: Make, name: str) -> None:
    layered, below = make(name)
    layered.put(DIGEST, DATA)
    write(layered.small, DATA)
    below.spoil(DIGEST, DATA.upper())
    assert layered.read(DIGEST) == DATA


@pytest.mark.parametrize("name", ["file", "s3"])
def test_a_database_server_is_asked_after_local_files_and_before_an_object_store(
    make: Make, name: str, postgres_url: str
) -> None:
    below = make(name)[1]
    database = Database(postgres_url)
    ensure_current(database)
    layered = LayeredPayloads(SmallPayloads(database), below.store)
    layered.put(DIGEST, DATA)
    write(layered.small, DATA)
    below.spoil(DIGEST, DATA.upper())
    if name == "file":
        with pytest.raises(Corrupt, match=DIGEST):
            layered.read(DIGEST)
    else:
        assert layered.read(DIGEST) == DATA
    database.dispose()


def test_what_is_put_goes_to_the_files_even_when_a_row_has_it(make: Make) -> None:
    layered, below = make("file")
    write(layered.small, DATA)
    assert layered.put(DIGEST, DATA)
    assert below.store.read(DIGEST) == DATA
    assert layered.local_path(DIGEST) == below.store.local_path(DIGEST)


def test_what_is_in_both_is_listed_once_and_deleted_in_both(make: Make) -> None:
    layered, below = make("file")
    layered.put(DIGEST, DATA)
    write(layered.small, DATA)
    write(layered.small, b"row")
    layered.put(digest_of(b"file"), b"file")
    assert sorted((found.digest, found.size) for found in layered.list()) == sorted(
        (digest_of(data), len(data)) for data in (DATA, b"row", b"file")
    )
    layered.delete(DIGEST)
    assert not below.store.exists(DIGEST)
    assert not layered.small.exists(DIGEST)
    assert not layered.exists(DIGEST)


def test_writing_a_row_again_heals_it_and_else_changes_nothing(make: Make) -> None:
    layered, _ = make("file")
    assert write(layered.small, DATA)
    assert not write(layered.small, DATA)
    spoil_row(layered.small.database, DIGEST, DATA.upper())
    with pytest.raises(Corrupt, match=DIGEST):
        layered.read(DIGEST)
    assert write(layered.small, DATA)
    assert layered.read(DIGEST) == DATA


def test_many_rows_are_listed_page_by_page(make: Make) -> None:
    layered, _ = make("file")
    with layered.small.database.write() as tx:
        for number in range(1203):
            store(tx, digest_of(b"%d" % number), b"%d" % number)
    assert {found.digest for found in layered.list()} == {digest_of(b"%d" % number) for number in range(1203)}
    assert len(list(layered.small.list())) == 1203


def test_a_pickled_one_reads_both(make: Make) -> None:
    layered, _ = make("file")
    write(layered.small, DATA)
    layered.put(digest_of(b"file"), b"file")
    again = pickle.loads(pickle.dumps(layered))
    assert (again.read(DIGEST), again.read(digest_of(b"file"))) == (DATA, b"file")


@pytest.mark.parametrize("name", ["file", "s3"])
def test_what_is_in_neither_is_missing_from_the_payload_store(make: Make, name: str) -> None:
    layered, below = make(name)
    with pytest.raises(PayloadMissing) as caught:
        layered.read(DIGEST)
    assert below.store.url in caught.value.message
