"""Runs one attempt of one operation: load the inputs, call the function, save what it returns (DESIGN 3).

`python -m jeyn.workflows.runner` is what every engine starts. The local engine keeps such processes and gives each
one job after the other as lines of JSON (SEMANTICS 22): first `{"setup": …}`, then `{"job": …}`; the answers are
`{"progress": …}`, `{"claims": …}`, which `{"commit": …}` answers when it is its turn and `{"hold": …}` when that
never comes, and at last `{"done": …}`, `{"held": …}` or `{"failed": …}`. Names and references travel, never objects.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # what `signal` wraps in enumerations
import gc

if __name__ == "__main__":
    gc.disable()  # importing makes no garbage, and looking for some is a fifth of it

import contextvars
import decimal
import fcntl
import importlib
import inspect
import json
import os
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jeyn.errors import CodeChanged, JeynError
from jeyn.own_imports import guard
from jeyn.sdk.artefact import Artefact
from jeyn.sdk.returned import check_returned
from jeyn.sdk.signature import signature_of
from jeyn.sdk.workspace import use_workspace
from jeyn.settings import Settings
from jeyn.stores.attempt import Attempt
from jeyn.stores.catalog.changes import CacheKey, NewAttempt
from jeyn.stores.workspace import Workspace
from jeyn.workflows.failure import Error, error_of
from jeyn.workflows.heart import Heart
from jeyn.workflows.inputs import load_input
from jeyn.workflows.leaks import refuse_in, refuse_in_rows, refuse_secrets
from jeyn.workflows.mask import masked, remember
from jeyn.workflows.outputs import save_outputs, split
from jeyn.workflows.own_loggers import switch_on
from jeyn.workflows.process_state import ProcessState
from jeyn.workflows.seeds import seed
from jeyn.workflows.shown import shown
from jeyn.workflows.spool import Spool, spool_path
from jeyn.workflows.traceback import shortened

if TYPE_CHECKING:
    from jeyn.workflows.code.unchanged import Unchanged
    from jeyn.workflows.code.values import HeldValues

_held_back: dict[int, set[int]] = {}  # by thread that forks: what it had held back before

Report = Callable[[int, int | None, str], None]
_SHOWN = 120  # characters of an input that a failure names


@dataclass(frozen=True)
class Job:
    """One attempt: what to call, with what, under which rows of the catalog.

    `last`: nothing is tried after it. `offered`: arguments that the function gets if it has such parameters.
    `since`: when the first attempt began, by the machine's monotonic clock; None where that was elsewhere.
    `begun`: the attempt, where it may not be in the catalog yet (a `NewAttempt`).
    `mapped`: the inputs that are one of many here, which a failure names.
    `in_turn`: what claims a number waits for its turn before it commits (SEMANTICS 2).
    """

    operation: str
    operation_key: int
    attempt_key: int
    function: str
    inputs: dict[str, dict[str, Any]]
    input_ids: list[tuple[str, int, str]]
    outputs: list[str]
    key: str
    seed: int
    components: dict[str, Any] = field(default_factory=dict)
    cache: bool = True
    last: bool = True
    offered: dict[str, Any] = field(default_factory=dict)
    since: float | None = None
    in_turn: bool = False
    mapped: list[str] = field(default_factory=list)
    begun: dict[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        return vars(self)


def execute(
    workspace: Workspace,
    job: Job,
    heart: Heart,
    report: Report | None = None,
    turn: Callable[[], bool] | None = None,
    code: Unchanged | None = None,
    state: ProcessState | None = None,
) -> dict[str, Any]:
    """Run one attempt to its commit; the answer is what the engine needs to know. Only the user's code may print.

    `turn` waits until claims may be committed; False: hold them. `state` is that of a process which runs others too.
    """
    spool, state = heart.spool, state or ProcessState()
    with workspace.attempt(job.operation_key, job.attempt_key) as attempt:
        attempt.seed = job.seed
        attempt.begun = NewAttempt(**job.begun) if job.begun else None
        attempt.look_through = _refuse
        attempt.since = job.since
        if report is not None:
            attempt.report_progress = _masking(report)
        try:
            with heart.beats_for(attempt, job.attempt_key):
                return _succeed(attempt, job, heart, turn, code, state)
        except BaseException as exc:
            error = error_of(exc, workspace.settings.root, job.operation)
            error["message"] += _item(workspace, job)
            if error["traceback"] and not isinstance(exc, Stopped):
                print(error["traceback"], file=sys.stderr, flush=True)
            _fail(workspace, job, error, spool, cancelled=isinstance(exc, Stopped), seconds=attempt.seconds)
            return {"failed": error, "stopped": isinstance(exc, Stopped)}


def _masking(report: Report) -> Report:
    def said(done: int, total: int | None = None, description: str = "") -> None:
        report(done, total, masked(description))

    return said


def _refuse(data: bytes | Path | str, name: str) -> None:
    refuse_in(data, f'what is kept as "{name}"')


def _item(workspace: Workspace, job: Job) -> str:
    """Which of many inputs an item had: its number alone says little."""
    told = []
    for name in job.mapped:
        with suppress(Exception):  # what cannot be shown may be why it failed
            value = load_input(workspace, job.inputs[name])
            said = value.ref if isinstance(value, Artefact) else shortened(masked(repr(value)), _SHOWN)
            told.append(f"{name}={said}")
    return f" (with {', '.join(told)})" if told else ""


def _succeed(
    attempt: Attempt,
    job: Job,
    heart: Heart,
    turn: Callable[[], bool] | None,
    code: Unchanged | None,
    state: ProcessState,
) -> dict[str, Any]:
    seed(job.seed)  # also for what is drawn while the module is imported
    function = _imported(job.function, state)
    if code is not None:
        code.check(job.function)
    values = _held(job, function, code.root if code is not None else attempt.outside.settings.root)
    arguments = {name: load_input(attempt, wire) for name, wire in job.inputs.items()}
    if job.offered:
        wanted = inspect.signature(function).parameters
        arguments |= {name: value for name, value in job.offered.items() if name in wanted and name not in arguments}
    with use_workspace(attempt), _settled(state, heart.spool):
        returned = contextvars.copy_context().run(_called, function, arguments, job.seed)
    if values is not None:
        values.look()
        values.say()
    refuse_secrets(returned, arguments)
    inputs = list(dict.fromkeys(id for _, _, id in job.input_ids))
    parts = split(returned, job.outputs)
    check_returned(parts, signature_of(function).outputs, job.operation)
    kept = save_outputs(attempt, parts, job.key, inputs)
    effects = list(attempt.effects)
    refuse_in_rows(attempt.staged.changes, attempt.observations)
    _flush_streams()
    is_held = turn is not None and job.in_turn and bool(attempt.staged.claims) and not turn()
    heart.rest()
    with _undisturbed():
        (attempt.hold if is_held else attempt.finish)(
            [(name, 0, each.produced.id) for name, each in kept.items()],
            inputs=[(name, position, id) for name, position, id in job.input_ids],
            cache=_cache_key(job, function, values.others if values else {}) if job.cache else None,
            log=heart.spool.take(last=True) if heart.spool else "",
        )
    if is_held:
        return {"held": True}
    done = {
        "outputs": {name: vars(each.produced) for name, each in kept.items()},
        "shown": {name: each.text or shown(attempt.outside, each.produced.id) for name, each in kept.items()},
        "effects": effects,
    }
    return {"done": done}


def _held(job: Job, function: Callable[..., Any], root: Path) -> HeldValues | None:
    """The module-level values and files that its key counts, looked at; None where there are none."""
    parts = job.components.get("code", {})
    if not any(part.startswith("value of ") or part.endswith(" (read at import)") for part in parts):
        return None
    from jeyn.workflows.code.values import HeldValues

    values = HeldValues(parts, function, root)
    values.look()
    return values


def _cache_key(job: Job, function: Callable[..., Any], others: Mapping[str, str]) -> CacheKey:
    """The key of what has run, which is not the plan's where module-level values are others here (SEMANTICS 36)."""
    if not others:
        return CacheKey(job.key[7:], job.components)
    from jeyn.workflows.cache import with_values

    key = with_values(job.components, inspect.unwrap(function).__qualname__, others)
    return CacheKey(key.digest[7:], key.components)


