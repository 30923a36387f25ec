"""The ten defects of the original Jeyn that were found by reading it, each with what now holds instead."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv
import pytest

from jeyn import DataCatalog, DatasetFormula, Dtypes, Feature, MlUseCase, Workspace
from jeyn.errors import (
    BumpTooSmall,
    CatalogMismatch,
    Corrupt,
    Immutable,
    Invalid,
    InvalidFilter,
    NotFound,
    VersionTaken,
)
from jeyn.formulas import StreamingFormula
from jeyn.sdk.artefact import Record
from jeyn.sdk.bodies import BODIES
from jeyn.sdk.schemas import check_body, json_schema
from jeyn.stores.catalog.changes import NewArtefact
from tests.stores.conftest import Sql
from tests.stores.digits import DIGITS, READER, Digits, Scores, a_batch, a_checkpoint, rows

ROOT = Path(__file__).parents[2]


class Wide(DataCatalog):
    x = Feature(Dtypes.FLOAT64)
    label = Feature(Dtypes.INT64)
    weight = Feature(Dtypes.FLOAT64)


def save(workspace: Workspace, use_case: MlUseCase, level: str, seed: int, batch: Any = None, **options: Any) -> Any:
    bump = getattr(use_case, f"update_{level}")
    batch = batch or a_batch(workspace)
    return workspace.model_store.save_checkpoint(bump(dataset=batch, model=np.array([float(seed)]), **options))


@pytest.mark.parametrize(("level", "expected"), [("patch", "3.2.2"), ("minor", "3.3.0"), ("major", "4.0.0")])
def test_defect_01_each_update_bumps_its_own_part_and_resets_the_lower(
    workspace: Workspace, level: str, expected: str
) -> None:
    """`update_minor` and `update_patch` called `update_major`, which kept the lower parts (3.2.1 → 4.2.1)."""
    batch = a_batch(workspace)
    workspace.model_store.save_checkpoint(READER.update_to("3.2.1", dataset=batch, model=np.array([0.0])))
    assert str(save(workspace, READER, level, 1, batch).version) == expected


def test_defect_02_a_batch_must_have_what_the_model_needs_and_may_have_more(workspace: Workspace) -> None:
    """`includes` said the opposite of its name, so a model could be trained on a batch that lacks its inputs."""
    batch = a_batch(workspace)
    assert save(workspace, READER, "minor", 1, batch).input_catalog == Digits.only("x")
    greedy = MlUseCase("greedy", input_catalog=Wide, output_catalog=Scores)
    with pytest.raises(CatalogMismatch, match='"weight"'):
        save(workspace, greedy, "minor", 1, batch)


def test_defect_02_a_major_may_change_anything_and_a_minor_may_not(workspace: Workspace) -> None:
    """`update_major` enforced the minor's rule, on a checkpoint in place of a catalog."""
    save(workspace, READER, "major", 1)
    other = MlUseCase("digit-reader", input_catalog=Digits, output_catalog=Digits.only("label"))
    with pytest.raises(BumpTooSmall):
        save(workspace, other, "minor", 2)
    assert str(save(workspace, other, "major", 2).version) == "2.0.0"


def test_defect_03_another_catalog_under_the_same_version_is_refused(workspace: Workspace) -> None:
    """`initialise()` compared the remote catalog with itself, and `DataCatalog` had no `__eq__`."""
    workspace.dataset_store.save_formula(DIGITS)
    with pytest.raises(VersionTaken) as refused:
        workspace.dataset_store.save_formula(DatasetFormula("digits", version="1.0.0", output_catalog=Wide))
    assert refused.value.exit_code == 4
    assert workspace.dataset_store.get_formula("digits@1.0.0").output_catalog == Digits
    assert Digits != Wide


