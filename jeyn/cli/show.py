"""`jeyn show`: everything that the catalog knows about one artefact."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from jeyn.cli.ls import age, moment
from jeyn.cli.output import Result, columns, command, say
from jeyn.cli.reference import references
from jeyn.cli.workspace import opened
from jeyn.errors import Ambiguous, InvalidReference, JeynError, NotFound
from jeyn.stores.catalog.changes import ORDER

if TYPE_CHECKING:
    from jeyn.sdk.artefact import Edge
    from jeyn.stores.catalog.nodes import Node
    from jeyn.stores.catalog.reader import ArtefactRow
    from jeyn.stores.workspace import Workspace

CHANGED = "  changed since: the model may give other answers"
CATALOGS = ("input_catalog", "output_catalog")
MARKS = ("pinned", "withdrawn", "swept", "quarantined", "superseded")


@command()
@click.argument("ref", shell_complete=references)
def show(ref: str) -> Result:
    """Show all that is known about an artefact: numbers, catalogs, facts, bytes, aliases, tags and parents."""
    with opened(tolerant=True) as workspace:
        row = _row(workspace, ref)
        found = _of(workspace, row)
        if found["damaged"]:
            say("it is damaged: jeyn fsck says more")
        return Result(found, lambda: _text(found))


def _row(workspace: Workspace, ref: str) -> ArtefactRow:
    try:
        return workspace.row(ref)
    except (NotFound, InvalidReference) as exc:
        with suppress(NotFound, Ambiguous):
            exc.hint = f"it is a run: jeyn runs {workspace.runs.get(ref).id}"
        raise


def _of(workspace: Workspace, row: ArtefactRow) -> dict[str, Any]:
    """All that is known; of a damaged one what can be read."""
    from jeyn.stores.damage import UNREADABLE, damage

    wrong = damage(workspace, row)
    if not wrong:
        return _known(workspace, row) | {"damaged": None}
    try:
        return _known(workspace, row) | {"damaged": wrong}
    except (JeynError, *UNREADABLE):
        return _rest(workspace, row) | {"damaged": wrong}


def _rest(workspace: Workspace, row: ArtefactRow) -> dict[str, Any]:
    """What the row's own columns and those beside it say, where the document says nothing."""
    from jeyn.stores.catalog.nodes import nodes

    reader = workspace.reader
    node = nodes(workspace.database, [row.key]).get(row.key)
    now = {(mark.kind, mark.value): mark.present for mark in reader.marks(row.id)}
    return dict.fromkeys(MARKS, False) | {
        "superseded_files": {},
        "supersedes": {},
        "catalogs": {},
        "id": row.id,
        "ref": node.ref if node else row.id,
        "type": row.type,
        "schema": row.schema,
        "name": row.name,
        "numbers": reader.numbers(row.key),
        "aliases": sorted(alias for _, alias in reader.aliases_of(row.key)),
        "tags": sorted(value for (kind, value), present in now.items() if kind == "tag" and present),
        "saved": moment(row.at),
        "actor": row.actor,
        "body": {},
        "facts": dict(row.facts),
        "code_changed": [],
        "payloads": [],
        "made_by": None,
        "content": None,
        "parents": [],
        "at": row.at,
    }


def _known(workspace: Workspace, row: ArtefactRow) -> dict[str, Any]:
    record, reader = row.record, workspace.reader
    body = dict(record.body) | (dict(workspace.contract(row)) if row.type == "use_case" else {})
    now = {(mark.kind, mark.value): mark.present for mark in reader.marks(row.id)}
    marks = {kind for (kind, _), present in now.items() if present}
    external, node = reader.external_payloads(row.key), _node(workspace, row.key)
    return {
        "id": row.id,
        "ref": node.ref,
        "type": row.type,
        "schema": row.schema,
        "name": row.name,
        "numbers": reader.numbers(row.key),
        "aliases": sorted(alias for _, alias in reader.aliases_of(row.key)),
        "tags": sorted(value for (kind, value), present in now.items() if kind == "tag" and present),
        "pinned": "pin" in marks,
        "withdrawn": "withdrawn" in marks,
        "swept": "tombstone" in marks,
        "quarantined": row.quarantined,
        "superseded": "superseded" in marks,
        "superseded_files": workspace.superseded_files(row.id) if row.type == "dataset_batch" else {},
        "supersedes": workspace.supersedes(row.id) if row.type == "dataset_batch" else {},
        "saved": moment(row.at),
        "actor": row.actor,
        "catalogs": _in_order(workspace, row, {role: body.pop(role) for role in CATALOGS if role in body}),
        "body": body,
        "facts": {name: fact for name, fact in row.facts.items() if (row.type, name) != ("dataset_formula", ORDER)}
        | _code(workspace, row),
        "code_changed": _changed(workspace, row),
        "payloads": [
            {"name": p.name, "digest": p.digest, "size": p.size, "external": p.digest in external}
            for p in record.payloads
        ],
        "made_by": node.made_by and node.made_by.to_json(),
        "content": node.content,
        "parents": _parents(workspace, row),
        "at": row.at,
    }


