"""Whether the entries of a bundle can be what they say: each is parsed and bound here as reading will do it later.

A bundle is somebody else's word. Ids prove documents and bytes; all that stands beside them is held against those, and
against the bounds that saving keeps to as well, before the first row is written.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

from jeyn.errors import Corrupt, JeynError
from jeyn.sdk.artefact import PayloadRef, Record, id_of_document
from jeyn.sdk.canonical import canonical, parse
from jeyn.sdk.catalog import DataCatalog
from jeyn.sdk.reference import valid_alias
from jeyn.sdk.relationship import RelationshipType
from jeyn.sdk.schemas import is_known
from jeyn.sdk.version import Version
from jeyn.stores.catalog import bounds
from jeyn.stores.catalog.changes import LEVELS, ORDER
from jeyn.stores.catalog.commit import comparable
from jeyn.stores.catalog.entries import Entry
from jeyn.stores.catalog.reader import ArtefactRow, Marked
from jeyn.stores.payloads.protocol import is_digest

_OWNERS = {"dataset_formula": "formula", "model_checkpoint": "checkpoint", "dataset_batch": "batch"}
# type -> the edges that it may have beyond those of its document, which its id does not prove.
_BESIDE = {
    "value": (RelationshipType.derived_from,),
    "dataset_formula": (RelationshipType.source_formula, RelationshipType.checkpoint_formula),
    "dataset_batch": (RelationshipType.source_batch, RelationshipType.derived_from),
}
_FACTS: Mapping[str, type] = {"metrics": dict, "description": str, "referenced": dict, "statistics": dict, "code": dict}
_UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError, StopIteration)


class Checks:
    """Holds the entries of a bundle against each other as they come, parents first. `sizes` are its payloads' bytes."""

    def __init__(self, path: Path, root: str, sizes: Mapping[str, int]) -> None:
        self.path = path
        self.root = root
        self.sizes = sizes
        self.ids: dict[str, None] = {}
        self.used: set[str] = set()
        self.numbers: set[tuple[str, str]] = set()
        self.members: set[tuple[str, str]] = set()
        self.aliases: set[tuple[str, str]] = set()
        self.parents: dict[str, tuple[str, ...]] = {}
        self.files: dict[str, frozenset[str]] = {}  # by batch: the digests that it may have claimed
        self.shelf = _Shelf()

    def entry(self, entry: Entry) -> None:
        """Raise `Corrupt` unless this can be written and read again."""
        try:
            record = self._record(entry)
            facts = bounds.check_facts(entry.facts)
            self._facts(entry, record, facts)
            self._relations(entry, record)
            self._members(entry, record, facts)
            self._metrics(entry, record, facts)
            self._payloads(entry, record)
            self._claims(entry, record)
            self._marks(entry, record)
            _check_words(entry)
            self.shelf.read(entry, record, facts)
        except Corrupt:
            raise
        except (JeynError, *_UNREADABLE) as exc:
            said = exc.message if isinstance(exc, JeynError) else str(exc)
            raise self._refusal(entry, f"is not what it should be ({said[:200]})") from exc

    def end(self) -> None:
        """Raise `Corrupt` unless this is the root, all that it came from, and nothing besides."""
        if self.root not in self.ids:
            raise refused(self.path, f'it does not have "{self.root[:80]}", which it is about')
        reached, todo = {self.root}, [self.root]
        while todo:
            new = [parent for parent in self.parents[todo.pop()] if parent not in reached]
            reached.update(new)
            todo += new
        strangers = [id for id in self.ids if id not in reached]
        if strangers:
            raise refused(
                self.path, f'it has "{strangers[0]}", which "{self.root}" does not come from ({len(strangers)} such)'
            )
        if set(self.sizes) != self.used:
            raise refused(self.path, "it has payloads of no artefact")

    def _record(self, entry: Entry) -> Record:
        bounds.check_document(entry.document)
        document = entry.document.encode()
        if id_of_document(document) != entry.id or entry.id in self.ids:
            self._refuse(entry, "does not have that id, or comes twice")
        found = parse(document)
        if canonical(found) != document or set(found) != {"schema", "name", "body", "parents", "payloads"}:
            self._refuse(entry, "has a document that no Jeyn wrote")
        bounds.check_record(entry.record)
        return entry.record

    def _facts(self, entry: Entry, record: Record, facts: Mapping[str, Any]) -> None:
        for name, kind in _FACTS.items():
            if not isinstance(facts.get(name, kind()), kind):
                self._refuse(entry, f'has a "{name}" that is no {kind.__name__}')
        levels = facts.get(LEVELS, {})
        if not isinstance(levels, dict) or not all(map(_are_levels, levels.values())):
            self._refuse(entry, "has categories that are no lists of texts")
        orders = [facts[ORDER]] if ORDER in facts else []
        orders += [json.loads(mark.value) for mark in entry.marks if mark.kind == ORDER]
        if orders and record.schema == "dataset_formula/1":
            for order in orders:
                DataCatalog.from_json(record.body["output_catalog"]).in_order(order)

    def _relations(self, entry: Entry, record: Record) -> None:
        edges = {parent for _, parent in entry.edges}
        if len(set(entry.edges)) < len(entry.edges) or not edges >= {each.parent for each in record.parents}:
            self._refuse(entry, "has edges that are not those of its document")
        known = {(int(kind), parent) for kind, parent in _known_parents(record, entry.document)}
        if not known <= set(entry.edges) or not edges <= self.ids.keys():
            self._refuse(entry, "has a parent that does not come before it")
        beside = {type for type, parent in entry.edges if (type, parent) not in known}
        if is_known(record.schema) and not beside <= set(map(int, _BESIDE.get(record.type, ()))):
            self._refuse(entry, "has a parent that its document does not know and its type does not have")
        self.ids[entry.id] = None
        self.parents[entry.id] = tuple(edges)

    def _members(self, entry: Entry, record: Record, facts: Mapping[str, Any]) -> None:
        if record.type == "dataset_batch":
            self.files[entry.id] = frozenset(_members_of(record, facts))
        for member in entry.members:
            known_both = member.formula in self.ids and member.batch in self.ids
            if not known_both or entry.id not in (member.formula, member.batch):
                self._refuse(entry, "claims files for something else")
            if (member.formula, member.member) in self.members:
                self._refuse(entry, "claims files that another batch has")
            if member.member.partition("#")[0] not in self.files.get(member.batch, ()):
                self._refuse(entry, f'claims the file "{member.member[:80]}" for a batch that does not have it')
            self.members.add((member.formula, member.member))

    def _metrics(self, entry: Entry, record: Record, facts: Mapping[str, Any]) -> None:
        judged = {e.parent for e in record.parents if e.type is RelationshipType.evaluation_of} or {entry.id}
        said = record.body.get("metrics", {}) if record.type == "evaluation" else facts.get("metrics", {})
        told = {str(name): comparable(value) for name, value in said.items() if isinstance(value, int | float)}
        if len({(each.subject, each.name) for each in entry.metrics}) < len(entry.metrics):
            self._refuse(entry, "has a metric twice")
        for each in entry.metrics:
            if each.subject not in judged:
                self._refuse(entry, "has metrics of something else")
            if is_known(record.schema) and (each.name not in told or told[each.name] != comparable(each.value)):
                self._refuse(entry, f'says another "{each.name[:80]}" than was measured')

    def _payloads(self, entry: Entry, record: Record) -> None:
        for payload in record.payloads:
            if not _is_payload(payload):
                self._refuse(entry, f'has the payload "{str(payload.name)[:200]}", which cannot be one')
        for payload in entry.bytes_here:
            size = self.sizes.get(payload.digest[7:])
            if size == payload.size:
                self.used.add(payload.digest[7:])
            elif size is not None or not entry.buried:
                self._refuse(entry, f'has the payload "{payload.name}", whose bytes are not in the bundle')

    def _claims(self, entry: Entry, record: Record) -> None:
        owner = _owner(record)
        for each in entry.claims:
            if (each.owner, each.number) in self.numbers or not _may_claim(record, owner, each.owner, each.number):
                self._refuse(entry, f'claims "{each.owner[:80]}@{each.number[:80]}", which is not its to claim')
            self.numbers.add((each.owner, each.number))
        for alias in entry.aliases:
            if record.type not in ("dataset_formula", "model_checkpoint") or alias.owner != owner:
                self._refuse(entry, f'claims the alias "{alias.alias}" of "{alias.owner[:80]}"')
            if (alias.owner, alias.alias) in self.aliases:
                self._refuse(entry, f'claims the alias "{alias.alias}", which another one has')
            self.aliases.add((alias.owner, alias.alias))
            valid_alias(alias.alias)

    def _marks(self, entry: Entry, record: Record) -> None:
        if any(mark.kind == ORDER for mark in entry.marks) and record.type != "dataset_formula":
            self._refuse(entry, "has an order, which only a formula has")
        for mark in entry.marks:
            if mark.kind == "contract":
                if record.type != "use_case":
                    self._refuse(entry, "has a contract, which only a use case has")
                check_contract(mark.value)
            elif mark.kind == "tag":
                bounds.check_text("tag", mark.value, bounds.VALUE)
        if record.schema == "use_case/1" and not any(mark.kind == "contract" for mark in entry.marks):
            self._refuse(entry, "has no contract")

    def _refuse(self, entry: Entry, why: str) -> NoReturn:
        raise self._refusal(entry, why)

    def _refusal(self, entry: Entry, why: str) -> Corrupt:
        return refused(self.path, f'its artefact "{entry.id}" {why}')


