"""Lineage: closures against a walk in the test, with depth and types, as text, JSON and picture."""

from __future__ import annotations

import random
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, event

from jeyn import Workspace
from jeyn.errors import NotFound, UsageError
from jeyn.sdk.artefact import Edge, PayloadRef, Record
from jeyn.sdk.canonical import sha256_of
from jeyn.sdk.relationship import RelationshipType as R
from jeyn.sdk.value import Value
from jeyn.stores.attempt import Attempt
from jeyn.stores.catalog import closure
from jeyn.stores.catalog.changes import Ends, NewArtefact
from jeyn.stores.catalog.nodes import Node, nodes
from jeyn.stores.catalog.provenance import Maker
from jeyn.stores.lineage import trace_downstream, trace_upstream
from jeyn.stores.runs import Settled
from jeyn.stores.serializers import encode_value
from tests.stores.conftest import execute
from tests.stores.digits import a_batch, a_checkpoint
from tests.stores.lineage_world import World, new_world
from tests.stores.runs_world import a_run, a_value


@pytest.fixture
def world(catalog_url: str) -> Iterator[World]:
    with new_world(catalog_url) as made:
        yield made


def value(world: World, name: str, parents: list[str]) -> str:
    body = {"format": "json", "cache_key": name, "output": "result"}
    edges = tuple(Edge(R.derived_from, id) for id in parents)
    return world.save(Record("value/1", name, body, edges, (PayloadRef("result", sha256_of(name.encode()), 1),)))


def random_graph(world: World, size: int = 60) -> dict[str, list[str]]:
    """id -> parents."""
    chance = random.Random(7)
    made: dict[str, list[str]] = {}
    for n in range(size):
        parents = chance.sample(list(made), k=min(len(made), chance.randrange(4)))
        made[value(world, f"v{n}", parents)] = parents
    return made


def walk(steps: Callable[[str], list[str]], start: str, depth: int | None) -> set[str]:
    """Level by level over plain sets."""
    seen: set[str] = set()
    frontier = {start}
    while frontier and depth != 0:
        frontier = {there for here in frontier for there in steps(here)} - seen
        seen |= frontier
        depth = None if depth is None else depth - 1
    return seen


@pytest.mark.parametrize("depth", [None, 0, 1, 2, 3, 50])
def test_closures_are_what_a_plain_walk_finds(world: World, depth: int | None) -> None:
    graph = random_graph(world)
    children = {id: [child for child, parents in graph.items() if id in parents] for id in graph}
    for id in list(graph)[::7]:
        assert set(trace_upstream(world.reader, id, depth).ids) == walk(graph.__getitem__, id, depth)
        assert set(trace_downstream(world.reader, id, depth).ids) == walk(children.__getitem__, id, depth)


def test_rule_12_a_node_that_many_paths_reach_is_found_once(world: World) -> None:
    """A ladder of 40 diamonds has 2^40 paths."""
    left = right = value(world, "top", [])
    for n in range(40):
        left, right = value(world, f"l{n}", sorted({left, right})), value(world, f"r{n}", sorted({left, right}))
    bottom = value(world, "bottom", [left, right])
    assert len(trace_upstream(world.reader, bottom)) == 81
    assert len(trace_upstream(world.reader, bottom, depth=2)) == 4


def test_rule_12_an_unknown_type_and_edge_of_a_newer_jeyn_are_traversed(world: World) -> None:
    old, new = value(world, "old", []), value(world, "new", [])
    insert = "INSERT INTO edge (child, parent, type) VALUES (:child, :parent, 99)"
    execute(world.database, insert, {"child": world.key(new), "parent": world.key(old)})
    lineage = trace_upstream(world.reader, new)
    assert lineage.edges == [(old, new, "relationship_99")]
    assert "relationship_99" in str(lineage) and "relationship_99" in lineage.svg()


def test_types_filter_what_is_returned_and_the_walk_passes_through_all(world: World) -> None:
    formula = world.formula("digits")
    batch = world.batch(formula, "one")
    checkpoint = world.checkpoint("reader", "0.1.0", batch)
    lineage = trace_upstream(world.reader, checkpoint, types=("dataset_formula",))
    assert [node.ref for node in lineage] == ["formula:digits@1.0.0"] and lineage.ids == [formula]
    assert lineage.edges == [(formula, checkpoint, "via")]
    assert [n.id for n in trace_upstream(world.reader, checkpoint, depth=1, types=("dataset_batch",))] == [batch]
    assert len(trace_upstream(world.reader, checkpoint, depth=1, types=("dataset_formula",))) == 0


