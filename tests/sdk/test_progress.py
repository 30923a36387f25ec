"""`jeyn.progress` and `jeyn.File`: what they are inside an operation and outside."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import jeyn
from jeyn import pipeline
from jeyn.errors import Fatal, OperationFailed, UsageError
from jeyn.sdk.workspace import use_workspace


class Listener:
    def __init__(self) -> None:
        self.reports: list[tuple[int, int | None]] = []

    def report_progress(self, done: int, total: int | None) -> None:
        self.reports.append((done, total))


def forever() -> Iterator[int]:
    number = 0
    while True:
        yield number
        number += 1


def test_outside_an_operation_it_just_yields() -> None:
    assert [*jeyn.progress("abc")] == ["a", "b", "c"]
    with use_workspace(object()):
        assert [*jeyn.progress(range(3), total=3)] == [0, 1, 2]


def test_the_first_and_the_last_are_reported() -> None:
    listener = Listener()
    with use_workspace(listener):
        assert [*jeyn.progress(range(5))] == [0, 1, 2, 3, 4]
        assert listener.reports == [(0, 5), (5, 5)]
        assert [*jeyn.progress(iter([]), total=None)] == []
    assert listener.reports[2:] == [(0, None)]


def test_what_is_left_early_says_how_far_it_came() -> None:
    listener = Listener()
    with use_workspace(listener):
        for number in jeyn.progress(forever(), total=100):
            if number == 7:
                break
    assert listener.reports == [(0, 100), (7, 100)]


def test_reports_are_at_most_ten_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    listener = Listener()
    now = [0.0]

    def tick() -> float:
        now[0] += 0.0025
        return now[0]

    monkeypatch.setattr(time, "monotonic", tick)
    with use_workspace(listener):
        assert len([*jeyn.progress(range(1000))]) == 1000
    assert listener.reports[0] == (0, 1000)
    assert listener.reports[-1] == (1000, 1000)
    assert 15 <= len(listener.reports) <= now[0] * 10 + 2


def test_a_pipeline_body_may_loop_with_it() -> None:
    seen: list[int] = []

    def body() -> None:
        seen.extend(jeyn.progress([1, 2]))

    pipeline(body)()
    assert seen == [1, 2]


def test_a_file_is_a_path_with_content(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("größe\n", encoding="utf-8")
    file = jeyn.File(tmp_path / "a.txt")
    assert os.fspath(file) == str(tmp_path / "a.txt")
    assert Path(file) == file.path
    assert file.read_text() == "größe\n"
    assert file.read_bytes() == "größe\n".encode()
    with file.open() as opened, file.open("rb") as raw:
        assert (opened.read(), raw.read()) == ("größe\n", "größe\n".encode())


def test_files_are_equal_by_path() -> None:
    assert jeyn.File("a/b") == jeyn.File(Path("a") / "b")
    assert len({jeyn.File("a"), jeyn.File("./a"), jeyn.File("b")}) == 2
    assert jeyn.File("a") != "a"
    assert repr(jeyn.File("a/b")) == 'File("a/b")'


@pytest.mark.parametrize("path", ["", "a\0b"])
def test_what_is_no_path_is_refused(path: Any) -> None:
    with pytest.raises(UsageError):
        jeyn.File(path)


def test_fatal_says_that_no_retry_helps() -> None:
    with pytest.raises(OperationFailed, match="no labels") as caught:
        raise jeyn.Fatal("no labels", hint="label the data")
    assert caught.type is Fatal
    assert not caught.value.retry_helps
