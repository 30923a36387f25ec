"""Schedules on the cluster: CronWorkflows that start what is deployed, listed, paused, resumed and removed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from jeyn.errors import NotFound
from jeyn.workflows.argo.kubernetes import Kubernetes, Manifest

if TYPE_CHECKING:
    from jeyn.project_file import ArgoSettings
    from jeyn.sdk.plan import Plan
    from jeyn.workflows.argo.manifests import Schedule

KIND = "cronworkflows.argoproj.io"
TEMPLATE = "workflowtemplates.argoproj.io"
LABELS = {"app.kubernetes.io/managed-by": "jeyn"}


@dataclass(frozen=True)
class Scheduled:
    """A schedule as it is on the cluster; `last` is when it last started a run, `active` are the runs under way."""

    name: str
    pipeline: str
    cron: str
    timezone: str
    concurrency: str
    paused: bool
    last: str | None = None
    active: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def schedules(cluster: Kubernetes) -> list[Scheduled]:
    """All of them in the namespace, by name."""
    return sorted(map(_scheduled, cluster.labelled(KIND, LABELS)), key=lambda each: each.name)


def schedule_pipeline(
    plan: Plan, name: str, schedule: Schedule, settings: ArgoSettings, cluster: Kubernetes
) -> Scheduled:
    """Let a deployed pipeline, the WorkflowTemplate `name`, start by itself; a schedule that is paused stays so."""
    from jeyn.workflows.argo.manifests import cron_workflow
    from jeyn.workflows.argo.schema import check_manifests

    if cluster.find(TEMPLATE, name) is None:
        raise NotFound(
            f'the pipeline "{plan.pipeline}" is not deployed in the namespace "{cluster.namespace}"',
            hint="jeyn deploy sends it there; a schedule starts what is deployed",
        )
    there = cluster.find(KIND, name)
    schedule = replace(schedule, paused=bool(there and there["spec"].get("suspend")))
    manifest = cron_workflow(plan, name, schedule, settings)
    check_manifests([manifest])
    # All of it is ours: what `pause` wrote is no conflict.
    return _scheduled(cluster.apply([manifest], force=True)[0])


def pause(cluster: Kubernetes, name: str, *, paused: bool = True) -> Scheduled:
    """Keep it from starting runs, or let it again; a run that is under way goes on."""
    found = _found(cluster, name)
    return _scheduled(cluster.patch(KIND, found.name, {"spec": {"suspend": paused}}))


def remove(cluster: Kubernetes, name: str) -> Scheduled:
    """Take it away; its runs stay, also one that is under way."""
    found = _found(cluster, name)
    cluster.delete(KIND, found.name, orphan=True)
    return found


def _found(cluster: Kubernetes, name: str) -> Scheduled:
    """By its own name, or the pipeline's where that has one schedule."""
    known = schedules(cluster)
    fitting = [each for each in known if each.name == name] or [each for each in known if each.pipeline == name]
    if len(fitting) == 1:
        return fitting[0]
    raise NotFound(f'no schedule is called "{name}"', hint=_hint(known))


def _hint(known: Sequence[Scheduled]) -> str:
    names = ", ".join(each.name for each in known[:10])
    return f"there is {names}" if names else 'jeyn schedule PIPELINE --cron "0 3 * * *" makes one'


def _scheduled(found: Manifest) -> Scheduled:
    spec, status = found["spec"], found.get("status") or {}
    return Scheduled(
        name=found["metadata"]["name"],
        pipeline=(found["metadata"].get("annotations") or {}).get("workflows.argoproj.io/title", ""),
        cron=", ".join(spec.get("schedules") or [spec.get("schedule", "")]),
        timezone=spec.get("timezone") or "UTC",
        concurrency=(spec.get("concurrencyPolicy") or "Allow").lower(),
        paused=bool(spec.get("suspend")),
        last=status.get("lastScheduledTime"),
        active=tuple(each["name"] for each in status.get("active") or ()),
    )
