"""A plan for people: a table of what would run and why, a tree of how it is wired, and its problems."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from jeyn.cli.board import duration
from jeyn.cli.output import columns, styled
from jeyn.sdk.plan import Options, Plan
from jeyn.sdk.plan_text import constant_text, operations_of, tree

if TYPE_CHECKING:
    from jeyn.workflows.forecast import Forecast

HEAD = ("OPERATION", "WOULD", "WHY", "BEFORE", "OPTIONS")
WOULD = {"cached": "be cached", "depends": "maybe run", "skipped": "be skipped"}


def plan_text(plan: Plan, forecasts: Sequence[Forecast]) -> str:
    parts = [_title(plan), _table(plan, forecasts), "\n".join(tree(plan)), "\n".join(_problems(plan))]
    return "\n\n".join(part for part in parts if part)


def _title(plan: Plan) -> str:
    given = ", ".join(f"{name}={constant_text(each.value)}" for name, each in plan.parameters.items())
    return styled(f"{plan.pipeline}({given})", bold=True) + (f"  {plan.description}" if plan.description else "")


def _table(plan: Plan, forecasts: Sequence[Forecast]) -> str:
    options = {each.name: each.options for each in operations_of(plan)}
    rows = [
        (
            each.operation,
            WOULD.get(each.decision, each.decision),
            f"depends {each.reason}" if each.reason.startswith("on ") else each.reason,
            duration(each.seconds),
            options_text(options.get(each.operation, Options())),
        )
        for each in forecasts
    ]
    return columns(rows, HEAD) if rows else "no operations"


def options_text(options: Options) -> str:
    """The options that are not what they are by default."""
    resources = ", ".join(f"{name} {amount}" for name, amount in sorted(options.resources.items()))
    return ", ".join(
        part
        for part in (
            f"retries {options.retries}" if options.retries else "",
            f"timeout {duration(options.timeout)}" if options.timeout else "",
            "" if options.cache else "no cache",
            resources,
            f"image {options.image}" if options.image else "",
        )
        if part
    )


def _problems(plan: Plan) -> Iterator[str]:
    for each in plan.problems:
        where = f"{each.operation}: " if each.operation else ""
        yield f"{styled('problem:', fg='red', bold=True)} {where}{each.message}"
        if each.hint:
            yield f"  → {each.hint}"
