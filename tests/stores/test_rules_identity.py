"""SEMANTICS 1 to 6: what an id covers, how versions and epochs are claimed, values, use cases and evaluations."""

from __future__ import annotations

import hashlib
import json
import math
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import jeyn
from jeyn import DataCatalog, DatasetFormula, Dtypes, Feature, MlUseCase, Workspace
from jeyn.errors import BumpTooSmall, CatalogMismatch, NoData, NotFound, Unsaved, VersionTaken
from jeyn.formulas import StreamingFormula
from jeyn.sdk.artefact import Edge, PayloadRef, Record
from jeyn.sdk.canonical import PREFIX
from jeyn.sdk.relationship import RelationshipType
from jeyn.sdk.value import Value
from jeyn.stores.catalog.changes import NewArtefact
from jeyn.stores.serializers import encode_value
from tests.stores.conftest import Sql
from tests.stores.digits import DIGITS, READER, Digits, Scores, a_batch, a_checkpoint, rows

# 1. What a person declares is in the id; what the store allocates is not.

BASE = Record(
    "model_checkpoint/1",
    "reader",
    {"input_catalog": {"x": "float64"}, "serializer": {"id": "jeyn.numpy", "version": "1"}},
    (Edge(RelationshipType.batch_checkpoint, "sha256:" + "a" * 64),),
    (PayloadRef("model", "sha256:" + "b" * 64, 8),),
)
DECLARED: Mapping[str, dict[str, Any]] = {
    "type": {"schema": "evaluation/1"},
    "name": {"name": "writer"},
    "catalog": {"body": {**BASE.body, "input_catalog": {"x": "float32"}}},
    "serializer": {"body": {**BASE.body, "serializer": {"id": "jeyn.numpy", "version": "2"}}},
    "parent": {"parents": (Edge(RelationshipType.batch_checkpoint, "sha256:" + "c" * 64),)},
    "kind of parent": {"parents": (Edge(RelationshipType.derived_from, "sha256:" + "a" * 64),)},
    "no parent": {"parents": ()},
    "payload": {"payloads": (PayloadRef("model", "sha256:" + "d" * 64, 8),)},
    "payload's name": {"payloads": (PayloadRef("other", "sha256:" + "b" * 64, 8),)},
}


@pytest.mark.parametrize("part", DECLARED)
def test_rule_01_what_is_declared_is_in_the_id(part: str) -> None:
    assert replace(BASE, **DECLARED[part]).id != BASE.id


def test_rule_01_the_order_of_parents_is_not() -> None:
    edges = (*BASE.parents, Edge(RelationshipType.checkpoint_parent, "sha256:" + "e" * 64))
    assert replace(BASE, parents=edges).id == replace(BASE, parents=edges[::-1]).id


def formula(**changes: Any) -> DatasetFormula:
    declared = {"name": "digits", "version": "1.0.0", "output_catalog": Digits, "parameters": {"size": 8}}
    return DatasetFormula(**(declared | changes))


@pytest.mark.parametrize(
    "changes",
    [{"name": "letters"}, {"version": "1.1.0"}, {"output_catalog": Scores}, {"parameters": {"size": 9}}],
    ids=lambda changes: next(iter(changes)),
)
def test_rule_01_a_formulas_version_recipe_and_catalog_are_in_its_id(changes: dict[str, Any]) -> None:
    assert formula(**changes).record().id != formula().record().id
    assert formula(description="words about it").record().id == formula().record().id