def test_edge_types_limit_the_walk(world: World) -> None:
    formula = world.formula("digits")
    batch = world.batch(formula, "one")
    checkpoint = world.checkpoint("reader", "0.1.0", batch)
    found = closure.upstream(world.database, world.key(checkpoint), rel_types=[R.use_case_checkpoint])
    assert found == [world.key(world.use_case("reader"))]
    assert closure.upstream(world.database, world.key(checkpoint), 5, rel_types=[R.use_case_checkpoint]) == found
    assert closure.downstream(world.database, world.key(formula), types=["model_checkpoint"]) == [world.key(checkpoint)]


def test_references_are_the_shortest_that_mean_the_artefact(world: World) -> None:
    formula = world.formula("digits", "1.2.0")
    batches = [world.batch(formula, text) for text in "abc"]
    lost = world.batch(formula, "bad", quarantined=True)
    first = world.checkpoint("reader", "1.0.0-rc.1", batches[0])
    refs = {id: trace_upstream(world.reader, id).root.ref for id in (formula, *batches, lost, first)}
    assert refs == {
        formula: "formula:digits@1.2.0",
        batches[0]: "batch:digits@1.2.0/1",
        batches[1]: "batch:digits@1.2.0/2",
        batches[2]: "batch:digits@1.2.0/3",
        lost: lost,
        first: "checkpoint:reader@1.0.0-rc.1",
    }
    again = world.checkpoint("reader", "1.0.0", batches[0], content="reader 1.0.0-rc.1")
    assert again == first, "the release of a prerelease's content"
    assert trace_upstream(world.reader, first).root.ref == "checkpoint:reader@1.0.0"
    use_case = next(node for node in trace_upstream(world.reader, first) if node.type == "use_case")
    assert (use_case.ref, use_case.number) == ("usecase:reader", None)


def test_nodes_come_in_the_order_of_saving_and_are_read_lazily(world: World) -> None:
    graph = list(random_graph(world))
    graph.append(value(world, "last", graph[-5:]))
    lineage = trace_upstream(world.reader, graph[-1])
    ids = lineage.ids
    assert ids == [id for id in graph if id in set(ids)] and "_nodes" not in vars(lineage)
    assert [node.id for node in lineage] == ids and len(lineage) == len(ids)
    assert ids[0] in lineage and graph[-1] not in lineage


def test_the_tree_shows_what_is_shared_once(world: World) -> None:
    formula = world.formula("digits")
    batch = world.batch(formula, "one")
    first = world.checkpoint("reader", "0.1.0", batch)
    second = world.checkpoint("reader", "0.2.0", batch, parents=[first])
    assert str(trace_upstream(world.reader, second)) == "\n".join(
        [
            "checkpoint:reader@0.2.0",
            "├── batch:digits@1.0.0/1  (batch_checkpoint)",
            "│   └── formula:digits@1.0.0  (formula_batch)",
            "├── usecase:reader  (use_case_checkpoint)",
            "└── checkpoint:reader@0.1.0  (checkpoint_parent)",
            "    ├── batch:digits@1.0.0/1  (batch_checkpoint) ↑ shown above",
            "    └── usecase:reader  (use_case_checkpoint) ↑ shown above",
        ]
    )
    assert str(trace_downstream(world.reader, formula)).splitlines()[0] == "formula:digits@1.0.0"


def test_a_long_chain_makes_a_tree_no_wider_than_the_terminal(world: World) -> None:
    last = value(world, "v", [])
    for n in range(120):
        last = value(world, f"w{n}", [last])
    lines = trace_upstream(world.reader, last).tree(width=60).splitlines()
    assert max(map(len, lines)) <= 60 and "…" in lines[-1]


def test_a_wide_graph_is_cut_with_a_count(world: World) -> None:
    top = value(world, "top", [])
    for n in range(450):
        value(world, f"c{n}", [top])
    lineage = trace_downstream(world.reader, top)
    lines = str(lineage).splitlines()
    assert lines[-1].startswith("… and 51 more") and len(lines) == 401
    assert "51 more" in lineage.svg()


