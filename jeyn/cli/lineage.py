"""`jeyn lineage`: the graph upwards or downwards, as a tree, as data, or as a picture."""

from __future__ import annotations

from pathlib import Path

import click

from jeyn.cli.output import Result, command, say, width
from jeyn.cli.reference import references
from jeyn.cli.workspace import opened
from jeyn.errors import NotAllowed


@command()
@click.argument("ref", shell_complete=references)
@click.option("--down", is_flag=True, help="What came from it, instead of what it came from.")
@click.option("--depth", type=click.IntRange(min=1), help="How many steps to go; all where left out.")
@click.option("--type", "types", multiple=True, metavar="TYPE", help="Only artefacts of this type; may be repeated.")
@click.option("--plot", type=click.Path(path_type=Path, dir_okay=False), help="Draw it into this SVG file.")
def lineage(ref: str, down: bool, depth: int | None, types: tuple[str, ...], plot: Path | None) -> Result:
    """Show what an artefact came from, or with --down what came from it."""
    from jeyn.stores.resolve import TYPES

    with opened(tolerant=True) as workspace:
        walk = workspace.downstream if down else workspace.upstream
        found = walk(ref, depth=depth, types=[TYPES.get(each, each) for each in types])
        if plot is not None:
            _write(plot, found.svg())
            say(f"drawn into {plot}")
        # Read now: the workspace closes, and a tree reads what it shows.
        text = found.tree(width(160))
        return Result(found.to_json() | {"plot": plot}, text)


def _write(path: Path, picture: str) -> None:
    try:
        path.write_text(picture, encoding="utf-8")
    except OSError as exc:
        raise NotAllowed(f'"{path}" cannot be written: {exc.strerror}', hint="name another file") from exc
