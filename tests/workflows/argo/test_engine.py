"""The engine on Argo against a small Argo server: what it tells, what it records, and how it fails."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import jeyn.workflows.argo.engine as engine_module
import jeyn.workflows.run as run_module
from jeyn import Workspace
from jeyn.errors import Conflict, Incompatible, JeynError, NotAllowed, Unreachable
from jeyn.project_file import argo_settings
from jeyn.workflows import settle
from jeyn.workflows.argo.service import Argo
from jeyn.workflows.run import cancel_run
from jeyn.workflows.watch import Event, ItemsKnown, OperationChanged, Printed, RunFinished, RunStarted
from tests.workflows.argo.interpreter import Interpreter
from tests.workflows.argo.pods import Zygotes, zygotes
from tests.workflows.argo.server import FakeArgo, serving
from tests.workflows.projects import Project, states

FLOW = """
from jeyn import DatasetFormula

table = DatasetFormula("table", version="1.0.0", output_catalog=Points)

@operation
def numbers(count: int) -> list:
    print("counting")
    return list(range(count))

@operation(retries=1, backoff=0.1)
def shaky(number: int) -> int:
    outside = jeyn.context().outside
    if number == 1 and model_store.get_checkpoint("guess@latest", default=None) is None:
        batch = outside.dataset_store.save_batch(table.new_table({"x": [1.0]}))
        outside.model_store.save_checkpoint(guess.update_minor(dataset=batch, model=np.array([1.0])))
        raise ValueError("not yet")
    return number

@operation
def total(numbers: list) -> float:
    return sum(numbers)

@pipeline
def flow(count: int = 3):
    with jeyn.when(total.options(name="one")([1]) > 5):
        never = numbers.options(name="never")(1)
    return total(shaky.map(number=numbers(count)))
"""

PLAIN = (
    FLOW
    + """
@pipeline
def plain():
    return total([1, 2])
