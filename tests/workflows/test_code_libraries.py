# ruff: noqa: E501 - programs as text
"""Libraries beside the project, on PYTHONPATH or editable: an edit is seen, and their code is in the code package."""

from __future__ import annotations

import importlib.machinery
import sys
from pathlib import Path
from typing import Any

import pytest

from jeyn.errors import Incompatible
from jeyn.stores.code import code_payload
from jeyn.workflows.checks.plan import check_for_argo
from jeyn.workflows.code.archive import unpack_code
from jeyn.workflows.code.local import library_folder
from jeyn.workflows.planning import make_plan, raise_problems
from tests.workflows.projects import ROOT, Project, forget, states

FLOW = """
{head}
from shared.rates import rate

@operation
def one() -> int:
    return rate()

@operation
def two() -> int:
    return 2

@pipeline
def flow():
    return {{"one": one(), "two": two()}}
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project").write(FLOW.format(head=""))


@pytest.fixture
def libs(tmp_path: Path) -> Path:
    """A folder beside the project with a library of two modules."""
    folder = tmp_path / "libs"
    (folder / "shared").mkdir(parents=True)
    (folder / "shared" / "__init__.py").write_text("")
    (folder / "shared" / "rates.py").write_text("from shared.deep import X\n\ndef rate():\n    return X\n")
    (folder / "shared" / "deep.py").write_text("X = 1\n")
    return folder


def edit(libs: Path, number: int) -> None:
    (libs / "shared" / "deep.py").write_text(f"X = {number}{' ' * number}\n")


def run(project: Project, *options: str, **environment: str) -> dict[str, str]:
    process = project.start("run", "pipeline.py", *options, **environment)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return states(project.last())


EDITABLE = """
import importlib.util
import sys

class Finder:
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name == "shared":
            where = [{place!r}]
            return importlib.util.spec_from_file_location(name, {place!r} + "/__init__.py", submodule_search_locations=where)

sys.meta_path.append(Finder)
"""


@pytest.mark.parametrize("way", ["PYTHONPATH", "editable finder", "path of the file"])
def test_rule_36_an_edit_of_a_library_beside_the_project_is_seen(
    project: Project, libs: Path, tmp_path: Path, way: str
) -> None:
    environment = {"PYTHONPATH": f"{ROOT}:{libs}"}
    if way == "editable finder":  # as setuptools installs one
        (tmp_path / "start").mkdir()
        (tmp_path / "start" / "sitecustomize.py").write_text(EDITABLE.format(place=str(libs / "shared")))
        environment = {"PYTHONPATH": f"{ROOT}:{tmp_path / 'start'}"}
    elif way == "path of the file":
        project.write(FLOW.format(head='sys.path.insert(0, "../libs")'))
        environment = {"PYTHONPATH": str(ROOT)}
    assert run(project, **environment) == {"one": "succeeded", "two": "succeeded"}
    assert run(project, **environment) == {"one": "cached", "two": "cached"}
    edit(libs, 2)

    assert run(project, **environment)["one"] == "succeeded"
    assert project.last().outputs == {"one": 2, "two": 2}
    assert run(project, **environment) == {"one": "cached", "two": "cached"}


def test_rule_36_packages_without_init_may_lie_in_several_folders(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        (tmp_path / name / "company" / name).mkdir(parents=True)
        (tmp_path / name / "company" / name / "__init__.py").write_text("from .deep import X\n")
        (tmp_path / name / "company" / name / "deep.py").write_text("X = 1\n")
        monkeypatch.syspath_prepend(str(tmp_path / name))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'a'}:{tmp_path / 'b'}")
    project.write("Y = 1\n", "company/own/y.py")
    project.write(
        "import company.a\nfrom company.b import X as B\nfrom company.own.y import Y\n\n"
        "@operation\ndef one() -> list:\n    return [company.a.X, B, Y]\n\n@pipeline\ndef flow():\n    return one()\n"
    )

    def run(**options: Any) -> Any:
        for folder in (tmp_path / "a", tmp_path / "b"):
            forget(folder)
        sys.modules.pop("company", None)
        return project.run(**options).check()

    assert run().outputs["return"] == [1, 1, 1]
    for name, expected in (("a", [2, 1, 1]), ("b", [2, 2, 1])):
        (tmp_path / name / "company" / name / "deep.py").write_text("X = 2  \n")
        assert run().outputs["return"] == expected
    project.write("Y = 2  \n", "company/own/y.py")
    assert run().outputs["return"] == [2, 2, 2]
    assert states(run()) == {"one": "cached"}
    code = run(isolated=True, cache=False).row.code
    digest, package = code_payload(project.workspace, code)
    folder = unpack_code(package, digest, tmp_path / "unpacked")
    names = {each.relative_to(folder).as_posix() for each in folder.rglob("*.py")}
    assert {"company/a/deep.py", "company/b/deep.py", "company/own/y.py"} <= names


def test_rule_36_the_code_package_holds_it_where_it_is_imported_from(
    project: Project, libs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(libs))
    (libs / "shared" / "table.json").write_text("{}")
    (libs / "shared" / "__pycache__").mkdir(exist_ok=True)
    (libs / "other.py").write_text("")
    with project.imported() as flow:
        planned = make_plan(flow, {}, root=project.folder, workspace=project.workspace)
    forget(libs)
    from jeyn.workflows.create import packaged

    names = {path for path, _, _ in packaged(project.workspace.settings, planned).files}
    assert {"shared/__init__.py", "shared/rates.py", "shared/deep.py", "shared/table.json", "pipeline.py"} <= names
    assert not any("other" in each or "__pycache__" in each for each in names)
    # Alone from the package, as a pod runs it: the library's own folder is gone.
    code = project.run(isolated=True).check().row.code
    libs.rename(libs.with_name("away"))
    sys.path.remove(str(libs))
    forget(libs)
    monkeypatch.syspath_prepend(str(libs.with_name("away")))
    assert project.run(isolated=True, cache=False).check().row.code == code


def test_a_library_with_compiled_parts_is_refused_on_argo(
    project: Project, libs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(libs))
    (libs / "shared" / f"fast{importlib.machinery.EXTENSION_SUFFIXES[0]}").write_bytes(b"\x7fELF")
    with project.imported() as flow:
        plan = make_plan(flow, {}, root=project.folder, workspace=project.workspace).plan
    forget(libs)
    problems = [each for each in check_for_argo(plan, project.workspace) if "shared" in each.message]
    assert [each.error for each in problems] == ["Incompatible"] and "fast" in problems[0].message
    from dataclasses import replace

    with pytest.raises(Incompatible, match="compiled parts"):
        raise_problems(replace(plan, problems=tuple(problems)))


def test_what_is_installed_or_of_the_project_is_no_library_beside_it(tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "mine.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert library_folder("mine", tmp_path) is None
    assert library_folder("mine", tmp_path / "project") == tmp_path
    assert [library_folder(each, tmp_path) for each in ("numpy", "json", "sys", "jeyn", "nowhere_at_all")] == [None] * 5
