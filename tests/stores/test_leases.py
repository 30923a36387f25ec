"""Leases and condemnations: saving and sweeping the same bytes at the same time (SEMANTICS 28)."""

from __future__ import annotations

import hashlib
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from sqlalchemy import insert

from jeyn import Workspace
from jeyn.errors import Busy
from jeyn.stores.care.gc import collect, remove
from jeyn.stores.catalog import leases as module
from jeyn.stores.catalog.leases import CONDEMNED_SECONDS, LEASE_SECONDS, Leases, absolve, condemn
from jeyn.stores.catalog.process import this_process
from jeyn.stores.catalog.tables import condemned
from tests.stores.digits import a_checkpoint

DATA = b"some bytes"
DIGEST = hashlib.sha256(DATA).hexdigest()
Clock = Callable[[int], None]


@pytest.fixture
def pass_time(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Moves the clock of leases on by some seconds."""
    shift = 0
    now = module._now

    def move(seconds: int) -> None:
        nonlocal shift
        shift += seconds * 10**6

    monkeypatch.setattr(module, "_now", lambda: now() + shift)
    return move


def test_rule_28_a_leased_digest_is_not_condemned(workspace: Workspace) -> None:
    leases = Leases(workspace.database)
    leases.take([DIGEST])
    assert condemn(workspace.database, [DIGEST], "sweeper") == []
    leases.release()
    assert condemn(workspace.database, [DIGEST], "sweeper") == [DIGEST]


def test_rule_28_a_digest_has_as_many_leases_as_holders(workspace: Workspace) -> None:
    one, two = Leases(workspace.database), Leases(workspace.database)
    one.take([DIGEST])
    two.take([DIGEST])
    one.release()
    assert condemn(workspace.database, [DIGEST], "sweeper") == []


def test_rule_28_a_put_that_meets_a_condemned_digest_waits_then_uploads_again(workspace: Workspace) -> None:
    workspace.payloads.put(DIGEST, DATA)
    assert condemn(workspace.database, [DIGEST], "sweeper") == [DIGEST]
    saved = threading.Event()

    def save() -> None:
        workspace._writer().keep(DATA, "data")
        saved.set()

    saver = threading.Thread(target=save)
    saver.start()
    assert not saved.wait(0.5)
    workspace.payloads.delete(DIGEST)
    absolve(workspace.database, [DIGEST], "sweeper")
    saver.join(30)
    assert saved.is_set()
    assert workspace.payloads.read(DIGEST) == DATA


def test_rule_28_a_put_does_not_wait_for_ever(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAIT_SECONDS", 0.2)
    condemn(workspace.database, [DIGEST], "sweeper")
    with pytest.raises(Busy, match="sweep"):
        Leases(workspace.database).take([DIGEST])


def test_rule_28_an_expired_lease_protects_nothing(workspace: Workspace, pass_time: Clock) -> None:
    Leases(workspace.database).take([DIGEST])
    pass_time(LEASE_SECONDS - 5)
    assert condemn(workspace.database, [DIGEST], "sweeper") == []
    pass_time(6)
    assert condemn(workspace.database, [DIGEST], "sweeper") == [DIGEST]


def test_rule_28_the_heartbeat_renews_a_lease(workspace: Workspace, pass_time: Clock) -> None:
    leases = Leases(workspace.database)
    leases.take([DIGEST])
    pass_time(LEASE_SECONDS - 5)
    assert leases.lapsed
    assert leases.renew()
    assert not leases.lapsed
    pass_time(LEASE_SECONDS - 5)
    assert condemn(workspace.database, [DIGEST], "sweeper") == []


def test_rule_28_renewing_what_is_being_swept_says_so(workspace: Workspace, pass_time: Clock) -> None:
    leases = Leases(workspace.database)
    leases.take([DIGEST])
    pass_time(LEASE_SECONDS + 1)
    condemn(workspace.database, [DIGEST], "sweeper")
    assert not leases.renew()


def test_rule_28_a_dead_sweepers_condemnation_is_taken_over_by_a_saver(workspace: Workspace, pass_time: Clock) -> None:
    assert condemn(workspace.database, [DIGEST], "dead") == [DIGEST]
    pass_time(CONDEMNED_SECONDS + 1)
    Leases(workspace.database).take([DIGEST])
    assert condemn(workspace.database, [DIGEST], "other") == []


def test_rule_28_a_dead_sweepers_condemnation_is_taken_over_by_a_sweeper(
    workspace: Workspace, pass_time: Clock
) -> None:
    assert condemn(workspace.database, [DIGEST], "dead") == [DIGEST]
    assert condemn(workspace.database, [DIGEST], "other") == []
    pass_time(CONDEMNED_SECONDS + 1)
    assert condemn(workspace.database, [DIGEST], "other") == [DIGEST]
    absolve(workspace.database, [DIGEST], "dead")
    assert condemn(workspace.database, [DIGEST], "third") == []


def test_rule_28_a_sweeper_stops_deleting_long_before_its_condemnation_expires(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    digests = [hashlib.sha256(bytes([number])).hexdigest() for number in range(4)]
    for number, digest in enumerate(digests):
        workspace.payloads.put(digest, bytes([number]))
    left: list[float] = []
    monotonic, shift, began = time.monotonic, 0.0, 0.0
    delete = workspace.payloads.files.delete

    def condemned(*args: object) -> list[str]:
        nonlocal began
        began = time.monotonic()
        return condemn(*args)  # type: ignore[arg-type]

    def slow(digest: str) -> None:
        nonlocal shift
        left.append(CONDEMNED_SECONDS - (time.monotonic() - began))
        delete(digest)
        shift += 70

    monkeypatch.setattr(time, "monotonic", lambda: monotonic() + shift)
    monkeypatch.setattr("jeyn.stores.care.gc.condemn", condemned)
    monkeypatch.setattr(workspace.payloads.files, "delete", slow)
    assert sorted(remove(workspace, digests)) == sorted(digests)
    assert min(left) >= 60
    assert len(left) == 4


def test_rule_28_an_attempt_whose_bytes_were_swept_does_not_commit(workspace: Workspace, pass_time: Clock) -> None:
    with workspace.attempt() as attempt:
        a_checkpoint(attempt)
        pass_time(LEASE_SECONDS + 1)
        for payload in list(workspace.payloads.list()):
            assert remove(workspace, [payload.digest]) == [payload.digest]
        with pytest.raises(Busy, match="sweep"):
            attempt.finish()
    assert workspace.reader.highest("checkpoint:digit-reader") is None


def test_rule_28_an_attempt_whose_leases_lapsed_but_whose_bytes_are_there_commits(
    workspace: Workspace, pass_time: Clock
) -> None:
    with workspace.attempt() as attempt:
        a_checkpoint(attempt, seed=3)
        pass_time(LEASE_SECONDS + 1)
        attempt.finish()
    assert workspace.model_store.get_checkpoint("digit-reader@latest").load()[0] == 3.0
    assert workspace.fsck().ok


def test_rule_28_a_save_that_took_too_long_uploads_again(workspace: Workspace, pass_time: Clock) -> None:
    times = 0

    def build(writer: Workspace) -> list[object]:
        nonlocal times
        times += 1
        writer.keep(DATA, "data")
        if times == 1:
            pass_time(LEASE_SECONDS + 1)
            assert remove(workspace, [DIGEST]) == [DIGEST]
        return []

    workspace.save(build)  # type: ignore[arg-type]
    assert times == 2
    assert workspace.payloads.exists(DIGEST)


def test_rule_28_a_delete_that_fails_leaves_its_digest_condemned(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, sql: Callable[..., list[tuple[str]]]
) -> None:
    other = hashlib.sha256(b"x").hexdigest()
    monkeypatch.setattr(workspace.payloads.files, "delete", lambda digest: (_ for _ in ()).throw(Busy("no answer")))
    with pytest.raises(Busy):
        remove(workspace, [DIGEST, other])
    assert [digest for (digest,) in sql("SELECT digest FROM condemned")] == [DIGEST]


def test_rule_28_leases_end_with_the_save(workspace: Workspace, sql: Callable[..., list[tuple[int]]]) -> None:
    a_checkpoint(workspace)
    assert sql("SELECT count(*) FROM lease")[0][0] == 0
    collect(workspace)
    assert sql("SELECT count(*) FROM condemned")[0][0] == 0


SWEEPER = """
import sys, time
from jeyn.stores.catalog.database import Database
from jeyn.stores.catalog.leases import condemn

print(condemn(Database(sys.argv[1]), [sys.argv[2]], "sweeper"), flush=True)
time.sleep(300)
"""


@pytest.fixture
def sweeping(workspace: Workspace) -> Iterator[subprocess.Popen[str]]:
    """Another process, which has condemned the digest and goes on."""
    arguments = [sys.executable, "-c", SWEEPER, workspace.database.address, DIGEST]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == f"['{DIGEST}']\n"
        yield process
        process.kill()


def a_condemnation(workspace: Workspace, expires_in: float, host: str | None = None) -> None:
    by = {"host": host, "pid": 1, "started": 1} if host else {}
    expires = module._now() + int(expires_in * 10**6)
    with workspace.database.write_soft() as connection:
        connection.execute(insert(condemned), {"digest": DIGEST, "sweeper": "s", "expires": expires, **by})


def test_rule_28_a_condemnation_ends_with_the_process_that_holds_it(
    workspace: Workspace, sweeping: subprocess.Popen[str]
) -> None:
    leases = Leases(workspace.database)
    assert leases._try([DIGEST]), "its holder is at work"
    sweeping.kill()
    sweeping.wait()
    begun = time.monotonic()
    leases.take([DIGEST])
    assert time.monotonic() - begun < 60
    assert workspace.fsck().ok


def test_rule_28_a_sweep_takes_over_from_one_that_was_killed(
    workspace: Workspace, sweeping: subprocess.Popen[str]
) -> None:
    assert condemn(workspace.database, [DIGEST], "other") == []
    sweeping.kill()
    sweeping.wait()
    assert condemn(workspace.database, [DIGEST], "other") == [DIGEST]


def test_rule_28_a_number_that_another_process_has_now_is_nobodys_who_held_it() -> None:
    now = this_process()
    assert not now.has_ended
    assert replace(now, started=now.started + 1).has_ended
    assert not replace(now, host="elsewhere", pid=2**22 + 1).has_ended, "nobody here can say"


def test_rule_28_a_condemnation_of_a_clock_that_is_ahead_holds_nothing(workspace: Workspace) -> None:
    a_condemnation(workspace, 80 * 365 * 86400)
    assert workspace.fsck().counts == {"stale_condemnation": 1}
    Leases(workspace.database).take([DIGEST])
    assert workspace.fsck().ok


def test_rule_28_whoever_waits_long_enough_needs_no_clock(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CONDEMNED_SECONDS", 0.5)
    a_condemnation(workspace, 3600, "elsewhere")  # an hour ahead
    begun = time.monotonic()
    Leases(workspace.database).take([DIGEST])
    assert 0.5 <= time.monotonic() - begun < 30


def test_rule_28_waiting_says_for_what(
    workspace: Workspace,
    sweeping: subprocess.Popen[str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(module, "QUIET_SECONDS", 0.1)
    monkeypatch.setattr(module, "WAIT_SECONDS", 0.5)
    who = f'jeyn gc, process {sweeping.pid} on "{socket.gethostname()}"'
    with pytest.raises(Busy, match=re.escape(who)):
        Leases(workspace.database).take([DIGEST])
    assert who in caplog.text


def test_fsck_takes_away_what_a_killed_sweep_condemned(workspace: Workspace, sweeping: subprocess.Popen[str]) -> None:
    assert workspace.fsck(repair=True).ok, "its holder is at work"
    sweeping.kill()
    sweeping.wait()
    found = workspace.fsck()
    assert (found.counts, found.left) == ({"stale_condemnation": 1}, 1)
    assert str(sweeping.pid) in found.of("stale_condemnation")[0].problem
    assert workspace.fsck(repair=True).left == 0
    assert workspace.fsck().ok
