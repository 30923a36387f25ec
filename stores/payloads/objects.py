"""Payloads in an object store through obstore: `s3://`, `gs://` and `az://`, one object each under the url's prefix."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import obstore
from obstore.exceptions import AlreadyExistsError

from jeyn.errors import PayloadMissing, Unreachable
from jeyn.stores.payloads import reader, staging
from jeyn.stores.payloads.bucket import Bucket
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
from jeyn.stores.payloads.source import Source, claimed, consume, size_of, verified_chunks

if TYPE_CHECKING:
    from obstore import GetResult, ObjectMeta

# One request with a condition; more than this goes up in parts, which take none.
_ONE_REQUEST = 8 << 20
_PARTS_AT_ONCE = 4
_MOST_PARTS = 10_000
# One request per piece, so that neither a time limit nor a broken connection costs more than a piece.
_PIECE = 64 << 20
_STREAMED = 1 << 20


class ObjectPayloads:
    """Keeps payloads in a bucket; endpoint and credentials come from the usual environment, or from `options`.

    `options` are obstore's: `config=`, `client_options=`, `retry_config=`, `credential_provider=` or single keys of
    the config such as `endpoint=`. They are not pickled.
    """

    def __init__(self, url: str, **options: Any) -> None:
        self.url = url.rstrip("/")
        self._bucket = Bucket(self.url, "JEYN_PAYLOADS", "get, put, list and delete")
        self._store = self._bucket.connected(options)

    def __repr__(self) -> str:
        return f"ObjectPayloads({self.url!r})"

    def __reduce__(self) -> tuple[type[ObjectPayloads], tuple[str]]:
        return ObjectPayloads, (self.url,)

    def put(self, digest: str, source: Source, *, move: bool = False) -> bool:
        source = claimed(check_digest(digest), source, move)
        size = size_of(source)
        new = self._put_small(digest, source) if size <= _ONE_REQUEST else self._put_large(digest, source, size)
        consume(source, move)
        return new

    def read(self, digest: str) -> bytes:
        data = b"".join(self._chunks(digest, self._piece(digest, 0)))
        if hashlib.sha256(data).hexdigest() != digest:
            raise corrupt(digest, self.url)
        return data

    @contextmanager
    def open(self, digest: str) -> Iterator[BinaryIO]:
        first = self._piece(digest, 0)
        size = 0 if first is None else first.meta["size"]
        fill = reader.filler(self._chunks(digest, first))
        with reader.verified(fill, size, digest, corrupt(digest, self.url)) as verified:
            yield verified

    def read_range(self, digest: str, start: int, length: int) -> bytes:
        check_range(start, length)
        length = min(length, self.size(digest) - start)
        if length <= 0:
            return b""
        with self._errors(f"read payload '{digest}'", digest):
            return bytes(obstore.get_range(self._store, _key(digest), start=start, length=length))

    def fetch(self, digest: str, path: Path) -> None:
        reader.fetch(self, digest, path)

    def size(self, digest: str) -> int:
        with self._errors(f"look for payload '{digest}'", digest):
            return obstore.head(self._store, _key(digest))["size"]

    def exists(self, digest: str) -> bool:
        return self._size(digest) is not None

    def list(self) -> Iterator[StoredPayload]:
        with self._errors("list payloads"):
            pages = iter(obstore.list(self._store, prefix="sha256/"))
        while page := self._next_page(pages):
            for found in page:
                name = found["path"].rpartition("/")[2]
                if is_digest(name):
                    yield StoredPayload(name, found["size"], found["last_modified"])

    def delete(self, digest: str) -> None:
        with suppress(PayloadMissing), self._errors(f"delete payload '{digest}'", digest):
            obstore.delete(self._store, _key(digest))

    def identity(self) -> str | None:
        try:
            with self._bucket.errors("read its identity", missing("0" * 64, self.url)):
                found = bytes(obstore.get(self._store, IDENTITY).bytes())
        except PayloadMissing:
            return None
        return checked_identity(found.decode("utf-8", errors="replace"), self.url)

    def identify(self, identity: str) -> str:
        with self._bucket.errors("write its identity"), suppress(AlreadyExistsError):
            obstore.put(self._store, IDENTITY, f"{identity}\n".encode(), mode="create")
        return self.identity() or ""

    def staging(self) -> Path:
        return staging.private_folder()

    def sweep_staging(self, older_than_s: float) -> int:
        return staging.sweep(self.staging(), older_than_s)

    def local_path(self, digest: str) -> Path | None:
        self.size(digest)
        return None

    def _size(self, digest: str) -> int | None:
        try:
            return self.size(digest)
        except PayloadMissing:
            return None

    def _put_small(self, digest: str, source: Source) -> bool:
        data = b"".join(verified_chunks(digest, source))
        with self._errors(f"store payload '{digest}'"):
            try:
                obstore.put(self._store, _key(digest), data, mode="create")
                return True
            except AlreadyExistsError:
                if self.size(digest) == len(data):
                    return False
            # What is there is broken: good bytes heal it.
            obstore.put(self._store, _key(digest), data, use_multipart=False)
            return True

    def _put_large(self, digest: str, source: Source, size: int) -> bool:
        if self._size(digest) == size:
            return False
        part = max(_ONE_REQUEST, -(-size // _MOST_PARTS))
        with self._errors(f"store payload '{digest}'"):
            # An error raised by the chunks aborts the upload, so wrong bytes never get the name. Two at once send the
            # same bytes twice, which harms nobody.
            chunks = verified_chunks(digest, source)
            obstore.put(self._store, _key(digest), chunks, chunk_size=part, max_concurrency=_PARTS_AT_ONCE)
        return True

    def _next_page(self, pages: Iterator[Sequence[ObjectMeta]]) -> Sequence[ObjectMeta]:
        with self._errors("list payloads"):
            return next(pages, ())

    def _piece(self, digest: str, start: int) -> GetResult | None:
        """The answer to one ranged request, its body still unread; None for an empty payload."""
        try:
            with self._errors(f"read payload '{digest}'", digest):
                return obstore.get(self._store, _key(digest), options={"range": (start, start + _PIECE)})
        except Unreachable:
            # No range fits into nothing: servers answer 416 then.
            if self.size(digest) == 0:
                return None
            raise

    def _chunks(self, digest: str, first: GetResult | None) -> Iterator[bytes]:
        piece, start = first, 0
        while piece is not None:
            stream, size = iter(piece.stream(min_chunk_size=_STREAMED)), piece.meta["size"]
            while chunk := self._next(stream, digest):
                yield chunk
            start += _PIECE
            piece = self._piece(digest, start) if start < size else None

    def _next(self, stream: Iterator[bytes], digest: str) -> bytes:
        with self._errors(f"read payload '{digest}'", digest):
            return next(stream, b"")

    def _errors(self, doing: str, digest: str | None = None) -> AbstractContextManager[None]:
        return self._bucket.errors(doing, missing(digest, self.url) if digest else None)


def _key(digest: str) -> str:
    return f"sha256/{check_digest(digest)[:2]}/{digest}"
