"""SEMANTICS 7 and 8: the artefact DAG holds data edges only, and these kinds of them."""

from __future__ import annotations

import numpy as np
import pytest

from jeyn import Workspace
from jeyn.errors import Conflict, JeynError, NotFound
from jeyn.formulas import CompositeFormula, ModelFormula
from jeyn.sdk.artefact import Edge, PayloadRef, Record
from jeyn.sdk.canonical import sha256_of
from jeyn.sdk.relationship import RelationshipType
from jeyn.stores.catalog import tables
from jeyn.stores.catalog.changes import NewArtefact
from tests.stores.conftest import Sql
from tests.stores.digits import DIGITS, READER, Digits, a_batch, a_checkpoint, rows

NUMBERS = {
    "formula_batch": 1,
    "use_case_checkpoint": 2,
    "batch_checkpoint": 3,
    "checkpoint_parent": 4,
    "source_formula": 5,
    "checkpoint_formula": 6,
    "serializer_checkpoint": 7,
    "source_batch": 8,
    "derived_from": 9,
    "evaluation_of": 10,
    "index_of": 11,
}
OUTPUTS = "SELECT o.name, a.id FROM operation_artefact o JOIN artefact a ON a.key = o.artefact ORDER BY 1"


def value(name: str, *parents: str) -> Record:
    body = {"format": "json", "cache_key": name, "output": "result"}
    edges = tuple(Edge(RelationshipType.derived_from, parent) for parent in parents)
    return Record("value/1", name, body, edges, (PayloadRef("result", sha256_of(name.encode()), 1),))


def edges(sql: Sql) -> list[tuple[str, str, str]]:
    """(type of the parent, kind of edge, type of the child) of every edge."""
    found = sql(
        "SELECT p.type, e.type, c.type FROM edge e "
        "JOIN artefact p ON p.key = e.parent JOIN artefact c ON c.key = e.child"
    )
    return [(parent, RelationshipType(kind).name, child) for parent, kind, child in found]


# 7. Data edges only, from parents that exist, written when the child is created.


def test_rule_07_a_parent_that_is_not_there_is_refused_and_nothing_is_written(workspace: Workspace, sql: Sql) -> None:
    a_batch(workspace)
    before = sql("SELECT count(*) FROM artefact"), sql("SELECT seq FROM catalog_clock")
    stranger = "sha256:" + "0" * 64
    with pytest.raises(NotFound, match=stranger) as refused:
        workspace.commit([NewArtefact(value("first")), NewArtefact(value("second", stranger))])
    assert (refused.value.exit_code, refused.value.refs) == (3, (stranger,))
    assert (sql("SELECT count(*) FROM artefact"), sql("SELECT seq FROM catalog_clock")) == before


def test_rule_07_parents_go_before_children_in_one_transaction(workspace: Workspace) -> None:
    parent = value("parent")
    child = value("child", parent.id)
    with pytest.raises(NotFound):
        workspace.commit([NewArtefact(child), NewArtefact(parent)])
    workspace.commit([NewArtefact(parent), NewArtefact(child)])
    assert [node.id for node in workspace.upstream(child.id)] == [parent.id]


def test_rule_07_no_edge_is_added_to_a_child_that_is_there(workspace: Workspace, sql: Sql) -> None:
    first, second = value("first"), value("second")
    workspace.commit([NewArtefact(first), NewArtefact(second)])
    later = Edge(RelationshipType.derived_from, first.id)
    outcome = workspace.commit([NewArtefact(second, edges=(later,))])[0]
    assert not outcome.is_new
    assert edges(sql) == []


def test_rule_07_an_artefact_cannot_come_from_itself(workspace: Workspace) -> None:
    record = value("alone")
    with pytest.raises(NotFound):
        workspace.commit([NewArtefact(record, edges=(Edge(RelationshipType.derived_from, record.id),))])


def test_rule_07_a_cycle_cannot_be_made(workspace: Workspace, sql: Sql) -> None:
    one = value("one")
    two = value("two", one.id)
    workspace.commit([NewArtefact(one), NewArtefact(two)])
    workspace.commit([NewArtefact(one, edges=(Edge(RelationshipType.derived_from, two.id),))])
    assert len(edges(sql)) == 1
    # Every edge leads from an older row to a newer one, whatever was saved.
    assert sql("SELECT count(*) FROM edge WHERE parent >= child") == [(0,)]


def test_rule_07_an_edge_is_written_once(workspace: Workspace, sql: Sql) -> None:
    parent = value("parent")
    twice = Edge(RelationshipType.derived_from, parent.id)
    workspace.commit([NewArtefact(parent), NewArtefact(value("child", parent.id), edges=(twice, twice))])
    assert len(edges(sql)) == 1


