"""What differs between two artefacts of one type: recipe, catalogs, parents, payloads, metrics."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from jeyn.errors import UsageError
from jeyn.sdk.artefact import Artefact
from jeyn.sdk.catalog import DataCatalog

CATALOGS = ("output_catalog", "input_catalog")
PARENTS = "parents"


@dataclass(frozen=True)
class Difference:
    """Pairs of (old, new) by what they are; catalogs are compared by feature. `labels` name parents for people."""

    old: str
    new: str
    changes: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    catalogs: dict[str, Any] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict, repr=False)

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
        return "\n".join([f"{self.old} → {self.new}", *(f"  {line}" for line in self._lines())])

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(str(self))

    def _repr_html_(self) -> str:
        from jeyn.sdk.html import difference_html

        plain = dict(_flat((name, *pair) for name, pair in self.changes.items() if name != PARENTS))
        others = replace(self, changes={name: pair for name, pair in self.changes.items() if name == PARENTS})
        return difference_html(f"{self.old} → {self.new}", plain, list(others._lines()))

    def _lines(self) -> Iterator[str]:
        for name, (old, new) in self.changes.items():
            if name == PARENTS:
                yield f"{PARENTS}:"
                yield from (f"  - {self._parent(each)}" for each in old if each not in new)
                yield from (f"  + {self._parent(each)}" for each in new if each not in old)
            else:
                yield from _changed(name, old, new)
        for name, change in self.catalogs.items():
            yield f"{name}:"
            yield from (f"  {line}" for line in str(change).splitlines())

    def _parent(self, edge: str) -> str:
        kind, _, id = edge.partition(" ")
        return f"{self.labels.get(id) or _short(id)}  ({kind})"


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
    changes |= _order_changes(old, new)
    return Difference(old.ref, new.ref, changes, _catalog_changes(old, new), _labels(old) | _labels(new))


def _catalog_changes(old: Artefact, new: Artefact) -> dict[str, Any]:
    found = {}
    for role in CATALOGS:
        before, after = old.record().body.get(role), new.record().body.get(role)
        if before is not None and after is not None and before != after:
            found[role] = DataCatalog.from_json(before).diff(DataCatalog.from_json(after))
    return {role: change for role, change in found.items() if change}


def _order_changes(old: Artefact, new: Artefact) -> dict[str, tuple[Any, Any]]:
    """Catalogs that have the same features in another order."""
    found = {}
    for role in CATALOGS:
        before, after = (list(getattr(each, role).features) for each in (old, new)) if hasattr(old, role) else ([], [])
        if before != after and set(before) == set(after):
            found[f"order of {role}"] = (before, after)
    return found


def _shown(artefact: Artefact) -> dict[str, Any]:
    record = artefact.record()
    shown = {key: value for key, value in record.body.items() if key not in CATALOGS}
    shown |= {f"payload {payload.name}": payload.digest for payload in record.payloads}
    shown |= {PARENTS: sorted(f"{edge.type.name} {edge.parent}" for edge in record.parents)}
    return shown | {f"{name}": value for name, value in artefact.facts.items() if name in ("metrics", "rows")}


def _labels(artefact: Artefact) -> dict[str, str]:
    """What the parents are called; what an attempt has only staged has no lineage yet."""
    if artefact.saved is None or artefact.saved.staged:
        return {}
    return {node.id: node.label for node in artefact.upstream(depth=1)}


def _flat(changes: Iterable[tuple[str, Any, Any]]) -> Iterator[tuple[str, tuple[Any, Any]]]:
    """Each changed key of a mapping by itself."""
    for name, old, new in changes:
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            keys = (key for key in dict.fromkeys((*old, *new)) if old.get(key) != new.get(key))
            yield from _flat((f"{name}.{key}", old.get(key), new.get(key)) for key in keys)
        else:
            yield name, (old, new)


def _changed(name: str, old: Any, new: Any) -> Iterator[str]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in dict.fromkeys((*old, *new)):
            if old.get(key) != new.get(key):
                yield from _changed(f"{name}.{key}", old.get(key), new.get(key))
    elif old is None or new is None:
        yield f"+ {name}: {_short(new)}" if old is None else f"- {name}: {_short(old)}"
    else:
        yield f"{name}: {_short(old)} → {_short(new)}"


def _short(value: Any) -> str:
    """Text as it is, but of an id or a digest only its beginning; anything else as JSON."""
    if isinstance(value, str):
        return f"{value[:19]}…" if value.startswith("sha256:") else value
    return json.dumps(value, ensure_ascii=False, default=str)
