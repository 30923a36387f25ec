"""A run: one execution of a plan, started, resumed or cancelled from Python as from the command line."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from jeyn.errors import Conflict, UsageError
from jeyn.sdk.plan import Plan
from jeyn.settings import Settings, project_root
from jeyn.stores.access import make_folder, writing
from jeyn.stores.catalog.operations import OperationRow
from jeyn.stores.code import code_payload
from jeyn.stores.current import context
from jeyn.stores.workspace import Workspace
from jeyn.workflows.checks import check_for_argo
from jeyn.workflows.code.archive import unpack_code
from jeyn.workflows.create import create_run
from jeyn.workflows.failure import Error, error_of, raised
from jeyn.workflows.inputs import load_input
from jeyn.workflows.local.engine import LocalEngine
from jeyn.workflows.planning import NOTEBOOKS, Planned, complete, make_plan, raise_problems
from jeyn.workflows.results import results_of
from jeyn.workflows.settle import close_run
from jeyn.workflows.shown import shown
from jeyn.workflows.signals import Stop, stopped_by_signals
from jeyn.workflows.spool import recover
from jeyn.workflows.watch import Event, ItemsKnown, OperationChanged, RunFinished, RunStarted, Watch, unwatched

if TYPE_CHECKING:
    from jeyn.sdk.pipeline import Pipeline
    from jeyn.stores.catalog.runs import RunRow

ENGINES = ("local", "argo")


class Run:
    """What came of a run. It is read from the catalog, so any process can look at it."""

    def __init__(self, workspace: Workspace, id: str) -> None:
        self.workspace = workspace
        self.id = id

    @property
    def row(self) -> RunRow:
        return self.workspace.runs.get(self.id)

    @property
    def state(self) -> str:
        """created, running, succeeded, failed or cancelled; "lost" when its engine died before it could say."""
        row = self.row
        return "lost" if row.state == "running" and not self.workspace.runs.is_alive(row) else str(row.state)

    @property
    def error(self) -> Error | None:
        found = self.row.error
        return dict(found) if found else None

    @property
    def exit_code(self) -> int:
        """That of the command line: 0, 130 for what was stopped, else the error's."""
        if self.state == "cancelled":
            return 130
        return int((self.error or {}).get("exit_code", 1)) if self.state != "succeeded" else 0

    @property
    def plan(self) -> Plan:
        return Plan.from_json(self.row.plan)

    @property
    def operations(self) -> Sequence[OperationRow]:
        """Its operations in the order of the plan, the items of mapped ones after them."""
        return self.workspace.runs.operations(self.row.key)

    @property
    def outputs(self) -> dict[str, Any]:
        """What the pipeline returned, by name ("return" for one): artefacts, and values loaded."""
        self.check()
        return {name: load_input(self.workspace, wire) for name, wire in self._wires().items()}

    @property
    def refs(self) -> dict[str, str]:
        """What the pipeline returned as people read it: `digit-reader@0.1.0`, or a small value."""
        return {name: self._shown(wire) for name, wire in self._wires().items()}

    def logs(self, operation: str | None = None) -> str:
        """What its operations printed and logged, or one of them."""
        found: list[str] = []
        after = 0
        while chunks := self.workspace.runs.log(self.row.key, operation, after):
            found += [chunk.text for chunk in chunks]
            after = chunks[-1].key
        return "".join(found)

    def check(self) -> Run:
        """Raise the error of a run that did not succeed; gives the run."""
        error = self.error
        if self.state != "succeeded":
            raise raised(error) if error else UsageError(f'"{self.id}" is {self.state}', hint=f"jeyn runs {self.id}")
        return self

    def to_json(self) -> dict[str, Any]:
        """The run and its operations as plain data."""
        row, operations = self.row, self.operations
        outputs = self.workspace.runs.outputs([each.key for each in operations])
        return {
            "run": row.id,
            "pipeline": row.pipeline,
            "state": self.state,
            "engine": row.engine,
            "code": row.code,
            "parameters": dict(row.parameters),
            "pins": dict(row.pins),
            "resumed_from": row.resumed_from,
            "seconds": _seconds(row.started or row.at, row.ended),
            "error": self.error,
            "outputs": self.refs if self.state == "succeeded" else {},
            "operations": [
                {
                    "name": each.name,
                    "state": each.state,
                    "seconds": _seconds(each.started, each.ended),
                    "outputs": {name: id for name, _, id in outputs.get(each.key, ())},
                    "effects": list(each.effects),
                    "error": dict(each.error) if each.error else None,
                }
                for each in operations
            ],
        }

    def __repr__(self) -> str:
        return f"<run {self.id} {self.state}>"

    def _repr_html_(self) -> str:
        from jeyn.sdk.html import table

        rows = [[each.name, each.state or "", _time(each)] for each in self.operations]
        return f"<b>{self.id}</b> {self.state}" + table(["operation", "state", "time"], rows)

    def _wires(self) -> dict[str, dict[str, Any]]:
        row, plan = self.row, self.plan
        results = results_of(self.workspace, row, plan)
        found = {n: each for n, each in plan.outputs.items() if results.graph.source_fate(each) == "run"}
        return {name: results.input(source).wire for name, source in found.items()}

    def _shown(self, wire: Mapping[str, Any]) -> str:
        if "artefact" in wire and "index" not in wire:
            return shown(self.workspace, wire["artefact"])
        if "items" in wire:
            return "[" + ", ".join(self._shown(each) for each in wire["items"]) + "]"
        return repr(load_input(self.workspace, wire))


