"""What a process is to an operation: folder, environment, signals, warnings, logging …, put back for the next one.

A worker runs one operation after another (SEMANTICS 22), and each begins as if it were the first (SEMANTICS 35): what
importing the project's modules sets stays, what an operation sets goes. What Python objects hold, such as a list at
the top of a module, is not put back but for random generators; `--isolated` gives each operation a process of its own.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # what `signal` wraps in enumerations, which take 0.25 ms
import builtins
import contextlib
import faulthandler
import gc
import io
import locale
import logging
import os
import resource
import signal
import socket
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jeyn.workflows import generators, library_state

TIMERS = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)
_SIGNALS = tuple(map(int, signal.valid_signals()))
LIMITS = tuple(getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_"))
_HOOKS: tuple[tuple[Any, str], ...] = (
    *((sys, name) for name in ("excepthook", "displayhook", "unraisablehook", "breakpointhook", "dont_write_bytecode")),
    (threading, "excepthook"),
    (tempfile, "tempdir"),
    *((warnings, name) for name in ("showwarning", "formatwarning")),
    *((logging, name) for name in ("raiseExceptions", "_logRecordFactory", "_loggerClass", "lastResort")),
)


@dataclass(frozen=True)
class Part:
    """One thing that an operation may change: how it is read, and how it is put back."""

    read: Callable[[], Any]
    write: Callable[[Any], Any]


class ProcessState:
    """The state that operations begin with; `take` it, and after each operation `restore` it."""

    def __init__(self) -> None:
        self._environment = os.environ
        self._main = threading.current_thread() is threading.main_thread()
        self.take()

    def take(self) -> None:
        """What holds now is what the next operations begin with."""
        self._kept = [(part, part.read()) for part in _PARTS]
        self._signals, self._mask = _handlers(), _signal.pthread_sigmask(signal.SIG_BLOCK, ())
        self._streams = (sys.stdin, sys.stdout, sys.stderr)
        self._builtins = _builtins()
        self._modules = dict(sys.modules)
        self._zone = _zone()
        self._libraries = library_state.read()
        self._generators = generators.read()

    def settle(self) -> None:
        """At once when the user's function ended: no alarm of theirs rings while its outputs are kept."""
        vars(builtins).update(self._builtins)
        if self._main:
            for timer in TIMERS:
                signal.setitimer(timer, 0)
            faulthandler.cancel_dump_traceback_later()
            for number, handler in _handlers().items():
                before = self._signals[number]
                # What runs operations says itself when it may be told to stop.
                is_ours = number == signal.SIGTERM and handler in (signal.SIG_DFL, signal.SIG_IGN)
                if handler is not before and before is not None and not is_ours:
                    signal.signal(number, before)
            _signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
        sys.stdin, sys.stdout, sys.stderr = self._streams
        self._streams = _open_streams()

    def restore(self) -> bool:
        """Put everything back; False when this process cannot be what it was."""
        self.settle()
        os.environ = self._environment  # noqa: B003 - it may have been replaced
        try:
            for part, before in self._kept:
                if part.read() != before:
                    part.write(before)
            _forget_shown_warnings()
            if _zone() != self._zone:
                time.tzset()
            library_state.restore(self._libraries)
            generators.restore(self._generators)
            new = self._put_back_modules()
        except Exception:
            return False
        return (
            not generators.have_any(new)
            and threading.main_thread() is threading.current_thread()
            and not _threads_left()
        )

    def _put_back_modules(self) -> list[Any]:
        """What an operation put in the place of a module goes; those that it was the first to import are returned."""
        before, now = self._modules, sys.modules
        if list(before.values()) == list(now.values()):
            return []
        now.update(before)
        self._modules = dict(now)
        return [module for name, module in now.items() if name not in before]


def _zone() -> tuple[Any, ...]:
    return time.tzname, time.timezone, time.altzone, time.daylight


