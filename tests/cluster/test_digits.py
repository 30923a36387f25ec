"""`examples/digits` on a real cluster, with its data in an object store: the same artefacts as on a laptop."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from jeyn.sdk.plan import Plan
from jeyn.workflows.create import plan_id
from tests.cluster.equipment import BUCKET, Cluster, Places, Servers
from tests.examples.project import ExampleProject

pytestmark = pytest.mark.cluster


class RemoteDigits(ExampleProject):
    """The example, whose new scans arrive in the object store."""

    def __init__(self, folder: Path, servers: Servers, places: Places) -> None:
        super().__init__("digits", folder)
        self.servers, self.places = servers, places
        settings = self.folder / "jeyn.yaml"
        settings.write_text(json.dumps(yaml.safe_load(settings.read_text()) | {"argo": places.argo}))
        self.environment |= places.environment

    def arrive(self, number: int = 1) -> str:
        told = self.call("env", "-u", "JEYN_DATA", "python", "arrive.py", str(number))
        prefix = self.places.environment["JEYN_DATA"].removeprefix(f"s3://{BUCKET}/")
        for file in sorted((self.folder / "data").rglob("*.parquet")):
            self.servers.s3.put(BUCKET, f"{prefix}/{file.relative_to(self.folder)}", file.read_bytes())
        return told


def plan_of(project: ExampleProject) -> str:
    with project.workspace() as workspace:
        return plan_id(Plan.from_json(workspace.runs.get("last").plan))


def test_digits_learns_on_the_cluster_what_it_learns_here(
    cluster: Cluster, servers: Servers, places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in places.environment.items():
        if name.startswith("JEYN_"):
            monkeypatch.setenv(name, value)
    there = RemoteDigits(tmp_path / "there", servers, places)
    there.arrive()
    first, again = there.run("--on", "argo"), there.run("--on", "argo")
    there.arrive(2)
    second = there.run("--on", "argo")
    blessed, plan = there.blessed("digit-reader"), plan_of(there)
    for name in places.environment:
        if name.startswith("JEYN_"):
            monkeypatch.delenv(name)
    here = ExampleProject("digits", tmp_path / "here")
    here.arrive()
    assert first.states == here.run().states
    assert again.states == here.run().states
    here.arrive(2)
    assert second.states == (local := here.run()).states
    assert blessed == here.blessed("digit-reader") == "checkpoint:digit-reader@0.2.0"
    assert local.ids.items() <= second.ids.items()
    assert second.ids.keys() - local.ids.keys() == {plan}  # pods find it in the store
