"""Writers of one SQLite catalog are served in order, however slow the disk, and nobody keeps the turn by dying."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from jeyn import Workspace
from jeyn.errors import Busy
from jeyn.stores.catalog import database as database_module
from jeyn.stores.catalog.database import Database
from jeyn.stores.catalog.writer_queue import WriterQueue

WRITERS = 24
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
context = multiprocessing.get_context("fork")


def a_catalog(home: Path) -> str:
    with Workspace.open(home=home) as workspace:
        _ = workspace.database
        return workspace.settings.catalog


def slow_disk(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Each commit syncs for so long, while it holds SQLite's lock; what is forked later has that disk too."""
    real = database_module._end

    def end(connection: Any, how: Any) -> None:
        if how == "commit":
            time.sleep(seconds)
        real(connection, how)

    monkeypatch.setattr(database_module, "_end", end)


def write_until(url: str, last: int, start: Any, done: Any) -> None:
    database, own, longest, problem = Database(url), 0, 0.0, ""
    start.wait(timeout=60)
    try:
        seq = 0
        while seq < last:
            began = time.monotonic()
            with database.write() as tx:
                seq = tx.seq
                longest = max(longest, time.monotonic() - began)
            own += seq <= last
    except BaseException as exc:
        problem = repr(exc)
    done.put((own, longest, problem))


def writers_at_once(url: str, count: int, last: int) -> list[tuple[int, float, str]]:
    start, done = context.Barrier(count), context.Queue()
    children = [context.Process(target=write_until, args=(url, last, start, done), daemon=True) for _ in range(count)]
    for child in children:
        child.start()
    found = [done.get(timeout=200) for _ in children]
    for child in children:
        child.join(timeout=30)
    return found


def test_24_writers_on_a_slow_disk_are_served_in_turn(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url, rounds = a_catalog(home), 10
    slow_disk(monkeypatch, 0.02)
    found = writers_at_once(url, WRITERS, last=rounds * WRITERS)
    assert [problem for _, _, problem in found if problem] == []
    assert min(own for own, _, _ in found) >= rounds // 2, sorted(own for own, _, _ in found)


@pytest.mark.long
def test_none_of_24_writers_waits_much_longer_than_a_round_where_a_sync_takes_700_ms(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = a_catalog(home)
    slow_disk(monkeypatch, 0.7)
    found = writers_at_once(url, WRITERS, last=2 * WRITERS)
    assert [problem for _, _, problem in found if problem] == []
    assert max(longest for _, longest, _ in found) < 2 * WRITERS * 0.7


def test_a_line_that_moves_is_waited_in_for_longer_than_a_lock(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = a_catalog(home)
    slow_disk(monkeypatch, 0.15)
    monkeypatch.setattr(database_module, "BUSY_SECONDS", 0.5)
    found = writers_at_once(url, 8, last=24)
    assert [problem for _, _, problem in found if problem] == []
    assert max(longest for _, longest, _ in found) > 0.5, "nobody waited long enough for this test to mean anything"


def test_who_waits_for_a_writer_that_is_stuck_is_told_so(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_module, "BUSY_SECONDS", 0.3)
    url = a_catalog(home)
    with Database(url).write():
        with (
            pytest.raises(Busy, match=r"catalog\.db.* was locked for 0\.3 s, and nobody committed"),
            Database(url).write(),
        ):
            pass
    with Database(url).write():  # who gave up takes no turn away
        pass


def test_ctrl_c_leaves_the_line(home: Path) -> None:
    url = a_catalog(home)
    holder = Database(url)
    with holder.write():
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt), Database(url).write():
            pass
    began = time.monotonic()
    with Database(url).write():
        pass
    assert time.monotonic() - began < 5


def hold(url: str, ready: Any) -> None:
    with Database(url).write():
        ready.set()
        time.sleep(120)


def stand_in_line(url: str, ready: Any) -> None:
    ready.set()
    with Database(url).write():
        time.sleep(120)


def test_a_writer_that_is_killed_gives_its_turn_to_the_next(home: Path) -> None:
    url = a_catalog(home)
    children = []
    for target in (hold, stand_in_line, stand_in_line):
        ready = context.Event()
        children.append(context.Process(target=target, args=(url, ready), daemon=True))
        children[-1].start()
        assert ready.wait(30)
    for child in reversed(children):  # the holder last, when those in line are dead
        child.kill()
        child.join(timeout=30)
    began = time.monotonic()
    with Database(url).write():
        pass
    assert time.monotonic() - began < 5


def test_a_child_that_was_forked_inside_a_write_holds_no_turn(home: Path) -> None:
    url = a_catalog(home)
    database, out = Database(url), context.Event()
    with database.write():
        child = context.Process(target=out.wait, args=(60,), daemon=True)
        child.start()
    try:
        with Database(url).write():
            pass
    finally:
        out.set()
        child.join(timeout=30)


def test_threads_of_one_database_stand_in_line_too(home: Path) -> None:
    database, seqs = Database(a_catalog(home)), list[int]()

    def write() -> None:
        for _ in range(20):
            with database.write() as tx:
                seqs.append(tx.seq)

    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert sorted(seqs) == list(range(min(seqs), min(seqs) + 160))
    database.dispose()


def test_without_a_line_writers_write_all_the_same(home: Path) -> None:
    url = a_catalog(home)
    for end in (".next", ".turn"):
        with suppress(FileNotFoundError):
            Path(f"{home}/catalog.db{end}").unlink()
        Path(f"{home}/catalog.db{end}").mkdir()  # nobody, root neither, can open it for writing
    with Database(url).write() as tx:
        assert tx.seq >= 1


def test_what_is_closed_leaves_no_descriptor(home: Path) -> None:
    queue = WriterQueue(home / "catalog.db", 1)
    home.mkdir()
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    queue.give_back(queue.take())
    queue.close()
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
