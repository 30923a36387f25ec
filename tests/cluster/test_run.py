"""`jeyn run --on argo` on a real cluster: what a person sees, and what is left in the catalog and on Argo's page."""

from __future__ import annotations

import re
import signal
from typing import Any

import pytest

from tests.cluster.conftest import MakeProject
from tests.cluster.equipment import Cluster, RemoteProject, wait_until
from tests.workflows.projects import Project, states

pytestmark = pytest.mark.cluster

FLOW = """
@operation
def number(value: float = 1.0) -> float:
    print("here it is:", value)
    return value

@operation
def scale(number: float, by: float = 10) -> float:
    return number * by

@pipeline
def flow(value: float = 2.0):
    \"\"\"Numbers, ten times.\"\"\"
    return scale.options(name="ten_times")(number(value))
"""
SLOW = """
@operation
def slow() -> float:
    print("it began")
    time.sleep(600)
    return 1.0

@operation
def told(state: str) -> str:
    return state

@pipeline(on_exit=told)
def flow():
    return slow()
"""


def pods_of(stored: dict[str, Any]) -> list[dict[str, Any]]:
    """The pods of a stored Workflow, as Argo's page has them."""
    return [node for node in stored["status"]["nodes"].values() if node["type"] == "Pod"]


def given(node: dict[str, Any], name: str) -> str:
    """An input parameter of a pod; "" where it has none of that name."""
    found = (node.get("inputs") or {}).get("parameters") or ()
    return next((str(each["value"]) for each in found if each["name"] == name), "")


def started(project: RemoteProject, *arguments: str, **environment: str) -> Any:
    """A run of which the operation `slow` has begun."""
    process = project.start("run", "pipeline.py", "--on", "argo", *arguments, **environment)

    def began() -> bool:
        assert process.poll() is None, process.communicate()[1]
        runs = project.workspace.runs.list(1)
        return bool(runs) and states(project.last()).get("slow") == "running"

    wait_until(began, 120)
    return process


def test_a_run_ends_as_locally_and_can_be_read_on_argos_page(project: RemoteProject, cluster: Cluster) -> None:
    project.write(FLOW)
    code, document = project.on_argo("--set", "value=3")
    assert code == 0, document["error"]["message"]
    data = document["data"]
    assert data["state"] == "succeeded"
    assert data["outputs"] == {"return": "30.0"}
    assert [each["state"] for each in data["operations"]] == ["succeeded", "succeeded"]

    stored = cluster.workflow(data["run"])
    metadata, status = stored["metadata"], stored["status"]
    assert status["phase"] == "Succeeded"
    assert status["progress"] == "3/3"  # the operations, and what closes the run
    assert metadata["annotations"]["workflows.argoproj.io/title"] == "flow"
    assert metadata["annotations"]["workflows.argoproj.io/description"].startswith("Numbers, ten times.")
    assert f"jeyn runs {data['run']}" in metadata["annotations"]["workflows.argoproj.io/description"]
    assert metadata["labels"]["jeyn.dev/pipeline"] == "flow"
    assert metadata["labels"]["jeyn.dev/run"] == data["run"]
    assert metadata["labels"]["jeyn.dev/code"] == data["code"][7:23]
    # Argo takes no underscore in a node's name; the operation's own is beside it.
    pods = {given(node, "operation"): node for node in pods_of(stored)}
    assert {name: node["displayName"] for name, node in pods.items() if name} == {
        "number": "number",
        "ten_times": "ten-times",
    }
    outputs = {each["name"]: each["value"] for each in pods["ten_times"]["outputs"]["parameters"]}
    assert outputs == {"refs": '{"return": "30.0"}', "state": "succeeded"}
    found = cluster.kubectl(
        "get", "workflows", "-n", cluster.namespace, "-l", f"jeyn.dev/run={data['run']}", "-o", "name"
    )
    assert found.strip().endswith(data["run"])
    # Where the catalog and the payloads are, and how to get there, is in the Secret alone.
    password = re.search(r":([0-9a-f]{16})@", project.places.environment["JEYN_CATALOG"])
    assert password and password[1] not in str(stored)


