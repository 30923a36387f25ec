"""What `jeyn deploy` finds on the cluster of pipelines that their file no longer has: renamed or removed since."""

from __future__ import annotations

import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jeyn.errors import NotFound
from jeyn.workflows.argo.manifests import FUNCTION, MANAGED, project_label
from jeyn.workflows.argo.names import workflow_name
from jeyn.workflows.argo.schedule import KIND, TEMPLATE
from jeyn.workflows.load import pipelines_in

if TYPE_CHECKING:
    from jeyn.sdk.plan import Plan
    from jeyn.workflows.argo.kubernetes import Kubernetes, Manifest


@dataclass(frozen=True)
class Stale:
    """A WorkflowTemplate that no pipeline stands for any more, and the schedule that starts it, as they are."""

    template: Manifest
    schedule: Manifest | None

    @property
    def name(self) -> str:
        found: str = self.template["metadata"]["name"]
        return found

    @property
    def all(self) -> list[Manifest]:
        """What there is to remove, what starts the other first."""
        return [self.schedule, self.template] if self.schedule else [self.template]


def find_stale(plan: Plan, project: str, root: Path, cluster: Kubernetes) -> list[Stale]:
    """Those of the same project whose file is that of `plan` and has no such pipeline, or whose file is gone.

    A project without a name has none: nothing would tell its templates from others'.
    """
    module = plan.function.partition(":")[0]
    if not project or module not in sys.modules:
        return []
    known = {workflow_name(project, each.name) for each in pipelines_in(sys.modules[module]).values()}
    found = cluster.labelled(TEMPLATE, {**MANAGED, **project_label(project)})
    return [
        Stale(each, cluster.find(KIND, each["metadata"]["name"]))
        for each in found
        if each["metadata"]["name"] not in known and _is_gone(_module_of(each), module, root)
    ]


def remove_stale(found: list[Stale], cluster: Kubernetes) -> None:
    """Remove them. Their runs stay, also those under way."""
    for manifest in (each for some in found for each in some.all):
        with suppress(NotFound):
            cluster.delete(manifest["kind"], manifest["metadata"]["name"], orphan=True)


def _module_of(template: Manifest) -> str:
    return str((template["metadata"].get("annotations") or {}).get(FUNCTION, "")).partition(":")[0]


def _is_gone(module: str, deployed: str, root: Path) -> bool:
    place = root.joinpath(*module.split("."))
    return bool(module) and (
        module == deployed or not (place.with_suffix(".py").is_file() or (place / "__init__.py").is_file())
    )
