"""`jeyn deploy`: keeps a pipeline's code and plan, and brings its manifests to the cluster by server-side apply.

Applying the same again changes nothing, and fields that others set stay theirs. Going back is deploying an earlier
code package: its plan is recorded anew from the package, and gets the id it had.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

from jeyn.errors import NotAllowed, NotFound, Unreachable
from jeyn.project_file import ArgoSettings, argo_settings
from jeyn.settings import Settings
from jeyn.stores.code import code_id, code_payload, save_code
from jeyn.stores.workspace import Workspace
from jeyn.workflows.argo.compile import compile_plan, secrets_needed, to_yaml
from jeyn.workflows.argo.health import check_argo
from jeyn.workflows.argo.kubernetes import Kubernetes, Manifest
from jeyn.workflows.argo.service import Argo
from jeyn.workflows.checks import check_for_argo
from jeyn.workflows.code.archive import unpack_code
from jeyn.workflows.create import keep_plan, packaged, plan_id
from jeyn.workflows.load import LoadedPipeline, load_pipeline
from jeyn.workflows.planning import Planned, raise_problems

TEMPLATE = "WorkflowTemplate"  # the rest is shared by pipelines, and often an administrator's to change
_OF_THE_SERVER = ("managedFields", "resourceVersion", "uid", "creationTimestamp", "generation", "selfLink")


@dataclass(frozen=True)
class Change:
    """What applying does, or would do, to one object: "new", "changed" or "same", with the lines that differ."""

    kind: str
    name: str
    what: str
    diff: str = ""


@dataclass(frozen=True)
class Deployment:
    """What came of it. `missing` are Secrets that the pods need and that are not there."""

    pipeline: str
    cluster: str
    namespace: str
    code: str
    plan: str
    applied: bool
    changes: tuple[Change, ...]
    missing: tuple[str, ...]

    @property
    def diff(self) -> str:
        return "\n".join(each.diff for each in self.changes if each.diff)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def deploy(
    planned: Planned, workspace: Workspace, *, code: str | None = None, dry_run: bool = False, force: bool = False
) -> Deployment:
    """Send a plan to the cluster; `code` is the package it was made from, where that is kept already.

    Raises `Incompatible` for places that pods cannot reach and for an Argo that is too old, `NotAllowed`,
    `Unreachable`, `NotFound` without the namespace, `Conflict` where somebody else set one of the fields and `force`
    does not take them over.
    """
    plan = planned.plan
    raise_problems(plan.model_copy(update={"problems": (*plan.problems, *check_for_argo(plan, workspace))}))
    settings = argo_settings(workspace.settings.argo)
    cluster = Kubernetes(settings.namespace)
    _check_argo(settings)
    code, plan_key = _kept(planned, workspace, code, dry_run)
    name = workspace.settings.name
    manifests = compile_plan(plan, code=code, plan_id=plan_key, settings=settings, project=name)
    return Deployment(
        pipeline=plan.pipeline,
        cluster=cluster.address(),
        namespace=settings.namespace,
        code=code,
        plan=plan_key,
        applied=not dry_run,
        changes=tuple(apply(manifests, cluster, dry_run=dry_run, force=force)),
        missing=_missing_secrets(cluster, secrets_needed(plan, settings)),
    )


@contextmanager
def earlier(workspace: Workspace, code: str, target: str) -> Iterator[tuple[LoadedPipeline, Workspace, str]]:
    """A target as it was in the code package that `code` means: the pipeline, a workspace for it, the package's id.

    Options of operations are those of the package's own jeyn.yaml; all places are those of `workspace`.
    """
    row = workspace.row(code)
    if row.type != "code":
        raise NotFound(f'"{code}" is no code package, but a {row.type}', hint="jeyn runs RUN names the code of a run")
    digest, package = code_payload(workspace, row.id)
    root = unpack_code(package, digest, workspace.settings.home / "code")
    then = Settings.load(root, home=workspace.settings.home)
    with chdir(root), Workspace(replace(workspace.settings, root=root, operations=then.operations)) as there:
        yield load_pipeline(target, root=root), there, row.id


def apply(
    manifests: Sequence[Manifest], cluster: Kubernetes, *, dry_run: bool = False, force: bool = False
) -> list[Change]:
    """Apply the manifests, those that hold already left out; gives what changes, in their order."""
    live = {_key(each): each for each in cluster.live(manifests)}
    needed = [each for each in manifests if each["kind"] == TEMPLATE or not _holds(live.get(_key(each)), each)]
    after = {_key(each): each for each in cluster.apply(needed, dry_run=dry_run, force=force)}
    return [_change(_key(each), live.get(_key(each)), after.get(_key(each))) for each in manifests]


def _kept(planned: Planned, workspace: Workspace, code: str | None, dry_run: bool) -> tuple[str, str]:
    """The ids of code and plan, which are kept first: nothing on the cluster may name what is not there."""
    if dry_run:
        return code or code_id(packaged(workspace.settings, planned)), plan_id(planned.plan)
    kept = code or save_code(workspace, packaged(workspace.settings, planned)).id
    return kept, keep_plan(workspace, planned.plan)


def _check_argo(settings: ArgoSettings) -> None:
    """Only its server says which Argo it is; who deploys need not reach that."""
    with suppress(Unreachable, NotAllowed):
        check_argo(Argo(settings).version())


def _missing_secrets(cluster: Kubernetes, names: Mapping[str, Any]) -> tuple[str, ...]:
    """Who may not look is told nothing: the pods will say."""
    try:
        return tuple(name for name in names if cluster.keys_of_secret(name) is None)
    except NotAllowed:
        return ()


def _change(key: tuple[str, str], before: Manifest | None, after: Manifest | None) -> Change:
    was, now = _shown(before), _shown(after or before)
    if was == now:
        return Change(*key, "same")
    sides = f"{'/'.join(key)} on the cluster", f"{'/'.join(key)} here"
    lines = difflib.unified_diff(was.splitlines(), now.splitlines(), *sides, lineterm="")
    return Change(*key, "changed" if before else "new", "\n".join(lines))


def _holds(live: Any, given: Any) -> bool:
    """Whether all that is given is there; there may be more."""
    if isinstance(given, Mapping):
        return isinstance(live, Mapping) and all(_holds(live.get(key), each) for key, each in given.items())
    return bool(live == given)


def _shown(found: Manifest | None) -> str:
    """As YAML, without what the server keeps for itself: both sides come from it, so only what changes differs."""
    if found is None:
        return ""
    metadata = {key: value for key, value in found["metadata"].items() if key not in _OF_THE_SERVER}
    rest = {key: value for key, value in found.items() if key not in ("status", "metadata")}
    return to_yaml([{**rest, "metadata": metadata}]).removeprefix("---\n")


def _key(manifest: Manifest) -> tuple[str, str]:
    return manifest["kind"], manifest["metadata"]["name"]
