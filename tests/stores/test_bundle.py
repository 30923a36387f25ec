"""Export and import: the same ids, versions and bytes elsewhere, or nothing at all (SEMANTICS 29)."""

from __future__ import annotations

import hashlib
import tarfile
import time
import tracemalloc
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import jeyn
from jeyn import Workspace
from jeyn.errors import NotFound, PayloadMissing, VersionTaken
from jeyn.formulas import CompositeFormula, StreamingFormula
from jeyn.sdk.artefact import PayloadRef, Record
from jeyn.stores.care.bundle import export_bundle, import_bundle
from jeyn.stores.care.gc import collect
from tests.stores.bundles import counts
from tests.stores.digits import DIGITS, READER, Digits, a_batch, a_checkpoint, rows

Members = list[tuple[str, bytes]]

# A rule that keeps none but what an alias, a pin or a name needs.
NOTHING = {"batch": {"last": 0}, "checkpoint": {"last": 0}}


@pytest.fixture
def other(home: Path) -> Iterator[Workspace]:
    """Another home, empty, on SQLite."""
    with jeyn.open(home=home.parent / "other", data=home.parent / "data", actor="bob") as opened:
        yield opened


@pytest.fixture
def bundle(home: Path) -> Path:
    return home.parent / "it.jeyn"


def ids(workspace: Workspace, name: str) -> dict[str, str]:
    return {each.number: each.id for each in workspace.reader.claims(f"checkpoint:{name}")}


def test_rule_29_a_round_trip_keeps_ids_versions_and_content(
    workspace: Workspace, other: Workspace, bundle: Path
) -> None:
    base = a_checkpoint(workspace, seed=1, metrics={"accuracy": 0.5, "loss": float("nan")})
    checkpoint = a_checkpoint(workspace, seed=2, level="patch", parents=[base], metrics={"accuracy": 0.75})
    workspace.tag(base, "gold", reason="it shines")
    done = export_bundle(workspace, checkpoint, bundle)
    assert (done.artefacts, done.payloads, done.external) == (6, 3, ())
    result = import_bundle(other, bundle)
    assert (result.root, result.new, result.existing, result.payloads) == (checkpoint.id, 6, 0, 3)
    there = other.model_store.get_checkpoint("digit-reader@0.1.1")
    assert there == checkpoint
    assert there.metrics == checkpoint.metrics
    assert (there.created_at, there.actor) == (checkpoint.created_at, "ada")
    assert there.load()[0] == 2.0
    assert there.dataset.load().equals(checkpoint.dataset.load())
    assert there.dataset.epoch == 1
    assert other.tags(base.id) == {"gold"}
    assert other.model_store.get_use_case("digit-reader").output_catalog == READER.output_catalog
    assert {node.id for node in there.upstream()} == {node.id for node in checkpoint.upstream()}
    found = other.fsck()
    assert found.ok, str(found)
    # What comes next builds on what was imported.
    assert str(a_checkpoint(other, seed=3, level="patch").version) == "0.1.2"
    assert a_batch(other, seed=1).epoch == 1
    assert a_batch(other, seed=8).epoch == 2


def test_rule_29_importing_twice_changes_nothing(workspace: Workspace, other: Workspace, bundle: Path) -> None:
    checkpoint = a_checkpoint(workspace, metrics={"accuracy": 0.5})
    workspace.model_store.bless(checkpoint)
    workspace.tag(checkpoint, "gold")
    export_bundle(workspace, checkpoint, bundle)
    import_bundle(other, bundle, aliases=True)
    before = counts(other)
    again = import_bundle(other, bundle, aliases=True)
    assert (again.new, again.existing, again.payloads, again.aliases, again.restored) == (0, 5, 0, 0, 0)
    assert counts(other) == before
    assert import_bundle(workspace, bundle, aliases=True).new == 0


def test_equal_content_gives_equal_bytes_whichever_catalog_exports_it(
    workspace: Workspace, other: Workspace, bundle: Path
) -> None:
    checkpoint = a_checkpoint(workspace, seed=2, parents=[a_checkpoint(workspace, seed=1)], metrics={"accuracy": 0.5})
    workspace.model_store.bless(checkpoint, reason="good")
    workspace.tag(checkpoint, "silver", "gold")
    export_bundle(workspace, checkpoint, bundle)
    first = bundle.read_bytes()
    export_bundle(workspace, checkpoint, bundle)
    assert bundle.read_bytes() == first
    import_bundle(other, bundle, aliases=True)
    again = bundle.with_name("again.jeyn")
    export_bundle(other, "digit-reader@blessed", again)
    assert again.read_bytes() == first


