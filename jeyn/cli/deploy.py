"""`jeyn deploy`: sends a pipeline to the cluster, where schedules start it; `--dry-run` shows what would change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from jeyn.cli.output import Result, columns, command, say
from jeyn.cli.plan import planned
from jeyn.cli.target import SET, parameters, project, targets, users_code
from jeyn.errors import UsageError

if TYPE_CHECKING:
    from jeyn.stores.workspace import Workspace
    from jeyn.workflows.argo.deploy import Deployment
    from jeyn.workflows.planning import Planned


@command()
@click.argument("target", shell_complete=targets)
@SET
@click.option("--dry-run", is_flag=True, help="Only show what would change on the cluster, line by line.")
@click.option("--code", metavar="ID", help="Go back to an earlier code package, as jeyn runs RUN names it.")
@click.option("--force", is_flag=True, help="Take over fields that others set.")
@click.option("--prune", is_flag=True, help="Remove what is there of pipelines that the file no longer has.")
def deploy(target: str, given: tuple[str, ...], dry_run: bool, code: str | None, force: bool, prune: bool) -> Result:
    """Send TARGET to Argo Workflows: its code and plan into the stores, its manifests to Kubernetes by kubectl.

    What a schedule starts is what was deployed last. Nothing is built, and nothing is started.
    """
    need_argo()
    with users_code(), _planned(target, given, code) as (found, workspace, kept):
        from jeyn.workflows.argo.deploy import deploy

        return _said(deploy(found, workspace, code=kept, dry_run=dry_run, force=force, prune=prune))


def need_argo() -> None:
    """Raise `UsageError` where what compiles is not installed."""
    from importlib.util import find_spec

    for module in ("hera", "jsonschema"):
        if find_spec(module) is None:
            raise UsageError(f'"{module}" is not installed', hint="pip install 'jeyn[argo]'")


@contextmanager
def _planned(target: str, given: Sequence[str], code: str | None) -> Iterator[tuple[Planned, Workspace, str | None]]:
    """The plan of the project at hand, or of an earlier code package."""
    if code is None:
        with planned(target, tuple(given)) as (found, workspace):
            yield found, workspace, None
        return
    from jeyn.workflows.argo.deploy import earlier
    from jeyn.workflows.planning import make_plan

    with project() as here, earlier(here, code, target) as (loaded, there, kept):
        arguments = loaded.pipeline.arguments_from(parameters(given))
        yield make_plan(loaded.pipeline, arguments, root=loaded.root, workspace=there), there, kept


def _said(done: Deployment) -> Result:
    for name in done.missing:
        say(f'warning: there is no Secret "{name}" in the namespace "{done.namespace}" yet, and its pods wait for it')
    if done.stale:
        names = ", ".join(done.stale)
        say(f"warning: the file no longer has the pipelines of {names}; --prune removes them with their schedules")
    return Result(done.to_json() | {"diff": done.diff}, _table(done) if done.applied else _dry(done))


def _dry(done: Deployment) -> str:
    return done.diff or f"nothing would change in {done.namespace} on {done.cluster}"


def _table(done: Deployment) -> str:
    rows = [(each.kind, each.name, each.what) for each in done.changes]
    what = "is deployed" if any(each.what != "same" for each in done.changes) else "was deployed already"
    return f"{columns(rows)}\n{done.pipeline} {what} in {done.namespace} on {done.cluster}, code {done.code[:19]}"
