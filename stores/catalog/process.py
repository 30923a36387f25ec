"""A process as the catalog names it, and whether it is known to have ended: what it held ends with it."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """`host` is a machine since its start; `started` (0: unknown) tells a process from a later one with its number."""

    host: str
    pid: int
    started: int

    @property
    def shown(self) -> str:
        """For people."""
        return f'process {self.pid} on "{self.host.partition(" ")[0]}"'

    @property
    def has_ended(self) -> bool:
        """Whether that is certain: of a process on another machine nobody here can say."""
        if self.host != _host():
            return False
        found = _started(self.pid)
        return found is None or (self.started != 0 and found not in (0, self.started))


def this_process() -> Process:
    return Process(_host(), os.getpid(), _started(os.getpid()) or 0)


@cache
def _host() -> str:
    """Numbers of processes mean something within one start of a machine, and there within one container."""
    boot = _read("/proc/sys/kernel/random/boot_id")
    try:
        container = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        container = ""
    return f"{socket.gethostname()} {boot} {container}".strip()


def _started(pid: int) -> int | None:
    """When it started, in ticks since the machine did; 0 where that is not known, None where there is none."""
    stat = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    if stat:
        return None if stat[0] in "ZX" else int(stat[19])
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        return 0
    return 0


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""
