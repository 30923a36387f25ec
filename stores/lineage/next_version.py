"""The version that a formula with a new catalog would have: the smallest legal one that is not taken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from jeyn.sdk.catalog import DataCatalog
from jeyn.sdk.reference import Latest, Range, Reference
from jeyn.sdk.version import Version
from jeyn.stores.catalog.reader import ArtefactRow, Reader, owner_of


@dataclass(frozen=True)
class Next:
    """`version` is None where nothing changes; `base` is what it would build on, `bump` the step from there."""

    version: Version | None
    base: Version
    bump: str
    is_highest: bool = False

    def is_meant_by(self, reference: str) -> bool:
        """Whether a reference to this formula would mean the next version once it is there."""
        match Reference.parse(reference).selector:
            case Range(versions):
                return self.version is not None and versions.contains(self.version)
            case None | Latest():
                return self.is_highest
        return False


def next_version(reader: Reader, row: ArtefactRow, new: type[DataCatalog]) -> Next:
    """What saving the formula of `row` with this catalog would claim, as `save_formula` judges it."""
    released = _released(reader, row.name)
    base = Version.parse(row.record.body["version"])
    released.setdefault(base, row)
    while True:
        level = (
            DataCatalog.from_json(released[base].record.body["output_catalog"]).diff(new).bump("output", version=base)
        )
        if level == "none" and released[base].key == row.key:
            return Next(None, base, level)
        version = base.bump("patch" if level == "none" else level)
        below = max(each for each in released if each <= version)
        if below <= base:
            return Next(version, base, level, is_highest=version > max(released))
        base = below


def _released(reader: Reader, name: str) -> dict[Version, ArtefactRow]:
    found: Mapping[str, str] = {each.number: each.id for each in reader.claims(owner_of("formula", name))}
    versions = {Version.parse(number): reader.row(id) for number, id in found.items()}
    return {version: row for version, row in versions.items() if row is not None and not version.is_prerelease}
