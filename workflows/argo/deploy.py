"""`jeyn deploy`: keeps a pipeline's code and plan, and brings its manifests to the cluster by server-side apply.

Applying the same again changes nothing, and fields that others set stay theirs. Going back is deploying an earlier
code package: its plan is recorded anew from the package, and gets the id it had.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

from jeyn.errors import NotAllowed, NotFound, Unreachable, UsageError
from jeyn.project_file import ArgoSettings, argo_settings
from jeyn.sdk.plan import Plan
from jeyn.settings import Settings
from jeyn.stores.code import code_id, code_payload, save_code
from jeyn.stores.workspace import Workspace
from jeyn.workflows.argo.compile import compile_plan, secrets_needed, to_yaml
from jeyn.workflows.argo.health import check_argo
from jeyn.workflows.argo.kubernetes import Kubernetes, Manifest
from jeyn.workflows.argo.service import Argo
from jeyn.workflows.argo.stale import Stale, find_stale, remove_stale
from jeyn.workflows.checks import check_for_argo
from jeyn.workflows.code.archive import unpack_code
from jeyn.workflows.create import keep_plan, packaged, plan_id
from jeyn.workflows.load import LoadedPipeline, load_pipeline
from jeyn.workflows.planning import Planned, raise_problems

TEMPLATE = "WorkflowTemplate"  # the rest is shared by pipelines, and often an administrator's to change
_OF_THE_SERVER = ("managedFields", "resourceVersion", "uid", "creationTimestamp", "generation", "selfLink")


@dataclass(frozen=True)
class Change:
    """What deploying does, or would do, to one object: "new", "changed", "same" or "removed", with the lines of it."""

    kind: str
    name: str
    what: str
    diff: str = ""


@dataclass(frozen=True)
class Deployment:
    """What came of it. `missing` are Secrets that the pods need and that are not there.

    `stale` are templates of pipelines that the file no longer has; with `prune` they are among the changes instead.
    """

    pipeline: str
    cluster: str
    namespace: str
    code: str
    plan: str
    applied: bool
    changes: tuple[Change, ...]
    missing: tuple[str, ...]
    stale: tuple[str, ...] = ()

    @property
    def diff(self) -> str:
        return "\n".join(each.diff for each in self.changes if each.diff)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def deploy(
    planned: Planned,
    workspace: Workspace,
    *,
    code: str | None = None,
    dry_run: bool = False,
    force: bool = False,
    prune: bool = False,
) -> Deployment:
    """Send a plan to the cluster; `code` is the package it was made from, where that is kept already.

    `prune` also removes what is there of pipelines that the file no longer has.

    Raises `Incompatible` for places that pods cannot reach and for an Argo that is too old, `NotAllowed`,
    `Unreachable`, `NotFound` without the namespace, `Conflict` where somebody else set one of the fields and `force`
    does not take them over.
    """
    if prune and code:
        raise UsageError("an earlier package knows no newer pipelines", hint="prune with the project at hand")
    if prune and not workspace.settings.name:
        raise UsageError(
            "the project has no name, so nothing tells which templates are its own", hint="write name: into jeyn.yaml"
        )
    plan = planned.plan
    raise_problems(replace(plan, problems=(*plan.problems, *check_for_argo(plan, workspace))))
    settings = argo_settings(workspace.settings.argo)
    cluster = Kubernetes(settings.namespace)
    _check_argo(settings, plan)
    name = workspace.settings.name
    stale = [] if code else _stale(planned, name, cluster, needed=prune)
    code, plan_key = _kept(planned, workspace, code, dry_run)
    manifests = compile_plan(plan, code=code, plan_id=plan_key, settings=settings, project=name)
    changes = apply(manifests, cluster, dry_run=dry_run, force=force)
    if prune:
        changes += [_change(_key(each), each, None) for found in stale for each in found.all]
        if not dry_run:
            remove_stale(stale, cluster)
    return Deployment(
        pipeline=plan.pipeline,
        cluster=cluster.address(),
        namespace=settings.namespace,
        code=code,
        plan=plan_key,
        applied=not dry_run,
        changes=tuple(changes),
        missing=_missing_secrets(cluster, secrets_needed(plan, settings)),
        stale=() if prune else tuple(each.name for each in stale),
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
    keys = [_key(each) for each in manifests]
    return [_change(key, live.get(key), after.get(key) or live.get(key)) for key in keys]


def _kept(planned: Planned, workspace: Workspace, code: str | None, dry_run: bool) -> tuple[str, str]:
    """The ids of code and plan, which are kept first: nothing on the cluster may name what is not there."""
    if dry_run:
        return code or code_id(packaged(workspace.settings, planned)), plan_id(planned.plan)
    return (
        _pinned(workspace, lambda: code or save_code(workspace, packaged(workspace.settings, planned)).id, planned),
        _pinned(workspace, lambda: keep_plan(workspace, planned.plan), planned),
    )


def _pinned(workspace: Workspace, keep: Callable[[], str], planned: Planned) -> str:
    """The id of what `keep` keeps, and no sweep takes: what is deployed has to be there when a schedule starts it."""
    id = keep()
    if [mark.present for mark in workspace.marks(id) if mark.kind == "pin"][-1:] == [True]:
        return id
    workspace.pin(id, reason=f'the pipeline "{planned.plan.pipeline}" is deployed with it')
    return keep()  # again, if a sweep came between the two


def _check_argo(settings: ArgoSettings, plan: Plan) -> None:
    """Only its server says which Argo it is; who deploys need not reach that."""
    with suppress(Unreachable, NotAllowed):
        check_argo(Argo(settings).version(), plan)


def _stale(planned: Planned, project: str, cluster: Kubernetes, *, needed: bool) -> list[Stale]:
    """Who may not look, and does not have to, is told nothing."""
    try:
        return find_stale(planned.plan, project, planned.root, cluster)
    except NotAllowed:
        if needed:
            raise
        return []


def _missing_secrets(cluster: Kubernetes, names: Mapping[str, Any]) -> tuple[str, ...]:
    """Who may not look is told nothing: the pods will say."""
    try:
        return tuple(name for name in names if cluster.keys_of_secret(name) is None)
    except NotAllowed:
        return ()


def _change(key: tuple[str, str], before: Manifest | None, after: Manifest | None) -> Change:
    was, now = _shown(before), _shown(after)
    if was == now:
        return Change(*key, "same")
    sides = f"{'/'.join(key)} on the cluster", f"{'/'.join(key)} here"
    lines = difflib.unified_diff(was.splitlines(), now.splitlines(), *sides, lineterm="")
    return Change(*key, "new" if before is None else "removed" if after is None else "changed", "\n".join(lines))


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