def _imported(reference: str, state: ProcessState) -> Callable[..., Any]:
    """The function; what importing its module sets, such as a logging level, is what its operations begin with."""
    is_new = reference.partition(":")[0] not in sys.modules
    function = find_function(reference)
    if is_new:
        state.take()
        remember()  # what the module read from a file of secrets
    return function


def _called(function: Callable[..., Any], arguments: Mapping[str, Any], start: int) -> Any:
    """What it returns, where context variables are its own; decimal's and NumPy's settings are such."""
    decimal.setcontext(decimal.getcontext().copy())
    seed(start)
    return function(**arguments)


@contextmanager
def _settled(state: ProcessState, spool: Spool | None) -> Iterator[None]:
    try:
        yield
    finally:
        state.settle()
        if spool is not None:
            spool.redirect_again()


@contextmanager
def _undisturbed() -> Iterator[None]:
    """A commit that has begun is not interrupted: whether it was done would be anyone's guess."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = _signal.signal(signal.SIGTERM, _signal.SIG_IGN)
    try:
        yield
    finally:
        _signal.signal(signal.SIGTERM, before)


def find_function(reference: str) -> Callable[..., Any]:
    """The user's function behind "module:qualname"; raises `CodeChanged` when it is no longer there."""
    module, _, qualname = reference.partition(":")
    found: Any = importlib.import_module(module)
    switch_on()
    for part in qualname.split("."):
        found = getattr(found, part, None)
    if found is None:
        raise CodeChanged(f'"{reference}" is not there any more', hint="the code changed; start a new run")
    function: Callable[..., Any] = getattr(found, "function", found)
    return function