"""
)


@pytest.fixture(scope="module")
def pods() -> Iterator[Zygotes]:
    with zygotes(3) as found:
        yield found


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project").write(FLOW, data=True)


@pytest.fixture
def argo(project: Project, pods: Zygotes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeArgo]:
    """A server whose pods are processes on this machine, so that they reach a catalog that is here."""
    monkeypatch.setattr(run_module, "check_for_argo", lambda plan, workspace: ())
    monkeypatch.setattr(engine_module, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(engine_module, "CLOSING_SECONDS", 0.2)
    places = {
        "JEYN_CATALOG": project.workspace.settings.catalog,
        "JEYN_PAYLOADS": project.workspace.settings.payloads,
    }
    with serving(
        lambda manifest: Interpreter(manifest, lambda command: pods.run(command, places), tmp_path / "pods")
    ) as found:
        configure(project, server=found.address)
        yield found


def configure(project: Project, **argo: Any) -> None:
    """What `argo:` of jeyn.yaml says, read anew."""
    (project.folder / "jeyn.yaml").write_text(json.dumps({"name": "tried", "argo": argo}))
    project.workspace.close()
    project.workspace = Workspace.open(project.folder)


def nothing_runs(argo: FakeArgo, *nodes: dict[str, Any], phase: str = "Running") -> None:
    """Workflows are stored, and nothing comes of them but these nodes."""
    plain = argo.start

    def start(manifest: Any) -> None:
        argo.start = plain

    argo.start = start
    create = argo._create

    def created(manifest: dict[str, Any]) -> dict[str, Any]:
        found = create(manifest)
        argo.only.nodes, argo.only.phase = list(nodes), phase
        return found

    argo._create = created  # type: ignore[method-assign]


def waiting(operation: str, message: str) -> dict[str, Any]:
    given = [{"name": "operation", "value": operation}] if operation else []
    return {
        "phase": "Pending",
        "message": message,
        "templateName": operation or "finish",
        "inputs": {"parameters": given},
    }


def failed(project: Project, argo: FakeArgo) -> dict[str, Any]:
    """The error of a run that is expected to fail; its record says the same."""
    run = project.run(on="argo")
    assert run.state == "failed"
    assert run.error is not None
    return run.error


def test_it_tells_what_the_local_engine_tells(project: Project, argo: FakeArgo, tmp_path: Path) -> None:
    def told(run: Callable[..., Any]) -> list[Any]:
        found: list[Event] = []
        run(watch=found.append)
        return sorted(map(repr, _comparable(found)))

    here = told(lambda watch: project.run(on="argo", watch=watch))
    local = Project(tmp_path / "local").write(FLOW, data=True)
    assert here == told(lambda watch: local.run(watch=watch))
    assert project.last().state == "succeeded"
    assert project.last().outputs == {"return": 3.0}


def _comparable(events: list[Event]) -> Iterator[Any]:
    for event in events:
        match event:
            case RunStarted(pipeline=pipeline, operations=operations):
                yield "started", pipeline, operations
            case ItemsKnown():
                yield event
            case OperationChanged(operation=name, state=state, attempt=attempt, retry_in=wait, attempts=attempts):
                yield name, state, attempt, wait, attempts if attempt else 0, event.outputs, bool(event.error)
            case Printed(operation=name, text=text):
                yield name, [line for line in text.splitlines() if not line.startswith(" ")]
            case RunFinished(state=state, counts=counts):
                yield state, sorted(counts.items())


def test_a_server_that_is_too_old_is_refused(project: Project, argo: FakeArgo) -> None:
    argo.version = "v3.4.11"
    with pytest.raises(Incompatible, match=r'is v3\.4\.11, and the \.map\(\) of "shaky" needs v3\.7\.16 or v4\.0\.7'):
        project.run(on="argo")
    assert (project.last().error["code"], project.last().exit_code) == ("INCOMPATIBLE", 6)
    assert ".map()" in project.last().error["message"]
    assert argo.workflows == {}


@pytest.mark.parametrize("version", ["v3.7.15", "v4.0.6"])
def test_a_server_is_new_enough_for_what_a_plan_uses(project: Project, argo: FakeArgo, version: str) -> None:
    project.write(PLAIN, data=True)
    argo.version = version
    assert project.run("plain", on="argo").state == "succeeded"
    with pytest.raises(Incompatible, match=r'the \.map\(\) of "shaky" needs'):
        project.run("flow", on="argo")
    assert len(argo.workflows) == 1


def test_a_version_that_is_no_number_is_taken(argo: FakeArgo, project: Project) -> None:
    argo.version = "latest+1234"
    assert project.run(on="argo").state == "succeeded"


@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [
        (403, NotAllowed, "workflows.argoproj.io is forbidden"),
        (401, NotAllowed, "token not valid"),
        (503, Unreachable, "upstream"),
    ],
)
def test_what_the_server_refuses_is_told_and_recorded(
    project: Project, argo: FakeArgo, status: int, kind: type[JeynError], said: str
) -> None:
    argo.refuse = (status, said)
    with pytest.raises(kind, match=said) as caught:
        project.run(on="argo")
    assert argo.address in caught.value.message
    assert project.last().state == "failed"
    assert project.last().error["message"] == caught.value.message


def test_nobody_at_the_address(project: Project, argo: FakeArgo) -> None:
    configure(project, server="http://127.0.0.1:9")
    with pytest.raises(Unreachable, match=r'"http://127\.0\.0\.1:9" cannot be reached') as caught:
        project.run(on="argo")
    assert "JEYN_ARGO_SERVER" in caught.value.hint


@pytest.mark.parametrize("message", ["ErrImageNeverPull: x", "InvalidImageName: x"])
def test_an_image_that_is_none_fails_its_operation(project: Project, argo: FakeArgo, message: str) -> None:
    nothing_runs(argo, waiting("numbers", message), waiting("", message))
    error = failed(project, argo)
    assert (error["operation"], error["message"]) == ("numbers", f"its image cannot be pulled: {message}")
    assert states(project.last())["total"] == "not run"


def test_a_registry_may_stumble_for_a_while(project: Project, argo: FakeArgo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "NO_IMAGE_SECONDS", 0.5)
    nothing_runs(argo, waiting("numbers", "ImagePullBackOff: Back-off"))
    assert "ImagePullBackOff" in failed(project, argo)["message"]
    looks = [each for each in argo.asked if each.startswith("GET /api/v1/workflows")]
    assert len(looks) > 1


def test_a_pod_that_never_starts_is_given_up(project: Project, argo: FakeArgo) -> None:
    configure(project, server=argo.address, pod_start=1)
    nothing_runs(argo, waiting("numbers", "Unschedulable: 0/3 nodes are available"))
    error = failed(project, argo)
    assert error["operation"] == "numbers"
    assert "did not start within 1 s: Unschedulable: 0/3 nodes are available" in error["message"]
    assert "pod_start" in error["hint"]


def test_a_workflow_that_ended_without_a_word_is_told_with_what_its_pod_printed(
    project: Project, argo: FakeArgo
) -> None:
    node = waiting("numbers", "main: Error (exit code 77)") | {"phase": "Failed"}
    nothing_runs(argo, node, phase="Failed")
    lines = [{"result": {"content": each}} for each in ("the catalog cannot be reached", "level=info argo=true")]
    argo.log = "\n".join(map(json.dumps, lines))
    message = failed(project, argo)["message"]
    assert "numbers: main: Error (exit code 77)\nthe catalog cannot be reached" in message
    assert "argo=true" not in message


def test_what_is_known_of_a_deleted_workflow_is_that_it_was_deleted(project: Project, argo: FakeArgo) -> None:
    nothing_runs(argo)
    create = argo._create

    def deleted(manifest: dict[str, Any]) -> dict[str, Any]:
        found = create(manifest)
        argo.workflows.clear()
        return found

    argo._create = deleted  # type: ignore[method-assign]
    error = failed(project, argo)
    assert error["code"] == "OPERATION_FAILED" and "is gone" in error["message"]


def test_cancelling_a_run_whose_workflow_is_gone_closes_it(project: Project, argo: FakeArgo) -> None:
    run = project.run(on="argo")
    key = project.workspace.runs.get(run.id).key
    open_again(project, key)
    argo.workflows.clear()
    assert cancel_run(run.id, workspace=project.workspace).state == "cancelled"


def open_again(project: Project, key: int) -> None:
    """As if nothing had said that the run ended."""
    with project.workspace.database.write_soft() as connection:
        connection.exec_driver_sql(f"UPDATE run SET state = 'running', ended = NULL WHERE key = {key}")


def test_resuming_closes_a_run_whose_workflow_vanished(
    project: Project, argo: FakeArgo, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = project.run(on="argo")
    open_again(project, run.row.key)
    with pytest.raises(Conflict, match="is still running"):
        project.resume(run)  # an end of a moment ago may be about to be told by the last pod
    stored = argo.workflows.pop(run.id)
    with pytest.raises(Conflict, match="is still running"):
        project.resume(run)  # its workflow may be about to be made
    monkeypatch.setattr(settle, "UNSEEN_SECONDS", 0)
    again = project.resume(run)
    assert (again.state, again.row.resumed_from) == ("succeeded", run.id)
    assert run.state == "failed" and "is gone" in (run.error or {})["message"]
    assert set(states(again).values()) <= {"adopted", "succeeded", "skipped"}
    assert stored.manifest["metadata"]["name"] == run.id


def test_a_server_that_stumbles_is_asked_again(project: Project, argo: FakeArgo) -> None:
    answer, count = argo.answer, iter(range(1000))

    def sometimes(method: str, path: str, body: Any) -> tuple[int, Any]:
        if method == "GET" and "workflows" in path and next(count) % 2:
            return 502, {"message": "try again"}
        return answer(method, path, body)

    argo.answer = sometimes  # type: ignore[method-assign]
    assert project.run(on="argo").state == "succeeded"


def test_an_address_that_is_none_is_said(project: Project) -> None:
    with pytest.raises(Unreachable, match="begins with http"):
        Argo(argo_settings({"server": "file:///etc/passwd"})).version()
