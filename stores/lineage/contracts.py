"""What a new catalog of a formula breaks: every contract downstream is checked again as if it held already.

A composite's catalog is derived again from its parts, a model formula's source must still satisfy its checkpoint, and a
checkpoint must still be able to take the batches that it was trained on. What changes there goes on downstream.

The new catalog becomes the formula's next version, so it also reaches what that version would feed: recipes whose
reference means it then, and the models of the other versions of the line (`stores/lineage/line.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

from jeyn.errors import CatalogMismatch, UsageError
from jeyn.sdk.catalog import DataCatalog
from jeyn.sdk.compatibility import join
from jeyn.sdk.reference import Reference
from jeyn.sdk.version import Version
from jeyn.stores.catalog.reader import ArtefactRow, Reader
from jeyn.stores.lineage.dependants import SOURCE, Dependants, Path, Recipe
from jeyn.stores.lineage.line import Broken, Catalog, Changed, Line, catalog_of, lost, mending
from jeyn.stores.lineage.next_version import Next

# The catalog of one source before and after, and the change if it is a changed one.
Part = tuple[Catalog | None, Catalog | None, Changed | None]


@dataclass(frozen=True)
class Verdict:
    """What checking one formula again says: the catalog that it would have, and why its contract breaks."""

    catalog: Catalog | None
    reasons: tuple[str, ...] = ()


class Contracts:
    """One question: this formula with that catalog."""

    def __init__(
        self, reader: Reader, dependants: Dependants, root: ArtefactRow, new: Catalog, next_version: Next
    ) -> None:
        self.reader = reader
        self.dependants = dependants
        self.root = root
        self.next_version = next_version
        self.fed: dict[int, Path] = {}
        self.changed = {root.key: Changed(root, new, ((root.key, ""),))}
        self._broken: dict[int, Broken] = {}

    def broken(self) -> dict[int, Broken]:
        """key -> what breaks, the changed formula itself left out."""
        if self.changed[self.root.key].catalog == catalog_of(self.root):
            return {}
        for recipe in self._in_order():
            self._check_formula(recipe)
        for changed in list(self.changed.values()):
            line = Line(self.reader, changed, self.changed, is_root=changed.row.key == self.root.key)
            self._broken = line.broken() | self._broken
            self.fed |= line.fed
        return self._broken

    def _in_order(self) -> list[Recipe]:
        """The formulas that follow the changed one, each behind all that it follows itself."""
        reached: dict[int, Recipe] = {}
        followed: dict[int, set[int]] = {}
        frontier = [self.root]
        while frontier:
            row = frontier.pop()
            for recipe in self.dependants.recipes:
                if recipe.row.key in self.changed or not self._follows(recipe, row):
                    continue
                followed.setdefault(recipe.row.key, set()).add(row.key)
                if recipe.row.key not in reached:
                    reached[recipe.row.key] = recipe
                    frontier.append(recipe.row)
        return [reached[key] for key in _sorted(followed) if key in reached]

    def _follows(self, recipe: Recipe, row: ArtefactRow) -> bool:
        return any(
            self.dependants.accepts(ref, row, "formula") or (row.key == self.root.key and self._takes_next(ref))
            for ref in recipe.sources
        )

    def _takes_next(self, reference: str) -> bool:
        """Whether a recipe's reference would mean the next version, which would have the new catalog."""
        return Reference.parse(reference).name == self.root.name and self.next_version.is_meant_by(reference)

    def _check_formula(self, recipe: Recipe) -> None:
        parts = [self._part(ref) for ref in recipe.sources]
        changes = [change for _, _, change in parts if change is not None]
        if not changes:  # what it follows came out as it was
            return
        row, held = recipe.row, catalog_of(recipe.row)
        path = (*changes[0].path, (row.key, SOURCE))
        verdict = self._verdict(recipe, parts, changes)
        if verdict.catalog != held:
            self.changed[row.key] = Changed(row, verdict.catalog, path)
        if verdict.reasons:
            self._broken[row.key] = Broken(verdict.reasons, path, _output_bump(row, held, verdict.catalog))

    def _verdict(self, recipe: Recipe, parts: Sequence[Part], changes: Sequence[Changed]) -> Verdict:
        gone = next((change for change in changes if change.catalog is None), None)
        if gone is not None:
            return Verdict(None, (lost(gone),))
        old, new = [part[0] for part in parts], [part[1] for part in parts]
        return _composite(recipe, old, new) if recipe.kind == "composite" else self._model(recipe, old[0], new[0])

    def _part(self, reference: str) -> Part:
        """The catalog of a source before and after, and the change if it is a changed one."""
        hit = [c for c in self.changed.values() if self.dependants.accepts(reference, c.row, "formula")]
        if hit:
            change = max(hit, key=lambda c: Version.parse(c.row.record.body["version"]))
            return catalog_of(change.row), change.catalog, change
        row = self.dependants.meant(reference, "formula")
        if row is None:
            return None, None, None
        if self._takes_next(reference):
            change = self.changed[self.root.key]
            return catalog_of(row), change.catalog, change
        return catalog_of(row), catalog_of(row), None

    def _model(self, recipe: Recipe, old: Catalog | None, new: Catalog | None) -> Verdict:
        checkpoint = self.dependants.meant(recipe.checkpoint or "", "checkpoint")
        if checkpoint is None or new is None:
            return Verdict(None, (f'its checkpoint "{recipe.checkpoint}" is not there',))
        body = checkpoint.record.body
        reasons = new.satisfies(DataCatalog.from_json(body["input_catalog"])).reasons
        if reasons:
            return Verdict(None, tuple(map(str, reasons)))
        gives = DataCatalog.from_json(body["output_catalog"])
        return _derived(
            recipe, lambda: _with_kept(gives, old, recipe.keep), lambda: _with_kept(gives, new, recipe.keep)
        )


