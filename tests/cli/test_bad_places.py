"""Homes that cannot be used, terminals that go away, closed streams, odd paths: clear words, and nothing is lost."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import sqlite3
import subprocess
import termios
import time
from pathlib import Path

import pytest

from tests.cli.newcomer import COMMAND, ENVIRONMENT, check_document, check_refused, flow, jeyn, last_run, states, write


def as_anyone() -> tuple[str, ...]:
    """What makes file permissions count for root too."""
    if os.geteuid():
        return ()
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("root can read and write everything")
    return (setpriv, "--bounding-set=-dac_override,-dac_read_search")


def done_once(folder: Path) -> Path:
    write(folder, {"flow.py": flow()})
    answer = jeyn(folder, "run", "flow.py")
    assert (answer.code, answer.out) == (0, "1\n"), answer.err
    return folder / ".jeyn"


# Homes.


def test_a_home_of_a_newer_jeyn(tmp_path: Path) -> None:
    catalog = done_once(tmp_path) / "catalog.db"
    with sqlite3.connect(catalog) as database:
        (before,) = database.execute("select version_num from alembic_version").fetchone()
        database.execute("update alembic_version set version_num = '9999'")
    database.close()
    check_refused(
        jeyn(tmp_path, "run", "flow.py"), 6, "at revision 9999, newer than this Jeyn", "pip install --upgrade"
    )
    check_document(jeyn(tmp_path, "run", "flow.py", "--json"), 6, "NEWER_SCHEMA", "newer than this Jeyn")
    with sqlite3.connect(catalog) as database:
        database.execute("update alembic_version set version_num = ?", (before,))
    database.close()
    assert "one: cached" in jeyn(tmp_path, "run", "flow.py").err


def test_a_home_that_cannot_be_written(tmp_path: Path) -> None:
    home = done_once(tmp_path)
    every = [home, *home.rglob("*")]
    for path in every:
        path.chmod(0o555 if path.is_dir() else 0o444)
    answer = jeyn(tmp_path, "run", "flow.py", "--no-cache", prefix=as_anyone())
    for path in every:
        path.chmod(0o755 if path.is_dir() else 0o644)
    check_refused(answer, 8, "is read-only here", "ask its owner")
    assert "one: cached" in jeyn(tmp_path, "run", "flow.py").err


def test_a_folder_that_cannot_be_written_and_files_that_cannot_be_read(tmp_path: Path) -> None:
    write(tmp_path, {"flow.py": flow(), "secret.py": ""})
    (tmp_path / "secret.py").chmod(0)
    assert jeyn(tmp_path, "run", "flow.py", prefix=as_anyone()).code == 0  # nobody here could import it either
    (tmp_path / "flow.py").chmod(0)
    check_refused(jeyn(tmp_path, "run", "flow.py", prefix=as_anyone()), 8, '"flow.py"', "check who owns it")
    for name in ("flow.py", "secret.py"):
        (tmp_path / name).chmod(0o644)
    shutil.rmtree(tmp_path / ".jeyn", ignore_errors=True)
    tmp_path.chmod(0o555)
    answer = jeyn(tmp_path, "run", "flow.py", prefix=as_anyone())
    tmp_path.chmod(0o755)
    check_refused(answer, 8, ".jeyn", "JEYN_HOME")


def test_a_home_that_is_a_file(tmp_path: Path) -> None:
    write(tmp_path, {"flow.py": flow(), "home": "a file"})
    check_refused(jeyn(tmp_path, "--home", "home", "run", "flow.py"), 8, f'"{tmp_path / "home"}"', "JEYN_HOME")
    assert (tmp_path / "home").read_text() == "a file"


def test_a_catalog_that_is_damaged(tmp_path: Path) -> None:
    catalog = done_once(tmp_path) / "catalog.db"
    catalog.write_bytes(catalog.read_bytes()[:4096] + b"\x55" * 8192)
    for path in catalog.parent.glob("catalog.db-*"):
        path.unlink()
    before = catalog.read_bytes()
    check_refused(jeyn(tmp_path, "run", "flow.py"), 5, "is damaged or no catalog", "restore it")
    assert catalog.read_bytes() == before


@pytest.mark.parametrize(("home", "where"), [("", "project/.jeyn"), ("elsewhere", "project/elsewhere")])
def test_a_home_that_is_unset_or_relative(tmp_path: Path, home: str, where: str) -> None:
    """Both are the project's, wherever the program is started."""
    write(tmp_path, {"project/flow.py": flow()})
    answer = jeyn(tmp_path, "run", "project/flow.py", JEYN_HOME=home)
    assert (answer.code, answer.out) == (0, "1\n"), answer.err
    assert (tmp_path / where / "catalog.db").is_file()
    assert len(list(tmp_path.rglob("catalog.db"))) == 1


