"""The payload store protocol: bytes under their sha256, whatever keeps them; `jeyn.stores` saves through it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

from jeyn.errors import Corrupt, PayloadMissing, UsageError
from jeyn.stores.payloads.source import Source

_HEX = re.compile(r"[0-9a-f]{64}")
_IDENTITY = re.compile(r"[0-9a-f]{32}")
IDENTITY = "identity"  # the name of the file or object that keeps it


class StoredPayload(NamedTuple):
    """One payload as a listing shows it: `size` in bytes, `modified` is when it was stored, in UTC."""

    digest: str
    size: int
    modified: datetime


class PayloadStore(Protocol):
    """Keeps bytes under the bare hex of their sha256.

    Every method raises `UsageError` for a digest that is not 64 lower-case hex digits, `PayloadMissing` for one that
    is not there, `Unreachable`, `NoSpace` or `NotAllowed` when the place itself fails, and nothing of a third party.
    Pickling a store keeps its `url` only, never the options it was opened with.
    """

    @property
    def url(self) -> str:
        """What `open_payloads` opens this store from."""

    def put(self, digest: str, source: Source, *, move: bool = False) -> bool:
        """Store `source` under `digest` unless it is there; True when these bytes were newly stored.

        Once it returns, the bytes are durable. What is there with another size is replaced. `move=True` consumes
        a file, without a copy when it lies in `staging()`. Raises `Corrupt` when the bytes do not have that digest,
        or when a `HashedFile` changed after it was hashed; nothing is stored then.
        """

    def read(self, digest: str) -> bytes:
        """All bytes, verified: raises `Corrupt` when they do not have that digest."""

    def open(self, digest: str) -> AbstractContextManager[BinaryIO]:
        """A sequential reader that hashes as it reads and raises `Corrupt` at the end when the digest differs.

        Leaving the `with` block normally reads what is left, so a block that ends well has seen verified bytes; leave
        it by an exception to stop early.
        """

    def read_range(self, digest: str, start: int, length: int) -> bytes:
        """Up to `length` bytes from byte `start`, not verified; shorter where the payload ends."""

    def fetch(self, digest: str, path: Path) -> None:
        """Write a verified copy to `path`, atomically, in bounded memory; on an error nothing is left there."""

    def size(self, digest: str) -> int:
        """The size in bytes."""

    def exists(self, digest: str) -> bool:
        """Whether a payload is stored under that digest; its bytes are not looked at."""

    def list(self) -> Iterator[StoredPayload]:
        """Every payload, in no promised order."""

    def delete(self, digest: str) -> None:
        """Remove the payload; no error when it is not there."""

    def identity(self) -> str | None:
        """What this store is known by, wherever it is moved to; None until `identify` gives it one."""

    def identify(self, identity: str) -> str:
        """Give the store an identity (32 hex digits) unless it has one, durably; returns the one that it has now.

        Of several doing so at once all get the same. "" for a store that keeps none, as memory does.
        """

    def staging(self) -> Path:
        """An existing folder for files still being written, on the file system of the store where it has one."""

    def sweep_staging(self, older_than_s: float) -> int:
        """Remove what was left in the staging folder that long ago, in seconds; returns how many entries went."""

    def local_path(self, digest: str) -> Path | None:
        """The file to memory-map, not verified and never to be written; None where payloads are not local files."""


def is_digest(name: object) -> bool:
    return isinstance(name, str) and _HEX.fullmatch(name) is not None


def check_digest(digest: str) -> str:
    """`digest` itself when it is the bare lower-case hex of a sha256; nothing else may become a path or a key."""
    if is_digest(digest):
        return digest
    raise UsageError(f"not a payload digest: '{digest}'", hint="give the 64 lower-case hex digits, without 'sha256:'")


def checked_identity(said: str, url: str) -> str:
    """An identity as a store kept it; raises `Corrupt` for what is none."""
    if _IDENTITY.fullmatch(said.strip()):
        return said.strip()
    raise Corrupt(
        f"the identity of the payload store '{url}' is damaged: '{said.strip()[:40]}'",
        hint="remove its file `identity`, then jeyn db adopt-payloads --yes gives it a new one",
    )


def check_range(start: int, length: int) -> None:
    if start < 0 or length < 0:
        raise UsageError(f"not a range of bytes: start '{start}', length '{length}'", hint="neither may be negative")


def missing(digest: str, url: str) -> PayloadMissing:
    return PayloadMissing(
        f"payload '{digest}' is not in '{url}'",
        hint="check JEYN_PAYLOADS, save or import the artefact again, or see what jeyn fsck finds",
        refs=(f"sha256:{digest}",),
    )


def corrupt(digest: str, url: str) -> Corrupt:
    return Corrupt(
        f"payload '{digest}' in '{url}' does not have that digest any more",
        hint="delete it and save the artefact again, or restore it from a copy; jeyn fsck finds all of them",
        refs=(f"sha256:{digest}",),
    )
