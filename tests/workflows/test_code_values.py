# ruff: noqa: E501 - each case is one line
"""Values that module-level names have after import are part of the code of who uses them (SEMANTICS 36)."""

from __future__ import annotations

import datetime
import decimal
import enum
import os
import subprocess
import sys
from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from jeyn.workflows.code.digest import function_code
from jeyn.workflows.code.values import value_digest
from tests.workflows.projects import ROOT, Project, states

PARAMS = """
import json
CFG = json.loads(Path(__file__).with_name("params.json").read_text())
OTHER = json.loads(Path(__file__).with_name("other.json").read_text())

@operation
def rate() -> float:
    return CFG["rate"]

@operation
def two() -> int:
    return 2

@pipeline
def flow():
    return {"rate": rate(), "two": two()}
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")


def reasons(project: Project, **options: Any) -> dict[str, str]:
    found: dict[str, str] = {}

    def watch(event: Any) -> None:
        if getattr(event, "state", "") == "running" and event.operation not in found:
            found[event.operation] = event.reason

    project.run(watch=watch, explain=True, **options).check()
    return found


def test_rule_36_what_a_file_reads_while_it_is_imported_counts_by_its_value(project: Project) -> None:
    project.write(PARAMS).write('{"rate": 0.1}', "params.json").write("{}", "other.json")
    assert project.run().outputs == {"rate": 0.1, "two": 2}
    assert states(project.run()) == {"rate": "cached", "two": "cached"}
    project.write('{ "rate" : 0.1 }', "params.json").write('{"a": 1}', "other.json")
    assert states(project.run()) == {"rate": "cached", "two": "cached"}
    project.write('{"rate": 0.2}', "params.json")
    assert reasons(project) == {"rate": "code changed: value of pipeline.py:CFG"}
    assert project.run().outputs["rate"] == 0.2
    project.write('{"rate": 0.1}', "params.json")
    assert states(project.run()) == {"rate": "cached", "two": "cached"}


@pytest.mark.parametrize(
    "use",
    [
        "from lib.config import CFG\n\ndef used():\n    return CFG['rate']\n",
        "import lib.config as c\n\ndef used():\n    return c.CFG['rate']\n",
        "def used():\n    from lib.config import CFG\n    return CFG['rate']\n",
        "from lib.config import rate\n\ndef used():\n    return rate()\n",
        "import lib.config\nRATE = lib.config.CFG['rate']\n\ndef used():\n    return RATE\n",
        "CFG = {}\nwith open('params.json') as f:\n    CFG.update(json.load(f))\n\ndef used():\n    return CFG['rate']\n",
        "class C:\n    def __init__(self, r):\n        self.r = r\nC1 = C(READ['rate'])\n\ndef used():\n    return C1.r\n",
        "def used(r=READ['rate']):\n    return r\n",
        "class C:\n    r = READ['rate']\n\ndef used():\n    return C.r\n",
    ],
)
def test_rule_36_wherever_a_value_comes_from(project: Project, use: str) -> None:
    config = "import json\nfrom pathlib import Path\nCFG = json.loads(Path('params.json').read_text())\n\ndef rate():\n    return CFG['rate']\n"
    project.write("", "lib/__init__.py").write(config, "lib/config.py").write('{"rate": 1}', "params.json")
    use = use.replace("READ", "json.loads(Path('params.json').read_text())")
    project.write(
        f"import json\n{use}\n@operation\ndef one() -> int:\n    return used()\n\n@pipeline\ndef flow():\n    return one()\n"
    )
    before = Path.cwd()
    os.chdir(project.folder)
    try:
        assert project.run().outputs == {"return": 1}
        assert states(project.run()) == {"one": "cached"}
        project.write('{"rate": 2}', "params.json")
        assert project.run().outputs == {"return": 2}
    finally:
        os.chdir(before)


# Each: what stands before the operation, where READ is what a file holds, and what the operation gives of it.
HELD = {
    "a closure": ("def make(d):\n    def f(): return d\n    return f\nf = make(READ)\n", "f()"),
    "a partial": ("def g(d): return d\nf = functools.partial(g, READ)\n", "f()"),
    "a method of what was read": ("get = {'a': READ}.get\n", "get('a')"),
    "a decorator's argument": (
        "def deco(n):\n    return lambda f: lambda: n\n@deco(READ)\ndef f(): pass\n",
        "f()",
    ),
    "a function's attribute": ("def f(): return f.n\nf.n = READ\n", "f()"),
    "which function": ("def a(): return 1\ndef b(): return 2\nf = {1: a, 2: b}[READ]\n", "f()"),
    "which definition": ("if READ == 1:\n    def f(): return 1\nelse:\n    def f(): return 2\n", "f()"),
    "which class": (
        "if READ == 1:\n    class C:\n        def f(s): return 1\nelse:\n    class C:\n        def f(s): return 2\n",
        "C().f()",
    ),
    "names that no text binds": ("globals().update({'RATE': READ})\n", "RATE"),
    "a random generator": ("import random\nR = random.Random(READ)\n", "R.random()"),
    "NumPy's random generator": ("import numpy as np\nR = np.random.default_rng(READ)\n", "R.random()"),
    "an estimator": ("from sklearn.linear_model import Ridge\nM = Ridge(alpha=READ)\n", "M.alpha"),
    "a fitted model": (
        "from sklearn.linear_model import Ridge\ndef fit(y): return Ridge(alpha=0).fit([[0], [1]], [0, y])\nM = fit(READ)\n",
        "round(float(M.predict([[1]])[0]))",
    ),
    "a decimal context": ("import decimal\nC = decimal.Context(prec=READ)\n", "C.prec"),
    "a text in memory": ("import io\nT = io.StringIO(str(READ))\n", "T.getvalue()"),
    "an element": ("import xml.etree.ElementTree as E\nX = E.fromstring(f'<a>{READ}</a>')\n", "X.text"),
    "a view of memory": ("V = memoryview(bytes([READ]))\n", "V[0]"),
    "a context variable": ("import contextvars\nV = contextvars.ContextVar('v', default=READ)\n", "V.get()"),
    "an Arrow schema": ("import pyarrow as pa\nS = pa.schema([(f'c{READ}', pa.int64())])\n", "S.names"),
    "an Arrow array": ("import pyarrow as pa\nS = pa.array([READ])\n", "S.to_pylist()"),
    "a polars expression": ("import polars as pl\nE = pl.col(f'c{READ}')\n", "str(E)"),
    "a polars series": ("import polars as pl\nS = pl.Series([READ])\n", "S.sum()"),
    "levels of categories": (
        "import pandas as pd\nS = pd.Series(['1'], dtype=pd.CategoricalDtype(['1', f'c{READ}']))\n",
        "list(S.cat.categories)",
    ),
    "a frame's attributes": ("import pandas as pd\nF = pd.DataFrame({'a': [1]})\nF.attrs['n'] = READ\n", "F.attrs"),
    "what a subclass keeps beside": ("class D(dict): pass\nD1 = D()\nD1.n = READ\n", "D1.n"),
    "private slots": (
        "class A:\n    __slots__ = ('__n',)\n    def __init__(s, n): s.__n = n\n    def n(s): return s.__n\nA1 = A(READ)\n",
        "A1.n()",
    ),
    "another file's name, set": ("import conf\nconf.RATE = READ\n", "conf.RATE"),
    "another file's dict, filled": ("import conf\nconf.load()\n", "conf.CFG"),
    "another file's dict, filled by a third": ("import conf\nimport fill\n", "conf.CFG"),
}


@pytest.mark.parametrize("name", HELD)
def test_rule_36_whatever_holds_the_value(project: Project, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    text, use = HELD[name]
    monkeypatch.chdir(project.folder)
    text = text.replace("READ", 'json.loads(Path("params.json").read_text())')
    project.write(
        f"import functools\nimport json\n{text}\n@operation\ndef one():\n    return {use}\n\n@pipeline\ndef flow():\n    return one()\n"
    )
    project.write(
        "import json\nRATE = 0\nCFG = {}\ndef load():\n    with open('params.json') as f:\n        CFG['a'] = json.load(f)\n",
        "conf.py",
    )
    project.write("import conf\nconf.load()\n", "fill.py")

    def look() -> tuple[str, Any]:
        sys.path.insert(0, str(project.folder))
        with project.imported():
            one = sys.modules["pipeline"].one
            return function_code(one, root=project.folder).digest, one.function()

    project.write("1", "params.json")
    first = look()
    assert look() == first
    project.write("2", "params.json")
    second = look()
    assert first[0] != second[0] and first[1] != second[1]


@pytest.mark.parametrize(
    "drawn", ["import numpy as np\nR = np.random.default_rng()", "import torch\nR = torch.nn.Linear(2, 2)"]
)
def test_rule_36_what_is_drawn_at_each_import_is_no_value(project: Project, drawn: str) -> None:
    project.write(
        f"{drawn}\n\n@operation\ndef one() -> str:\n    return type(R).__name__\n\n@pipeline\ndef flow():\n    return one()\n"
    )
    project.run().check()
    assert states(project.run()) == {"one": "cached"}


def test_rule_36_a_registry_that_others_fill_is_told_by_their_text(project: Project) -> None:
    project.write("HOOKS = {}\n", "reg.py").write("from reg import HOOKS\nHOOKS['a'] = len\n", "late.py")
    project.write(
        "from reg import HOOKS\n\n@operation\ndef one() -> int:\n    return len(HOOKS)\n\n"
        "@operation\ndef two(n: int) -> int:\n    import late\n    return n + len(HOOKS)\n\n"
        "@pipeline\ndef flow():\n    return two(one())\n"
    )
    project.run(workers=1).check()
    again = project.run(workers=1)
    assert set(states(again).values()) == {"cached"} and "another value" not in again.logs()


CHANGING = """
STARTED = time.time_ns()