def test_what_is_shown_meanwhile_is_what_the_local_engine_shows(project: RemoteProject, tmp_path: Any) -> None:
    def told(process: Any) -> list[str]:
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        lines = [re.sub(r"\d+(\.\d+)? (m?s|min)\b", "TIME", line) for line in [*out.splitlines(), *err.splitlines()]]
        return [re.sub(r"flow-\d{6}-\d{6}-\w{4}", "RUN", line).replace("argo", "local") for line in lines]

    project.write(FLOW)
    local = Project(tmp_path / "local").write(FLOW)
    shown = told(project.start("run", "pipeline.py", "--on", "argo"))
    assert shown == told(local.start("run", "pipeline.py"))
    assert any("here it is: 2.0" in line for line in shown)


def test_logs_are_there_when_the_pods_are_gone(project: RemoteProject, cluster: Cluster) -> None:
    project.write(FLOW)
    code, document = project.on_argo()
    assert code == 0, document["error"]["message"]
    run = document["data"]["run"]
    cluster.workflow(run)
    cluster.kubectl("delete", "workflow", run, "-n", cluster.namespace)
    code, logs = project.jeyn("logs", run, "number")
    assert code == 0
    assert [each["text"] for each in logs["data"]["log"]] == ["here it is: 2.0\n"]


def test_a_resumed_run_goes_on_where_it_failed_and_secrets_stay_in_their_secret(
    project: RemoteProject, cluster: Cluster
) -> None:
    project.write(
        """
@operation
def number() -> float:
    return 2.0

@operation
def guarded(number: float, password: jeyn.Secret) -> float:
    print("opened with", password)
    if password.value != "open-sesame":
        raise ValueError("the door is closed")
    return number

@pipeline
def flow():
    return guarded(number(), jeyn.Secret("door", "password"))
"""
    )
    cluster.secret("door", {"password": "please"})
    code, failed = project.on_argo()
    assert (code, failed["error"]["message"]) == (1, 'operation "guarded": ValueError: the door is closed')
    cluster.secret("door", {"password": "open-sesame"})
    code, resumed = project.jeyn("run", "--resume", failed["data"]["run"])
    assert code == 0, resumed["error"]["message"]
    assert {each["name"]: each["state"] for each in resumed["data"]["operations"]} == {
        "number": "adopted",
        "guarded": "succeeded",
    }
    assert resumed["data"]["resumed_from"] == failed["data"]["run"]
    assert "open-sesame" not in str(cluster.workflow(resumed["data"]["run"])) + str(resumed) + project.last().logs()


def test_cancel_stops_the_pods_and_lets_the_exit_handler_tell(project: RemoteProject, cluster: Cluster) -> None:
    project.write(SLOW)
    process = started(project, "--json")
    run = project.last().id
    code, _ = project.jeyn("cancel", run)
    assert code == 0
    process.communicate(timeout=180)
    assert process.returncode == 130
    assert (project.last().state, states(project.last())) == ("cancelled", {"slow": "cancelled", "told": "succeeded"})
    assert project.last().logs("slow").startswith("it began\n")
    assert cluster.workflow(run)["status"]["phase"] == "Failed"
    code, again = project.jeyn("cancel", run)
    assert (code, again["error"]["code"]) == (4, "CONFLICT")


def test_interrupting_the_command_stops_the_run(project: RemoteProject) -> None:
    project.write(SLOW)
    process = started(project)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=180)
    assert process.returncode == 130
    assert project.last().state == "cancelled"