def run_pipeline(
    pipeline: Pipeline[...],
    arguments: Mapping[str, Any],
    *,
    on: str = "local",
    workspace: Workspace | None = None,
    **options: Any,
) -> Run:
    """Record a pipeline, check the plan and run it. `options` are those of `run_plan`."""
    workspace = workspace or context()
    planned = make_plan(pipeline, arguments, root=_root_of(pipeline, workspace), workspace=workspace)
    return _start(workspace, planned, on=on, **options)


def run_plan(
    plan: Plan, *, root: Path | None = None, on: str = "local", workspace: Workspace | None = None, **options: Any
) -> Run:
    """Run a plan, such as one that was read from JSON. Raises `CodeChanged` when it was made with other code.

    `cache=False` takes nothing from the cache; `isolated=True` runs from the code package alone; `workers` is how many
    operations run at once (default: one for each core); `watch` is told of everything as it happens.
    """
    workspace = workspace or (Workspace.open(root) if root else context())
    return _start(
        workspace, complete(plan, root=root or workspace.settings.root, workspace=workspace), on=on, **options
    )


def resume_run(run: str, *, workspace: Workspace | None = None, **options: Any) -> Run:
    """Go on with a run that failed, was stopped or was killed, as a new run: what it committed is not done again."""
    workspace = workspace or context()
    row = workspace.runs.get(run)
    if row.engine == "argo" and workspace.runs.is_alive(row):
        row = _reaped(workspace, row)
    if row.state == "succeeded":
        raise Conflict(f'"{row.id}" has succeeded, there is nothing to resume', hint="start a new run")
    if workspace.runs.is_alive(row):
        raise Conflict(f'"{row.id}" is still running', hint=f"wait for it, or stop it: jeyn cancel {row.id}")
    _close_lost(workspace, row)
    planned = complete(Plan.from_json(row.plan), root=workspace.settings.root, workspace=workspace)
    return _start(workspace, planned, on=row.engine or "local", resumed=row, **options)


def cancel_run(run: str, *, workspace: Workspace | None = None) -> RunRow:
    """Ask a run to stop; its engine does so within a second or two. A run whose engine is dead is closed at once."""
    workspace = workspace or context()
    row = workspace.runs.get(run)
    if row.state != "running":
        raise Conflict(f'"{row.id}" has {row.state} already', hint="jeyn runs shows what is running")
    if row.engine == "argo":
        from jeyn.workflows.argo.engine import stop_workflow

        stop_workflow(workspace, row)
    elif workspace.runs.is_alive(row):
        return workspace.runs.request_cancel(row.id)
    else:
        _close_lost(workspace, row, "cancelled")
    return workspace.runs.get(row.id)