class Where:
    def __init__(self):
        self.process = hash(object())

PROCESS = Where().process

@operation
def one() -> int:
    return STARTED

@operation
def two() -> int:
    return PROCESS

@operation
def three() -> int:
    return 3

@pipeline
def flow():
    return {"one": one(), "two": two(), "three": three()}
"""


def test_rule_36_a_value_that_is_new_at_each_import_is_a_miss_that_says_so(project: Project) -> None:
    project.write(CHANGING)
    first = project.run().check()
    for _ in range(2):
        assert reasons(project)["one"] == "code changed: value of pipeline.py:STARTED (new at each import)"
    again = project.run().check()
    assert states(again)["three"] == "cached" and states(again)["one"] == "succeeded"
    assert again.outputs["one"] != first.outputs["one"]
    assert "pipeline.py:PROCESS: another value here" in again.logs("two") and "STARTED" not in again.logs()


def test_rule_36_a_run_goes_on_though_such_a_value_is_new(project: Project) -> None:
    text = CHANGING.replace("return STARTED", "assert Path('good').exists()\n    return STARTED")
    text = text.replace("hash(object())", "time.time_ns()")
    project.write(text)
    code, _ = project.jeyn("run", "pipeline.py:flow")
    assert code == 1
    project.write("", "good")
    code, said = project.jeyn("run", "--resume", "last")
    assert code == 0, said


def test_rule_36_a_value_that_an_operation_changed_is_not_what_the_cache_gives(project: Project) -> None:
    project.write('{"rate": 1}', "params.json").write(
        """
