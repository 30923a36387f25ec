"""Attempts that begin under a drawn key: the catalog may hear of one when it has lasted, or when it ends."""

from __future__ import annotations

import pytest

from jeyn import Workspace
from jeyn.stores.catalog.commit import AttemptLost
from jeyn.stores.runs import NewAttempt, Settled
from tests.stores.runs_world import a_value, an_operation

KEY = 2**61 + 12_345  # wider than what JSON's numbers hold everywhere
BEGAN = 1_700_000_000_000_000


def begun(operation: int, number: int = 1, key: int = KEY) -> NewAttempt:
    return NewAttempt(key, operation, number, "here", 4321, BEGAN)


def finish(workspace: Workspace, new: NewAttempt) -> None:
    with workspace.attempt(new.operation, new.key) as attempt:
        attempt.begun = new
        attempt.finish([("return", 0, a_value(attempt, 1))], log="done\n")


@pytest.mark.parametrize("recorded", [False, True])
def test_an_end_needs_no_beginning(workspace: Workspace, recorded: bool) -> None:
    new = begun(an_operation(workspace).key)
    if recorded:
        workspace.runs.record_attempts([new])
    finish(workspace, new)
    workspace.runs.record_attempts([new])  # too late: it stays ended
    (row,) = workspace.runs.operations(workspace.runs.get("r1").key)
    assert (row.state, row.started) == ("succeeded", BEGAN)
    (found,) = workspace.runs.attempts(row.key)
    assert (found.key, found.number, found.host, found.pid, found.at) == (KEY, 1, "here", 4321, BEGAN)
    assert found.state == "succeeded"
    assert found.ended is not None
    assert [(each.attempt, each.text) for each in workspace.runs.log(row.run_key)] == [(1, "done\n")]


def test_what_lasts_is_seen_to_run(workspace: Workspace) -> None:
    row = an_operation(workspace)
    for _ in range(2):
        workspace.runs.record_attempts([begun(row.key)])
    (now,) = workspace.runs.operations(row.run_key)
    assert (now.state, now.started, now.ended) == ("running", BEGAN, None)
    assert [each.state for each in workspace.runs.attempts(row.key)] == ["running"]


def test_an_operation_that_was_closed_does_not_run_again(workspace: Workspace) -> None:
    row = an_operation(workspace)
    workspace.runs.settle([Settled(row.key, "cancelled")])
    workspace.runs.record_attempts([begun(row.key)])
    (now,) = workspace.runs.operations(row.run_key)
    assert now.state == "cancelled"


def test_only_the_first_of_two_commits(workspace: Workspace) -> None:
    row = an_operation(workspace)
    finish(workspace, begun(row.key))
    with pytest.raises(AttemptLost):
        finish(workspace, begun(row.key, 2, KEY + 1))
    assert [each.number for each in workspace.runs.attempts(row.key)] == [1]
