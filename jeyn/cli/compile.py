"""`jeyn compile`: what a pipeline is on Argo Workflows, as YAML on stdout; nothing is asked, sent or kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from jeyn.cli.output import Result, command
from jeyn.cli.plan import planned
from jeyn.cli.target import SET, targets, users_code
from jeyn.errors import UsageError

if TYPE_CHECKING:
    from jeyn.settings import Settings
    from jeyn.workflows.argo.manifests import Schedule
    from jeyn.workflows.planning import Planned


@command("compile")
@click.argument("target", shell_complete=targets)
@SET
@click.option("--cron", metavar="LINE", help='Also a schedule, as "0 3 * * *".')
@click.option("--timezone", default="UTC", show_default=True, metavar="ZONE", help="The time zone of the schedule.")
@click.option(
    "--concurrency",
    type=click.Choice(["forbid", "allow", "replace"]),
    default="forbid",
    show_default=True,
    help="What a start does while the run before it is not over.",
)
def compile_(target: str, given: tuple[str, ...], cron: str | None, timezone: str, concurrency: str) -> Result:
    """Print every manifest that TARGET needs on Argo Workflows, the same bytes each time, held to Argo's schema.

    No network is needed. The Secrets that must be there are named at the top.
    """
    from jeyn.workflows.planning import raise_problems

    with users_code(), planned(target, given, offline=True) as (found, workspace):
        raise_problems(found.plan)
        return _compiled(found, workspace.settings, (cron, timezone, concurrency))


def _compiled(found: Planned, settings: Settings, schedule: tuple[str | None, str, str]) -> Result:
    from jeyn.project_file import argo_settings
    from jeyn.stores.code import code_id
    from jeyn.workflows.create import packaged, plan_id

    try:
        from jeyn.workflows.argo.compile import compile_plan, secrets_needed, to_yaml
    except ModuleNotFoundError as exc:
        raise UsageError(f'"{exc.name}" is not installed', hint="pip install 'jeyn[argo]'") from exc
    argo, code = argo_settings(settings.argo), code_id(packaged(settings, found))
    manifests = compile_plan(
        found.plan,
        code=code,
        plan_id=plan_id(found.plan),
        settings=argo,
        project=settings.name,
        schedule=_schedule(*schedule),
    )
    secrets = secrets_needed(found.plan, argo)
    data = {"code": code, "plan": plan_id(found.plan), "manifests": manifests, "secrets": secrets}
    return Result(data, lambda: to_yaml(manifests, secrets).rstrip("\n"))


def _schedule(cron: str | None, timezone: str, concurrency: str) -> Schedule | None:
    if cron is None:
        return None
    from jeyn.workflows.argo.manifests import schedule

    return schedule(cron, timezone, concurrency)
