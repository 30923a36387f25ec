"""Clocks that lie: what they may not date, what tells a pause from a jump, and putting times right (SEMANTICS 11)."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from jeyn import Workspace
from jeyn.errors import Immutable, Invalid
from jeyn.stores.catalog import clock as module
from jeyn.stores.catalog.clock import DAY, SECOND, Moment, doubt
from jeyn.stores.catalog.leases import Leases, condemn
from tests.stores.digits import DIGITS, a_checkpoint, rows
from tests.stores.runs_world import a_run

YEARS = 80 * 365 * DAY
Turn = Callable[[int], None]
NOW = Moment(1_800_000_000 * SECOND, "this start", 3600 * SECOND)


@pytest.fixture
def turn(monkeypatch: pytest.MonkeyPatch) -> Turn:
    """Sets the clock of this process so many µs ahead, and the kernel's with it."""
    real, kernel, shift = time.time_ns, module._kernel_time, 0

    def to(ahead: int) -> None:
        nonlocal shift
        shift = ahead

    monkeypatch.setattr(time, "time_ns", lambda: real() + shift * 1000)
    monkeypatch.setattr(module, "_kernel_time", lambda: None if (at := kernel()) is None else at + shift)
    return to


def again(workspace: Workspace, **settings: bool) -> Workspace:
    """The same places, as another command opens them."""
    return Workspace(replace(workspace.settings, **settings))  # type: ignore[arg-type]


def save(workspace: Workspace, seed: int) -> str:
    return workspace.dataset_store.save_batch(DIGITS.new_table(rows(seed))).id


