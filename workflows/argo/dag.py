"""The tasks of a plan's DAG: who waits for whom, as the rules of `jeyn.workflows.graph` have it.

A mapped operation is two tasks: `train-items` says which items there are, and `train` runs once for each of them.
Whatever is skipped or cached is a pod that ends well, so waiting is for success, except before `jeyn.first`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hera.workflows import models as m

from jeyn.sdk.plan import (
    AllOf,
    AnyOf,
    Compare,
    Condition,
    First,
    Items,
    Not,
    Output,
    Plan,
    PlannedOperation,
    Source,
    Truth,
)
from jeyn.workflows.argo.names import ITEMS, task_names
from jeyn.workflows.argo.templates import Templates

_ENDED = ("Succeeded", "Failed", "Errored", "Skipped", "Omitted")


def dag(plan: Plan, templates: Templates) -> m.Template:
    """The template `main`. One operation's failure does not stop those that need nothing of it."""
    names = task_names(plan.operations)
    mapped = {each.name for each in plan.operations if each.mapped}
    tasks: list[m.DAGTask] = []
    for operation in plan.operations:
        depends = _depends(operation, names, mapped)
        if operation.mapped:
            tasks += _mapped(operation, names[operation.name], depends, templates)
        else:
            tasks.append(_task(names[operation.name], templates.run(operation), operation, depends))
    return m.Template(name="main", dag=m.DAGTemplate(fail_fast=False, tasks=tasks))


def _mapped(operation: PlannedOperation, name: str, depends: str | None, templates: Templates) -> list[m.DAGTask]:
    items = name + ITEMS
    each = _task(name, templates.run(operation), operation, items)
    each.with_param = f"{{{{tasks.{items}.outputs.parameters.items}}}}"
    assert each.arguments and each.arguments.parameters is not None  # noqa: S101  # for mypy
    each.arguments.parameters.append(m.Parameter(name="item", value="{{item}}"))
    return [_task(items, templates.expand(operation), operation, depends), each]


def _task(name: str, template: str, operation: PlannedOperation, depends: str | None) -> m.DAGTask:
    arguments = m.Arguments(parameters=[m.Parameter(name="operation", value=operation.name)])
    return m.DAGTask(name=name, template=template, arguments=arguments, depends=depends)


def _depends(operation: PlannedOperation, names: Mapping[str, str], mapped: set[str]) -> str | None:
    """`a && b`; of branches that `jeyn.first` chooses from, it is enough that they ended."""
    needed: dict[str, bool] = {}
    for whole in (*operation.inputs.values(), *operation.conditions):
        for name, must_succeed in _producers(whole):
            needed[name] = needed.get(name, False) or must_succeed
    terms = []
    for name, must_succeed in needed.items():
        for task in (names[name] + ITEMS, names[name]) if name in mapped else (names[name],):
            terms.append(task if must_succeed else _ended(task))
    return " && ".join(terms) or None


def _ended(task: str) -> str:
    return "(" + " || ".join(f"{task}.{state}" for state in _ENDED) + ")"


def _producers(source: Source | Condition, must_succeed: bool = True) -> Iterator[tuple[str, bool]]:
    match source:
        case Output(operation=name):
            yield name, must_succeed
        case First(choices=parts):
            for choice in parts:
                yield from _producers(choice, False)
        case Items(items=parts) | AllOf(conditions=parts) | AnyOf(conditions=parts):
            for part in parts:
                yield from _producers(part, must_succeed)
        case Compare(left=left, right=right):
            yield from _producers(left, must_succeed)
            yield from _producers(right, must_succeed)
        case Truth(source=inner) | Not(condition=inner):
            yield from _producers(inner, must_succeed)
