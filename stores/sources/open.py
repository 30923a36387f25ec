"""Opens the data root that a url or a path names; the one place that knows every kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from jeyn.address import shown
from jeyn.errors import UsageError
from jeyn.stores.sources.files import LocalRoot
from jeyn.stores.sources.root import DataRoot

_OBJECTS = ("s3", "gs", "az")
_KNOWN = "give a folder, file:///folder, s3://bucket/prefix, gs://bucket/prefix or az://container/prefix"


def open_root(url: str, links: tuple[Path, ...] = (), **options: Any) -> DataRoot:
    """The data root at `url`, a folder's path or a url; nothing is read and no connection made yet.

    `links` are the folders outside a local root that links in it may lead to; `options` are obstore's, for object
    stores. Raises `UsageError` for what names no root.
    """
    if "://" not in url and url:
        return LocalRoot(Path(url), links)
    parts = _split(url)
    if parts.scheme in _OBJECTS and parts.netloc:
        # obstore takes long to import, and most roots are folders.
        from jeyn.stores.sources.objects import ObjectRoot

        return ObjectRoot(url, **options)
    if parts.scheme == "file" and parts.netloc in ("", "localhost") and parts.path.startswith("/"):
        return LocalRoot(Path(unquote(parts.path)), links)
    raise UsageError(f'"{shown(url)}" is no data root', hint=_KNOWN)


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
    except ValueError:
        # Without the cause, which repeats the url.
        raise UsageError(f'"{shown(url)}" is no url of a data root', hint=_KNOWN) from None
    if "@" in parts.netloc:
        # The url is printed, so a secret in it would be too; it is not repeated here either.
        raise UsageError(
            f'a "{parts.scheme}://" url of a data root may hold no credentials',
            hint="set them in the environment, such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        )
    if parts.query or parts.fragment:
        raise UsageError(
            f'"{shown(url)}" has a query or a fragment', hint='write "?" as %3F and "#" as %23 in a file url'
        )
    return parts