def test_defect_04_the_lineage_of_fine_tuning_survives_a_reload(workspace: Workspace) -> None:
    """`parent` never became a relationship, and reloading set it to None."""
    base = a_checkpoint(workspace, 1)
    tuned = workspace.get(a_checkpoint(workspace, 2, "patch", parents=[base]).ref)
    assert [parent.id for parent in tuned.parents] == [base.id]
    assert base.id in {node.id for node in tuned.upstream()}
    assert tuned.id in {node.id for node in base.downstream(depth=1)}
    assert tuned.id != a_checkpoint(workspace, 2, "patch").id


def test_defect_05_latest_is_the_highest_version_and_never_the_newest_row(workspace: Workspace) -> None:
    """ "Latest" was the newest creation time of a relationship, which every save moved."""
    batch = a_batch(workspace)
    highest = save(workspace, READER, "major", 1, batch)
    later = save(workspace, READER, "patch", 2, batch)
    older = save(workspace, READER, "patch", 3, batch, base=save(workspace, READER, "major", 4, batch))
    fix = workspace.model_store.save_checkpoint(READER.update_to("1.1.0", dataset=batch, model=np.array([5.0])))
    assert [str(c.version) for c in (highest, later, older, fix)] == ["1.0.0", "1.0.1", "2.0.1", "1.1.0"]
    assert workspace.model_store.get_latest_use_case_checkpoint(READER).id == older.id
    # Saving again moves neither a time nor an id.
    again = save(workspace, READER, "major", 1, batch)
    assert (again.created_at, again.id) == (highest.created_at, highest.id)
    assert workspace.get("digit-reader@latest").id == older.id
    assert isinstance(again.created_at, datetime)


def test_defect_06_model_bytes_lie_under_their_digest_whole_or_not_at_all(workspace: Workspace) -> None:
    """They lay at `<use case>/<uuid>`: no hash, no atomic rename, and who had written them was not recorded."""
    checkpoint = a_checkpoint(workspace)
    payload = checkpoint.record().payloads[0]
    path = workspace.payloads.local_path(payload.digest[7:])
    assert path is not None
    assert path.name == payload.digest[7:]
    assert workspace.get(checkpoint.ref).serializer == {"id": "jeyn.numpy", "version": "1", "unsafe": False}
    path.chmod(0o644)
    path.write_bytes(b"x" * payload.size)
    with pytest.raises(Corrupt):
        workspace.get(checkpoint.ref).load()


def test_defect_06_the_serializer_is_found_by_its_id_and_not_by_the_class(workspace: Workspace) -> None:
    checkpoint = a_checkpoint(workspace)
    with pytest.raises(NotFound, match=r"never\.heard-of"):
        workspace.serializers.by_id("never.heard-of", "1")
    assert workspace.serializers.by_id(checkpoint.serializer["id"], "1").id == "jeyn.numpy"
    assert "model_serializer" in {node.type for node in checkpoint.upstream(depth=1)}


OFFLINE = """
import socket, sys
def refused(*_): raise OSError("no network here")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refused
import os
home = os.environ["JEYN_HOME"]
from tests.stores.digits import *
class Mine(DatasetFormula): pass
class More(Digits): pass
Mine("mine", version="1.0.0", output_catalog=More).new_table(rows(1))
assert not os.path.exists(home)
"""