def test_rule_01_version_epoch_time_actor_metrics_and_statistics_are_not(workspace: Workspace, tmp_path: Path) -> None:
    with jeyn.open(home=tmp_path / "elsewhere", actor="grace") as other:
        a_batch(other, seed=2)
        mine, theirs = a_batch(workspace), a_batch(other)
        assert (mine.epoch, theirs.epoch) == (1, 2)
        assert mine.id == theirs.id

        ours = a_checkpoint(workspace, level="minor", metrics={"accuracy": 0.9})
        twin = a_checkpoint(other, level="major", metrics={"accuracy": 0.1})
        assert (str(ours.version), str(twin.version)) == ("0.1.0", "1.0.0")
        assert (ours.actor, twin.actor) == ("ada", "grace")
        assert ours.created_at < twin.created_at
        assert ours.metrics != twin.metrics
        assert ours.id == twin.id
    assert "statistics" in mine.facts
    assert b"statistics" not in mine.record().document
    assert b"metrics" not in ours.record().document


def test_rule_01_a_run_is_not_in_the_id(workspace: Workspace) -> None:
    with workspace.attempt() as attempt:
        inside = a_checkpoint(attempt).id
        attempt.finish()
    assert a_checkpoint(workspace).id == inside


# 2. A version or epoch is a claim.


@pytest.mark.parametrize(("level", "first"), [("patch", "0.0.1"), ("minor", "0.1.0"), ("major", "1.0.0")])
def test_rule_02_first_versions(workspace: Workspace, level: str, first: str) -> None:
    assert str(a_checkpoint(workspace, level=level).version) == first


def test_rule_02_next_versions_are_on_top_of_the_highest_release(workspace: Workspace) -> None:
    batch = a_batch(workspace)
    levels = ["minor", "major", "patch", "minor", "patch"]
    claimed = [str(a_checkpoint(workspace, seed, level, dataset=batch).version) for seed, level in enumerate(levels)]
    assert claimed == ["0.1.0", "1.0.0", "1.0.1", "1.1.0", "1.1.1"]


def test_rule_02_a_prerelease_is_no_base(workspace: Workspace) -> None:
    batch = a_batch(workspace)
    a_checkpoint(workspace, 1, dataset=batch)
    ahead = READER.update_to("3.0.0-rc.1", dataset=batch, model=np.array([2.0]))
    assert str(workspace.model_store.save_checkpoint(ahead).version) == "3.0.0-rc.1"
    assert str(a_checkpoint(workspace, 3, dataset=batch).version) == "0.2.0"


def test_rule_02_base_says_what_to_build_on(workspace: Workspace) -> None:
    batch = a_batch(workspace)
    old = a_checkpoint(workspace, 1, "major", dataset=batch)
    a_checkpoint(workspace, 2, "major", dataset=batch)
    assert str(a_checkpoint(workspace, 3, "patch", dataset=batch, base=old).version) == "1.0.1"
    assert str(a_checkpoint(workspace, 4, "minor", dataset=batch, base="1.0.0").version) == "1.1.0"
    with pytest.raises(VersionTaken) as taken:
        a_checkpoint(workspace, 5, "patch", dataset=batch, base="1.0.0")
    assert taken.value.exit_code == 4
    with pytest.raises(NotFound):
        a_checkpoint(workspace, 6, "patch", dataset=batch, base="7.0.0")