def test_a_bundle_is_a_plain_tar(workspace: Workspace, bundle: Path) -> None:
    export_bundle(workspace, a_checkpoint(workspace), bundle)
    with tarfile.open(bundle) as tar:
        names = tar.getnames()
        assert names[:2] == ["manifest.json", "artefacts.jsonl"]
        assert names[2:] == sorted(names[2:])
        assert {member.mtime for member in tar} == {0}
        for name in names[2:]:
            data = tar.extractfile(name)
            assert data is not None
            assert hashlib.sha256(data.read()).hexdigest() == name.removeprefix("payloads/")
    assert not [path for path in bundle.parent.iterdir() if path.name.endswith(".part")]


def test_rule_29_aliases_travel_only_when_asked(workspace: Workspace, other: Workspace, bundle: Path) -> None:
    checkpoint = a_checkpoint(workspace)
    workspace.model_store.bless(checkpoint, reason="good")
    export_bundle(workspace, checkpoint, bundle)
    assert import_bundle(other, bundle).aliases == 0
    with pytest.raises(NotFound):
        other.model_store.get_checkpoint("digit-reader@blessed")
    assert import_bundle(other, bundle, aliases=True).aliases == 1
    assert other.model_store.get_checkpoint("digit-reader@blessed") == checkpoint
    moved = other.alias_history("checkpoint:digit-reader@blessed")[0]
    assert (moved.verb, moved.reason, moved.actor) == ("import", "good", "bob")


def test_rule_29_an_imported_alias_does_not_bless_what_was_withdrawn(
    workspace: Workspace, other: Workspace, bundle: Path
) -> None:
    checkpoint = a_checkpoint(workspace)
    workspace.model_store.bless(checkpoint)
    export_bundle(workspace, checkpoint, bundle)
    import_bundle(other, bundle, aliases=True)
    other.model_store.rollback(READER)
    result = import_bundle(other, bundle, aliases=True)
    assert result.aliases == 0
    assert [each.ours for each in result.refused_aliases] == ["withdrawn here"]


def test_rule_29_conflicting_claims_stop_everything(workspace: Workspace, other: Workspace, bundle: Path) -> None:
    theirs = a_checkpoint(workspace, seed=1)
    ours = a_checkpoint(other, seed=2)
    export_bundle(workspace, theirs, bundle)
    before, stored = counts(other), sorted(other.payloads.list())
    with pytest.raises(VersionTaken, match=r"checkpoint:digit-reader@0\.1\.0") as caught:
        import_bundle(other, bundle)
    assert "keep" in caught.value.hint
    assert (counts(other), sorted(other.payloads.list())) == (before, stored)
    result = import_bundle(other, bundle, keep="ours")
    assert [(each.what, each.ours, each.theirs) for each in result.kept] == [
        ("checkpoint:digit-reader@0.1.0", ours.id, theirs.id)
    ]
    assert other.model_store.get_checkpoint("digit-reader@0.1.0") == ours
    assert other.get(theirs.id).load()[0] == 1.0
    assert other.fsck().ok


def test_rule_29_one_content_under_two_numbers_is_a_conflict(
    workspace: Workspace, other: Workspace, bundle: Path
) -> None:
    theirs = a_checkpoint(workspace, seed=1)
    a_checkpoint(other, seed=5)
    ours = a_checkpoint(other, seed=1, level="major")
    assert ours == theirs
    export_bundle(workspace, theirs, bundle)
    with pytest.raises(VersionTaken):
        import_bundle(other, bundle)
    import_bundle(other, bundle, keep="ours")
    assert other.reader.numbers(other.row(ours).key) == ["1.0.0"]


def test_rule_29_batches_of_one_epoch_are_a_conflict(workspace: Workspace, other: Workspace, bundle: Path) -> None:
    batch, mine = a_batch(workspace, seed=1), a_batch(other, seed=2)
    export_bundle(workspace, batch, bundle)
    with pytest.raises(VersionTaken):
        import_bundle(other, bundle)
    import_bundle(other, bundle, keep="ours")
    assert other.dataset_store.get_batch("digits@1.0.0/1") == mine
    assert other.get(batch.id).load().equals(batch.load())


def test_rule_29_two_diverged_catalogs_merge_both_ways(workspace: Workspace, other: Workspace, bundle: Path) -> None:
    base = a_checkpoint(workspace, seed=1)
    workspace.tag(base, "old")
    export_bundle(workspace, base, bundle)
    import_bundle(other, bundle)
    left = a_checkpoint(workspace, seed=2, level="patch", parents=[base])
    workspace.tag(base, "old", present=False)
    right = a_checkpoint(other, seed=3, level="major", parents=[other.get(base.id)], dataset=a_batch(other, seed=6))
    other.tag(base.id, "new")
    exchange(workspace, left, other, bundle)
    exchange(other, right, workspace, bundle)
    assert ids(workspace, "digit-reader") == ids(other, "digit-reader")
    assert len(ids(other, "digit-reader")) == 3
    assert workspace.tags(base) == other.tags(base.id) == {"new"}
    for each in (workspace, other):
        assert each.model_store.get_checkpoint("digit-reader@latest").load()[0] == 3.0
        assert each.get(left.id).load()[0] == 2.0
        assert each.fsck().ok


