"""Where an attempt's output goes: stdout, stderr and logging as one stream, kept in the store while it runs.

The stream is a file, so that child processes and C libraries write there too and a crash loses nothing: what was not
copied into the catalog yet is still in the file, and `recover` brings it there.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from jeyn.workflows.mask import masked

if TYPE_CHECKING:
    from jeyn.stores.runs import AttemptRow, RunRow
    from jeyn.stores.workspace import Workspace

FLUSH_SECONDS = 2.0
MOST_BYTES = 64 * 1024 * 1024  # of one attempt; a loop that prints for ever does not fill the catalog


def spool_path(home: Path, run: str, pid: int) -> Path:
    """The file of one worker process in one run."""
    return home / "spool" / f"{run}-{pid}.log"


class Spool:
    """The output of this process, attempt after attempt."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._file = os.open(path, os.O_CREAT | os.O_RDWR | os.O_APPEND | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        self._taken = 0
        self._lock = threading.Lock()

    def redirect(self) -> None:
        """Make it this process's stdout and stderr."""
        os.dup2(self._file, 1)
        os.dup2(self._file, 2)
        # Line by line, so that the two keep their order.
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(AttributeError):
                stream.reconfigure(line_buffering=True, encoding="utf-8", errors="replace")  # type: ignore[union-attr]
        logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", datefmt="%H:%M:%S", force=True)
        logging.getLogger().setLevel(logging.INFO)

    def redirect_again(self) -> None:
        """What the user's code did to the descriptors goes."""
        os.dup2(self._file, 1)
        os.dup2(self._file, 2)

    def take(self, *, last: bool = False) -> str:
        """What was written since the last call, up to a whole line unless it is the `last`."""
        with self._lock:
            size = os.fstat(self._file).st_size
            if size == self._taken:
                return ""
            data = os.pread(self._file, min(size, MOST_BYTES) - self._taken, self._taken) if size > self._taken else b""
            if not last:
                data = data[: data.rfind(b"\n") + 1]
            self._taken += len(data)
            return as_text(data)

    @property
    def has_any(self) -> bool:
        """Whether the present attempt has written anything that was taken."""
        return self._taken > 0

    def give_back(self, text: str) -> None:
        """It could not be kept: the next `take` gives it again."""
        with self._lock:
            self._taken -= len(text.encode())

    def rewind(self) -> None:
        """The next attempt starts with nothing."""
        with self._lock:
            if self._taken:
                os.ftruncate(self._file, 0)
            self._taken = 0

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)


def as_text(data: bytes) -> str:
    """A byte that is no UTF-8 becomes one "?", and secrets stars: as many bytes, which `left_over` counts on."""
    return masked(data.decode("utf-8", "surrogateescape").encode("utf-8", "replace").decode())


def tail(path: Path, start: int, *, last: bool = False) -> tuple[str, int]:
    """Whole lines of a spool from `start` on (at the `last` all of it), and where they end; for whoever watches."""
    try:
        with path.open("rb") as file:
            file.seek(start)
            data = file.read(1 << 20)
    except FileNotFoundError:
        return "", start
    if not last:
        data = data[: data.rfind(b"\n") + 1]
    return as_text(data), start + len(data)


def left_over(path: Path, copied: int) -> str:
    """What a dead process wrote beyond the `copied` bytes that the catalog has."""
    try:
        with path.open("rb") as file:
            file.seek(copied)
            return as_text(file.read(MOST_BYTES))
    except FileNotFoundError:
        return ""


def recover(workspace: Workspace, run: RunRow) -> None:
    """Bring what a killed engine's workers had written into the catalog; only on the machine where they ran."""
    for operation in workspace.runs.operations(run.key):
        if operation.state == "running":
            for attempt in workspace.runs.attempts(operation.key)[-1:]:
                _recover_attempt(workspace, run, attempt)


def _recover_attempt(workspace: Workspace, run: RunRow, attempt: AttemptRow) -> None:
    path = spool_path(workspace.settings.home, run.id, attempt.pid or 0)
    text = left_over(path, workspace.runs.logged_bytes(attempt.key))
    if text:
        workspace.runs.append_log(attempt.key, text)
    path.unlink(missing_ok=True)
