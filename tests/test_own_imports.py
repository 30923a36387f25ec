# ruff: noqa: E501 - programs as text
"""A file of the project that is named like a module of Python's own or of a library is run by the project alone."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from pathlib import Path

import pytest

from jeyn.own_imports import LIBRARIES, same_named
from tests.workflows.projects import ROOT, Project, states

NAMES = [
    *("copy", "queue", "random", "logging", "types", "json", "signal", "select", "gc", "uuid", "typing", "dataclasses"),
    *(
        "numpy",
        "yaml",
        "click",
        "rich",
        "sqlalchemy",
        "pyarrow",
        "pandas",
        "pydantic",
        "secrets",
        "tarfile",
        "statistics",
    ),
]
TRAP = 'open(__import__("os").path.join(__import__("os").path.dirname(__file__), "ran"), "a").write(__name__ + "\\n")\nVALUE = 7\n'
FLOW = """
{head}

@operation
def one() -> float:
    import numpy
    return float(numpy.mean([1, 3]))

@operation
def two(x: float) -> dict:
    return {{"x": x}}

@pipeline
def flow():
    return two(one())

if __name__ == "__main__":
    print(flow.run(workspace=None).outputs)
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path / "project").write(FLOW.format(head=""))
    for name in NAMES:
        if name != "numpy":  # the operation itself imports it, and gets the project's own
            project.write(TRAP, f"{name}.py")
    return project


def run(project: Project, *command: str) -> str:
    process = subprocess.run(
        [sys.executable, *command],
        cwd=project.folder,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert process.returncode == 0, process.stderr + process.stdout
    return process.stdout + process.stderr


@pytest.mark.parametrize(
    "command",
    [
        ("-c", "import sys; sys.path.pop(0); from jeyn.cli.__main__ import main; main()", "run", "pipeline.py"),
        ("-m", "jeyn.cli", "run", "pipeline.py"),
        ("-m", "jeyn.cli", "run", "pipeline.py", "--isolated"),
    ],
    ids=["jeyn", "python -m", "isolated"],
)
def test_engine_and_workers_run_none_of_them(project: Project, command: tuple[str, ...]) -> None:
    if "-m" in command:  # Python itself imports these before it looks at the module that it was asked for
        for name in ("types", "signal", "gc"):
            (project.folder / f"{name}.py").unlink()
    run(project, *command)
    assert states(project.last()) == {"one": "succeeded", "two": "succeeded"}
    assert project.touched("ran") == []


def test_a_script_of_the_project_runs_none_of_them(project: Project) -> None:
    for name in ("types", "typing"):  # imported by Python before the first line of a script on some versions
        (project.folder / f"{name}.py").unlink()
    text = (project.folder / "pipeline.py").read_text().replace("import os\nimport sys\nimport time\n", "")
    text = text.replace("from pathlib import Path\n", "").replace(".run(workspace=None)", ".run()")
    (project.folder / "pipeline.py").write_text(text)
    assert "{'return': {'x': 2.0}}" in run(project, "pipeline.py")
    assert project.touched("ran") == []


def test_the_projects_own_files_get_theirs_and_libraries_get_theirs(tmp_path: Path) -> None:
    head = "import queue\nfrom copy import VALUE as V\nimport concurrent.futures\n"
    text = FLOW.format(head=head).replace("float(numpy.mean([1, 3]))", "float(queue.VALUE + V + numpy.VALUE)")
    project = Project(tmp_path / "project").write(text)
    for name in ("queue", "copy", "numpy"):
        project.write("VALUE = 7\n", f"{name}.py")
    assert project.jeyn("run", "pipeline.py")[0] == 0
    assert project.last().outputs == {"return": {"x": 21.0}}
    assert project.jeyn("run", "pipeline.py")[0] == 0
    assert states(project.last()) == {"one": "cached", "two": "cached"}
    project.write("VALUE = 8 \n", "queue.py")
    assert project.jeyn("run", "pipeline.py")[0] == 0
    assert project.last().outputs == {"return": {"x": 22.0}}


def test_an_operation_in_such_a_file_runs(tmp_path: Path) -> None:
    project = Project(tmp_path / "project").write("from queue import one\n\n@pipeline\ndef flow():\n    return one()\n")
    project.write("from jeyn import operation\n\n@operation\ndef one() -> int:\n    return 5\n", "queue.py")
    code, said = project.jeyn("run", "pipeline.py")
    assert code == 0, said
    assert project.last().outputs == {"return": 5}


def test_the_plan_names_them(project: Project) -> None:
    said = run(
        project, "-c", "import sys; sys.path.pop(0); from jeyn.cli.__main__ import main; main()", "plan", "pipeline.py"
    )
    assert 'warning: "queue.py" has the name of' in said and '"yaml.py"' in said and '"pipeline.py" has' not in said


@pytest.mark.parametrize("name", ["jeyn.py", "jeyn/__init__.py"])
def test_the_plan_names_what_hides_jeyn(tmp_path: Path, name: str) -> None:
    project = Project(tmp_path / "project").write(FLOW.format(head="")).write("", name)
    command = "import sys; sys.path.pop(0); from jeyn.cli.__main__ import main; main()"
    assert f'warning: "{name}" has the name of Jeyn itself' in run(project, "-c", command, "plan", "pipeline.py")
    run(project, "-c", command, "run", "pipeline.py")


def test_only_files_that_hide_another_module_are_named(tmp_path: Path) -> None:
    for name in ("queue.py", "utils.py", "numpy/__init__.py", "yaml/data.txt", "tests/__init__.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    assert same_named(str(tmp_path)) == {
        "numpy": str(tmp_path / "numpy" / "__init__.py"),
        "queue": str(tmp_path / "queue.py"),
    }
    assert same_named(str(tmp_path / "nowhere")) == {}


def test_every_dependency_of_jeyn_is_known() -> None:
    import re

    seen: set[str] = set()

    def add(name: str, *, is_jeyn: bool = False) -> None:
        try:
            found = distribution(name)
        except PackageNotFoundError:
            return
        if found.metadata["Name"].lower() in seen:
            return
        seen.add(found.metadata["Name"].lower())
        for required in found.requires or []:
            match = re.match(r"[\w.-]+", required)
            if match and (is_jeyn or "extra ==" not in required):
                add(match[0])

    add("jeyn", is_jeyn=True)
    tops = {top for top, names in packages_distributions().items() if any(each.lower() in seen for each in names)}
    named = {each for each in tops if each.isidentifier() and not each.startswith("_")}
    assert named - {"jeyn", "nvidia", "cuda", "mpmath", "isympy"} <= LIBRARIES | {"mpmath"}
