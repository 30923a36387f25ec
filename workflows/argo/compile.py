"""From a plan to Argo's manifests: a pure function, typed Hera objects until the end, then YAML byte for byte the same.

plan → templates and DAG → manifests (plain data) → held to Argo's schema and to etcd's size → YAML
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml

from jeyn.errors import UsageError
from jeyn.project_file import ArgoSettings
from jeyn.sdk.plan import Plan, plain_data
from jeyn.workflows.argo.manifests import (
    BRACES,
    MANAGED,
    Schedule,
    cron_workflow,
    rights,
    workflow,
    workflow_spec,
    workflow_template,
)
from jeyn.workflows.argo.names import workflow_name
from jeyn.workflows.argo.schema import check_manifests
from jeyn.workflows.argo.sidecar import components_map
from jeyn.workflows.argo.templates import secrets_of

MAX_MANIFEST = 1024 * 1024  # bytes of JSON: what etcd keeps of one object is little more
Manifest = dict[str, Any]


def compile_plan(
    plan: Plan,
    *,
    code: str,
    plan_id: str,
    settings: ArgoSettings,
    project: str = "",
    schedule: Schedule | None = None,
) -> list[Manifest]:
    """Everything that must be on the cluster for a pipeline to run there, checked, but for the Secrets it names.

    `code` and `plan_id` are artefact ids; `project` keeps the pipelines of several projects apart. Raises `UsageError`
    for what Argo cannot take, `Invalid` where its schema says so.
    """
    found = build(plan, code=code, plan_id=plan_id, settings=settings, project=project, schedule=schedule)
    check_manifests(found)
    return found


def compile_workflow(
    plan: Plan, *, run: str, code: str, plan_id: str, settings: ArgoSettings, cache: bool = True
) -> Manifest:
    """One run as a Workflow of the run's id, checked: what `jeyn run --on argo` submits."""
    _check(plan, settings)
    found = workflow(plan, run, workflow_spec(plan, code, plan_id, settings, cache=cache), settings)
    _check_size(plan, found)
    check_manifests([found])
    return found


def build(
    plan: Plan,
    *,
    code: str,
    plan_id: str,
    settings: ArgoSettings,
    project: str = "",
    schedule: Schedule | None = None,
) -> list[Manifest]:
    """`compile_plan` without the schema."""
    _check(plan, settings)
    name = workflow_name(project, plan.pipeline)
    template = workflow_template(plan, name, workflow_spec(plan, code, plan_id, settings), settings, project)
    _check_size(plan, template)
    found = [*rights(settings), template]
    if any(each.options.sidecar for each in plan.all_operations):
        found.insert(0, components_map(settings.namespace, dict(MANAGED)))
    if schedule:
        found.append(cron_workflow(plan, name, schedule, settings))
    return found


def secrets_needed(plan: Plan, settings: ArgoSettings) -> dict[str, list[str]]:
    """The Kubernetes Secrets that must be there, and the keys that operations take; all of the first one is taken."""
    found: dict[str, list[str]] = {settings.secret: []}
    for name, key in secrets_of(plan.all_operations):
        found.setdefault(name, []).append(key)
    return found


def to_yaml(manifests: Sequence[Manifest], secrets: Mapping[str, Iterable[str]] | None = None) -> str:
    """One document for each manifest, keys sorted; what must be there besides them is said in comments at the top."""
    notes = "".join(f"# {line}\n" for line in _notes(secrets or {}))
    return notes + "".join(f"---\n{_document(each)}" for each in manifests)


def _document(manifest: Manifest) -> str:
    found: str = yaml.dump(
        manifest, Dumper=_Dumper, default_flow_style=False, sort_keys=True, allow_unicode=True, width=2**30
    )
    return found


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Its own representers: Hera changes those of PyYAML when it is imported."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    # Lone letters are truth values to YAML 1.1, which Kubernetes reads.
    style = "|" if "\n" in text else "'" if text in ("y", "Y", "n", "N") else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def _notes(secrets: Mapping[str, Iterable[str]]) -> list[str]:
    lines = []
    for place, (name, keys) in enumerate(secrets.items()):
        what = ["the environment of every pod: JEYN_CATALOG, JEYN_PAYLOADS and credentials"] if not place else []
        what += [f'"{key}"' for key in keys]
        lines.append(f'The Secret "{name}" must be there, with {", ".join(what)}.')
    return lines


def _check(plan: Plan, settings: ArgoSettings) -> None:
    if not plan.operations:
        raise UsageError(f'the pipeline "{plan.pipeline}" has no operations', hint="Argo runs at least one")
    for operation in plan.all_operations:
        if BRACES in operation.name:
            raise UsageError(
                f'"{operation.name}" cannot name an operation on Argo, which fills in what is in double braces',
                hint='rename it with name="…"',
            )
        _refuse_braces(plain_data(operation.options), f'of the operation "{operation.name}"')
        _refuse_braces(secrets_of([operation]), f'of a secret of the operation "{operation.name}"')
    # A link is escaped, as texts for people are.
    _refuse_braces(settings.model_dump(exclude={"link"}), "in argo: of jeyn.yaml")


def _refuse_braces(data: Any, where: str, path: str = "") -> None:
    """What is given to Kubernetes as it is must not be a template to Argo, which would fill in something else."""
    if isinstance(data, str) and BRACES in data:
        raise UsageError(
            f'{path or "a name"} {where} is "{data}", and Argo fills in what is in double braces',
            hint="write the value itself: Python can put it together before",
        )
    pairs = data.items() if isinstance(data, Mapping) else enumerate(data) if isinstance(data, list | tuple) else ()
    for key, each in pairs:
        _refuse_braces(key, where, path)
        _refuse_braces(each, where, f"{path}.{key}".lstrip("."))


def _check_size(plan: Plan, manifest: Manifest) -> None:
    size = len(json.dumps(manifest, ensure_ascii=False).encode())
    if size > MAX_MANIFEST:
        raise UsageError(
            f'"{plan.pipeline}" with {len(plan.operations)} operations compiles to {size} bytes, and Kubernetes keeps '
            f"objects of at most {MAX_MANIFEST}",
            hint="use one operation with .map(...) in place of many calls, or several pipelines",
        )
