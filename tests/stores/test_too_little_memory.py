"""Too little memory says nothing of the bytes that were to be read: they are not called damaged."""

from __future__ import annotations

import multiprocessing
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from jeyn import DatasetFormula, Workspace
from jeyn.errors import Corrupt, NoMemory
from jeyn.stores.serializers.decoding import decoding
from jeyn.stores.serializers.frames import pandas_bytes
from tests.stores.digits import READER, Digits, a_batch

# A process that was forked has what its parent has freed, which may be enough.
context = multiprocessing.get_context("spawn")
MANY = 6_000_000
ROOM = 24 << 20


def _large_batch(workspace: Workspace) -> Any:
    rows = {"x": np.random.default_rng(1).random(MANY), "label": np.arange(MANY)}
    formula = DatasetFormula("large", version="1.0.0", output_catalog=Digits)
    return workspace.dataset_store.save_batch(formula.new_table(rows))


def _large_model(workspace: Workspace) -> Any:
    model = np.random.default_rng(1).random(MANY)
    return workspace.model_store.save_checkpoint(READER.update_minor(dataset=a_batch(workspace), model=model))


def _save(home: Path, made: Callable[[Workspace], Any], done: Any) -> None:
    """In a process of its own, so that no memory is left over from it."""
    with Workspace.open(home=home) as workspace:
        done.put(made(workspace).id)


def _load(home: Path, id: str, done: Any) -> None:
    """In a process that may take little more than it has."""
    try:
        with Workspace.open(home=home) as workspace:
            artefact = workspace.get(id)
            used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (used + ROOM, resource.RLIM_INFINITY))
            artefact.load()
        done.put("loaded")
    except BaseException as exc:
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        done.put(f"{type(exc).__name__}: {isinstance(exc, MemoryError)}: {exc}")


def _in_child(work: Callable[..., None], *args: Any) -> str:
    done = context.Queue()
    child = context.Process(target=work, args=(*args, done), daemon=True)
    child.start()
    found: str = done.get(timeout=120)
    child.join(timeout=30)
    return found


@pytest.mark.parametrize("made", [_large_batch, _large_model])
def test_what_does_not_fit_into_memory_is_not_damaged(home: Path, made: Callable[[Workspace], Any]) -> None:
    id = _in_child(_save, home, made)
    said = _in_child(_load, home, id)
    assert ": True: " in said, said
    assert "damaged" not in said and "Corrupt" not in said


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("Unable to allocate 7.45 GiB"),
        pa.lib.ArrowMemoryError("malloc of size 64 failed"),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("std::bad_alloc"),
    ],
)
def test_lack_of_memory_in_any_library_is_told_as_such(error: Exception) -> None:
    with pytest.raises(NoMemory, match="too little memory to read 'numpy'") as raised, decoding("numpy"):
        raise error
    assert raised.value.retry_helps
    assert isinstance(raised.value, MemoryError)
    with pytest.raises(Corrupt), decoding("numpy"):
        raise ValueError("bad header")


def test_frames_that_do_not_fit_are_not_called_unstorable(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise pa.lib.ArrowMemoryError("malloc of size 64 failed")

    monkeypatch.setattr("jeyn.stores.serializers.frames._pandas_table", full)
    with pytest.raises(MemoryError):
        pandas_bytes(pd.DataFrame({"x": [1.0]}))
