"""What a formula's line feeds: models are trained on one version, and the next version is what they are given then.

A model of an earlier version is looked at as well as one of the version that changes, and so is the contract of its use
case, which the next checkpoint is trained under.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from jeyn.sdk.catalog import DataCatalog
from jeyn.sdk.relationship import RelationshipType
from jeyn.sdk.version import Version
from jeyn.stores.catalog import closure
from jeyn.stores.catalog.reader import ArtefactRow, Reader, owner_of
from jeyn.stores.lineage.dependants import Path
from jeyn.stores.veto import RANK

Catalog = type[DataCatalog]
BATCH = RelationshipType.formula_batch
TRAINED = RelationshipType.batch_checkpoint
OTHER_VERSION = "other_version"
CONTRACT = "contract"


@dataclass(frozen=True)
class Broken:
    """Why a contract breaks, how the change got there, and the bump that mends it: at least a minor."""

    reasons: tuple[str, ...]
    path: Path
    bump: str


@dataclass(frozen=True)
class Changed:
    """A formula as it would be: its catalog then, None where it could not be made at all, and the way to it."""

    row: ArtefactRow
    catalog: Catalog | None
    path: Path


class Line:
    """The models of one changed formula: of that version, and of its others where this one is what feeds them.

    `fed` are the models of other versions, broken or not, with the way to each.
    """

    def __init__(self, reader: Reader, changed: Changed, others: Collection[int], *, is_root: bool) -> None:
        self.reader = reader
        self.changed = changed
        self._changed_too = others
        self._is_root = is_root
        self.fed: dict[int, Path] = {}

    def broken(self) -> dict[int, Broken]:
        """key -> what breaks: checkpoints, and use cases none of whose checkpoints does."""
        own = list(self._trained([self.changed.row.key], self.changed.path))
        others = [
            found
            for row in self._other_versions
            for found in self._trained([row.key], (*self.changed.path, (row.key, OTHER_VERSION)))
        ]
        self.fed = {row.key: path for row, path in others if self._fits_now(_takes(row))}
        broken: dict[int, Broken] = {}
        for row, path in [*own, *((row, path) for row, path in others if row.key in self.fed)]:
            if row.key not in broken and (reasons := self._unfit(_takes(row))):
                broken[row.key] = Broken(reasons, path, self._input_bump(self._versions(row), _takes(row)))
        return broken | self._contracts([*own, *others], broken)

    @cached_property
    def _other_versions(self) -> list[ArtefactRow]:
        """Whoever follows the line is given its head next, or what is asked about."""
        name, key = self.changed.row.name, self.changed.row.key
        head = self.reader.highest(owner_of("formula", name))
        if not self._is_root and (head is None or head.id != self.changed.row.id):
            return []
        ids = dict.fromkeys(each.id for each in self.reader.claims(owner_of("formula", name)))
        rows = [row for id in ids if (row := self.reader.row(id)) is not None]
        return [row for row in rows if row.key != key and row.key not in self._changed_too]

    def _trained(self, formulas: Sequence[int], path: Path) -> Iterator[tuple[ArtefactRow, Path]]:
        """The checkpoints that were trained on a batch of these formulas."""
        database = self.reader.database
        batches = [child for _, child, kind in closure.edges_from(database, list(formulas)) if kind == BATCH]
        trained = [(b, c) for b, c, kind in closure.edges_from(database, batches) if kind == TRAINED]
        rows = {row.key: row for row in self.reader.rows(sorted({checkpoint for _, checkpoint in trained}))}
        for batch, key in trained:
            yield rows[key], (*path, (batch, BATCH.name), (key, TRAINED.name))

    def _contracts(self, trained: Sequence[tuple[ArtefactRow, Path]], broken: Collection[int]) -> dict[int, Broken]:
        """Use cases whose next checkpoint could not be trained; one that has a broken checkpoint is told of by that."""
        told = {_use_case(row) for row, _ in trained if row.key in broken}
        found: dict[int, Broken] = {}
        for row, path in trained:
            id = _use_case(row)
            takes = self._contract(id) if id not in told else None
            told.add(id)
            if takes is None or not self._fits_now(takes) or not (reasons := self._unfit(takes)):
                continue
            use_case = self.reader.row(id)
            if use_case is not None:
                versions = [Version.parse(each.number) for each in self.reader.claims(owner_of("checkpoint", row.name))]
                way = (*path, (use_case.key, CONTRACT))
                found[use_case.key] = Broken(reasons, way, self._input_bump(versions, takes))
        return found

    def _contract(self, id: str) -> Catalog | None:
        """The input catalog that the next checkpoint of a use case is trained under."""
        said = [mark.value for mark in self.reader.marks(id) if mark.kind == CONTRACT]
        return DataCatalog.from_json(json.loads(said[-1])["input_catalog"]) if said else None

    def _fits_now(self, takes: Catalog) -> bool:
        """What the line does not satisfy today either is not broken by the change."""
        return not catalog_of(self.changed.row).satisfies(takes).reasons

    def _unfit(self, takes: Catalog) -> tuple[str, ...]:
        if self.changed.catalog is None:
            return (lost(self.changed),)
        return tuple(map(str, self.changed.catalog.satisfies(takes).reasons))

    def _versions(self, row: ArtefactRow) -> list[Version]:
        return [Version.parse(number) for number in self.reader.numbers(row.key)]

    def _input_bump(self, versions: Sequence[Version], takes: Catalog) -> str:
        """For a checkpoint that takes what is left of its inputs, as it then is."""
        version, given = max(versions, default=Version(1, 0, 0)), self.changed.catalog
        if given is None:
            return mending(version.breaking_level)
        left = {name: given.features[name] for name in takes.features if name in given.features}
        return mending(takes.diff(DataCatalog.of("Left", left)).bump("input", version=version))


def mending(bump: str) -> str:
    """A patch says that nothing changed for whoever uses it, so it never mends what broke."""
    return max(bump, "minor", key=RANK.__getitem__)


def lost(changed: Changed) -> str:
    return f'"formula:{changed.row.name}@{changed.row.record.body["version"]}" could not be made any more'


def catalog_of(row: ArtefactRow) -> Catalog:
    """The output catalog of a formula."""
    return DataCatalog.from_json(row.record.body["output_catalog"])


def _takes(checkpoint: ArtefactRow) -> Catalog:
    return DataCatalog.from_json(checkpoint.record.body["input_catalog"])


def _use_case(checkpoint: ArtefactRow) -> str:
    edges = checkpoint.record.parents
    return next(edge.parent for edge in edges if edge.type is RelationshipType.use_case_checkpoint)
