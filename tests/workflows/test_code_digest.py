"""What changes an operation's code digest, and what does not."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import time
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest

from jeyn.errors import UsageError
from jeyn.sdk.plan import FunctionCode
from jeyn.workflows.code.digest import function_code

PIPELINE = '''"""A pipeline."""
import numpy as np
from jeyn import operation
from lib.models import Model

RATE = 0.1
LIMITS = {"low": 1}


class Settings:
    depth = 3


def other():
    return 1


def inner(x):
    return x * RATE


def fit(x):
    """Fits."""
    return inner(x) + Settings.depth


@operation(retries=2)
def train(x: int, strength: float = 1.0) -> "Scores":
    from lib import late
    return fit(x) + np.float64(strength) + late.value + Model().size


class Scores:
    kind = "scores"


def unrelated():
    return other()
'''


def code_of(root: Path, name: str = "train", module: str = "pipeline", uses: tuple[str, ...] = ()) -> FunctionCode:
    """The code of a function in a file, without importing the file."""
    tree = ast.parse("def stand_in(): pass")
    namespace: dict[str, Any] = {}
    exec(compile(tree, str(root / f"{module.replace('.', '/')}.py"), "exec"), namespace)
    function: FunctionType = namespace["stand_in"]
    function.__name__ = function.__qualname__ = name
    function.__module__ = f"not_imported.{module}"
    return function_code(function, root=root, uses=uses)


@pytest.fixture
def project(write: Any, root: Path) -> Path:
    write("pipeline.py", PIPELINE)
    write("lib/__init__.py", "")
    write("lib/models.py", "from .shapes import SIZE\n\nclass Model:\n    size = SIZE\n")
    write("lib/shapes.py", "SIZE = 4\n")
    write("lib/late.py", "value = 1\n")
    write("lib/unused.py", "value = 1\n")
    return root


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    os.utime(path, ns=(time.time_ns(), time.time_ns() + 1))


def test_rule_18_parts_are_named_for_people(project: Path) -> None:
    code = code_of(project)
    assert {"pipeline.py:train", "pipeline.py:fit", "pipeline.py:inner", "pipeline.py:RATE"} <= set(code.parts)
    assert {"pipeline.py:Settings", "pipeline.py:Scores", "lib/models.py", "lib/shapes.py", "lib/late.py"} <= set(
        code.parts
    )
    assert not {"pipeline.py", "pipeline.py:other", "pipeline.py:unrelated", "lib/unused.py"} & set(code.parts)
    assert set(code.distributions) == {"numpy"}


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("pipeline.py", "return x * RATE", "return x / RATE"),
        ("pipeline.py", "RATE = 0.1", "RATE = 0.2"),
        ("pipeline.py", "depth = 3", "depth = 4"),
        ("pipeline.py", "strength: float = 1.0", "strength: float = 2.0"),
        ("pipeline.py", "x: int,", "x: float,"),
        ("pipeline.py", 'kind = "scores"', 'kind = "other"'),
        ("pipeline.py", "import numpy as np", "import math as np"),
        ("pipeline.py", "from lib.models import Model", "from lib.models import SIZE as Model"),
        ("pipeline.py", "class Settings:", 'RATE += 1\nif LIMITS["low"]:\n    RATE = 7\n\nclass Settings:'),
        ("lib/models.py", "size = SIZE", "size = SIZE + 1"),
        ("lib/shapes.py", "SIZE = 4", "SIZE = 5"),
        ("lib/late.py", "value = 1", "value = 2"),
        ("lib/__init__.py", "", "x = 1\n"),
    ],
)
def test_rule_18_what_the_function_uses_changes_its_digest(project: Path, file: str, old: str, new: str) -> None:
    before = code_of(project)
    edit(project / file, old, new)
    assert code_of(project).digest != before.digest


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("pipeline.py", "def other():", "def renamed():"),
        ("pipeline.py", "return 1\n", "return 2  # else\n"),
        ("pipeline.py", "RATE = 0.1", "# why\n\n\nRATE = (\n    0.1\n)"),
        ("pipeline.py", '"""Fits."""', '"""Fits quickly."""'),
        ("pipeline.py", "retries=2", "retries=3, timeout=10"),
        ("pipeline.py", "import numpy as np\n", "import numpy as np, math\n"),
        ("pipeline.py", '"low": 1', '"low": 2'),
        ("pipeline.py", "def unrelated():", 'if __name__ == "__main__":\n    train(1)\n\ndef unrelated():'),
        ("lib/models.py", "class Model:", "# a comment\nclass Model:"),
        ("lib/unused.py", "value = 1", "value = 2"),
    ],
)
def test_rule_18_nothing_else_changes_it(project: Path, file: str, old: str, new: str) -> None:
    before = code_of(project)
    edit(project / file, old, new)
    assert code_of(project) == before


def test_rule_18_moving_functions_around_changes_nothing(project: Path) -> None:
    before = code_of(project)
    first, second = PIPELINE.index("def inner"), PIPELINE.index("def fit")
    moved = PIPELINE[:first] + PIPELINE[second:] + "\n\n" + PIPELINE[first:second]
    (project / "pipeline.py").write_text(moved)
    assert code_of(project).parts == before.parts


@pytest.mark.parametrize(
    "text",
    [
        "from lib.shapes import *\n\ndef train():\n    return SIZE\n",
        "globals()['RATE'] = 1\n\ndef train():\n    return RATE\n",
        "exec('RATE = 1')\n\ndef train():\n    return RATE\n",
        "def train():\n    return nowhere\n",
        "TABLE = {}\n\ndef register(f):\n    TABLE[f.__name__] = f\n    return f\n\ndef train():\n    return TABLE\n",
        "COUNT = 0\n\ndef up():\n    global COUNT\n    COUNT += 1\n\ndef train():\n    return COUNT\n",
        "def train(:\n",
    ],
)
def test_rule_18_what_cannot_be_resolved_is_the_whole_file(project: Path, write: Any, text: str) -> None:
    write("pipeline.py", text)
    before = code_of(project)
    assert "pipeline.py" in before.parts
    write("pipeline.py", text + "\nADDED = 1\n")
    assert code_of(project).digest != before.digest


def test_rule_18_two_functions_of_one_whole_file_differ(project: Path, write: Any) -> None:
    write("pipeline.py", "from lib.shapes import *\n\ndef train():\n    return SIZE\n\ndef test():\n    return WIDTH\n")
    one, other = code_of(project), code_of(project, "test")
    assert one.parts == other.parts
    assert one.digest != other.digest


def test_rule_18_a_name_bound_in_branches_counts_with_all_of_them(project: Path, write: Any) -> None:
    text = "try:\n    import fast\nexcept ImportError:\n    fast = None\n\nX = 1\n\ndef train():\n    return fast\n"
    write("pipeline.py", text)
    before = code_of(project)
    write("pipeline.py", text.replace("fast = None", "fast = 1"))
    assert code_of(project).digest != before.digest
    write("pipeline.py", text.replace("X = 1", "X = 22"))
    assert code_of(project) == before


def test_rule_18_uses_declares_what_is_imported_by_name(project: Path, write: Any) -> None:
    plain = code_of(project)
    write("rules.txt", "a")
    declared = code_of(project, uses=("lib.unused", "rules.txt"))
    assert {"lib/unused.py", "rules.txt"} == set(declared.parts) - set(plain.parts)
    edit(project / "rules.txt", "a", "b")
    assert code_of(project, uses=("lib.unused", "rules.txt")).digest != declared.digest


@pytest.mark.parametrize("missing", ["lib/nowhere.py", "nowhere_at_all", "../outside.py"])
def test_uses_of_what_is_not_there_is_an_error(project: Path, missing: str) -> None:
    with pytest.raises(UsageError, match=missing):
        code_of(project, uses=(missing,))


def test_relative_imports_and_packages_count(project: Path, write: Any) -> None:
    write("steps/__init__.py", "SHARED = 1\n")
    write(
        "steps/load.py",
        "from . import tools\nfrom ..lib import late\n\ndef train():\n    return tools.x + late.value\n",
    )
    write("steps/tools.py", "x = 1\n")
    write("__init__.py", "")
    assert {"steps/__init__.py", "steps/tools.py", "lib/late.py"} <= set(code_of(project, module="steps.load").parts)


def test_a_circle_of_imports_ends(project: Path, write: Any) -> None:
    write("a.py", "import b\n\ndef train():\n    return b.y\n")
    write("b.py", "import a\ny = 1\n")
    assert set(code_of(project, module="a").parts) == {"a.py"} | {"b.py"}


def test_nothing_is_imported_or_run(project: Path, write: Any) -> None:
    write("lib/models.py", "raise SystemExit('imported')\n")
    assert "lib/models.py" in code_of(project).parts
    assert "lib.models" not in sys.modules


def test_a_notebooks_source_stands_for_a_file(root: Path) -> None:
    source = "K = 2\n\ndef train(x):\n    return x * K\n"  # such a module is made for one operation
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec(source, namespace)
    before = function_code(namespace["train"], root=root, source=source)
    assert set(before.parts) == {"notebook:train", "notebook:K"}
    assert function_code(namespace["train"], root=root, source=source + "\n\n# a comment\n") == before
    assert function_code(namespace["train"], root=root, source=source.replace("K = 2", "K = 3")) != before


def test_the_digest_is_the_same_in_a_fresh_process(project: Path) -> None:
    script = (
        "import sys; from pathlib import Path; sys.path.insert(0, '.')\n"
        "from jeyn.workflows.code.digest import _Trace\n"
        "trace = _Trace(Path.cwd(), 'train'); trace.add_function(Path.cwd() / 'pipeline.py', 'pipeline', 'train')\n"
        "print(trace.result().digest)"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", script],
            cwd=project,
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert found == {code_of(project).digest}


def test_it_is_quick(project: Path, own_heap: None) -> None:
    code_of(project)
    began = time.perf_counter()
    for _ in range(200):
        code_of(project)
    assert time.perf_counter() - began < 1.0


CHECKED = """
import typing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lib.shapes import SIZE
if not typing.TYPE_CHECKING:
    from lib.late import value
else:
    value = 0


def train(x: "SIZE") -> "SIZE":
    if TYPE_CHECKING:
        import lib.models
    return value


class Unused:
    if typing.TYPE_CHECKING:
        import lib.models
"""


def test_rule_18_what_only_type_checkers_import_is_no_code(project: Path, write: Any) -> None:
    write("pipeline.py", CHECKED)
    before = code_of(project)
    assert {"pipeline.py:train", "lib/late.py"} <= set(before.parts)
    assert not {"pipeline.py", "lib/shapes.py", "lib/models.py"} & set(before.parts)
    edit(project / "lib/shapes.py", "SIZE = 4", "SIZE = 5")
    edit(project / "lib/models.py", "size = SIZE", "size = SIZE + 1")
    assert code_of(project).digest == before.digest
    edit(project / "lib/late.py", "value = 1", "value = 2")
    assert code_of(project).digest != before.digest
