"""`jeyn diff`: two artefacts of one type beside each other."""

from __future__ import annotations

import click

from jeyn.cli.output import Result, command, shown
from jeyn.cli.reference import references
from jeyn.cli.workspace import opened


@command()
@click.argument("old", shell_complete=references)
@click.argument("new", shell_complete=references)
def diff(old: str, new: str) -> Result:
    """Show what differs between two artefacts of one type: recipe, catalogs, parents, bytes and metrics."""
    with opened(tolerant=True) as workspace:
        return shown(workspace.diff(old, new))
