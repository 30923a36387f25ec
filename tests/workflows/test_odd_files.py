"""Files that are none, links without end, folders without bottom, odd names: no project hangs or breaks on them."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jeyn.errors import DataInvalid, JeynError, NotFound, Unreachable, UsageError
from jeyn.settings import Settings
from jeyn.stores.sources.files import LocalRoot
from jeyn.stores.workspace import Workspace
from jeyn.workflows.code import listing
from jeyn.workflows.code.libraries import library_files
from jeyn.workflows.code.package import CodePackage, package_code
from tests.cli.conftest import call
from tests.test_regular import ODD, deep_folders, remove_deep
from tests.workflows.projects import Project, is_gone

FLOW = """
@operation
def one() -> int:
    return 1

@pipeline
def flow():
    return one()
"""
MAKERS: dict[str, Callable[[Path], object]] = {
    **{name: make for name, make in ODD.items() if name != "a folder"},
    "a loop": lambda path: path.symlink_to(path.name),
    "a link to nothing": lambda path: path.symlink_to("not-there"),
}


@pytest.fixture(params=["by git", "by suffix"])
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    folder = Project(tmp_path / "project").write(FLOW).folder
    if request.param == "by git":
        identity = ["-c", "user.name=ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false"]
        for arguments in (["init", "-q"], ["add", "pipeline.py", "jeyn.yaml"], ["commit", "-qm", "first"]):
            subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)
    return folder


def packed(folder: Path) -> CodePackage:
    return package_code(folder, kept=(folder / ".jeyn",))


def names(package: CodePackage) -> set[str]:
    return {path for path, _, _ in package.files}


def test_what_is_no_file_is_in_no_code_package(project: Path) -> None:
    for at, make in enumerate(MAKERS.values()):
        for suffix in ("py", "yaml", "json", "txt"):
            make(project / f"odd{at}.{suffix}")
    os.mkfifo(project / "pipe")
    (project / "to_pipe.yaml").symlink_to("pipe")
    (project / "a").symlink_to("b")
    (project / "b").symlink_to("a")
    assert names(packed(project)) == {"pipeline.py", "jeyn.yaml"}


def test_a_tracked_file_that_became_a_pipe_is_left_out(project: Path) -> None:
    (project / "pipeline.py").unlink()
    os.mkfifo(project / "pipeline.py")
    assert names(packed(project)) == {"jeyn.yaml"}


def test_folders_without_bottom_and_names_that_are_no_text_are_told(
    project: Path, caplog: pytest.LogCaptureFixture
) -> None:
    levels = deep_folders(project, 1200)
    odd = os.fsdecode(b"caf\xe9.py")
    (project / odd).write_text("")
    (project / "line\nbreak.py").write_text("")
    try:
        with caplog.at_level(logging.WARNING, "jeyn.code"):
            assert names(packed(project)) == {"pipeline.py", "jeyn.yaml", "line\nbreak.py"}
        (told,) = [each.getMessage() for each in caplog.records]
        assert told.startswith("2 file(s) are not in the code package") and "'caf\\udce9.py'" in told
        (project / ".jeynignore").write_text("d/\ncaf*\n")
        caplog.clear()
        assert "pipeline.py" in names(packed(project)) and not caplog.records
    finally:
        remove_deep(project, levels)


def test_a_library_beside_the_project_has_files_alone(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "good.py").write_text("")
    os.mkfifo(tmp_path / "lib" / "bad.py")
    levels = deep_folders(tmp_path / "lib", 1200)
    try:
        assert set(library_files({"lib": tmp_path / "lib"})) == {"lib/good.py"}
    finally:
        remove_deep(tmp_path / "lib", levels)


@pytest.mark.parametrize("what", ODD)
def test_a_list_of_what_to_ignore_is_a_file(project: Path, what: str) -> None:
    ODD[what](project / ".jeynignore")
    with pytest.raises(UsageError, match=rf'".jeynignore" cannot be read: it is {what}'):
        packed(project)
    assert JeynError.exit_code != UsageError.exit_code == 2


def test_a_list_of_what_to_ignore_is_text(project: Path) -> None:
    (project / ".jeynignore").write_bytes(b"\xff\xfe*\n")
    with pytest.raises(UsageError, match=r'".jeynignore" cannot be read'):
        packed(project)


def test_git_that_waits_for_ever_is_not_waited_for(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = project.parent / "bin"
    tools.mkdir()
    (tools / "git").write_text("#!/bin/sh\nexec sleep 100\n")
    (tools / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    monkeypatch.setattr(listing, "GIT_SECONDS", 0.2)
    with pytest.raises(Unreachable, match="git did not list"):
        packed(project)


@pytest.mark.parametrize("what", ODD)
def test_a_project_file_is_a_file(tmp_path: Path, what: str) -> None:
    ODD[what](tmp_path / "jeyn.yaml")
    with pytest.raises(UsageError, match=rf'"jeyn.yaml" cannot be read: it is {what}'):
        Settings.load(tmp_path)
    with pytest.raises((UsageError, OSError), match=what):
        Settings.load(tmp_path, is_checked=True)


# Through the command line.


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = Project(tmp_path / "project").write(FLOW).folder
    monkeypatch.chdir(folder)
    yield folder


@pytest.mark.parametrize("what", ODD)
@pytest.mark.parametrize(
    ("command", "name"),
    [
        (("run", "odd.py"), "odd.py"),
        (("plan", "odd.py"), "odd.py"),
        (("run", "odd.json"), "odd.json"),
        (("import", "odd.bundle"), "odd.bundle"),
        (("rescue", "odd.pickle"), "odd.pickle"),
        (("impact", "x", "--new-catalog", "odd.json"), "odd.json"),
    ],
)
def test_a_command_that_is_given_no_file_says_so(here: Path, what: str, command: tuple[str, ...], name: str) -> None:
    ODD[what](here / name)
    answer = call(*command, "--json")
    error = answer.document["error"]
    assert answer.code in (2, 3), error
    assert "defect" not in error["message"] + error["hint"] and name.partition(".")[0] in error["message"]


@pytest.mark.parametrize("command", [("doctor",), ("plan", "pipeline.py"), ("compile", "pipeline.py"), ("ls",)])
def test_a_project_full_of_odd_files_breaks_no_command(here: Path, command: tuple[str, ...]) -> None:
    for at, make in enumerate(MAKERS.values()):
        for suffix in ("py", "yaml", "csv"):
            make(here / f"odd{at}.{suffix}")
    (here / "a").symlink_to("b")
    (here / "b").symlink_to("a")
    (here / "me").symlink_to(".")
    (here / os.fsdecode(b"caf\xe9.csv")).write_text("x\n")
    answer = call(*command, "--json")
    assert answer.code == 0 or command == ("doctor",), answer.document
    assert "defect" not in str(answer.document)


@pytest.mark.parametrize("name", ["JEYN_HOME", "JEYN_DATA", "JEYN_DATA_LINKS"])
def test_a_place_that_is_a_loop_is_no_defect(here: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    (here / "loop").symlink_to("loop")
    monkeypatch.setenv(name, "loop")
    for command in (("ls",), ("plan", "pipeline.py"), ("doctor",)):
        assert "defect" not in str(call(*command, "--json").document)


def test_a_pipe_in_a_project_holds_up_no_run_and_it_ends_when_told_to(tmp_path: Path) -> None:
    project = Project(tmp_path / "project").write(
        FLOW.replace("return 1", 'Path("begun").touch()\n    time.sleep(60)\n    return 1')
    )
    for name in ("helper.py", "labels.yaml", "notes.json", ".env", "pyproject.toml"):
        os.mkfifo(project.folder / name)
    process = project.start("run", "pipeline.py")
    try:
        project.wait_for("begun", 60)
        process.send_signal(signal.SIGTERM)
        begun = time.monotonic()
        process.communicate(timeout=60)
        assert time.monotonic() - begun < 30 and is_gone(process.pid)
        assert process.returncode not in (0, None)
    finally:
        process.kill()
        process.wait(10)


# Data, and what operations return.


def test_only_files_are_data(tmp_path: Path) -> None:
    (tmp_path / "good.csv").write_text("x\n1\n")
    for name, make in MAKERS.items():
        make(tmp_path / f"{name}.csv")
    (tmp_path / "me").symlink_to(".")
    root = LocalRoot(tmp_path)
    assert [each.path for each in root.list("**/*.csv")] == ["good.csv"]
    told = str(root.unfollowed("*.csv"))
    assert "leads" in told or "lead to what is not there" in told


def test_a_data_root_without_bottom_is_an_error_that_says_where(tmp_path: Path) -> None:
    levels = deep_folders(tmp_path, 1200)
    try:
        with pytest.raises(DataInvalid, match="is in more than 100 folders"):
            LocalRoot(tmp_path).list("**/*.csv")
    finally:
        remove_deep(tmp_path, levels)


def test_a_pipe_that_is_returned_or_given_is_refused(tmp_path: Path) -> None:
    project = Project(tmp_path / "project").write(
        """
@operation
def returns() -> Path:
    place = jeyn.context().scratch / "pipe"
    os.mkfifo(place)
    return place

@operation
def takes(file: jeyn.File) -> int:
    return 1

@pipeline
def returning():
    return returns()

@pipeline
def taking():
    return takes(jeyn.File("pipe.csv"))
"""
    )
    os.mkfifo(project.folder / "pipe.csv")
    with pytest.raises(NotFound, match="is not a file that can be stored"):
        project.run("returning").check()
    with pytest.raises((UsageError, NotFound), match=r"pipe\.csv"):
        project.run("taking").check()


def test_a_pipe_is_no_model_and_no_payload(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with Workspace.open(tmp_path, home=tmp_path / "home") as workspace:
        refused: Any = pytest.raises((UsageError, NotFound), match="pipe")
        with refused:
            workspace.keep(tmp_path / "pipe", "pipe")
        with pytest.raises(UsageError, match="it is a named pipe"):
            workspace.import_bundle(tmp_path / "pipe")
