"""`jeyn schedule` on a real cluster: what is deployed starts by the clock, and each start is a run."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cluster.equipment import Cluster, RemoteProject, wait_until
from tests.cluster.test_deploy import FLOW, deploy, flow

__all__ = ["flow"]
pytestmark = pytest.mark.cluster


def test_a_schedule_starts_what_is_deployed_and_is_paused_resumed_and_removed(
    project: RemoteProject, cluster: Cluster, flow: str
) -> None:
    project.write(FLOW.replace("NAME", flow))

    def schedule(*arguments: str) -> tuple[int, dict[str, Any]]:
        return project.jeyn("schedule", *arguments, KUBECONFIG=str(cluster.kubeconfig))

    every_minute = ("pipeline.py", "--cron", "* * * * *", "--timezone", "Europe/Berlin")
    code, refused = schedule(*every_minute)
    assert (code, refused["error"]["code"]) == (3, "NOT_FOUND") and "jeyn deploy" in refused["error"]["hint"]
    assert deploy(project)[0] == 0
    code, made = schedule(*every_minute)
    assert code == 0, made
    assert made["data"] | {"last": None, "active": []} == {
        "name": f"tried-{flow}",
        "pipeline": flow,
        "cron": "* * * * *",
        "timezone": "Europe/Berlin",
        "concurrency": "forbid",
        "paused": False,
        "last": None,
        "active": [],
    }
    wait_until(lambda: [run for run in project.workspace.runs.list() if run.state == "succeeded"], 120)
    run = project.last()
    assert run.id.startswith(f"tried-{flow}-") and run.outputs == {"return": 2.0}

    assert schedule("pause", flow)[1]["data"]["paused"] is True
    assert schedule("add", *every_minute, "--concurrency", "replace")[1]["data"]["paused"] is True
    (listed,) = [each for each in schedule("ls")[1]["data"]["schedules"] if each["pipeline"] == flow]
    assert (listed["name"], listed["paused"], listed["concurrency"]) == (f"tried-{flow}", True, "replace")
    assert listed["last"] is not None
    assert schedule("resume", f"tried-{flow}")[1]["data"]["paused"] is False
    assert schedule("rm", f"tried-{flow}")[0] == 0
    assert flow not in str(schedule("ls")[1]["data"])
    cluster.kubectl("get", "workflow", run.id, "-n", cluster.namespace)  # it outlives its schedule
    code, refused = schedule("rm", f"tried-{flow}")
    assert (code, refused["error"]["code"]) == (3, "NOT_FOUND")
