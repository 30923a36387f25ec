"""SEMANTICS 17 and 19 as the stores keep them: which results are taken over, and which never are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jeyn import Workspace
from jeyn.formulas import StreamingFormula
from jeyn.stores.attempt import Attempt
from jeyn.stores.observation import holds
from tests.stores.digits import Digits, a_checkpoint
from tests.stores.runs_world import ran

DAYS = StreamingFormula("days", version="1.0.0", output_catalog=Digits, source="*.csv")


def is_hit(workspace: Workspace, entry: Any) -> bool:
    return entry is not None and all(holds(workspace, each) for each in entry.observations)


def test_rule_17_an_ingest_runs_again_when_a_file_arrives(workspace: Workspace, home: Path) -> None:
    def ingest(attempt: Attempt) -> None:
        attempt.dataset_store.save_batch(DAYS.get_new_batch())

    data = home.parent / "data"
    data.mkdir()
    (data / "day-1.csv").write_text("x,label\n0.5,1\n")
    first = ran(workspace, ingest)
    assert is_hit(workspace, first)
    (data / "day-2.csv").write_text("x,label\n0.5,2\n")
    assert not is_hit(workspace, first)
    second = ran(workspace, ingest, "r2")
    assert is_hit(workspace, second)
    assert not is_hit(workspace, first)
    assert [entry.run_id for entry in workspace.runs.entries(second.cache_key if second else "")] == ["r2", "r1"]


def test_rule_17_a_train_that_reads_what_is_blessed_runs_again_after_a_bless(workspace: Workspace) -> None:
    def train(attempt: Attempt) -> None:
        parent = attempt.model_store.get_checkpoint("digit-reader@blessed", default=None)
        a_checkpoint(attempt, 5, parents=[parent] if parent else [])

    first = ran(workspace, train)
    assert is_hit(workspace, first)
    a_checkpoint(workspace, 9)
    assert is_hit(workspace, first)
    workspace.model_store.bless("digit-reader@0.1.0")
    assert not is_hit(workspace, first)
    second = ran(workspace, train, "r2")
    assert is_hit(workspace, second)
    workspace.model_store.bless("digit-reader@latest")
    assert not is_hit(workspace, second)


def test_rule_17_what_was_read_before_an_own_save_is_asked_again(workspace: Workspace) -> None:
    def tune(attempt: Attempt) -> None:
        attempt.model_store.get_checkpoint("digit-reader@latest", default=None)
        a_checkpoint(attempt, 5)

    assert not is_hit(workspace, ran(workspace, tune))  # there is a newer one now: its own
    assert is_hit(workspace, ran(workspace, tune, "r2"))  # which it saved again


def test_rule_17_what_cannot_be_observed_leaves_no_entry(workspace: Workspace) -> None:
    assert ran(workspace, lambda attempt: attempt.events()) is None
    (row,) = workspace.runs.operations(workspace.runs.get("r1").key)
    assert (row.state, row.effects) == ("succeeded", ())
    assert row.cache_key is not None


EFFECTS: dict[str, tuple[Callable[[Attempt], Any], tuple[str, ...]]] = {
    "bless": (lambda a: a.model_store.bless("digit-reader@0.1.0"), ("bless digit-reader@blessed",)),
    "alias": (lambda a: a.set_alias("digit-reader@0.1.0", "good"), ("alias digit-reader@good",)),
    "tag": (lambda a: a.tag("digits@1.0.0", "gold"), ("tag gold on sha256:",)),
    "pin": (lambda a: a.pin("digits@1.0.0", present=False), ("no pin on sha256:",)),
    "rollback": (
        lambda a: (a.model_store.bless("digit-reader@0.1.0"), a.model_store.rollback("digit-reader")),
        ("bless digit-reader@blessed", "withdrawn on sha256:", "rollback digit-reader@blessed"),
    ),
}


@pytest.mark.parametrize("name", EFFECTS)
def test_rule_19_an_effect_is_recorded_and_never_taken_over(workspace: Workspace, name: str) -> None:
    do, said = EFFECTS[name]
    a_checkpoint(workspace)
    assert ran(workspace, do) is None
    (row,) = workspace.runs.operations(workspace.runs.get("r1").key)
    assert len(row.effects) == len(said)
    assert all(effect.startswith(start) for effect, start in zip(row.effects, said, strict=True))


def test_rule_19_saving_a_checkpoint_of_a_new_use_case_is_no_effect(workspace: Workspace) -> None:
    assert is_hit(workspace, ran(workspace, lambda attempt: a_checkpoint(attempt)))


def test_rule_19_a_bless_that_a_rollback_forbids_is_asked_again(workspace: Workspace) -> None:
    workspace.model_store.bless(a_checkpoint(workspace))
    workspace.model_store.rollback("digit-reader")
    assert ran(workspace, lambda attempt: attempt.model_store.bless("digit-reader@0.1.0")) is None


def test_an_attempt_has_a_scratch_folder_that_goes_with_it(workspace: Workspace, home: Path) -> None:
    with workspace.attempt() as attempt:
        assert not (home / "scratch").exists()
        picture = attempt.scratch / "picture.png"
        picture.write_bytes(b"png")
        assert attempt.scratch == picture.parent
        assert attempt.scratch.is_relative_to(home / "scratch")
    assert not picture.parent.exists()


def test_an_attempt_has_a_seed_and_reports_to_whoever_asks(workspace: Workspace) -> None:
    told: list[tuple[int, int | None]] = []
    with workspace.attempt() as attempt:
        attempt.report_progress(1, 2)
        attempt.seed, attempt.report_progress = 42, lambda done, total: told.append((done, total))
        attempt.report_progress(1, 2)
        assert attempt.seed == 42
    assert told == [(1, 2)]