class _Shelf:
    """What binding asks of a workspace, answered from the entries of a bundle that have come so far."""

    def __init__(self) -> None:
        self.reader = SimpleNamespace(numbers=self._numbers, marks=self._marks)
        self._entry: Entry
        self._formulas: dict[str, Any] = {}

    def read(self, entry: Entry, record: Record, facts: Mapping[str, Any]) -> None:
        """Raises whatever reading the artefact would, once it is in a catalog."""
        from jeyn.stores.binding import bind

        self._entry = entry
        row = ArtefactRow(
            1, entry.id, record.type, record.schema, record.name, entry.document, facts,
            entry.quarantined, entry.actor, entry.at,
        )  # fmt: skip
        bound = bind(self, row)  # type: ignore[arg-type]  # as much of a workspace as binding needs
        if record.type == "dataset_formula":
            self._formulas[entry.id] = bound
        if record.type not in ("dataset_batch",) or entry.claims:
            _ = bound.ref
        _ = bound.created_at.isoformat()

    def formula_by_id(self, id: str) -> Any:
        return self._formulas[id]

    def contract(self, row: ArtefactRow) -> Mapping[str, Any]:
        return check_contract(next(mark.value for mark in self._entry.marks if mark.kind == "contract"))

    def _numbers(self, _key: int) -> list[str]:
        return [claim.number for claim in self._entry.claims]

    def _marks(self, _id: str) -> list[Marked]:
        return [Marked(m.kind, m.value, m.present, m.reason, m.actor, m.at, 0) for m in self._entry.marks]


