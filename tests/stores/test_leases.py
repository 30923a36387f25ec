"""Leases and condemnations: saving and sweeping the same bytes at the same time (SEMANTICS 28)."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable

import pytest

from jeyn import Workspace
from jeyn.errors import Busy
from jeyn.stores.care.gc import collect, remove
from jeyn.stores.catalog import leases as module
from jeyn.stores.catalog.leases import CONDEMNED_SECONDS, LEASE_SECONDS, Leases, absolve, condemn
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
