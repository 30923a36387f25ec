"""Whether this machine's clock may date a commit: one that lies would spoil the order of times for good (SEMANTICS 11).

A catalog that nobody used for a month looks like a clock that is a month ahead. What tells them apart is how long the
machine has been up at the last commit and now, the kernel's own idea of the time, and the clock of a PostgreSQL server.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from sqlalchemy import text

from jeyn.errors import Invalid
from jeyn.stores.catalog.prepared import DriverCursor, Prepared

SECOND = 10**6
_SINCE_BOOT = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
DAY = 86_400 * SECOND
# Beyond it a pause is believed of nobody unless somebody says so: where nothing else is known, as after a restart.
LONGEST_PAUSE = 366 * DAY
_OF = "FROM catalog_clock c LEFT JOIN clock_reading r ON r.id = c.id WHERE c.id = 1"
_SERVER = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
_KNOWN = {
    "sqlite": Prepared(text(f"SELECT NULL, c.seq, c.at, r.at, r.boot, r.uptime {_OF}")),
    "postgresql": Prepared(text(f"SELECT {_SERVER}, c.seq, c.at, r.at, r.boot, r.uptime {_OF}")),
}
_RECORD = Prepared(
    text(
        "INSERT INTO clock_reading (id, at, boot, uptime) VALUES (1, :at, :boot, :uptime)"
        " ON CONFLICT (id) DO UPDATE SET at = excluded.at, boot = excluded.boot, uptime = excluded.uptime"
    ),
    "at",
    "boot",
    "uptime",
)
# A reading is good for as long as its machine is up: a new one is made now and then only.
FRESH = 3600 * SECOND
PROC = Path("/proc")


@dataclass(frozen=True)
class Moment:
    """A time (µs, UTC) as the process has it, and in which start of its machine, for how long that was up (µs)."""

    at: int
    boot: str
    uptime: int

    @classmethod
    def now(cls) -> Moment:
        return cls(time.time_ns() // 1000, _boot(), _uptime())


class Clock:
    """The clock of one process, for one catalog: looked at when it writes for the first time, and watched from then."""

    def __init__(self, dialect: str, is_right: bool = False) -> None:
        self.dialect, self.is_right = dialect, is_right
        self._believed: Moment | None = None

    def read(self, cursor: DriverCursor) -> Moment:
        """The time for a commit. Raises `Invalid` where it differs by more than a day from what it must be."""
        now = Moment.now()
        if self._believed is None:
            self._look(cursor, now)
        elif not self.is_right:
            passed, up = now.at - self._believed.at, now.uptime - self._believed.uptime
            if abs(passed - up) > DAY:
                raise refusal(now.at, "it jumped while this process ran")
        self._believed = now
        return now

    def _look(self, cursor: DriverCursor, now: Moment) -> None:
        ((server, seq, newest, *reading),) = cursor.all(_KNOWN[self.dialect])
        last = Moment(*reading) if reading[0] is not None else None
        problem = doubt(now, last, newest if seq else None, server) or doubt_by_kernel(now)
        if problem and not self.is_right:
            raise refusal(now.at, problem)
        if last is None or last.boot != now.boot or abs(now.at - last.at) > FRESH:
            cursor.run(_RECORD, [vars(now)])

    def check(self, now: Moment, at: int) -> None:
        """Raise `Invalid` where a commit would be dated more than a day after now, because an earlier one was."""
        if at > now.at + DAY and not self.is_right:
            raise refusal(now.at, f"the newest commit is of {told(at)}")


def doubt(now: Moment, last: Moment | None, newest: int | None, server: int | None = None) -> str:
    """Why a clock cannot be right, or "".

    `last` is the time as a process before had it, None where an older Jeyn wrote; `newest` is when the newest commit
    is dated, `server` what the database server's clock says, where it has one.
    """
    if server is not None and abs(now.at - server) > DAY:
        return f"the database server's says {told(server)}"
    if last is None or newest is None or server is not None or now.at <= newest + DAY:
        return ""
    if last.boot and last.boot == now.boot:
        passed = now.uptime - last.uptime
        if now.at - last.at > passed + DAY:
            return (
                f"the newest commit is of {told(newest)}, and this machine counts {_span(passed)} since {told(last.at)}"
            )
        return ""
    if now.at - newest > LONGEST_PAUSE:
        return f"the newest commit is of {told(newest)}, {_span(now.at - newest)} before"
    return ""


def told(at: int) -> str:
    """A time for people; also one that no calendar has."""
    try:
        return datetime.fromtimestamp(at / SECOND, UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (ValueError, OverflowError, OSError):
        return f"{at} µs after 1970"


def doubt_by_kernel(now: Moment) -> str:
    """Where only this process is told another time than its machine has."""
    kernel = _kernel_time()
    return f"its machine's says {told(kernel)}" if kernel and abs(now.at - kernel) > DAY else ""


def refusal(now: int, problem: str) -> Invalid:
    """What is said where a clock must not date anything."""
    return Invalid(
        f'the clock of this process says "{told(now)}", but {problem}: nothing was written',
        hint="set the clock; if it is right, say --clock-is-right (JEYN_CLOCK_IS_RIGHT=1), and where commits are dated "
        "in the future: jeyn fsck --repair --yes",
    )


def _span(microseconds: int) -> str:
    return str(timedelta(seconds=microseconds // SECOND))


@cache
def _boot() -> str:
    return _read("/proc/sys/kernel/random/boot_id")


def _uptime() -> int:
    """µs since the machine was started, sleep included, where it can be told; of an arbitrary beginning elsewhere."""
    return time.clock_gettime_ns(_SINCE_BOOT) // 1000 + _offset()


@cache
def _offset() -> int:
    """What the process is told besides: a feigned clock is one in all its clocks, and not in the kernel's files."""
    found = _of_kernel("uptime").split()
    return int(float(found[0]) * SECOND) - time.clock_gettime_ns(_SINCE_BOOT) // 1000 if found else 0


def _kernel_time() -> int | None:
    """The time as the kernel has it, which nobody can feign for one process alone; None where it does not tell."""
    for line in _of_kernel("stat").splitlines():
        if line.startswith("btime "):
            boot = int(line.split()[1])
            return boot * SECOND + _uptime() if boot > 0 else None
    return None


def _of_kernel(name: str) -> str:
    """A file of /proc, unless a container has another in its place: that of lxcfs counts since the container began."""
    try:
        is_kernels = (PROC / name).stat().st_dev == PROC.stat().st_dev
    except OSError:
        return ""
    return _read(str(PROC / name)) if is_kernels else ""


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""
