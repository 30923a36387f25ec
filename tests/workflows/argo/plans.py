"""Plans for the compiler's tests, and what is in the manifests they become."""

from __future__ import annotations

from typing import Any

from jeyn.project_file import ArgoSettings
from jeyn.sdk.options import NAMES
from jeyn.sdk.plan import Options, Output, Plan, PlannedOperation
from jeyn.workflows.argo.compile import compile_plan

CODE, PLAN = "sha256:" + "c" * 64, "sha256:" + "d" * 64


def operation(name: str, *needs: str, function: str = "", **fields: Any) -> PlannedOperation:
    """An operation that takes the outputs of others, with options where they are given."""
    given = {key: fields.pop(key) for key in list(fields) if key in NAMES}
    inputs = {f"input_{place}": Output(operation=needed) for place, needed in enumerate(needs)}
    return PlannedOperation(
        name=name,
        function=f"pipeline:{function or 'work'}",
        inputs={**inputs, **fields.pop("inputs", {})},
        options=Options(**given),
        **fields,
    )


def plan(*operations: PlannedOperation, **fields: Any) -> Plan:
    return Plan(**{"pipeline": "nightly", "operations": operations, **fields})


def compiled(found: Plan, **settings: Any) -> list[dict[str, Any]]:
    return compile_plan(found, code=CODE, plan_id=PLAN, settings=ArgoSettings(**settings))


def spec_of(manifests: list[dict[str, Any]]) -> dict[str, Any]:
    """The spec of the WorkflowTemplate."""
    (found,) = (each["spec"] for each in manifests if each["kind"] == "WorkflowTemplate")
    return dict(found)


def tasks_of(found: Plan) -> dict[str, dict[str, Any]]:
    """The tasks of the DAG by name."""
    main = next(each for each in spec_of(compiled(found))["templates"] if each["name"] == "main")
    return {task["name"]: task for task in main["dag"]["tasks"]}


def template_of(found: Plan, task: str = "work", **settings: Any) -> dict[str, Any]:
    """The container template that a task runs."""
    templates = {each["name"]: each for each in spec_of(compiled(found, **settings))["templates"]}
    tasks = {each["name"]: each["template"] for each in templates["main"]["dag"]["tasks"]}
    return dict(templates[tasks[task]])
