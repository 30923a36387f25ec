"""What the cluster's tests share: one cluster and its servers for the session, and a project of its own for each test.

The cluster is ended with the session, unless JEYN_KEEP_CLUSTER is set.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.equipment import (
    Cluster,
    Places,
    RemoteProject,
    Servers,
    new_places,
    running_cluster,
    running_servers,
)

KEEP = "JEYN_KEEP_CLUSTER"
MakeProject = Callable[..., RemoteProject]


@pytest.fixture(scope="session")
def cluster(equipment: Path) -> Iterator[Cluster]:
    """A real Kubernetes with Argo Workflows, and the image of this checkout on it."""
    with running_cluster(equipment, keep=bool(os.environ.get(KEEP))) as found:
        yield found


@pytest.fixture(scope="session")
def servers(cluster: Cluster) -> Iterator[Servers]:
    """PostgreSQL and S3 on this host. Their keys are in the environment of the session, as on a person's machine."""
    with running_servers() as found, pytest.MonkeyPatch.context() as environment:
        for name, value in found.s3.environment.items():
            environment.setenv(name, value)
        yield found


@pytest.fixture
def places(cluster: Cluster, servers: Servers) -> Iterator[Places]:
    """An empty catalog, payload store and data root."""
    with new_places(cluster, servers) as found:
        yield found


@pytest.fixture
def make_project(cluster: Cluster, servers: Servers, tmp_path: Path) -> Iterator[MakeProject]:
    """Makes projects, each with places of its own; keywords are settings of `argo:`."""
    with ExitStack() as stack:

        def make(name: str = "project", **argo: Any) -> RemoteProject:
            project = RemoteProject(tmp_path / name, cluster, stack.enter_context(new_places(cluster, servers)), **argo)
            stack.callback(project.workspace.close)
            return project

        yield make


@pytest.fixture
def project(make_project: MakeProject) -> RemoteProject:
    return make_project()