def test_a_terminal_that_closes_leaves_the_run_alone(project: RemoteProject) -> None:
    project.write(SLOW)
    process = started(project)
    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=60)
    assert project.last().state == "running"
    assert states(project.last())["slow"] == "running"
    assert project.jeyn("cancel", "last")[0] == 0
    wait_until(lambda: project.last().state == "cancelled", 180)


def test_a_workflow_that_is_deleted_ends_its_run(project: RemoteProject, cluster: Cluster) -> None:
    project.write(SLOW)
    process = started(project, "--json")
    run = project.last().id
    cluster.kubectl("delete", "workflow", run, "-n", cluster.namespace)
    out, _ = process.communicate(timeout=180)
    assert process.returncode == 1, out
    assert project.last().state == "failed"
    assert f'the workflow of "{run}" is gone' in project.last().error["message"]
    assert states(project.last())["slow"] == "cancelled"


def test_one_hundred_pods_fan_in_through_the_catalog(project: RemoteProject, cluster: Cluster) -> None:
    project.write(
        """
@operation
def numbers() -> list:
    return list(range(100))

@operation
def double(number: int) -> int:
    return 2 * number

@operation
def total(numbers: list) -> int:
    return sum(numbers)

@pipeline(parallelism=16)
def flow():
    return total(double.map(number=numbers()))
"""
    )
    code, document = project.jeyn("run", "pipeline.py", "--on", "argo", seconds=1500)
    assert code == 0, document["error"]["message"]
    assert document["data"]["outputs"] == {"return": "9900"}
    stored = cluster.workflow(document["data"]["run"])
    items = [given(node, "item") for node in pods_of(stored) if given(node, "operation") == "double"]
    assert sorted(map(int, filter(None, items))) == list(range(100))
    # The join is told nothing of what it joins.
    (join,) = [node for node in pods_of(stored) if given(node, "operation") == "total"]
    assert [each["name"] for each in join["inputs"]["parameters"]] == ["operation"]


def test_options_reach_the_pod(project: RemoteProject, cluster: Cluster) -> None:
    cluster.kubectl("label", "node", "node", "jeyn.dev/kind=small", "--overwrite")
    project.write(
        """
@operation(resources={"cpu": 0.1, "memory": "256Mi"}, k8s={
    "nodeSelector": {"jeyn.dev/kind": "small"},
    "tolerations": [{"key": "dedicated", "operator": "Exists"}],
    "volumes": [{"name": "work", "emptyDir": {}}],
    "volumeMounts": [{"name": "work", "mountPath": "/scratch"}],
    "env": [{"name": "COLOUR", "value": "green"}],
})
def look() -> str:
    limit = next(p for p in map(Path, ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"))
                 if p.exists()).read_text().strip()
    return f"{os.environ['COLOUR']} {Path('/scratch').is_dir()} {limit}"

@operation(retries=3, backoff=1)
def broken() -> float:
    raise jeyn.Fatal("for good")

@operation(retries=2, backoff=1)
def stubborn() -> float:
    raise ValueError("again")

@pipeline(parallelism=2)
def flow():
    return {"look": look(), "broken": broken(), "stubborn": stubborn()}
"""
    )
    code, document = project.on_argo()
    assert code == 1, document["error"]
    stored = cluster.workflow(document["data"]["run"])
    pods = [name for node in pods_of(stored) if (name := given(node, "operation"))]
    assert {name: pods.count(name) for name in pods} == {"look": 1, "broken": 1, "stubborn": 3}
    assert stored["spec"]["parallelism"] == 2
    code, logs = project.jeyn("show", project.last().workspace.runs.outputs(
        [row.key for row in project.last().operations if row.name == "look"]
    ).popitem()[1][0][2])  # fmt: skip
    assert "green True 268435456" in str(logs)


