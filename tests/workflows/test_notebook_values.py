"""What a notebook's operation computes elsewhere is what it computes in the session, whatever the cells have done."""

from __future__ import annotations

import decimal
import importlib
import random
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jeyn.errors import UsageError
from jeyn.workflows.code.notebook import capture_cells, notebook_parts

HELPERS = """
OFFSET = 10
RULES = []
TABLE = {"a": 1}

def rule(function):
    RULES.append(function)
    return function

def set_offset(value):
    global OFFSET
    OFFSET = value

def applied(x):
    return [each(x) for each in RULES], OFFSET, TABLE

class Router:
    def __init__(self): self.routes = {}
    def route(self, path):
        def mark(function):
            self.routes[path] = function
            return function
        return mark
    def call(self, path): return self.routes[path]()

router = Router()
def call(path): return router.call(path)

class Plugin:
    known = []
    def __init_subclass__(cls): Plugin.known.append(cls)

import functools
@functools.singledispatch
def clean(x): return "any"
"""
PLUGINS = """
import helpers
@helpers.rule
def plugged(x): return x + 100
"""

HERE = Path(__file__).parent


def cases(file: str) -> dict[str, list[str]]:
    """The cells of each case of a file: "=== name", then cells with "# %%" between them."""
    parts = (HERE / file).read_text().removeprefix("=== ").split("\n=== ")
    return {part.partition("\n")[0]: part.partition("\n")[2].rstrip("\n").split("\n# %%\n") for part in parts}


SAME = cases("notebook_cases.txt")
REFUSED = cases("notebook_refusals.txt")  # the first cell is the message, as a pattern


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """What cells change outside of their own names is put back."""
    context = decimal.getcontext().copy()
    yield
    decimal.setcontext(context)
    import math

    import pandas as pd
    import sklearn

    math.tau = 2 * math.pi  # type: ignore[misc]
    pd.reset_option("display.max_columns")
    sklearn.set_config(transform_output="default")
    for name in [each for each in sys.modules if each in ("helpers", "plugins") or each.startswith("captured_")]:
        del sys.modules[name]


def session(*cells: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "__main__"}
    for cell in cells:
        exec(compile(cell, "<string>", "exec", dont_inherit=True), names)
    return names


def elsewhere(source: str, folder: Path) -> Any:
    """The captured module, imported as a worker does."""
    name = f"captured_{random.randrange(10**9)}"
    (folder / f"{name}.py").write_text(source)
    importlib.invalidate_caches()
    return importlib.import_module(name)


@pytest.mark.parametrize("name", SAME)
def test_rule_22_what_is_computed_elsewhere_is_what_the_session_computes(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "helpers.py").write_text(HELPERS)
    (tmp_path / "plugins.py").write_text(PLUGINS)
    monkeypatch.syspath_prepend(str(tmp_path))
    if "torch" in name:
        pytest.importorskip("torch")
    cells = ("", *SAME[name])
    names = session(*cells)
    source = capture_cells([names["train"]], cells, names, tmp_path)
    again = capture_cells([names["train"]], cells, names, tmp_path)
    assert source == again  # so that it is found in the cache
    live = names["train"]()
    _forget(names)
    found = elsewhere(source, tmp_path).train()
    assert shown(found) == shown(live), source


def _forget(names: dict[str, Any]) -> None:
    """What the cells did to modules and libraries; a worker starts without it."""
    for each in ("helpers", "plugins"):
        sys.modules.pop(each, None)
    decimal.getcontext().prec = 28
    if "pd" in names:
        names["pd"].reset_option("display.max_columns")
    if "sklearn" in names and hasattr(names["sklearn"], "set_config"):
        names["sklearn"].set_config(transform_output="default")
    if "math" in names:
        names["math"].tau = 0


def shown(value: Any) -> str:
    return re.sub(r"\b(__main__|captured_\d+)\b", "here", repr(value))


@pytest.mark.parametrize("name", REFUSED)
def test_rule_22_what_cannot_be_carried_is_refused_by_its_name_and_its_cell(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    message, *rest = REFUSED[name]
    cells = ("", *rest)
    names = session(*cells)
    with pytest.raises(UsageError, match=message) as caught:
        capture_cells([names["train"]], cells, names, tmp_path)
    assert "input" in caught.value.hint
    for each in [*names.values(), *names.get("files", [])]:
        if callable(getattr(each, "close", None)):
            each.close()


def test_the_digest_follows_the_values_and_nothing_else(tmp_path: Path) -> None:
    cells = ["k = 1\nother = 1", "table = {'a': [k]}", "def helper(): return table", "def train(): return helper(), k"]
    names = session(*cells)

    def parts() -> dict[str, str]:
        return notebook_parts(capture_cells([names["train"]], cells, names, tmp_path), "notebook")

    before = parts()
    assert set(before) == {"notebook:train", "notebook:helper", "notebook:table", "notebook:k"}
    names["other"] = 2
    cells[2] = "def helper():\n    # said otherwise\n    return (table)"
    assert parts() == before
    names["table"]["a"].append(3)
    after = parts()
    assert [name for name in after if after[name] != before[name]] == ["notebook:table"]