@pytest.mark.parametrize(
    ("last", "server", "is_right"),
    [
        pytest.param(None, None, True, id="the first commit"),
        pytest.param(replace(NOW, at=NOW.at - 60 * SECOND), None, True, id="a minute ago"),
        pytest.param(Moment(NOW.at - DAY // 2, NOW.boot, NOW.uptime), None, True, id="half a day that nothing counted"),
        pytest.param(Moment(NOW.at - 7 * DAY, NOW.boot, NOW.uptime - 7 * DAY), None, True, id="a week of being up"),
        pytest.param(Moment(NOW.at - 7 * DAY, NOW.boot, NOW.uptime - DAY), None, False, id="a day that was a week"),
        pytest.param(Moment(NOW.at - YEARS, NOW.boot, NOW.uptime - SECOND), None, False, id="80 years in a second"),
        pytest.param(Moment(NOW.at - 21 * DAY, "another start", 5), None, True, id="a holiday, and a restart"),
        pytest.param(Moment(NOW.at - 21 * DAY, "", 0), None, True, id="a holiday, and a system that counts nothing"),
        pytest.param(Moment(NOW.at - YEARS, "another start", 5), None, False, id="80 years, and a restart"),
        pytest.param(Moment(NOW.at - YEARS, "another start", 5), NOW.at, True, id="80 years that the server confirms"),
        pytest.param(Moment(NOW.at, "another start", 5), NOW.at - 2 * DAY, False, id="another clock than the server's"),
        pytest.param(Moment(NOW.at, "another start", 5), NOW.at + 2 * DAY, False, id="the server is ahead"),
    ],
)  # fmt: skip
def test_rule_11_a_pause_is_told_from_a_clock_that_lies(
    last: Moment | None, server: int | None, is_right: bool
) -> None:
    assert (doubt(NOW, last, last.at if last else None, server) == "") is is_right


def test_rule_11_where_an_older_jeyn_wrote_nothing_speaks_against_a_pause() -> None:
    assert doubt(NOW, None, NOW.at - YEARS) == ""


@pytest.mark.parametrize("ahead", [YEARS, 2 * DAY, -2 * DAY, -YEARS // 4])
def test_rule_11_a_clock_that_jumped_dates_nothing(workspace: Workspace, turn: Turn, ahead: int) -> None:
    save(workspace, 1)
    before = workspace.events()
    turn(ahead)
    with again(workspace) as later:
        for change in (lambda: save(later, 2), lambda: later.gc(grace="0s", yes=True)):
            with pytest.raises(Invalid, match="clock") as caught:
                change()
            assert caught.value.exit_code == 5
            assert "--clock-is-right" in caught.value.hint
        assert later.events() == before, "what only reads goes on"
    with pytest.raises(Invalid, match="clock"):
        save(workspace, 2)
    turn(0)
    save(workspace, 2)


def test_rule_11_a_clock_that_is_said_to_be_right_is_believed(workspace: Workspace, turn: Turn) -> None:
    save(workspace, 1)
    turn(2 * DAY)
    with again(workspace, clock_is_right=True) as later:
        save(later, 2)
        assert later.events()[-1].at - workspace.events()[0].at > 1.9 * DAY
    if workspace.database.is_sqlite:  # PostgreSQL's own clock goes on disagreeing
        with again(workspace) as after:
            save(after, 3)


def test_rule_11_only_this_process_is_told_another_time(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() + YEARS * 1000)
    with pytest.raises(Invalid, match=r"(machine|server)'s says"):
        save(again(workspace), 1)  # not even the first commit


def test_rule_11_a_container_that_counts_its_own_time_is_believed(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """lxcfs mounts another uptime over the kernel's, and leaves it when the machine was started."""
    if not Path("/proc/stat").exists() or Path("/proc").stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs a /proc of its own")
    (tmp_path / "uptime").write_text("60.00 100.00\n")  # the container's
    (tmp_path / "stat").write_text(f"btime {int(time.time()) - 30 * 86_400}\n")
    proc = _Mounted(tmp_path)
    monkeypatch.setattr(module, "PROC", proc)
    module._offset.cache_clear()
    try:
        save(again(workspace), 1)
        assert abs(module._uptime() - time.clock_gettime_ns(module._SINCE_BOOT) // 1000) < SECOND
    finally:
        module._offset.cache_clear()


class _Mounted(type(Path())):  # type: ignore[misc]
    """A folder that says it is /proc, whose files are another file system's."""

    def stat(self, **options: bool) -> os.stat_result:
        return Path("/proc").stat() if self.name not in ("uptime", "stat") else super().stat(**options)


@pytest.fixture
def damaged(workspace: Workspace, turn: Turn) -> Workspace:
    """A catalog of whose commits the later ones are dated 80 years ahead, with a lease of then, and a killed run."""
    a_checkpoint(workspace)
    turn(YEARS)
    with again(workspace, clock_is_right=True) as ahead:
        save(ahead, 2)
        save(ahead, 3)
        Leases(ahead.database).take(["0" * 64])
    turn(0)
    with again(workspace, clock_is_right=True) as back:
        save(back, 4)  # after it, so dated then too
    return workspace


def test_rule_11_times_that_a_clock_spoilt_are_put_right(damaged: Workspace) -> None:
    with again(damaged) as workspace:
        with pytest.raises(Invalid, match="newest commit is of 21"):
            save(workspace, 5)
        ids = [hit.id for hit in workspace.search("type:dataset_batch")]
        found = workspace.fsck()
        assert (found.counts["wrong_time"], found.left) == (1, 1)
        assert "dated 21" in found.of("wrong_time")[0].problem
        assert workspace.fsck(repair=True).left == 0
        assert workspace.fsck().ok
    with again(damaged) as workspace:
        now = time.time_ns() // 1000
        times = [event.at for event in workspace.events()]
        assert times == sorted(times) and now - 600 * SECOND < times[0] and times[-1] < now + 60 * SECOND
        assert [hit.id for hit in workspace.search("type:dataset_batch")] == ids
        assert workspace.events()[-1].kind == "jeyn.clock.shifted"
        save(workspace, 5)
        assert workspace.seq(datetime.now(UTC) + timedelta(seconds=5)) == workspace.events()[-1].seq
        with workspace.database.read() as connection:
            shifts = connection.execute(text("SELECT first_seq, last_seq, shift FROM clock_shift")).all()
        assert len(shifts) == 1 and abs(shifts[0].shift - YEARS) < DAY
        with pytest.raises(Immutable), workspace.database.write_soft() as connection:
            connection.execute(text("UPDATE artefact SET at = 1"))


def test_rule_11_after_that_a_sweep_frees_again(damaged: Workspace) -> None:
    with again(damaged) as workspace:
        assert workspace.fsck(repair=True).left == 0
        kept = workspace.search("type:dataset_batch")
        latest = max(workspace.get(hit.id).epoch for hit in kept)
        swept = workspace.gc(retention={"batch:digits": {"last": 1}}, grace="0s", yes=True)
        assert len(swept.swept) >= latest - 2
        Leases(workspace.database).take(["0" * 64])


def test_rule_11_a_machine_whose_own_clock_is_behind_all_repairs_nothing(workspace: Workspace, turn: Turn) -> None:
    save(workspace, 1)
    before = workspace.events()
    turn(-YEARS // 4)
    with again(workspace) as later:
        with pytest.raises(Invalid, match=r"(every commit is later|server's says)"):
            later.fsck(repair=True)
        assert later.events() == before


def test_a_lease_of_a_clock_that_was_ahead_protects_nothing(workspace: Workspace, turn: Turn) -> None:
    turn(YEARS)
    Leases(workspace.database).take(["1" * 64])
    turn(0)
    assert condemn(workspace.database, ["1" * 64], "sweeper") == ["1" * 64]


def test_a_run_on_another_machine_whose_clock_was_ahead_is_not_alive_for_ever(workspace: Workspace) -> None:
    run = a_run(workspace)
    ahead = replace(run, host="elsewhere", heartbeat=time.time_ns() // 1000 + YEARS)
    assert not workspace.runs.is_alive(ahead)
    assert workspace.runs.is_alive(replace(ahead, heartbeat=time.time_ns() // 1000))
