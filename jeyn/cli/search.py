"""`jeyn search`: the filter language of `jeyn.search`."""

from __future__ import annotations

import click

from jeyn.cli.ls import hits
from jeyn.cli.output import Result, command
from jeyn.cli.workspace import opened


@command()
@click.argument("query", nargs=-1, required=True)
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="How many to give.")
@click.option(
    "--order",
    default="-created",
    show_default=True,
    help="created, name or metrics.NAME (shown with its batch); - for descending.",
)
@click.option("--after", metavar="CURSOR", help='The page behind this one: "next" of the JSON before.')
def search(query: tuple[str, ...], limit: int, order: str, after: str | None) -> Result:
    """Find artefacts; all terms of QUERY must hold, and -term negates.

    \b
    jeyn search "type:checkpoint metrics.accuracy>0.9 created<7d"
    jeyn search --order -metrics.accuracy "upstream:digits@^1"
    jeyn search --order metrics.mae "type:checkpoint on:holdout@^1/latest"
    jeyn search -- -tag:old "name:dig*"
    """
    with opened(tolerant=True) as workspace:
        return hits(workspace, workspace.search(" ".join(query), limit=limit, order=order, after=after))