def _in_order(workspace: Workspace, row: ArtefactRow, catalogs: dict[str, Any]) -> dict[str, Any]:
    """The order of a formula's features stands beside its record; others have it in their catalogs."""
    if row.type != "dataset_formula":
        return catalogs
    from jeyn.sdk.catalog import DataCatalog
    from jeyn.stores.binding import in_kept_order

    given = {role: DataCatalog.from_json(catalog) for role, catalog in catalogs.items()}
    return {role: in_kept_order(workspace, row.id, row.facts, made).to_json() for role, made in given.items()}


def _code(workspace: Workspace, row: ArtefactRow) -> dict[str, Any]:
    from jeyn.stores.trusted_code import FACT, known_code

    known = known_code(workspace, row.id, row.facts) if row.type == "model_checkpoint" else {}
    return {FACT: known} if known else {}


def _changed(workspace: Workspace, row: ArtefactRow) -> list[str]:
    """The names of the project whose code is not what this checkpoint was saved with."""
    from jeyn.stores.trusted_code import changed_code

    return changed_code(workspace, row.id, row.facts) if row.type == "model_checkpoint" else []


def _node(workspace: Workspace, key: int) -> Node:
    from jeyn.stores.catalog.nodes import nodes

    return nodes(workspace.database, [key])[key]


def _parents(workspace: Workspace, row: ArtefactRow) -> list[dict[str, Any]]:
    """In the order of saving."""
    from jeyn.stores.catalog.nodes import nodes

    rows = {edge: workspace.reader.row(edge.parent) for edge in row.record.parents}
    there = nodes(workspace.database, sorted({found.key for found in rows.values() if found}))
    named = {node.id: (place, node) for place, node in enumerate(there.values())}
    # Only a damaged catalog lacks a parent; fsck says so, and the rest is worth showing all the same.
    lost = (len(named), None)
    edges = sorted(row.record.parents, key=lambda edge: named.get(edge.parent, lost)[0])
    return [_parent(edge, named.get(edge.parent, lost)[1]) for edge in edges]


def _parent(edge: Edge, node: Node | None) -> dict[str, Any]:
    ref, label = (node.ref, node.label) if node else (edge.parent, edge.parent)
    return {"edge": edge.type.name, "id": edge.parent, "ref": ref, "label": label}


def _text(found: Mapping[str, Any]) -> str:
    return columns([(name, value) for name, value in _lines(found) if value])


def _lines(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "reference", found["ref"]
    yield "damaged", found["damaged"] or ""
    yield "type", found["type"]
    yield "id", found["id"]
    yield "aliases", ", ".join(found["aliases"])
    yield "tags", ", ".join(found["tags"])
    yield "marked", ", ".join(mark for mark in MARKS if found[mark])
    yield from _under("replaces", [f"{path} of {batch}" for path, batch in found["supersedes"].items()])
    yield from _under("replaced", [f"{path} by {batch}" for path, batch in found["superseded_files"].items()])
    yield "saved", f"{found['saved']} ({age(found['at'])}) by {found['actor']}"
    for role, catalog in found["catalogs"].items():
        yield from _under(role.replace("_catalog", ""), _features(catalog))
    code = found["facts"].get("code", {})
    told = [f"{name}: {digest[:19]}…{CHANGED * (name in found['code_changed'])}" for name, digest in code.items()]
    yield from _under("relies on", told)
    facts = {name: value for name, value in found["facts"].items() if name != "code"}
    for name, value in (*found["body"].items(), *facts.items()):
        yield from _under(name.replace("_", " "), list(_values(value)))
    yield "content", found["content"] or ""
    payloads = [f"{p['name']}  {p['size']} bytes  {p['digest'][:19]}…" for p in found["payloads"]]
    yield from _under("payloads", payloads)
    if made := found["made_by"]:
        yield "made by", f"{made['operation']} in {made['run']}"
        yield "code", made["code"] or ""
    yield from _under("parents", [f"{each['label']}  ({each['edge']})" for each in found["parents"]])


def _values(value: Any) -> Iterator[str]:
    """An object of objects as a line for each; nothing for what is empty."""
    if isinstance(value, Mapping) and any(isinstance(each, Mapping) for each in value.values()):
        yield from (f"{name}: {_plain(each)}" for name, each in value.items())
    elif value is not None and value != []:
        yield _plain(value)


def _plain(value: Any) -> str:
    """Text as it is, a flat object as `name value, name value`, anything else as JSON."""
    if isinstance(value, Mapping) and not any(isinstance(each, Mapping | list) for each in value.values()):
        return ", ".join(f"{name} {_plain(each)}" for name, each in value.items() if each is not None)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _features(catalog: Mapping[str, Any]) -> list[str]:
    from jeyn.sdk.catalog import DataCatalog

    return [f"{name}: {feature}" for name, feature in DataCatalog.from_json(catalog).features.items()]


def _under(name: str, values: list[str]) -> Iterator[tuple[str, str]]:
    """Several lines, named once."""
    for position, value in enumerate(values):
        yield (name if position == 0 else ""), value
