"""The stat cache saves time and is never in the way."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from jeyn.stores.stat_cache import StatCache

DIGEST = "sha256:" + "a" * 64
OTHER = "sha256:" + "b" * 64


def test_only_a_file_that_looks_exactly_so_is_known(tmp_path: Path) -> None:
    cache = StatCache(tmp_path / "home" / "stat.db")
    cache.put("file:///r", "a", 3, "v1", DIGEST)
    assert cache.get("file:///r", "a", 3, "v1") == DIGEST
    for key in (("file:///x", "a", 3, "v1"), ("file:///r", "b", 3, "v1"), ("file:///r", "a", 4, "v1")):
        assert cache.get(*key) is None
    assert cache.get("file:///r", "a", 3, "v2") is None
    cache.put("file:///r", "a", 3, "v2", OTHER)
    assert cache.get("file:///r", "a", 3, "v1") is None
    assert StatCache(cache.path).get("file:///r", "a", 3, "v2") == OTHER
    assert pickle.loads(pickle.dumps(cache)).get("file:///r", "a", 3, "v2") == OTHER


@pytest.mark.parametrize(("age_s", "kept"), [(0.0, False), (1.9, False), (2.1, True), (-5.0, False)])
def test_what_changed_within_two_seconds_of_hashing_is_not_kept(tmp_path: Path, age_s: float, kept: bool) -> None:
    cache, now = StatCache(tmp_path / "stat.db"), 10**18
    cache.put("r", "a", 1, "v", DIGEST, changed_ns=now - int(age_s * 10**9), hashed_ns=now)
    assert (cache.get("r", "a", 1, "v") == DIGEST) is kept


@pytest.mark.parametrize("damage", [b"no database at all, only some text", b"SQLite format 3\0" + b"\xff" * 4000])
def test_a_damaged_cache_is_made_anew(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "stat.db"
    path.write_bytes(damage)
    cache = StatCache(path)
    assert cache.get("r", "a", 1, "v") is None
    cache.put("r", "a", 1, "v", DIGEST)
    assert cache.get("r", "a", 1, "v") == DIGEST


def test_a_cache_that_cannot_be_written_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "stat.db", tmp_path, Path("/proc/stat.db")):
        cache = StatCache(path)
        cache.put("r", "a", 1, "v", DIGEST)
        assert cache.get("r", "a", 1, "v") is None


def test_what_is_no_digest_is_not_given(tmp_path: Path) -> None:
    cache = StatCache(tmp_path / "stat.db")
    cache.put("r", "a", 1, "v", "sha256:123")
    assert cache.get("r", "a", 1, "v") is None


def test_a_name_that_cannot_be_stored_is_ignored(tmp_path: Path) -> None:
    cache = StatCache(tmp_path / "stat.db")
    cache.put("r", os.fsdecode(b"\xff"), 1, "v", DIGEST)
    assert cache.get("r", os.fsdecode(b"\xff"), 1, "v") is None


WRITER = """
import sys
from pathlib import Path
from jeyn.stores.stat_cache import StatCache
cache = StatCache(Path(sys.argv[1]))
for number in range(200):
    cache.put("r", f"{sys.argv[2]}-{number}", number, "v", "sha256:" + "a" * 64)
"""


def test_processes_share_a_cache(tmp_path: Path) -> None:
    path = tmp_path / "stat.db"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(at)]) for at in range(3)]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    cache = StatCache(path)
    assert all(cache.get("r", f"{at}-{number}", number, "v") for at in range(3) for number in range(200))
