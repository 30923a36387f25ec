"""Runs whose workflow was deleted, never starts or ended without a word are closed, and say why."""

from __future__ import annotations

import pytest

from jeyn.project_file import argo_settings
from jeyn.workflows import settle
from jeyn.workflows.argo import reaper
from jeyn.workflows.argo.compile import compile_workflow
from jeyn.workflows.argo.reaper import reap
from jeyn.workflows.argo.service import ENDED, Argo
from jeyn.workflows.create import create_run, keep_plan
from jeyn.workflows.planning import make_plan
from jeyn.workflows.run import Run
from tests.cluster.conftest import MakeProject
from tests.cluster.equipment import RemoteProject, wait_until
from tests.workflows.projects import states

pytestmark = pytest.mark.cluster

FLOW = """
@operation
def slow() -> int:
    time.sleep(300)
    return 1

@operation
def after(number: int) -> int:
    return number

@pipeline
def flow():
    return after(slow())
"""


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reaper, "GRACE_SECONDS", 0)
    monkeypatch.setattr(settle, "UNSEEN_SECONDS", 0)


def argo_of(project: RemoteProject) -> Argo:
    return Argo(argo_settings(project.workspace.settings.argo))


def submitted(project: RemoteProject) -> Run:
    """A run that nobody watches."""
    project.write(FLOW)
    workspace, argo = project.workspace, argo_of(project)
    with project.imported() as pipeline:
        planned = make_plan(pipeline, {}, root=project.folder, workspace=workspace)
        row = create_run(workspace, planned, "argo")
    plan_id = keep_plan(workspace, planned.plan)
    argo.create(compile_workflow(planned.plan, run=row.id, code=str(row.code), plan_id=plan_id, settings=argo.settings))
    return Run(workspace, row.id)


def test_a_workflow_that_was_deleted(project: RemoteProject) -> None:
    run, argo = submitted(project), argo_of(project)
    wait_until(lambda: states(run)["slow"] == "running", 120)
    assert reap(project.workspace, argo) == []
    argo.call("DELETE", f"workflows/{argo.settings.namespace}/{run.id}")
    assert reap(project.workspace, argo) == [run.id]
    assert (run.state, run.exit_code) == ("failed", 1)
    assert f'the workflow of "{run.id}" is gone' in (run.error or {})["message"]
    assert states(run) == {"slow": "cancelled", "after": "not run"}
    assert reap(project.workspace, argo) == []


def test_a_workflow_that_ended_without_a_word(project: RemoteProject) -> None:
    run, argo = submitted(project), argo_of(project)
    wait_until(lambda: states(run)["slow"] == "running", 120)
    argo.terminate(run.id)  # no exit handler runs
    wait_until(lambda: (argo.get(run.id)["status"].get("phase")) in ENDED, 120)
    assert reap(project.workspace, argo) == [run.id]
    assert run.state in ("failed", "cancelled")
    assert set(states(run).values()) <= {"failed", "not run", "cancelled"}


def test_a_pod_that_never_starts(make_project: MakeProject) -> None:
    project = make_project(image="localhost/no-such:1", image_pull_policy="Never", pod_start=3)
    run = submitted(project)
    wait_until(lambda: "ErrImageNeverPull" in str(argo_of(project).get(run.id)), 60)

    def closed() -> bool:
        code, document = project.jeyn("runs", run.id, "--on", "argo")
        assert code == 0, document
        return bool(document["data"]["state"] == "failed")

    wait_until(closed, 60)
    assert (run.error or {})["operation"] == "slow"
    assert "did not start within 3 s" in (run.error or {})["message"]
    assert "ErrImageNeverPull" in (run.error or {})["message"]
    wait_until(lambda: argo_of(project).get(run.id)["status"].get("phase") in ENDED, 60)