def test_rule_02_updates_are_pure(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jeyn.stores.workspace.Workspace.__init__", None)
    batch = DIGITS.new_table(rows(1))
    checkpoint = READER.update_minor(dataset=batch, model=np.array([1.0]))
    streaming = StreamingFormula("s", version="1.0.0", output_catalog=Digits, source="nowhere/*.csv")
    request = streaming.get_new_batch()
    assert checkpoint.request is not None
    assert (checkpoint.request.level, checkpoint.name) == ("minor", "digit-reader")
    assert request.request is not None
    assert not home.exists()


def test_rule_02_numbers_before_saving_are_unsaved() -> None:
    batch = DIGITS.new_table(rows(1))
    checkpoint = READER.update_minor(dataset=batch, model=np.array([1.0]))
    for unsaved in (lambda: batch.epoch, lambda: checkpoint.version, lambda: batch.id, lambda: checkpoint.id):
        with pytest.raises(Unsaved) as refused:
            unsaved()
        assert refused.value.exit_code == 2
        assert refused.value.hint


def test_rule_02_content_with_a_claim_keeps_it(workspace: Workspace, sql: Sql) -> None:
    batch = a_batch(workspace)
    first = a_checkpoint(workspace, 1, "minor", dataset=batch)
    for level in ("patch", "minor", "major"):
        again = a_checkpoint(workspace, 1, level, dataset=batch)
        assert (again.id, again.version, again.is_new) == (first.id, first.version, False)
    assert (a_batch(workspace).epoch, a_batch(workspace).is_new) == (1, False)
    assert sql("SELECT count(*) FROM claim WHERE owner = 'checkpoint:digit-reader'") == [(1,)]


def test_rule_02_one_content_cannot_have_two_releases(workspace: Workspace) -> None:
    batch = a_batch(workspace)
    a_checkpoint(workspace, 1, "minor", dataset=batch)
    with pytest.raises(VersionTaken, match=r"0\.1\.0 already"):
        workspace.model_store.save_checkpoint(READER.update_to("4.0.0", dataset=batch, model=np.array([1.0])))


def test_rule_02_a_prerelease_can_be_released(workspace: Workspace) -> None:
    batch, model = a_batch(workspace), np.array([1.0])
    for version in ("1.0.0-rc.1", "1.0.0"):
        saved = workspace.model_store.save_checkpoint(READER.update_to(version, dataset=batch, model=model))
        assert (str(saved.version), saved.is_new) == (version, True)


def test_rule_02_a_version_is_claimed_once(workspace: Workspace) -> None:
    batch = a_batch(workspace)
    first = a_checkpoint(workspace, 1, dataset=batch)
    with pytest.raises(VersionTaken) as taken:
        workspace.model_store.save_checkpoint(READER.update_to("0.1.0", dataset=batch, model=np.array([2.0])))
    assert taken.value.refs == (first.id,)
    assert workspace.model_store.get_checkpoint("digit-reader@0.1.0").id == first.id
    with pytest.raises(VersionTaken):
        workspace.dataset_store.save_formula(
            DatasetFormula("digits", version="1.0.0", output_catalog=Digits, parameters={"other": 1})
        )


def test_rule_02_the_database_holds_it_too(workspace: Workspace, sql: Sql) -> None:
    a_checkpoint(workspace)
    with pytest.raises(jeyn.JeynError):
        sql(
            "INSERT INTO claim (owner, number, major, minor, patch, prerelease, artefact, actor, at, seq) "
            "SELECT owner, number, 9, 9, 9, '', artefact, 'eve', 0, 0 FROM claim"
        )


def test_rule_02_numbers_of_a_fan_out_are_in_map_order(workspace: Workspace) -> None:
    with workspace.attempt() as attempt:
        saved = [a_checkpoint(attempt, seed, "minor", dataset=a_batch(attempt)).id for seed in range(5)]
        batches = [a_batch(attempt, seed).id for seed in range(1, 5)]
        attempt.finish()
    assert [str(workspace.get(id).version) for id in saved] == ["0.1.0", "0.2.0", "0.3.0", "0.4.0", "0.5.0"]
    assert [workspace.get(id).epoch for id in batches] == [1, 2, 3, 4]


def test_rule_02_epochs_count_in_one_formula_version(workspace: Workspace) -> None:
    other = DatasetFormula("digits", version="1.1.0", output_catalog=Digits)
    assert [a_batch(workspace, seed).epoch for seed in (1, 2, 3)] == [1, 2, 3]
    assert workspace.dataset_store.save_batch(other.new_table(rows(1))).epoch == 1


# 3. Canonical form.


def test_rule_03_an_id_is_the_hash_of_the_stored_document(workspace: Workspace, sql: Sql) -> None:
    a_checkpoint(workspace)
    stored = sql("SELECT id, document FROM artefact")
    assert len(stored) == 5
    for id, document in stored:
        assert hashlib.sha256(PREFIX + document.encode()).hexdigest() == id
        assert json.dumps(json.loads(document), sort_keys=True, separators=(",", ":"), ensure_ascii=False) == document


def test_rule_03_large_integers_are_strings(workspace: Workspace, sql: Sql) -> None:
    saved = workspace.dataset_store.save_formula(formula(parameters={"seed": 2**60 + 1}))
    (document,) = sql("SELECT document FROM artefact")[0]
    assert f'{{"$int":"{2**60 + 1}"}}' in document
    read = workspace.dataset_store.get_formula(saved.ref)
    assert read.parameters == {"seed": 2**60 + 1}
    assert read.record().id == saved.id


def test_rule_03_nan_and_infinity_are_tagged(workspace: Workspace, sql: Sql) -> None:
    checkpoint = a_checkpoint(workspace)
    saved = workspace.model_store.save_evaluation(checkpoint, None, {"loss": math.nan, "top": math.inf})
    read = workspace.get(saved.id)
    assert math.isnan(read.metrics["loss"])
    assert read.metrics["top"] == math.inf
    assert read.record().id == saved.id
    assert sql("SELECT count(*) FROM artefact WHERE document LIKE '%$float%'") == [(1,)]


# 4. Serializers are deterministic: here through the whole store; the contract suite goes through all of them.

PROGRAM = """
import sys
import numpy as np, jeyn
from sklearn.linear_model import LogisticRegression
from tests.stores.digits import READER, a_batch
with jeyn.open(home=sys.argv[1]) as workspace:
    batch = a_batch(workspace)
    model = LogisticRegression().fit(np.arange(8.0).reshape(4, 2), [0, 1, 0, 1])
    for each in (model, {"b": np.arange(3), "a": np.ones(2)}, [1, "two", None], b"bytes"):
        print(workspace.model_store.save_checkpoint(READER.update_minor(dataset=batch, model=each)).id)
"""


def test_rule_04_two_fresh_processes_give_the_same_ids(tmp_path: Path) -> None:
    pytest.importorskip("skops", reason="scikit-learn models need the sklearn extra")
    ids = []
    for seed in ("1", "2"):
        command = [sys.executable, "-W", "ignore", "-c", PROGRAM, str(tmp_path / seed)]
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parents[2])}
        shown = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        assert shown.returncode == 0, shown.stderr
        ids.append(shown.stdout.split())
    assert ids[0] == ids[1]
    assert len(set(ids[0])) == 4


