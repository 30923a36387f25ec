"""`jeyn`, the command line: the table of commands and the options of all of them. Nothing heavy is imported here."""

from __future__ import annotations

import click

from jeyn.cli.output import Asked
from jeyn.cli.tree import Entry, Root

COMMANDS = {
    "new": Entry("jeyn.cli.new", "new", "Make a project that runs at once."),
    "run": Entry("jeyn.cli.run", "run", "Run a pipeline, or go on with a run that stopped."),
    "plan": Entry("jeyn.cli.plan", "plan", "Show what a run would do and why, and what is wrong with it."),
    "compile": Entry("jeyn.cli.compile", "compile_", "Print what a pipeline is on Argo Workflows, as YAML."),
    "deploy": Entry("jeyn.cli.deploy", "deploy", "Send a pipeline to Argo Workflows, where schedules start it."),
    "schedule": Entry("jeyn.cli.schedule", "schedule", "Start deployed pipelines by the clock."),
    "runs": Entry("jeyn.cli.runs", "runs", "List runs, or show one of them."),
    "logs": Entry("jeyn.cli.logs", "logs", "Show what the operations of a run printed."),
    "cancel": Entry("jeyn.cli.cancel", "cancel", "Stop a run."),
    "ls": Entry("jeyn.cli.ls", "ls", "List artefacts, newest first."),
    "show": Entry("jeyn.cli.show", "show", "Show all that is known about an artefact."),
    "search": Entry("jeyn.cli.search", "search", "Find artefacts by type, name, metrics, age, lineage, …"),
    "lineage": Entry("jeyn.cli.lineage", "lineage", "Show what an artefact came from, or what came from it."),
    "impact": Entry("jeyn.cli.impact", "impact", "Show what a change touches, and what it would break."),
    "diff": Entry("jeyn.cli.diff", "diff", "Show what differs between two artefacts."),
    "bless": Entry("jeyn.cli.promotion", "bless", "Promote a checkpoint: move its use case's blessed alias."),
    "rollback": Entry("jeyn.cli.promotion", "rollback", "Withdraw the blessed checkpoint, bless the one before."),
    "rescue": Entry("jeyn.cli.rescue", "rescue", "Save a model that could not be saved when it was trained."),
    "alias": Entry("jeyn.cli.alias", "alias", "Set, remove and list aliases, and see their history."),
    "export": Entry("jeyn.cli.bundle", "export", "Write an artefact and all it came from as one file."),
    "import": Entry("jeyn.cli.bundle", "import_", "Merge a file that export wrote."),
    "gc": Entry("jeyn.cli.care", "gc", "Free the bytes that nothing needs; shows them first."),
    "fsck": Entry("jeyn.cli.care", "fsck", "Check every stored byte and row."),
    "db": Entry("jeyn.cli.db", "db", "Check and upgrade the catalog database."),
    "doctor": Entry("jeyn.cli.doctor", "doctor", "Check that everything is in place, and say what to do."),
    "completion": Entry("jeyn.cli.completion", "completion", "Print the script that makes a shell complete jeyn."),
}


def _version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"jeyn {version('jeyn')}")
        context.exit()


@click.group("jeyn", cls=Root, entries=COMMANDS)
@click.option("--home", metavar="DIR", help="The home folder, instead of the one that settings name.")
@click.option(
    "--clock-is-right", is_flag=True, help="Date commits by this machine's clock, whatever speaks against it."
)
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version.")
@click.pass_obj
def main(asked: Asked, home: str | None, clock_is_right: bool) -> None:
    """Jeyn: contracts, versions and lineage for ML pipelines.

    Every command takes --json. Exit codes: 0 done, 1 an operation failed, 2 usage, 3 not found, 4 conflict,
    5 invalid, 6 incompatible, 7 unreachable, 8 not allowed, 130 interrupted.
    """
    asked.home, asked.clock_is_right = home, clock_is_right
