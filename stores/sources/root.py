"""`DataRoot` and `SourceFile`: the folder or bucket that source patterns start from, whatever it is kept on."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Protocol

from jeyn.errors import Corrupt, DataInvalid, PayloadMissing, UsageError
from jeyn.stores.stat_cache import StatCache


@dataclass(frozen=True, order=True)
class SourceFile:
    """A file as a listing saw it: its path below the root with "/", its size in bytes, and its version there.

    The version of a local file is "mtime_ns:inode", that of an object its etag (or version id).
    """

    path: str
    size: int
    version: str


class DataRoot(Protocol):
    """Where source files lie (SEMANTICS 16). It is location, never identity; no path leads out of it."""

    @property
    def url(self) -> str: ...

    @property
    def is_local(self) -> bool: ...

    def list(self, pattern: str) -> list[SourceFile]:
        """The files that match, sorted by path; raises `NotFound` when the root is not there."""
        ...

    def digest(self, file: SourceFile, cache: StatCache | None = None) -> str:
        """The "sha256:…" of a listed file; `Corrupt` if it has changed since, `PayloadMissing` if it is gone."""
        ...

    def local_path(self, path: str) -> Path | None:
        """Where the file lies on this machine's disk; None for an object."""
        ...

    def open(self, path: str, *, version: str | None = None) -> AbstractContextManager[BinaryIO]:
        """A seekable reader; `Corrupt` when the file no longer has that version, `PayloadMissing` if it is gone."""
        ...


def checked_path(path: str) -> str:
    """A path that stays below any root; raises `UsageError`."""
    names = path.split("/")
    if not path or "\0" in path or any(name in ("", ".", "..") for name in names):
        raise UsageError(f'"{path}" is no path below the data root', hint='give one such as "data/day-1.parquet"')
    return path


def checked_name(path: str) -> str:
    """A listed path that can be written down; raises `DataInvalid` for bytes that are no UTF-8."""
    try:
        path.encode()
    except UnicodeEncodeError as exc:
        raise DataInvalid(f"the name of the file {path!r} is not UTF-8", hint="rename it") from exc
    return path


def changed(path: str, recorded: str, present: str) -> Corrupt:
    return Corrupt(
        f'the source file "{path}" has changed: version "{recorded}" was recorded, "{present}" is there now',
        hint="put the recorded content back; new data belongs into a file of its own",
    )


def missing(path: str, url: str) -> PayloadMissing:
    return PayloadMissing(
        f'the source file "{path}" is not in "{url}"',
        hint=f'put "{PurePosixPath(path).name}" back, or correct data: in jeyn.yaml or JEYN_DATA',
    )
