"""`DataRoot` and `SourceFile`: the folder or bucket that source patterns start from, whatever it is kept on."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
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


@dataclass(frozen=True)
class DeadEnd:
    """A link that is not followed: its path below the root, the folder it leads to ("nowhere"), the files behind it."""

    path: str
    to: str
    files: int = 1


@dataclass(frozen=True)
class Unfollowed:
    """The files of a pattern that are left out because links lead out of the root, or nowhere."""

    outside: tuple[DeadEnd, ...] = ()
    broken: tuple[DeadEnd, ...] = ()

    @classmethod
    def of(cls, found: Iterable[DeadEnd]) -> Unfollowed:
        every = sorted(found, key=lambda link: link.path)
        return cls(
            tuple(link for link in every if link.to != "nowhere"), tuple(link for link in every if link.to == "nowhere")
        )

    @property
    def files(self) -> int:
        return sum(link.files for link in (*self.outside, *self.broken))

    def __str__(self) -> str:
        """How many, and how to allow them; "" for none."""
        return "; ".join(part for part in (self._outside(), self._broken()) if part)

    def _outside(self) -> str:
        if not self.outside:
            return ""
        files = sum(link.files for link in self.outside)
        where = os.path.commonpath([link.to for link in self.outside])
        return (
            f"{files} file{'s are' if files > 1 else ' is'} left out, as {_links(self.outside)} out of the data root; "
            f"data_links: [{where}] in jeyn.yaml, or JEYN_DATA_LINKS={where}, allows it"
        )

    def _broken(self) -> str:
        if not self.broken:
            return ""
        return f"{_links(self.broken)} to what is not there: fetch it (dvc pull, git annex get), or remove the link"


def _links(links: Sequence[DeadEnd]) -> str:
    first = f'"{links[0].path}"'
    return f"the link {first} leads" if len(links) == 1 else f"{len(links)} links (the first is {first}) lead"


class DataRoot(Protocol):
    """Where source files lie (SEMANTICS 16). It is location, never identity; no path leads out of it."""

    @property
    def url(self) -> str: ...

    @property
    def is_local(self) -> bool: ...

    def list(self, pattern: str) -> list[SourceFile]:
        """The files that match, sorted by path; raises `NotFound` when the root is not there."""
        ...

    def unfollowed(self, pattern: str) -> Unfollowed:
        """What `list` leaves out, as links are not followed out of the root unless that is allowed."""
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
