"""History never shrinks: what is swept stays in every list, and comes back from where it still is (SEMANTICS 31)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import jeyn
from jeyn import DataCatalog, DatasetBatch, Dtypes, Feature, Workspace
from jeyn.errors import NoData, NotAllowed, NotFound, PayloadMissing, UsageError
from jeyn.formulas import CompositeFormula, ModelFormula, StreamingFormula
from jeyn.stores.catalog.changes import Mark
from tests.stores.digits import READER, a_batch, a_checkpoint


class Sales(DataCatalog):
    amount = Feature(Dtypes.INT64)


SALES = StreamingFormula("sales", version="1.0.0", output_catalog=Sales, source="*.parquet")


@pytest.fixture
def data(home: Path) -> Path:
    folder = home.parent / "data"
    folder.mkdir()
    return folder


def put(data: Path, name: str, *amounts: int) -> Path:
    pq.write_table(pa.table({"amount": list(amounts)}), data / name)
    return data / name


def ingest(workspace: Workspace) -> DatasetBatch:
    return workspace.dataset_store.save_batch(SALES.get_new_batch())


def three_months(workspace: Workspace, data: Path) -> list[DatasetBatch]:
    found = []
    for month, name in enumerate(("march", "april", "may"), start=3):
        put(data, f"{name}.parquet", month, month * 10)
        found.append(ingest(workspace))
    return found


def amounts(batch: DatasetBatch) -> list[int]:
    found: list[int] = batch.load()["amount"].to_pylist()
    return found


def epochs(workspace: Workspace, **options: Any) -> list[int]:
    return [batch.epoch for batch in workspace.dataset_store.get_formula_batches(SALES, **options)]


def test_rule_31_by_default_gc_takes_no_batch_and_no_model(workspace: Workspace, data: Path) -> None:
    three_months(workspace, data)
    checkpoint = a_checkpoint(workspace)
    assert workspace.gc(grace="0s", yes=True).payloads == 0
    assert checkpoint.load()[0] == 1.0
    assert amounts(workspace.dataset_store.get_latest_formula_batch(SALES)) == [5, 50]


def test_rule_31_lists_latest_and_epochs_are_as_if_nothing_was_swept(workspace: Workspace, data: Path) -> None:
    batches = three_months(workspace, data)
    composite = CompositeFormula("all", version="1.0.0", formulas=["sales@^1"])
    union = workspace.dataset_store.save_batch(composite.get_new_batch())
    lineage = [node.id for node in union.upstream()]
    done = workspace.gc("batch:sales@1.0.0/2", "batch:sales@1.0.0/3", yes=True)
    assert done.refs == ("batch:sales@1.0.0/2", "batch:sales@1.0.0/3")
    assert epochs(workspace) == [1, 2, 3]
    assert [each.is_swept for each in workspace.dataset_store.get_formula_batches(SALES)] == [False, True, True]
    assert workspace.dataset_store.get_latest_formula_batch(SALES) == batches[2]
    assert workspace.dataset_store.get_batch("sales@^1/latest") == batches[2]
    assert [node.id for node in union.upstream()] == lineage
    found = {hit.ref: hit.swept for hit in workspace.search("type:dataset_batch name:sales")}
    assert found == {f"batch:sales@1.0.0/{n}": n > 1 for n in (1, 2, 3)}
    assert workspace.dataset_store.save_batch(composite.get_new_batch()).id == union.id
    put(data, "june.parquet", 6)
    assert ingest(workspace).epoch == 4


@pytest.mark.parametrize("how", ["swept", "lost", "given up"])
@pytest.mark.parametrize("by", ["loading", "saving", "checking"])
def test_rule_31_bytes_come_back_from_the_data_root(workspace: Workspace, data: Path, how: str, by: str) -> None:
    batches = three_months(workspace, data)
    if how == "swept":
        workspace.gc(*batches, yes=True)
    else:
        for batch in batches:
            workspace.payloads.files.delete(batch.files[0].digest[7:])
    if how == "given up":
        for batch in batches:
            workspace.commit([Mark(batch.id, "tombstone", reason="lost: its bytes were missing")])
    (data / "april.parquet").rename(data / "renamed.parquet")
    if by == "saving":
        assert ingest(workspace) == batches[2]
    elif by == "checking" and how != "swept":
        assert workspace.fsck(repair=True).left == 0
    if by != "loading" and not (by == "checking" and how == "swept"):
        assert all(workspace.payloads.exists(batch.files[0].digest[7:]) for batch in batches)
    assert [amounts(batch) for batch in batches] == [[3, 30], [4, 40], [5, 50]]
    assert not any(batch.is_swept for batch in batches)
    assert workspace.fsck().ok
    assert epochs(workspace) == [1, 2, 3]


def test_rule_31_without_a_source_there_is_an_error_with_the_cure(workspace: Workspace, data: Path) -> None:
    batches = three_months(workspace, data)
    workspace.gc(batches[2], yes=True)
    (data / "may.parquet").unlink()
    assert ingest(workspace) == batches[2], "there is nothing new, and the latest is what it was"
    with pytest.raises(PayloadMissing, match="swept by gc") as caught:
        batches[2].load()
    assert caught.value.exit_code == 5
    assert "put its files back" in caught.value.hint
    assert str(data) in caught.value.hint
    assert "batch:sales@1.0.0/2 has its bytes" in caught.value.hint
    put(data, "may.parquet", 5, 51)
    with pytest.raises(PayloadMissing):
        batches[2].load()
    assert amounts(ingest(workspace)) == [5, 51]


def test_rule_31_a_file_that_is_still_read_by_its_digest_alone(workspace: Workspace, data: Path) -> None:
    put(data, "a.parquet", 1)
    put(data, "b.parquet", 2)
    both = ingest(workspace)
    workspace.gc(both, yes=True)
    (data / "b.parquet").unlink()
    with pytest.raises(PayloadMissing, match=r"b\.parquet|a\.parquet"):
        both.load()
    assert both.is_swept, "half of it is none of it"
    put(data, "b.parquet", 2)
    assert amounts(both) == [1, 2]


def test_rule_31_a_streaming_formula_goes_on_after_everything_was_swept(workspace: Workspace, data: Path) -> None:
    put(data, "only.parquet", 7)
    only = ingest(workspace)
    workspace.gc(only, yes=True)
    again = ingest(workspace)
    assert (again.id, again.epoch, amounts(again)) == (only.id, 1, [7])


def test_no_data_is_said_only_where_there_never_was_any(workspace: Workspace, data: Path) -> None:
    with pytest.raises(NoData, match="never had any data"):
        ingest(workspace)
    put(data, "one.parquet", 1)
    ingest(workspace)
    second = StreamingFormula("sales", version="1.1.0", output_catalog=Sales, source="*.parquet")
    with pytest.raises(NoData, match="all there is, is in") as caught:
        workspace.dataset_store.save_batch(second.get_new_batch(after="sales@1.0.0/1"))
    assert "never" not in caught.value.message


def test_rule_31_an_attempt_brings_bytes_back_and_stays_cacheable(workspace: Workspace, data: Path) -> None:
    batches = three_months(workspace, data)
    workspace.gc(*batches, yes=True)
    with workspace.attempt() as attempt:
        found = attempt.dataset_store.save_batch(SALES.get_new_batch())
        assert amounts(found) == [5, 50]
        assert (attempt.effects, attempt.uncacheable) == ((), "")
    assert not workspace.dataset_store.get_latest_formula_batch(SALES).is_swept


def test_rule_31_a_model_formula_makes_its_batch_again(workspace: Workspace) -> None:
    source = a_batch(workspace)
    a_checkpoint(workspace, dataset=source)
    formula = ModelFormula("scored", version="1.0.0", source="digits@^1", checkpoint="digit-reader@^0", apply=score)
    made = workspace.dataset_store.save_batch(formula.get_new_batch())
    workspace.gc(made, yes=True)
    with pytest.raises(PayloadMissing):
        made.load()
    assert workspace.dataset_store.save_batch(formula.get_new_batch()) == made
    assert made.load().num_rows == 10


def score(model: Any, rows: pa.Table) -> dict[str, Any]:
    return {"probability": rows["x"].to_numpy() * float(model[0])}


# By name, and by a written policy.


def test_what_is_blessed_aliased_or_pinned_is_not_swept_by_name(workspace: Workspace) -> None:
    blessed, pinned, free = (a_checkpoint(workspace, seed=seed) for seed in (1, 2, 3))
    workspace.model_store.bless(blessed)
    workspace.pin(pinned)
    for needed in (blessed, pinned, blessed.dataset):
        with pytest.raises(NotAllowed, match="is needed") as caught:
            workspace.gc(needed, free, yes=True)
        assert caught.value.hint
        assert not workspace.reader.is_buried(free.id), "all or nothing"
    assert workspace.gc(free.ref, yes=True).refs == (free.ref,)
    assert workspace.gc(free.ref, yes=True).refs == (), "it is swept already"
    assert [workspace.model_store.get_checkpoint(each.ref).is_swept for each in (blessed, free)] == [False, True]
    with pytest.raises(UsageError, match="no bytes"):
        workspace.gc(READER.record().id, yes=True)
    with pytest.raises(NotFound):
        workspace.gc("digits@9/1", yes=True)


def test_the_preview_has_references_types_sizes_and_reasons(workspace: Workspace) -> None:
    checkpoint = a_checkpoint(workspace)
    workspace.payloads.put(*_stray(b"stray"))
    seen = workspace.gc(checkpoint.ref)
    size = checkpoint.record().payloads[0].size
    assert f"{checkpoint.ref}  model_checkpoint  {size} bytes  by name" in str(seen)
    assert seen.to_json()["artefacts"][0] == {
        "id": checkpoint.id,
        "type": "model_checkpoint",
        "ref": checkpoint.ref,
        "size": size,
        "reason": "by name",
    }
    assert seen.bytes == size, "what is not named is not taken"
    assert not seen.done
    assert checkpoint.load()[0] == 1.0
    strays = workspace.gc(grace="0s")
    assert (strays.unreferenced, strays.bytes) == (1, 5)
    assert "1 payloads that belong to nothing" in str(strays)


def test_a_written_policy_lets_old_ones_go(home: Path, data: Path) -> None:
    (home.parent / "jeyn.yaml").write_text(
        json.dumps({"retention": {"batch:sales": {"last": 1}, "checkpoint": {"last": 2, "days": 0}}})
    )
    with jeyn.open(home=home, data=data) as workspace:
        three_months(workspace, data)
        models = [a_checkpoint(workspace, seed=seed) for seed in (1, 2, 3, 4)]
        workspace.model_store.bless(models[0])
        seen = workspace.gc(grace="0s")
        assert seen.refs == ("batch:sales@1.0.0/1", "batch:sales@1.0.0/2", models[1].ref)
        assert "not among the last 1" in str(seen)
        assert workspace.gc().refs == (), "what is young is left alone"
        done = workspace.gc(grace="0s", keep=["sales@1.0.0/1"], yes=True)
        assert done.refs == ("batch:sales@1.0.0/2", models[1].ref)
        assert epochs(workspace) == [1, 2, 3]


def test_a_policy_of_days_keeps_what_is_younger(workspace: Workspace, data: Path) -> None:
    three_months(workspace, data)
    assert workspace.gc(grace="0s", retention={"batch": {"days": 1}}).refs == ()
    assert len(workspace.gc(grace="0s", retention={"batch": {"days": 0}}).refs) == 3
    assert len(workspace.gc(grace="0s", retention={"batch": {"last": 2, "days": 0}}).refs) == 1
    assert workspace.gc(grace="0s", retention={"batch": {"last": 2, "days": 1}}).refs == ()


def test_a_policy_for_what_is_in_quarantine(workspace: Workspace) -> None:
    from jeyn.errors import DataInvalid
    from tests.stores.digits import DIGITS

    with pytest.raises(DataInvalid) as caught:
        workspace.dataset_store.save_batch(DIGITS.new_table({"x": [1.0]}))
    assert workspace.gc(grace="0s", retention={"batch": {"last": 0}}).artefacts == ()
    found = workspace.gc(grace="0s", retention={"quarantined": {"days": 0}}, yes=True)
    assert [node.id for node in found.artefacts] == list(caught.value.refs)


def _stray(data: bytes) -> tuple[str, bytes]:
    from jeyn.sdk.canonical import sha256_of

    return sha256_of(data)[7:], data
