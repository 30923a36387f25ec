"""`jeyn deploy` on a real cluster: server-side apply, what a change looks like, going back, and who may not."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.equipment import Cluster, RemoteProject

pytestmark = pytest.mark.cluster

FLOW = """
@operation
def number(value: float = 1.0) -> float:
    return value

@pipeline
def NAME(value: float = 2.0):
    return number(value)
"""


@pytest.fixture
def flow(request: pytest.FixtureRequest, cluster: Cluster) -> Iterator[str]:
    """What a test's own pipeline is called; what was deployed is removed."""
    name = f"flow{zlib.crc32(request.node.name.encode()) % 10**6}"
    yield name
    kinds = "workflowtemplates,cronworkflows,workflows"
    cluster.kubectl("delete", kinds, "-n", cluster.namespace, "-l", f"jeyn.dev/pipeline={name}")


def deploy(project: RemoteProject, *arguments: str, **environment: str) -> tuple[int, dict[str, Any]]:
    kubeconfig = {"KUBECONFIG": str(project.cluster.kubeconfig)}
    return project.jeyn("deploy", "pipeline.py", *arguments, **(kubeconfig | environment))


def changed_lines(document: dict[str, Any]) -> list[str]:
    lines = document["data"]["diff"].splitlines()
    return [line for line in lines if line[0] in "+-" and not line.startswith(("+++", "---"))]


def template(cluster: Cluster, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        cluster.kubectl("get", "workflowtemplate", name, "-n", cluster.namespace, "--show-managed-fields", "-o", "json")
    )
    return found


def test_what_is_deployed_is_applied_once_changes_by_lines_and_goes_back(
    project: RemoteProject, cluster: Cluster, flow: str
) -> None:
    project.write(FLOW.replace("NAME", flow))
    code, dry = deploy(project, "--dry-run")
    assert code == 0 and dry["data"]["applied"] is False, dry
    assert (
        cluster.kubectl("get", "workflowtemplate", f"tried-{flow}", "-n", cluster.namespace, "--ignore-not-found") == ""
    )
    assert project.workspace.reader.row(dry["data"]["code"]) is None  # nothing was kept either

    code, first = deploy(project)
    assert code == 0, first
    assert first["data"]["changes"][-1] | {"diff": ""} == {
        "kind": "WorkflowTemplate",
        "name": f"tried-{flow}",
        "what": "new",
        "diff": "",
    }
    assert (first["data"]["code"], first["data"]["plan"]) == (dry["data"]["code"], dry["data"]["plan"])
    assert first["data"]["missing"] == []
    there = template(cluster, f"tried-{flow}")
    assert [(each["manager"], each["operation"]) for each in there["metadata"]["managedFields"]] == [("jeyn", "Apply")]

    assert {each["what"] for each in deploy(project)[1]["data"]["changes"]} == {"same"}
    assert template(cluster, f"tried-{flow}")["metadata"]["resourceVersion"] == there["metadata"]["resourceVersion"]

    # Whatever changes in the code, it is one line: before and after.
    project.write("What it is for.", "NOTES.txt")
    assert [line.split(":")[0].strip("+- ") for line in changed_lines(deploy(project, "--dry-run")[1])] == ["value"] * 2
    project.write(FLOW.replace("NAME", flow).replace("return value", "return value + 1"))
    _, second = deploy(project)
    assert len(changed_lines(second)) == 2
    assert second["data"]["code"] != first["data"]["code"] and second["data"]["plan"] != first["data"]["plan"]

    code, back = deploy(project, "--code", first["data"]["code"][:24])
    assert code == 0, back
    assert (back["data"]["code"], back["data"]["plan"]) == (first["data"]["code"], first["data"]["plan"])
    assert template(cluster, f"tried-{flow}")["spec"] == there["spec"]