def _fail(
    workspace: Workspace, job: Job, error: Error, spool: Spool | None, *, cancelled: bool, seconds: float | None
) -> None:
    _flush_streams()
    state = "cancelled" if cancelled else "failed"
    record(workspace, job)
    again = error["retry"] and not job.last and not cancelled
    workspace.runs.fail_attempt(
        job.attempt_key,
        state=state,
        error=error,
        log=spool.take(last=True) if spool else "",
        operation_state=None if again else state,
        seconds=seconds,
    )


def record(workspace: Workspace, job: Job) -> None:
    """See to it that the attempt is in the catalog."""
    if job.begun:
        workspace.runs.record_attempts([NewAttempt(**job.begun)])


def _flush_streams() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()


def begin_process() -> None:
    """What is the same for the operations of every engine: no arguments, and no Ctrl-C but the engine's."""
    sys.argv[:] = [""]
    _signal.signal(signal.SIGINT, _signal.SIG_IGN)
    os.register_at_fork(before=_hold_back, after_in_parent=_let_through, after_in_child=_begin_child)


def _hold_back() -> None:
    # Python forgets what a child was told before its first step; a pool would wait for that child for ever.
    _held_back[threading.get_ident()] = _signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM,))


def _let_through() -> None:
    _signal.pthread_sigmask(signal.SIG_SETMASK, _held_back.pop(threading.get_ident()))


def _begin_child() -> None:
    """A child that was forked has no attempt to tidy up: one that is told to stop, as a pool's are, ends."""
    _signal.signal(signal.SIGTERM, _signal.SIG_DFL)
    _let_through()


class Stopped(BaseException):
    """The engine asked this process to stop: what the user's code has to tidy up runs, nothing catches it by chance."""