def test_rule_07_an_edge_needs_both_ends_in_the_database(workspace: Workspace, sql: Sql) -> None:
    a_batch(workspace)
    with pytest.raises(JeynError):
        sql("INSERT INTO edge (child, parent, type) VALUES (1, 999, 1)")


def test_rule_07_runs_operations_and_attempts_are_rows_and_not_artefacts(workspace: Workspace, sql: Sql) -> None:
    batch = a_batch(workspace)
    sql("INSERT INTO run (key, id, pipeline, actor, at) VALUES (1, 'r1', 'nightly', 'ada', 0)")
    sql("INSERT INTO operation (key, run, name) VALUES (1, 1, 'train')")
    sql("INSERT INTO attempt (key, operation, number, host, at) VALUES (1, 1, 1, 'here', 0)")
    with workspace.attempt(1, 1) as attempt:
        made = a_checkpoint(attempt, dataset=batch)
        attempt.finish([("return", 0, made.id), ("same", 1, batch.id)])
    assert sql(OUTPUTS) == [
        ("return", made.id[7:]),
        ("same", batch.id[7:]),
    ]
    assert {type for (type,) in sql("SELECT DISTINCT type FROM artefact")} == {
        "dataset_formula", "dataset_batch", "use_case", "model_checkpoint", "model_serializer"
    }  # fmt: skip
    # What was passed through has no edge to anything that the operation made.
    assert {node.type for node in workspace.upstream(batch.id)} == {"dataset_formula"}
    assert [key.column.table.name for key in tables.edge.foreign_keys] == ["artefact", "artefact"]


def test_rule_07_only_one_attempt_of_an_operation_commits(workspace: Workspace, sql: Sql) -> None:
    sql("INSERT INTO run (key, id, pipeline, actor, at) VALUES (1, 'r1', 'nightly', 'ada', 0)")
    sql("INSERT INTO operation (key, run, name) VALUES (1, 1, 'train')")
    with workspace.attempt(1, 1) as first, workspace.attempt(1, 2) as second:
        kept, lost = a_checkpoint(first, 1), a_checkpoint(second, 2)
        first.finish([("return", 0, kept.id)])
        with pytest.raises(Conflict):
            second.finish([("return", 0, lost.id)])
    assert workspace.reader.row(lost.id) is None
    assert sql("SELECT committed_by FROM operation") == [(1,)]


# 8. The kinds of edges.


def test_rule_08_there_are_these_kinds_and_their_numbers_never_change() -> None:
    assert {kind.name: kind.value for kind in RelationshipType} == NUMBERS


def test_rule_08_saves_make_these_edges(workspace: Workspace, sql: Sql) -> None:
    data, models = workspace.dataset_store, workspace.model_store
    batch = a_batch(workspace)
    parent = a_checkpoint(workspace, 1, dataset=batch)
    a_checkpoint(workspace, 2, dataset=batch, parents=[parent])
    both = data.save_formula(CompositeFormula("both", version="1.0.0", formulas=["digits@^1"], output_catalog=Digits))
    data.save_batch(both.get_new_batch())
    scored = ModelFormula(
        "scored", version="1.0.0", source="digits@^1", checkpoint="digit-reader@0.1.0", apply="predict"
    )
    data.save_formula(scored)
    cleaned = data.save_batch(DIGITS.new_table(rows(5), sources=[batch]))
    models.save_evaluation(parent, cleaned, {"accuracy": 1.0})
    assert set(edges(sql)) == {
        ("dataset_formula", "formula_batch", "dataset_batch"),
        ("use_case", "use_case_checkpoint", "model_checkpoint"),
        ("dataset_batch", "batch_checkpoint", "model_checkpoint"),
        ("model_checkpoint", "checkpoint_parent", "model_checkpoint"),
        ("dataset_formula", "source_formula", "dataset_formula"),
        ("model_checkpoint", "checkpoint_formula", "dataset_formula"),
        ("model_serializer", "serializer_checkpoint", "model_checkpoint"),
        ("dataset_batch", "source_batch", "dataset_batch"),
        ("model_checkpoint", "evaluation_of", "evaluation"),
        ("dataset_batch", "source_batch", "evaluation"),
    }


def test_rule_08_a_reloaded_checkpoint_knows_its_edges(workspace: Workspace) -> None:
    batch = a_batch(workspace)
    parents = [a_checkpoint(workspace, seed, dataset=batch) for seed in (1, 2)]
    merged = READER.update_minor(dataset=batch, model=np.array([3.0]), parents=[parents[0], parents[1].ref])
    found = workspace.get(workspace.model_store.save_checkpoint(merged).ref)
    assert {parent.id for parent in found.parents} == {parent.id for parent in parents}
    assert found.dataset.id == batch.id