def exchange(source: Workspace, what: Any, target: Workspace, path: Path) -> None:
    export_bundle(source, what, path)
    import_bundle(target, path)


def test_rule_29_ingest_stays_right_after_an_import(workspace: Workspace, other: Workspace, bundle: Path) -> None:
    formula = StreamingFormula("stream", version="1.0.0", output_catalog=Digits, source="s/*.parquet")
    folder = Path(workspace.settings.data) / "s"
    folder.mkdir(parents=True)
    for number in range(2):
        pq.write_table(pa.table(rows(number)), folder / f"{number}.parquet")
        batch = workspace.dataset_store.save_batch(formula.get_new_batch())
    assert batch.epoch == 2
    for each in workspace.dataset_store.get_formula_batches(formula):
        exchange(workspace, each, other, bundle)
    nothing_new = other.dataset_store.save_batch(formula.get_new_batch())
    assert (nothing_new.id, nothing_new.is_new) == (batch.id, False)
    pq.write_table(pa.table(rows(9)), folder / "9.parquet")
    assert other.dataset_store.save_batch(formula.get_new_batch()).epoch == 3


def test_rule_29_a_file_that_two_batches_claim_is_a_conflict(
    workspace: Workspace, other: Workspace, bundle: Path
) -> None:
    formula = StreamingFormula("stream", version="1.0.0", output_catalog=Digits, source="s/*.parquet")
    folder = Path(workspace.settings.data) / "s"
    folder.mkdir(parents=True)
    pq.write_table(pa.table(rows(0)), folder / "0.parquet")
    exchange(workspace, workspace.dataset_store.save_batch(formula.get_new_batch()), other, bundle)
    pq.write_table(pa.table(rows(1)), folder / "1.parquet")
    theirs = workspace.dataset_store.save_batch(formula.get_new_batch())
    pq.write_table(pa.table(rows(2)), folder / "2.parquet")
    ours = other.dataset_store.save_batch(formula.get_new_batch())
    export_bundle(workspace, theirs, bundle)
    with pytest.raises(VersionTaken):
        import_bundle(other, bundle)
    result = import_bundle(other, bundle, keep="ours")
    assert len(result.kept) == 2, "the epoch and the file"
    digest = theirs.files[0].digest
    assert other.reader.members(theirs.formula.id)[digest] == ours.id


def test_a_composite_batch_travels_with_its_parts(workspace: Workspace, other: Workspace, bundle: Path) -> None:
    a_batch(workspace)
    both = workspace.dataset_store.save_formula(CompositeFormula("both", version="1.0.0", formulas=["digits@^1"]))
    union = workspace.dataset_store.save_batch(both.get_new_batch())
    exchange(workspace, union, other, bundle)
    assert other.dataset_store.get_batch("both@1.0.0/1").load().equals(union.load())


def test_rule_29_what_was_swept_travels_without_bytes_and_comes_back_with_them(
    workspace: Workspace, other: Workspace, bundle: Path
) -> None:
    checkpoint = a_checkpoint(workspace, seed=2)
    export_bundle(workspace, checkpoint, bundle)
    whole = bundle.read_bytes()
    collect(workspace, yes=True, grace=timedelta(0), retention=NOTHING)
    assert export_bundle(workspace, checkpoint, bundle).payloads == 0
    import_bundle(other, bundle)
    assert other.get(checkpoint.id).version == checkpoint.version
    with pytest.raises(PayloadMissing, match="swept"):
        other.get(checkpoint.id).load()
    bundle.write_bytes(whole)
    for each in (workspace, other):
        assert import_bundle(each, bundle).restored == 2
        assert each.get(checkpoint.id).load()[0] == 2.0
        assert each.fsck().ok


def test_rule_28_a_sweep_spares_what_was_just_imported(workspace: Workspace, other: Workspace, bundle: Path) -> None:
    checkpoint = a_checkpoint(workspace)
    export_bundle(workspace, checkpoint, bundle)
    time.sleep(1.1)
    import_bundle(other, bundle)
    assert collect(other, yes=True, grace=timedelta(seconds=1), retention=NOTHING).artefacts == ()