def _reaped(workspace: Workspace, row: RunRow) -> RunRow:
    """A run on the cluster, closed if its workflow vanished or never started: nobody else may have looked since."""
    from jeyn.project_file import argo_settings
    from jeyn.workflows.argo.reaper import reap_run
    from jeyn.workflows.argo.service import Argo

    reap_run(workspace, Argo(argo_settings(workspace.settings.argo)), row)
    return workspace.runs.get(row.id)


def _close_lost(workspace: Workspace, row: RunRow, state: str = "failed") -> None:
    """A run whose engine died cannot say so itself."""
    if row.state not in ("created", "running"):
        return
    recover(workspace, row)
    error = {"code": "ENGINE_DIED", "message": f'the engine of "{row.id}" died', "hint": "", "exit_code": 1}
    error |= {"refs": [], "retry": True, "traceback": "", "operation": ""}
    close_run(workspace, row, state, error)


def _start(
    workspace: Workspace,
    planned: Planned,
    *,
    on: str = "local",
    cache: bool = True,
    isolated: bool = False,
    explain: bool = False,
    workers: int | None = None,
    watch: Watch | None = None,
    resumed: RunRow | None = None,
) -> Run:
    if on not in ENGINES:
        raise UsageError(f'no engine is called "{on}"', hint=f"there is {', '.join(ENGINES)}")
    watch = watch or unwatched
    raise_problems(planned.plan)
    if on == "argo":
        _refuse_on_argo(planned.plan, workspace)
    options = {"cache": cache, "isolated": isolated, "explain": explain, "workers": workers}
    with stopped_by_signals(outlives_terminal=on == "argo") as stop:
        row = create_run(workspace, planned, on, resumed)
        _carry_out(workspace, planned, row, stop, watch, _id(resumed), **options)
    return Run(workspace, row.id)


def _carry_out(
    workspace: Workspace,
    planned: Planned,
    row: RunRow,
    stop: Stop,
    watch: Watch,
    resumed: str | None,
    **options: Any,
) -> None:
    """Run it to its end; whatever happens here, its row says how it ended."""
    counted = _Counting(watch)
    listen = counted if watch is not unwatched else unwatched
    began = time.monotonic()
    engine: Engine | None = None
    state, error = "failed", None
    try:
        names = tuple(each.name for each in planned.plan.operations)
        watch(RunStarted(row.id, row.pipeline, str(row.engine), names, resumed))
        engine = _engine(workspace, planned, row, listen, **options)
        stop.hand_over(engine)
        state = engine.run()
        error = engine.error
    except BaseException as exc:
        state = "cancelled" if isinstance(exc, KeyboardInterrupt) else "failed"
        error = error_of(exc, planned.root)
        if engine is not None and engine.handed_over:
            state = str(workspace.runs.get(row.id).state)  # it goes on without this process
        raise
    finally:
        if engine is None or not engine.handed_over:
            took = time.monotonic() - began
            workspace.runs.finish(row.key, state, error if state != "succeeded" else None, took)
        watch(RunFinished(row.id, state, time.monotonic() - began, counted.counts(), error))


def _engine(
    workspace: Workspace,
    planned: Planned,
    row: RunRow,
    watch: Watch,
    *,
    cache: bool,
    isolated: bool,
    explain: bool,
    workers: int | None,
) -> Engine:
    plan = planned.plan
    if row.engine == "argo":
        return _argo_engine(workspace, row, plan, watch=watch, cache=cache, explain=explain, most=workers)
    setup = _setup(workspace, planned, row, _unpacked(workspace, str(row.code)) if isolated else planned.root)
    setup["isolated"] = isolated
    workers = min(workers or os.cpu_count() or 1, plan.parallelism or 10_000)
    return LocalEngine(workspace, row, plan, setup, workers=workers, watch=watch, cache=cache, explain=explain)


