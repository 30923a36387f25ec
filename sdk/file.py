"""`jeyn.File`: a file below the project root as an operation's input; its bytes count in the cache key."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, Any

from jeyn.errors import UsageError


class File(os.PathLike[str]):
    """A file by its path; a relative one starts at the project root, and outside operations at the working folder."""

    __slots__ = ("path",)

    def __init__(self, path: str | os.PathLike[str]) -> None:
        text = path if isinstance(path, str) else os.fspath(path)
        if not text or "\0" in text:
            raise UsageError(f'"{text}" is not the path of a file', hint='write jeyn.File("data/labels.csv")')
        self.path = Path(text)

    def __fspath__(self) -> str:
        return str(self.path)

    def read_bytes(self) -> bytes:
        return self.path.read_bytes()

    def read_text(self, encoding: str = "utf-8") -> str:
        return self.path.read_text(encoding)

    def open(self, mode: str = "r", **options: Any) -> IO[Any]:
        """The file opened as `Path.open` does; text is UTF-8 unless `encoding` says otherwise."""
        if "b" not in mode:
            options.setdefault("encoding", "utf-8")
        return self.path.open(mode, **options)

    def __eq__(self, other: object) -> bool:
        return self.path == other.path if isinstance(other, File) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.path)

    def __repr__(self) -> str:
        return f'File("{self.path.as_posix()}")'
