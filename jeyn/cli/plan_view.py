"""A plan for people: a table of what would run and why, a tree of how it is wired, and its problems."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, assert_never

from jeyn.cli.board import duration
from jeyn.cli.output import columns, styled
from jeyn.sdk.plan import (
    RETURN,
    AllOf,
    AnyOf,
    Compare,
    Condition,
    Constant,
    FileInput,
    First,
    Items,
    Not,
    Options,
    Output,
    Plan,
    PlannedOperation,
    Ref,
    SecretInput,
    Source,
    Truth,
    needs,
)

if TYPE_CHECKING:
    from jeyn.workflows.forecast import Forecast

LONG = 40  # characters of a constant
DEEP = 40  # levels of the tree
MANY = 500  # lines of the tree
HEAD = ("OPERATION", "WOULD", "WHY", "BEFORE", "OPTIONS")
WOULD = {"cached": "be cached", "depends": "maybe run", "skipped": "be skipped"}


def plan_text(plan: Plan, forecasts: Sequence[Forecast]) -> str:
    parts = [_title(plan), _table(plan, forecasts), "\n".join(tree(plan)), "\n".join(_problems(plan))]
    return "\n\n".join(part for part in parts if part)


def _title(plan: Plan) -> str:
    given = ", ".join(f"{name}={_constant(each.value)}" for name, each in plan.parameters.items())
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


def operations_of(plan: Plan) -> tuple[PlannedOperation, ...]:
    return plan.operations if plan.on_exit is None else (*plan.operations, plan.on_exit)


def tree(plan: Plan) -> Iterator[str]:
    """Each operation once, below the last one that it waits for; the others stand among its inputs."""
    place = {each.name: number for number, each in enumerate(plan.operations)}
    below: dict[str, list[PlannedOperation]] = {}
    for each in plan.operations:
        known = [name for name in needs(each) if name in place]
        parent = max(known, key=place.__getitem__, default="")
        below.setdefault("" if place.get(parent, -1) >= place[each.name] else parent, []).append(each)
    for number, line in enumerate(_walk(below)):
        if number == MANY:
            yield f"… {len(plan.operations):,} operations in all; --json has every one"
            break
        yield line
    if plan.on_exit is not None:
        yield f"at the end: {_call(plan.on_exit)}"
    for name, source in plan.outputs.items():
        yield f"→ {'' if name == RETURN else f'{name} = '}{source_text(source)}"


def _walk(below: dict[str, list[PlannedOperation]]) -> Iterator[str]:
    # A stack, not recursion: a chain may be thousands of operations long.
    stack = [(each, "", "", 0) for each in reversed(below.get("", []))]
    while stack:
        operation, lead, branch, depth = stack.pop()
        yield f"{lead}{branch}{_call(operation)}"
        children = below.get(operation.name, [])
        if children and depth == DEEP:
            yield f"{lead}   └─ …"
            continue
        inner = lead + {"": "", "├─ ": "│  ", "└─ ": "   "}[branch]
        for child in reversed(children):
            stack.append((child, inner, "└─ " if child is children[-1] else "├─ ", depth + 1))


def _call(operation: PlannedOperation) -> str:
    mapped = operation.mapped
    inputs = (f"{'each ' if name in mapped else ''}{name}={source_text(s)}" for name, s in operation.inputs.items())
    when = " and ".join(condition_text(each) for each in operation.conditions)
    return f"{operation.name}({', '.join(inputs)})" + (f"  when {when}" if when else "")


def source_text(source: Source) -> str:
    """Where an input comes from, as one would write it."""
    match source:
        case Constant(value=value):
            return _constant(value)
        case Output(operation=name, output=output):
            return name if output == RETURN else f"{name}.{output}"
        case Ref(reference=reference):
            return reference
        case FileInput(path=path):
            return path
        case SecretInput(name=name, key=key):
            return f"secret {name}/{key}"
        case Items(items=items):
            return f"[{_some(items)}]"
        case First(choices=choices):
            return f"first({_some(choices)})"
        case _:
            assert_never(source)


def condition_text(condition: Condition) -> str:
    match condition:
        case Compare(operator=operator, left=left, right=right):
            return f"{source_text(left)} {operator} {source_text(right)}"
        case Truth(source=source):
            return source_text(source)
        case Not(condition=inner):
            return f"not ({condition_text(inner)})"
        case AllOf(conditions=parts):
            return " and ".join(f"({condition_text(each)})" for each in parts)
        case AnyOf(conditions=parts):
            return " or ".join(f"({condition_text(each)})" for each in parts)
        case _:
            assert_never(condition)


def _some(sources: Sequence[Source]) -> str:
    shown = [source_text(each) for each in sources[:5]]
    return ", ".join(shown + ([f"… {len(sources) - 5} more"] if len(sources) > 5 else []))


def _constant(value: object) -> str:
    text = repr(value)
    return text if len(text) <= LONG else f"{text[: LONG - 1]}…"


def _problems(plan: Plan) -> Iterator[str]:
    for each in plan.problems:
        where = f"{each.operation}: " if each.operation else ""
        yield f"{styled('problem:', fg='red', bold=True)} {where}{each.message}"
        if each.hint:
            yield f"  → {each.hint}"
