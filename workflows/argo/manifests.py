"""The Kubernetes objects around a plan's DAG: WorkflowTemplate, Workflow, CronWorkflow, and the rights that pods need.

https://argo-workflows.readthedocs.io/en/release-3.7/fields/ ·
https://argo-workflows.readthedocs.io/en/release-3.7/workflow-rbac/
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args
from zoneinfo import available_timezones

from hera.workflows import models as m

from jeyn.errors import UsageError
from jeyn.project_file import ArgoSettings
from jeyn.sdk.plan import Plan
from jeyn.workflows.argo.dag import dag
from jeyn.workflows.argo.names import label
from jeyn.workflows.argo.templates import FINISH, Templates, plain

BRACES = "{{"  # what Argo takes for a template, wherever in a workflow it is
API = "argoproj.io/v1alpha1"
MANAGED = {"app.kubernetes.io/managed-by": "jeyn"}
FUNCTION = "jeyn.dev/function"  # the annotation that says what was deployed: "module:qualname"
MISSED = 3600  # seconds: a start that was missed, as while the cluster was down, is caught up with for so long
_CODE = "workflow.parameters.package[7:23]"  # sixteen digits of the digest tell packages apart, and fit into a label


_NAMED = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
Concurrency = Literal["forbid", "allow", "replace"]


@dataclass(frozen=True)
class Schedule:
    """When a deployed pipeline runs by itself: a line of crontab in a time zone."""

    cron: str
    timezone: str = "UTC"
    concurrency: Concurrency = "forbid"
    paused: bool = False


def schedule(cron: str, timezone: str = "UTC", concurrency: str = "forbid", *, paused: bool = False) -> Schedule:
    """A schedule, checked. Raises `UsageError`."""
    fields = cron.split()
    if BRACES in cron or not (len(fields) == 5 or (len(fields) == 1 and cron in _NAMED) or fields[:1] == ["@every"]):
        hint = 'write five fields: minute, hour, day, month, weekday, as in "0 3 * * *"'
        raise UsageError(f'"{cron}" is no schedule', hint=hint)
    if timezone not in available_timezones():
        raise UsageError(f'no time zone is called "{timezone}"', hint='write one like "UTC" or "Europe/Berlin"')
    if concurrency not in get_args(Concurrency):
        raise UsageError(f'concurrency is "{concurrency}"', hint=f"use {', '.join(get_args(Concurrency))}")
    return Schedule(cron, timezone, cast(Concurrency, concurrency), paused)


def workflow_template(
    plan: Plan, name: str, spec: Mapping[str, Any], settings: ArgoSettings, project: str = ""
) -> dict[str, Any]:
    """What `jeyn deploy` applies: from it every run of the pipeline is submitted."""
    about = _about(plan, "") | ({FUNCTION: plan.function} if plan.function else {})
    metadata = _metadata(name, settings, _labels(plan) | project_label(project), about)
    return {"apiVersion": API, "kind": "WorkflowTemplate", "metadata": metadata, "spec": dict(spec)}


def workflow(plan: Plan, run: str, spec: Mapping[str, Any], settings: ArgoSettings) -> dict[str, Any]:
    """One run, called by the run's id: complete, so it needs no WorkflowTemplate on the cluster."""
    about = _about(plan, run, settings.link)
    own = {**spec, "workflowMetadata": {**spec["workflowMetadata"], "annotations": about}}
    metadata = _metadata(run, settings, _labels(plan), about)
    return {"apiVersion": API, "kind": "Workflow", "metadata": metadata, "spec": own}


def cron_workflow(plan: Plan, name: str, schedule: Schedule, settings: ArgoSettings) -> dict[str, Any]:
    """It only refers to the WorkflowTemplate, which stays the one place that says what is run."""
    spec = m.CronWorkflowSpec(
        schedules=[schedule.cron],
        timezone=schedule.timezone,
        concurrency_policy=schedule.concurrency.title(),
        starting_deadline_seconds=MISSED,
        suspend=schedule.paused,
        workflow_spec=m.WorkflowSpec(workflow_template_ref=m.WorkflowTemplateRef(name=name)),
    )
    metadata = _metadata(name, settings, _labels(plan), _about(plan, ""))
    return {"apiVersion": API, "kind": "CronWorkflow", "metadata": metadata, "spec": plain(spec)}


