"""Engines under one protocol: a pipeline's source goes in, and what must be alike everywhere comes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from jeyn.project_file import ArgoSettings
from jeyn.workflows.argo.compile import compile_workflow
from jeyn.workflows.create import create_run, keep_plan
from jeyn.workflows.planning import make_plan, raise_problems
from jeyn.workflows.run import Run
from tests.workflows.argo.interpreter import Interpreter, Ran
from tests.workflows.argo.pods import Zygotes
from tests.workflows.projects import Project, outputs, states


@dataclass(frozen=True)
class Outcome:
    """What came of a run: `ids` are those of each operation's outputs by name."""

    states: dict[str, str]
    ids: dict[str, dict[str, str]]
    exit_code: int
    state: str
    error: str


class Engine(Protocol):
    """Runs the pipeline `flow` of a source in a project of its own; the same project for each time it is asked."""

    def run(self, source: str, *, data: bool = False, arguments: Mapping[str, Any] | None = None) -> Outcome: ...


def outcome(run: Run) -> Outcome:
    """Of a run that has ended, from the catalog."""
    message = str((run.error or {}).get("message", ""))
    return Outcome(states(run), outputs(run), run.exit_code, run.state, message)


class LocalRuns:
    """The local engine."""

    def __init__(self, folder: Path) -> None:
        self.project = Project(folder / "project")

    def run(self, source: str, *, data: bool = False, arguments: Mapping[str, Any] | None = None) -> Outcome:
        self.project.write(source, data=data)
        return outcome(self.project.run("flow", arguments=dict(arguments or {}), workers=3))


class InterpretedRuns:
    """The manifest that would be submitted, carried out by processes in place of pods."""

    def __init__(self, folder: Path, zygotes: Zygotes) -> None:
        self.folder, self.zygotes = folder, zygotes
        self.project = Project(folder / "project")
        self.times = 0
        self.ran: Ran | None = None

    def run(self, source: str, *, data: bool = False, arguments: Mapping[str, Any] | None = None) -> Outcome:
        self.project.write(source, data=data)
        workspace = self.project.workspace
        with self.project.imported("flow") as pipeline:
            given = pipeline.bind(**arguments or {})
            planned = make_plan(pipeline, given, root=self.project.folder, workspace=workspace)
            raise_problems(planned.plan)
            row = create_run(workspace, planned, "argo")
        plan_id = keep_plan(workspace, planned.plan)
        manifest = compile_workflow(
            planned.plan, run=row.id, code=str(row.code), plan_id=plan_id, settings=ArgoSettings()
        )
        self.times += 1
        places = {"JEYN_CATALOG": workspace.settings.catalog, "JEYN_PAYLOADS": workspace.settings.payloads}
        self.ran = Interpreter(
            manifest, lambda command: self.zygotes.run(command, places), self.folder / f"pods-{self.times}"
        ).run()
        found = outcome(Run(workspace, row.id))
        assert (self.ran.phase == "Succeeded") == (found.state == "succeeded"), "Argo's page says something else"
        return found
