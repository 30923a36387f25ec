"""Models that were trained on what a later batch replaced, for impact (SEMANTICS 32)."""

from __future__ import annotations

from collections.abc import Sequence

from jeyn.sdk.relationship import RelationshipType
from jeyn.stores.catalog.nodes import nodes
from jeyn.stores.catalog.reader import Reader
from jeyn.stores.catalog.superseded import FILE, Held


def trained_on_superseded(reader: Reader, keys: Sequence[int]) -> dict[int, tuple[str, ...]]:
    """By the key of each checkpoint among `keys`: a sentence for each file of its batch that another one replaced."""
    if not reader.marked(FILE):
        return {}
    checkpoints = [row for row in reader.rows(keys) if row.type == "model_checkpoint"]
    batches = {
        row.key: edge.parent
        for row in checkpoints
        for edge in row.record.parents
        if edge.type is RelationshipType.batch_checkpoint
    }
    old = _replaced(reader, set(batches.values()))
    ids = {each.by for some in old.values() for each in some} | old.keys()
    rows = reader.rows_by_id(ids)
    refs = {node.id: node.label for node in nodes(reader.database, [row.key for row in rows]).values()}
    return {
        key: tuple(f'trained on {refs[batch]}, whose "{each.path}" {refs[each.by]} replaced' for each in old[batch])
        for key, batch in batches.items()
        if batch in old
    }


def _replaced(reader: Reader, batches: set[str]) -> dict[str, list[Held]]:
    """The files of batches that others replaced, by batch."""
    formulas = {
        edge.parent
        for row in reader.rows_by_id(batches)
        for edge in row.record.parents
        if edge.type is RelationshipType.formula_batch
    }
    found: dict[str, list[Held]] = {}
    for formula in sorted(formulas):
        for each in reader.held(formula):
            if each.by and each.batch in batches:
                found.setdefault(each.batch, []).append(each)
    return found