def test_rule_28_a_sweep_between_put_and_merge_makes_the_import_put_again(
    workspace: Workspace, other: Workspace, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = a_checkpoint(workspace)
    export_bundle(workspace, checkpoint, bundle)
    import_bundle(other, bundle)
    from jeyn.stores.care import bundle as module

    merge, swept = module.merge, []

    def late(*args: Any, **options: Any) -> Any:
        if not swept:
            swept.append(collect(other, yes=True, grace=timedelta(0), retention=NOTHING))
        return merge(*args, **options)

    monkeypatch.setattr(module, "merge", late)
    result = import_bundle(other, bundle)
    assert swept[0].payloads == 2
    assert (result.restored, result.payloads) == (2, 2)
    assert other.fsck().ok


def test_rule_29_an_import_inside_an_attempt_is_committed_at_once(
    workspace: Workspace, other: Workspace, bundle: Path
) -> None:
    export_bundle(workspace, a_checkpoint(workspace), bundle)
    with other.attempt() as attempt:
        attempt.import_bundle(bundle)
    assert other.model_store.get_checkpoint("digit-reader@0.1.0").load()[0] == 1.0


def test_an_export_that_fails_leaves_no_file(workspace: Workspace, bundle: Path) -> None:
    checkpoint = a_checkpoint(workspace)
    with pytest.raises(NotFound):
        export_bundle(workspace, "digit-reader@9", bundle)
    workspace.payloads.delete(checkpoint.record().payloads[0].digest[7:])
    with pytest.raises(PayloadMissing):
        export_bundle(workspace, checkpoint, bundle)
    assert [path.name for path in bundle.parent.iterdir() if "it.jeyn" in path.name] == []


def test_payloads_stream_in_bounded_memory(workspace: Workspace, other: Workspace, bundle: Path) -> None:
    batch = a_batch(workspace)
    checkpoint = workspace.model_store.save_checkpoint(
        READER.update_minor(dataset=batch, model=np.arange(64 << 17, dtype=float))  # 64 MiB
    )
    tracemalloc.start()
    try:
        export_bundle(workspace, checkpoint, bundle)
        import_bundle(other, bundle)
        assert tracemalloc.get_traced_memory()[1] < 24 << 20
    finally:
        tracemalloc.stop()
    assert other.get(checkpoint.id).load()[-1] == (64 << 17) - 1


def test_an_artefact_of_a_newer_jeyn_travels(workspace: Workspace, other: Workspace, bundle: Path) -> None:
    from jeyn.stores.catalog.changes import NewArtefact

    digest = "sha256:" + hashlib.sha256(b"abc").hexdigest()
    record = Record("hologram/7", "leia", {"hope": 1}, payloads=(PayloadRef("x", digest, 3),))

    def build(writer: Workspace) -> list[NewArtefact]:
        writer.keep(b"abc", "x")
        return [NewArtefact(record)]

    workspace.save(build)
    exchange(workspace, record.id, other, bundle)
    assert other.get(record.id).record() == record
    assert other.fsck().ok


def test_files_at_their_source_travel_where_they_can_be_read(
    workspace: Workspace, other: Workspace, bundle: Path
) -> None:
    source = Path(workspace.settings.data) / "far" / "1.parquet"
    source.parent.mkdir(parents=True)
    pq.write_table(pa.table(rows(1)), source)
    batch = _referenced(workspace, source, "far/1.parquet")
    assert workspace.fsck().ok
    done = export_bundle(workspace, batch, bundle)
    assert (done.payloads, done.external) == (1, ())
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    away = source.rename(source.with_suffix(".away"))
    import_bundle(other, bundle)
    assert other.get(batch).load().num_rows == 10
    assert other.fsck().ok
    assert collect(other, grace=timedelta(0), retention=NOTHING).payloads == 1, "here the store has to keep it"
    done = export_bundle(workspace, batch, bundle)
    assert (done.payloads, done.external) == (0, (f"sha256:{digest}",))
    with jeyn.open(home=other.settings.home / "third", data=workspace.settings.data) as third:
        import_bundle(third, bundle)
        assert third.fsck().ok
        away.rename(source)
        assert third.get(batch).load().num_rows == 10


def _referenced(workspace: Workspace, path: Path, name: str) -> str:
    """The id of a saved batch whose file stays where it is."""
    from jeyn.stores.batches.drafts import Draft
    from jeyn.stores.payloads import hash_file

    formula = workspace.dataset_store.save_formula(DIGITS)
    (file,) = workspace.data_root.list(name)
    digest = f"sha256:{hash_file(path).digest}"
    draft = Draft(
        formula,
        "files",
        payloads=(PayloadRef(name, digest, path.stat().st_size),),
        facts={"referenced": {digest: file.version}},
        external=frozenset({digest}),
    )
    return workspace.commit([draft.change()])[0].id


def test_digits_formula_alone_travels(workspace: Workspace, other: Workspace, bundle: Path) -> None:
    exchange(workspace, workspace.dataset_store.save_formula(DIGITS), other, bundle)
    assert other.dataset_store.get_formula("digits@1.0.0").output_catalog == Digits
