"""Tells what happens in a run whose operations run elsewhere, from its rows: the same events as the local engine's."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jeyn.sdk.plan import Plan, PlannedOperation
from jeyn.workflows.cache import why_it_ran
from jeyn.workflows.graph import DONE, SETTLED, map_state
from jeyn.workflows.local.tasks import LONGEST_WAIT
from jeyn.workflows.shown import shown
from jeyn.workflows.watch import ItemsKnown, OperationChanged, Printed, Progress, Watch

if TYPE_CHECKING:
    from jeyn.stores.catalog.operations import AttemptRow, OperationRow
    from jeyn.stores.catalog.runs import RunRow
    from jeyn.stores.workspace import Workspace
    from jeyn.workflows.argo.service import Pod


@dataclass
class _Told:
    """What was said of one operation until now."""

    state: str = "waiting"
    begun: int = 0  # attempts
    given_up: int = 0


class Watcher:
    """One run. `look()` tells what changed since it last looked: what began, what was printed, then what ended."""

    def __init__(
        self, workspace: Workspace, run: RunRow, plan: Plan, watch: Watch, *, cache: bool = True, explain: bool = False
    ) -> None:
        self.workspace, self.run, self.watch = workspace, run, watch
        self.cache, self.explain = cache, explain
        self.operations = plan.all_operations
        self._told: dict[str, _Told] = defaultdict(_Told)
        self._progress: dict[str, str] = {}
        self._expanded: set[str] = set()
        self._log = 0

    def look(self) -> None:
        """One look at the rows of the run."""
        rows = self.workspace.runs.operations(self.run.key)
        states = _states(rows)
        self._expand(rows, states)
        open_ = [row for row in rows if self._told[row.name].state not in SETTLED]
        attempts = self._attempts([row for row in open_ if row.started is not None])
        for row in open_:
            self._began(row, attempts.get(row.key, []), states[row.name])
        self._printed()
        ended = [row for row in open_ if states[row.name] in SETTLED]
        outputs = self.workspace.runs.outputs([row.key for row in ended if row.state in DONE])
        for row in ended:
            self._ended(row, attempts.get(row.key, []), states[row.name], outputs.get(row.key, ()))

    def progress(self, pods: Sequence[Pod]) -> None:
        """How far operations are, as Argo knows it of their pods."""
        for pod in pods:
            done, _, total = pod.progress.partition("/")
            if pod.phase != "Running" or total in ("", "1") or self._progress.get(pod.name) == pod.progress:
                continue
            self._progress[pod.name] = pod.progress
            self.watch(Progress(pod.name, int(done), int(total)))

    def _expand(self, rows: Sequence[OperationRow], states: dict[str, str]) -> None:
        counts: dict[int, int] = {position: 0 for position, each in enumerate(self.operations) if each.mapped}
        for row in rows:
            counts[row.position] = counts.get(row.position, 0) + (row.item >= 0)
        for position, operation in enumerate(self.operations):
            known = counts[position] or states[operation.name] in DONE
            if operation.mapped and known and operation.name not in self._expanded:
                self._expanded.add(operation.name)
                self.watch(ItemsKnown(operation.name, counts[position]))

    def _attempts(self, rows: Sequence[OperationRow]) -> dict[int, list[AttemptRow]]:
        found: dict[int, list[AttemptRow]] = {}
        for each in self.workspace.runs.attempts(*(row.key for row in rows)):
            found.setdefault(each.operation_key, []).append(each)
        return found

    def _began(self, row: OperationRow, attempts: Sequence[AttemptRow], state: str) -> None:
        told, operation = self._told[row.name], self._operation(row)
        most = operation.options.retries + 1
        for each in attempts:
            if each.number > told.begun:
                told.begun, told.state = each.number, "running"
                self.watch(OperationChanged(row.name, "running", each.number, attempts=most))
            is_last = each is attempts[-1] and state in SETTLED
            if each.ended is not None and each.number > told.given_up and not is_last:
                told.given_up, told.state = each.number, "waiting"
                wait = min(operation.options.backoff * 2 ** (each.number - 1), LONGEST_WAIT)
                said: dict[str, Any] = {"retry_in": wait, "error": each.error, "attempts": most}
                self.watch(OperationChanged(row.name, "waiting", each.number, _seconds(each), **said))

    def _printed(self) -> None:
        while chunks := self.workspace.runs.log(self.run.key, None, self._log):
            for chunk in chunks:
                self.watch(Printed(chunk.operation, chunk.text))
            self._log = chunks[-1].key

    def _ended(
        self,
        row: OperationRow,
        attempts: Sequence[AttemptRow],
        state: str,
        outputs: Sequence[tuple[str, int, str]],
    ) -> None:
        self._told[row.name].state = state
        ids = {name: id for name, _, id in outputs}
        named = [ids[name] for name in self._operation(row).outputs if name in ids]
        last = attempts[-1] if attempts else None
        self.watch(
            OperationChanged(
                row.name,
                state,
                attempt=last.number if last else 0,
                seconds=_seconds(last) if last else None,
                outputs=tuple(shown(self.workspace, id) for id in named),
                error=row.error if state == "failed" else None,
                reason=self._reason(row, state),
            )
        )

    def _reason(self, row: OperationRow, state: str) -> str:
        """Why it ran; of a fan-out the items say it."""
        operation = self._operation(row)
        if not self.explain or state != "succeeded" or (operation.mapped and row.item < 0):
            return ""
        if not (self.cache and operation.options.cache):
            return "the cache is off for it"
        return why_it_ran(self.workspace, row)

    def _operation(self, row: OperationRow) -> PlannedOperation:
        return self.operations[row.position]


def _states(rows: Sequence[OperationRow]) -> dict[str, str]:
    """By name; a mapped operation ends with its items, though its own row says so only when the run is closed."""
    found = {row.name: str(row.state) for row in rows}
    for name, items in _items(rows):
        if found[name] not in SETTLED:
            found[name] = map_state(items) if set(items) <= SETTLED else "waiting"
    return found


def _items(rows: Sequence[OperationRow]) -> Iterator[tuple[str, list[str]]]:
    states: dict[int, list[str]] = {}
    for row in rows:
        if row.item >= 0:
            states.setdefault(row.position, []).append(str(row.state))
    for row in rows:
        if row.item < 0 and row.position in states:
            yield row.name, states[row.position]


def _seconds(attempt: AttemptRow) -> float | None:
    return None if attempt.ended is None else (attempt.ended - attempt.at) / 1_000_000
