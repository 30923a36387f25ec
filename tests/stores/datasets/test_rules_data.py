"""SEMANTICS 13 to 16: what is in a batch, what is kept out of it, and where data come from."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import jeyn
from jeyn import DataCatalog, DatasetFormula, Dtypes, Feature, MlUseCase
from jeyn.checks import between
from jeyn.errors import Corrupt, DataInvalid, InvalidReference, NoData, NotFound, Unsaved, UsageError
from jeyn.formulas import CompositeFormula, ModelFormula, SqlFormula, StreamingFormula
from jeyn.sdk.reference import Reference
from jeyn.stores.observation import explain, holds
from jeyn.stores.workspace import Workspace
from tests.s3_server import serve


class Points(DataCatalog):
    at = Feature(Dtypes.INT64)
    x = Feature(Dtypes.FLOAT64, checks=[between(0, 100)])


class Guess(DataCatalog):
    guess = Feature(Dtypes.FLOAT64)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    (tmp_path / "data").mkdir()
    return jeyn.open(home=tmp_path / "home", data=tmp_path / "data")


def write(workspace: Workspace, name: str, *at: int, x: float = 1.0) -> Path:
    path = Path(workspace.settings.data) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"at": list(at), "x": [x] * len(at)}), path)
    return path


def points(version: str = "1.0.0", **options: object) -> StreamingFormula:
    return StreamingFormula("points", version=version, output_catalog=Points, source="*.parquet", **options)  # type: ignore[arg-type]


def test_rule_13_membership_is_by_content_so_a_copy_is_not_new(workspace: Workspace) -> None:
    path = write(workspace, "a.parquet", 1)
    first = workspace.dataset_store.save_batch(points().get_new_batch())
    (path.parent / "copy.parquet").write_bytes(path.read_bytes())
    assert workspace.dataset_store.save_batch(points().get_new_batch()).id == first.id


def test_rule_13_two_files_of_one_content_are_in_one_batch_once(workspace: Workspace) -> None:
    path = write(workspace, "b.parquet", 1)
    (path.parent / "a.parquet").write_bytes(path.read_bytes())
    batch = workspace.dataset_store.save_batch(points().get_new_batch())
    assert [file.name for file in batch.files] == ["a.parquet"]


def test_rule_13_a_file_rewritten_under_its_name_is_new(workspace: Workspace) -> None:
    write(workspace, "a.parquet", 1)
    workspace.dataset_store.save_batch(points().get_new_batch())
    write(workspace, "a.parquet", 2)
    again = workspace.dataset_store.save_batch(points().get_new_batch())
    assert (again.epoch, again.load().column("at").to_pylist()) == (2, [2])


def test_rule_13_files_with_equal_and_older_timestamps_are_not_lost(workspace: Workspace) -> None:
    first = write(workspace, "m.parquet", 1)
    os.utime(first, (1_000_000, 1_000_000))
    workspace.dataset_store.save_batch(points().get_new_batch())
    for name, stamp in (("z.parquet", 1_000_000), ("a.parquet", 2)):
        os.utime(write(workspace, name, stamp), (stamp, stamp))
    late = workspace.dataset_store.save_batch(points().get_new_batch())
    assert [file.name for file in late.files] == ["a.parquet", "z.parquet"]


def test_rule_13_epochs_are_counted_per_formula_version(workspace: Workspace) -> None:
    store = workspace.dataset_store
    for at in range(3):
        write(workspace, f"{at}.parquet", at)
        assert store.save_batch(points().get_new_batch()).epoch == at + 1
    fresh = store.save_batch(points("1.1.0").get_new_batch())
    assert (fresh.epoch, fresh.rows) == (1, 3)


@pytest.mark.parametrize("how", ["recipe", "argument"])
def test_rule_13_after_names_the_batch_whose_files_count_as_seen(workspace: Workspace, how: str) -> None:
    store = workspace.dataset_store
    write(workspace, "1.parquet", 1)
    store.save_batch(points().get_new_batch())
    write(workspace, "2.parquet", 2)
    second = store.save_batch(points().get_new_batch())
    write(workspace, "3.parquet", 3)
    store.save_batch(points().get_new_batch())
    if how == "recipe":
        batch = store.save_batch(points("1.1.0", after=second).get_new_batch())
    else:
        batch = store.save_batch(points("1.1.0").get_new_batch(after=second))
    assert (batch.epoch, batch.load().column("at").to_pylist()) == (1, [3])
    again = points("1.1.0", after=second) if how == "recipe" else points("1.1.0")
    assert store.save_batch(again.get_new_batch()).id == batch.id


def test_rule_13_nothing_ever_is_no_data_and_nothing_new_is_the_latest(workspace: Workspace) -> None:
    store = workspace.dataset_store
    with pytest.raises(NoData, match="never had any data"):
        store.save_batch(points().get_new_batch())
    write(workspace, "1.parquet", 1)
    first = store.save_batch(points().get_new_batch())
    again = store.save_batch(points().get_new_batch())
    assert (first.is_new, again.is_new, again.id) == (True, False, first.id)


def test_rule_14_a_batch_that_fails_its_checks_is_in_quarantine(workspace: Workspace) -> None:
    store = workspace.dataset_store
    write(workspace, "bad.parquet", 1, 2, x=-5.0)
    with pytest.raises(DataInvalid, match="x") as refused:
        store.save_batch(points().get_new_batch())
    assert refused.value.exit_code == 5
    (id,) = refused.value.refs
    held = store.get_batch(id)
    assert held.is_quarantined
    assert held.ref == id
    with pytest.raises(Unsaved, match="quarantine"):
        _ = held.epoch
    assert held.load().num_rows == 2
    for reference in ("points@1.0.0/1", "points@^1/latest", "batch:points"):
        with pytest.raises(NotFound):
            store.get_batch(reference)
    assert store.get_formula_batches("points@1.0.0") == []


def test_rule_14_quarantine_claims_nothing_so_mended_data_are_epoch_1(workspace: Workspace) -> None:
    store = workspace.dataset_store
    write(workspace, "a.parquet", 1, x=-5.0)
    for _ in range(2):
        with pytest.raises(DataInvalid):
            store.save_batch(points().get_new_batch())
    write(workspace, "a.parquet", 1, x=5.0)
    assert store.save_batch(points().get_new_batch()).epoch == 1


def test_rule_14_quarantine_is_committed_also_from_an_attempt_that_is_discarded(workspace: Workspace) -> None:
    write(workspace, "a.parquet", 1, x=-5.0)
    with workspace.attempt() as attempt, pytest.raises(DataInvalid) as refused:
        attempt.dataset_store.save_batch(points().get_new_batch())
    with pytest.raises(NotFound):
        workspace.dataset_store.get_formula("points@1.0.0")
    assert workspace.dataset_store.get_batch(refused.value.refs[0]).is_quarantined


def test_rule_15_latest_is_the_highest_version_that_has_a_batch_then_its_highest_epoch(workspace: Workspace) -> None:
    store = workspace.dataset_store
    for at in range(2):
        write(workspace, f"{at}.parquet", at)
        store.save_batch(points("1.1.0").get_new_batch())
    store.save_batch(points("1.0.0").get_new_batch())
    store.save_formula(points("1.2.0"))
    assert store.get_batch("points@^1/latest").ref == "batch:points@1.1.0/2"
    assert store.get_batch("points@1.0.0/latest").ref == "batch:points@1.0.0/1"
    assert store.get_batch("batch:points").ref == "batch:points@1.1.0/2"
    assert store.get_formula("points@latest").version == points("1.2.0").version


def test_rule_15_prereleases_are_skipped_unless_named_and_build_metadata_is_refused(workspace: Workspace) -> None:
    store = workspace.dataset_store
    write(workspace, "1.parquet", 1)
    for version in ("1.0.0", "1.1.0-rc.1", "2.0.0-rc.1"):
        store.save_batch(points(version).get_new_batch())
    assert store.get_batch("points@latest/latest").ref == "batch:points@1.0.0/1"
    assert store.get_batch("points@>=1/latest").ref == "batch:points@1.0.0/1"
    assert store.get_batch("points@2.0.0-rc.1/latest").ref == "batch:points@2.0.0-rc.1/1"
    assert store.get_formula("points@^2.0.0-rc.1").ref == "formula:points@2.0.0-rc.1"
    with pytest.raises(InvalidReference, match=r"build|\+"):
        store.get_formula("points@1.0.0+today")


@pytest.fixture
def versions(workspace: Workspace) -> Workspace:
    """1.0.0 with two batches, 1.10.0 with one, 1.2.0 with none, 2.0.0 with one, and a prerelease of 3.0.0 with one."""
    store = workspace.dataset_store
    for at in range(2):
        write(workspace, f"{at}.parquet", at)
        store.save_batch(points("1.0.0").get_new_batch())
    store.save_formula(points("1.2.0"))
    for version in ("1.10.0", "2.0.0", "3.0.0-rc.1"):
        store.save_batch(points(version).get_new_batch())
    return workspace


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("points@^1", "1.0.0/1 1.0.0/2 1.10.0/1"),
        ("formula:points@^1", "1.0.0/1 1.0.0/2 1.10.0/1"),
        ("points@>=1,<3", "1.0.0/1 1.0.0/2 1.10.0/1 2.0.0/1"),
        ("points@*", "1.0.0/1 1.0.0/2 1.10.0/1 2.0.0/1"),
        ("points@>=3.0.0-rc.1", "3.0.0-rc.1/1"),
        ("points@~1.2", ""),
        ("points@1.0.0", "1.0.0/1 1.0.0/2"),
        ("points@latest", "2.0.0/1"),
        ("points", "2.0.0/1"),
        ("points@chosen", "1.0.0/1 1.0.0/2"),
    ],
)
def test_rule_15_the_batches_of_a_range_are_those_of_all_its_versions_in_order(
    versions: Workspace, asked: str, found: str
) -> None:
    versions.set_alias("formula:points@1.0.0", "chosen")
    batches = versions.dataset_store.get_formula_batches(asked)
    assert [batch.ref.removeprefix("batch:points@") for batch in batches] == found.split()
    parsed = versions.dataset_store.get_formula_batches(Reference.parse(asked))
    assert [batch.id for batch in parsed] == [batch.id for batch in batches]


def test_rule_15_the_latest_batch_of_a_range_is_what_the_reference_means(versions: Workspace) -> None:
    store = versions.dataset_store
    for asked in ("points@^1", "points@>=1,<3", "points@*"):
        assert store.get_latest_formula_batch(asked).id == store.get_batch(f"{asked}/latest").id
    store.save_formula(points("2.1.0"))
    assert store.get_latest_formula_batch("points@^2").ref == "batch:points@2.0.0/1"
    for nothing in ("points@~1.2", "points@~2.1"):
        with pytest.raises(NoData, match="has a batch yet"):
            store.get_latest_formula_batch(nothing)
    for ask in (store.get_formula_batches, store.get_latest_formula_batch):
        with pytest.raises(NotFound, match=r"points@\^7"):
            ask("points@^7")
        with pytest.raises(NotFound, match="is a batch"):
            ask("points@^1/1")


def test_rule_17_the_batches_of_a_range_are_observed(versions: Workspace) -> None:
    """A new batch of any of its versions, and a new version in it, is another answer; one beside it is not."""
    with versions.attempt() as attempt:
        attempt.dataset_store.get_formula_batches("points@^1")
        (seen,) = [each for each in attempt.observations if each.kind == "batches"]
    assert holds(versions, seen)
    write(versions, "new.parquet", 9)
    versions.dataset_store.save_batch(points("2.0.0").get_new_batch())
    assert holds(versions, seen)
    versions.dataset_store.save_batch(points("1.0.0").get_new_batch())
    assert not holds(versions, seen)
    assert explain(versions, seen) == "points@^1 has 4 batches now, it had 3"


def _over(workspace: Workspace) -> tuple[CompositeFormula, ModelFormula]:
    seed = DatasetFormula("seed", version="1.0.0", output_catalog=Points).new_table({"at": [0], "x": [0.0]})
    use_case = MlUseCase("guesser", input_catalog=Points, output_catalog=Guess)
    saved = workspace.model_store.save_checkpoint(use_case.update_major(dataset=seed, model=np.array([1.0])))
    workspace.model_store.bless(saved)
    return (
        CompositeFormula("all", version="1.0.0", formulas=["points@^1"]),
        ModelFormula("guesses", version="1.0.0", source="points@^1", checkpoint="guesser@blessed", apply=guess),
    )


def guess(model: object, table: pa.Table) -> dict[str, object]:
    return {"guess": table.column("x").to_numpy() * model[0]}  # type: ignore[index]


@pytest.mark.parametrize("which", [0, 1])
def test_rule_15_batches_over_others_have_edges_to_the_exact_ids_they_came_from(
    workspace: Workspace, which: int
) -> None:
    store = workspace.dataset_store
    write(workspace, "1.parquet", 1)
    part = store.save_batch(points().get_new_batch())
    formula = _over(workspace)[which]
    batch = store.save_batch(formula.get_new_batch())
    upstream = set(batch.upstream().ids)
    assert part.id in upstream
    assert store.save_batch(formula.get_new_batch()).is_new is False
    write(workspace, "2.parquet", 2)
    newer = store.save_batch(points().get_new_batch())
    following = store.save_batch(formula.get_new_batch())
    assert (following.is_new, following.epoch) == (True, 2)
    assert newer.id in set(following.upstream().ids)
    assert formula.recipe() == store.get_formula(formula.name).recipe()


def test_rule_15_a_model_batch_pins_the_checkpoint_that_its_alias_meant(workspace: Workspace) -> None:
    store, models = workspace.dataset_store, workspace.model_store
    write(workspace, "1.parquet", 1, x=3.0)
    store.save_batch(points().get_new_batch())
    formula = _over(workspace)[1]
    first = store.save_batch(formula.get_new_batch())
    old = models.get_checkpoint("guesser@blessed")
    better = models.save_checkpoint(old.use_case.update_minor(dataset=old.dataset, model=np.array([2.0])))
    models.bless(better)
    second = store.save_batch(formula.get_new_batch())
    assert (first.load()["guess"].to_pylist(), second.load()["guess"].to_pylist()) == ([3.0], [6.0])
    assert old.id in set(first.upstream().ids)
    assert better.id in set(second.upstream().ids)
    assert old.id not in set(second.upstream(depth=1).ids)


@pytest.mark.parametrize("source", ["/etc/*", "../x/*.parquet", "s3://bucket/*", ""])
def test_rule_16_a_source_is_a_pattern_below_the_root(source: str) -> None:
    with pytest.raises(UsageError, match="data root"):
        StreamingFormula("points", version="1.0.0", output_catalog=Points, source=source)


def test_rule_16_the_root_is_location_and_never_identity(tmp_path: Path) -> None:
    ids = []
    for place in ("one", "two"):
        (tmp_path / place / "data").mkdir(parents=True)
        workspace = jeyn.open(home=tmp_path / place / "home", data=tmp_path / place / "data")
        write(workspace, "deep/1.parquet", 1)
        formula = StreamingFormula("points", version="1.0.0", output_catalog=Points, source="deep/*.parquet")
        batch = workspace.dataset_store.save_batch(formula.get_new_batch())
        assert [(file.name, file.size) for file in batch.files] == [
            ("deep/1.parquet", (Path(workspace.settings.data) / "deep/1.parquet").stat().st_size)
        ]
        ids.append(batch.id)
    assert ids[0] == ids[1]


def test_rule_16_the_root_comes_from_the_project_file_then_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JEYN_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    assert jeyn.open(home=tmp_path / "home").settings.data == str(tmp_path)
    (tmp_path / "jeyn.yaml").write_text("data: ./incoming\n")
    assert jeyn.open(home=tmp_path / "home").settings.data == str(tmp_path / "incoming")
    monkeypatch.setenv("JEYN_DATA", str(tmp_path / "elsewhere"))
    assert jeyn.open(home=tmp_path / "home").settings.data == str(tmp_path / "elsewhere")


def test_rule_16_local_files_are_copied_so_the_batch_outlives_them(workspace: Workspace) -> None:
    path = write(workspace, "1.parquet", 1, 2)
    batch = workspace.dataset_store.save_batch(points().get_new_batch())
    path.unlink()
    assert batch.load().num_rows == 2


def test_rule_16_files_of_an_object_store_are_referenced_and_checked_on_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import boto3

    with serve() as server:
        for key, value in server.environment.items():
            monkeypatch.setenv(key, value)
        server.make_bucket("lake")
        client = boto3.client("s3", endpoint_url=server.endpoint)
        local = tmp_path / "1.parquet"
        pq.write_table(pa.table({"at": [1, 2], "x": [1.0, 2.0]}), local)
        client.upload_file(str(local), "lake", "events/1.parquet")
        workspace = jeyn.open(home=tmp_path / "home", data="s3://lake/events")
        batch = workspace.dataset_store.save_batch(points().get_new_batch())
        digest = batch.files[0].digest
        assert not workspace.payloads.exists(digest[7:])
        assert batch.load().column("at").to_pylist() == [1, 2]
        pq.write_table(pa.table({"at": [9, 9], "x": [1.0, 2.0]}), local)
        client.upload_file(str(local), "lake", "events/1.parquet")
        with pytest.raises(Corrupt, match=r"1\.parquet"):
            batch.load()
        assert workspace.fsck().ok


def test_rule_16_the_stat_cache_spares_hashing_what_did_not_change(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jeyn.stores.sources import files

    hashed: list[Path] = []
    hash_file = files.hash_file
    monkeypatch.setattr(files, "hash_file", lambda path, *more: (hashed.append(path), hash_file(path, *more))[1])
    path = write(workspace, "1.parquet", 1)
    os.utime(path, (1_000_000, 1_000_000))
    # What was changed in the last two seconds is hashed again: a clock tick could hide a change.
    time.sleep(2.1)
    (file,) = workspace.data_root.list("*.parquet")
    first = workspace.data_root.digest(file, workspace.stat_cache)
    assert workspace.data_root.digest(file, workspace.stat_cache) == first
    assert len(hashed) == 1
    write(workspace, "1.parquet", 2)
    (file,) = workspace.data_root.list("*.parquet")
    assert workspace.data_root.digest(file, workspace.stat_cache) != first
    assert len(hashed) == 2


def test_a_database_is_a_name_and_never_an_address() -> None:
    with pytest.raises(UsageError, match="not an address"):
        SqlFormula(
            "users",
            version="1.0.0",
            output_catalog=Points,
            query="select 1",
            watermark="at",
            database="postgresql://me:secret@host/db",
        )


def test_rule_13_after_does_not_lose_what_a_swept_batch_had(workspace: Workspace) -> None:
    from datetime import timedelta

    store = workspace.dataset_store
    write(workspace, "1.parquet", 1)
    first = store.save_batch(points().get_new_batch())
    write(workspace, "2.parquet", 2)
    store.save_batch(points().get_new_batch())
    workspace.gc(keep=[first.id], retention={"batch": {"last": 0}}, grace=timedelta(0), yes=True)
    batch = store.save_batch(points("1.1.0", after=first).get_new_batch())
    assert batch.load().column("at").to_pylist() == [2]


def test_rule_13_two_attempts_that_take_one_file_end_clearly(workspace: Workspace) -> None:
    from jeyn.errors import Busy

    write(workspace, "1.parquet", 1)
    with workspace.attempt() as one, workspace.attempt() as two:
        for attempt in (one, two):
            attempt.dataset_store.save_batch(points().get_new_batch())
        one.finish()
        write(workspace, "2.parquet", 2)
        with workspace.attempt() as three:
            three.dataset_store.save_batch(points().get_new_batch())
            three.finish()
    assert [batch.epoch for batch in workspace.dataset_store.get_formula_batches("points")] == [1, 2]
    write(workspace, "3.parquet", 3)
    with workspace.attempt() as one, workspace.attempt() as two:
        one.dataset_store.save_batch(points().get_new_batch())
        write(workspace, "4.parquet", 4)
        two.dataset_store.save_batch(points().get_new_batch())
        one.finish()
        with pytest.raises(Busy) as refused:
            two.finish()
    assert refused.value.retry_helps


def test_rule_14_a_union_that_fails_its_checks_fails_again(workspace: Workspace) -> None:
    from jeyn.checks import unique

    class Unique(DataCatalog):
        at = Feature(Dtypes.INT64, checks=[unique()])

    store = workspace.dataset_store
    for name in ("left", "right"):
        formula = DatasetFormula(
            name, version="1.0.0", output_catalog=DataCatalog.of(name, {"at": Feature(Dtypes.INT64)})
        )
        store.save_batch(formula.new_table({"at": [1, 2]}))
    both = CompositeFormula("both", version="1.0.0", formulas=["left@^1", "right@^1"], output_catalog=Unique)
    for _ in range(2):
        with pytest.raises(DataInvalid, match="unique"):
            store.save_batch(both.get_new_batch())
