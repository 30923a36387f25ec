"""What a plan would do now: what the cache has, what would run and why, and how long that took before."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from jeyn.errors import JeynError
from jeyn.sdk.plan import Plan, PlannedOperation, needs
from jeyn.workflows.cache import Found, key_of, look_up
from jeyn.workflows.graph import Graph, evaluate
from jeyn.workflows.inputs import Input, Outputs, Results
from jeyn.workflows.pins import foresee

if TYPE_CHECKING:
    from jeyn.stores.workspace import Workspace

Decision = Literal["cached", "run", "depends", "skipped"]


@dataclass(frozen=True)
class Forecast:
    """One operation: what would become of it, why, and the seconds that its newest success took (None: never)."""

    operation: str
    decision: Decision
    reason: str = ""
    seconds: float | None = None


def forecast(plan: Plan, workspace: Workspace, *, root: Path | None = None, cache: bool = True) -> list[Forecast]:
    """What would become of each operation, in the order of the plan; nothing is run, resolved for good or written."""
    return _Forecaster(plan, workspace, root or workspace.settings.root, cache).walk()


class _Forecaster:
    def __init__(self, plan: Plan, workspace: Workspace, root: Path, cache: bool) -> None:
        self.plan, self.workspace, self.cache = plan, workspace, cache
        self.graph = Graph(plan)
        pins, known = foresee(plan, workspace, root)
        self.results = Results(workspace, self.graph, pins, known=known)
        self.seconds: Mapping[str, float] = workspace.runs.durations(plan.pipeline)
        self.found: dict[str, Forecast] = {}

    def walk(self) -> list[Forecast]:
        ready = deque(self.graph.first())
        while ready:
            name = ready.popleft()
            decision, reason = self._decide(self.graph.operations[name])
            self.found[name] = Forecast(name, decision, reason, self.seconds.get(name))
            ready.extend(self.graph.settle(name, decision))
        for name in self.graph.operations:
            if name not in self.found:  # in a circle, which the plan's problems name
                self.found[name] = Forecast(name, "depends", "it waits for itself")
        return [self.found[operation.name] for operation in self.plan.operations]

    def _decide(self, operation: PlannedOperation) -> tuple[Decision, str]:
        unknown = [name for name in needs(operation) if self.found[name].decision in ("run", "depends")]
        if unknown:
            return "depends", f"on what {' and '.join(unknown[:3])} will give" + (" …" if unknown[3:] else "")
        try:
            if self.graph.fate(operation) == "skipped":
                return "skipped", "what it needs is skipped"
            if not all(evaluate(each, self.results.value) for each in operation.conditions):
                return "skipped", "its condition does not hold"
            return self._look_up(operation)
        except JeynError as exc:
            return "run", exc.message
        except KeyError as exc:
            return "run", f"{exc} does not resolve"

    def _look_up(self, operation: PlannedOperation) -> tuple[Decision, str]:
        if not (self.cache and operation.options.cache):
            return "run", "the cache is off for it"
        if not operation.mapped:
            found = self._find(operation, self.results.inputs(operation))
            if found.origin is None:
                return "run", found.reason
            self.results.single[operation.name] = self._outputs(found)
            return "cached", found.left_out
        items = self.results.item_inputs(operation)
        every = [None if inputs is None else self._find(operation, inputs) for inputs in items]
        missing = [each for each in every if each is not None and each.origin is None]
        if missing:
            return "run", f"{len(missing)} of {len(every)} items: {missing[0].reason}"
        self.results.items[operation.name] = [None if each is None else self._outputs(each) for each in every]
        return "cached", f"{len(every)} items"

    def _find(self, operation: PlannedOperation, inputs: Mapping[str, Input]) -> Found:
        key = key_of(self.plan.code[operation.function], inputs)
        return look_up(self.workspace, operation.function, key, left_out=True)

    def _outputs(self, found: Found) -> Outputs:
        return {name: self.results.produced(id) for name, _, id in found.outputs}
