"""A project whose pods a test starts one by one, and a whole workflow of it in the interpreter."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from jeyn import Workspace
from jeyn.project_file import ArgoSettings
from jeyn.sdk.plan import Plan
from jeyn.workflows.argo.compile import compile_workflow
from jeyn.workflows.create import create_run, keep_code, keep_plan
from jeyn.workflows.planning import make_plan
from jeyn.workflows.run import Run
from tests.workflows.argo.interpreter import Command, Interpreter
from tests.workflows.argo.pods import Zygotes
from tests.workflows.projects import Project

SOURCE = """
@operation
def ingest(count: int = 3) -> list:
    print("reading", count)
    return list(range(count))

@operation(retries=1, backoff=0.1)
def train(number: int) -> float:
    print("training", number)
    if number == 1:
        raise ValueError("one")
    return float(number)

@operation(timeout=0.5, retries=1)
def slow() -> float:
    print("slow begins")
    time.sleep(60)

@operation
def waits() -> float:
    print("waiting", flush=True)
    time.sleep(float(os.environ.get("SECONDS", "60")))
    return 1.0

@operation
def fatal() -> float:
    raise jeyn.Fatal("for good")

@operation
def told(state: str, error: str | None) -> str:
    return f"{state}: {error}"

@pipeline
def single():
    return ingest(5)

@pipeline
def three():
    return ingest(1), ingest(2), ingest(3)

@pipeline(on_exit=told)
def mapped():
    return train.map(number=ingest())

@pipeline
def late():
    return slow()

@pipeline
def waiting():
    return waits()

@pipeline(on_exit=told)
def fatally():
    return fatal()

@pipeline
def referring():
    return ingest(jeyn.ref("batch:nothing@^1/latest"))
"""


class World:
    """A project whose code and plan are kept, and pods of it; no run is there until a pod or a test makes one."""

    def __init__(self, folder: Path, pods: Zygotes, source: str = SOURCE) -> None:
        self.folder, self.pods = folder, pods
        self.project = Project(folder / "project").write(source)
        self.workspace = self.project.workspace
        self.count = 0

    def plan(self, name: str) -> Plan:
        with self.project.imported(name) as pipeline:
            planned = make_plan(pipeline, pipeline.bind(), root=self.project.folder, workspace=self.workspace)
            self.code = keep_code(self.workspace, planned)
            self.plan_id = keep_plan(self.workspace, planned.plan)
            self.planned = planned
            return planned.plan

    def start(self, *args: str, **env: str) -> int:
        """A pod of the run "r1", run to its end."""
        self.count += 1
        self.pod = self.folder / f"pod-{self.count}"
        self.pod.mkdir()
        given = {"JEYN_HOME": str(self.pod / "home"), "JEYN_OUT": str(self.pod / "out"), **env}
        return self.pods.run(Command([*self.ids, *args], given, self.pod), self.places)

    @property
    def ids(self) -> list[str]:
        return ["--run=r1", f"--package={self.code}/{self.plan_id}"]

    @property
    def places(self) -> dict[str, str]:
        return places(self.workspace)

    @property
    def run(self) -> Run:
        return Run(self.workspace, "r1")

    def said(self, name: str) -> str:
        """An output parameter of the last pod."""
        return (self.pod / "out" / name).read_text()

    def attempts(self, operation: str) -> list[str]:
        row = next(row for row in self.run.operations if row.name == operation)
        return [str(each.state) for each in self.workspace.runs.attempts(row.key)]


def signalled(world: World, number: int) -> int:
    """A pod of the operation `waits` that gets a signal while it waits."""
    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(world.start, "--operation=waits")
        deadline = time.monotonic() + 30
        while "waiting" not in _text(world.folder / "pod-1" / "log"):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        os.kill(int((world.folder / "pod-1" / "pid").read_text()), number)
        return ended.result(30)


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def interpreted(
    project: Project, folder: Path, start: Any, *, resumed: Run | None = None, **options: Any
) -> tuple[Run, Any]:
    """The pipeline "flow" as one workflow that ran to its end, and what the interpreter saw of it."""
    workspace = project.workspace
    with project.imported("flow") as pipeline:
        planned = make_plan(pipeline, pipeline.bind(), root=project.folder, workspace=workspace)
        row = create_run(workspace, planned, "argo", resumed.row if resumed else None)
        manifest = compile_workflow(
            planned.plan,
            run=row.id,
            code=str(row.code),
            plan_id=keep_plan(workspace, planned.plan),
            settings=ArgoSettings(),
        )
        ran = Interpreter(manifest, start, folder / f"pods-{row.id}", **options).run()
    return Run(workspace, row.id), ran


def places(workspace: Workspace) -> dict[str, str]:
    return {"JEYN_CATALOG": workspace.settings.catalog, "JEYN_PAYLOADS": workspace.settings.payloads}
