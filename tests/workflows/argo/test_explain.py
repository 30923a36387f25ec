"""`--explain-cache` on a cluster: why an operation ran is told from the rows that its pod left."""

from __future__ import annotations

from pathlib import Path

from jeyn.sdk.plan import Plan
from jeyn.workflows.argo.watcher import Watcher
from jeyn.workflows.run import Run
from jeyn.workflows.watch import Event, OperationChanged
from tests.workflows.argo.pods import Zygotes
from tests.workflows.argo.world import interpreted, places
from tests.workflows.projects import Project

SOURCE = """
@operation
def numbers(count: int = 2) -> list:
    return list(range(count))

@operation
def double(number: int) -> int:
    return number * 2

@operation(cache=False)
def total(numbers: list) -> int:
    return sum(numbers)

@pipeline
def flow():
    return total(double.map(number=numbers()))
"""


def test_a_run_on_the_cluster_says_why_as_the_local_one(tmp_path: Path, pods: Zygotes) -> None:
    on_argo, here = (Project(tmp_path / name) for name in ("argo", "local"))

    def run(text: str) -> tuple[dict[str, tuple[str, str]], dict[str, tuple[str, str]]]:
        for project in (on_argo, here):
            project.write(text)
        where = places(on_argo.workspace)
        ran, _ = interpreted(on_argo, tmp_path, lambda command: pods.run(command, where))
        seen: list[Event] = []
        here.run("flow", watch=seen.append, explain=True).check()
        return told(ran.check()), reasons(seen)

    def told(ran: Run) -> dict[str, tuple[str, str]]:
        seen: list[Event] = []
        plan = Plan.from_json(str(ran.row.plan))
        Watcher(on_argo.workspace, ran.row, plan, seen.append, explain=True).look()
        return reasons(seen)

    first, locally = run(SOURCE)
    assert first["numbers"] == ("succeeded", "it has not run before")
    # One after the other, or at once: what an item finds of its neighbours differs.
    assert without_items(first) == without_items(locally)

    second, locally = run(SOURCE.replace("number * 2", "2 * number"))
    assert second["numbers"] == ("cached", "")
    assert second["double[0]"] == ("succeeded", "code changed: pipeline.py:double")
    assert second["total"] == ("succeeded", "the cache is off for it")
    assert without_items(second) == without_items(locally)

    third, _ = run(SOURCE.replace("number * 2", "2 * number").replace("numbers()", "numbers(3)"))
    assert third["numbers"] == ("succeeded", 'input "count" was 2, is 3')
    assert [third[f"double[{at}]"][0] for at in range(3)] == ["cached", "cached", "succeeded"]


def reasons(seen: list[Event]) -> dict[str, tuple[str, str]]:
    changed = [event for event in seen if isinstance(event, OperationChanged)]
    found: dict[str, tuple[str, str]] = {}
    for event in changed:
        found[event.operation] = (event.state, event.reason or found.get(event.operation, ("", ""))[1])
    return found


def without_items(found: dict[str, tuple[str, str]]) -> dict[str, tuple[str, str]]:
    return {name: said for name, said in found.items() if "[" not in name}
