"""Reads payloads while hashing them, so that nobody finishes with bytes that are not those that were saved."""

from __future__ import annotations

import hashlib
import io
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from jeyn.errors import Corrupt
from jeyn.stores.access import create, make_folder
from jeyn.stores.payloads.failures import os_errors
from jeyn.stores.payloads.source import CHUNK
from jeyn.stores.payloads.writing import sync_folder, write_all

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

    from jeyn.stores.payloads.protocol import PayloadStore

# Reads larger than this go straight to the caller's buffer.
_BUFFER = 128 << 10


class HashingReader(io.RawIOBase):
    """Raw sequential reader over `fill`, which puts the next bytes into a buffer and returns how many, 0 at the end."""

    def __init__(self, fill: Callable[[memoryview], int], size: int, digest: str, wrong: Corrupt) -> None:
        self._fill = fill
        self._size = size
        self._digest = digest
        self._wrong = wrong
        self._sha256 = hashlib.sha256()
        self._seen = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        count = self._fill(view)
        self._sha256.update(view[:count])
        self._seen += count
        # Checked with the last bytes too: many readers never ask for what comes after them.
        if (count == 0 and len(view)) or self._seen == self._size:
            self._check()
        return count

    def readall(self) -> bytes:
        data = bytearray(max(self._size - self._seen, 0))
        view, filled = memoryview(data), 0
        while filled < len(data) and (count := self.readinto(view[filled : filled + CHUNK])):
            filled += count
        self.drain()
        return bytes(view[:filled])

    def drain(self) -> None:
        """Read to the end without keeping anything; works after `close` too."""
        scratch = bytearray(CHUNK)
        while self.readinto(scratch):
            pass

    def _check(self) -> None:
        if self._sha256.hexdigest() != self._digest:
            raise self._wrong


@contextmanager
def verified(fill: Callable[[memoryview], int], size: int, digest: str, wrong: Corrupt) -> Iterator[BinaryIO]:
    """A buffered reader; leaving the block normally verifies what was left unread."""
    raw = HashingReader(fill, size, digest, wrong)
    with io.BufferedReader(raw, _BUFFER) as reader:
        yield reader
        raw.drain()


def filler(chunks: Iterator[bytes]) -> Callable[[memoryview], int]:
    """A `fill` for `HashingReader` over chunks of any size but none empty."""
    rest = memoryview(b"")

    def fill(buffer: memoryview) -> int:
        nonlocal rest
        if not rest:
            rest = memoryview(next(chunks, b""))
        count = min(len(rest), len(buffer))
        buffer[:count] = rest[:count]
        rest = rest[count:]
        return count

    return fill


def fetch(store: PayloadStore, digest: str, path: Path) -> None:
    """Write a verified copy of a payload to `path`: a temporary file beside it, fsync, rename."""
    partial = path.with_name(f".{secrets.token_hex(8)}.part")
    with store.open(digest) as reader, os_errors(f"write '{path}'"):
        make_folder(path.parent)
        try:
            with io.FileIO(create(partial), "w") as file:
                _copy(reader, file)
                os.fsync(file.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
        sync_folder(path.parent)


def _copy(reader: BinaryIO, file: io.FileIO) -> None:
    buffer = memoryview(bytearray(CHUNK))
    while count := reader.readinto(buffer):  # type: ignore[attr-defined]
        write_all(file.fileno(), buffer[:count])
