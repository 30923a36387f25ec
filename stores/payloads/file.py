"""Payloads as read-only files below a folder, `file:///folder`; each is complete and durable, or absent."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from jeyn.errors import NotFound, UsageError
from jeyn.regular import MOST_TEXT, read_bytes
from jeyn.stores.access import make_folder, writing
from jeyn.stores.payloads import reader, staging
from jeyn.stores.payloads.failures import os_errors, translated
from jeyn.stores.payloads.protocol import (
    IDENTITY,
    StoredPayload,
    check_digest,
    check_range,
    checked_identity,
    corrupt,
    is_digest,
    missing,
)
from jeyn.stores.payloads.source import HashedFile, Source, claimed, consume, opened, size_of
from jeyn.stores.payloads.writing import give_name, seal_moved, sync_folder, write_aside


class FilePayloads:
    """Keeps payloads as `sha256/ab/<digest>` below `root`, which the first write makes; reading writes nothing."""

    def __init__(self, root: Path) -> None:
        # Not resolve(): following links would change the url.
        self.root = Path(os.path.abspath(root))  # noqa: PTH100
        self.url = self.root.as_uri()
        self._payloads = self.root / "sha256"
        self._durable: set[Path] = set()
        self._has_shards = False

    def __repr__(self) -> str:
        return f"FilePayloads({str(self.root)!r})"

    def __reduce__(self) -> tuple[type[FilePayloads], tuple[Path]]:
        return FilePayloads, (self.root,)

    def put(self, digest: str, source: Source, *, move: bool = False) -> bool:
        source = claimed(check_digest(digest), source, move)
        target, size = self._path(digest), size_of(source)
        with os_errors(f"store payload '{digest}' in '{self.url}'"):
            new = self._size(target) != size and self._add(digest, source, target, move)
            # Also for what somebody else has just put there: their fsync may still be to come.
            sync_folder(target.parent)
        consume(source, move)
        return new

    def read(self, digest: str) -> bytes:
        with self._reading(digest) as file, os_errors(f"read payload '{digest}' in '{self.url}'"):
            data = file.readall()
        if hashlib.sha256(data).hexdigest() != digest:
            raise corrupt(digest, self.url)
        return data

    @contextmanager
    def open(self, digest: str) -> Iterator[BinaryIO]:
        with self._reading(digest) as file:

            def fill(buffer: memoryview) -> int:
                with os_errors(f"read payload '{digest}' in '{self.url}'"):
                    return file.readinto(buffer) or 0

            size = os.fstat(file.fileno()).st_size
            with reader.verified(fill, size, digest, corrupt(digest, self.url)) as verified:
                yield verified

    def read_range(self, digest: str, start: int, length: int) -> bytes:
        check_range(start, length)
        with self._reading(digest) as file, os_errors(f"read payload '{digest}' in '{self.url}'"):
            # A range may be asked for that is far longer than the payload.
            end = min(start + length, os.fstat(file.fileno()).st_size)
            return b"".join(_pread(file.fileno(), start, end))

    def fetch(self, digest: str, path: Path) -> None:
        reader.fetch(self, digest, path)

    def size(self, digest: str) -> int:
        size = self._size(self._path(check_digest(digest)))
        if size is None:
            raise missing(digest, self.url)
        return size

    def exists(self, digest: str) -> bool:
        return self._size(self._path(check_digest(digest))) is not None

    def list(self) -> Iterator[StoredPayload]:
        with os_errors(f"list '{self.url}'"):
            folders = sorted(self._payloads.iterdir()) if self._payloads.is_dir() else ()
        for folder in folders:
            yield from self._listed(folder)

    def delete(self, digest: str) -> None:
        path = self._path(check_digest(digest))
        with os_errors(f"delete payload '{digest}' in '{self.url}'"):
            self._clear(path)
            path.unlink(missing_ok=True)

    def identity(self) -> str | None:
        with os_errors(f"read the identity of '{self.url}'"):
            try:
                return checked_identity(read_bytes(self.root / IDENTITY, MOST_TEXT).decode(errors="replace"), self.url)
            except (FileNotFoundError, NotADirectoryError):
                return None

    def identify(self, identity: str) -> str:
        with os_errors(f"write the identity of '{self.url}'"):
            self._make(self.root)
            aside = self.staging() / f"{IDENTITY}-{os.getpid()}-{secrets.token_hex(8)}"
            with writing(aside) as file:
                file.write(f"{identity}\n".encode())
                file.flush()
                os.fsync(file.fileno())
            give_name(aside, self.root / IDENTITY)
            sync_folder(self.root)
        return self.identity() or ""

    def staging(self) -> Path:
        folder = self.root / "staging"
        if self.root.is_dir() and not os.access(folder if folder.is_dir() else self.root, os.W_OK | os.X_OK):
            return staging.private_folder()  # what is read needs room too
        with os_errors(f"make '{folder}'"):
            make_folder(folder)
        return folder

    def sweep_staging(self, older_than_s: float) -> int:
        return staging.sweep(self.root / "staging", older_than_s)

    def local_path(self, digest: str) -> Path | None:
        path = self._path(check_digest(digest))
        if self._size(path) is None:
            raise missing(digest, self.url)
        return path

    def _path(self, digest: str) -> Path:
        return self._payloads.joinpath(digest[:2], digest)

    def _size(self, path: Path) -> int | None:
        with os_errors(f"look for '{path}'"):
            try:
                seen = path.stat()
            except OSError as exc:
                if exc.errno in _NOT_THERE:
                    return None
                raise
            # A folder in its place, or what else is no file, is no payload.
            return seen.st_size if stat.S_ISREG(seen.st_mode) else None

    def _add(self, digest: str, source: Source, target: Path, move: bool) -> bool:
        self._make_shards()
        aside = self._aside(digest, source, move)
        try:
            return self._place(aside, target, size_of(source))
        except BaseException:
            if not isinstance(source, HashedFile) or aside != source.path:
                aside.unlink(missing_ok=True)
            raise

    def _place(self, aside: Path, target: Path, size: int) -> bool:
        self._clear(target)
        if self._size(target) in (None, size):
            return give_name(aside, target)
        # What is there is broken, a disk's fault or a person's: good bytes heal it.
        aside.replace(target)
        return True

    def _clear(self, target: Path) -> None:
        """Take away what is no file from where a payload belongs; whoever wants it finds it among the scratch files."""
        if os.path.lexists(target) and self._size(target) is None:
            target.replace(self.staging() / f"displaced-{target.name}-{secrets.token_hex(8)}")

    def _aside(self, digest: str, source: Source, move: bool) -> Path:
        folder = self.staging()
        if move and isinstance(source, HashedFile) and _lies_in(source.path, folder):
            return seal_moved(source, folder)
        return write_aside(folder, digest, source)

    def _make_shards(self) -> None:
        """All folders that payloads lie in, at once: one sync for them all instead of one for each."""
        if self._has_shards and self._payloads.is_dir():
            return
        self._make(self._payloads)
        there = set(os.listdir(self._payloads))  # noqa: PTH208 - only the names
        for name in _SHARDS:
            if name not in there:
                make_folder(self._payloads / name)
        sync_folder(self._payloads)
        self._has_shards = True

    def _make(self, folder: Path) -> None:
        """Make a folder whose name survives a power cut, whoever made it; synced once per store and folder."""
        if folder in self._durable and folder.is_dir():
            return
        if folder != self.root:
            self._make(folder.parent)
        absent = [path for path in (folder, *folder.parents) if not path.exists()]
        make_folder(folder)
        for path in absent or [folder]:
            # The folder above the root may belong to somebody else, who made the root durable then.
            with suppress(PermissionError):
                sync_folder(path.parent)
        self._durable.add(folder)

    def _listed(self, folder: Path) -> Iterator[StoredPayload]:
        with os_errors(f"list '{folder}'"):
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name) if folder.is_dir() else ()
        for entry in entries:
            try:
                seen = entry.stat()
            except OSError as exc:
                if exc.errno in _NOT_THERE:
                    continue  # deleted while it is being listed, or a link that leads nowhere
                raise translated(exc, f"list '{folder}'") from exc
            if is_digest(entry.name) and stat.S_ISREG(seen.st_mode):
                yield StoredPayload(entry.name, seen.st_size, datetime.fromtimestamp(seen.st_mtime, UTC))

    @contextmanager
    def _reading(self, digest: str) -> Iterator[io.FileIO]:
        with ExitStack() as stack:
            path = self._path(check_digest(digest))
            try:
                file = stack.enter_context(opened(path))
            except (NotFound, UsageError) as exc:  # nothing is there, or what is no file
                raise missing(digest, self.url) from exc
            yield file


_NOT_THERE = {errno.ENOENT, errno.ELOOP}
_SHARDS = tuple(f"{number:02x}" for number in range(256))


def _pread(descriptor: int, start: int, end: int) -> Iterator[bytes]:
    """The bytes from `start` to `end`; one `pread` gives at most 2 GiB."""
    while start < end and (part := os.pread(descriptor, end - start, start)):
        yield part
        start += len(part)


def _lies_in(path: Path, folder: Path) -> bool:
    """Whether a rename may take the file itself; a link's target would stay behind."""
    return not path.is_symlink() and folder.resolve() in path.resolve().parents