import json
CFG = json.loads(Path(__file__).with_name("params.json").read_text())

@operation
def spoil() -> int:
    CFG["rate"] = 100
    return 1

@operation
def rate(after: int) -> int:
    return CFG["rate"]

@pipeline
def flow():
    return rate(spoil())

@pipeline
def alone():
    return rate(1)
"""
    )
    project.run("flow", workers=1).check()
    assert project.run("alone").outputs == {"return": 1}


def test_rule_36_the_environment_that_a_file_reads_counts(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write(
        'MODE = os.environ.get("TRIED_MODE", "a")\n\n@operation\ndef one() -> str:\n    return MODE\n\n'
        "@pipeline\ndef flow():\n    return one()\n"
    )
    assert project.run().outputs == {"return": "a"}
    monkeypatch.setenv("TRIED_MODE", "b")
    assert project.run().outputs == {"return": "b"}


def test_rule_36_the_digest_is_the_same_for_each_place_and_way_to_run(tmp_path: Path) -> None:
    text = (
        "HERE = Path(__file__).parent\nNAMES = sorted(each.name for each in HERE.glob('*.txt'))\nDATA = str(HERE / 'data')\n"
        "KINDS = set(NAMES) | {'a', 'b', 'c'}\n\n@operation\ndef one() -> int:\n    return len(NAMES) + len(KINDS) + len(DATA) * 0\n\n"
        "@pipeline\ndef flow():\n    return one()\n"
    )
    keys = set()
    for name in ("one", "two"):
        project = Project(tmp_path / name).write(text).write("", "x.txt")
        for isolated in (False, True):
            run = project.run(cache=False, isolated=isolated).check()
            assert "another value" not in run.logs()
            keys.add(run.operations[0].cache_key)
        assert states(project.run()) == {"one": "cached"}
        assert project.jeyn("run", "pipeline.py")[0] == 0
        assert states(project.last()) == {"one": "cached"}
    assert len(keys) == 1


def test_rule_36_a_script_and_the_command_line_have_the_same_values(project: Project, tmp_path: Path) -> None:
    main = '\n\nif __name__ == "__main__":\n    print(flow.run().outputs)\n'
    project.write(PARAMS + main).write('{"rate": 0.1}', "params.json").write("{}", "other.json")
    assert project.jeyn("run", "pipeline.py")[0] == 0
    (tmp_path / "link").symlink_to(project.folder)

    def script() -> None:
        subprocess.run(
            [sys.executable, str(tmp_path / "link" / "pipeline.py")],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            cwd=project.folder,
            check=True,
            timeout=120,
        )

    script()
    assert states(project.last()) == {"rate": "cached", "two": "cached"}
    project.write('{"rate": 0.2}', "params.json")
    script()
    assert states(project.last()) == {"rate": "succeeded", "two": "cached"}
    assert project.last().outputs["rate"] == 0.2


class Colour(enum.Enum):
    RED = 1


@dataclass
class Config:
    rate: float
    names: list[str]


Point = namedtuple("Point", "x y")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, True),
        (1, 1.0),
        (0.0, -0.0),
        ("1", b"1"),
        (None, False),
        ([1, 2], (1, 2)),
        ([[1], 2], [[1, 2]]),
        ({"a": 1}, {"a": 2}),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({1, 2}, {1, 3}),
        ({1, 2}, frozenset([1])),
        (OrderedDict(a=1), {"a": 1}),
        (Point(1, 2), Point(1, 3)),
        (Config(0.1, ["a"]), Config(0.1, ["b"])),
        (Colour.RED, 1),
        (decimal.Decimal("1.0"), decimal.Decimal("1.00")),
        (datetime.date(2024, 1, 1), datetime.date(2024, 1, 2)),
        (np.array([1, 2]), np.array([1, 3])),
        (np.array([1, 2]), np.array([1.0, 2.0])),
        (np.array([[1, 2]]), np.array([1, 2])),
        (np.array(["a", None], dtype=object), np.array(["a", "b"], dtype=object)),
        (pd.DataFrame({"a": [1]}), pd.DataFrame({"a": [2]})),
        (pd.DataFrame({"a": [1]}), pd.DataFrame({"b": [1]})),
        (pd.Series([1], index=["a"]), pd.Series([1], index=["b"])),
        (pd.Series(["a", None]), pd.Series(["a", "b"])),
        (pd.Timestamp("2024-01-01"), pd.Timestamp("2024-01-01", tz="UTC")),
        ([len], [max]),
        (Path("a"), "a"),
    ],
    ids=str,
)
def test_different_data_has_different_digests(one: Any, other: Any) -> None:
    root = Path("/nowhere")
    assert value_digest(one, root) == value_digest(one, root) is not None
    assert value_digest(one, root) != value_digest(other, root)


def test_what_is_no_data_has_no_digest() -> None:
    assert [value_digest(each, Path("/nowhere")) for each in (len, np, int, open, os.environ)] == [None] * 5


def test_a_circle_ends_and_what_is_large_counts_by_its_length() -> None:
    circle: list[Any] = [1]
    circle.append(circle)
    root = Path("/nowhere")
    assert value_digest(circle, root) == value_digest(circle, root)
    large = list(range(300_000))
    assert value_digest(large, root) == value_digest(large[::-1], root) != value_digest(large[1:], root)


def test_a_set_has_the_same_digest_in_every_process() -> None:
    script = (
        "from pathlib import Path; from jeyn.workflows.code.values import value_digest\n"
        "print(value_digest({'a', 'b', ('c', frozenset('xyz'))}, Path('/nowhere')))"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(found) == 1