def _handlers() -> dict[int, Any]:
    return {number: _signal.getsignal(number) for number in _SIGNALS}


def _threads_left() -> bool:
    """Work of the user's that goes on: it would write into the next operation's log, and change its state."""
    return any(
        not each.daemon for each in threading.enumerate() if each is not threading.main_thread() and each.is_alive()
    )


# Streams.


def _open_streams() -> tuple[Any, Any, Any]:
    """stdin, stdout and stderr, opened again where the user's code closed them."""
    for name, number in (("stdout", 1), ("stderr", 2)):
        stream = getattr(sys, name)
        if stream is not None and getattr(stream, "closed", False):
            setattr(sys, name, _writer(number))
            setattr(sys, f"__{name}__", getattr(sys, name))
            _log_to(stream, getattr(sys, name))
        elif isinstance(stream, io.TextIOWrapper) and stream.encoding != "utf-8":
            stream.reconfigure(encoding="utf-8", errors="replace")
    if sys.stdin is not None and sys.stdin.closed:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - nobody closes it
    return sys.stdin, sys.stdout, sys.stderr


def _writer(number: int) -> io.TextIOWrapper:
    raw = open(number, "wb", buffering=0, closefd=False)  # noqa: SIM115 - it is a number
    return io.TextIOWrapper(raw, encoding="utf-8", errors="replace", line_buffering=True, write_through=True)


def _log_to(closed: Any, stream: Any) -> None:
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.StreamHandler) and handler.stream is closed:
            with contextlib.suppress(ValueError):  # it flushes the closed one first
                handler.setStream(stream)
            handler.stream = stream


# Parts.


def _environ() -> dict[bytes, bytes]:
    """As the process has it: each variable that is decoded costs as much as a system call."""
    return dict(os.environ._data)  # type: ignore[attr-defined]


def _set_environ(before: dict[bytes, bytes]) -> None:
    for name in os.environb.keys() - before.keys():
        del os.environb[name]
    for name, value in before.items():
        if os.environb.get(name) != value:
            os.environb[name] = value


def _folder() -> str:
    try:
        return os.getcwd()  # noqa: PTH109 - it is asked for every operation
    except OSError:  # it was deleted
        return ""


def _umask() -> int:
    found = os.umask(0o077)
    os.umask(found)
    return found


def _limits() -> dict[int, tuple[int, int]]:
    return {limit: resource.getrlimit(limit) for limit in LIMITS}


def _set_limits(before: dict[int, tuple[int, int]]) -> None:
    for limit, value in before.items():
        if resource.getrlimit(limit) != value:
            resource.setrlimit(limit, value)


def _hooks() -> list[Any]:
    return [getattr(owner, name) for owner, name in _HOOKS]


def _set_hooks(before: list[Any]) -> None:
    for (owner, name), value in zip(_HOOKS, before, strict=True):
        setattr(owner, name, value)


def _builtins() -> dict[str, Any]:
    found = dict(vars(builtins))
    found.pop("_", None)
    return found


def _set_builtins(before: dict[str, Any]) -> None:
    for name in vars(builtins).keys() - before.keys():
        delattr(builtins, name)
    vars(builtins).update(before)


def _set_filters(before: list[Any]) -> None:
    warnings.filters[:] = before  # type: ignore[index]  # a list, whatever the stubs say


def _forget_shown_warnings() -> None:
    """A warning is shown once for each place, so also to the next operation."""
    before = list(warnings.filters)
    warnings.resetwarnings()
    _set_filters(before)


def _priority() -> int:
    return os.getpriority(os.PRIO_PROCESS, 0)


def _set_priority(before: int) -> None:
    os.setpriority(os.PRIO_PROCESS, 0, before)  # an error where only root may raise it: then the process is spent


def _processors() -> set[int]:
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()


def _level_names() -> tuple[dict[int, str], dict[str, int]]:
    return dict(logging._levelToName), dict(logging._nameToLevel)


