# ruff: noqa: E501 - each case is one line
"""What importing a file does beside defining counts for each of its operations; what only defines does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.workflows.projects import Project, states
from tests.workflows.test_code_digest import code_of

USES = "\n\ndef train():\n    return 1\n"


def changes(write: Any, root: Path, before: str, after: str, **files: str) -> bool:
    """Whether the digest of `train` is another one after an edit; both texts come before `train`."""
    for path, text in files.items():
        write(f"{path}.py", text)
    write("pipeline.py", before + USES)
    first = code_of(root)
    write("pipeline.py", after + USES)
    return code_of(root).digest != first.digest


# Each: what stands in the file beside the operation, and one edit of it, as (text, old, new).
EFFECTS = {
    "else of main": ('if __name__ == "__main__":\n    pass\nelse:\n    RATE = 1\n    print(RATE)\n', "= 1", "= 2"),
    "elif of main": ('if __name__ == "__main__":\n    pass\nelif True:\n    print(1)\n', "(1)", "(2)"),
    "not main": ('if __name__ != "__main__":\n    print(1)\n', "(1)", "(2)"),
    "registration": (
        "REG = {}\nclean = REG.get\n@clean.register\ndef _(x: int):\n    return 1\n",
        "return 1",
        "return 2",
    ),
    "route": ("import app\n@app.route('/x')\ndef page():\n    return 1\n", "return 1", "return 2"),
    "route's name": ("import app\n@app.route('/x')\ndef page():\n    return 1\n", "'/x'", "'/y'"),
    "own registering decorator": (
        "T = []\ndef reg(f):\n    T.append(f)\n    return f\n@reg\ndef a():\n    return 1\n",
        "return 1",
        "return 2",
    ),
    "decorator with arguments": (
        "T = {}\ndef reg(n):\n    def d(f):\n        T[n] = f\n        return f\n    return d\n@reg('a')\ndef a():\n    return 1\n",
        "return 1",
        "return 2",
    ),
    "list of functions": ("hooks = []\ndef f():\n    return 1\nhooks.append(f)\n", "return 1", "return 2"),
    "in a tuple": ("hooks = []\ndef f():\n    return 1\nx = (hooks.append(f), 1)\n", "return 1", "return 2"),
    "subclass hook": (
        "class Base:\n    def __init_subclass__(cls, **k):\n        T.append(cls)\nclass Kid(Base):\n    n = 1\n",
        "n = 1",
        "n = 2",
    ),
    "subclass of another file": ("from base import Base\nclass Kid(Base):\n    n = 1\n", "n = 1", "n = 2"),
    "metaclass": ("class Meta(type):\n    pass\nclass Kid(metaclass=Meta):\n    n = 1\n", "n = 1", "n = 2"),
    "class body that calls": ("class A:\n    print(1)\n", "print(1)", "print(2)"),
    "class body that registers": ("T = []\nclass A:\n    T.append(1)\n", "(1)", "(2)"),
    "default that calls": ("import lib\ndef f(x=lib.start(1)):\n    return x\n", "(1)", "(2)"),
    "pandas accessor": (
        "import pandas as pd\n@pd.api.extensions.register_series_accessor('x')\nclass X:\n    n = 1\n",
        "n = 1",
        "n = 2",
    ),
    "constructor with an effect": (
        "class Node:\n    def __init__(self, v, up=None):\n        self.v = v\n        if up:\n            up.kids.append(self)\n"
        "        self.kids = []\nroot = Node(0)\nkid = Node(1, root)\n",
        "Node(1,",
        "Node(2,",
    ),
    "alias changed later": ("import numpy as np\nw = np.zeros(3)\nview = w[:1]\nview[:] = 7\n", "= 7", "= 8"),
    "alias appended to": ("a = []\nb = a\nb.append(1)\n", "(1)", "(2)"),
    "augmented alias": ("a = []\nb = a\nb += [1]\n", "[1]", "[2]"),
    "effect under another name": (
        "from sklearn import set_config\nset_config(enable_metadata_routing=True)\n",
        "True",
        "False",
    ),
    "decimal context": ("from decimal import getcontext\ngetcontext().prec = 5\n", "= 5", "= 6"),
    "global seed": ("import numpy as np\nnp.random.seed(1)\n", "(1)", "(2)"),
    "seterr": ("import numpy as np\nold = np.seterr(all='raise')\n", "raise", "warn"),
    "pandas option": ("import pandas as pd\npd.options.mode.copy_on_write = True\n", "True", "False"),
    "environment": ("import os\nos.environ['OMP_NUM_THREADS'] = '1'\n", "'1'", "'2'"),
    "setdefault": ("import os\nx = os.environ.setdefault('A', '1')\n", "'1'", "'2'"),
    "warnings": ("import warnings\nwarnings.filterwarnings('ignore')\n", "ignore", "error"),
    "monkeypatch": ("import json\ndef mine(x):\n    return 1\njson.dumps = mine\n", "return 1", "return 2"),
    "setattr": ("import json\nsetattr(json, 'x', 1)\n", "1", "2"),
    "delete": ("import json\na = b = 1\ndel json.x\n", "json.x", "json.y"),
    "atexit": ("import atexit\ndef bye():\n    return 1\natexit.register(bye)\n", "return 1", "return 2"),
    "for": ("import lib\nfor x in [1]:\n    lib.add(x)\n", "[1]", "[2]"),
    "else of for": ("import lib\nfor x in []:\n    pass\nelse:\n    lib.add(1)\n", "(1)", "(2)"),
    "else of while": ("import lib\nwhile False:\n    pass\nelse:\n    lib.add(1)\n", "(1)", "(2)"),
    "finally": ("import lib\ntry:\n    pass\nfinally:\n    lib.add(1)\n", "(1)", "(2)"),
    "with": ("import lib\nwith lib.mode('a'):\n    X = 1\n", "'a'", "'b'"),
    "walrus": ("import lib\nif (n := lib.add(1)):\n    pass\n", "(1)", "(2)"),
    "comprehension": ("import lib\nx = [lib.add(i) for i in [1]]\n", "[1]", "[2]"),
    "else of type checking": (
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    pass\nelse:\n    print(1)\n",
        "(1)",
        "(2)",
    ),
    "sorted by a function": ("import lib\nx = sorted([2, 1], key=lib.note)\ny = 1\n", "lib.note", "lib.other"),
    "lambda that is called": ("T = []\nx = sorted([1], key=lambda v: T.append(v))\n", "[1]", "[2]"),
    "import hook": ("import sys\nsys.path.insert(0, 'a')\n", "'a'", "'b'"),
    "future": ("from __future__ import annotations\n", "from __future__ import annotations\n", ""),
    "exec of a text": ("exec('X = 1')\n", "X = 1", "X = 2"),
}


@pytest.mark.parametrize("name", EFFECTS)
def test_rule_36_what_importing_the_file_does_counts_for_every_operation(write: Any, root: Path, name: str) -> None:
    text, old, new = EFFECTS[name]
    assert old in text
    extra = {"base": "class Base:\n    pass\n"}
    head, _, tail = text.rpartition(old)
    assert changes(write, root, text, head + new + tail, **extra)


PURE = {
    "function": ("def other():\n    return 1\n", "return 1", "return 2"),
    "class": ("class A:\n    n = 1\n", "n = 1", "n = 2"),
    "operation": (
        "from jeyn import operation\n@operation(retries=2)\ndef other():\n    return 1\n",
        "return 1",
        "return 2",
    ),
    "pipeline": ("import jeyn\n@jeyn.pipeline\ndef flow():\n    return 1\n", "return 1", "return 2"),
    "options": ("from jeyn import operation\n@operation\ndef a():\n    pass\nb = a.options(retries=1)\n", "=1", "=2"),
    "catalog": (
        "from jeyn import DataCatalog, Dtypes, Feature\nclass A(DataCatalog):\n    x = Feature(Dtypes.INT64)\nclass B(A):\n    y = Feature(Dtypes.INT64)\n",
        "y = Feature(Dtypes.INT64)",
        "z = Feature(Dtypes.INT64)",
    ),
    "formula": (
        "from jeyn.formulas import StreamingFormula\nfrom jeyn import DataCatalog\nclass A(DataCatalog):\n    pass\n"
        "f = StreamingFormula('f', version='1.0.0', output_catalog=A, source='a')\n",
        "'a')",
        "'b')",
    ),
    "constant": ("LIMITS = {'a': [1, 2]}\n", "1, 2", "1, 3"),
    "arithmetic": ("A = 2\nB = A * 3 + len('abc')\n", "* 3", "* 4"),
    "path": ("from pathlib import Path\nD = Path(__file__).parent / 'a'\n", "'a'", "'b'"),
    "params file": (
        "import json\nfrom pathlib import Path\nC = json.loads(Path('a.json').read_text())\n",
        "a.json",
        "b.json",
    ),
    "with open": ("import yaml\nwith open('a') as f:\n    C = yaml.safe_load(f)\n", "'a'", "'b'"),
    "own loader": (
        "import json\ndef load(p):\n    with open(p) as f:\n        return json.load(f)\nC = load('a')\n",
        "'a'",
        "'b'",
    ),
    "logger": ("import logging\nlog = logging.getLogger('a')\n", "'a'", "'b'"),
    "numpy": ("import numpy as np\nA = np.zeros(3) + np.array([1])\n", "(3)", "(4)"),
    "dataclass": (
        "from dataclasses import dataclass, field\n@dataclass(frozen=True)\nclass C:\n    x: list = field(default_factory=list)\n    y: int = 1\nc = C(y=2)\n",
        "= 1",
        "= 3",
    ),
    "enum": ("import enum\nclass E(enum.Enum):\n    A = 1\n", "= 1", "= 2"),
    "network": ("import torch\nclass N(torch.nn.Module):\n    def __init__(self):\n        self.n = 1\n", "= 1", "= 2"),
    "estimator": ("from sklearn.base import BaseEstimator\nclass N(BaseEstimator):\n    n = 1\n", "= 1", "= 2"),
    "model": ("from sklearn.linear_model import Ridge\nM = Ridge(alpha=1)\n", "=1", "=2"),
    "exception": ("class Bad(ValueError):\n    n = 1\n", "= 1", "= 2"),
    "property": (
        "class A:\n    @property\n    def x(self):\n        return 1\n    @x.setter\n    def x(self, v):\n        self.v = v\n",
        "return 1",
        "return 2",
    ),
    "own decorator": (
        "import functools\ndef timed(f):\n    @functools.wraps(f)\n    def w(*a):\n        print(1)\n        return f(*a)\n    return w\n@timed\ndef other():\n    return 1\n",
        "return 1",
        "return 2",
    ),
    "cache": (
        "from functools import lru_cache\n@lru_cache(maxsize=None)\ndef other():\n    return 1\n",
        "return 1",
        "return 2",
    ),
    "branches": ("import sys\nif sys.platform == 'linux':\n    X = 1\nelse:\n    X = 2\n", "= 1", "= 3"),
    "try": ("try:\n    import fast\nexcept ImportError:\n    fast = 1\n", "= 1", "= 2"),
    "main": ("if __name__ == '__main__':\n    print(1)\n", "(1)", "(2)"),
    "main and": ("import sys\nif __name__ == '__main__' and len(sys.argv) > 1:\n    print(1)\n", "(1)", "(2)"),
    "docstring": ('def other():\n    """One."""\n', "One", "Two"),
    "file's docstring": ('"""One."""\n', "One", "Two"),
    "pipeline of steps": (
        "from sklearn.pipeline import make_pipeline\nfrom sklearn.linear_model import Ridge\nM = make_pipeline(Ridge(alpha=1))\n",
        "=1",
        "=2",
    ),
    "settings": (
        "from pydantic_settings import BaseSettings, SettingsConfigDict\nclass A(BaseSettings):\n    model_config = SettingsConfigDict(env_prefix='a')\n",
        "'a'",
        "'b'",
    ),
    "attrs": ("from attrs import define, field\n@define\nclass A:\n    a: int = field(default=1)\n", "=1", "=2"),
    "expressions": ("import polars as pl\nE = pl.col('a').sum().alias('b')\n", "'a'", "'c'"),
    "schema": ("import pyarrow as pa\nS = pa.schema([('a', pa.int64())])\n", "'a'", "'b'"),
    "joined arrays": ("import numpy as np\nA = np.concatenate([np.zeros(1), np.sin(np.ones(2))])\n", "(2)", "(3)"),
    "hash": ("import hashlib\nH = hashlib.sha256(b'a').hexdigest()\n", "b'a'", "b'b'"),
    "named import": ("from lib import helper\ndef other():\n    return helper()\n", "return helper()", "return helper"),
}


@pytest.mark.parametrize("name", PURE)
def test_rule_36_what_only_defines_counts_for_those_who_use_it(write: Any, root: Path, name: str) -> None:
    text, old, new = PURE[name]
    head, found, tail = text.rpartition(old)
    assert found
    assert not changes(write, root, text, head + new + tail, lib="def helper():\n    return 1\n")


@pytest.mark.parametrize(
    ("files", "edited"),
    [
        ({"plugins": "import registry\nregistry.T.append(1)\n"}, "plugins"),
        ({"plugins": "class A:\n    n = 1\n"}, "plugins"),
        ({"plugins": "import deep\n", "deep": "print(1)\n"}, "deep"),
        ({"plugins/__init__": "from plugins import a\n", "plugins/a": "print(1)\n"}, "plugins/a"),
    ],
)
def test_rule_36_an_import_that_no_one_names_counts_for_every_operation(
    write: Any, root: Path, files: dict[str, str], edited: str
) -> None:
    write("pipeline.py", "import plugins" + USES)
    for path, text in files.items():
        write(f"{path}.py", text)
    before = code_of(root)
    write(f"{edited}.py", files[edited].replace("1", "22"))
    assert code_of(root).digest != before.digest
    assert f"{edited}.py" in before.parts


def test_rule_36_a_module_that_others_name_counts_with_what_importing_it_does(write: Any, root: Path) -> None:
    write("pipeline.py", "import lib\n\ndef other():\n    return lib.a()\n" + USES)
    text = "import sys\nsys.setrecursionlimit(1000)\n\ndef a():\n    return 1\n"
    write("lib.py", text)
    before = code_of(root)
    assert set(before.parts) == {"pipeline.py:train", "lib.py:<module>", "lib.py:sys"}
    write("lib.py", text.replace("return 1", "return 2"))
    assert code_of(root) == before
    write("lib.py", text.replace("1000", "2000"))
    assert code_of(root).digest != before.digest


@pytest.mark.parametrize(
    "text",
    [
        'def fit():\n    """One."""\n\ndef train():\n    return fit.__doc__\n',
        '"""One."""\n\ndef train():\n    return __doc__\n',
        'import inspect\n\nclass A:\n    """One."""\n\ndef train():\n    return inspect.getdoc(A)\n',
        'from pydantic import BaseModel\n\nclass A(BaseModel):\n    """One."""\n\ndef train():\n    return A.model_json_schema()\n',
        'import dspy\n\nclass A(dspy.Signature):\n    """One."""\n\ndef train():\n    return A\n',
        'from tools import tool\n\n@tool\ndef look():\n    """One."""\n\ndef train():\n    return look\n',
        "import inspect\n\ndef fit():\n    return 1  # One\n\ndef train():\n    return inspect.getsource(fit)\n",
        'from describe import describe\n\ndef fit():\n    """One."""\n\ndef train():\n    return describe(fit)\n',
    ],
)
def test_rule_36_docstrings_count_where_somebody_may_read_them(write: Any, root: Path, text: str) -> None:
    write("describe.py", "def describe(f):\n    return f.__doc__\n")
    write("pipeline.py", text)
    before = code_of(root)
    write("pipeline.py", text.replace("One", "Two"))
    assert code_of(root).digest != before.digest


@pytest.mark.parametrize(
    "call",
    [
        'importlib.import_module("plug.a")',
        'importlib.import_module(".a", package="plug")',
        '__import__("plug.a")',
        'runpy.run_module("plug.a")',
        'runpy.run_path("plug/a.py")',
        'exec(open("plug/a.py").read())',
        'importlib.import_module(f"plug.{name}")',
        'importlib.import_module("plug." + name)',
        "importlib.import_module(NAME)",
        "load(NAME)",
        "[load(each) for each in NAMES]",
    ],
)
def test_rule_36_a_module_that_is_imported_by_a_name_in_the_text_is_followed(write: Any, root: Path, call: str) -> None:
    write("plug/__init__.py", "")
    write("plug/a.py", "X = 1\n")
    write(
        "pipeline.py",
        "import importlib\nimport runpy\nfrom importlib import import_module as load\n\nNAME = 'plug.a'\nNAMES = [NAME]\n\n"
        f'def train(name="a"):\n    return {call}\n',
    )
    before = code_of(root)
    assert "plug/a.py" in before.parts
    write("plug/a.py", "X = 22\n")
    assert code_of(root).digest != before.digest


def test_rule_36_a_package_that_imports_all_of_its_modules_by_name(write: Any, root: Path) -> None:
    write("plug/__init__.py", "import importlib\nALL = [importlib.import_module(f'{__name__}.{x}') for x in ['a']]\n")
    write("plug/a.py", "X = 1\n")
    write("pipeline.py", "import plug\n\ndef train():\n    return plug.ALL\n")
    before = code_of(root)
    write("plug/a.py", "X = 22\n")
    assert code_of(root).digest != before.digest


def test_rule_36_subclasses_are_looked_for_in_the_whole_file(write: Any, root: Path) -> None:
    text = (
        "class A:\n    pass\n\nclass B(A):\n    n = 1\n\ndef train():\n    return [c.n for c in A.__subclasses__()]\n"
    )
    write("pipeline.py", text)
    before = code_of(root)
    write("pipeline.py", text.replace("n = 1", "n = 2"))
    assert code_of(root).digest != before.digest


HOOKS = """
hooks = []

def add(x):
    return x + 1

hooks.append(add)

@operation
def one() -> int:
    return hooks[0](1)

@operation
def two() -> int:
    return 2

@pipeline
def flow():
    return one() + two() if False else one()
"""


def test_rule_36_an_edited_registration_runs_again(tmp_path: Path) -> None:
    project = Project(tmp_path / "project").write(HOOKS)
    assert project.run().outputs == {"return": 2}
    assert states(project.run()) == {"one": "cached"}
    project.write(HOOKS.replace("x + 1", "x + 100"))
    assert project.run().outputs == {"return": 101}
