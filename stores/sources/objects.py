"""`ObjectRoot`: source files in an object store through obstore: `s3://`, `gs://` and `az://`."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import obstore
from obstore.exceptions import PreconditionError

from jeyn.errors import Corrupt
from jeyn.stores.payloads.bucket import Bucket
from jeyn.stores.sources.pattern import Pattern
from jeyn.stores.sources.root import SourceFile, Unfollowed, changed, checked_path, missing
from jeyn.stores.stat_cache import StatCache

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer
    from obstore import GetOptions, ObjectMeta

# One request per piece; large enough that the requests cost little beside the bytes.
_PIECE = 8 << 20


class ObjectRoot:
    """A bucket, or what is below a prefix of it, as `DataRoot`; endpoint and credentials as for payloads."""

    is_local = False

    def __init__(self, url: str, **options: Any) -> None:
        self.url = url.rstrip("/")
        self._bucket = Bucket(self.url, "data: in jeyn.yaml or JEYN_DATA", "list and get")
        self._store = self._bucket.connected(options)

    def __repr__(self) -> str:
        return f"ObjectRoot({self.url!r})"

    def __reduce__(self) -> tuple[type[ObjectRoot], tuple[str]]:
        return ObjectRoot, (self.url,)

    def list(self, pattern: str) -> list[SourceFile]:
        glob = Pattern(pattern)
        found = {meta["path"]: meta for meta in self._listed(glob.folder) if glob.matches(meta["path"])}
        # Consoles keep a folder as an empty object of its name.
        folders = {path.rpartition("/")[0] for path in found}
        return [
            SourceFile(path, meta["size"], _version(meta))
            for path, meta in sorted(found.items())
            if meta["size"] or path not in folders
        ]

    def unfollowed(self, pattern: str) -> Unfollowed:
        return Unfollowed()  # object stores have no links

    def digest(self, file: SourceFile, cache: StatCache | None = None) -> str:
        known = cache.get(self.url, file.path, file.size, file.version) if cache else None
        if known:
            return known
        with self.open(file.path, version=file.version) as reader:
            sha256, buffer = hashlib.sha256(), bytearray(_PIECE)
            while count := reader.readinto(buffer):  # type: ignore[attr-defined]
                sha256.update(memoryview(buffer)[:count])
        digest = f"sha256:{sha256.hexdigest()}"
        if cache:
            cache.put(self.url, file.path, file.size, file.version, digest)
        return digest

    def local_path(self, path: str) -> Path | None:
        checked_path(path)
        return None

    @contextmanager
    def open(self, path: str, *, version: str | None = None) -> Iterator[BinaryIO]:
        with self._errors(f"look for '{path}'", checked_path(path)):
            meta = obstore.head(self._store, path)
        if version not in (None, _version(meta)):
            raise changed(path, str(version), _version(meta))
        with io.BufferedReader(_ObjectReader(self, path, meta), _PIECE) as reader:
            yield reader

    def piece(self, path: str, meta: ObjectMeta, start: int, end: int) -> memoryview:
        """The bytes from `start` to `end` of exactly that version of an object, not empty."""
        options: GetOptions = {"range": (start, end)}
        if meta["e_tag"]:
            options["if_match"] = meta["e_tag"]
        with self._errors(f"read '{path}'", path):
            try:
                answer = obstore.get(self._store, path, options=options)
                data = memoryview(answer.bytes())
            except PreconditionError as exc:
                raise changed(path, _version(meta), _version(obstore.head(self._store, path))) from exc
        # A server may ignore the condition.
        if _version(answer.meta) != _version(meta):
            raise changed(path, _version(meta), _version(answer.meta))
        if len(data) != end - start:
            message = f"'{path}' in '{self.url}' gave {len(data)} bytes where {end - start} were asked for"
            raise Corrupt(message, hint="check the object, then try again")
        return data

    def _listed(self, folder: str) -> Iterator[ObjectMeta]:
        with self._errors("list files"):
            pages = iter(obstore.list(self._store, prefix=f"{folder}/" if folder else None))
        while page := self._next_page(pages):
            yield from page

    def _next_page(self, pages: Iterator[Sequence[ObjectMeta]]) -> Sequence[ObjectMeta]:
        with self._errors("list files"):
            return next(pages, ())

    def _errors(self, doing: str, path: str | None = None) -> AbstractContextManager[None]:
        return self._bucket.errors(doing, missing(path, self.url) if path else None)


class _ObjectReader(io.RawIOBase):
    """Seekable raw reader of one version of an object, one request for each read."""

    def __init__(self, root: ObjectRoot, path: str, meta: ObjectMeta) -> None:
        self._root = root
        self._path = path
        self._meta = meta
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._meta["size"]}[whence]
        if base + offset < 0:
            raise ValueError(f"negative position {base + offset}")
        self._at = base + offset
        return self._at

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        end = min(self._at + min(len(view), _PIECE), self._meta["size"])
        if end <= self._at:
            return 0
        piece = self._root.piece(self._path, self._meta, self._at, end)
        view[: len(piece)] = piece
        self._at = end
        return len(piece)


def _version(meta: ObjectMeta) -> str:
    """The etag, which listings give everywhere; the time where a store has neither it nor versions."""
    return meta["e_tag"] or meta["version"] or f"modified {meta['last_modified'].isoformat()}"
