"""Worker processes of the local engine: spawned, reused, one job at a time, killed as a group (SEMANTICS 22)."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jeyn.sdk.secret import variable_of
from jeyn.workflows.mask import unknown
from jeyn.workflows.runner import Job
from jeyn.workflows.spool import as_text, left_out, output_file, output_since, spool_path, unmaskable

_CRASHES = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL)
GRACE_SECONDS = 5.0  # between asking a process to stop and killing its group


class Worker:
    """One process, and what it is doing."""

    def __init__(self, setup: Mapping[str, Any], home: Path) -> None:
        # A group of its own: a timeout kills what the user's code started too, and Ctrl-C reaches only the engine.
        # -P: the working folder shadows no module. -u: a crash loses nothing that was printed. -B: byte code of a file
        # that is edited twice within a second would be stale.
        self._output = output_file()
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-u", "-B", "-m", "jeyn.workflows.runner"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            pass_fds=[self._output],
        )
        assert self.process.stdin is not None and self.process.stdout is not None  # noqa: S101 - both are pipes
        self._in, self._out = self.process.stdin, self.process.stdout
        os.set_blocking(self._out.fileno(), False)
        self._spool = spool_path(home, str(setup["run"]), self.process.pid)
        self._buffer = b""
        self.job: Job | None = None
        self.deadline: float | None = None
        self.started = 0.0
        self._shown = 0
        self._unknown: list[str] = []
        self.send({"setup": {**setup, "output": self._output}})

    @property
    def pid(self) -> int:
        return self.process.pid

    def fileno(self) -> int:
        return self._out.fileno()

    def give(self, job: Job, timeout: float | None) -> None:
        """Start a job; `timeout` is in seconds."""
        self.job, self.started, self._shown = job, time.monotonic(), 0
        self.deadline = self.started + timeout if timeout else None
        self._unknown = unknown(variable_of(*each) for each in _secrets(list(job.inputs.values())))
        self.send({"job": job.to_json()})

    def send(self, message: Mapping[str, Any]) -> None:
        # A worker that died is noticed where its answers are read.
        with contextlib.suppress(BrokenPipeError):
            self._in.write(json.dumps(message).encode() + b"\n")
            self._in.flush()

    def answers(self) -> tuple[list[dict[str, Any]], bool]:
        """Whole answers that have come, and whether the process has closed its end."""
        closed = False
        while True:
            try:
                data = os.read(self._out.fileno(), 1 << 16)
            except BlockingIOError:
                break
            if not data:
                closed = True
                break
            self._buffer += data
        *lines, self._buffer = self._buffer.split(b"\n")
        return [json.loads(line) for line in lines], closed

    def printed(self, *, last: bool = False) -> str:
        """Whole lines that the running job wrote since the last call; at the `last` also what has no line end."""
        start = self._shown
        text, self._shown = self._written_since(start, last=last)
        return text

    def left_over(self, copied: int) -> str:
        """What a dead worker wrote beyond the bytes that the catalog has."""
        return self._written_since(copied, last=True)[0]

    def _written_since(self, start: int, *, last: bool) -> tuple[str, int]:
        """The text, and where it ends; instead of one that cannot be masked, as the worker could, a line."""
        data = output_since(self._output, start, last=last)
        text = (
            left_out(len(data), unmaskable(self._unknown)) if self._unknown and data else as_text(data, ends_early=last)
        )
        return text, start + len(data)

    def close(self) -> None:
        """An idle worker ends when it is told nothing more."""
        with contextlib.suppress(BrokenPipeError):
            self._in.close()

    def let_commit(self) -> None:
        """The items before its own have ended."""
        self.send({"commit": True})

    def let_hold(self) -> None:
        """One of the items before its own did not end well."""
        self.send({"hold": True})

    def has_ended(self) -> bool:
        return self.process.poll() is not None

    def ask_to_stop(self) -> None:
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the process and everything that it started, now."""
        self._signal(signal.SIGKILL)
        self.process.wait()
        self._out.close()
        with contextlib.suppress(BrokenPipeError):
            self._in.close()

    def wait(self, seconds: float) -> bool:
        """Whether the process ended within that time."""
        deadline = time.monotonic() + seconds
        pause = 0.0005  # `Popen.wait` pauses twice as long each time, and an ending worker takes 20 ms
        while self.process.poll() is None:
            if time.monotonic() >= deadline:
                return False
            time.sleep(pause)
            pause = min(2 * pause, 0.004)
        return True

    def forget_spool(self) -> None:
        self._spool.unlink(missing_ok=True)
        if self._output >= 0:
            os.close(self._output)
            self._output = -1

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)


def how_it_ended(code: int | None) -> str:
    """What is said of a process with this exit code."""
    if code is not None and code < 0:
        return f"was killed by signal {-code}" + (" (out of memory?)" if code == -9 else "")
    return f"ended with exit code {code}"


def what_to_do(code: int | None) -> str:
    """The hint with it."""
    if code is None or code >= 0:
        return "its code ended it, as os._exit does; see what it printed, and raise an error instead"
    if -code == signal.SIGKILL:
        return "too little memory, most often: see what it printed, give it less to do at once (--workers)"
    if -code in _CRASHES:
        return "a crash in native code: see what it printed, and which library it called last"
    return "somebody sent it that signal; see what it printed"


def _secrets(wires: list[Any]) -> Iterator[list[str]]:
    for wire in wires:
        if "secret" in wire:
            yield wire["secret"]
        elif "items" in wire:
            yield from _secrets(wire["items"])