def test_the_working_folder_is_gone(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    script = f'rmdir "{folder}"; exec "$@"'
    answer = jeyn(folder, "runs", prefix=("/bin/sh", "-c", script, "sh"))
    check_refused(answer, 3, "the working folder is not there any more", "go to one")


# Names and paths.


@pytest.mark.parametrize("name", ["01-fłöw é.py", "class.py", "sub folder/ünder/flow.py"])
def test_a_file_of_any_name_in_a_folder_of_any_name_from_anywhere(tmp_path: Path, name: str) -> None:
    project = write(tmp_path / "my prøject", {name: flow(), "jeyn.yaml": ""})
    (tmp_path / "other").mkdir()
    answer = jeyn(tmp_path / "other", "run", f"../my prøject/{name}")
    assert (answer.code, answer.out) == (0, "1\n"), answer.err
    again = jeyn(project, "run", name)
    assert (again.code, "one: cached" in again.err) == (0, True), again.err
    assert sorted(each.name for each in (tmp_path / "other").iterdir()) == []


def test_modules_beside_the_pipeline_that_are_called_as_pythons_own(tmp_path: Path) -> None:
    write(tmp_path, {"flow.py": flow(), "random.py": "raise SystemExit", "types.py": "raise SystemExit"})
    assert jeyn(tmp_path, "run", "flow.py").out == "1\n"


# Interrupted.

SLEEPING = """
import time


@jeyn.operation
def sleeps(x):
    print("sleeping", flush=True)
    time.sleep(60)


@jeyn.operation
def after(x): ...
"""


def asleep(folder: Path, **options: object) -> subprocess.Popen[str]:
    write(folder, {"flow.py": flow("after(sleeps(one()))", SLEEPING)})
    process: subprocess.Popen[str] = subprocess.Popen(
        [*COMMAND, "run", "flow.py"], cwd=folder, env=ENVIRONMENT, text=True, **options
    )  # type: ignore[call-overload]
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_cleanly_and_what_was_done_stays(tmp_path: Path, number: signal.Signals) -> None:
    process = asleep(tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stderr is not None
    assert any("sleeping" in line for line in process.stderr)
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "")
    assert err.count("error: ") == 1 and "jeyn run --resume" in err.splitlines()[-1]
    run = last_run(tmp_path)
    assert run["state"] == "cancelled"
    assert states(run) == {"one": "succeeded", "sleeps": "cancelled", "after": "cancelled"}


def test_under_nohup_a_terminal_that_closes_is_ignored(tmp_path: Path) -> None:
    quick = SLEEPING.replace("sleep(60)", "sleep(1)")
    write(tmp_path, {"flow.py": flow("after(sleeps(one()))", quick)})
    process = subprocess.Popen(
        ["/bin/sh", "-c", 'trap "" HUP; exec "$@"', "sh", *COMMAND, "run", "flow.py"],
        cwd=tmp_path,
        env=ENVIRONMENT,
        text=True,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    assert process.stderr is not None
    assert any("sleeping" in line for line in process.stderr)
    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=30)
    assert process.returncode == 0
    assert last_run(tmp_path)["state"] == "succeeded"


def test_closing_the_terminal_window_stops_cleanly(tmp_path: Path) -> None:
    """The run's stderr is gone with the window, and still it ends in order."""
    ours, theirs = os.openpty()

    def take_terminal() -> None:
        fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)

    process = asleep(
        tmp_path, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True, preexec_fn=take_terminal
    )
    os.close(theirs)
    seen = b""
    while b"sleeping" not in seen:
        seen += os.read(ours, 4096)
    os.close(ours)
    assert process.wait(timeout=30) == 130
    assert states(last_run(tmp_path)) == {"one": "succeeded", "sleeps": "cancelled", "after": "cancelled"}


# Streams.

CHATTY = """
@jeyn.operation
def chats(x):
    for each in range(2000):
        print("line", each)
    return x
"""


@pytest.mark.parametrize(
    ("redirected", "code", "out"),
    [
        ("2>&1 | head -1", 1, ""),
        ("2>/dev/full", 0, "1\n"),
        ("2>&-", 0, "1\n"),
        (">&-", 0, ""),
        ("<&- >&- 2>&-", 0, ""),
        (">/dev/full", 7, ""),
    ],
)
def test_nobody_needs_to_listen(tmp_path: Path, redirected: str, code: int, out: str) -> None:
    """A run is not ended by who looks away; what could not be printed is in the store."""
    write(tmp_path, {"flow.py": flow("chats(one())", CHATTY)})
    script = f'"$@" run flow.py {redirected}; exit ${{PIPESTATUS[0]}}'
    done = subprocess.run(
        ["/bin/bash", "-c", script, "bash", *COMMAND],
        cwd=tmp_path,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == code, done.stderr
    assert "head" in redirected or done.stdout == out
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr
    if code == 7:
        assert done.stderr.splitlines()[-2] == "error: stdout cannot be written: No space left on device"
    assert last_run(tmp_path)["state"] == "succeeded"
    assert jeyn(tmp_path, "logs", "last", "chats").out.count("line ") == 2000


def test_an_error_that_nobody_hears_has_its_exit_code(tmp_path: Path) -> None:
    closed = ("/bin/sh", "-c", 'exec "$@" 2>&-', "sh")
    assert jeyn(tmp_path, "run", "gone.py", prefix=closed) == (3, "", "")


def test_ctrl_c_at_any_moment_leaves_no_run_that_seems_to_go_on(tmp_path: Path) -> None:
    write(tmp_path, {"flow.py": flow("sleeps(one())", SLEEPING)})
    for delay in (0.3, 0.8, 1.3):
        process = subprocess.Popen(
            [*COMMAND, "run", "flow.py", "--no-cache"],
            cwd=tmp_path,
            env=ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        time.sleep(delay)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
        # Python ends itself by the signal where it passed through C code; a shell calls both 130.
        assert process.returncode in (130, -signal.SIGINT), err
        assert out == ""
        assert "jeyn/" not in err
    write(tmp_path, {"jeyn.yaml": ""})
    runs = jeyn(tmp_path, "runs", "--json").data["runs"]
    assert {each["state"] for each in runs} <= {"cancelled"}
