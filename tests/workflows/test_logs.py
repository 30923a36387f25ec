"""Everything that an attempt writes is kept with its run: whoever wrote it, however much, and however it ended."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from jeyn.workflows.watch import Printed
from tests.workflows.projects import Project, until


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")


def test_every_way_to_write_ends_in_the_log_in_its_order(project: Project) -> None:
    project.write(
        """
import ctypes
import logging
import subprocess
import warnings

@operation
def speak() -> int:
    print("from print")
    print("from stderr", file=sys.stderr)
    logging.getLogger("user").info("from logging")
    logging.getLogger("user").debug("too quiet")
    os.write(1, b"from a descriptor\\n")
    libc = ctypes.CDLL(None)
    libc.puts(b"from C")
    libc.fflush(None)
    subprocess.run([sys.executable, "-c", "print('from a child')"], check=True)
    subprocess.run("echo from a shell >&2", shell=True, check=True)
    print("grüße, 世界 🎉")
    os.write(1, b"not utf-8: \\xff\\n")
    print("nothing", end="")
    return 1

@pipeline
def flow():
    return speak()
"""
    )
    seen: list[Any] = []
    run = project.run(watch=seen.append).check()
    lines = run.logs().splitlines()
    assert lines[2].endswith("INFO user: from logging")
    assert lines[:2] + lines[3:] == [
        "from print", "from stderr", "from a descriptor", "from C", "from a child", "from a shell",
        "grüße, 世界 🎉", "not utf-8: ?", "nothing",
    ]  # fmt: skip
    assert "".join(event.text for event in seen if isinstance(event, Printed)) == run.logs()


def test_two_attempts_and_two_operations_are_apart(project: Project) -> None:
    project.write(
        """
@operation(retries=1, backoff=0)
def twice(number: int) -> int:
    print("number", number, "try", 2 if Path(f"tried-{number}").exists() else 1, end="")
    if not Path(f"tried-{number}").exists():
        Path(f"tried-{number}").touch()
        raise ValueError("again")
    return number

@pipeline
def flow():
    return twice.map(number=[1, 2])
"""
    )
    run = project.run(workers=1).check()
    chunks = {(each.operation, each.attempt): each.text for each in project.workspace.runs.log(run.row.key)}
    assert set(chunks) == {(f"twice[{item}]", attempt) for item in (0, 1) for attempt in (1, 2)}
    for item in (0, 1):
        assert chunks[f"twice[{item}]", 2] == f"number {item + 1} try 2"
        first = chunks[f"twice[{item}]", 1]
        assert first.startswith(f"number {item + 1} try 1") and "ValueError: again" in first
        assert "jeyn/workflows" not in first  # the user's own frames
    assert run.logs("twice[1]") == chunks["twice[1]", 1] + chunks["twice[1]", 2]
    assert run.logs("twice") == run.logs()


@pytest.mark.parametrize("end", ["return 1", "os._exit(1)"])
def test_much_output_is_all_there(project: Project, end: str) -> None:
    project.write(
        f"""
@operation
def chatter() -> int:
    for number in range(100_000):
        print(f"{{number:06}} " + "é" * 50)
    print("the end", end="")
    {end}

@pipeline
def flow():
    return chatter()
"""
    )
    run = project.run()
    assert run.state == ("succeeded" if end == "return 1" else "failed")
    text = run.logs()
    assert len(text.encode()) == 100_000 * 108 + 7
    lines = text.splitlines()
    assert lines[-1] == "the end"
    assert [int(line[:6]) for line in lines[:-1]] == list(range(100_000))


def test_a_crash_loses_nothing_after_what_was_copied(project: Project) -> None:
    project.write(
        """
@operation
def die() -> int:
    os.write(1, b"\\xff\\xfe\\xe9 no text\\n" * 10)
    while not jeyn.context().outside.runs.log(1):  # until it is in the catalog
        time.sleep(0.05)
    print("the last words", end="")
    os._exit(1)

@pipeline
def flow():
    return die()
"""
    )
    assert project.run().logs() == "??? no text\n" * 10 + "the last words"


def test_a_slow_operation_can_be_followed(project: Project) -> None:
    project.write(
        """
@operation
def slow() -> int:
    print("first")
    while not Path("go on").exists():
        time.sleep(0.05)
    print("second")
    return 1

@pipeline
def flow():
    return slow()
"""
    )
    found: list[str] = []

    def follow() -> None:
        until(lambda: project.workspace.runs.list() and project.last().logs())
        found.append(project.last().logs())
        (project.folder / "go on").touch()

    thread = threading.Thread(target=follow)
    thread.start()
    run = project.run()
    thread.join()
    assert found == ["first\n"]
    assert run.check().logs() == "first\nsecond\n"


def test_no_output_file_is_left_behind(project: Project) -> None:
    project.write(
        """
@operation(retries=1, backoff=0)
def fail(number: int) -> int:
    print("about to end")
    if number == 1:
        os._exit(1)
    raise ValueError("no")

@pipeline
def flow():
    return fail.map(number=[1, 2])
"""
    )
    assert project.run().state == "failed"
    assert list((project.folder / ".jeyn" / "spool").iterdir()) == []
