"""The conformance suite with real pods: `jeyn run --on argo` gives the states, ids and exit codes of the local engine.

A few runs are on the cluster at a time; each has a catalog of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from jeyn.workflows.run import Run
from tests.cluster.equipment import Cluster, RemoteProject, Servers, new_places
from tests.workflows.conformance.cases import CASES, Case
from tests.workflows.conformance.engines import LocalRuns, Outcome, outcome
from tests.workflows.conformance.test_conformance import as_expected, carried_out

pytestmark = pytest.mark.cluster

AT_ONCE = 4


class ClusterRuns:
    """The command line, and pods."""

    def __init__(self, project: RemoteProject) -> None:
        self.project = project

    def run(self, source: str, *, data: bool = False, arguments: Mapping[str, Any] | None = None) -> Outcome:
        self.project.write(source, data=data)
        given = [f"--set={name}={value}" for name, value in (arguments or {}).items()]
        code, document = self.project.jeyn("run", "pipeline.py:flow", "--on", "argo", *given, seconds=1200)
        found = outcome(Run(self.project.workspace, self.project.last().id))
        assert code == found.exit_code, document["error"]
        return found


@pytest.fixture(scope="module")
def on_cluster(
    request: pytest.FixtureRequest, cluster: Cluster, servers: Servers, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[str, Future[Outcome]]]:
    """What comes of each case that was asked for; all are on their way at once."""
    asked = [item.callspec.params["case"] for item in request.session.items if "on_cluster" in item.fixturenames]
    top = tmp_path_factory.mktemp("cluster")

    def run(number: int, case: Case) -> Outcome:
        with new_places(cluster, servers) as places:
            project = RemoteProject(top / str(number), cluster, places)
            with closing(project.workspace):
                return carried_out(case, ClusterRuns(project))

    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {case.name: pool.submit(run, number, case) for number, case in enumerate(asked)}
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_cluster(case: Case, on_cluster: Mapping[str, Future[Outcome]], tmp_path: Path) -> None:
    found = on_cluster[case.name].result()
    as_expected(case, found)
    assert found.ids == carried_out(case, LocalRuns(tmp_path)).ids