def _composite(recipe: Recipe, old: Sequence[Catalog | None], new: Sequence[Catalog | None]) -> Verdict:
    missing = [ref for ref, catalog in zip(recipe.sources, new, strict=True) if catalog is None]
    if missing:
        return Verdict(None, (f'its part "{missing[0]}" is not there',))
    return _derived(recipe, lambda: _join(old), lambda: _join(new))


def _derived(recipe: Recipe, before: Callable[[], Catalog], after: Callable[[], Catalog]) -> Verdict:
    """A catalog that was derived changes with its sources; one that was declared stays while they satisfy it."""
    held = catalog_of(recipe.row)
    try:
        made = after()
    except (CatalogMismatch, UsageError) as exc:
        return Verdict(None, (exc.message,))
    if _is_derived(held, before):
        return Verdict(made, tuple(map(str, held.diff(made).breaks("output"))))
    reasons = made.satisfies(held).reasons
    return Verdict(made if reasons else held, tuple(map(str, reasons)))


def _is_derived(held: Catalog, before: Callable[[], Catalog]) -> bool:
    try:
        return before() == held
    except (CatalogMismatch, UsageError):
        return False


def _join(parts: Sequence[Catalog | None]) -> Catalog:
    return join(part for part in parts if part is not None)


def _with_kept(gives: Catalog, source: Catalog | None, keep: Sequence[str]) -> Catalog:
    return gives + source.only(*keep) if keep and source is not None else gives


def _output_bump(row: ArtefactRow, held: Catalog, catalog: Catalog | None) -> str:
    version = Version.parse(row.record.body["version"])
    return mending(version.breaking_level if catalog is None else held.diff(catalog).bump("output", version=version))


def _sorted(followed: Mapping[int, set[int]]) -> list[int]:
    """Sources first. Ranges may close a circle, which no order of checking opens: then in the order of saving."""
    try:
        return list(TopologicalSorter({key: sorted(followed[key]) for key in sorted(followed)}).static_order())
    except CycleError:
        return sorted(followed)
