"""A plan as people read it: how its operations are wired, and what its sources and conditions mean."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import assert_never

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
    Output,
    Plan,
    PlannedOperation,
    Ref,
    SecretInput,
    Source,
    Truth,
    needs,
)

LONG = 40  # characters of a constant
DEEP = 40  # levels of the tree
MANY = 500  # lines of the tree


def plan_text(plan: Plan) -> str:
    """The whole plan: its call, the tree and its problems."""
    return "\n".join([call_text(plan), *(f"  {line}" for line in tree(plan)), *problem_lines(plan)])


def call_text(plan: Plan) -> str:
    given = ", ".join(f"{name}={constant_text(each.value)}" for name, each in plan.parameters.items())
    return f"{plan.pipeline}({given})"


def problem_lines(plan: Plan) -> Iterator[str]:
    for each in plan.problems:
        yield f"problem: {f'{each.operation}: ' if each.operation else ''}{each.message}"
        if each.hint:
            yield f"  → {each.hint}"


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
            return constant_text(value)
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


def constant_text(value: object) -> str:
    """A value as Python writes it, shortened."""
    text = repr(value)
    return text if len(text) <= LONG else f"{text[: LONG - 1]}…"
