"""`jeyn export` and `jeyn import`: an artefact with all that it came from, as one file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import click

from jeyn.cli.output import Result, columns, command
from jeyn.cli.reference import references
from jeyn.cli.workspace import opened
from jeyn.errors import Conflict


@command()
@click.argument("ref", shell_complete=references)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--yes", is_flag=True, help="Replace FILE if it is there.")
def export(ref: str, file: Path, yes: bool) -> Result:
    """Write an artefact, all that it came from and their bytes as one file."""
    if file.exists() and not yes:
        raise Conflict(f'"{file}" is there already', hint="name another file, or replace it with --yes")
    with opened() as workspace:
        made = workspace.export_bundle(ref, file)
        text = f"{made.path}: {made.artefacts} artefacts, {made.payloads} payloads, {made.bytes} bytes"
        left = [f"\n  stays at its source: {digest}" for digest in made.external]
        return Result(vars(made), text + "".join(left))


@command("import")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--keep", type=click.Choice(["ours"]), help="Where numbers conflict, keep this catalog's.")
@click.option("--aliases", is_flag=True, help="Move aliases to what they mean in the file.")
def import_(file: Path, keep: Literal["ours"] | None, aliases: bool) -> Result:
    """Merge a file that export wrote; a conflict stops it before anything is written."""
    with opened(create=True) as workspace:
        done = workspace.import_bundle(file, keep=keep, aliases=aliases)
        root = workspace.get(done.root)
        data = vars(done) | {
            "ref": root.ref,
            "kept": [vars(each) for each in done.kept],
            "refused_aliases": [vars(each) for each in done.refused_aliases],
        }
        counts = [(str(data[name]), name) for name in ("new", "existing", "restored", "payloads", "aliases")]
        lines = [f"imported {root.ref}", columns([("", *count) for count in counts])]
        lines += [*_conflicts("kept ours", done.kept), *_conflicts("alias not moved", done.refused_aliases)]
        return Result(data, "\n".join(lines))


def _conflicts(what: str, found: Any) -> list[str]:
    return [f"  {what}: {each.what} is {each.ours} here, {each.theirs} there" for each in found]
