"""`jeyn.sdk` says what things are: importing it loads no database, store, framework or server and does no I/O."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

HEAVY = [
    "alembic",
    "dapr",
    "fastapi",
    "flask",
    "grpc",
    "hera",
    "moto",
    "obstore",
    "pandas",
    "polars",
    "skops",
    "sklearn",
    "sqlalchemy",
    "torch",
]
# Notes what an audit hook sees while modules load; writing bytecode is the interpreter's own affair.
WATCH = """
import importlib, json, os, pkgutil, sys

seen = []

def writes(path, mode, flags):
    if "__pycache__" in str(path):
        return False
    return bool(set(mode) & set("wax+")) if mode else bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))

def hook(event, arguments):
    if event == "open" and writes(*arguments):
        seen.append(f"open {arguments[0]} for writing")
    elif event.split(".")[0] in ("socket", "sqlite3", "subprocess"):
        seen.append(event)

sys.addaudithook(hook)
import jeyn.sdk
"""
LOAD_ALL = """
for module in pkgutil.walk_packages(jeyn.sdk.__path__, "jeyn.sdk."):
    importlib.import_module(module.name)
"""
REPORT = "print(json.dumps([sorted(sys.modules), seen]))"


def watch(program: str) -> tuple[set[str], list[str]]:
    """The modules loaded and the events seen when a fresh interpreter imports `jeyn.sdk` and runs `program`."""
    command = [sys.executable, "-c", WATCH + program + "\n" + REPORT]
    shown = subprocess.run(command, capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stderr
    modules, events = json.loads(shown.stdout)
    return set(modules), events


@pytest.fixture(scope="module", params=["", LOAD_ALL], ids=["the room", "each of its modules"])
def loaded(request: pytest.FixtureRequest) -> tuple[set[str], list[str]]:
    return watch(request.param)


def test_importing_the_sdk_loads_nothing_heavy(loaded: tuple[set[str], list[str]]) -> None:
    modules, _ = loaded
    assert "jeyn.sdk" in modules
    assert [name for name in HEAVY if name in modules] == []


def test_importing_the_sdk_does_no_input_or_output(loaded: tuple[set[str], list[str]]) -> None:
    _, events = loaded
    assert events == []


def test_the_probe_sees_what_it_forbids() -> None:
    modules, events = watch("import sqlite3, wave; sqlite3.connect(':memory:'); open(os.devnull, 'w').close()")
    assert "wave" in modules
    assert {"sqlite3.connect", f"open {os.devnull} for writing"} <= set(events)
