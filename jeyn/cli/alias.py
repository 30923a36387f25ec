"""`jeyn alias`: names that point at versions, and where they pointed before."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from jeyn.cli.ls import age, moment
from jeyn.cli.output import Result, columns, command
from jeyn.cli.reference import references
from jeyn.cli.tree import Entry, LazyGroup
from jeyn.cli.workspace import opened

if TYPE_CHECKING:
    from jeyn.stores.catalog.reader import Moved
    from jeyn.stores.workspace import Workspace

LEAVES = {
    "set": Entry(__name__, "set_", "Point an alias at a version."),
    "rm": Entry(__name__, "rm", "Take an alias away; its history stays."),
    "ls": Entry(__name__, "ls", "List the aliases of a formula or use case."),
    "history": Entry(__name__, "history", "Show every move, newest first."),
}


@click.group(cls=LazyGroup, entries=LEAVES)
def alias() -> None:
    """Set, remove and list aliases of formulas and use cases, and see their history."""


@command("set")
@click.argument("ref", shell_complete=references)
@click.argument("alias")
@click.option("--reason", default="", help="Why; kept in the history.")
def set_(ref: str, alias: str, reason: str) -> Result:
    """Point ALIAS at the version that REF means."""
    with opened() as workspace:
        workspace.set_alias(ref, alias, reason=reason)
        found = workspace.get(ref)
        return Result({"alias": alias, "id": found.id, "ref": found.ref}, f"{found.name}@{alias} is {found.ref}")


@command()
@click.argument("owner", shell_complete=references)
@click.argument("alias")
@click.option("--reason", default="", help="Why; kept in the history.")
def rm(owner: str, alias: str, reason: str) -> Result:
    """Take ALIAS of a formula or use case away; its history stays."""
    from jeyn.errors import NotFound

    with opened() as workspace:
        moves = workspace.alias_history(owner, alias)
        if not moves or moves[0].id is None:
            raise NotFound(f'"{owner}" has no alias "{alias}"', hint=f"jeyn alias ls {owner}")
        workspace.remove_alias(owner, alias, reason=reason)
        return Result({"alias": alias, "id": None, "was": moves[0].id}, f"{owner} has no alias {alias} any more")


@command()
@click.argument("owner", shell_complete=references)
def ls(owner: str) -> Result:
    """List the aliases of a formula or use case and what they point at."""
    with opened(tolerant=True) as workspace:
        newest: dict[str, Any] = {}
        for move in workspace.alias_history(owner):
            newest.setdefault(move.alias, move)
        refs = _refs(workspace, newest.values())
        there = sorted((name, move.id) for name, move in newest.items() if move.id)
        data = [{"alias": name, "id": id, "ref": refs.get(id)} for name, id in there]
        text = columns([(name, refs.get(id, id)) for name, id in there], ("ALIAS", "REFERENCE"))
        return Result({"aliases": data}, text if there else f"{owner} has no aliases")


@command()
@click.argument("owner", shell_complete=references)
@click.argument("alias", required=False)
def history(owner: str, alias: str | None) -> Result:
    """Show every move of the aliases of a formula or use case, newest first, with who, when and why."""
    with opened(tolerant=True) as workspace:
        moves = workspace.alias_history(owner, alias)
        refs = _refs(workspace, moves)
        data = [
            {
                "alias": move.alias,
                "verb": move.verb,
                "id": move.id,
                "ref": refs.get(move.id or ""),
                "reason": move.reason,
                "actor": move.actor,
                "at": moment(move.at),
            }
            for move in moves
        ]
        rows = [(m.alias, m.verb, refs.get(m.id or "", "-"), m.actor, age(m.at), m.reason) for m in moves]
        text = columns(rows, ("ALIAS", "MOVE", "REFERENCE", "BY", "WHEN", "REASON"))
        return Result({"moves": data}, text if moves else f"{owner} never had an alias")


def _refs(workspace: Workspace, moves: Iterable[Moved]) -> dict[str, str]:
    """What the ids of moves are called; of a damaged one what can be told."""
    from jeyn.stores.catalog.nodes import nodes

    keys = [row.key for row in workspace.reader.rows_by_id({move.id for move in moves if move.id})]
    return {node.id: node.ref for node in nodes(workspace.database, keys).values()}