# 5. Values.


def keep_value(workspace: Workspace, value: Any, key: str = "k", output: str = "out", of: tuple[str, ...] = ()) -> Any:
    encoded = encode_value(value)

    def build(writer: Workspace) -> list[NewArtefact]:
        payload = writer.keep(encoded.data, output)
        record = Value(output=output, cache_key=key, format=encoded.format, payload=payload).record()
        return [NewArtefact(record, edges=tuple(Edge(RelationshipType.derived_from, id) for id in of))]

    return workspace.bound(workspace.save(build)[0].id)


def test_rule_05_a_values_id_covers_bytes_cache_key_and_output(workspace: Workspace) -> None:
    ids = {keep_value(workspace, value, *rest).id for value, *rest in [(1,), (2,), (1, "other"), (1, "k", "second")]}
    assert len(ids) == 4
    assert keep_value(workspace, 1).id in ids


def test_rule_05_equal_values_share_the_digest_that_consumers_use(workspace: Workspace) -> None:
    one, other = keep_value(workspace, {"a": 1}, "k1"), keep_value(workspace, {"a": 1}, "k2")
    assert one.id != other.id
    assert one.payload.digest == other.payload.digest


def test_rule_05_derived_from_leads_to_the_inputs_and_is_not_in_the_id(workspace: Workspace) -> None:
    batch = a_batch(workspace)
    value = keep_value(workspace, 0.5, of=(batch.id,))
    assert [node.id for node in value.upstream(depth=1)] == [batch.id]
    assert batch.id.encode() not in value.record().document


