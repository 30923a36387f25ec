"""How long an item in a pod waits for those before it, which claim their numbers first."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import replace
from typing import Any

import pytest

from jeyn.stores.catalog.operations import Settled
from jeyn.workflows.step import Step
from tests.workflows.argo.world import World

ERROR: dict[str, Any] = {"code": "OPERATION_FAILED", "message": "no", "retry": True}


class Turn:
    """The last of three items, which is ready to commit, and what the first one does."""

    def __init__(self, world: World, **options: Any) -> None:
        plan = world.plan("mapped")
        world.start("--operation=ingest")
        world.start("--operation=train", "--expand")
        train = plan.operations[1]
        train = replace(train, options=replace(train.options, **options))
        self.runs, run = world.workspace.runs, world.run.row
        self.step = Step(world.workspace, run, plan, train, 2)
        self.keys = [row.key for row in self.runs.operations(run.key) if row.item >= 0]
        self.attempt = self.runs.start_attempt(self.keys[0], 1, "elsewhere", os.getpid())

    def end(self, item: int, state: str | None = "failed") -> None:
        attempt = self.attempt if item == 0 else self.runs.start_attempt(self.keys[item], 1, "elsewhere", 1)
        self.runs.fail_attempt(attempt, error=ERROR, operation_state=state)

    def skip(self, item: int) -> None:
        self.runs.settle([Settled(self.keys[item], "skipped")])

    def waited(self, may_commit: bool = False, **patience: float) -> float:
        begun = time.monotonic()
        assert self.step.await_turn(**patience) is may_commit
        return time.monotonic() - begun


def test_rule_02_an_item_waits_while_an_earlier_one_runs(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    turn = Turn(world)
    turn.skip(1)
    threading.Timer(1.5, turn.skip, [0]).start()
    assert 1.3 <= turn.waited(may_commit=True, seconds=0.1) < 30
    assert not capsys.readouterr().out


def test_rule_02_what_comes_after_one_that_failed_is_held_at_once(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    turn = Turn(world)
    turn.skip(1)
    turn.end(0)
    assert turn.waited(seconds=30) < 10
    assert "train[2]: is done, and held: an item before it did not end well" in capsys.readouterr().out


def test_rule_02_an_item_does_not_wait_long_for_a_retry_that_may_need_its_place(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    turn = Turn(world)
    turn.end(0, None)  # it is to be tried again
    assert 0.3 <= turn.waited(seconds=0.3) < 10
    assert "train[2]: is done, and held until 2 items before it have ended" in capsys.readouterr().out


def test_rule_02_one_that_was_killed_is_not_waited_for_for_ever(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    turn = Turn(world)
    assert 0.5 <= turn.waited(seconds=0.1, longest=0.5) < 15
    assert "held until 2 items" in capsys.readouterr().out


def test_rule_02_a_pod_holds_its_work_before_argo_ends_it(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    turn = Turn(world, timeout=0.2)
    assert turn.waited(seconds=0.3) < 10
    assert "held until 2 items" in capsys.readouterr().out
