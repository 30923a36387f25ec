"""`isolated=True`: the code comes from the run's package, whatever becomes of the working tree."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.workflows.projects import Project, outputs

FLOW = """
import beside
from lib.names import NAME

@operation
def where() -> list:
    return [str(Path(__file__).parent), str(Path(beside.__file__).parent), os.getcwd(), sys.path[0], beside.VALUE, NAME]

@operation
def wait(number: int) -> str:
    Path(TOLD).touch()
    while not Path(TOLD + "-deleted").exists():
        time.sleep(0.02)
    from lib import late
    return late.TEXT

@operation
def number() -> int:
    return 4

@pipeline
def flow():
    return where()

@pipeline
def deleted():
    return wait(number())
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path / "project")
    project.write("VALUE = 7\n", "beside.py").write("", "lib/__init__.py").write("NAME = 'lib'\n", "lib/names.py")
    return project.write("TEXT = 'late'\n", "lib/late.py").write(f"TOLD = {str(tmp_path / 'told')!r}\n{FLOW}")


def test_rule_22_an_isolated_run_imports_from_the_code_package(project: Project) -> None:
    (project.folder / "notes.txt").write_text("no code")
    run = project.run("flow", isolated=True, workers=1).check()
    places, (value, name) = run.outputs["return"][:4], run.outputs["return"][4:]
    assert (value, name) == (7, "lib")
    assert len(set(places)) == 1
    package = Path(places[0])
    assert package.is_relative_to(project.folder / ".jeyn" / "code")
    assert (package / "lib" / "late.py").read_text() == "TEXT = 'late'\n"
    assert not (package / ".jeyn").exists()
    plain = project.run("flow", cache=False).check()
    assert set(plain.outputs["return"][:4]) == {str(project.folder)}
    assert set(outputs(run)["where"]) == {"return"}


def test_rule_22_an_isolated_run_does_not_need_the_working_tree(project: Project, tmp_path: Path) -> None:
    process = project.start("run", "pipeline.py:deleted", "--isolated", "--workers", "1", "--json")
    project.wait_for("../told")
    for name in ("pipeline.py", "beside.py", "lib/names.py", "lib/late.py", "lib/__init__.py"):
        (project.folder / name).unlink()
    (tmp_path / "told-deleted").touch()
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert '"late"' in out or "'late'" in out


@pytest.mark.parametrize("change", ["edited", "added", "compiled", "removed", "linked"])
def test_an_unpacked_package_that_was_changed_is_unpacked_anew(project: Project, change: str) -> None:
    first = project.run("flow", isolated=True, workers=1).check()
    package = Path(first.outputs["return"][0])
    match change:
        case "edited":
            (package / "beside.py").write_text("VALUE = 6\n")
        case "added":
            (package / "numpy.py").write_text("raise SystemError\n")
        case "compiled":
            (package / "__pycache__").mkdir(exist_ok=True)
            (package / "__pycache__" / "beside.cpython-311.pyc").write_bytes(b"anything")
        case "removed":
            (package / "lib" / "names.py").unlink()
        case "linked":
            (package / "beside.py").unlink()
            (package / "beside.py").symlink_to("lib/names.py")
    second = project.run("flow", isolated=True, cache=False, workers=1).check()
    assert second.outputs["return"] == first.outputs["return"]
    assert not list(package.parent.glob(".*")), "nothing is left behind"
    assert not (package / "numpy.py").exists()