def _check_words(entry: Entry) -> None:
    """What beside the id is free text has to be one that every database keeps."""
    actors = [entry.actor, *(claim.actor for claim in entry.claims), *(mark.actor for mark in entry.marks)]
    reasons = [*(mark.reason for mark in entry.marks), *(alias.reason for alias in entry.aliases)]
    for actor in actors:
        bounds.check_text("actor", actor, bounds.ACTOR, least=0)
    for reason in reasons:
        bounds.check_text("reason", reason, bounds.REASON, least=0)
    for name in (*(each.name for each in entry.metrics), *(each.member for each in entry.members)):
        bounds.check_text("name", name, 2000)


def check_contract(text: str) -> Mapping[str, Any]:
    """The contract of a use case: two catalogs and a description; raises `Invalid` or the like."""
    contract: dict[str, Any] = parse(text)
    bounds.check_depth(contract, "contracts")
    DataCatalog.from_json(contract["input_catalog"])
    DataCatalog.from_json(contract["output_catalog"])
    bounds.check_text("description", contract.get("description", ""), bounds.VALUE, least=0)
    return contract


def refused(path: Path, why: str) -> Corrupt:
    return Corrupt(f'"{path}" cannot be imported: {why}', hint="export it again; nothing was written")


def _members_of(record: Record, facts: Mapping[str, Any]) -> Iterator[str]:
    """What a batch may have claimed: its files, those that it left out as bad, and where its rows began."""
    yield from (payload.digest for payload in record.payloads)
    with suppress(AttributeError, TypeError):
        yield from (str(bad["digest"]) for bad in facts.get("bad_files", ()))
    window = record.body.get("window")
    if isinstance(window, dict):
        yield f"start:{window.get('start')}"


def _known_parents(record: Record, document: str) -> Iterator[tuple[RelationshipType, str]]:
    for kind, parent in parse(document)["parents"]:
        if kind in RelationshipType.__members__:
            yield RelationshipType[kind], parent


def _are_levels(levels: object) -> bool:
    if not isinstance(levels, list) or not all(isinstance(level, str) for level in levels):
        return False
    return len(set(levels)) == len(levels)


def _is_payload(payload: PayloadRef) -> bool:
    digest = payload.digest
    return isinstance(digest, str) and digest.startswith("sha256:") and is_digest(digest[7:])


def _owner(record: Record) -> str | None:
    """Whose numbers an artefact of a known type may claim."""
    kind = _OWNERS.get(record.type)
    if kind != "batch":
        return f"{kind}:{record.name}" if kind else None
    formulas = [edge.parent for edge in record.parents if edge.type is RelationshipType.formula_batch]
    return f"batch:{formulas[0][7:]}" if len(formulas) == 1 else None


def _may_claim(record: Record, owner: str | None, claimed: str, number: str) -> bool:
    if owner is None or claimed != owner:
        # What a newer Jeyn numbers is its own affair, but never what this one does.
        return not is_known(record.schema) and claimed.partition(":")[0] not in _OWNERS.values()
    if record.type == "dataset_batch":
        is_epoch = number.isascii() and number.isdecimal() and len(number) < 20 and str(int(number)) == number
        return is_epoch and 0 < int(number) <= bounds.LARGEST_EPOCH
    version = Version.parse(number)
    if record.type == "dataset_formula" and is_known(record.schema) and number != record.body["version"]:
        return False
    return str(version) == number and max(version.major, version.minor, version.patch) <= bounds.LARGEST