@pytest.mark.parametrize("argo", [{"image": "localhost/nothing:1", "image_pull_policy": "Never"}])
def test_an_image_that_cannot_be_pulled_is_told_and_recorded(make_project: MakeProject, argo: dict[str, Any]) -> None:
    project = make_project(**argo).write(FLOW)
    code, document = project.on_argo()
    assert code == 1
    message = document["error"]["message"]
    assert message.startswith('operation "number": its image cannot be pulled: ErrImageNeverPull')
    assert "localhost/nothing:1" in message
    assert "argo: image:" in document["error"]["hint"]
    assert project.last().state == "failed"
    assert project.last().error["message"] in message
    assert states(project.last()) == {"number": "failed", "ten_times": "not run"}


def test_an_image_of_one_operation_that_cannot_be_pulled_is_that_operations_failure(project: RemoteProject) -> None:
    project.write(FLOW.replace("@operation\ndef scale", "@operation(image='localhost/nothing:2')\ndef scale"))
    project.configure(image_pull_policy="Never")
    code, document = project.on_argo()
    assert code == 1
    assert document["error"]["message"].startswith('operation "ten_times": its image cannot be pulled')
    assert states(project.last()) == {"number": "succeeded", "ten_times": "failed"}


def test_places_that_no_pod_reaches_are_refused_before_anything_is_created(project: RemoteProject) -> None:
    project.write(FLOW)
    code, document = project.jeyn(
        "run", "pipeline.py", "--on", "argo", JEYN_CATALOG=f"sqlite:///{project.folder}/catalog.db"
    )
    assert code == 6
    assert "catalog" in document["error"]["message"]
    assert "JEYN_CATALOG" in document["error"]["hint"]
    assert project.workspace.runs.list() == []


def test_an_unreachable_server_is_named_and_the_record_says_so(project: RemoteProject) -> None:
    project.write(FLOW)
    code, document = project.jeyn("run", "pipeline.py", "--on", "argo", JEYN_ARGO_SERVER="http://127.0.0.1:9")
    assert code == 7
    assert '"http://127.0.0.1:9" cannot be reached' in document["error"]["message"]
    assert "JEYN_ARGO_SERVER" in document["error"]["hint"]
    assert project.last().state == "failed"
    assert project.last().error["message"] == document["error"]["message"]


def test_whoever_may_not_is_told_so(project: RemoteProject, cluster: Cluster) -> None:
    cluster.apply(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "guest", "namespace": cluster.namespace}}
    )
    token = cluster.kubectl("create", "token", "guest", "-n", cluster.namespace).strip()
    project.write(FLOW)
    with cluster.server_with_tokens() as server:
        code, document = project.jeyn("run", "pipeline.py", "--on", "argo", JEYN_ARGO_SERVER=server, ARGO_TOKEN=token)
    assert code == 8, document
    assert cluster.namespace in document["error"]["message"]
    assert token not in str(document)
    assert project.last().state == "failed"
    assert project.last().error["code"] == "NOT_ALLOWED"


SIDECAR = """
@operation(sidecar="dapr")
def with_dapr(works: bool = True) -> str:
    from urllib.request import urlopen

    with urlopen("http://127.0.0.1:3500/v1.0/healthz/outbound", timeout=10) as answer:
        status = answer.status
    if not works:
        raise ValueError("its own error")
    return f"daprd said {status}"

@pipeline
def flow(works: bool = True):
    return with_dapr(works)
"""


def test_a_pod_with_daprd_completes_and_a_failure_is_its_own(project: RemoteProject, cluster: Cluster) -> None:
    project.write(SIDECAR)
    code, document = project.on_argo()
    assert code == 0, document["error"]["message"]
    assert document["data"]["outputs"] == {"return": "'daprd said 204'"}
    stored = cluster.workflow(document["data"]["run"])
    template = next(each for each in stored["spec"]["templates"] if each["name"].startswith("with-dapr"))
    assert [each["restartPolicy"] for each in template["initContainers"]] == ["Always"]
    code, document = project.on_argo("--set", "works=false")
    assert code == 1
    assert document["error"]["message"] == 'operation "with_dapr": ValueError: its own error'