def _set_level_names(before: tuple[dict[int, str], dict[str, int]]) -> None:
    for table, names in zip((logging._levelToName, logging._nameToLevel), before, strict=True):
        table.clear()  # type: ignore[attr-defined]
        table.update(names)  # type: ignore[attr-defined]


def _set_garbage(before: tuple[bool, tuple[int, int, int]]) -> None:
    (gc.enable if before[0] else gc.disable)()
    gc.set_threshold(*before[1])


def _set_faulthandler(was_enabled: bool) -> None:
    faulthandler.enable() if was_enabled else faulthandler.disable()


def _other_user(before: tuple[int, ...]) -> None:
    raise OSError(f"the process was of the user {before[0]}")


def _set_traces(before: tuple[Any, Any]) -> None:
    sys.settrace(before[0])
    sys.setprofile(before[1])


# Logging.


_Logger = tuple[int, tuple[Any, ...], tuple[Any, ...], bool, bool]
_FRESH: _Logger = (logging.NOTSET, (), (), True, False)


def _logger(found: logging.Logger) -> _Logger:
    return found.level, tuple(found.handlers), tuple(found.filters), found.propagate, found.disabled


def _loggers() -> tuple[int, dict[str, _Logger]]:
    known = logging.Logger.manager.loggerDict
    found = {name: _logger(each) for name, each in known.items() if isinstance(each, logging.Logger)}
    changed = {name: each for name, each in found.items() if each != _FRESH}  # those that are only asked for are many
    return logging.root.manager.disable, {"": _logger(logging.root), **changed}


def _set_loggers(before: tuple[int, dict[str, _Logger]]) -> None:
    logging.disable(before[0])
    for name in _loggers()[1].keys() | before[1].keys():
        logger = logging.getLogger(name) if name else logging.root
        level, handlers, filters, propagate, disabled = before[1].get(name, _FRESH)
        for each in set(logger.handlers) - set(handlers):
            each.flush()
        if name not in before[1]:  # a library that was imported meanwhile keeps what says that it is silent
            handlers = tuple(each for each in logger.handlers if isinstance(each, logging.NullHandler))
        logger.handlers[:], logger.filters[:] = handlers, filters
        logger.propagate, logger.disabled = propagate, disabled
        logger.setLevel(level)


_PARTS = (
    Part(_folder, os.chdir),
    Part(_environ, _set_environ),
    Part(lambda: list(sys.argv), lambda before: setattr(sys, "argv", list(before))),
    Part(lambda: list(sys.path), lambda before: setattr(sys, "path", list(before))),
    Part(lambda: list(sys.meta_path), lambda before: setattr(sys, "meta_path", list(before))),
    Part(_builtins, _set_builtins),
    Part(_hooks, _set_hooks),
    Part(lambda: list(warnings.filters), _set_filters),
    Part(lambda: locale.setlocale(locale.LC_ALL), lambda before: locale.setlocale(locale.LC_ALL, before)),
    Part(_loggers, _set_loggers),
    Part(_level_names, _set_level_names),
    Part(_umask, os.umask),
    Part(_priority, _set_priority),
    Part(_processors, lambda before: os.sched_setaffinity(0, before)),
    Part(_limits, _set_limits),
    Part(lambda: (gc.isenabled(), gc.get_threshold()), _set_garbage),
    Part(socket.getdefaulttimeout, socket.setdefaulttimeout),
    Part(sys.getrecursionlimit, sys.setrecursionlimit),
    Part(sys.getswitchinterval, sys.setswitchinterval),
    Part(sys.get_int_max_str_digits, sys.set_int_max_str_digits),
    Part(threading.stack_size, threading.stack_size),
    Part(faulthandler.is_enabled, _set_faulthandler),
    Part(lambda: (sys.gettrace(), sys.getprofile()), _set_traces),
    Part(lambda: (os.getuid(), os.geteuid(), os.getgid(), os.getegid()), _other_user),
)
