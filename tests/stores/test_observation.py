"""What an attempt observes, when that still holds, and the sentence that says what differs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jeyn import Workspace
from jeyn.errors import NoData, NotFound
from jeyn.formulas import StreamingFormula
from jeyn.stores.attempt import Attempt
from jeyn.stores.catalog.changes import Observation
from jeyn.stores.observation import explain, holds
from jeyn.stores.serializers.values import encode_artefacts
from tests.stores.datasets.formula_cases import Composite, Model, Streaming
from tests.stores.datasets.formula_cases import Sql as SqlCase
from tests.stores.digits import DIGITS, READER, Digits, a_batch, a_checkpoint
from tests.stores.runs_world import a_value

CASES = (Streaming, SqlCase, Composite, Model)


def observed(workspace: Workspace, read: Callable[[Attempt], Any]) -> tuple[Observation, ...]:
    with workspace.attempt() as attempt:
        read(attempt)
        return attempt.observations


def differing(workspace: Workspace, observations: tuple[Observation, ...]) -> list[str]:
    return [explain(workspace, each) for each in observations if not holds(workspace, each)]


# kind -> (what an operation reads, what changes the answer, what is said then)
READS: dict[str, tuple[Callable[[Attempt], Any], Callable[[Workspace], Any], str]] = {
    "ref": (
        lambda a: a.get("digit-reader@latest"),
        lambda w: a_checkpoint(w, 2),
        "digit-reader@latest is now digit-reader@0.2.0, it was digit-reader@0.1.0",
    ),
    "an alias by reference": (
        lambda a: a.model_store.get_checkpoint("digit-reader@blessed", default=None),
        lambda w: w.model_store.bless("digit-reader@0.1.0"),
        "digit-reader@blessed is now digit-reader@0.1.0, there was none",
    ),
    "a model by reference": (
        lambda a: a.model_store.load("digit-reader@^0.1"),
        lambda w: a_checkpoint(w, 2, level="patch"),
        "digit-reader@^0.1 is now digit-reader@0.1.1, it was digit-reader@0.1.0",
    ),
    "a batch by reference": (
        lambda a: a.dataset_store.get_batch("digits@^1/latest"),
        lambda w: a_batch(w, 2),
        "digits@^1/latest is now digits@1.0.0/2, it was digits@1.0.0/1",
    ),
    "alias": (
        lambda a: a.alias("digit-reader@good"),
        lambda w: w.remove_alias("digit-reader@good", "good"),
        "digit-reader@good is gone, it was digit-reader@0.1.0",
    ),
    "latest": (
        lambda a: a.dataset_store.get_latest_formula_batch(DIGITS),
        lambda w: a_batch(w, 2),
        "the latest batch of digits@1.0.0 is now digits@1.0.0/2, it was digits@1.0.0/1",
    ),
    "batches": (
        lambda a: a.dataset_store.get_formula_batches(DIGITS),
        lambda w: a_batch(w, 2),
        "digits@1.0.0 has 2 batches now, it had 1",
    ),
    "search": (
        lambda a: a.search("type:checkpoint", order="name"),
        lambda w: a_checkpoint(w, 2),
        'the search "type:checkpoint" finds 2 now, it found 1',
    ),
    "tags": (
        lambda a: a.tags("digits@1.0.0/1"),
        lambda w: w.tag("digits@1.0.0/1", "gold"),
        "the tags of digits@1.0.0/1 are now gold, they were none",
    ),
    "contract": (
        lambda a: a.model_store.get_use_case("digit-reader"),
        lambda w: w.model_store.save_use_case(
            type(READER)("digit-reader", input_catalog=Digits, output_catalog=READER.output_catalog)
        ),
        'the catalogs of the use case "digit-reader" have changed',
    ),
}


@pytest.mark.parametrize("name", READS)
def test_rule_17_a_read_holds_until_its_answer_changes(workspace: Workspace, name: str) -> None:
    read, change, sentence = READS[name]
    a_checkpoint(workspace)
    workspace.set_alias("digit-reader@0.1.0", "good")
    observations = observed(workspace, read)
    assert observations
    assert differing(workspace, observations) == []
    change(workspace)
    assert differing(workspace, observations) == [sentence]


def test_rule_17_what_is_exact_is_not_observed(workspace: Workspace) -> None:
    checkpoint = a_checkpoint(workspace)

    def read(attempt: Attempt) -> None:
        attempt.get(checkpoint.id)
        attempt.get(checkpoint)
        attempt.model_store.get_checkpoint(checkpoint.id).load()
        attempt.upstream(checkpoint)
        attempt.get(checkpoint.id).dataset.load()

    assert observed(workspace, read) == ()


def test_rule_17_each_question_is_observed_once_and_in_order(workspace: Workspace) -> None:
    a_checkpoint(workspace)

    def read(attempt: Attempt) -> None:
        for ref in ("digit-reader@latest", "digits@1.0.0/1", "digit-reader@latest"):
            attempt.get(ref)

    assert [each.subject for each in observed(workspace, read)] == ["digit-reader@latest", "digits@1.0.0/1"]


def test_rule_17_what_is_not_there_is_observed(workspace: Workspace) -> None:
    def read(attempt: Attempt) -> None:
        for missing in ("digit-reader@latest", "sha256:" + "0" * 64):
            with pytest.raises(NotFound):
                attempt.get(missing)
        with pytest.raises(NotFound):
            attempt.alias("digit-reader@blessed")

    observations = observed(workspace, read)
    assert [each.answer for each in observations] == [None, None, None]
    assert differing(workspace, observations) == []
    workspace.model_store.bless(a_checkpoint(workspace))
    assert differing(workspace, observations) == [
        "digit-reader@latest is now digit-reader@0.1.0, there was none",
        "digit-reader@blessed is now digit-reader@0.1.0, there was none",
    ]


def test_rule_17_a_kind_that_contradicts_its_reference_is_not_observed(workspace: Workspace) -> None:
    a_checkpoint(workspace)

    def read(attempt: Attempt) -> None:
        with pytest.raises(NotFound):
            attempt.get("batch:digits@1.0.0/1", kind="checkpoint")

    assert observed(workspace, read) == ()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_rule_17_a_batch_of_what_is_new_holds_until_there_is_more(
    case: type[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    world = case(tmp_path)
    world.add(1000)
    workspace = world.workspace
    observations = _ingested(workspace, world)
    assert [each.kind for each in observations][-1] == "new"
    # Its own commit breaks nothing, and neither does asking again when nothing came.
    assert differing(workspace, observations) == []
    assert differing(workspace, _ingested(workspace, world)) == []
    world.add(2000)
    if case in (Composite, Model):
        workspace.dataset_store.save_batch(world.source().get_new_batch())
    assert " has new data: " in differing(workspace, observations)[-1]
    # Another took it: then there is nothing new, but another latest batch.
    world.save()
    assert differing(workspace, observations)
    workspace.close()


def _ingested(workspace: Workspace, world: Any) -> tuple[Observation, ...]:
    with workspace.attempt() as attempt:
        world.workspace = attempt
        try:
            world.save()
        finally:
            world.workspace = workspace
        attempt.finish()
        return attempt.observations


def test_rule_17_new_files_are_named(workspace: Workspace, home: Path) -> None:
    data = home.parent / "data"
    data.mkdir()
    formula = StreamingFormula("days", version="1.0.0", output_catalog=Digits, source="*.csv")
    (data / "day-1.csv").write_text("x,label\n0.5,1\n")
    with workspace.attempt() as attempt:
        attempt.dataset_store.save_batch(formula.get_new_batch())
        attempt.finish()
    (observation,) = attempt.observations
    for day in range(2, 6):
        (data / f"day-{day}.csv").write_text(f"x,label\n0.5,{day}\n")
    assert explain(workspace, observation) == (
        "days@1.0.0 has new data: day-2.csv, day-3.csv, day-4.csv, … (4 new files)"
    )
    for day in range(3, 6):
        (data / f"day-{day}.csv").unlink()
    assert explain(workspace, observation) == "days@1.0.0 has new data: day-2.csv (1 new file)"
    workspace.dataset_store.save_batch(formula.get_new_batch())
    assert explain(workspace, observation) == (
        "the latest batch of days@1.0.0 is now days@1.0.0/2, it was days@1.0.0/1"
    )


def test_rule_17_saving_observes_nothing_of_its_own(workspace: Workspace) -> None:
    def save(attempt: Attempt) -> None:
        checkpoint = a_checkpoint(attempt, dataset=a_batch(attempt))
        attempt.model_store.save_evaluation(checkpoint, checkpoint.dataset, {"accuracy": 1.0})

    assert observed(workspace, save) == ()


def test_rule_17_no_data_yet_is_observed(workspace: Workspace) -> None:
    workspace.dataset_store.save_formula(DIGITS)

    def read(attempt: Attempt) -> None:
        with pytest.raises(NoData):
            attempt.dataset_store.get_latest_formula_batch("digits@1.0.0")

    observations = observed(workspace, read)
    assert differing(workspace, observations) == []
    a_batch(workspace)
    assert differing(workspace, observations) == [
        "the latest batch of digits@1.0.0 is now digits@1.0.0/1, there was none"
    ]


@pytest.mark.parametrize(
    "read",
    [
        lambda a: a.events(),
        lambda a: a.marks("digits@1.0.0/1"),
        lambda a: a.alias_history("digit-reader@0.1.0"),
        lambda a: a.downstream("digits@1.0.0/1"),
        lambda a: a.impact("digits@1.0.0"),
    ],
    ids=["events", "marks", "alias_history", "downstream", "impact"],
)
def test_rule_17_what_cannot_be_compared_forbids_the_cache(
    workspace: Workspace, read: Callable[[Attempt], Any]
) -> None:
    a_checkpoint(workspace)
    with workspace.attempt() as attempt:
        assert attempt.uncacheable == ""
        read(attempt)
        assert attempt.uncacheable.startswith("it ")


def test_rule_05_a_list_of_artefacts_is_one_value(workspace: Workspace) -> None:
    from jeyn.sdk.value import Value
    from jeyn.stores.catalog.changes import NewArtefact

    batch = a_batch(workspace)
    with workspace.attempt() as attempt:
        inner = a_value(attempt, 7)
        encoded = encode_artefacts([batch.id, inner, batch.id])
        payload = attempt.keep(encoded.data, "return")
        record = Value(output="return", cache_key="ab" * 32, format=encoded.format, payload=payload).record()
        attempt.commit([NewArtefact(record)])
        assert [each.id for each in attempt.get(record.id).load()] == [batch.id, inner, batch.id]
        attempt.finish()
    loaded = workspace.get(record.id).load()
    assert loaded[0].load().equals(batch.load())
    assert loaded[1].load() == 7
    assert workspace.runs.has_payloads([record.id])
    workspace.payloads.delete(loaded[1].payload.digest[7:])
    assert not workspace.runs.has_payloads([record.id])
