"""`jeyn doctor --on argo` on a real cluster: all that a run needs, looked at from here and from a pod."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cluster.conftest import MakeProject
from tests.cluster.equipment import Cluster, RemoteProject
from tests.cluster.test_deploy import few_rights

__all__ = ["few_rights"]
pytestmark = pytest.mark.cluster

LOOKED_AT = {
    "argo server",
    "kubernetes",
    "permissions",
    "secret",
    "image",
    "catalog from a pod",
    "payloads from a pod",
    "sidecar",
}


def doctor(project: RemoteProject, **environment: str) -> tuple[int, dict[str, Any], dict[str, Any]]:
    """Exit code, the checks by name, and the error."""
    kubeconfig = {"KUBECONFIG": str(project.cluster.kubeconfig)}
    code, document = project.jeyn("doctor", "--on", "argo", **(kubeconfig | environment))
    return code, {each["name"]: each for each in document["data"]["checks"]}, document["error"] or {}


def test_all_is_well(project: RemoteProject, cluster: Cluster) -> None:
    code, checks, error = doctor(project)
    assert code == 0, (checks, error)
    assert {name: checks[name]["status"] for name in LOOKED_AT} == dict.fromkeys(LOOKED_AT, "ok")
    assert cluster.server in checks["argo server"]["found"] and "v3.7" in checks["argo server"]["found"]
    assert "JEYN_CATALOG" in checks["secret"]["found"]
    assert project.places.environment["JEYN_CATALOG"] not in str(checks["secret"])
    left = cluster.kubectl("get", "workflows", "-n", cluster.namespace, "-l", "app.kubernetes.io/managed-by=jeyn")
    assert "jeyn-doctor" not in left


def test_what_keeps_pods_from_their_places_is_named(project: RemoteProject, cluster: Cluster) -> None:
    closed = {"JEYN_CATALOG": "postgresql+psycopg://nobody@10.244.0.1:1/none", "JEYN_PAYLOADS": "s3://no-bucket/x"}
    cluster.secret(project.places.secret, project.places.environment | closed)
    project.workspace.runs.list()  # there is a catalog
    code, checks, error = doctor(project)
    assert (code, error["code"]) == (5, "INVALID")
    assert (checks["catalog"]["status"], checks["image"]["status"]) == ("ok", "ok")  # from here all is well
    for place in ("catalog from a pod", "payloads from a pod"):
        assert checks[place]["status"] == "fail" and checks[place]["cure"], checks[place]


def test_an_image_that_cannot_be_had_and_a_secret_that_is_not_there(make_project: MakeProject) -> None:
    code, checks, error = doctor(make_project("unknown", image="localhost/no-such:1", image_pull_policy="Never"))
    assert (code, error["code"]) == (5, "INVALID")
    assert checks["image"]["status"] == "fail"
    assert "ErrImageNeverPull" in checks["image"]["found"] and "JEYN_ARGO_IMAGE" in checks["image"]["cure"]
    code, checks, error = doctor(make_project("poor", secret="no-such", sidecar="none"))
    assert code == 5
    assert "kubectl create secret" in checks["secret"]["cure"]
    assert 'secret "no-such" not found' in checks["image"]["found"]
    assert "sidecar" not in checks


def test_who_may_not_and_what_is_not_there(project: RemoteProject, few_rights: str) -> None:
    code, checks, error = doctor(project, KUBECONFIG=few_rights)
    assert (code, error["code"]) == (8, "NOT_ALLOWED")
    assert "workflowtemplates" in checks["permissions"]["found"]
    assert checks["secret"]["status"] == "warn"
    code, checks, error = doctor(project, JEYN_ARGO_SERVER="http://127.0.0.1:1")
    assert (code, error["code"]) == (7, "UNREACHABLE")
    assert '"http://127.0.0.1:1"' in checks["argo server"]["found"]
    assert "JEYN_ARGO_SERVER" in checks["argo server"]["cure"]
    assert "image" not in checks