def test_a_workflow_that_is_submitted_by_hand_is_a_run(project: RemoteProject, cluster: Cluster, flow: str) -> None:
    project.write(FLOW.replace("NAME", flow))
    assert deploy(project)[0] == 0
    name = f"by-hand-{project.places.secret}"
    submitted = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": name, "namespace": cluster.namespace},
        "spec": {"workflowTemplateRef": {"name": f"tried-{flow}"}},
    }
    cluster.kubectl("create", "-f", "-", stdin=json.dumps(submitted))
    found = cluster.workflow(name, 120)
    assert found["status"]["phase"] == "Succeeded", found["status"]
    assert (project.last().id, project.last().state) == (name, "succeeded")


def test_fields_that_others_set_stay_theirs_unless_forced(project: RemoteProject, cluster: Cluster, flow: str) -> None:
    project.write(FLOW.replace("NAME", flow))
    assert deploy(project)[0] == 0
    change = {"spec": {"activeDeadlineSeconds": 60}}
    where = ("-n", cluster.namespace, "--type=merge", "--field-manager=somebody")
    cluster.kubectl("patch", "workflowtemplate", f"tried-{flow}", *where, "-p", json.dumps(change))
    code, refused = deploy(project)
    assert (code, refused["error"]["code"]) == (4, "CONFLICT")
    assert "somebody" in refused["error"]["message"] and "--force" in refused["error"]["hint"]
    assert template(cluster, f"tried-{flow}")["spec"]["activeDeadlineSeconds"] == 60
    assert deploy(project, "--force")[0] == 0
    assert template(cluster, f"tried-{flow}")["spec"]["activeDeadlineSeconds"] == 7 * 86400


def kubeconfig(cluster: Cluster, folder: Path, token: str = "", server: str = "") -> str:
    """kubectl's configuration with another account, or another address."""
    found = json.loads(cluster.kubectl("config", "view", "--raw", "-o", "json"))
    if token:
        found["users"][0]["user"] = {"token": token}
    if server:
        found["clusters"][0]["cluster"]["server"] = server
    place = folder / "kubeconfig"
    place.write_text(json.dumps(found))
    return str(place)


@pytest.fixture
def few_rights(cluster: Cluster, tmp_path: Path) -> str:
    """The configuration of an account that may do nothing."""
    where = ("-n", cluster.namespace)
    account = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": "few", "namespace": cluster.namespace},
    }
    cluster.apply(account)
    return kubeconfig(cluster, tmp_path, token=cluster.kubectl("create", "token", "few", *where).strip())


def test_who_may_not_is_told_what(project: RemoteProject, few_rights: str, flow: str) -> None:
    project.write(FLOW.replace("NAME", flow))
    code, refused = deploy(project, KUBECONFIG=few_rights)
    assert (code, refused["error"]["code"]) == (8, "NOT_ALLOWED")
    assert "system:serviceaccount:" in refused["error"]["message"]
    code, refused = project.jeyn("schedule", "ls", KUBECONFIG=few_rights)
    assert (code, refused["error"]["code"]) == (8, "NOT_ALLOWED")


def test_a_cluster_that_is_not_there_is_named(
    project: RemoteProject, cluster: Cluster, tmp_path: Path, flow: str
) -> None:
    project.write(FLOW.replace("NAME", flow))
    nowhere = kubeconfig(cluster, tmp_path, server="https://127.0.0.1:1")
    code, refused = deploy(project, KUBECONFIG=nowhere)
    assert (code, refused["error"]["code"]) == (7, "UNREACHABLE")
    assert '"https://127.0.0.1:1"' in refused["error"]["message"] and "KUBECONFIG" in refused["error"]["hint"]


def test_a_namespace_that_is_not_there_is_named(project: RemoteProject, flow: str) -> None:
    project.write(FLOW.replace("NAME", flow))
    for arguments in ((), ("--dry-run",)):
        code, refused = deploy(project, *arguments, JEYN_ARGO_NAMESPACE="nowhere")
        assert (code, refused["error"]["code"]) == (3, "NOT_FOUND"), refused
        assert '"nowhere"' in refused["error"]["message"] and "create namespace" in refused["error"]["hint"]
