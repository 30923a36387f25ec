"""`jeyn schedule`: when deployed pipelines start by themselves. `jeyn schedule nightly --cron …` is short for `add`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from jeyn.cli.deploy import need_argo
from jeyn.cli.output import Result, columns, command
from jeyn.cli.plan import planned
from jeyn.cli.target import targets, users_code
from jeyn.cli.tree import Entry, LazyGroup
from jeyn.cli.workspace import settings

if TYPE_CHECKING:
    from jeyn.project_file import ArgoSettings
    from jeyn.workflows.argo.kubernetes import Kubernetes
    from jeyn.workflows.argo.schedule import Scheduled

LEAVES = {
    "add": Entry(__name__, "add", "Start a deployed pipeline by the clock; the word add may be left out."),
    "ls": Entry(__name__, "ls", "List the schedules of the namespace."),
    "pause": Entry(__name__, "pause", "Start nothing until it is resumed."),
    "resume": Entry(__name__, "resume", "Go on with a schedule that was paused."),
    "rm": Entry(__name__, "rm", "Remove a schedule; its runs stay."),
}
HEAD = ("SCHEDULE", "CRON", "TIMEZONE", "CONCURRENCY", "STATE", "LAST START")


class _Schedule(LazyGroup):
    """A pipeline may stand where a command does: `jeyn schedule nightly --cron "0 3 * * *"`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and not args[0].startswith("-") and args[0] not in self.entries and len(args) > 1:
            args = ["add", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_Schedule, entries=LEAVES)
def schedule() -> None:
    """Start deployed pipelines by the clock: jeyn schedule nightly --cron "0 3 * * *"."""


@command()
@click.argument("target", shell_complete=targets)
@click.option("--cron", required=True, metavar="LINE", help='When: minute, hour, day, month, weekday, as "0 3 * * *".')
@click.option("--timezone", default="UTC", show_default=True, metavar="ZONE", help="Where it is that time.")
@click.option(
    "--concurrency",
    type=click.Choice(["forbid", "allow", "replace"]),
    default="forbid",
    show_default=True,
    help="What a start does while the run before it is not over.",
)
def add(target: str, cron: str, timezone: str, concurrency: str) -> Result:
    """Start the deployed pipeline TARGET at the times that LINE says; given again, it changes them."""
    need_argo()
    from jeyn.workflows.argo.manifests import schedule
    from jeyn.workflows.argo.names import workflow_name
    from jeyn.workflows.argo.schedule import schedule_pipeline

    wanted = schedule(cron, timezone, concurrency)
    with users_code(), planned(target, (), offline=True) as (found, workspace):
        argo, cluster = _cluster()
        name = workflow_name(workspace.settings.name, found.plan.pipeline)
        made = schedule_pipeline(found.plan, name, wanted, argo, cluster)
    return Result(made.to_json(), f"{_line(made)}{', and is paused' if made.paused else ''}")


@command()
def ls() -> Result:
    """List the schedules in the namespace, and when each last started a run."""
    from jeyn.workflows.argo.schedule import schedules

    argo, cluster = _cluster()
    found = schedules(cluster)
    rows = [
        (each.name, each.cron, each.timezone, each.concurrency, _state(each), each.last or "never") for each in found
    ]
    data = {"namespace": argo.namespace, "schedules": [each.to_json() for each in found]}
    none = f'no schedule is in the namespace "{argo.namespace}"; jeyn schedule PIPELINE --cron LINE makes one'
    return Result(data, columns(rows, HEAD) if rows else none)


@command()
@click.argument("name")
def pause(name: str) -> Result:
    """Let the schedule NAME start nothing until it is resumed; a run that is under way goes on."""
    from jeyn.workflows.argo.schedule import pause

    found = pause(_cluster()[1], name)
    return Result(found.to_json(), f"{found.name} is paused; jeyn schedule resume {found.name} goes on")


@command()
@click.argument("name")
def resume(name: str) -> Result:
    """Let the schedule NAME start runs again."""
    from jeyn.workflows.argo.schedule import pause

    found = pause(_cluster()[1], name, paused=False)
    return Result(found.to_json(), _line(found))


@command()
@click.argument("name")
def rm(name: str) -> Result:
    """Remove the schedule NAME. Its runs stay, and what it was is printed."""
    from jeyn.workflows.argo.schedule import remove

    found = remove(_cluster()[1], name)
    again = f'jeyn schedule {found.pipeline} --cron "{found.cron}" --timezone {found.timezone}'
    return Result(found.to_json(), f"{found.name} is removed; again: {again} --concurrency {found.concurrency}")


def _cluster() -> tuple[ArgoSettings, Kubernetes]:
    from jeyn.project_file import argo_settings
    from jeyn.workflows.argo.kubernetes import Kubernetes

    found = argo_settings(settings().argo)
    return found, Kubernetes(found.namespace)


def _line(found: Scheduled) -> str:
    return f'{found.name} starts at "{found.cron}" {found.timezone}'


def _state(found: Scheduled) -> str:
    return "paused" if found.paused else f"{len(found.active)} running" if found.active else "waiting"
