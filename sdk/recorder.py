"""The plan recorder: what calls of operations write to while a `@pipeline` body runs (SEMANTICS 26)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from jeyn.errors import PlanInvalid, UsageError
from jeyn.sdk.plan import Condition, Not, PlannedOperation, Problem
from jeyn.sdk.workspace import use_workspace


class Names:
    """Gives each call a name of its own: `train`, `train-2`, … One name never means two functions."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._owners: dict[str, Callable[..., Any]] = {}
        self._calls: dict[str, int] = {}

    def take(self, name: str, function: Callable[..., Any]) -> str:
        owner = self._owners.setdefault(name, function)
        if owner is not function:
            raise PlanInvalid(
                f'two {self._kind}s are called "{name}": {_described(owner)} and {_described(function)}',
                hint=f'give one of them another name: @{self._kind}(name="…")'
                + (' or .options(name="…")' if self._kind == "operation" else ""),
            )
        free = name
        while (number := self._calls.get(name, 0) + 1) > 1 and (free := f"{name}-{number}") in self._owners:
            self._calls[name] = number
        self._calls[name] = number
        self._owners[free] = function
        return free


def checked_name(name: Any, kind: str) -> str:
    """`name` itself when a pipeline or operation may be called so; "/" and "[" make paths and items in a plan."""
    if not isinstance(name, str) or not name or any(mark in name for mark in "/[]") or name.split() != [name]:
        raise UsageError(
            f'the {kind} name "{name}" cannot be used', hint="give text without spaces, slashes and square brackets"
        )
    return name


@dataclass
class _Frame:
    """One level of `with` blocks: the condition of its block, and the `when` that ended last in it."""

    condition: Condition | None = None
    ended: Condition | None = None


@dataclass
class Recorder:
    """One recording: operations and problems in the order of the calls."""

    operations: list[PlannedOperation] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._operation_names = Names("operation")
        self._pipeline_names = Names("pipeline")
        self._prefix = ""
        self._frames = [_Frame()]
        self._recording: list[Callable[..., Any]] = []  # the pipeline functions whose bodies run, outermost first

    @property
    def conditions(self) -> tuple[Condition, ...]:
        return tuple(frame.condition for frame in self._frames if frame.condition is not None)

    def name_operation(self, name: str, function: Callable[..., Any]) -> str:
        return self._operation_names.take(self._prefix + name, function)

    def add(self, operation: PlannedOperation) -> None:
        self.operations.append(operation)
        self._frames[-1].ended = None

    @contextmanager
    def inside(self, name: str, function: Callable[..., Any]) -> Iterator[None]:
        """While the body of a nested pipeline runs: its operations are `name/operation`."""
        if function in self._recording:
            path = " → ".join(each.__name__ for each in (*self._recording, function))
            raise PlanInvalid(
                f'the pipeline "{name}" calls itself: {path}',
                hint="a pipeline is recorded once and cannot repeat itself; use a Python loop over its operations",
            )
        with self.running(function):
            outer, self._prefix = self._prefix, self._pipeline_names.take(self._prefix + name, function) + "/"
            self._frames[-1].ended = None
            self._frames.append(_Frame())
            try:
                yield
            finally:
                self._frames.pop()
                self._prefix = outer

    @contextmanager
    def running(self, function: Callable[..., Any]) -> Iterator[None]:
        self._recording.append(function)
        try:
            yield
        finally:
            self._recording.pop()

    @contextmanager
    def branch(self, condition: Condition) -> Iterator[None]:
        """A `when` block."""
        self._frames.append(_Frame(condition))
        try:
            yield
        finally:
            self._frames.pop()
            self._frames[-1].ended = condition

    @contextmanager
    def other_branch(self) -> Iterator[None]:
        """The `otherwise` block of the `when` that just ended."""
        condition = self._frames[-1].ended
        if condition is None:
            raise UsageError(
                "jeyn.otherwise() does not follow a jeyn.when(…)",
                hint="write `with jeyn.otherwise():` directly below the block of `with jeyn.when(…):`",
            )
        with self.branch(Not(condition=condition)):
            yield
        self._frames[-1].ended = None


_current: ContextVar[Recorder | None] = ContextVar("jeyn_recorder", default=None)


def current_recorder() -> Recorder | None:
    """The recorder of the pipeline body that runs in this context, if any."""
    return _current.get()


@contextmanager
def recording() -> Iterator[Recorder]:
    """A new recording; inside the block stores cannot be read (SEMANTICS 20)."""
    recorder = Recorder()
    token = _current.set(recorder)
    try:
        with use_workspace(_NoStores()):
            yield recorder
    finally:
        _current.reset(token)


def refuse_stores(asked_for: str) -> None:
    """Raises `UsageError` while a pipeline is recorded: its body has no stores."""
    if current_recorder() is not None:
        raise UsageError(
            f'stores cannot be read while a pipeline is recorded, and its body asked for "{asked_for}"',
            hint='pass jeyn.ref("name@latest") to an operation, or read the store inside an operation',
        )


class _NoStores:
    """Stands where the current workspace would be while a pipeline is recorded."""

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("__"):
            refuse_stores(name)
        raise AttributeError(name)


def _described(function: Callable[..., Any]) -> str:
    code = getattr(function, "__code__", None)
    line = f" (line {code.co_firstlineno})" if code else ""
    return f"{function.__module__}:{function.__qualname__}{line}"
