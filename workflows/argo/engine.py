"""The engine on Argo Workflows: submits a run as a Workflow, follows it in the catalog, and closes what cannot.

Pods decide and record everything themselves (`jeyn.workflows.pod`). Only what no pod can say is asked of Argo: that
a pod cannot start, that the workflow was deleted, or that it ended without closing its run.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from jeyn.errors import Interrupted, JeynError, NotFound, OperationFailed, TimedOut
from jeyn.project_file import argo_settings
from jeyn.sdk.plan import Plan
from jeyn.stores.catalog.operations import Settled
from jeyn.stores.runs import FINISHED
from jeyn.workflows.argo.compile import compile_workflow
from jeyn.workflows.argo.health import check_argo
from jeyn.workflows.argo.service import ENDED, Argo, Pod, Seen
from jeyn.workflows.argo.templates import FINISH
from jeyn.workflows.argo.watcher import Watcher
from jeyn.workflows.create import keep_plan
from jeyn.workflows.failure import Error, error_of
from jeyn.workflows.settle import close_gone, close_run, settle_rest
from jeyn.workflows.watch import Watch, unwatched

if TYPE_CHECKING:
    from jeyn.stores.catalog.runs import RunRow
    from jeyn.stores.workspace import Workspace

T = TypeVar("T")

POLL_SECONDS = 0.5
LOOK_SECONDS = 2.0  # between two looks at the workflow; large ones are looked at less often
NODES_PER_SECOND = 200
CLOSING_SECONDS = 10.0  # Argo may say that a workflow ended a moment before its last pod is seen to have closed the run
PATIENCE_SECONDS = 300.0  # for a server or store that answered before
NEVER_AN_IMAGE = ("ErrImageNeverPull", "InvalidImageName")
NO_IMAGE = ("ErrImagePull", "ImagePullBackOff", *NEVER_AN_IMAGE)
NO_CONTAINER = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError")
NO_IMAGE_SECONDS = 60.0  # a registry may stumble


class ArgoEngine:
    """One run on a cluster. `stop()` asks it to end; the second time this process does not wait for that."""

    def __init__(
        self,
        workspace: Workspace,
        run: RunRow,
        plan: Plan,
        *,
        watch: Watch,
        cache: bool = True,
        explain: bool = False,
        most: int | None = None,
    ) -> None:
        self.workspace, self.row, self.cache = workspace, run, cache
        self.plan = plan
        self.most = most
        self.settings = argo_settings(workspace.settings.argo)
        self.argo = Argo(self.settings)
        self.watcher: Watcher | None = None
        if watch is not unwatched:
            self.watcher = Watcher(workspace, run, plan, watch, cache=cache, explain=explain)
        self.error: Error | None = None
        self.stops = 0
        self.handed_over = False
        self._asked_to_stop = False
        self._next_look = 0.0
        self._pending: dict[str, float] = {}  # pods that wait, and since when
        self._moved = time.monotonic()
        self._ended: float | None = None
        self._last_words: JeynError = OperationFailed("the workflow ended")
        self._answered = time.monotonic()

    def stop(self) -> None:
        """Start nothing more and end what runs."""
        self.stops += 1

    def run(self) -> str:
        """Follow the run to its end; gives its state. Once `handed_over`, its record is closed by the cluster."""
        self._submit()
        while True:
            self._again(self._follow)
            if self.row.state in FINISHED:
                self.error = dict(self.row.error) if self.row.error else None
                return str(self.row.state)
            if self.stops > 1:
                raise Interrupted(
                    f'"{self.row.id}" was asked to stop', hint=f"jeyn runs {self.row.id} says when it has"
                )
            time.sleep(POLL_SECONDS)

    def _submit(self) -> None:
        check_argo(self.argo.version(), self.plan)
        plan = self.plan
        if self.most is not None:
            plan = replace(plan, parallelism=min(self.most, plan.parallelism or self.most))
        manifest = compile_workflow(
            plan,
            run=self.row.id,
            code=str(self.row.code),
            plan_id=keep_plan(self.workspace, self.plan),
            settings=self.settings,
            cache=self.cache,
        )
        self.argo.create(manifest)
        self.handed_over = True

    def _follow(self) -> None:
        # The row before its operations: what they did until the run was closed is told.
        self.row = self.workspace.runs.get(self.row.id)
        if self.watcher is not None:
            self.watcher.look()
        if self.row.state in FINISHED:
            return
        if (self.stops or self.row.cancel_requested) and not self._asked_to_stop:
            stop_workflow(self.workspace, self.row, self.argo)
            self._asked_to_stop = True
        if time.monotonic() >= self._next_look:
            self._look_at_workflow()

    def _again(self, work: Callable[[], T]) -> None:
        """The run goes on without this process, so what cannot be asked just now is asked again."""
        try:
            work()
            self._answered = time.monotonic()
        except JeynError as exc:
            if not exc.retry_helps or time.monotonic() - self._answered > PATIENCE_SECONDS or self.stops > 1:
                exc.hint = f"{exc.hint}\nthe run goes on: jeyn logs {self.row.id} --follow".strip()
                raise

    # What only Argo knows.

    def _look_at_workflow(self) -> None:
        seen = self.argo.look(self.row.id)
        pods = seen.pods if seen else ()
        self._next_look = time.monotonic() + LOOK_SECONDS + len(pods) / NODES_PER_SECOND
        if self.watcher is not None:
            self.watcher.progress(pods)
        if seen is None:
            close_gone(self.workspace, self.workspace.runs.get(self.row.id))
        elif seen.phase in ENDED:
            self._has_ended(seen)
        elif stuck := self._stuck(seen):
            self._give_up(*stuck)

    def _has_ended(self, seen: Seen) -> None:
        """The exit handler should have closed the run."""
        now = time.monotonic()
        if self._ended is None:
            self._ended, self._last_words = now, self._unexplained(seen)  # now: pods do not stay for long
        if now - self._ended < CLOSING_SECONDS:
            return
        state, error = settle_rest(self.workspace, self.row, self.plan, seen.phase)
        if state != "cancelled" and not (error or {}).get("operation"):
            state = "failed"
            error = self._error(self._last_words)
        self._close_as(state, error)

    def _unexplained(self, seen: Seen) -> JeynError:
        """Nothing is in the catalog: what Argo and the pods themselves say."""
        failed = [pod for pod in seen.pods if pod.phase in ("Failed", "Error")]
        said = [seen.message, *(f"{pod.name or FINISH}: {pod.message}" for pod in failed[:3])]
        printed = next((text for pod in failed if (text := self.argo.log(self.row.id, pod))), "")
        told = "; ".join(dict.fromkeys(each for each in said if each)) or "without saying why"
        message = f'the workflow of "{self.row.id}" ended as "{seen.phase}": {told}'
        return OperationFailed(f"{message}\n{printed}".strip(), hint=f"jeyn doctor --on argo\n{self._resume()}")

    def _stuck(self, seen: Seen) -> tuple[Pod, JeynError] | None:
        """The first pod that will not start, and why."""
        now = time.monotonic()
        waiting = {pod.id: pod for pod in seen.pods if pod.phase == "Pending"}
        if any(pod.phase == "Running" for pod in seen.pods) or waiting.keys() != self._pending.keys():
            self._moved = now
        self._pending = {id: self._pending.get(id, now) for id in waiting}
        for id, pod in waiting.items():
            waited = now - self._pending[id]
            if pod.message.startswith(NEVER_AN_IMAGE) or (
                pod.message.startswith((*NO_IMAGE, *NO_CONTAINER)) and waited > NO_IMAGE_SECONDS
            ):
                return pod, self._cannot_start(pod)
            if now - self._moved > self.settings.pod_start:
                return pod, TimedOut(
                    f"its pod did not start within {self.settings.pod_start} s: {pod.message or 'no node took it'}",
                    hint="ask for less (resources=), or set argo: pod_start: in jeyn.yaml to more seconds",
                )
        return None

    def _cannot_start(self, pod: Pod) -> JeynError:
        if pod.message.startswith(NO_IMAGE):
            return OperationFailed(
                f"its image cannot be pulled: {pod.message}",
                hint="correct argo: image: in jeyn.yaml (JEYN_ARGO_IMAGE) or the operation's image=; a private "
                "registry needs argo: image_pull_secrets:",
            )
        hint = f'check that the Secret "{self.settings.secret}" is in the namespace "{self.settings.namespace}"'
        return OperationFailed(f"its pod cannot start: {pod.message}", hint=f"{hint}; jeyn doctor --on argo")

    def _give_up(self, pod: Pod, exc: JeynError) -> None:
        """A pod that cannot start is its operation's failure; where it is the exit handler, nothing closes the run."""
        row = next((each for each in self.workspace.runs.operations(self.row.key) if each.name == pod.name), None)
        if row is not None:
            error = error_of(exc, self.workspace.settings.root, row.name)
            self.workspace.runs.settle([Settled(row.key, "failed", error=error)])
            self.argo.stop(self.row.id, exc.message)
            return
        state, error_before = settle_rest(self.workspace, self.row, self.plan, "Failed")
        told = error_before if (error_before or {}).get("operation") else self._error(exc)
        self._close_as("cancelled" if state == "cancelled" else "failed", told)
        self.argo.terminate(self.row.id)

    # Its end.

    def _close_as(self, state: str, error: Error | None) -> None:
        if error is None:
            error = self._error(Interrupted(f'"{self.row.id}" was stopped'))
        close_run(self.workspace, self.row, state, error)

    def _error(self, exc: JeynError) -> Error:
        return error_of(exc, self.workspace.settings.root)

    def _resume(self) -> str:
        return f"jeyn run --resume {self.row.id}"


def stop_workflow(workspace: Workspace, run: RunRow, argo: Argo | None = None) -> None:
    """Ask a run on Argo to end: its pods are stopped and its exit handler closes it. Closed at once if it is gone."""
    argo = argo or Argo(argo_settings(workspace.settings.argo))
    workspace.runs.request_cancel(run.id)
    try:
        argo.stop(run.id, "it was cancelled")
    except NotFound:
        close_gone(workspace, workspace.runs.get(run.id))
