"""`jeyn bless` and `jeyn rollback`: which checkpoint of a use case counts."""

from __future__ import annotations

import click

from jeyn.cli.output import Result, command
from jeyn.cli.reference import references
from jeyn.cli.workspace import opened

NOTHING = "none"


@command()
@click.argument("ref", shell_complete=references)
@click.option("--reason", default="", help="Why; kept in the history.")
@click.option(
    "--over",
    shell_complete=references,
    default="any",
    help='The checkpoint it was compared with, or "none": refused when another was blessed since.',
)
@click.option("--again", is_flag=True, help="Also when a rollback withdrew it.")
def bless(ref: str, reason: str, over: str, again: bool) -> Result:
    """Promote a checkpoint: move the blessed alias of its use case to it."""
    with opened() as workspace:
        compared = None if over == NOTHING else over
        found = workspace.model_store.bless(ref, reason, over=compared, again=again)
        return Result({"id": found.id, "ref": found.ref, "alias": "blessed"}, f"{found.ref} is blessed")


@command()
@click.argument("use_case", shell_complete=references)
@click.option("--reason", default="", help="Why; kept in the history.")
def rollback(use_case: str, reason: str) -> Result:
    """Withdraw the blessed checkpoint of a use case and bless the one before it."""
    with opened() as workspace:
        found = workspace.model_store.rollback(use_case, reason)
        name = use_case.removeprefix("usecase:")
        if found is None:
            return Result({"id": None, "ref": None}, f"{name} has no blessed checkpoint now: there was none before")
        return Result({"id": found.id, "ref": found.ref}, f"{found.ref} is blessed again")
