"""A corrected file under the same path replaces what an earlier batch has of it (SEMANTICS 32)."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

from jeyn import MlUseCase, Workspace
from jeyn.errors import DataInvalid
from jeyn.stores.batches.new_batch import what_is_new
from tests.stores.datasets.test_history import SALES, Sales, amounts, data, epochs, ingest, put

__all__ = ["data"]
FORECAST = MlUseCase("forecast", input_catalog=Sales, output_catalog=Sales)


def news(workspace: Workspace) -> str:
    return what_is_new(workspace, workspace.dataset_store.get_formula(SALES.name)).new


def test_rule_32_a_corrected_file_supersedes_its_batch(
    workspace: Workspace, data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(data, "january.parquet", 1)
    january = ingest(workspace)
    put(data, "february.parquet", 2)
    old = ingest(workspace)
    put(data, "february.parquet", 22)
    assert news(workspace) == "february.parquet (1 new file); february.parquet replaces what batch 2 has of it"
    with caplog.at_level(logging.WARNING):
        new = ingest(workspace)
    assert "sales: february.parquet replaces what batch 2 has of it" in caplog.text
    assert (new.epoch, amounts(new)) == (3, [22])
    assert new.supersedes == {"february.parquet": old.ref}
    assert old.superseded_files == {"february.parquet": new.ref}
    assert (old.is_superseded, new.is_superseded, january.is_superseded) == (True, False, False)
    assert epochs(workspace) == [1, 3]
    assert epochs(workspace, include_superseded=True) == [1, 2, 3]
    assert amounts(old) == [2], "what a model was trained on stays as it was"
    assert workspace.dataset_store.get_latest_formula_batch(SALES) == new
    assert news(workspace) == ""
    marks = [(mark.kind, mark.value, mark.present) for mark in workspace.marks(old)]
    assert marks == [("superseded_file", "february.parquet", True), ("superseded", "", True)]


def test_rule_32_a_file_corrected_twice_is_replaced_twice(workspace: Workspace, data: Path) -> None:
    for amount in (1, 2, 3):
        put(data, "a.parquet", amount)
        ingest(workspace)
    assert epochs(workspace) == [3]
    batches = workspace.dataset_store.get_formula_batches(SALES, include_superseded=True)
    assert [dict(batch.supersedes) for batch in batches] == [
        {},
        {"a.parquet": batches[0].ref},
        {"a.parquet": batches[1].ref},
    ]


def test_rule_32_a_batch_of_which_some_files_are_replaced_stays_and_says_which(
    workspace: Workspace, data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(data, "a.parquet", 1)
    put(data, "b.parquet", 2)
    both = ingest(workspace)
    put(data, "b.parquet", 22)
    new = ingest(workspace)
    assert both.superseded_files == {"b.parquet": new.ref}
    assert not both.is_superseded
    caplog.clear()
    assert epochs(workspace) == [1, 2]
    assert f'{both.ref} still has "b.parquet" as it was before {new.ref} replaced it' in caplog.text
    put(data, "a.parquet", 11)
    ingest(workspace)
    assert both.is_superseded
    assert epochs(workspace) == [2, 3]


def test_rule_32_content_that_returns_makes_its_batch_the_current_one(workspace: Workspace, data: Path) -> None:
    put(data, "a.parquet", 1)
    first = ingest(workspace)
    put(data, "a.parquet", 2)
    second = ingest(workspace)
    put(data, "a.parquet", 1)
    assert news(workspace) == "a.parquet is again as batch 1 has it"
    again = ingest(workspace)
    assert (again.id, again.epoch, again.is_new) == (first.id, 1, False)
    assert (first.is_superseded, second.is_superseded) == (False, True)
    assert epochs(workspace) == [1]
    assert workspace.dataset_store.get_batch("sales@^1/latest") == first
    assert news(workspace) == ""
    put(data, "a.parquet", 3)
    assert ingest(workspace).epoch == 3
    assert epochs(workspace) == [3]


def test_rule_32_a_renamed_or_doubled_file_replaces_nothing(workspace: Workspace, data: Path) -> None:
    put(data, "a.parquet", 1)
    first = ingest(workspace)
    (data / "a.parquet").rename(data / "b.parquet")
    assert news(workspace) == ""
    assert ingest(workspace) == first
    put(data, "a.parquet", 5)
    second = ingest(workspace)
    assert second.supersedes == {}, "what it was called before is there under another name"
    assert epochs(workspace) == [1, 2]


def test_rule_32_two_files_that_change_names_replace_nothing(workspace: Workspace, data: Path) -> None:
    put(data, "a.parquet", 1)
    put(data, "b.parquet", 2)
    ingest(workspace)
    (data / "a.parquet").rename(data / "c")
    (data / "b.parquet").rename(data / "a.parquet")
    (data / "c").rename(data / "b.parquet")
    assert news(workspace) == ""
    assert epochs(workspace) == [1]


def test_rule_32_a_file_that_is_gone_is_not_replaced(workspace: Workspace, data: Path) -> None:
    put(data, "a.parquet", 1)
    ingest(workspace)
    (data / "a.parquet").unlink()
    put(data, "b.parquet", 2)
    ingest(workspace)
    assert epochs(workspace) == [1, 2]


def test_rule_32_what_fails_its_checks_replaces_nothing(workspace: Workspace, data: Path) -> None:
    put(data, "a.parquet", 1)
    first = ingest(workspace)
    (data / "a.parquet").write_bytes(b"PAR1 no parquet PAR1")
    with pytest.raises(DataInvalid):
        ingest(workspace)
    assert first.superseded_files == {}
    assert epochs(workspace) == [1]


def test_rule_32_a_version_of_its_own_replaces_nothing_of_another(workspace: Workspace, data: Path) -> None:
    from jeyn.formulas import StreamingFormula

    put(data, "a.parquet", 1)
    ingest(workspace)
    put(data, "a.parquet", 2)
    second = StreamingFormula("sales", version="1.1.0", output_catalog=Sales, source="*.parquet")
    workspace.dataset_store.save_batch(second.get_new_batch())
    assert epochs(workspace) == [1]


def test_rule_32_an_attempt_reads_its_own_replacement_and_a_discarded_one_leaves_none(
    workspace: Workspace, data: Path
) -> None:
    put(data, "a.parquet", 1)
    ingest(workspace)
    put(data, "a.parquet", 2)
    with workspace.attempt() as attempt:
        attempt.dataset_store.save_batch(SALES.get_new_batch())
        assert [amounts(batch) for batch in attempt.dataset_store.get_formula_batches(SALES)] == [[2]]
        assert attempt.effects == ()
    assert epochs(workspace) == [1]
    with workspace.attempt() as attempt:
        attempt.dataset_store.save_batch(SALES.get_new_batch())
        attempt.finish()
    assert epochs(workspace) == [2]


def test_rule_32_impact_names_the_models_of_superseded_batches(workspace: Workspace, data: Path) -> None:
    put(data, "a.parquet", 1)
    old = ingest(workspace)
    model = workspace.model_store.save_checkpoint(FORECAST.update_minor(dataset=old, model=np.array([1.0])))
    put(data, "a.parquet", 2)
    new = ingest(workspace)
    fresh = workspace.model_store.save_checkpoint(FORECAST.update_minor(dataset=new, model=np.array([2.0])))
    reasons = {item.id: item.reasons for item in workspace.impact("sales@1.0.0")}
    assert reasons[model.id] == (f'trained on {old.ref}, whose "a.parquet" {new.ref} replaced',)
    assert reasons[fresh.id] == ()
    assert "whose" in str(workspace.impact(old.ref))


def test_rule_32_one_commit_writes_the_batch_and_what_it_replaces(workspace: Workspace, data: Path) -> None:
    put(data, "a.parquet", 1)
    ingest(workspace)
    put(data, "a.parquet", 2)
    ingest(workspace)
    last = workspace.events(limit=1000)[-3:]
    assert len({event.seq for event in last}) == 1
    assert [event.kind for event in last] == [
        "jeyn.batch.saved",
        "jeyn.batch.superseded",
        "jeyn.batch.superseded",
    ]