def test_json_holds_nodes_and_edges(world: World) -> None:
    formula = world.formula("digits")
    batch = world.batch(formula, "one")
    found = trace_upstream(world.reader, batch).to_json()
    assert found["root"]["ref"] == "batch:digits@1.0.0/1" and found["direction"] == "upstream"
    assert [node["id"] for node in found["nodes"]] == [formula]
    assert found["edges"] == [{"parent": formula, "child": batch, "type": "formula_batch"}]
    assert found["operations"] == []


def test_the_picture_is_one_svg_with_escaped_text(world: World) -> None:
    formula = world.formula("digits")
    batch = world.batch(formula, "one")
    # Names cannot hold markup when saved through the stores; what an import brought may.
    made = value(world, "<b>&", [batch])
    svg = trace_upstream(world.reader, made).svg()
    assert ET.fromstring(svg).tag.endswith("svg") and "<b>" not in svg
    assert svg.count("<rect") == 3 and svg.count("<path") == 2


def test_rule_07_operations_of_runs_are_joined(world: World) -> None:
    formula = world.formula("digits")
    batch, other = world.batch(formula, "one"), world.batch(formula, "two")
    checkpoint = world.checkpoint("reader", "0.1.0", batch)
    key = {id: world.key(id) for id in (batch, other, checkpoint)}
    run = "INSERT INTO run (key, id, pipeline, actor, at) VALUES (1, 'run-1', 'nightly', 'ann', 0)"
    execute(world.database, run)
    for number, name in [(1, "train"), (2, "unrelated")]:
        execute(world.database, "INSERT INTO operation (key, run, name) VALUES (:k, 1, :n)", {"k": number, "n": name})
    ends = [(1, "in", "batch", key[batch]), (1, "out", "0", key[checkpoint]), (2, "in", "batch", key[other])]
    for operation, direction, name, artefact in ends:
        row = {"o": operation, "d": direction, "n": name, "a": artefact}
        execute(world.database, "INSERT INTO operation_artefact VALUES (:o, :d, :n, 0, :a)", row)
    (found,) = trace_upstream(world.reader, checkpoint).operations
    assert (found.run, found.name, found.inputs, found.outputs) == ("run-1", "train", (batch,), (checkpoint,))
    assert len(trace_downstream(world.reader, formula).operations) == 2


def does(workspace: Workspace, operation: int, do: Callable[[Attempt], tuple[Ends, Ends]]) -> None:
    """Carry out an operation; `do` gives what came out and what went in."""
    with workspace.attempt(operation, workspace.runs.start_attempt(operation, 1, "here", 1)) as attempt:
        outputs, inputs = do(attempt)
        attempt.finish(outputs, inputs=inputs)


def test_rule_07_lineage_joins_the_data_and_the_runs(workspace: Workspace) -> None:
    batch, code = a_batch(workspace), a_value(workspace, "code")
    made: dict[str, str] = {}

    def train(attempt: Attempt) -> tuple[Ends, Ends]:
        made["checkpoint"] = a_checkpoint(attempt, seed=1).id
        return (("return", 0, made["checkpoint"]),), (("batch", 0, batch.id),)

    def judge(attempt: Attempt) -> tuple[Ends, Ends]:
        checkpoint = attempt.get(made["checkpoint"])
        made["aside"] = attempt.model_store.save_evaluation(checkpoint, batch, {"accuracy": 0.9}).id
        made["value"] = a_value(attempt, 0.9, parents=[checkpoint.id])
        return (("return", 0, made["value"]),), (("checkpoint", 0, checkpoint.id),)

    def hand_on(attempt: Attempt) -> tuple[Ends, Ends]:
        ends = (("return", 0, made["checkpoint"]),)
        return ends, ends

    first, second = (
        [row.key for row in workspace.runs.operations(a_run(workspace, id, names, code=code).key)]
        for id, names in (("early", ["train", "hand-on", "judge"]), ("late", ["train", "judge", "hand-on"]))
    )
    # The run that was created last commits first, and the earlier one takes its results over.
    does(workspace, second[0], train)
    does(workspace, second[1], judge)
    workspace.runs.settle([Settled(first[0], "cached", origin=second[0])])
    does(workspace, first[1], hand_on)
    does(workspace, first[2], judge)  # again: it gives what is there

    down = workspace.downstream(batch.id)
    by = {node.id: node.made_by for node in down}
    train_of, judge_of = (Maker("late", name, code) for name in ("train", "judge"))
    assert by == {made["checkpoint"]: train_of, made["aside"]: judge_of, made["value"]: judge_of}
    up = workspace.upstream(made["value"])
    assert up.root.made_by == judge_of and {node.made_by for node in up if node.id == batch.id} == {None}
    assert [trace.run for trace in up.operations if trace.name == "train"] == ["early", "late"]

    told = {node["id"]: node["made_by"] for node in down.to_json()["nodes"]}
    assert told[made["aside"]] == {"run": "late", "operation": "judge", "code": code}
    assert up.to_json()["root"]["made_by"]["run"] == "late" and down.to_json()["root"]["made_by"] is None
    assert "checkpoint:digit-reader@0.1.0  (batch_checkpoint)  made by train in late" in str(down)
    assert "made by" not in str(down).splitlines()[0]
    assert "made by judge in late</title>" in down.svg() and "model_checkpoint · train" in down.svg()


