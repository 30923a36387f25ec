"""`jeyn run --on argo` on a real cluster: what a person sees, and what is left in the catalog and on Argo's page."""

from __future__ import annotations

import pytest

from tests.cluster.equipment import RemoteProject

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
    return scale(number(value))
"""


def test_a_run_ends_as_locally(project: RemoteProject) -> None:
    project.write(FLOW)
    code, document = project.on_argo("--set", "value=3")
    assert code == 0, document["error"]["message"]
    assert document["data"]["state"] == "succeeded"
    assert document["data"]["outputs"] == {"return": "30.0"}
    assert [each["state"] for each in document["data"]["operations"]] == ["succeeded", "succeeded"]
    assert project.last().logs("number") == "here it is: 3.0\n"
