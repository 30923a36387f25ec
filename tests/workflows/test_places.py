"""One catalog for all: engine, workers, the command line from any folder, and a script, wherever it is started."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.newcomer import ENVIRONMENT, flow, jeyn, write

GO = flow() + "\nif __name__ == '__main__':\n    import jeyn\n    print(flow.run().id, jeyn.context().settings.root)\n"


def as_anyone() -> tuple[str, ...]:
    """What makes file permissions count for root too."""
    if os.geteuid():
        return ()
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("root can read and write everything")
    return (setpriv, "--bounding-set=-dac_override,-dac_read_search")


def python(folder: Path, script: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(script)], cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize(
    ("file", "environment"),
    [
        ("catalog: sqlite:///cat.db\n", {}),
        ("databases: {shop: 'sqlite:///shop.db'}\ncatalog: sqlite:///cat.db\npayloads: file:bytes\n", {}),
        ("", {"JEYN_HOME": "myhome"}),
        ("", {"JEYN_CATALOG": "sqlite:///cat.db", "JEYN_PAYLOADS": "file:bytes", "JEYN_DATA": "samples"}),
    ],
)
def test_rule_30_engine_workers_and_commands_have_one_catalog(
    tmp_path: Path, file: str, environment: dict[str, str]
) -> None:
    project = write(tmp_path / "project", {"jeyn.yaml": file, "sub/go.py": flow(), "sub/deep/notes": ""})
    elsewhere = write(tmp_path / "elsewhere", {"notes": ""})
    ran = jeyn(elsewhere, "run", str(project / "sub/go.py"), **environment)
    assert (ran.code, ran.out) == (0, "1\n"), ran.err
    for folder in (project, project / "sub", project / "sub/deep"):
        again = jeyn(folder, "run", os.path.relpath(project / "sub/go.py", folder), **environment)
        assert again.code == 0 and "one: cached" in again.err, again.err
    assert jeyn(project / "sub/deep", "runs", **environment).out.count("succeeded") == 4
    assert [each.name for each in elsewhere.iterdir()] == ["notes"]
    assert [each.name for each in (project / "sub").iterdir() if each.suffix != ".py"] == ["deep"]


@pytest.mark.parametrize("marker", ["jeyn.yaml", "sub/jeyn.yaml", "sub/pyproject.toml", "nothing"])
def test_rule_30_python_and_jeyn_run_take_the_same_project(tmp_path: Path, marker: str) -> None:
    project = write(tmp_path / "project", {marker: "", "sub/go.py": GO})
    script = project / "sub/go.py"
    ran = jeyn(project, "run", "sub/go.py")
    assert ran.code == 0, ran.err
    root = project if marker == "jeyn.yaml" else project / "sub"
    for folder in (project, project / "sub", tmp_path):
        done = python(folder, script)
        assert done.stdout.split()[1:] == [str(root)], done.stderr
    assert jeyn(root, "runs").out.count("succeeded") == 4
    assert sorted(each.parent for each in tmp_path.rglob(".jeyn")) == [root]


def test_a_catalog_in_the_project_is_no_code(tmp_path: Path) -> None:
    write(tmp_path, {"jeyn.yaml": "catalog: sqlite:///cat.json\npayloads: file:bytes\n", "go.py": flow()})
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True, timeout=60)
    codes = {jeyn(tmp_path, "run", "go.py", "--no-cache", "--json").data["code"] for _ in range(2)}
    assert len(codes) == 1


def test_what_may_not_be_read_does_not_end_a_run(tmp_path: Path) -> None:
    write(tmp_path, {"jeyn.yaml": "", "go.py": flow(), "locked/notes.py": "", "secret.json": "{}"})
    (tmp_path / "secret.json").chmod(0)
    (tmp_path / "locked").chmod(0)
    try:
        ran = jeyn(tmp_path, "run", "go.py", prefix=as_anyone())
        assert (ran.code, ran.out) == (0, "1\n"), ran.err
        subprocess.run(["git", "init", "-q", str(tmp_path)], check=True, timeout=60)
        ran = jeyn(tmp_path, "run", "go.py", "--isolated", "--no-cache", prefix=as_anyone())
        assert (ran.code, ran.out) == (0, "1\n"), ran.err
    finally:
        (tmp_path / "locked").chmod(0o755)


@pytest.mark.parametrize(
    ("body", "hint"),
    [
        ("os._exit(3)", "its code ended it"),
        ("os.kill(os.getpid(), 9)", "too little memory"),
        ("os.kill(os.getpid(), 11)", "a crash in native code"),
        ("os.kill(os.getpid(), 1)", "somebody sent it that signal"),
    ],
)
def test_a_worker_that_ended_is_told_of_by_how_it_ended(tmp_path: Path, body: str, hint: str) -> None:
    source = f"import os\nimport jeyn\n\n@jeyn.operation\ndef one() -> int:\n    {body}\n\n"
    write(tmp_path, {"jeyn.yaml": "", "go.py": source + "@jeyn.pipeline\ndef flow():\n    return one()\n"})
    ran = jeyn(tmp_path, "run", "go.py")
    assert ran.code == 1
    hints = ["its code ended it", "too little memory", "a crash in native code", "somebody sent it that signal"]
    assert [each for each in hints if each in ran.err] == [hint], ran.err


BROKEN = """
import jeyn
from jeyn import Workspace

def broken(*_: object) -> None:
    raise jeyn.errors.Unreachable('"cat.db" is away', hint="bring it back")

@jeyn.operation
def one() -> int:
    Workspace.attempt = broken
    return 1

@jeyn.operation
def two(x: int) -> int:
    return x

@jeyn.pipeline
def flow():
    return two(one())
"""


def test_what_fails_before_an_attempt_begins_is_told_by_its_own_name(tmp_path: Path) -> None:
    write(tmp_path, {"jeyn.yaml": "", "go.py": BROKEN})
    ran = jeyn(tmp_path, "run", "go.py", "--workers", "1")
    assert ran.code == 7
    assert 'operation "two": "cat.db" is away' in ran.err and "bring it back" in ran.err, ran.err
    assert "native code" not in ran.err