class Engine(Protocol):
    """What carries out one run. Once `handed_over` the run goes on without this process, and is closed elsewhere."""

    error: Error | None
    handed_over: bool

    def run(self) -> str: ...
    def stop(self) -> None: ...


def _refuse_on_argo(plan: Plan, workspace: Workspace) -> None:
    problems = check_for_argo(plan, workspace)
    raise_problems(replace(plan, problems=problems))


def _argo_engine(workspace: Workspace, row: RunRow, plan: Plan, **options: Any) -> Engine:
    try:
        from jeyn.workflows.argo.engine import ArgoEngine
    except ModuleNotFoundError as exc:
        raise UsageError(f'running on Argo needs "{exc.name}"', hint="pip install 'jeyn[argo]'") from exc
    return ArgoEngine(workspace, row, plan, **options)


def _setup(workspace: Workspace, planned: Planned, row: RunRow, code: Path) -> dict[str, Any]:
    """What a worker needs to begin: names and places only."""
    settings = workspace.settings
    paths = [str(code)]
    if planned.extra:
        folder = settings.home / NOTEBOOKS
        make_folder(folder)
        for name, text in planned.extra.items():
            with writing(folder / name) as file:
                file.write(text.encode())
        paths.append(str(folder))
    return {
        "settings": _as_json(settings),
        "run": row.id,
        "code": str(code),
        "paths": paths,
        # The code package and a notebook's module are named by what they hold: they cannot change.
        "parts": _parts(planned.plan) if code == planned.root and not planned.extra else {},
    }


def _parts(plan: Plan) -> dict[str, dict[str, str]]:
    return {reference: found.parts for reference, found in plan.code.items()}


def _as_json(settings: Settings) -> dict[str, Any]:
    found = {name: getattr(settings, name) for name in settings.__dataclass_fields__}
    return {
        name: str(value) if isinstance(value, Path) else dict(value) if isinstance(value, Mapping) else value
        for name, value in found.items()
    }


def _unpacked(workspace: Workspace, code: str) -> Path:
    digest, package = code_payload(workspace, code)
    return unpack_code(package, digest, workspace.settings.home / "code")


def _root_of(pipeline: Pipeline[...], workspace: Workspace) -> Path:
    """The root of the project that a pipeline's file is in; a notebook's is where it was started."""
    file, own = Path(pipeline.function.__code__.co_filename), workspace.settings.root
    if not file.is_file() or _is_imported_from(own, file.resolve(), pipeline.function.__module__):
        return own
    return project_root(file.resolve())


def _is_imported_from(root: Path, file: Path, module: str) -> bool:
    """Whether workers can import a file by its name from there: `lib/flow.py` as `lib.flow`."""
    return file.is_relative_to(root) and ".".join(file.relative_to(root).with_suffix("").parts) == module


class _Counting:
    """Passes events on, and counts in what state each operation was last."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.states: dict[str, str] = {}
        self.mapped: set[str] = set()

    def __call__(self, event: Event) -> None:
        if isinstance(event, OperationChanged):
            self.states[event.operation] = event.state
        elif isinstance(event, ItemsKnown):
            self.mapped.add(event.operation)
        self.watch(event)

    def counts(self) -> dict[str, int]:
        """How many operations are in each state; a mapped one counts as its items."""
        return dict(Counter(state for name, state in self.states.items() if name not in self.mapped))


def _id(row: RunRow | None) -> str | None:
    return row.id if row else None


def _seconds(started: int | None, ended: int | None) -> float | None:
    return (ended - started) / 1_000_000 if started and ended else None


def _time(row: OperationRow) -> str:
    seconds = _seconds(row.started, row.ended)
    return f"{seconds:.1f} s" if seconds is not None else ""
