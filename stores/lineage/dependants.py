"""All that depends on an artefact: by saved edges, and by the references that recipes of formulas hold.

A range or an alias in a recipe is a promise for later too, so a formula depends on every version that its recipe
accepts today, whether or not a batch came from it yet.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from jeyn.errors import Ambiguous, NotFound
from jeyn.sdk.reference import Exact, Range, Reference
from jeyn.sdk.relationship import RelationshipType
from jeyn.sdk.version import Version
from jeyn.stores.catalog import closure
from jeyn.stores.catalog.nodes import Node, nodes
from jeyn.stores.catalog.reader import ArtefactRow, Reader
from jeyn.stores.catalog.search import formula_keys
from jeyn.stores.lineage.graph import edge_name
from jeyn.stores.resolve import resolve

# (key, type of the edge that led to it), from the root on.
Path = tuple[tuple[int, str], ...]
SOURCE = RelationshipType.source_formula.name
APPLIED = RelationshipType.checkpoint_formula.name


@dataclass(frozen=True)
class Recipe:
    """A composite or model formula: what it is the union of, or its source and its checkpoint."""

    row: ArtefactRow

    @property
    def kind(self) -> str:
        return str(self.row.record.body["recipe"]["kind"])

    @property
    def sources(self) -> tuple[str, ...]:
        recipe = self.row.record.body["recipe"]
        return tuple(recipe["formulas"]) if self.kind == "composite" else (recipe["source"],)

    @property
    def checkpoint(self) -> str | None:
        found: str | None = self.row.record.body["recipe"].get("checkpoint")
        return found

    @property
    def keep(self) -> tuple[str, ...]:
        return tuple(self.row.record.body["recipe"].get("keep", ()))


class Dependants:
    """The artefacts that one leads to, each with a shortest path, found once and kept."""

    def __init__(self, reader: Reader, root: int) -> None:
        self.reader = reader
        self.root = root
        self._meant: dict[tuple[str, str], ArtefactRow | None] = {}

    @cached_property
    def recipes(self) -> list[Recipe]:
        """The composite and model formulas of the catalog, in the order of saving."""
        keys = formula_keys(self.reader.database, ["composite", "model"])
        return [Recipe(row) for row in self.reader.rows(keys)]

    @cached_property
    def paths(self) -> dict[int, Path]:
        """key -> path, the root's own included; breadth first, so each path is a shortest one."""
        found: dict[int, Path] = {self.root: ((self.root, ""),)}
        frontier = [self.root]
        while frontier:
            reached = self._step(frontier)
            frontier = []
            for parent, child, kind in reached:
                if child not in found:
                    found[child] = (*found[parent], (child, kind))
                    frontier.append(child)
        return found

    @cached_property
    def nodes(self) -> dict[int, Node]:
        return nodes(self.reader.database, sorted(self.paths))

    def accepts(self, reference: str, row: ArtefactRow, kind: str) -> bool:
        """Whether a recipe's reference means this artefact: any version in a range, otherwise what it resolves to."""
        wanted = Reference.parse(reference)
        if wanted.name not in (None, row.name):
            return False
        match wanted.selector:
            case Range(versions):
                return any(versions.contains(version) for version in self._versions(row))
            case Exact(version):
                return version in self._versions(row)
        meant = self.meant(reference, kind)
        return meant is not None and meant.key == row.key

    def meant(self, reference: str, kind: str) -> ArtefactRow | None:
        """What a recipe's reference resolves to now, if anything."""
        if (reference, kind) not in self._meant:
            try:
                self._meant[reference, kind] = resolve(self.reader, reference, kind)
            except (NotFound, Ambiguous):
                self._meant[reference, kind] = None
        return self._meant[reference, kind]

    def _versions(self, row: ArtefactRow) -> list[Version]:
        if row.key not in self._claimed:
            self._claimed[row.key] = [Version.parse(number) for number in self.reader.numbers(row.key)]
        return self._claimed[row.key]

    @cached_property
    def _claimed(self) -> dict[int, list[Version]]:
        return {}

    def _step(self, keys: list[int]) -> list[tuple[int, int, str]]:
        """(parent, child, edge) one step away: saved edges first, then what recipes accept."""
        saved = closure.edges_from(self.reader.database, keys)
        found = [(parent, child, edge_name(kind)) for parent, child, kind in saved]
        if self.recipes:
            kinds = {"dataset_formula": "formula", "model_checkpoint": "checkpoint"}
            there = nodes(self.reader.database, keys)
            named = [key for key in keys if there[key].type in kinds]
            for row in self.reader.rows(named):
                found.extend((row.key, child, edge) for child, edge in self._followers(row, kinds[row.type]))
        return found

    def _followers(self, row: ArtefactRow, kind: str) -> list[tuple[int, str]]:
        if kind == "formula":
            return [
                (recipe.row.key, SOURCE)
                for recipe in self.recipes
                if recipe.row.key != row.key and any(self.accepts(ref, row, kind) for ref in recipe.sources)
            ]
        return [
            (recipe.row.key, APPLIED)
            for recipe in self.recipes
            if recipe.checkpoint is not None and self.accepts(recipe.checkpoint, row, kind)
        ]
