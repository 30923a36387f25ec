"""Control flow of a plan: `with jeyn.when(…)`, `with jeyn.otherwise()` and `jeyn.first` (SEMANTICS 23)."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeVar, cast

from jeyn.errors import UsageError
from jeyn.sdk.annotation import union
from jeyn.sdk.argument import source_of, type_of
from jeyn.sdk.handle import Handle, Promise, condition_of
from jeyn.sdk.identity import refuse_identity
from jeyn.sdk.plan import First
from jeyn.sdk.recorder import Recorder, current_recorder

T = TypeVar("T")


def when(condition: Any) -> AbstractContextManager[None]:
    """What is called in the block runs only if the condition holds; what consumes a skipped output is skipped too.

    Raises `UsageError` for `handle is None`, which Python answers before anything runs.
    """
    recorder = _recorder("when")
    refuse_identity(condition, sys._getframe(1))
    return recorder.branch(condition_of(condition))


@contextmanager
def otherwise() -> Iterator[None]:
    """What is called in the block runs only if the `when` directly above it did not."""
    with _recorder("otherwise").other_branch():
        yield


def first(*choices: T) -> T:
    """The first of several branches that was not skipped."""
    recorder = _recorder("first")
    if len(choices) < 2:
        raise UsageError("jeyn.first joins branches, so it takes two or more", hint="jeyn.first(a, b)")
    sources = tuple(source_of(choice, "an argument of jeyn.first") for choice in choices)
    annotation = union(type_of(choice) for choice in choices)
    handle = Handle(Promise("jeyn.first", First(choices=sources), annotation, recorder=recorder))
    return cast(T, handle)


def _recorder(name: str) -> Recorder:
    recorder = current_recorder()
    if recorder is None:
        raise UsageError(
            f"jeyn.{name} was used outside a pipeline", hint="it works in the body of a function with @pipeline"
        )
    return recorder
