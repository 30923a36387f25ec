"""What is saved: the immutable record of an artefact, its id, and the base class of everything that has one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Self

from jeyn.errors import Unsaved, UsageError
from jeyn.sdk.canonical import canonical, parse, sha256_of
from jeyn.sdk.relationship import RelationshipType

if TYPE_CHECKING:
    from jeyn.sdk.workspace import Lineage, Workspace

LATEST = 253_402_128_000_000_000  # µs: 9999-12-31, UTC
ID_PREFIX = b"jeyn/artefact/1\n"


@dataclass(frozen=True, slots=True)
class Edge:
    """A relationship seen from its child: the type and the parent's id (`sha256:…`)."""

    type: RelationshipType
    parent: str


@dataclass(frozen=True, slots=True)
class PayloadRef:
    """Bytes that belong to an artefact: their name in it, their digest (`sha256:…`) and their size in bytes."""

    name: str
    digest: str
    size: int


@dataclass(frozen=True)
class Record:
    """What a person declared and what the bytes are: all that is in an artefact's id (SEMANTICS 1-3).

    `parents` are the ones that define it; lineage may know more edges than these.
    """

    schema: str
    name: str
    body: Mapping[str, Any]
    parents: tuple[Edge, ...] = ()
    payloads: tuple[PayloadRef, ...] = ()

    @property
    def type(self) -> str:
        return self.schema.partition("/")[0]

    @cached_property
    def document(self) -> bytes:
        """The canonical form that is stored and hashed."""
        return canonical(
            {
                "schema": self.schema,
                "name": self.name,
                "body": self.body,
                "parents": sorted([e.type.name, e.parent] for e in self.parents),
                "payloads": [[p.name, p.digest, p.size] for p in self.payloads],
            }
        )

    @cached_property
    def id(self) -> str:
        return id_of_document(self.document)

    @classmethod
    def from_document(cls, document: bytes | str) -> Self:
        found = parse(document)
        return cls(
            schema=found["schema"],
            name=found["name"],
            body=found["body"],
            parents=tuple(Edge(_relationship(kind), parent) for kind, parent in found["parents"]),
            payloads=tuple(PayloadRef(*payload) for payload in found["payloads"]),
        )


def id_of_document(document: bytes) -> str:
    return sha256_of(ID_PREFIX + document)


def _relationship(name: str) -> RelationshipType:
    # What a newer Jeyn wrote stays traversable: its edges are rows, its document is only shown.
    known = RelationshipType.__members__
    return known.get(name, RelationshipType.derived_from)


@dataclass(frozen=True)
class Saved:
    """What the store knows beside the record: the claim, the facts, who and when, and the way back to the bytes."""

    id: str
    number: str | None
    created_at: datetime
    actor: str
    facts: Mapping[str, Any]
    workspace: Workspace = field(compare=False, repr=False)
    is_new: bool = field(default=False, compare=False)
    quarantined: bool = False
    staged: bool = field(default=False, compare=False)


class Artefact:
    """Base of all that can be saved. Unsaved it only declares; what a store returns is bound to that store."""

    type: ClassVar[str]
    ref_kind: ClassVar[str] = ""
    saved: Saved | None = None

    def record(self) -> Record:
        """The immutable record; raises `Unsaved` where only the store can complete it."""
        raise Unsaved(f"this {self.type} has no record yet", hint="save it first")

    @property
    def id(self) -> str:
        """`sha256:…`; raises `Unsaved` before saving."""
        return self._need_saved("id").id

    @property
    def created_at(self) -> datetime:
        return self._need_saved("creation time").created_at

    @property
    def actor(self) -> str:
        return self._need_saved("actor").actor

    @property
    def facts(self) -> Mapping[str, Any]:
        """What stands beside the id: statistics, metrics, marks."""
        return self.saved.facts if self.saved else {}

    @property
    def is_saved(self) -> bool:
        return self.saved is not None

    @property
    def is_new(self) -> bool:
        """Whether the save that returned this object created it."""
        return self._need_saved("is_new").is_new

    @property
    def is_swept(self) -> bool:
        """Whether its bytes were swept or given up as lost; its place in every list stays."""
        return self.saved is not None and self.saved.workspace.is_swept(self.saved.id)

    @property
    def is_quarantined(self) -> bool:
        return self.saved is not None and self.saved.quarantined

    @property
    def ref(self) -> str:
        """The shortest reference that always means this artefact."""
        return self.id

    def upstream(self, depth: int | None = None, types: tuple[str, ...] = ()) -> Lineage:
        """What this came from."""
        return self._need_saved("lineage").workspace.upstream(self.id, depth=depth, types=types)

    def downstream(self, depth: int | None = None, types: tuple[str, ...] = ()) -> Lineage:
        """What came from this."""
        return self._need_saved("lineage").workspace.downstream(self.id, depth=depth, types=types)

    def bound(self, saved: Saved) -> Self:
        """The same declaration as the store returned it."""
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__, saved=saved)
        return twin

    def _need_saved(self, what: str) -> Saved:
        if self.saved is None:
            raise Unsaved(f"this {self.type} is not saved, so it has no {what}", hint=f"save the {self.type} first")
        return self.saved

    def _claimed(self, what: str) -> str:
        """The version or epoch that saving gave."""
        saved = self._need_saved(what)
        if saved.number is None:
            if saved.staged:
                why = f"the {what} is given when the operation commits"
            else:
                why = "it is in quarantine, which gives no number" if saved.quarantined else "it was never claimed"
            raise Unsaved(f"this {self.type} has no {what}: {why}", hint="refer to it by its id", refs=[saved.id])
        return saved.number

    def _identity(self) -> object:
        if self.saved is not None:
            return self.saved.id
        try:
            return self.record().id
        except Unsaved:
            return id(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Artefact) and self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def _repr_html_(self) -> str:
        from jeyn.sdk.html import artefact_html

        return artefact_html(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.ref if self.saved else '(unsaved)'}>"


def at_microseconds(at: int) -> datetime:
    """The catalog keeps times as microseconds since the epoch, UTC; what a damaged row says becomes the nearest one."""
    at = min(max(at, 0), LATEST)
    return datetime.fromtimestamp(at / 1_000_000, UTC)


def expect(what: object, kind: type[Artefact]) -> None:
    """Raise `UsageError` when a store is given something else than what it keeps."""
    if not isinstance(what, kind):
        raise UsageError(f"{what!r} is no {kind.__name__}", hint=f"give the {kind.__name__} object itself")
