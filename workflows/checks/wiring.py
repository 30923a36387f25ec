"""Whether the operations of a plan are wired to each other at all: every name is there once, and nothing goes round."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from difflib import get_close_matches
from graphlib import CycleError, TopologicalSorter
from typing import Any

from jeyn.errors import JeynError, PlanInvalid
from jeyn.sdk.plan import Leaf, Output, Plan, PlannedOperation, leaves, needs, outputs_in
from jeyn.sdk.signature import signature_of

Found = tuple[str, JeynError]  # the operation, and what is wrong with it

MAX_CYCLES = 10  # of a plan that is tangled everywhere a few say enough
MAX_CHOICES = 500  # among more names a close one takes too long to find


def sources_in(plan: Plan) -> Iterator[tuple[str, Leaf]]:
    """Every source with the operation that reads it; "" for what the pipeline returns."""
    for operation in plan.all_operations:
        for whole in (*operation.inputs.values(), *operation.conditions):
            for source in leaves(whole):
                yield operation.name, source
    for whole in plan.outputs.values():
        for source in leaves(whole):
            yield "", source


def unknown_names(plan: Plan) -> Iterator[Found]:
    """Names that are there twice, and names that are not there."""
    known: dict[str, PlannedOperation] = {}
    for operation in plan.all_operations:
        if operation.name in known:
            hint = f'rename one of them: {_plain(operation)}.options(name="…")'
            yield operation.name, PlanInvalid(f'two operations are called "{operation.name}"', hint=hint)
        known[operation.name] = operation
    # What runs when all is over has no output that another could take.
    readable = {each.name: each for each in plan.operations}
    for operation in known.values():
        yield from ((operation.name, error) for error in _unknown_in(operation, readable))
    for name, source in plan.outputs.items():
        for output in outputs_in(source):
            if error := _unknown(f'the pipeline returns "{name}"', output, readable):
                yield "", error


def wrong_inputs(plan: Plan, functions: Mapping[str, Callable[..., Any]]) -> Iterator[Found]:
    """Inputs that an operation's function does not take, and those that it lacks: a plan may be written by hand."""
    for operation in plan.operations:
        function = functions.get(operation.function)
        if function is None:
            continue
        signature = signature_of(getattr(function, "function", function))
        if signature.parameters.keys() != operation.inputs.keys():
            try:
                signature.bind((), operation.inputs, f'"{operation.name}"')
                signature.check_complete(operation.inputs, f'"{operation.name}"')
            except PlanInvalid as error:
                yield operation.name, error


def _unknown_in(operation: PlannedOperation, known: dict[str, PlannedOperation]) -> Iterator[JeynError]:
    for name in operation.mapped:
        if name not in operation.inputs:
            there = ", ".join(f'"{each}"' for each in operation.inputs) or "no inputs"
            message = f'"{operation.name}" maps over "{name}", which is none of its inputs'
            yield PlanInvalid(message, hint=f"it has {there}")
    for name, source in operation.inputs.items():
        for output in outputs_in(source):
            if error := _unknown(f'"{operation.name}" takes "{name}"', output, known):
                yield error
    for condition in operation.conditions:
        for output in outputs_in(condition):
            if error := _unknown(f'a condition of "{operation.name}" reads a value', output, known):
                yield error


def _unknown(what: str, output: Output, known: dict[str, PlannedOperation]) -> JeynError | None:
    producer = known.get(output.operation)
    if producer is None:
        message = f'{what} from "{output.operation}", and no operation is called so'
        return PlanInvalid(message, hint=_choices(output.operation, known))
    if output.output not in producer.outputs:
        message = f'{what} from the output "{output.output}" of "{producer.name}", which has no such output'
        return PlanInvalid(message, hint="it has " + ", ".join(f'"{each}"' for each in producer.outputs))
    return None


def _choices(name: str, known: Collection[str]) -> str:
    close = get_close_matches(name, known, n=3) if len(known) <= MAX_CHOICES else []
    if close:
        return "did you mean " + " or ".join(f'"{each}"' for each in close) + "?"
    return "use the name of an operation of this plan" if known else "the plan has no operations"


def _plain(operation: PlannedOperation) -> str:
    return operation.function.rpartition(":")[2].rpartition(".")[2] or "operation"


def cycles(plan: Plan) -> Iterator[Found]:
    """Operations that wait for each other, each circle named from what comes first to what comes after it."""
    graph: dict[str, list[str]] = {}
    for operation in plan.operations:
        graph.setdefault(operation.name, []).extend(needs(operation))
    order = {name: position for position, name in enumerate(graph)}
    for _ in range(MAX_CYCLES):
        circle = _circle(graph)
        if not circle:
            return
        start = circle.index(min(circle, key=lambda name: order.get(name, len(order))))
        circle = circle[start:] + circle[:start]
        text = " → ".join((*circle, circle[0]))
        yield circle[0], PlanInvalid(f"these operations wait for each other: {text}", hint="cut one of the arrows")
        tangled = set(circle)
        graph = {name: needed for name, needed in graph.items() if name not in tangled}


def _circle(graph: dict[str, list[str]]) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as exc:
        found: list[str] = exc.args[1]
        return found[:-1]  # graphlib names the first one again at the end
    return []
