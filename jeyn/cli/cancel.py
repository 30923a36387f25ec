"""`jeyn cancel`: stop a run, wherever its engine is."""

from __future__ import annotations

import click

from jeyn.cli.output import Result, command
from jeyn.cli.runs import run_ids, run_json
from jeyn.cli.workspace import opened


@command()
@click.argument("run", shell_complete=run_ids)
def cancel(run: str) -> Result:
    """Stop RUN: its id, the beginning of it, or last. What finished stays, and --resume goes on from there."""
    from jeyn.workflows.run import cancel_run

    with opened() as workspace:
        row = cancel_run(run, workspace=workspace)
        told = f"{row.id} is {row.state}" if row.ended else f"{row.id} was asked to stop"
        return Result(run_json(workspace, row), told)
