"""Which operations of a plan can start, and which never will: the rules of control flow, without any engine.

Both engines follow them (SEMANTICS 23): skipping spreads to consumers, lists drop what was skipped, `jeyn.first` takes
the first branch that was not. What needs the output of a failed operation is not run; the rest of the plan goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal

from jeyn.errors import Invalid
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
    needs,
)

DONE = frozenset(["succeeded", "cached", "adopted"])
NOT_RUN = "not run"  # it never began, because something before it failed
HELD = "held"  # an item that is done, and waits for one before it to claim its numbers first
SETTLED = DONE | {"skipped", "failed", "cancelled", NOT_RUN, HELD}
Fate = Literal["run", "skipped", "not run", "cancelled"]

_WORST: tuple[Fate, ...] = ("run", "skipped", "not run", "cancelled")
_NEVER: tuple[Fate, ...] = ("not run", "cancelled")


class Graph:
    """The states of a plan's operations, and what they let start."""

    def __init__(self, plan: Plan) -> None:
        self.operations = {operation.name: operation for operation in plan.operations}
        self.states = dict.fromkeys(self.operations, "waiting")
        self._missing = {name: len(needs(operation)) for name, operation in self.operations.items()}
        self._consumers: dict[str, list[str]] = {name: [] for name in self.operations}
        for name, operation in self.operations.items():
            for needed in needs(operation):
                self._consumers[needed].append(name)

    def add(self, operation: PlannedOperation) -> None:
        """One more, which waits for nothing and nothing waits for: the exit handler."""
        self.operations[operation.name] = operation
        self.states[operation.name] = "waiting"
        self._missing[operation.name], self._consumers[operation.name] = 0, []

    def first(self) -> list[str]:
        """What waits for nothing, in the order of the plan."""
        return [name for name, missing in self._missing.items() if not missing]

    def settle(self, name: str, state: str) -> list[str]:
        """An operation came to its end; gives those that now wait for nothing."""
        self.states[name] = state
        ready = []
        for consumer in self._consumers[name]:
            self._missing[consumer] -= 1
            if not self._missing[consumer]:
                ready.append(consumer)
        return ready

    def fate(self, operation: PlannedOperation) -> Fate:
        """Whether what an operation waits for lets it run; its conditions' values are not looked at."""
        inputs = (self.source_fate(source) for source in operation.inputs.values())
        guards = (self._condition_fate(condition) for condition in operation.conditions)
        return _worst((*inputs, *guards))

    def source_fate(self, source: Source) -> Fate:
        match source:
            case Output(operation=name):
                return _fate_of(self.states[name])
            case Items(items=parts):
                # What was skipped is left out of the list.
                return _worst(fate for part in parts if (fate := self.source_fate(part)) in _NEVER)
            case First():
                chosen = self.chosen(source)
                return "skipped" if chosen is None else self.source_fate(chosen)
        return "run"

    def chosen(self, source: First) -> Source | None:
        """The branch that was taken; None when all were skipped."""
        return next((choice for choice in source.choices if self.source_fate(choice) != "skipped"), None)

    def _condition_fate(self, condition: Condition) -> Fate:
        match condition:
            case Compare(left=left, right=right):
                return _worst((self.source_fate(left), self.source_fate(right)))
            case Truth(source=source):
                return self.source_fate(source)
            case Not(condition=inner):
                return self._condition_fate(inner)
            case AllOf(conditions=parts) | AnyOf(conditions=parts):
                return _worst(self._condition_fate(part) for part in parts)


def map_state(items: Iterable[str]) -> str:
    """The state of a mapped operation by those of its items: failed if one is, cached if all are."""
    found = set(items)
    for state in ("failed", "cancelled", NOT_RUN, HELD):
        if state in found:
            return state
    if not found <= SETTLED:
        return "waiting"
    return next((each for each in ("cached", "adopted") if found == {each}), "succeeded")


def evaluate(condition: Condition, value: Callable[[Source], Any]) -> bool:
    """Whether a condition holds, given what its sources' values are. Raises `Invalid` when they do not compare."""
    match condition:
        case Compare(operator=operator, left=left, right=right):
            return _compared(operator, value(left), value(right))
        case Truth(source=source):
            return _truth(value(source))
        case Not(condition=inner):
            return not evaluate(inner, value)
        case AllOf(conditions=parts):
            return all(evaluate(part, value) for part in parts)
        case AnyOf(conditions=parts):
            return any(evaluate(part, value) for part in parts)


_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def _compared(operator: str, left: Any, right: Any) -> bool:
    try:
        return _truth(_OPERATORS[operator](left, right))
    except TypeError as exc:
        raise Invalid(
            f'the condition "{left!r} {operator} {right!r}" cannot be answered ({exc})',
            hint="compare numbers with numbers and texts with texts",
        ) from exc


def _truth(found: Any) -> bool:
    try:
        return bool(found)
    except ValueError as exc:
        raise Invalid(
            f"a condition is neither true nor false but {type(found).__name__} ({exc})",
            hint="give one number or text, as .all() or .mean() do",
        ) from exc


def _fate_of(state: str) -> Fate:
    if state in ("failed", NOT_RUN, HELD):
        return "not run"
    return "skipped" if state == "skipped" else "cancelled" if state == "cancelled" else "run"


def _worst(fates: Iterable[Fate]) -> Fate:
    return max(fates, key=_WORST.index, default="run")
