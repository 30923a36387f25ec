"""Opens and tries the payload store that a url names; the one place that knows every kind."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from jeyn.address import shown
from jeyn.errors import UsageError
from jeyn.sdk.canonical import sha256_of
from jeyn.stores.payloads.file import FilePayloads
from jeyn.stores.payloads.memory import MemoryPayloads
from jeyn.stores.payloads.protocol import PayloadStore

_OBJECTS = ("s3", "gs", "az")
_KNOWN = "file:///folder, memory://name, s3://bucket/prefix, gs://bucket/prefix or az://container/prefix"


def open_payloads(url: str, **options: Any) -> PayloadStore:
    """The payload store at `url`; nothing is written and no connection made yet.

    `options` are for object stores, see `ObjectPayloads`. Raises `UsageError` for a url that names no store.
    """
    parts = _split(url)
    if is_far(url):
        # obstore takes long to import, and most stores are folders.
        from jeyn.stores.payloads.objects import ObjectPayloads

        return ObjectPayloads(url, **options)
    if options:
        raise UsageError(f"'{shown(url)}' takes no options: {', '.join(sorted(options))}", hint="leave them out")
    if parts.scheme == "memory":
        return MemoryPayloads(url)
    if parts.scheme == "file" and parts.netloc in ("", "localhost") and parts.path.startswith("/"):
        return FilePayloads(Path(unquote(parts.path)))
    raise UsageError(f"not a payload store: '{shown(url)}'", hint=f"give {_KNOWN}")


def is_far(url: str) -> bool:
    """Whether a url names an object store. Raises `UsageError` for what is no url of a store."""
    parts = _split(url)
    return parts.scheme in _OBJECTS and bool(parts.netloc)


def try_payloads(url: str) -> None:
    """Write, read and delete a few bytes in the store at `url`, and raise what goes wrong."""
    store, probe = open_payloads(url), b"jeyn doctor " + os.urandom(16)
    digest = sha256_of(probe).removeprefix("sha256:")
    try:
        store.put(digest, probe)
        store.read(digest)
    finally:
        store.delete(digest)


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
    except ValueError:
        # Without the cause, which repeats the url.
        raise UsageError(f"not a url: '{shown(url)}'", hint=f"give {_KNOWN}") from None
    if "@" in parts.netloc:
        # The url is stored and printed, so a secret in it would be too; it is not repeated here either.
        raise UsageError(
            f"a '{parts.scheme}://' url of a payload store may hold no credentials",
            hint="set them in the environment, such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        )
    if parts.query or parts.fragment:
        raise UsageError(
            f"'{shown(url)}' has a query or a fragment", hint="write '?' as %3F and '#' as %23 in a file url"
        )
    return parts
