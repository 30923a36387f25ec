"""`jeyn ls`, and the table of hits that `jeyn search` prints too."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from jeyn.cli.output import Result, columns, command, say
from jeyn.cli.workspace import opened

if TYPE_CHECKING:
    from jeyn.stores.catalog.nodes import Node
    from jeyn.stores.search import Hit, Hits
    from jeyn.stores.workspace import Workspace

HEAD = ("REFERENCE", "TYPE", "ALIASES", "SAVED")
UNITS = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))
_PATTERN = re.compile(r"[A-Za-z0-9_.*-]+")


@command()
@click.argument("type", required=False)
@click.option("--name", metavar="PATTERN", help='Only these names; * stands for anything, as in "dig*".')
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="How many to list.")
def ls(type: str | None, name: str | None, limit: int) -> Result:
    """List artefacts, newest first.

    TYPE is batch, checkpoint, formula, usecase, or any other type of artefact, such as value.
    """
    terms = [f"type:{_term(type)}"] if type else []
    terms += [f"name:{_term(name)}"] if name else []
    with opened(tolerant=True) as workspace:
        return hits(workspace, workspace.search(" ".join(terms), limit=limit))


def hits(workspace: Workspace, found: Hits) -> Result:
    """A page of hits as a table; `data` is {"artefacts": […], "next": the cursor of the page that follows}."""
    aliases, known = _aliases(workspace), _nodes(workspace, found)
    bad = _damaged(workspace, found)
    listed = [
        hit_json(hit, known[hit.id], aliases.get(hit.id, [])) | {"damaged": bad.get(hit.id)}
        for hit in found
        if hit.id in known
    ]
    rows = [
        (_label(hit, known, bad), hit.type, " ".join(aliases.get(hit.id, [])), age(hit.at))
        for hit in found
        if hit.id in known
    ]
    if bad:
        say(f"{len(bad)} of these are damaged: jeyn fsck says what is wrong with them")
    return Result({"artefacts": listed, "next": found.next}, "\n".join(_page(found, rows)))


def _damaged(workspace: Workspace, found: Hits) -> dict[str, str]:
    """What is wrong with each of these that cannot be read."""
    from jeyn.stores.damage import damage

    rows = workspace.reader.rows_by_id([hit.id for hit in found])
    return {row.id: what for row in rows if (what := damage(workspace, row))}


def _page(found: Hits, rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """The table, with the scores that it is ordered by; what follows it is said in a line of its own."""
    first = next((hit.score for hit in found if hit.score), None)
    if not rows:
        yield "nothing is saved that fits"
    elif first is None:
        yield columns(rows, HEAD)
    else:
        scored = [(*row, *_score(hit)) for row, hit in zip(rows, found, strict=False)]
        yield columns(scored, (*HEAD, first.metric.upper(), "ON"))
    if found.next:
        yield "… and more"
    yield from _left_out(found)
    if not found.is_comparable:
        yield "these scores are not of one batch: on:BATCH ranks within one"


def _left_out(found: Hits) -> Iterator[str]:
    """The files that the newest batch of each formula lacks."""
    from jeyn.stores.left_out import LEFT_OUT

    newest = {hit.name: hit for hit in reversed(list(found)) if hit.type == "dataset_batch"}
    for hit in newest.values():
        if isinstance(count := hit.facts.get(LEFT_OUT), int) and count:
            yield (
                f"{hit.ref}: {count} file{'s' * (count != 1)} left out, behind links that lead out of the data root or "
                "nowhere; data_links: in jeyn.yaml allows them"
            )


def _label(hit: Hit, known: Mapping[str, Node], damaged: Mapping[str, str]) -> str:
    return label(known[hit.id]) + (" (swept)" if hit.swept else "") + (" (damaged)" if hit.id in damaged else "")


def _score(hit: Hit) -> tuple[str, str]:
    return (f"{hit.score.value:.6g}", hit.score.measured_on) if hit.score else ("", "")


def hit_json(hit: Hit, node: Node, aliases: Sequence[str]) -> dict[str, Any]:
    return {
        "id": hit.id,
        "type": hit.type,
        "name": hit.name,
        "ref": hit.ref,
        "number": hit.number,
        "aliases": list(aliases),
        "saved": moment(hit.at),
        "facts": hit.facts,
        "swept": hit.swept,
        "score": hit.score and hit.score.to_json(),
        "made_by": node.made_by and node.made_by.to_json(),
    }


def label(node: Node) -> str:
    """The reference; of what has only an id, its beginning and what it is."""
    return f"{node.id[:19]} {node.title}".rstrip() if node.ref.startswith("sha256:") else node.ref


def age(at: int) -> str:
    """How long ago a time (µs, UTC) was."""
    seconds = max(0, int(time.time() - at / 1_000_000))
    size, unit = next(((size, unit) for size, unit in UNITS if seconds >= size), UNITS[-1])
    return f"{seconds // size} {unit} ago"


def moment(at: int) -> str:
    """A time (µs, UTC) as ISO 8601."""
    from jeyn.sdk.artefact import at_microseconds

    return at_microseconds(at).isoformat()


def _term(value: str) -> str:
    """A pattern where it can be one, else exactly this text."""
    quoted = value.replace("\\", "\\\\").replace('"', '\\"')
    return value if _PATTERN.fullmatch(value) else f'"{quoted}"'


def _nodes(workspace: Workspace, found: Hits) -> dict[str, Node]:
    from jeyn.stores.catalog.nodes import nodes

    keys = [row.key for row in workspace.reader.rows_by_id([hit.id for hit in found])]
    return {node.id: node for node in nodes(workspace.database, keys).values()}


def _aliases(workspace: Workspace) -> dict[str, list[str]]:
    moved = workspace.reader.current_aliases()
    ids = {row.key: row.id for row in workspace.reader.rows(sorted({key for *_, key in moved}))}
    found: dict[str, list[str]] = {}
    for _, alias, key in sorted(moved):
        if key in ids:
            found.setdefault(ids[key], []).append(alias)
    return found