def test_a_value_is_called_after_the_operation_that_made_it(workspace: Workspace) -> None:
    def kept(attempt: Attempt, what: object, output: str) -> tuple[str, int, str]:
        encoded = encode_value(what)
        assert isinstance(encoded.data, bytes)
        payload = PayloadRef(output, sha256_of(encoded.data), len(encoded.data))
        saved = Value(output=output, cache_key="k", format=encoded.format, payload=payload).record()
        attempt.commit([NewArtefact(saved, inline={payload.digest[7:]: encoded.data})])
        return output, 0, saved.id

    (row,) = workspace.runs.operations(a_run(workspace, names=["measure"]).key)
    given = {"return": 0.5, "note": "good\n", "parts": (1, None), "long": "x" * 61, "raw": b"bytes"}
    does(workspace, row.key, lambda attempt: (tuple(kept(attempt, what, name) for name, what in given.items()), ()))
    ends = workspace.runs.outputs([row.key])[row.key]
    titles = {trace_upstream(workspace.reader, id).root.title for _, _, id in ends}
    assert titles == {
        "measure = 0.5",
        "measure.note = 'good\\n'",
        "measure.parts = (1, None)",
        "measure.long",
        "measure.raw",
    }
    alone = Node("sha256:" + "0" * 64, "value", "return", "sha256:" + "0" * 64, None, 0)
    assert alone.label == "value return (sha256:00000000…)"


def test_nodes_are_read_in_as_many_queries_however_many_there_are(world: World) -> None:
    keys = [world.key(value(world, f"v{n}", [])) for n in range(40)]
    asked: list[str] = []

    def count(*given: Any) -> None:
        asked.append(given[2].partition(" IN ")[0])

    event.listen(Engine, "before_cursor_execute", count)
    try:
        assert list(nodes(world.database, keys[:1])) == keys[:1]
        for_one, asked = asked, []
        assert list(nodes(world.database, keys)) == keys
    finally:
        event.remove(Engine, "before_cursor_execute", count)
    assert asked == for_one != []


def test_siblings_stand_in_the_order_of_saving_and_aliases_beside_their_names(world: World) -> None:
    batch = world.batch(world.formula("digits"), "one")
    made = [world.checkpoint("reader", f"0.{n}.0", batch) for n in range(1, 9)]
    world.bless(made[4])
    world.bless(made[4], "best")
    lineage = trace_downstream(world.reader, batch)
    lines = [line[4:] for line in str(lineage).splitlines()[1:]]
    marks = ["  ◀ best blessed" if n == 5 else "" for n in range(1, 9)]
    assert lines == [f"checkpoint:reader@0.{n}.0  (batch_checkpoint){marks[n - 1]}" for n in range(1, 9)]
    assert [node["aliases"] for node in lineage.to_json()["nodes"]][3:5] == [[], ["best", "blessed"]]


def test_what_is_not_there_and_a_negative_depth_are_refused(world: World) -> None:
    with pytest.raises(NotFound, match="no artefact"):
        trace_upstream(world.reader, "sha256:" + "0" * 64)
    with pytest.raises(UsageError, match='"-1" is below 0'):
        closure.upstream(world.database, 1, depth=-1)
    assert nodes(world.database, [12345]) == {}
