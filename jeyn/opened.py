# ruff: noqa: PTH100
"""Which files the top-level statements of the user's modules open: what importing them depends on beside their text.

It listens to Python's own audit events, from `import jeyn` on. Like `own_imports` it imports nothing that is not loaded
when Python starts.
"""

import os
import sys

from jeyn.own_imports import is_installed, is_of_jeyn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType
    from typing import Any

MOST = 100_000  # paths that are remembered
_READERS_OF_CODE = ("linecache.py", "tokenize.py")  # for tracebacks and warnings


class _Opened:
    def __init__(self) -> None:
        self.is_watching = False
        self.read: dict[str, dict[int, set[str]]] = {}
        self.codes: dict[str, CodeType] = {}
        self.written: dict[str, dict[int, set[str]]] = {}
        self.count = 0

    def __call__(self, event: str, arguments: "tuple[Any, ...]") -> None:
        if event == "exec" and getattr(arguments[0], "co_name", "") == "<module>":
            self.begin(arguments[0])
        if event != "open" or self.count >= MOST or isinstance(arguments[0], int):
            return
        frame = sys._getframe(1)
        file = frame.f_code.co_filename
        is_import = file.startswith("<frozen importlib") and os.fsdecode(arguments[0]).endswith((".py", ".pyc"))
        if is_import or file.endswith(_READERS_OF_CODE):
            return
        while frame is not None:
            file = frame.f_code.co_filename
            if is_of_jeyn(file):
                return
            if frame.f_code.co_name == "<module>" and file[:1] != "<" and not is_installed(file):
                return self.note(file, frame.f_lineno, os.fsdecode(arguments[0]), arguments[2])
            frame = frame.f_back  # type: ignore[assignment]

    def begin(self, code: "CodeType") -> None:
        """A module is imported, maybe anew."""
        file = code.co_filename
        if file[:1] != "<" and not is_installed(file) and not is_of_jeyn(file):
            self.read.pop(file, None)
            self.written.pop(file, None)
            self.codes[file] = code

    def note(self, file: str, line: int, path: str, flags: "Any") -> None:
        path = os.path.abspath(path)
        writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR)
        (self.written if writes else self.read).setdefault(file, {}).setdefault(line, set()).add(path)
        self.count += 1


_opened = _Opened()


def watch() -> None:
    """From here on, which lasts as long as the process: Python takes no such hook back."""
    if not _opened.is_watching:
        _opened.is_watching = True
        sys.addaudithook(_opened)


def opened_by(file: str) -> dict[int, set[str]]:
    """What a module's file opened for reading while it was imported, by the line that did."""
    return {line: set(paths) for line, paths in _opened.read.get(file, {}).items()}


def code_of(file: str) -> "CodeType | None":
    """What a module's file was when it was imported, where that was watched."""
    return _opened.codes.get(file)


def written_by(file: str) -> dict[int, set[str]]:
    """What it opened for writing, by the line that did."""
    return {line: set(paths) for line, paths in _opened.written.get(file, {}).items()}


def watch_program(command: "list[str]") -> None:
    """Watch from the start what is no process of Jeyn's own; those watch while they import a project, if at all."""
    if not any(each.startswith("jeyn.") or each.endswith("/jeyn") for each in command[1:4]):
        watch()