@pytest.mark.parametrize(
    "value",
    [None, True, 7, 2.5, math.inf, "text", b"bytes", [1, [2]], {"a": {"b": 1}}, (1, "two"), 2**70],
    ids=repr,
)
def test_rule_05_plain_values_come_back(workspace: Workspace, value: Any) -> None:
    found = keep_value(workspace, value).load()
    assert (found, type(found)) == (value, type(value))


def test_rule_05_arrays_tables_and_frames_come_back(workspace: Workspace) -> None:
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    array = keep_value(workspace, np.arange(6).reshape(2, 3)).load()
    assert array.tolist() == [[0, 1, 2], [3, 4, 5]]
    table = pa.table({"a": [1, 2]})
    assert keep_value(workspace, table).load().equals(table)
    assert keep_value(workspace, pandas.DataFrame({"a": [1]})).load().equals(pandas.DataFrame({"a": [1]}))
    assert keep_value(workspace, polars.DataFrame({"a": [1]})).load().equals(polars.DataFrame({"a": [1]}))


def test_rule_05_a_file_comes_back_as_a_path(workspace: Workspace, tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    report.write_text("<p>well done</p>")
    found = keep_value(workspace, report).load()
    assert isinstance(found, Path)
    assert found.read_text() == "<p>well done</p>"


# 6. A use case is its name.


class More(DataCatalog):
    probability = Feature(Dtypes.FLOAT64)
    margin = Feature(Dtypes.FLOAT64)


def reader(**catalogs: Any) -> MlUseCase:
    return MlUseCase("digit-reader", **({"input_catalog": Digits.only("x"), "output_catalog": Scores} | catalogs))


def next_of(workspace: Workspace, use_case: MlUseCase, level: str, seed: int, **options: Any) -> Any:
    bump = getattr(use_case, f"update_{level}")
    return workspace.model_store.save_checkpoint(bump(dataset=a_batch(workspace), model=np.array([seed]), **options))


def test_rule_06_a_use_case_is_its_name(workspace: Workspace) -> None:
    saved = workspace.model_store.save_use_case(reader())
    changed = workspace.model_store.save_use_case(reader(output_catalog=More))
    assert (changed.id, changed.is_new) == (saved.id, False)
    assert (
        workspace.model_store.save_use_case(MlUseCase("other", input_catalog=Digits, output_catalog=More)).id
        != saved.id
    )


def test_rule_06_the_catalogs_last_given_are_the_next_contract(workspace: Workspace) -> None:
    first = next_of(workspace, reader(), "major", 1)
    workspace.model_store.save_use_case(reader(output_catalog=More))
    assert workspace.model_store.get_use_case("digit-reader").output_catalog == More
    # The one that is there keeps what it was made with.
    assert workspace.get(first.id).output_catalog == Scores


def test_rule_06_bumps_are_compared_with_the_base(workspace: Workspace) -> None:
    next_of(workspace, reader(), "major", 1)
    with pytest.raises(BumpTooSmall, match="more than a patch") as small:
        next_of(workspace, reader(output_catalog=More), "patch", 2)
    assert small.value.exit_code == 6
    assert "1.1.0" in small.value.hint
    assert str(next_of(workspace, reader(output_catalog=More), "minor", 2).version) == "1.1.0"
    with pytest.raises(BumpTooSmall, match="more than a minor"):
        next_of(workspace, reader(), "minor", 3)
    # On the older base it takes nothing away.
    assert str(next_of(workspace, reader(), "patch", 3, base="1.0.0").version) == "1.0.1"
    with pytest.raises(BumpTooSmall):
        next_of(workspace, reader(input_catalog=Digits, output_catalog=More), "minor", 4)
    assert str(next_of(workspace, reader(input_catalog=Digits, output_catalog=More), "major", 4).version) == "2.0.0"


def test_rule_06_in_0_x_the_minor_is_the_breaking_part(workspace: Workspace) -> None:
    next_of(workspace, reader(output_catalog=More), "minor", 1)
    with pytest.raises(BumpTooSmall):
        next_of(workspace, reader(), "patch", 2)
    assert str(next_of(workspace, reader(), "minor", 2).version) == "0.2.0"


def test_rule_06_a_batch_must_satisfy_the_contract(workspace: Workspace) -> None:
    only_labels = DatasetFormula("labels", version="1.0.0", output_catalog=Digits.only("label"))
    batch = workspace.dataset_store.save_batch(only_labels.new_table({"label": [1, 2]}))
    with pytest.raises(CatalogMismatch, match='"x"') as refused:
        READER.update_minor(dataset=batch, model=np.array([1.0]))
    assert refused.value.exit_code == 6


def test_rule_06_an_evaluation_is_an_artefact_of_its_own(workspace: Workspace) -> None:
    checkpoint, holdout = a_checkpoint(workspace), a_batch(workspace, seed=9)
    saved = workspace.model_store.save_evaluation(checkpoint, holdout, {"accuracy": 0.8})
    read = workspace.get(saved.id)
    assert (read.type, read.metrics, read.batch_id) == ("evaluation", {"accuracy": 0.8}, holdout.id)
    assert {node.id for node in read.upstream(depth=1)} == {checkpoint.id, holdout.id}
    assert workspace.get(checkpoint.id).metrics == {}
    assert workspace.model_store.save_evaluation(checkpoint.ref, holdout.ref, {"accuracy": 0.8}).is_new is False


def test_rule_06_metrics_in_search_are_the_newest_evaluation_else_of_training(workspace: Workspace) -> None:
    trained = a_checkpoint(workspace, 1, metrics={"accuracy": 0.5})
    judged = a_checkpoint(workspace, 2, metrics={"accuracy": 0.95})
    for score in (0.99, 0.6):
        workspace.model_store.save_evaluation(judged, None, {"accuracy": score})

    def found(text: str) -> set[str]:
        return {each.id for each in workspace.search(f"type:model_checkpoint {text}")}

    assert found("metrics.accuracy>=0.9") == set()
    assert found("metrics.accuracy=0.6") == {judged.id}
    assert found("metrics.accuracy=0.5") == {trained.id}


def test_rule_06_an_evaluation_is_found_by_its_own_metrics(workspace: Workspace) -> None:
    judged = a_checkpoint(workspace, metrics={"accuracy": 0.7})
    low, high = (workspace.model_store.save_evaluation(judged, None, {"accuracy": score}) for score in (0.2, 0.9))

    def found(text: str) -> list[str]:
        return [each.id for each in workspace.search(text)]

    assert found("type:evaluation metrics.accuracy<0.5") == [low.id]
    assert found("type:evaluation metrics.accuracy>0.5") == [high.id]
    assert set(found("metrics.accuracy>0.8")) == {judged.id, high.id}


def test_rule_06_a_newest_evaluation_that_is_no_number_hides_the_older_one(workspace: Workspace) -> None:
    judged = a_checkpoint(workspace, metrics={"loss": 0.5})
    assert [each.id for each in workspace.search("type:model_checkpoint metrics.loss<1")] == [judged.id]
    workspace.model_store.save_evaluation(judged, None, {"loss": math.nan})
    assert list(workspace.search("type:model_checkpoint metrics.loss<1")) == []


def test_rule_06_nothing_to_build_on_says_so(workspace: Workspace) -> None:
    with pytest.raises(NotFound):
        workspace.model_store.get_latest_use_case_checkpoint(READER)
    with pytest.raises(NotFound):
        workspace.dataset_store.get_latest_formula_batch("digits")
    workspace.dataset_store.save_formula(DIGITS)
    with pytest.raises(NoData):
        workspace.dataset_store.get_latest_formula_batch("digits")