def test_defect_07_declaring_things_needs_no_server(tmp_path: Path) -> None:
    """Making a class did HTTP, so importing a pipeline failed offline."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "JEYN_HOME": str(tmp_path / "home")}
    command = [sys.executable, "-W", "ignore", "-c", OFFLINE]
    shown = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stderr


@pytest.mark.parametrize("schema", sorted(BODIES))
def test_defect_07_records_are_checked_against_their_schema(workspace: Workspace, schema: str) -> None:
    """A changed type schema was never checked (`_check_type_data: pass`)."""
    with pytest.raises(Invalid):
        workspace.commit([NewArtefact(Record(schema, "x", {"surprise": 1}))])


@pytest.mark.parametrize("statement", ["DELETE FROM artefact", "UPDATE artefact SET name = 'mine'", "DELETE FROM edge"])
def test_defect_08_nothing_changes_or_deletes_what_is_saved(workspace: Workspace, sql: Sql, statement: str) -> None:
    """The REST view set had PUT and DELETE, and deleting a type took its history along."""
    checkpoint = a_checkpoint(workspace)
    with pytest.raises(Immutable):
        sql(statement)
    assert workspace.get(checkpoint.id).name == "digit-reader"


@pytest.mark.parametrize(
    "text", ["document__contains:secret", "pk:1", "artefact.key:1", "name:x'--;", "type:x) OR (1=1", "name:' OR '1'='1"]
)
def test_defect_08_a_search_is_a_language_of_its_own_and_not_a_query(workspace: Workspace, text: str) -> None:
    """Users' JSON became keyword arguments of the ORM's filter."""
    a_checkpoint(workspace)
    try:
        found = list(workspace.search(text))
    except InvalidFilter as exc:
        assert exc.exit_code == 2
    else:
        assert found == []


@pytest.fixture
def stream(workspace: Workspace) -> StreamingFormula:
    Path(workspace.settings.data).mkdir()
    return StreamingFormula("stream", version="1.0.0", output_catalog=Digits, source="*.csv")


def add(workspace: Workspace, name: str, seed: int, modified: float = 0.0) -> None:
    path = Path(workspace.settings.data) / name
    csv.write_csv(pa.table(rows(seed)), path)
    os.utime(path, (modified, modified))


def names(batch: Any) -> list[str]:
    return sorted(file.name for file in batch.files)


def test_defect_09_late_files_and_those_of_the_same_time_are_taken(
    workspace: Workspace, stream: StreamingFormula
) -> None:
    """New files were those whose name had a later date, so late ones and equal ones were dropped without a word."""
    add(workspace, "2024-05-02.csv", 1, 2000)
    assert names(workspace.dataset_store.save_batch(stream.get_new_batch())) == ["2024-05-02.csv"]
    add(workspace, "2024-05-01.csv", 2, 1000)
    add(workspace, "2024-05-02b.csv", 3, 2000)
    add(workspace, "no-date.csv", 4, 2000)
    second = workspace.dataset_store.save_batch(stream.get_new_batch())
    assert names(second) == ["2024-05-01.csv", "2024-05-02b.csv", "no-date.csv"]
    assert not workspace.dataset_store.save_batch(stream.get_new_batch()).is_new


def test_defect_09_a_batch_is_its_content(workspace: Workspace, stream: StreamingFormula) -> None:
    """A batch was a list of paths, so the same batch could hold other data tomorrow."""
    add(workspace, "a.csv", 1)
    first = workspace.dataset_store.save_batch(stream.get_new_batch())
    before = first.load()
    add(workspace, "a.csv", 2)
    assert workspace.get(first.id).load().equals(before)
    second = workspace.dataset_store.save_batch(stream.get_new_batch())
    assert (second.epoch, names(second)) == (2, ["a.csv"])
    assert second.files[0].digest != first.files[0].digest


@pytest.mark.parametrize("schema", sorted(set(BODIES) - {"use_case/1"}))
def test_defect_10_an_empty_body_is_refused(schema: str) -> None:
    """`{}` was valid for three of four types; a use case is its name, so its body is empty."""
    with pytest.raises(Invalid) as refused:
        check_body(schema, {})
    assert refused.value.exit_code == 5


@pytest.mark.parametrize("schema", sorted(BODIES))
def test_defect_10_schemas_are_closed(schema: str) -> None:
    shown = json_schema(schema)
    objects = [shown, *shown.get("$defs", {}).values()]
    assert [
        each for each in objects if each.get("type") == "object" and each.get("additionalProperties") is not False
    ] == []
    assert schema == "use_case/1" or shown["required"]


def test_defect_10_the_misspelt_name_still_works(workspace: Workspace) -> None:
    workspace.dataset_store.save_formula(DIGITS)
    with pytest.warns(DeprecationWarning, match="get_formula"):
        assert workspace.dataset_store.get_fromula("digits@1.0.0").ref == "formula:digits@1.0.0"