class Worker:
    """The loop of a reused process: one job at a time, answered on what was its stdout."""

    def __init__(self) -> None:
        # What users print must not reach the engine's pipe, nor may they read from it.
        # Above 2, which the engine may have had closed and which becomes the file of what they print.
        self.requests = os.fdopen(fcntl.fcntl(0, fcntl.F_DUPFD_CLOEXEC, 3), "r", encoding="utf-8")
        self.answers = os.fdopen(fcntl.fcntl(1, fcntl.F_DUPFD_CLOEXEC, 3), "w", encoding="utf-8")
        self.lock = threading.Lock()
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.close(null)
        self.job: Job | None = None

    def run(self) -> None:
        begin_process()
        threading.Thread(target=self._outlive_nobody, daemon=True).start()
        setup = self.requests.readline()
        if not setup:
            return
        from jeyn.workflows.code.unchanged import Unchanged  # a pod's code is of the plan's own digest

        told = json.loads(setup)["setup"]
        self.workspace, spool = prepare(told)
        self.spool = spool
        self.code = Unchanged(told.get("parts", {}), Path(told["code"]))
        heart = Heart(self.workspace, spool)
        seed(0)  # from here on it finds what is imported later
        self.state = ProcessState()
        gc.freeze()  # what the user's code makes is worth looking at, and nothing else
        gc.enable()
        self.send({"ready": os.getpid()})
        while line := self.requests.readline():
            spool.rewind()  # now, not when the last job ended: the engine reads its end after the answer
            self._serve(heart, spool, Job(**json.loads(line)["job"]))
        self.workspace.close()
        spool.remove()
        gc.freeze()  # or the interpreter looks at every object of every module once more: 50 ms

    def _serve(self, heart: Heart, spool: Spool, job: Job) -> None:
        def report(done: int, total: int | None = None, description: str = "") -> None:
            self.send({"progress": [done, total, description]})

        self.job = job
        _signal.signal(signal.SIGTERM, _stop)
        try:
            answer = execute(self.workspace, job, heart, report, self._await_turn, self.code, self.state)
        except Exception as exc:
            # Before the attempt began, or where its end could not be written: the engine writes it.
            with suppress(OSError):  # its disk may be full
                traceback.print_exc()
            answer = {"lost": error_of(exc, self.workspace.settings.root, job.operation)}
        _signal.signal(signal.SIGTERM, _signal.SIG_DFL)
        self.job = None
        is_spent = not self.state.restore()
        self.send({**answer, "printed": spool.has_any, "spent": is_spent})

    def _await_turn(self) -> bool:
        self.send({"claims": True})
        line = self.requests.readline()
        if not line:
            # The engine is gone: it is nobody's turn, and `_outlive_nobody` ends this process.
            threading.Event().wait()
        return "commit" in json.loads(line)

    def send(self, message: Mapping[str, Any]) -> None:
        with self.lock:
            self.answers.write(json.dumps(message) + "\n")
            self.answers.flush()

    def _outlive_nobody(self) -> None:
        """When the engine is gone nobody waits for this work, and a resumed run does it again."""
        engine = select.poll()
        engine.register(self.requests.fileno(), 0)  # only that the other end was closed
        engine.poll()
        while (job := self.job) is None:  # a last one may be on its way; without one the process ends by itself
            time.sleep(0.05)
        try:
            with suppress(OSError):
                self.spool.write_down(last=True)
            with suppress(JeynError):
                record(self.workspace, job)  # by it a resumed run finds what was printed
        finally:
            os.killpg(os.getpgrp(), signal.SIGKILL)


def prepare(setup: Mapping[str, Any]) -> tuple[Workspace, Spool]:
    """The workspace and the output of this process; the project's modules can be imported from its root."""
    places = dict(setup["settings"])
    settings = Settings(**{**places, "root": Path(places["root"]), "home": Path(places["home"])})
    code = Path(setup["code"])
    os.chdir(code)
    guard(str(code))
    sys.path[:] = [*setup["paths"], *(entry for entry in sys.path if entry not in ("", *setup["paths"]))]
    remember()
    spool = Spool(spool_path(settings.home, setup["run"], os.getpid()), _own(setup["output"]))
    spool.redirect()
    workspace = Workspace(settings)
    workspace.is_running = True
    return workspace, spool


def _own(descriptor: int) -> int:
    """The same file under a number that the user's child processes do not get."""
    found = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)
    os.close(descriptor)
    return found


def _stop(*_: object) -> None:
    _signal.signal(signal.SIGTERM, _signal.SIG_IGN)
    raise Stopped("its process was told to stop (signal 15)")


if __name__ == "__main__":
    Worker().run()
