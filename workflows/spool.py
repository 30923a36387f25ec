"""Where an attempt's output goes: stdout, stderr and logging as one stream, kept in the store while it runs.

The stream is a file in memory, so that child processes and C libraries write there too. The engine holds it as well: a
crash of the process loses nothing. On the disk comes what was masked, for the case that the engine is killed: what is
not in the catalog then `recover` brings there.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jeyn.regular import read_bytes
from jeyn.stores.access import create, make_folder
from jeyn.workflows.mask import masked

if TYPE_CHECKING:
    from jeyn.stores.runs import AttemptRow, RunRow
    from jeyn.stores.workspace import Workspace

FLUSH_SECONDS = 2.0
SPOOL_SECONDS = 0.2
MOST_BYTES = 64 * 1024 * 1024  # of one attempt; a loop that prints for ever does not fill the catalog
CUT = f"\n[what follows is left out: an attempt's output is kept up to {MOST_BYTES >> 20} MiB]\n"


def spool_path(home: Path, run: str, pid: int) -> Path:
    """The file of one worker process in one run; all that is in it has been masked."""
    return home / "spool" / f"{run}-{pid}.masked"


def output_file() -> int:
    """A descriptor of a file that is on no disk, to append to."""
    if hasattr(os, "memfd_create"):
        file = os.memfd_create("jeyn-output", os.MFD_CLOEXEC)
    else:
        with tempfile.TemporaryFile() as unnamed:
            file = fcntl.fcntl(unnamed.fileno(), fcntl.F_DUPFD_CLOEXEC, 3)
    fcntl.fcntl(file, fcntl.F_SETFL, fcntl.fcntl(file, fcntl.F_GETFL) | os.O_APPEND)
    return file


class Spool:
    """The output of this process, attempt after attempt; `file` is what others read too."""

    def __init__(self, path: Path, file: int | None = None) -> None:
        make_folder(path.parent)
        self.path = path
        self._file = output_file() if file is None else file
        self._taken = self._written = 0
        self._is_cut = False
        self._on_disk: int | None = None
        self._lock = threading.Lock()

    def redirect(self) -> None:
        """Make it this process's stdout and stderr."""
        self.redirect_again()
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
            data = output_since(self._file, self._taken, last=last)
            self._taken += len(data)
            is_over = last and (self._is_cut or os.fstat(self._file).st_size > MOST_BYTES)
            return as_text(data, ends_early=last) + (CUT if is_over else "")

    @property
    def has_any(self) -> bool:
        """Whether the present attempt has written anything that was taken."""
        return self._taken > 0

    def give_back(self, text: str) -> None:
        """It could not be kept: the next `take` gives it again."""
        with self._lock:
            self._taken -= len(text.encode())

    def write_down(self, *, last: bool = False) -> None:
        """Bring what was written since the last call to the disk, masked, and let go of what is too much."""
        with self._lock:
            data = output_since(self._file, self._written, last=last)
            if os.fstat(self._file).st_size > MOST_BYTES:
                os.ftruncate(self._file, MOST_BYTES)
                self._is_cut = True
            if not data:
                return
            if self._on_disk is None:
                self._on_disk = create(self.path, os.O_APPEND | os.O_TRUNC | os.O_NOFOLLOW)
            self._written += len(data)
            left = as_text(data, ends_early=last).encode()
            while left:
                left = left[os.write(self._on_disk, left) :]

    def rewind(self) -> None:
        """The next attempt starts with nothing."""
        with self._lock:
            if self._taken or self._written:
                os.ftruncate(self._file, 0)
            if self._written and self._on_disk is not None:
                os.ftruncate(self._on_disk, 0)
            self._taken = self._written = 0
            self._is_cut = False

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)


def output_since(file: int, start: int, *, last: bool = False) -> bytes:
    """Whole lines of what was written from `start` on, at the `last` all of it; `MOST_BYTES` of an attempt."""
    end = min(os.fstat(file).st_size, MOST_BYTES)
    data = os.pread(file, end - start, start) if end > start else b""
    return data if last else data[: data.rfind(b"\n") + 1]


def as_text(data: bytes, *, ends_early: bool = False) -> str:
    """A byte that is no UTF-8 becomes one "?", and secrets stars: as many bytes, which `left_over` counts on."""
    text = masked(data.decode("utf-8", "surrogateescape"), ends_early=ends_early)  # a secret may be no UTF-8 either
    return text.encode("utf-8", "replace").decode()


def left_out(size: int, why: str) -> str:
    """The line in place of output that nobody can mask."""
    return f"[{size:,} bytes of output are left out: {why}]\n"


def unmaskable(variables: Sequence[str]) -> str:
    """Why nothing can be shown of what has seen secrets that are not known here."""
    return f"they may hold the secret in {', '.join(variables)}, which is not set here"


def recover(workspace: Workspace, run: RunRow) -> None:
    """Bring what a killed engine's workers had written into the catalog; only on the machine where they ran."""
    for operation in workspace.runs.operations(run.key):
        if operation.state == "running":
            for attempt in workspace.runs.attempts(operation.key)[-1:]:
                _recover_attempt(workspace, run, attempt)


def _recover_attempt(workspace: Workspace, run: RunRow, attempt: AttemptRow) -> None:
    path = spool_path(workspace.settings.home, run.id, attempt.pid or 0)
    copied = workspace.runs.logged_bytes(attempt.key)
    text = _rest(path, copied) or _unmasked(path.with_suffix(".log"), copied)
    if text:
        workspace.runs.append_log(attempt.key, text)
    for each in (path, path.with_suffix(".log")):
        each.unlink(missing_ok=True)


def _rest(path: Path, copied: int) -> str:
    """What a dead process wrote down beyond the `copied` bytes that the catalog has."""
    data = _content(path)[copied:MOST_BYTES]
    return as_text(data, ends_early=True)


def _unmasked(path: Path, copied: int) -> str:
    """Earlier versions wrote everything as it came, and which secrets there were then nobody knows."""
    size = len(_content(path)) - copied
    return left_out(size, "a version of Jeyn wrote them that did not mask secrets") if size > 0 else ""


def _content(path: Path) -> bytes:
    try:
        return read_bytes(path)
    except OSError:
        return b""
