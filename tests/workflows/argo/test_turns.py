"""How long an item in a pod waits for those before it, which claim their numbers first."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import replace
from typing import Any

import pytest

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

    def waited(self, **patience: float) -> float:
        begun = time.monotonic()
        self.step.await_turn(**patience)
        return time.monotonic() - begun


def test_rule_2_an_item_waits_while_an_earlier_one_runs(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    turn = Turn(world)
    turn.end(1)
    threading.Timer(1.5, turn.end, [0]).start()
    assert 1.3 <= turn.waited(seconds=0.1) < 30
    assert "goes ahead" not in capsys.readouterr().out


def test_rule_2_an_item_does_not_wait_long_for_a_retry_that_may_need_its_place(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    turn = Turn(world)
    turn.end(0, None)  # it is to be tried again
    assert 0.3 <= turn.waited(seconds=0.3) < 10
    assert "train[2]: goes ahead of 2 items" in capsys.readouterr().out


def test_rule_2_one_that_was_killed_is_not_waited_for_for_ever(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    turn = Turn(world)
    assert 0.5 <= turn.waited(seconds=0.1, longest=0.5) < 15
    assert "goes ahead" in capsys.readouterr().out


def test_rule_2_a_pod_goes_ahead_before_argo_ends_it(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    turn = Turn(world, timeout=0.2)
    assert turn.waited(seconds=0.3) < 10
    assert "goes ahead" in capsys.readouterr().out
