"""Local roots and what all roots share: patterns, versions, and no way out."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest

from jeyn.errors import Corrupt, DataInvalid, NotFound, PayloadMissing, UsageError
from jeyn.stores.sources import SourceFile, open_root
from jeyn.stores.stat_cache import StatCache


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "data root"
    for name in ("a.csv", "b.parquet", "x/a.csv", "x/y/a.csv", "x/y/b1.csv", ".hidden.csv", ".git/a.csv", "x/.h/a.csv"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return root


def paths(folder: Path, pattern: str) -> list[str]:
    return [file.path for file in open_root(str(folder)).list(pattern)]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.csv", ["a.csv"]),
        ("**/*.csv", ["a.csv", "x/a.csv", "x/y/a.csv", "x/y/b1.csv"]),
        ("x/**", ["x/a.csv", "x/y/a.csv", "x/y/b1.csv"]),
        ("x/**/a.csv", ["x/a.csv", "x/y/a.csv"]),
        ("**/y/**/*.csv", ["x/y/a.csv", "x/y/b1.csv"]),
        ("?/*/b[0-9].csv", ["x/y/b1.csv"]),
        ("[!x]*", ["a.csv", "b.parquet"]),
        ("x/y/b1.csv", ["x/y/b1.csv"]),
        ("*.CSV", []),
        (".hidden.csv", []),
        ("nothing/*", []),
        ("a.csv/*", []),
    ],
)
def test_rule_16_a_pattern_lists_files_below_the_root_in_order(folder: Path, pattern: str, expected: list[str]) -> None:
    assert paths(folder, pattern) == expected


@pytest.mark.parametrize("pattern", ["", "/etc/*", "../*", "x/../../*", "s3://b/*"])
def test_a_pattern_cannot_leave_the_root(folder: Path, pattern: str) -> None:
    with pytest.raises(UsageError):
        open_root(str(folder)).list(pattern)


def test_links_are_followed_only_within_the_root(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("secret")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "o.csv").write_text("secret")
    (folder / "l1.csv").symlink_to(tmp_path / "secret.csv")
    (folder / "l2").symlink_to(tmp_path / "outside")
    (folder / "l3.csv").symlink_to(folder / "a.csv")
    (folder / "l4.csv").symlink_to(folder / "gone.csv")
    (folder / "x" / "up").symlink_to(folder)
    (folder / "x" / "y" / "back").symlink_to(folder / "x")
    assert paths(folder, "**/*.csv") == ["a.csv", "l3.csv", "x/a.csv", "x/y/a.csv", "x/y/b1.csv"]
    root = open_root(str(folder))
    for path in ("l1.csv", "l2/o.csv"):
        with pytest.raises(PayloadMissing), root.open(path):
            pass
        with pytest.raises(PayloadMissing):
            root.local_path(path)


def test_only_regular_files_are_listed(folder: Path) -> None:
    os.mkfifo(folder / "pipe.csv")
    assert paths(folder, "*.csv") == ["a.csv"]


@pytest.mark.parametrize("path", ["../a.csv", "/etc/passwd", "x//a.csv", "./a.csv", "", "x/../../a", "a\0b"])
def test_a_path_cannot_leave_the_root(folder: Path, path: str) -> None:
    root = open_root(folder.as_uri())
    with pytest.raises(UsageError), root.open(path):
        pass
    with pytest.raises(UsageError):
        root.local_path(path)
    with pytest.raises(UsageError):
        root.digest(SourceFile(path, 1, "1:1"))


def test_a_url_and_a_path_open_the_same_root(folder: Path) -> None:
    by_path, by_url = open_root(str(folder)), open_root(folder.as_uri())
    assert by_path.url == by_url.url == folder.as_uri()
    assert by_path.is_local
    assert by_path.list("**/*.csv") == by_url.list("**/*.csv")
    assert by_path.local_path("x/a.csv") == folder / "x/a.csv"


@pytest.mark.parametrize(
    "url", ["ftp://host/x", "s3://", "memory://x", "file://host/x", "", "file:///x?y=1", "http://[x"]
)
def test_what_names_no_root_is_refused(url: str) -> None:
    with pytest.raises(UsageError):
        open_root(url)


def test_credentials_in_a_url_are_refused_and_not_repeated() -> None:
    with pytest.raises(UsageError) as caught:
        open_root("s3://key:s3cret@bucket/x")
    assert "s3cret" not in str(caught.value)


def test_a_missing_root_names_the_setting(tmp_path: Path) -> None:
    root = open_root(str(tmp_path / "gone"))
    with pytest.raises(NotFound, match="JEYN_DATA") as caught:
        root.list("*")
    assert str(tmp_path / "gone") in str(caught.value)


def test_a_name_that_is_no_utf8_is_refused(folder: Path) -> None:
    (folder / os.fsdecode(b"\xff.csv")).write_text("x")
    with pytest.raises(DataInvalid, match="UTF-8"):
        paths(folder, "*.csv")


def test_open_reads_and_checks_the_version(folder: Path) -> None:
    root = open_root(str(folder))
    file = root.list("a.csv")[0]
    seen = (folder / "a.csv").stat()
    assert (file.size, file.version) == (5, f"{seen.st_mtime_ns}:{seen.st_ino}")
    with root.open("a.csv", version=file.version) as reader:
        assert reader.read() == b"a.csv"
        assert reader.seek(2) == 2
        assert reader.read(2) == b"cs"
    os.utime(folder / "a.csv", ns=(1, 1))
    with pytest.raises(Corrupt) as caught, root.open("a.csv", version=file.version):
        pass
    for told in ("a.csv", file.version, f"1:{seen.st_ino}"):
        assert told in str(caught.value)
    with root.open("a.csv") as reader:
        assert reader.read() == b"a.csv"


def test_a_missing_file_is_named(folder: Path) -> None:
    root = open_root(str(folder))
    with pytest.raises(PayloadMissing, match=r"gone\.csv"), root.open("gone.csv"):
        pass
    with pytest.raises(PayloadMissing, match=r"gone\.csv"):
        root.digest(SourceFile("gone.csv", 1, "1:1"))


def age(path: Path) -> None:
    """Make the last change look old enough; the change of the inode itself cannot be dated back."""
    os.utime(path, ns=(10**18, 10**18))


def test_rule_16_the_digest_is_that_of_the_bytes_and_a_cache_saves_hashing(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, cache = open_root(str(folder)), StatCache(tmp_path / "stat.db")
    age(folder / "a.csv")
    expected = "sha256:" + hashlib.sha256(b"a.csv").hexdigest()
    now = time.time_ns()
    monkeypatch.setattr("jeyn.stores.sources.files.time.time_ns", lambda: now + 3_000_000_000)
    file = root.list("a.csv")[0]
    assert root.digest(file, cache) == expected
    with monkeypatch.context() as patch:
        patch.setattr("jeyn.stores.sources.files.hash_file", lambda path: pytest.fail("it was hashed again"))
        assert root.digest(file, cache) == expected
    # The same size and time, as a careless copy leaves them: the change of the inode still shows.
    time.sleep(0.02)
    (folder / "a.csv").write_text("A.CSV")
    age(folder / "a.csv")
    assert root.list("a.csv") == [file]
    assert root.digest(file, cache) == "sha256:" + hashlib.sha256(b"A.CSV").hexdigest()


def test_a_file_that_was_just_written_is_not_remembered(folder: Path, tmp_path: Path) -> None:
    root, cache = open_root(str(folder)), StatCache(tmp_path / "stat.db")
    (folder / "a.csv").write_text("new!!")
    file = root.list("a.csv")[0]
    root.digest(file, cache)
    look = f"{file.version}:{(folder / 'a.csv').stat().st_ctime_ns}"
    assert cache.get(root.url, "a.csv", 5, look) is None


def test_a_file_that_changes_after_it_was_listed_is_noticed(folder: Path) -> None:
    root = open_root(str(folder))
    file = root.list("a.csv")[0]
    (folder / "a.csv").write_text("longer than before")
    with pytest.raises(Corrupt, match=r"a\.csv"):
        root.digest(file)
