"""A home that may not be written, on a read-only disk or in somebody else's folder, is read all the same."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from jeyn import Workspace
from tests.cli.conftest import ROOT

DRIVER = """
import json, sys
from click.testing import CliRunner
from jeyn.cli.main import main
found = []
for args in json.loads(sys.argv[1]):
    done = CliRunner().invoke(main, args)
    found.append([done.exit_code, done.stdout, done.stderr])
print(json.dumps(found))
"""
MARKED = """
import os, signal, sys
from jeyn import Workspace
workspace = Workspace.open(home=".jeyn")
workspace.tag("checkpoint:digit-reader@0.1.0", "late")
os.kill(os.getpid(), signal.SIGKILL)
"""
READS = [
    ["ls"],
    ["ls", "--json"],
    ["search", "type:model_checkpoint metrics.accuracy>0.9"],
    ["show", "checkpoint:digit-reader@0.1.0"],
    ["lineage", "checkpoint:digit-reader@0.1.0"],
    ["impact", "formula:digits@1.0.0"],
    ["diff", "checkpoint:digit-reader@0.1.0", "checkpoint:digit-reader@0.2.0"],
    ["runs"],
    ["logs", "last"],
    ["fsck"],
    ["gc"],
    ["db", "check"],
]
WRITES = [
    ["bless", "checkpoint:digit-reader@0.1.0", "--reason", "again"],
    ["alias", "set", "formula:digits@1.0.0", "chosen"],
    ["gc", "--yes", "--grace", "0s"],
    ["import", "second.bundle"],
    ["run", "greetings.py:greeting"],
    ["db", "adopt-payloads", "--yes"],
    ["fsck", "--repair", "--yes"],
]


def wrapped(way: str, folder: Path) -> list[str]:
    """A command line before which the home is read-only for who follows."""
    home = folder / ".jeyn"
    if way == "mount":
        mount = f"mount --bind {home} {home} && mount -o remount,ro,bind {home}"
        return ["unshare", "--mount", "sh", "-c", f'{mount} && exec "$@"', "sh"]
    for path in (home, *home.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    # Root that may not do what the modes forbid.
    root = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search,-fowner"]
    return root if os.geteuid() == 0 else []


def answers(way: str, folder: Path, calls: list[list[str]]) -> list[tuple[int, str, str]]:
    command = [*wrapped(way, folder), sys.executable, "-c", DRIVER, json.dumps(calls)]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("JEYN_")}
    env = clean | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    return [(code, out, err) for code, out, err in json.loads(done.stdout)]


def can_mount() -> bool:
    return (
        os.geteuid() == 0
        and subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode == 0
    )


@pytest.fixture
def way(request: pytest.FixtureRequest) -> str:
    if request.param == "mount" and not can_mount():
        pytest.skip("nothing can be mounted here; the modes are tried all the same")
    return str(request.param)


@pytest.fixture
def left(request: pytest.FixtureRequest, project: Path) -> str:
    """How its last writer left the catalog: closed, or with what only its log has, and with or without its index."""
    with Workspace.open(project) as workspace:
        workspace.reader.names()
    if request.param != "closed":
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        subprocess.run([sys.executable, "-c", MARKED], cwd=project, env=env, check=False, timeout=60)
        assert (project / ".jeyn" / "catalog.db-wal").stat().st_size > 0
    if request.param == "without its index":
        (project / ".jeyn" / "catalog.db-shm").unlink()
    return str(request.param)


@pytest.mark.parametrize(
    ("way", "left"),
    [("modes", "closed"), ("mount", "closed"), ("mount", "killed"), ("modes", "without its index")],
    indirect=True,
)
def test_a_read_only_home_is_listed_searched_and_exported(project: Path, way: str, left: str, tmp_path: Path) -> None:
    bundle = tmp_path / "out.bundle"
    export = ["export", "checkpoint:digit-reader@0.2.0", str(bundle)]
    found = answers(way, project, [*READS, export])
    for (code, _, err), args in zip(found, [*READS, export], strict=True):
        assert code == 0, f"{shlex.join(args)}: {code} {err}"
    assert "digit-reader" in found[0][1]
    assert ("late" in found[3][1]) is (left != "closed"), "what was only in the log is not seen"
    with Workspace.open(tmp_path / "other", home=tmp_path / "other") as other:
        other.import_bundle(bundle)
        assert other.get("checkpoint:digit-reader@0.2.0").load() is not None


@pytest.mark.parametrize("way", ["modes", "mount"], indirect=True)
def test_what_writes_says_once_that_it_may_not(project: Path, way: str) -> None:
    before = sorted((path.name, path.stat().st_size) for path in (project / ".jeyn").iterdir())
    for (code, _, err), args in zip(answers(way, project, WRITES), WRITES, strict=True):
        assert code == 8, f"{shlex.join(args)}: {code} {err}"
        assert err.count("read-only") == 1, err
        assert str(project / ".jeyn") in err.replace("\n", "")
        assert "Traceback" not in err
    assert sorted((path.name, path.stat().st_size) for path in (project / ".jeyn").iterdir()) == before


def test_a_home_that_is_read_only_and_old_says_who_upgrades_it(project: Path, tmp_path: Path) -> None:
    from jeyn.stores.catalog.database import Database
    from jeyn.stores.catalog.migrate import upgrade

    shutil.rmtree(project / ".jeyn")
    (project / ".jeyn").mkdir()
    database = Database(f"sqlite:///{project / '.jeyn' / 'catalog.db'}")
    upgrade(database, "0001")
    database.dispose()
    ((code, _, err),) = answers("modes", project, [["ls"]])
    assert (code, "jeyn db upgrade" in err, "0001" in err) == (8, True, True), err


def test_payloads_that_are_read_only_are_read(project: Path) -> None:
    """Only their folder is: the catalog can be written."""
    for path in ((project / ".jeyn" / "payloads"), *(project / ".jeyn" / "payloads").rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    (code, out, err), (refused, _, said) = _answers_as_is(
        project, [["show", "checkpoint:digit-reader@0.2.0"], ["import", "second.bundle"]]
    )
    assert code == 0, err
    assert "digit-reader" in out
    assert refused in (0, 8), said  # all of it is there already


def _answers_as_is(folder: Path, calls: list[list[str]]) -> list[tuple[int, str, str]]:
    root = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search,-fowner"] if os.geteuid() == 0 else []
    command = [*root, sys.executable, "-c", DRIVER, json.dumps(calls)]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    return [(code, out, err) for code, out, err in json.loads(done.stdout)]
