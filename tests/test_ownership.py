"""Projects and files of somebody else decide nothing, unless one said that they may."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from jeyn.errors import NotAllowed
from jeyn.ownership import VARIABLE
from jeyn.settings import Settings, project_root

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only the superuser can give files away")
STRANGER = 12345
ROOT = Path(__file__).parents[1]
PIPELINE = (
    "import jeyn\n@jeyn.operation\ndef one() -> int:\n    return 1\n@jeyn.pipeline\ndef flow():\n    return one()\n"
)


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A folder that everybody may write to, with one's own project below it."""
    (tmp_path / "mine").mkdir()
    tmp_path.chmod(0o1777)
    (tmp_path / "mine" / "flow.py").write_text(PIPELINE)
    return tmp_path


@pytest.mark.parametrize("name", ["jeyn.yaml", ".jeynignore"])
def test_a_file_of_somebody_else_in_an_ancestor_takes_nobody_over(shared: Path, name: str) -> None:
    (shared / "jeyn.yaml").write_text("name: theirs\n")
    (shared / name).touch()
    os.chown(shared / name, STRANGER, STRANGER)
    with pytest.raises(NotAllowed, match=f"{name}.*belongs to"):
        project_root(shared / "mine")
    with pytest.raises(NotAllowed, match=VARIABLE):
        Settings.load(shared / "mine")


def test_a_run_below_a_strangers_project_ends_before_any_code(shared: Path) -> None:
    (shared / "jeyn.yaml").write_text("name: theirs\n")
    (shared / "numpy.py").write_text("print('taken over')\n")
    for path in (shared / "jeyn.yaml", shared / "numpy.py"):
        os.chown(path, STRANGER, STRANGER)
    command = [sys.executable, "-m", "jeyn.cli", "run", "flow.py"]
    env = {name: value for name, value in os.environ.items() if not name.startswith("JEYN_")} | {
        "PYTHONPATH": str(ROOT)
    }
    found = subprocess.run(command, cwd=shared / "mine", env=env, capture_output=True, text=True, check=False)
    assert found.returncode == 8
    assert "taken over" not in found.stdout + found.stderr
    assert f"export {VARIABLE}={shared}" in found.stderr
    assert not (shared / ".jeyn").exists() and not (shared / "mine" / ".jeyn").exists()


@pytest.mark.parametrize("what", [".", ".jeyn"])
def test_a_folder_of_somebody_else_is_refused(tmp_path: Path, what: str) -> None:
    (tmp_path / "jeyn.yaml").write_text("name: mine\n")
    (tmp_path / ".jeyn").mkdir()
    os.chown(tmp_path / what, STRANGER, STRANGER)
    with pytest.raises(NotAllowed):
        Settings.load(tmp_path)


def test_a_link_of_somebody_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real.yaml").write_text("name: mine\n")
    (tmp_path / "jeyn.yaml").symlink_to("real.yaml")
    os.lchown(tmp_path / "jeyn.yaml", STRANGER, STRANGER)
    with pytest.raises(NotAllowed):
        Settings.load(tmp_path)


def test_one_may_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "jeyn.yaml").write_text("name: theirs\n")
    os.chown(tmp_path / "jeyn.yaml", STRANGER, STRANGER)
    for named in ("*", str(tmp_path), f"/elsewhere{os.pathsep}{tmp_path}/"):
        monkeypatch.setenv(VARIABLE, named)
        assert Settings.load(tmp_path).name == "theirs"
    for named in ("", "/elsewhere", str(tmp_path.parent)):
        monkeypatch.setenv(VARIABLE, named)
        with pytest.raises(NotAllowed):
            Settings.load(tmp_path)


def test_sudo_in_ones_own_project_is_fine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "jeyn.yaml").write_text("name: mine\n")
    os.chown(tmp_path / "jeyn.yaml", STRANGER, STRANGER)
    monkeypatch.setenv("SUDO_UID", str(STRANGER))
    assert Settings.load(tmp_path).name == "mine"
    monkeypatch.setenv("SUDO_UID", "999")
    with pytest.raises(NotAllowed):
        Settings.load(tmp_path)
