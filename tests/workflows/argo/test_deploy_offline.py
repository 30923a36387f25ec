"""What deploys, schedules and looks after runs, without a cluster: what is applied, what kubectl's words mean."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from jeyn import errors
from jeyn.project_file import ArgoSettings
from jeyn.sdk.plan import Constant
from jeyn.workflows.argo.compile import compile_plan
from jeyn.workflows.argo.deploy import apply
from jeyn.workflows.argo.health import check_argo, look, probe
from jeyn.workflows.argo.kubernetes import Kubernetes
from jeyn.workflows.argo.manifests import schedule
from jeyn.workflows.argo.reaper import never_started
from jeyn.workflows.argo.schedule import pause, remove, schedule_pipeline, schedules
from jeyn.workflows.argo.schema import check_manifests
from tests.kubectl import install
from tests.workflows.argo.plans import CODE, PLAN, operation, plan

NIGHTLY = plan(operation("a"))


@pytest.fixture
def cluster(tmp_path: Path) -> Kubernetes:
    install(tmp_path / "bin")
    return Kubernetes("default", str(tmp_path / "bin" / "kubectl"))


def manifests(code: str = CODE) -> list[dict[str, Any]]:
    return compile_plan(NIGHTLY, code=code, plan_id=PLAN, settings=ArgoSettings())


# What is applied.


def test_what_holds_already_is_not_applied_and_only_lines_that_change_are_shown(cluster: Kubernetes) -> None:
    first = apply(manifests(), cluster, dry_run=True)
    assert {each.what for each in first} == {"new"} and cluster.live(manifests()) == []
    assert [each.kind for each in apply(manifests(), cluster)] == [
        "ServiceAccount",
        "Role",
        "RoleBinding",
        "WorkflowTemplate",
    ]
    assert {each.what for each in apply(manifests(), cluster)} == {"same"}
    changes = apply(manifests("sha256:" + "9" * 64), cluster, dry_run=True)
    assert [each.what for each in changes] == ["same", "same", "same", "changed"]
    lines = [line for line in changes[-1].diff.splitlines() if line[0] in "+-"]
    assert len(lines) == 4 and lines[2].strip("- ") == f"value: {CODE}/{PLAN}"
    assert "managedFields" not in first[-1].diff and "uid" not in changes[-1].diff


def test_rights_of_others_are_left_alone(cluster: Kubernetes) -> None:
    apply(manifests(), cluster)
    calls: list[list[dict[str, Any]]] = []
    cluster.apply = lambda given, **_: calls.append(list(given)) or []  # type: ignore[method-assign,func-returns-value]
    apply(manifests(), cluster)
    assert [each["kind"] for each in calls[0]] == ["WorkflowTemplate"]


def test_a_schedule_needs_its_pipeline_and_stays_paused(cluster: Kubernetes) -> None:
    name = NIGHTLY.pipeline
    nights, settings = schedule("0 3 * * *", "Europe/Berlin"), ArgoSettings()
    with pytest.raises(errors.NotFound, match="is not deployed"):
        schedule_pipeline(NIGHTLY, name, nights, settings, cluster)
    cluster.apply([*manifests()[:-1], {**manifests()[-1], "metadata": {"name": name, "namespace": "default"}}])
    made = schedule_pipeline(NIGHTLY, name, nights, settings, cluster)
    assert (made.cron, made.timezone, made.concurrency, made.paused) == ("0 3 * * *", "Europe/Berlin", "forbid", False)
    assert pause(cluster, name).paused
    assert schedule_pipeline(NIGHTLY, name, schedule("@daily"), settings, cluster).paused
    assert not pause(cluster, name, paused=False).paused
    assert [each.cron for each in schedules(cluster)] == ["@daily"]
    assert remove(cluster, name).name == name and schedules(cluster) == []
    with pytest.raises(errors.NotFound, match="no schedule"):
        pause(cluster, name)


# What kubectl's words mean.


@pytest.mark.parametrize(
    ("said", "kind", "part"),
    [
        ('Error from server (Forbidden): pods is forbidden: User "few" cannot list', errors.NotAllowed, "few"),
        ("error: You must be logged in to the server (Unauthorized)", errors.NotAllowed, "logged in"),
        ("The connection to the server 1.2.3.4:6443 was refused", errors.Unreachable, "https://cluster.test"),
        ("Unable to connect to the server: dial tcp: lookup x: no such host", errors.Unreachable, "no such host"),
        ('error: Apply failed with 1 conflict: conflict with "x" using v1: .spec', errors.Conflict, ".spec"),
        ('Error from server (NotFound): namespaces "nowhere" not found', errors.NotFound, "nowhere"),
        ('error: the server doesn\'t have a resource type "cronworkflows"', errors.Incompatible, "cronworkflows"),
        ("Error in configuration: context was not found for specified context: no", errors.UsageError, "context"),
        ('E1121 08:04:42 memcache.go:265] "noise"\nerror: odd', errors.JeynError, "kubectl: odd"),
    ],
)
def test_errors_are_ours(tmp_path: Path, said: str, kind: type[errors.JeynError], part: str) -> None:
    program = tmp_path / "kubectl"
    program.write_text(
        f"#!{sys.executable}\nimport sys\n"
        "if 'config' in sys.argv: print('https://cluster.test'); sys.exit()\n"
        f"sys.exit({said!r})\n"
    )
    program.chmod(0o755)
    with pytest.raises(errors.JeynError) as caught:
        Kubernetes("default", str(program)).labelled("pods", {"a": "b"})
    assert type(caught.value) is kind and part in caught.value.message and caught.value.hint
    assert "memcache" not in caught.value.message


def test_kubectl_may_be_missing(tmp_path: Path) -> None:
    with pytest.raises(errors.NotFound, match="is not installed") as caught:
        Kubernetes("default", str(tmp_path / "kubectl")).find("pods", "x")
    assert "jeyn compile" in caught.value.hint


# Health.


@pytest.mark.parametrize("version", ["v3.7.16", "v3.7.18+unknown", "v4.0.7", "v4.1.2", "v5.0.0", "latest"])
def test_a_version_that_is_new_enough(version: str) -> None:
    check_argo(version)


@pytest.mark.parametrize("version", ["v3.5.4", "v3.7.15", "v4.0.6+x", "v2.12.0"])
def test_a_version_that_is_too_old(version: str) -> None:
    with pytest.raises(errors.Incompatible, match=r"needs v3\.7\.16 or v4\.0\.7"):
        check_argo(version)


def test_a_plan_without_a_fan_out_needs_less() -> None:
    mapped = plan(operation("each", mapped=("x",), inputs={"x": Constant(value=[])}))
    check_argo("v3.7.15", NIGHTLY)
    check_argo("v4.0.6", NIGHTLY)
    with pytest.raises(errors.Incompatible, match=r"Jeyn needs v3\.7\.0 or v4\.0\.0"):
        check_argo("v3.6.10", NIGHTLY)
    with pytest.raises(errors.Incompatible, match=r'the \.map\(\) of "each" needs v3\.7\.16 or v4\.0\.7'):
        check_argo("v3.7.15", mapped)


@pytest.mark.parametrize("sidecar", ["compiled", "none"])
def test_the_probe_is_a_workflow(sidecar: str) -> None:
    found = probe(ArgoSettings(sidecar=sidecar, image_pull_secrets=["mine"]), "jeyn-doctor-1")  # type: ignore[arg-type]
    check_manifests([found])
    assert len(found["spec"]["templates"]) == (3 if sidecar == "compiled" else 2)


class _Old(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps({"version": "v3.5.1"} if self.path.endswith("/version") else {"message": "nothing"}).encode()
        self.send_response(200 if self.path.endswith("/version") else 403)
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def old_server() -> Iterator[str]:
    """An Argo server of 2024 that allows nothing."""
    server = HTTPServer(("127.0.0.1", 0), _Old)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_the_doctor_names_what_is_old_missing_or_not_allowed(
    old_server: str, cluster: Kubernetes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{Path(cluster.program).parent}:{os.environ['PATH']}")
    found = {each.name: each for each in look(ArgoSettings(server=old_server))}
    assert isinstance(found["argo server"].error, errors.Incompatible)
    assert found["kubernetes"].error is None and found["permissions"].error is None
    assert found["secret"].error is None and found["secret"].cure  # a Secret need not be seen
    assert isinstance(found["pod"].error, errors.NotAllowed)
    (away, *_) = look(ArgoSettings(server="http://127.0.0.1:1"))
    assert isinstance(away.error, errors.Unreachable) and '"http://127.0.0.1:1"' in away.found


# Runs that nothing closes.


def pod(phase: str, minutes: float, **more: Any) -> dict[str, Any]:
    started = (datetime.now(UTC) - timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")
    given = {"parameters": [{"name": "operation", "value": "train"}, {"name": "item", "value": "3"}]}
    return {"type": "Pod", "phase": phase, "startedAt": started, "inputs": given, **more}


def workflow(*pods: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"creationTimestamp": pod("", 90)["startedAt"]}, "status": {"nodes": dict(enumerate(pods))}}


@pytest.mark.parametrize(
    "pods",
    [
        (pod("Running", 300), pod("Pending", 200)),  # it waits for a place
        (pod("Pending", 20),),
        (pod("Succeeded", 300),),  # between two operations
    ],
)
def test_a_workflow_on_its_way(pods: tuple[dict[str, Any], ...]) -> None:
    assert never_started(workflow(*pods), 3600) is None


def test_a_workflow_that_never_starts_says_why() -> None:
    late = never_started(workflow(pod("Succeeded", 90), pod("Pending", 61, message="ImagePullBackOff: no such")), 3600)
    assert late is not None and late[1] == "train[3]"
    assert "did not start within 3600 s: ImagePullBackOff: no such" in late[0].message
    unseen = never_started(workflow(), 3600)
    assert unseen is not None and unseen[1] == "" and "the workflow did not start" in unseen[0].message
