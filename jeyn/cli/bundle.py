"""`jeyn export` and `jeyn import`: an artefact with all that it came from, as one file."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from jeyn.cli.output import Result, columns, command, on_terminal, say
from jeyn.cli.reference import references
from jeyn.cli.workspace import opened
from jeyn.errors import Conflict

if TYPE_CHECKING:
    from jeyn.stores.care.bundle import Imported

LISTS = ("kept", "refused_aliases", "numbers", "moved")


@command()
@click.argument("ref", shell_complete=references)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--yes", is_flag=True, help="Replace FILE if it is there.")
@click.option("--sign", type=click.Path(path_type=Path, dir_okay=False), help="Sign it with this Ed25519 private key.")
def export(ref: str, file: Path, yes: bool, sign: Path | None) -> Result:
    """Write an artefact, all that it came from and their bytes as one file."""
    if file.exists() and not yes:
        raise Conflict(f'"{file}" is there already', hint="name another file, or replace it with --yes")
    with opened() as workspace:
        made = workspace.export_bundle(ref, file, sign=sign)
        text = f"{made.path}: {made.artefacts} artefacts, {made.payloads} payloads, {made.bytes} bytes"
        left = [f"\n  stays at its source: {digest}" for digest in made.external]
        return Result(vars(made), text + "".join(left))


@command("import")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--dry-run", is_flag=True, help="Only show what would be new.")
@click.option("--yes", is_flag=True, help="Do not ask on a terminal.")
@click.option("--keep", type=click.Choice(["ours"]), help="Where numbers conflict, keep this catalog's.")
@click.option("--aliases", is_flag=True, help="Move aliases to what they mean in the file.")
@click.option(
    "--require-signature",
    "key",
    metavar="KEY",
    help="Refuse what this public key has not signed: its file, or its text (ed25519:…).",
)
def import_(
    file: Path, dry_run: bool, yes: bool, keep: Literal["ours"] | None, aliases: bool, key: str | None
) -> Result:
    """Merge a file that export wrote; a conflict stops it before anything is written.

    Only the artefact that the file is about is taken, with what it came from. The versions, epochs and aliases that
    would be new are shown first, and on a terminal you are asked; look at who they are from, for @latest may mean one
    of them afterwards.
    """
    with opened(create=True) as workspace:

        def merge(yes: bool) -> Imported:
            done: Imported = workspace.import_bundle(file, keep=keep, aliases=aliases, yes=yes, require_signature=key)
            return done

        if dry_run:
            return _result(done := merge(yes=False), _ref(done))
        if not yes and on_terminal() and sys.stdin.isatty():
            shown = merge(yes=False)
            say("\n".join(_lines(shown, _ref(shown))))
            if not click.confirm("import it?", err=True):
                return Result(_result(shown, _ref(shown)).data, "nothing was imported")
        done = merge(yes=True)
        return _result(done, workspace.get(done.root).ref)


def _result(done: Imported, ref: str) -> Result:
    data = vars(done) | {"ref": ref} | {name: [vars(each) for each in getattr(done, name)] for name in LISTS}
    return Result(data, "\n".join(_lines(done, ref)))


def _ref(done: Imported) -> str:
    return next((each.what for each in done.numbers if each.id == done.root), done.root)


def _lines(done: Imported, ref: str) -> Iterator[str]:
    yield f"imported {ref}" if done.done else f"would import {ref}"
    yield columns(
        [("", str(getattr(done, name)), name) for name in ("new", "existing", "restored", "payloads", "aliases")]
    )
    yield f"  signed by {done.signed_by}" if done.signed_by else "  not signed"
    for each in done.numbers:
        yield f"  {each.what}" + (f", and {each.before} is the latest here" if each.before else ", the first here")
    for each in done.moved:
        yield f"  {each.what} means {each.id[:19]}…" + (f" instead of {each.before[:19]}…" if each.before else "")
    yield from (f"  says anew the {each}" for each in done.marks)
    yield from _conflicts("kept ours", done.kept)
    yield from _conflicts("alias not moved", done.refused_aliases)


def _conflicts(what: str, found: Any) -> list[str]:
    return [f"  {what}: {each.what} is {each.ours} here, {each.theirs} there" for each in found]
