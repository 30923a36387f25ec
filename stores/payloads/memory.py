"""Payloads in this process's memory, shared by name: `memory://name`, the public fake for tests."""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, NamedTuple

from jeyn.stores.payloads import reader, staging
from jeyn.stores.payloads.protocol import StoredPayload, check_digest, check_range, corrupt, missing
from jeyn.stores.payloads.source import Source, claimed, consume, verified_chunks


class _Held(NamedTuple):
    data: bytes
    modified: datetime


_STORES: dict[str, dict[str, _Held]] = {}
_LOCK = threading.Lock()


class MemoryPayloads:
    """Keeps payloads in a dictionary that lives as long as the process; equal urls share it."""

    def __init__(self, url: str) -> None:
        self.url = url
        with _LOCK:
            self._held = _STORES.setdefault(url, {})

    def __repr__(self) -> str:
        return f"MemoryPayloads({self.url!r})"

    def __reduce__(self) -> tuple[type[MemoryPayloads], tuple[str]]:
        return MemoryPayloads, (self.url,)

    def put(self, digest: str, source: Source, *, move: bool = False) -> bool:
        source = claimed(check_digest(digest), source, move)
        data = b"".join(verified_chunks(digest, source))
        with _LOCK:
            held = self._held.get(digest)
            new = held is None or len(held.data) != len(data)
            if new:
                self._held[digest] = _Held(data, datetime.now(UTC))
        consume(source, move)
        return new

    def read(self, digest: str) -> bytes:
        data = self._get(digest).data
        if hashlib.sha256(data).hexdigest() != digest:
            raise corrupt(digest, self.url)
        return data

    def open(self, digest: str) -> AbstractContextManager[BinaryIO]:
        data = self._get(digest).data
        return reader.verified(io.BytesIO(data).readinto, len(data), digest, corrupt(digest, self.url))

    def read_range(self, digest: str, start: int, length: int) -> bytes:
        check_range(start, length)
        return self._get(digest).data[start : start + length]

    def fetch(self, digest: str, path: Path) -> None:
        reader.fetch(self, digest, path)

    def size(self, digest: str) -> int:
        return len(self._get(digest).data)

    def exists(self, digest: str) -> bool:
        return check_digest(digest) in self._held

    def list(self) -> Iterator[StoredPayload]:
        with _LOCK:
            held = tuple(self._held.items())
        return (StoredPayload(digest, len(kept.data), kept.modified) for digest, kept in held)

    def delete(self, digest: str) -> None:
        self._held.pop(check_digest(digest), None)

    def identity(self) -> str | None:
        return None  # it ends with its process, so there is nothing to take for another

    def identify(self, identity: str) -> str:
        return ""

    def staging(self) -> Path:
        return staging.private_folder()

    def sweep_staging(self, older_than_s: float) -> int:
        return staging.sweep(self.staging(), older_than_s)

    def local_path(self, digest: str) -> Path | None:
        self._get(digest)
        return None

    def _get(self, digest: str) -> _Held:
        held = self._held.get(check_digest(digest))
        if held is None:
            raise missing(digest, self.url)
        return held
