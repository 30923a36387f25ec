"""Compiling a thousand operations for Argo against bare Hera building and printing the same graph, in one process.

Run as `python benchmarks/compile.py`. Both sides are timed in turn, after imports; the schema is timed apart.
"""

from __future__ import annotations

import gc
import statistics
import sys
import time
from collections.abc import Callable

from hera.workflows import DAG, Container, Parameter, Task, WorkflowTemplate
from saves import Result, versions

from jeyn.project_file import ArgoSettings
from jeyn.sdk.plan import Output, Plan, PlannedOperation
from jeyn.workflows.argo.compile import build, to_yaml
from jeyn.workflows.argo.schema import check_manifests

COUNT = 1_000
LIMIT = 1.5
ID = "sha256:" + "0" * 64


def measure(rounds: int = 7) -> list[Result]:
    plan = _plan(COUNT)
    ours: list[float] = []
    bare: list[float] = []
    for _ in range(rounds):
        ours.append(_timed(lambda: _compiled(plan)))
        bare.append(_timed(lambda: _bare(COUNT)))
    manifests = build(plan, code=ID, plan_id=ID, settings=ArgoSettings())
    checked = statistics.median(_timed(lambda: check_manifests(manifests)) for _ in range(rounds))
    seconds = statistics.median(ours)
    ratio = seconds / statistics.median(bare)
    return [
        Result(f"compile {COUNT:,} operations / bare Hera", f"{ratio:.2f}", f"<= {LIMIT:g}", ratio <= LIMIT),
        Result(f"compile {COUNT:,} operations (s)", f"{seconds:.2f}", "", True),
        Result(f"hold {COUNT:,} operations to Argo's schema (s)", f"{checked:.2f}", "", True),
    ]


def _plan(count: int) -> Plan:
    """A chain, so that every operation has something to wait for."""
    operations = [
        PlannedOperation(
            name=f"step-{number}",
            function="pipeline:step",
            inputs={"before": Output(operation=f"step-{number - 1}")} if number else {},
        )
        for number in range(count)
    ]
    return Plan(pipeline="chain", operations=tuple(operations))


def _compiled(plan: Plan) -> str:
    return to_yaml(build(plan, code=ID, plan_id=ID, settings=ArgoSettings()))


def _bare(count: int) -> str:
    """What a person would write with Hera for that graph: one template, a task for each operation."""
    with WorkflowTemplate(name="chain", entrypoint="main", arguments=[Parameter(name="plan", value=ID)]) as template:
        step = Container(
            name="step",
            image="jeyn:latest",
            command=["python", "-m", "jeyn.workflows.pod"],
            args=["--operation={{inputs.parameters.operation}}"],
            inputs=[Parameter(name="operation")],
        )
        with DAG(name="main", fail_fast=False):
            before: Task | None = None
            for number in range(count):
                task = Task(name=f"step-{number}", template=step, arguments={"operation": f"step-{number}"})
                if before is not None:
                    before >> task
                before = task
    text: str = template.to_yaml()
    return text


def _timed(work: Callable[[], object]) -> float:
    gc.collect()
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> int:
    results = measure()
    print(f"compile ({versions()})")
    for row in results:
        print(f"  {row.figure:>6} {row.target:7} {'OK' if row.met else 'OVER':5} {row.name}")
    return 0 if all(row.met for row in results) else 1


if __name__ == "__main__":
    sys.exit(main())
