"""A workspace's payloads: its payload store, and the few bytes that live in the catalog itself, as one store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeVar

from jeyn.errors import JeynError, PayloadMissing
from jeyn.stores.payloads import reader
from jeyn.stores.payloads.file import FilePayloads
from jeyn.stores.payloads.memory import MemoryPayloads
from jeyn.stores.payloads.open import open_payloads
from jeyn.stores.payloads.protocol import PayloadStore, StoredPayload, missing
from jeyn.stores.payloads.source import Source, verified_chunks

if TYPE_CHECKING:
    from jeyn.stores.catalog.small import SmallPayloads

CHUNK = 200
Answer = TypeVar("Answer")


class LayeredPayloads:
    """Reads from wherever bytes are; what is put goes to `files`, and only a commit writes to `small`.

    The same digest may be in both. `url` is that of `files`, which are opened when first needed where only their url
    is given: the client of an object store takes longer to import than a small operation to run.

    Before something is put, and before anything is said to be missing, the store is compared with the one that the
    catalog knows (`stores/catalog/payload_store.py`), once: a happy read costs nothing more. Both raise `Invalid`.
    """

    def __init__(self, small: SmallPayloads, files: PayloadStore | str, actor: str = "") -> None:
        self.small = small
        self.actor = actor
        self._files = files
        self._is_own = self._is_settled = False
        # Asking SQLite costs less than looking for a file that is not there, that less than asking a database server,
        # and all of it less than asking an object store.
        is_local = isinstance(files, FilePayloads | MemoryPayloads)
        self._files_first = is_local and not small.database.is_sqlite

    def __repr__(self) -> str:
        return f"LayeredPayloads({self.small!r}, {self._files!r})"

    def __reduce__(self) -> tuple[type[LayeredPayloads], tuple[SmallPayloads, PayloadStore | str, str]]:
        return LayeredPayloads, (self.small, self._files, self.actor)

    @cached_property
    def files(self) -> PayloadStore:
        return open_payloads(self._files) if isinstance(self._files, str) else self._files

    @property
    def is_near(self) -> bool:
        """Whether looking for a payload costs no request."""
        return not isinstance(self._files, str)

    @property
    def url(self) -> str:
        return self.files.url

    def check(self) -> None:
        """Raise `Invalid` where the store is not the one that the catalog knows; looked at anew each time."""
        from jeyn.stores.catalog.payload_store import check_store

        check_store(self.small.database, self.files)
        self._is_own = True

    def settle(self) -> None:
        """`check`, and a catalog that knows no store yet takes this one."""
        from jeyn.stores.catalog.payload_store import settle_store

        settle_store(self.small.database, self.files, self.actor)
        self._is_own = self._is_settled = True

    def put(self, digest: str, source: Source, *, move: bool = False) -> bool:
        if not self._is_settled:
            self.settle()
        if self.small.is_suspect(digest):
            return self._healed(digest, source, move)
        return self.files.put(digest, source, move=move)

    def _healed(self, digest: str, source: Source, move: bool) -> bool:
        """Put what `fsck` found to be bad here: bytes that are not right make room for those that are."""
        for _ in verified_chunks(digest, source):
            pass  # nothing is taken away for what is no better
        try:
            with self.files.open(digest):
                pass  # leaving the block has read and checked all of it
        except JeynError:  # wrong, gone, or not to be read
            self.files.delete(digest)
        new = self.files.put(digest, source, move=move)
        self.small.trust(digest)
        return new

    def read(self, digest: str) -> bytes:
        return self._either(digest, lambda place: place.read(digest))

    @contextmanager
    def open(self, digest: str) -> Iterator[BinaryIO]:
        with ExitStack() as stack:
            yield self._either(digest, lambda place: stack.enter_context(place.open(digest)))

    def read_range(self, digest: str, start: int, length: int) -> bytes:
        return self._either(digest, lambda place: place.read_range(digest, start, length))

    def fetch(self, digest: str, path: Path) -> None:
        reader.fetch(self, digest, path)

    def size(self, digest: str) -> int:
        return self._either(digest, lambda place: place.size(digest))

    def exists(self, digest: str) -> bool:
        if self._first.exists(digest) or self._second.exists(digest):
            return True
        self._check_once()
        return False

    def list(self) -> Iterator[StoredPayload]:
        yield from self.small.list()
        files = self.files.list()
        while chunk := list(islice(files, CHUNK)):
            listed = self.small.among([payload.digest for payload in chunk])
            yield from (payload for payload in chunk if payload.digest not in listed)

    def delete(self, digest: str) -> None:
        self.files.delete(digest)
        self.small.delete(digest)

    def identity(self) -> str | None:
        return self.files.identity()

    def identify(self, identity: str) -> str:
        return self.files.identify(identity)

    def staging(self) -> Path:
        return self.files.staging()

    def sweep_staging(self, older_than_s: float) -> int:
        return self.files.sweep_staging(older_than_s)

    def local_path(self, digest: str) -> Path | None:
        try:
            return self.files.local_path(digest)
        except PayloadMissing:
            if self.small.exists(digest):
                return None
            self._check_once()
            raise

    @property
    def _first(self) -> PayloadStore | SmallPayloads:
        return self.files if self._files_first else self.small

    @property
    def _second(self) -> PayloadStore | SmallPayloads:
        return self.small if self._files_first else self.files

    def _either(self, digest: str, ask: Callable[[PayloadStore | SmallPayloads], Answer]) -> Answer:
        try:
            return ask(self._first)
        except PayloadMissing:
            try:
                return ask(self._second)
            except PayloadMissing as exc:
                self._check_once()
                raise missing(digest, self.url) from exc

    def _check_once(self) -> None:
        if not self._is_own:
            self.check()
