"""`workspace.runs`: what a run writes as it goes, and what is asked of it later, on both databases."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time

import pytest

from jeyn import Workspace
from jeyn.errors import Ambiguous, NotFound
from jeyn.stores.catalog.changes import CacheKey
from jeyn.stores.catalog.commit import AttemptLost
from jeyn.stores.runs import NewOperation, Settled
from tests.stores.conftest import Sql
from tests.stores.digits import a_batch, a_checkpoint
from tests.stores.runs_world import KEY, a_run, a_value, an_operation


def test_a_run_is_kept_as_it_was_given(workspace: Workspace) -> None:
    run = a_run(workspace, names=("ingest", "train"))
    assert workspace.runs.get("r1") == run
    assert (run.id, run.pipeline, run.state, run.engine, run.actor) == ("r1", "nightly", "running", "local", "ada")
    assert (run.parameters, run.environment) == ({"strength": 0.5}, {"python": "3.12"})
    assert (run.plan, run.error, run.code, run.cancel_requested) == ('{"version": "plan/1"}', None, None, False)
    operations = workspace.runs.operations(run.key)
    assert [(o.name, o.function, o.position, o.item, o.state) for o in operations] == [
        ("ingest", "pipe:ingest", 0, -1, "waiting"),
        ("train", "pipe:train", 1, -1, "waiting"),
    ]
    assert [(e.kind, e.subject, e.data) for e in workspace.events()] == [
        ("jeyn.run.started", "r1", {"pipeline": "nightly"})
    ]


def test_a_run_keeps_its_code(workspace: Workspace) -> None:
    code = a_batch(workspace).id  # any artefact
    assert a_run(workspace, code=code).code == code
    with pytest.raises(NotFound, match="no artefact"):
        a_run(workspace, "r2", code="sha256:" + "0" * 64)
    assert [run.id for run in workspace.runs.list()] == ["r1"]


@pytest.mark.parametrize(
    ("state", "kind"),
    [("succeeded", "jeyn.run.finished"), ("failed", "jeyn.run.failed"), ("cancelled", "jeyn.run.cancelled")],
)
def test_a_run_ends_once_with_an_event(workspace: Workspace, state: str, kind: str) -> None:
    run = a_run(workspace)
    workspace.runs.finish(run.key, state, {"message": "x"} if state == "failed" else None)
    ended = workspace.runs.get("r1")
    assert (ended.state, ended.error) == (state, {"message": "x"} if state == "failed" else None)
    assert ended.ended is not None
    assert ended.ended >= ended.at
    assert workspace.events()[-1].kind == kind
    assert not workspace.runs.is_alive(ended)


def test_runs_are_found_by_id_beginning_and_last(workspace: Workspace) -> None:
    with pytest.raises(NotFound, match='no run "last"') as refused:
        workspace.runs.get("last")
    assert "jeyn run" in refused.value.hint
    for id in ("20260101-aaa", "20260101-abc", "20260202-b%c"):
        a_run(workspace, id)
    assert workspace.runs.get("last").id == "20260202-b%c"
    assert workspace.runs.get("20260202").id == "20260202-b%c"
    assert workspace.runs.get("20260101-ab").id == "20260101-abc"
    with pytest.raises(Ambiguous, match="begins 2 runs"):
        workspace.runs.get("20260101")
    for nothing in ("2026010%", "", "x"):
        with pytest.raises((NotFound, Ambiguous)):
            workspace.runs.get(nothing)
    with pytest.raises(NotFound) as refused:
        workspace.runs.get("20260101-abd")
    assert "did you mean 20260101-abc" in refused.value.hint


def test_runs_are_listed_newest_first(workspace: Workspace) -> None:
    for n, pipeline in enumerate(("nightly", "weekly", "nightly")):
        run = a_run(workspace, f"r{n}", pipeline=pipeline)
        if n:
            workspace.runs.finish(run.key, "failed" if n == 1 else "succeeded")
    assert [run.id for run in workspace.runs.list()] == ["r2", "r1", "r0"]
    assert [run.id for run in workspace.runs.list(limit=1)] == ["r2"]
    assert [run.id for run in workspace.runs.list(state="failed")] == ["r1"]
    assert [run.id for run in workspace.runs.list(pipeline="nightly")] == ["r2", "r0"]


def test_an_attempt_that_fails_can_be_tried_again(workspace: Workspace) -> None:
    row = an_operation(workspace)
    first = workspace.runs.start_attempt(row.key, 1, "here", 42)
    started = workspace.runs.operations(row.run_key)[0]
    assert (started.state, started.ended) == ("running", None)
    workspace.runs.fail_attempt(first, error={"message": "no luck"}, log="Traceback\n")
    assert workspace.runs.operations(row.run_key)[0].state == "running"
    second = workspace.runs.start_attempt(row.key, 2, "there", 43)
    workspace.runs.fail_attempt(second, state="timed out", error={"message": "slow"}, operation_state="failed")
    failed = workspace.runs.operations(row.run_key)[0]
    assert (failed.state, failed.error, failed.started) == ("failed", {"message": "slow"}, started.started)
    assert [(a.number, a.host, a.pid, a.state, a.error) for a in workspace.runs.attempts(row.key)] == [
        (1, "here", 42, "failed", {"message": "no luck"}),
        (2, "there", 43, "timed out", {"message": "slow"}),
    ]
    assert [(c.operation, c.attempt, c.text) for c in workspace.runs.log(row.run_key)] == [("train", 1, "Traceback\n")]


def test_what_has_committed_is_never_said_to_have_failed(workspace: Workspace) -> None:
    row = an_operation(workspace)
    key = workspace.runs.start_attempt(row.key, 1, "here", 1)
    with workspace.attempt(row.key, key) as attempt:
        attempt.finish()
    workspace.runs.fail_attempt(key, error={"message": "late"}, operation_state="failed")
    workspace.runs.settle([Settled(row.key, "cancelled")])
    assert workspace.runs.operations(row.run_key)[0].state == "succeeded"
    assert [a.state for a in workspace.runs.attempts(row.key)] == ["succeeded"]


def test_one_commit_ends_an_operation(workspace: Workspace, sql: Sql) -> None:
    batch = a_batch(workspace)
    row = an_operation(workspace)
    key = workspace.runs.start_attempt(row.key, 1, "here", 1)
    before = sql("SELECT seq FROM catalog_clock")[0][0]
    with workspace.attempt(row.key, key) as attempt:
        made = a_value(attempt, 7, parents=[batch.id])
        assert sql("SELECT count(*) FROM lease") == [(1,)]
        attempt.finish(
            [("return", 0, made)],
            inputs=[("batch", 0, batch.id)],
            cache=CacheKey(KEY, {"inputs": {"x": "1"}}),
            log="done\n",
        )
        assert attempt.leases.held == frozenset()
    assert sql("SELECT seq FROM catalog_clock") == [(before + 1,)]
    assert sql("SELECT count(*) FROM lease") == [(0,)]
    ended = workspace.runs.operations(row.run_key)[0]
    assert (ended.state, ended.cache_key, ended.effects, ended.error) == ("succeeded", KEY, (), None)
    assert workspace.runs.outputs([row.key, 99]) == {row.key: [("return", 0, made)], 99: []}
    assert workspace.runs.inputs([row.key]) == {row.key: [("batch", 0, batch.id)]}
    (entry,) = workspace.runs.entries(KEY)
    assert (entry.operation_key, entry.run_id, entry.name, entry.observations) == (row.key, "r1", "train", ())
    assert entry.components == {"inputs": {"x": "1"}}
    assert workspace.runs.last_entry("pipe:train") == entry
    assert workspace.runs.last_entry("pipe:other") is None
    assert [chunk.text for chunk in workspace.runs.log(row.run_key)] == ["done\n"]
    assert [(e.kind, e.subject, e.data) for e in workspace.events()][-1] == (
        "jeyn.operation.finished", "r1", {"operation": "train"}
    )  # fmt: skip
    assert workspace.runs.run_of(made) == ("r1", "train")
    assert workspace.runs.run_of(batch.id) is None


def test_a_loser_leaves_no_row(workspace: Workspace) -> None:
    row = an_operation(workspace)
    keys = [workspace.runs.start_attempt(row.key, number, "here", 1) for number in (1, 2)]
    with workspace.attempt(row.key, keys[0]) as slow, workspace.attempt(row.key, keys[1]) as quick:
        quick.finish(cache=CacheKey(KEY))
        with pytest.raises(AttemptLost):
            slow.finish(cache=CacheKey(KEY), log="mine")
    assert len(workspace.runs.entries(KEY)) == 1
    assert workspace.runs.log(row.run_key) == []
    assert [a.state for a in workspace.runs.attempts(row.key)] == ["running", "succeeded"]


def test_items_are_added_in_order_and_quickly(workspace: Workspace) -> None:
    run = a_run(workspace, names=("numbers", "square"))
    began = time.perf_counter()
    new = [NewOperation(f"square[{n}]", "pipe:square", 1, n) for n in range(1000)]
    made = workspace.runs.add_operations(run.key, new)
    assert time.perf_counter() - began < 2
    assert [row.item for row in made] == list(range(1000))
    names = [row.name for row in workspace.runs.operations(run.key)]
    assert names[:3] == ["numbers", "square", "square[0]"]
    assert names[-1] == "square[999]"


def test_what_is_cached_has_the_outputs_of_its_origin(workspace: Workspace) -> None:
    row = an_operation(workspace)
    with workspace.attempt(row.key, 1) as attempt:
        made = a_value(attempt, 7)
        attempt.finish([("return", 0, made)])
    again = a_run(workspace, "r2", ("train", "evaluate", "bless"))
    train, evaluate, bless = workspace.runs.operations(again.key)
    workspace.runs.settle(
        [
            Settled(train.key, "cached", origin=row.key, cache_key=KEY, inputs=(("x", 0, made),)),
            Settled(evaluate.key, "skipped"),
            Settled(bless.key, "failed", error={"message": "no"}),
        ]
    )
    settled = workspace.runs.operations(again.key)
    assert [(o.state, o.origin, o.cache_key) for o in settled] == [
        ("cached", row.key, KEY),
        ("skipped", None, None),
        ("failed", None, None),
    ]
    assert settled[2].error == {"message": "no"}
    assert workspace.runs.outputs([train.key]) == {train.key: [("return", 0, made)]}
    assert workspace.runs.inputs([train.key]) == {train.key: [("x", 0, made)]}
    assert workspace.runs.run_of(made) == ("r1", "train")
    with pytest.raises(NotFound, match="no artefact"):
        workspace.runs.settle([Settled(evaluate.key, "cached", outputs=(("return", 0, "sha256:" + "0" * 64),))])


def test_rule_20_adopted_operations_have_what_their_origin_had(workspace: Workspace) -> None:
    row = an_operation(workspace)
    with workspace.attempt(row.key, 1) as attempt:
        made = a_value(attempt, 7)
        attempt.finish([("return", 0, made)], inputs=[("x", 0, made)])
    resumed = a_run(
        workspace,
        "r2",
        operations=[
            NewOperation("train", "pipe:train", 0, state="adopted", origin=row.key),
            NewOperation("evaluate", "pipe:evaluate", 1),
        ],
        resumed_from=row.run_key,
    )
    adopted, waiting = workspace.runs.operations(resumed.key)
    assert (resumed.resumed_from, adopted.state, adopted.origin, waiting.state) == (
        workspace.runs.list()[1].id, "adopted", row.key, "waiting"
    )  # fmt: skip
    assert workspace.runs.outputs([adopted.key]) == {adopted.key: [("return", 0, made)]}
    assert workspace.runs.inputs([adopted.key]) == {adopted.key: [("x", 0, made)]}


def test_durations_are_those_of_the_newest_success(workspace: Workspace) -> None:
    for id in ("r1", "r2"):
        row = an_operation(workspace, id)
        key = workspace.runs.start_attempt(row.key, 1, "here", 1)
        if id == "r1":
            with workspace.attempt(row.key, key) as attempt:
                attempt.finish()
            done = workspace.runs.operations(row.run_key)[0]
    assert done.started is not None
    assert done.ended is not None
    assert workspace.runs.durations("nightly") == {"train": (done.ended - done.started) / 1e6}
    assert workspace.runs.durations("weekly") == {}


def test_a_cancel_is_asked_for_and_seen(workspace: Workspace) -> None:
    run = a_run(workspace)
    assert not workspace.runs.cancel_requested(run.key)
    assert workspace.runs.request_cancel("r1").id == "r1"
    assert workspace.runs.cancel_requested(run.key)


def test_who_is_alive(workspace: Workspace) -> None:
    run = a_run(workspace)
    assert run.heartbeat is not None
    assert workspace.runs.is_alive(run)
    assert not workspace.runs.is_alive(run, now=run.heartbeat + 31 * 10**6)
    time.sleep(0.001)
    workspace.runs.heartbeat(run.key)
    beaten = workspace.runs.get("r1")
    assert beaten.heartbeat is not None
    assert beaten.heartbeat > run.heartbeat
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert not workspace.runs.is_alive(a_run(workspace, "r2", pid=gone.pid))
    assert workspace.runs.is_alive(a_run(workspace, "r3", pid=gone.pid, host="elsewhere"))
    assert workspace.runs.is_alive(a_run(workspace, "r4", pid=1, host=socket.gethostname()))
    assert os.getpid() == run.pid


def test_logs_are_read_in_order_from_where_one_was(workspace: Workspace) -> None:
    run = a_run(workspace, names=("train", "train-2"))
    keys = [workspace.runs.start_attempt(row.key, 1, "here", 1) for row in workspace.runs.operations(run.key)]
    (item,) = workspace.runs.add_operations(run.key, [NewOperation("train[0]", "pipe:train", 0, 0)])
    keys.append(workspace.runs.start_attempt(item.key, 1, "here", 1))
    for n, key in enumerate((keys[0], keys[1], keys[0], keys[2])):
        workspace.runs.append_log(key, f"line {n}\n")
    found = workspace.runs.log(run.key)
    assert [(c.operation, c.text) for c in found] == [
        ("train", "line 0\n"), ("train-2", "line 1\n"), ("train", "line 2\n"), ("train[0]", "line 3\n")
    ]  # fmt: skip
    assert [c.text for c in workspace.runs.log(run.key, after=found[1].key)] == ["line 2\n", "line 3\n"]
    assert [c.text for c in workspace.runs.log(run.key, "train")] == ["line 0\n", "line 2\n", "line 3\n"]
    assert [c.text for c in workspace.runs.log(run.key, "train-2")] == ["line 1\n"]
    assert found[0].attempt_key == keys[0]
    assert workspace.runs.logged_bytes(keys[0]) == 14


def test_a_log_may_hold_any_bytes(workspace: Workspace) -> None:
    row = an_operation(workspace)
    key = workspace.runs.start_attempt(row.key, 1, "here", 1)
    workspace.runs.append_log(key, "a\0b \udcff é 🎲")
    assert [c.text for c in workspace.runs.log(row.run_key)] == ["a?b ? é 🎲"]


def test_results_without_their_bytes_are_no_results(workspace: Workspace) -> None:
    checkpoint = a_checkpoint(workspace)
    value = a_value(workspace, 7)
    assert workspace.runs.has_payloads([checkpoint.id, checkpoint.dataset.id, value])
    assert not workspace.runs.has_payloads(["sha256:" + "0" * 64])
    workspace.payloads.delete(checkpoint.record().payloads[0].digest[7:])
    assert not workspace.runs.has_payloads([checkpoint.id])
    assert workspace.runs.has_payloads([value])


def test_what_was_swept_is_no_result(workspace: Workspace) -> None:
    with workspace.attempt() as attempt:
        value = a_value(attempt, 7)
        attempt.finish()
    assert workspace.runs.has_payloads([value])
    workspace.gc(value, yes=True)
    assert not workspace.runs.has_payloads([value])
