"""What Jeyn writes is its user's alone, or with `shared: group` the group's too, whatever the umask."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from jeyn import Workspace
from tests.stores.digits import a_batch, a_checkpoint
from tests.workflows.projects import Project

PIPELINE = '''
import stat


@operation(cache=False)
def look(home: str) -> list[str]:
    """The modes of all that is there while an operation runs, whose own umask is no secret to Jeyn."""
    os.umask({umask})
    print("seen", flush=True)
    time.sleep(0.2)
    found = []
    for path in (Path(home), *Path(home).rglob("*")):
        try:
            found.append(f"{{stat.S_IMODE(path.stat().st_mode):o}} {{path}}")
        except FileNotFoundError:
            pass  # another operation's file is written beside it
    return found


@operation(cache=False)
def report() -> Path:
    os.umask({umask})
    path = jeyn.context().scratch / "report.txt"
    path.write_text("much\\n" * 10_000)
    return path


@operation(cache=False)
def large() -> bytes:
    os.umask({umask})
    return b"x" * 200_000


@pipeline
def looking(home: str):
    return look(home), report(), large()
'''


@pytest.fixture(params=[0o000, 0o077], ids=["umask 0", "umask 077"])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield int(request.param)
    os.umask(before)


def modes(folder: Path) -> dict[Path, int]:
    """By path; links have none of their own."""
    return {path: path.stat().st_mode for path in (folder, *folder.rglob("*")) if not path.is_symlink()}


def everything(project: Project, umask: int) -> list[str]:
    """Write into a home all that Jeyn writes there; the modes that an operation saw in between."""
    home = project.workspace.settings.home
    project.write(PIPELINE.format(umask=umask))
    with project.workspace as workspace:
        run = project.run("looking", arguments={"home": str(home)}, isolated=True)
        assert run.state == "succeeded", run.error
        checkpoint = a_checkpoint(workspace, dataset=a_batch(workspace))
        workspace.export_bundle(checkpoint, home / "exports" / "out.bundle")
        workspace.stat_cache.put("/", "x", 1, "1", "sha256:" + "0" * 64)
        found: list[str] = run.outputs[0] if isinstance(run.outputs, list | tuple) else next(iter(run.outputs.values()))
    return found


def test_what_jeyn_writes_is_its_users_alone(tmp_path: Path, umask: int) -> None:
    project = Project(tmp_path / "project")
    seen = everything(project, umask)
    home = project.workspace.settings.home
    found = modes(home)
    assert {mode & 0o7777 for path, mode in found.items() if path.is_dir()} == {0o700}
    wrong = {str(path): oct(mode) for path, mode in found.items() if mode & 0o077 and not _is_users(path)}
    assert wrong == {}
    assert any("-wal" in line for line in seen) and any("spool" in line for line in seen)
    assert [line for line in seen if int(line.split()[0], 8) & 0o077 and not _is_users(Path(line))] == []


def test_a_shared_home_is_the_groups_too(tmp_path: Path, umask: int) -> None:
    project = Project(tmp_path / "project")
    (project.folder / "jeyn.yaml").write_text("name: tried\nshared: group\n")
    project.workspace = Workspace.open(project.folder)
    seen = everything(project, umask)
    found = modes(project.workspace.settings.home)
    folders = {str(path): oct(mode) for path, mode in found.items() if path.is_dir() and mode & 0o7777 != 0o2770}
    assert folders == {}
    for path, mode in found.items():
        if not path.is_dir() and not _is_users(path):
            assert mode & 0o040, f"{path} {oct(mode)}"
            assert mode & 0o007 == 0, f"{path} {oct(mode)}"
            is_sealed = "payloads/sha256" in str(path) or path.name == "identity"
            assert is_sealed or mode & 0o060 == 0o060, f"{path} {oct(mode)}"
    shown = {Path(line.split()[1]).name: int(line.split()[0], 8) for line in seen}
    assert shown["catalog.db-wal"] == shown["catalog.db-shm"] == 0o660


def test_a_member_of_the_group_without_the_setting_writes_for_the_group(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    home.chmod(0o2770)
    with Workspace.open(tmp_path, home=home) as workspace:
        a_checkpoint(workspace)
        assert (home / "catalog.db").stat().st_mode & 0o777 == 0o660
        assert (home / "payloads").stat().st_mode & 0o7777 == 0o2770


def test_a_home_that_was_its_users_becomes_the_groups(tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    with project.workspace as workspace:
        a_checkpoint(workspace)
    (project.folder / "jeyn.yaml").write_text("name: tried\nshared: group\n")
    with Workspace.open(project.folder) as workspace:
        workspace.reader.names()
    found = modes(project.workspace.settings.home)
    assert {mode & 0o7777 for path, mode in found.items() if path.is_dir()} == {0o2770}
    assert all(mode & 0o040 and not mode & 0o007 for mode in found.values())


def test_an_export_is_its_users_alone_and_its_folder_stays_as_it_was(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir(0o755)
    out.chmod(0o755)
    with Workspace.open(tmp_path, home=tmp_path / "home") as workspace:
        workspace.export_bundle(a_checkpoint(workspace), out / "a.bundle")
    assert (out / "a.bundle").stat().st_mode & 0o777 == 0o600
    assert out.stat().st_mode & 0o777 == 0o755


def _is_users(path: Path) -> bool:
    """What an operation itself writes below its scratch folder."""
    return "scratch" in str(path)
