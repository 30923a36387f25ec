"""A notebook's cells become a module with what its operations use, or an error says what has no source."""

from __future__ import annotations

from typing import Any

import pytest

from jeyn.errors import UsageError
from jeyn.workflows.code.notebook import capture_cells, notebook_module, running_cells


def session(*cells: str) -> dict[str, Any]:
    """What a live session with these cells has."""
    names: dict[str, Any] = {"__name__": "__main__"}
    for cell in cells:
        exec(compile(cell, "<string>", "exec", dont_inherit=True), names)
    return names


def captured(name: str, *cells: str, live: dict[str, Any] | None = None) -> str:
    names = session(*cells) if live is None else live
    return capture_cells([names[name]], cells, names)


def run(source: str) -> dict[str, Any]:
    return session(source)


def test_rule_22_a_function_comes_with_all_it_uses_and_nothing_else() -> None:
    cells = (
        "import math\nimport os\nRATE = 2",
        "def inner(x):\n    return math.floor(x) * RATE",
        "unused = [1, 2]\ndef train(x):\n    return inner(x)",
    )
    source = captured("train", *cells)
    assert run(source)["train"](3.5) == 6
    assert "unused" not in source and "import os" not in source


def test_rule_22_the_newest_binding_counts() -> None:
    cells = ("RATE = 2", "def train():\n    return RATE", "RATE = 3", "def train():\n    return RATE * 10")
    assert run(captured("train", *cells))["train"]() == 30


def test_rule_22_what_was_computed_keeps_the_values_of_then() -> None:
    cells = ("x = 1", "def double():\n    return x * 2", "y = double()", "x = 5", "def train():\n    return (x, y)")
    assert run(captured("train", *cells))["train"]() == (5, 2) == session(*cells)["train"]()


def test_rule_22_changes_to_a_value_come_along() -> None:
    cells = (
        "limits = {}",
        "limits['a'] = 1\nlimits.update(b=2)",
        "total = 1",
        "total += 1",
        "total = total * 10",
        "def train():\n    return limits, total",
    )
    assert run(captured("train", *cells))["train"]() == ({"a": 1, "b": 2}, 20)


def test_rule_22_a_live_global_without_source_is_an_error() -> None:
    cells = ("def inner():\n    return model", "def train():\n    return inner()")
    live = session(*cells) | {"model": object()}
    with pytest.raises(UsageError, match=r'"model", which "inner" uses, has no source') as caught:
        captured("train", *cells, live=live)
    assert "pass it to the operation as an input" in caught.value.hint


def test_rule_22_magics_are_left_out() -> None:
    cells = (
        "%matplotlib inline\nimport math\n!ls -la\nmath.floor?",
        "%%bash\necho x = 1",
        "%%time\nscale = (7\n    % 4)",
        "files = !ls",
        "def broken(:",
        "if True:\n    %timeit 1\nelse:\n    y = 1",
        "def train():\n    return math.floor(scale + 0.5)",
    )
    live = session("import math\nscale = 3", cells[-1]) | {"files": ["a.py"]}
    assert run(captured("train", *cells, live=live))["train"]() == 3
    listing = "def train():\n    return files"
    live["train"] = session(listing)["train"]
    assert run(captured("train", *cells[:-1], listing, live=live))["train"]() == ["a.py"]  # as the session has it


def test_classes_annotations_and_future_imports_work() -> None:
    cells = (
        "from __future__ import annotations\nfrom typing import NamedTuple",
        "class Scores(NamedTuple):\n    low: float",
        "def train(x: int) -> 'Scores':\n    return Scores(x)",
    )
    found = run(captured("train", *cells))
    assert found["train"](1).low == 1


def test_the_module_is_named_by_its_content() -> None:
    cells = ("def train():\n    return 1",)
    names = session(*cells)
    name, source = notebook_module([names["train"]], cells, names)
    assert name.startswith("notebook_") and name.isidentifier()
    assert notebook_module([names["train"]], [*cells, "other = 1"], names) == (name, source)
    changed = ("def train():\n    return 2",)
    names = session(*changed)
    assert notebook_module([names["train"]], changed, names)[0] != name


def test_there_are_no_cells_outside_a_notebook() -> None:
    assert running_cells() is None


def test_rule_22_cells_of_a_real_ipython_session(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    pytest.importorskip("IPython")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    from IPython.core.history import HistoryManager
    from IPython.core.interactiveshell import InteractiveShell

    monkeypatch.setattr(HistoryManager, "enabled", False)
    shell = InteractiveShell.instance()
    try:
        for cell in ("import math\n%precision 3", "K = 2", "def train(x):\n    return math.floor(x) * K", "K = 3"):
            shell.run_cell(cell, store_history=True)
        found = running_cells()
        assert found is not None
        cells, names = found
        assert run(capture_cells([names["train"]], cells, names))["train"](1.5) == 3
    finally:
        InteractiveShell.clear_instance()
