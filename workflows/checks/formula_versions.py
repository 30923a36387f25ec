"""What saving the formulas of a plan would refuse, known without saving: a version taken, or a bump too small."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from jeyn.errors import BumpTooSmall, JeynError, Unsaved, VersionTaken
from jeyn.sdk.artefact import Record
from jeyn.sdk.catalog import DataCatalog
from jeyn.sdk.compatibility import CatalogDiff
from jeyn.sdk.datasets import DatasetFormula
from jeyn.sdk.version import Version
from jeyn.stores.catalog.reader import owner_of
from jeyn.stores.veto import check_bump
from jeyn.workflows.checks.wiring import Found

if TYPE_CHECKING:
    from jeyn.stores.workspace import Workspace


def refused_versions(workspace: Workspace, formulas: Iterable[tuple[str, DatasetFormula]]) -> Iterator[Found]:
    """What is wrong with formulas, each given with the operation that uses it."""
    by_version: dict[str, dict[str, tuple[str, DatasetFormula]]] = {}
    for operation, formula in formulas:
        try:
            id = formula.record().id
        except Unsaved:  # its catalog is derived when it is saved
            continue
        by_version.setdefault(f"{formula.name}@{formula.version}", {}).setdefault(id, (operation, formula))
    for text, found in by_version.items():
        operation, formula = next(iter(found.values()))
        if len(found) > 1:
            message = f'two different formulas of this pipeline are "{text}"'
            yield operation, VersionTaken(message, hint="give one of them another name, or another version")
        elif error := _refusal(workspace, formula, formula.record()):
            yield operation, error


def _refusal(workspace: Workspace, formula: DatasetFormula, record: Record) -> JeynError | None:
    held = {c.number: c.id for c in workspace.reader.claims(owner_of("formula", formula.name))}
    taken = held.get(str(formula.version))
    if taken == record.id:
        return None
    if taken is not None:
        return _taken(workspace, formula, record, taken, max(map(Version.parse, held)))
    below = [version for version in map(Version.parse, held) if version < formula.version and not version.is_prerelease]
    return _too_small(workspace, record, formula.version, max(below), held) if below else None


def _taken(workspace: Workspace, formula: DatasetFormula, record: Record, id: str, highest: Version) -> JeynError:
    old = workspace.row(id).record
    change = _change(old, record)
    recipes = [] if old.body["recipe"] == record.body["recipe"] else ["the recipe differs"]
    what = "; ".join([*recipes, *str(change).splitlines()[:-1]] if change else recipes)
    level = change.bump("output", version=highest)
    free = highest.bump("patch" if level == "none" else level)
    return VersionTaken(
        f"{formula.name}@{formula.version} is taken by other content and cannot change: {what or 'it differs'}",
        hint=f'give this one version="{free}"',
        refs=[id],
    )


def _too_small(
    workspace: Workspace, record: Record, version: Version, base: Version, held: Mapping[str, str]
) -> JeynError | None:
    """As the veto of `dataset_store.save_formula` says it."""
    change = _change(workspace.row(held[str(base)]).record, record)
    try:
        check_bump(f"{record.name}@{base}", base, version, [change.bump("output", version=base)], [str(change)])
    except BumpTooSmall as error:
        return error
    return None


def _change(old: Record, new: Record) -> CatalogDiff:
    before, after = old.body["output_catalog"], new.body["output_catalog"]
    return DataCatalog.from_json(before).diff(DataCatalog.from_json(after))
