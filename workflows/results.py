"""What a run has so far, read from its catalog by whoever did not see it happen: a pod, or a reader of its outputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from jeyn.workflows.graph import DONE, SETTLED, Graph, map_state
from jeyn.workflows.inputs import Results, produced_by

if TYPE_CHECKING:
    from jeyn.sdk.plan import Plan
    from jeyn.stores.catalog.operations import OperationRow
    from jeyn.stores.catalog.runs import RunRow
    from jeyn.stores.workspace import Workspace


def results_of(workspace: Workspace, run: RunRow, plan: Plan, rows: Sequence[OperationRow] | None = None) -> Results:
    """What operations of a run gave: all of them, or those whose `rows` these are (a mapped one with all its items)."""
    rows = workspace.runs.operations(run.key) if rows is None else rows
    results = Results(workspace, Graph(plan), run.pins)
    ends = workspace.runs.outputs([each.key for each in rows if each.state in DONE])
    found = workspace.reader.rows_by_id({id for some in ends.values() for _, _, id in some})
    results.known.update({row.id: produced_by(row) for row in found})
    mapped = {operation.name for operation in plan.operations if operation.mapped}
    states: dict[str, list[str]] = {}
    for each in rows:
        outputs = {name: results.produced(id) for name, _, id in ends.get(each.key, ())} or None
        if each.item >= 0:
            name = each.name.rpartition("[")[0]
            results.items.setdefault(name, []).append(outputs)
            states.setdefault(name, []).append(str(each.state))
            continue
        results.graph.states[each.name] = str(each.state)
        if each.name in mapped:
            results.items.setdefault(each.name, [])
        elif outputs:
            results.single[each.name] = outputs
    for name, some in states.items():
        if results.graph.states.get(name) not in SETTLED:
            results.graph.states[name] = map_state(some)
    return results