def rights(settings: ArgoSettings) -> list[dict[str, Any]]:
    """The account that pods run as; all that Argo's executor needs is to report what came of a pod."""
    name, namespace = settings.service_account, settings.namespace
    rule = {"apiGroups": ["argoproj.io"], "resources": ["workflowtaskresults"], "verbs": ["create", "patch"]}
    rbac = "rbac.authorization.k8s.io"
    metadata = _metadata(name, settings, MANAGED)
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata},
        {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": metadata, "rules": [rule]},
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": rbac, "kind": "Role", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
        },
    ]


def workflow_spec(plan: Plan, code: str, plan_id: str, settings: ArgoSettings, *, cache: bool = True) -> dict[str, Any]:
    """What runs: the DAG, its templates and the exit handler.

    The parameter `package` is the ids of code and plan, "CODE/PLAN": one line of YAML for whatever changed in them.
    """
    templates = Templates(settings)
    main = dag(plan, templates)
    parameters = {"cache": "on" if cache else "off", "package": f"{code}/{plan_id}"}
    spec = m.WorkflowSpec(
        entrypoint="main",
        on_exit=FINISH,
        arguments=m.Arguments(parameters=[m.Parameter(name=name, value=value) for name, value in parameters.items()]),
        service_account_name=settings.service_account,
        image_pull_secrets=[m.LocalObjectReference(name=each) for each in settings.image_pull_secrets] or None,
        parallelism=plan.parallelism,
        active_deadline_seconds=settings.deadline,
        pod_gc=m.PodGC(strategy="OnPodCompletion", delete_delay_duration=f"{settings.pod_ttl}s"),
        ttl_strategy=m.TTLStrategy(
            seconds_after_success=settings.keep_succeeded, seconds_after_failure=settings.keep_failed
        ),
        pod_metadata=m.Metadata(labels=_labels(plan)),
        workflow_metadata=m.WorkflowMetadata(
            annotations=_about(plan, ""),
            labels=_labels(plan),
            labels_from={
                "jeyn.dev/code": m.LabelValueFrom(expression=_CODE),
                "jeyn.dev/run": m.LabelValueFrom(expression="workflow.name"),
            },
        ),
    )
    return {**plain(spec), "templates": [plain(main), *templates.all, templates.finish(plan.on_exit)]}


def _metadata(
    name: str, settings: ArgoSettings, labels: Mapping[str, str], annotations: Mapping[str, str] | None = None
) -> dict[str, Any]:
    found = {"name": name, "namespace": settings.namespace, "labels": dict(labels)}
    return {**found, "annotations": dict(annotations)} if annotations else found


def project_label(project: str) -> dict[str, str]:
    """What tells a project's templates from those of others in the namespace."""
    return {"jeyn.dev/project": label(project)} if project else {}


def _labels(plan: Plan) -> dict[str, str]:
    return {**MANAGED, "jeyn.dev/pipeline": label(plan.pipeline)}


def _about(plan: Plan, run: str, link: str | None = None) -> dict[str, str]:
    """What Argo's page shows of a workflow: a title, and where the run is told in full."""
    how = f"`jeyn runs {run}`" if run else "`jeyn runs` and the name of this workflow"
    more = f"{how} shows the run" + (f": {link.replace('{run}', run)}" if link and run else "")
    description = f"{plan.description}\n{more}" if plan.description else more
    return {
        "workflows.argoproj.io/title": _told(plan.pipeline),
        "workflows.argoproj.io/description": _told(description),
    }


def _told(text: str) -> str:
    """A text for people, in which Argo finds nothing to fill in."""
    while BRACES in text:
        text = text.replace(BRACES, "{ {")
    return text
