"""What differs between two artefacts of one type: recipe, catalogs, parents, payloads, metrics."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from jeyn.errors import UsageError
from jeyn.sdk.artefact import Artefact
from jeyn.sdk.catalog import DataCatalog

CATALOGS = ("output_catalog", "input_catalog")


@dataclass(frozen=True)
class Difference:
    """Pairs of (old, new) by what they are; catalogs are compared feature by feature."""

    old: str
    new: str
    changes: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    catalogs: dict[str, Any] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        return not self.changes and not self.catalogs

    def to_json(self) -> dict[str, Any]:
        return {
            "old": self.old,
            "new": self.new,
            "changes": {name: {"old": old, "new": new} for name, (old, new) in self.changes.items()},
            "catalogs": {name: str(change) for name, change in self.catalogs.items()},
        }

    def __str__(self) -> str:
        if self.is_empty:
            return f"{self.old} and {self.new} do not differ"
        lines = [f"{self.old} → {self.new}"]
        lines += [f"  {name}: {old} → {new}" for name, (old, new) in self.changes.items()]
        lines += [f"  {name}: {change}" for name, change in self.catalogs.items()]
        return "\n".join(lines)


def diff(old: Artefact, new: Artefact) -> Difference:
    """Compare two saved artefacts; raises `UsageError` for two types."""
    if old.type != new.type:
        raise UsageError(f"a {old.type} and a {new.type} cannot be compared", hint="give two of one type")
    before, after = _shown(old), _shown(new)
    changes = {
        key: (before.get(key), after.get(key))
        for key in dict.fromkeys((*before, *after))
        if before.get(key) != after.get(key)
    }
    return Difference(old.ref, new.ref, changes, _catalog_changes(old, new))


def _catalog_changes(old: Artefact, new: Artefact) -> dict[str, Any]:
    found = {}
    for role in CATALOGS:
        before, after = old.record().body.get(role), new.record().body.get(role)
        if before is not None and after is not None and before != after:
            found[role] = DataCatalog.from_json(before).diff(DataCatalog.from_json(after))
    return found


def _shown(artefact: Artefact) -> dict[str, Any]:
    record = artefact.record()
    shown = {key: value for key, value in record.body.items() if key not in CATALOGS}
    shown |= {f"payload {payload.name}": payload.digest for payload in record.payloads}
    shown |= {"parents": sorted(f"{edge.type.name} {edge.parent}" for edge in record.parents)}
    return shown | {f"{name}": value for name, value in artefact.facts.items() if name in ("metrics", "rows")}
