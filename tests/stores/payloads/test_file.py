"""What only the folder store promises: its layout, durability of names, and clear errors from a failing disk."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from jeyn.errors import Corrupt, JeynError, NoSpace, NotAllowed, NotFound, Unreachable, UsageError
from jeyn.stores.payloads import FilePayloads, HashedFile, hash_file
from jeyn.stores.payloads.failures import os_errors
from tests.stores.payloads.conftest import digest_of

DATA = os.urandom(3_000_000)
DIGEST = digest_of(DATA)


def files_below(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "not" / "yet there"


def test_the_layout(root: Path) -> None:
    store = FilePayloads(root)
    assert list(store.list()) == []
    assert not root.exists()
    store.put(DIGEST, DATA)
    assert files_below(root) == [f"sha256/{DIGEST[:2]}/{DIGEST}"]
    path = store.local_path(DIGEST)
    assert path is not None and path.read_bytes() == DATA
    assert path.stat().st_mode & 0o777 == 0o400
    assert store.url == root.as_uri()


def test_strangers_in_the_folder_are_not_listed(root: Path) -> None:
    store = FilePayloads(root)
    store.put(DIGEST, DATA)
    (root / "sha256" / "README").write_text("")
    (root / "sha256" / DIGEST[:2] / ".nfs0001").write_text("")
    assert [found.digest for found in store.list()] == [DIGEST]


def test_a_staged_file_is_moved_not_copied(root: Path) -> None:
    store = FilePayloads(root)
    staged = store.staging() / "made"
    staged.write_bytes(DATA)
    inode = staged.stat().st_ino
    assert store.put(DIGEST, hash_file(staged), move=True)
    path = store.local_path(DIGEST)
    assert path is not None and path.stat().st_ino == inode
    assert path.stat().st_mode & 0o777 == 0o400
    assert files_below(root) == [f"sha256/{DIGEST[:2]}/{DIGEST}"]


def test_a_staged_link_does_not_become_a_payload(root: Path, tmp_path: Path) -> None:
    store = FilePayloads(root)
    (tmp_path / "elsewhere").write_bytes(DATA)
    (store.staging() / "link").symlink_to(tmp_path / "elsewhere")
    assert store.put(DIGEST, store.staging() / "link", move=True)
    path = store.local_path(DIGEST)
    assert path is not None and not path.is_symlink()
    assert (tmp_path / "elsewhere").read_bytes() == DATA


def test_a_file_to_consume_that_changed_is_kept(root: Path) -> None:
    store = FilePayloads(root)
    store.put(DIGEST, DATA)
    staged = store.staging() / "made"
    staged.write_bytes(DATA)
    hashed = hash_file(staged)
    staged.write_bytes(b"newer")
    with pytest.raises(Corrupt, match="changed"):
        store.put(DIGEST, hashed, move=True)
    with pytest.raises(UsageError, match="has the digest"):
        store.put(DIGEST, staged, move=True)
    assert staged.read_bytes() == b"newer"


@pytest.mark.parametrize("settled", [True, False])
def test_a_change_while_copying_is_noticed(
    root: Path, tmp_path: Path, settled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "source"
    path.write_bytes(DATA)
    hashed = hash_file(path)
    hashed = HashedFile(path, hashed.digest, hashed.size, hashed.stat, settled)
    name = "copy_file_range" if settled else "write"
    real = getattr(os, name)

    def copy_then_change(*args: int) -> int:
        copied: int = real(*args)
        with path.open("r+b") as file:
            file.write(b"other")
        return copied

    monkeypatch.setattr(os, name, copy_then_change)
    store = FilePayloads(root)
    with pytest.raises(Corrupt, match="changed while it was being saved"):
        store.put(DIGEST, hashed)
    assert files_below(root) == []


def test_a_file_written_just_now_is_hashed_again(root: Path, tmp_path: Path) -> None:
    path = tmp_path / "source"
    path.write_bytes(DATA)
    hashed = hash_file(path)
    assert not hashed.settled
    other = DATA[:-1] + bytes([DATA[-1] ^ 1])
    path.write_bytes(other)
    now = path.stat()
    same_times = hashed.stat._replace(mtime_ns=now.st_mtime_ns, ctime_ns=now.st_ctime_ns)
    with pytest.raises(Corrupt, match="changed"):
        FilePayloads(root).put(DIGEST, HashedFile(path, DIGEST, hashed.size, same_times, hashed.settled))
    assert files_below(root) == []


@pytest.mark.parametrize("after", [0, 2_000_000])
def test_copying_goes_on_where_the_kernel_stops(
    root: Path, tmp_path: Path, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, done = tmp_path / "source", 0
    path.write_bytes(DATA)
    hashed = hash_file(path)
    real = os.copy_file_range

    def some(source: int, target: int, count: int) -> int:
        nonlocal done
        if done >= after:
            raise OSError(errno.EXDEV, "another file system")
        done += real(source, target, min(count, after))
        return done

    monkeypatch.setattr(os, "copy_file_range", some)
    store = FilePayloads(root)
    assert store.put(DIGEST, HashedFile(path, DIGEST, hashed.size, hashed.stat, settled=True))
    assert done == after
    assert store.read(DIGEST) == DATA


def test_a_mount_without_hard_links_does(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    store = FilePayloads(root)
    assert store.put(DIGEST, DATA)
    assert not store.put(DIGEST, DATA)
    assert store.read(DIGEST) == DATA
    assert files_below(root) == [f"sha256/{DIGEST[:2]}/{DIGEST}"]


def test_a_put_that_fails_leaves_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "broken disk")

    for name in ("fsync", "write", "link", "fchmod"):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, fail)
            with pytest.raises(Unreachable, match="broken disk"):
                FilePayloads(root).put(DIGEST, DATA)
        assert files_below(root) == []
    assert FilePayloads(root).put(DIGEST, DATA)


def test_the_bytes_are_durable_before_their_name(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    fsync, link = os.fsync, os.link

    def synced(descriptor: int) -> None:
        steps.append("sync " + Path(f"/proc/self/fd/{descriptor}").readlink().name.split("-")[0])
        fsync(descriptor)

    def linked(source: Path, target: Path) -> None:
        steps.append("name")
        link(source, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "link", linked)
    store = FilePayloads(root)
    store.put(DIGEST, DATA)
    assert steps[-3:] == ["sync put", "name", f"sync {DIGEST[:2]}"]
    assert {"sync sha256", f"sync {root.name}", f"sync {root.parent.name}"} <= set(steps[:-3])


@pytest.mark.parametrize(
    ("number", "error"),
    [
        (errno.ENOSPC, NoSpace),
        (errno.EDQUOT, NoSpace),
        (errno.EACCES, NotAllowed),
        (errno.EROFS, NotAllowed),
        (errno.ENOENT, NotFound),
        (errno.ENOTDIR, UsageError),
        (errno.EIO, Unreachable),
        (errno.ESTALE, Unreachable),
    ],
)
def test_an_operating_system_error_has_its_own_class_and_hint(number: int, error: type[JeynError]) -> None:
    with pytest.raises(JeynError) as caught, os_errors("do 'this'"):
        raise OSError(number, os.strerror(number))
    assert type(caught.value) is error
    assert "'this'" in caught.value.message and os.strerror(number) in caught.value.message
    assert caught.value.hint


def test_a_root_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = FilePayloads(tmp_path / "file")
    for call in (lambda: store.put(DIGEST, DATA), lambda: store.exists(DIGEST), store.staging):
        with pytest.raises(UsageError, match="file"):
            call()


@pytest.fixture(scope="module")
def mounts() -> None:
    if os.getuid() != 0:
        pytest.skip("mounting a small disk needs root")
    if subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode:
        pytest.skip("this machine does not allow a private mount namespace")


def in_private_mounts(mount: str, code: str, folder: Path) -> None:
    """Run `code` with `folder` as its argument, after the shell line `mount`, which nobody else sees."""
    script = f'mount --make-rprivate / && {mount} && exec "$0" -W error -c "$2" "$1"'
    command = ["unshare", "-m", "sh", "-c", script, sys.executable, str(folder), textwrap.dedent(code)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.mark.usefixtures("mounts")
def test_a_full_disk_is_a_clear_error_and_loses_nothing(tmp_path: Path) -> None:
    code = """
        import hashlib, os, pathlib, sys, time
        from jeyn.errors import NoSpace
        from jeyn.stores.payloads import FilePayloads, MemoryPayloads, hash_file

        disk, store = pathlib.Path(sys.argv[1]), FilePayloads(pathlib.Path(sys.argv[1]) / "payloads")
        kept, large = b"kept" * 1000, os.urandom(32 << 20)
        digest = hashlib.sha256(large).hexdigest()
        store.put(hashlib.sha256(kept).hexdigest(), kept)
        outside = disk.parent / "outside"
        outside.write_bytes(large)
        time.sleep(0.1)
        hashed = hash_file(outside)
        assert hashed.settled
        memory = MemoryPayloads("memory://full")
        memory.put(digest, large)
        for attempt in (lambda: store.put(digest, large), lambda: store.put(digest, outside),
                        lambda: store.put(digest, hashed), lambda: memory.fetch(digest, disk / "fetched")):
            try:
                attempt()
            except NoSpace as error:
                assert str(disk) in error.message and "space" in error.hint, error
            else:
                raise AssertionError("32 MB on a disk of 16 MB")
        left = [path.name for path in disk.rglob("*") if path.is_file()]
        assert left == [hashlib.sha256(kept).hexdigest()], left
        assert store.read(left[0]) == kept
        assert store.put(hashlib.sha256(b"small").hexdigest(), b"small")
    """
    (tmp_path / "disk").mkdir()
    in_private_mounts('mount -t tmpfs -o size=16m tmpfs "$1"', code, tmp_path / "disk")


@pytest.mark.usefixtures("mounts")
def test_a_read_only_disk_is_read_and_not_written(tmp_path: Path) -> None:
    code = """
        import hashlib, pathlib, sys
        from jeyn.errors import NotAllowed
        from jeyn.stores.payloads import FilePayloads

        root = pathlib.Path(sys.argv[1])
        store, kept, new = FilePayloads(root), b"kept", hashlib.sha256(b"new").hexdigest()
        digest = hashlib.sha256(kept).hexdigest()
        assert store.read(digest) == kept
        assert not store.put(digest, kept)
        fresh = FilePayloads(root / "fresh")
        for attempt in (lambda: store.put(new, b"new"), lambda: store.delete(digest), lambda: fresh.put(new, b"new"),
                        fresh.staging, lambda: store.fetch(digest, root / "copy")):
            try:
                attempt()
            except NotAllowed as error:
                assert str(root) in error.message and error.hint, error
            else:
                raise AssertionError("written to a read-only disk")
        assert store.read(digest) == kept
    """
    store = FilePayloads(tmp_path / "payloads")
    store.put(digest_of(b"kept"), b"kept")
    in_private_mounts('mount --bind "$1" "$1" && mount -o remount,bind,ro "$1"', code, tmp_path / "payloads")
    assert store.read(digest_of(b"kept")) == b"kept"
