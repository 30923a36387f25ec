"""What one commit writes, as data: built by the stores outside any lock, applied by `commit.py` in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from jeyn.sdk.artefact import Edge, Record
from jeyn.sdk.version import Version
from jeyn.stores.catalog import bounds

# The fact of a formula, or for an older one its mark, that tells the order of its features; the first one stays.
ORDER = "order"

Veto = Callable[[Version, Record, Version, Record], None]


@dataclass(frozen=True)
class VersionClaim:
    """A version to claim for an owner: a bump of `base` (default: the highest released), or `exact`.

    `veto(base version, base record, new version, new record)` raises when the bump is too small for the change.
    """

    owner: str
    level: Literal["patch", "minor", "major", "exact"]
    exact: Version | None = None
    base: Version | None = None
    veto: Veto | None = None


@dataclass(frozen=True)
class EpochClaim:
    """The next epoch of one formula version."""

    owner: str


Claim = VersionClaim | EpochClaim

# The fact of a batch that tells the categories of its features, up to it, in the order of their codes.
LEVELS = "levels"


def grown(before: Mapping[str, Iterable[str]], own: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    """Categories by feature: those of the batch before, and after them what this one has beyond them."""
    names = dict.fromkeys((*before, *own))
    return {name: list(dict.fromkeys((*before.get(name, ()), *own.get(name, ())))) for name in names}


@dataclass(frozen=True)
class NewArtefact:
    """An artefact to create unless it exists, with the edges, claims and facts that come with it.

    `inline` are payloads of it that the commit itself writes, a few bytes each, by bare digest; all others are put
    before, under a lease.

    Raises `Invalid` where the record is not what its schema says.
    """

    record: Record
    facts: Mapping[str, Any] = field(default_factory=dict)
    edges: tuple[Edge, ...] = ()
    claim: Claim | None = None
    # Batch membership (SEMANTICS 13): (member, id of the batch that has it, or "" for this one).
    members: tuple[tuple[str, str], ...] = ()
    formula: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    external: frozenset[str] = frozenset()
    # Categories of a batch's features; what is kept are those of the batch before it, and after them these.
    # `relied` are those that somebody has read already, before the commit settled them.
    levels: Mapping[str, Sequence[str]] = field(default_factory=dict)
    relied: Mapping[str, Sequence[str]] | None = None
    quarantined: bool = False
    inline: Mapping[str, bytes] = field(default_factory=dict)
    event: str = "jeyn.artefact.saved"

    def __post_init__(self) -> None:
        bounds.check_record(self.record)
        for name in self.metrics:
            bounds.check_text("name of a metric", name, bounds.METRIC)


@dataclass(frozen=True)
class AliasMove:
    """An alias of an owner set to an artefact, or taken away. `over`: only if it points there now ("" for nowhere)."""

    owner: str
    alias: str
    target: str | None
    verb: str
    reason: str
    over: str | None = None
    event: str = "jeyn.alias.moved"

    def __post_init__(self) -> None:
        bounds.check_text("alias", self.alias, bounds.ALIAS)
        bounds.check_text("reason", self.reason, bounds.REASON, least=0)


@dataclass(frozen=True)
class Mark:
    """A tag, pin, tombstone, withdrawal, contract or order put on an artefact, or taken off."""

    artefact: str
    kind: str
    value: str = ""
    present: bool = True
    reason: str = ""
    event: str = "jeyn.artefact.marked"

    def __post_init__(self) -> None:
        bounds.check_text("reason", self.reason, bounds.REASON, least=0)
        bounds.check_text(self.kind, self.value, bounds.VALUE, least=0)


@dataclass(frozen=True)
class Observation:
    """What an operation read, and the answer it got: data that JSON can hold (`stores/observation.py`)."""

    kind: str
    subject: str
    answer: Any


@dataclass(frozen=True)
class CacheKey:
    """The bare hex digest under which an operation's result is found, and what went into it, for explaining a miss."""

    digest: str
    components: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class NewAttempt:
    """A try of an operation that began `at` (microseconds, UTC), under a key that was drawn for it.

    It need not be in the catalog before it ends: most are over before anyone could look.
    """

    key: int
    operation: int
    number: int
    host: str
    pid: int
    at: int


Ends = tuple[tuple[str, int, str], ...]  # (name, position, artefact id)


@dataclass(frozen=True)
class Fence:
    """The end of an operation: only one attempt of it commits (SEMANTICS 9). Both are row keys.

    With `cache` and `observations` a later run may take the result over, unless there were effects (SEMANTICS 19).
    `begun` is the attempt where nobody may have recorded it yet.
    `holder` is whose leases end here: what is committed protects its payloads itself.
    `held` is the operation whose held work this is; `seconds` is how long the operation took, by a monotonic
    clock: it began so long before its end.
    """

    operation: int
    attempt: int
    outputs: Ends = ()
    inputs: Ends = ()
    cache: CacheKey | None = None
    observations: tuple[Observation, ...] | None = ()
    effects: tuple[str, ...] = ()
    log: str = ""
    holder: str = ""
    begun: NewAttempt | None = None
    held: int | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Holds:
    """A batch has the files at these paths from now on: what other batches of the formula have there is superseded.

    `listed` are the bare digests of all files that the source means now: what only moved to another path, or is at
    two, is not replaced (SEMANTICS 32).
    """

    formula: str
    batch: str
    paths: tuple[str, ...]
    listed: frozenset[str] = frozenset()


Change = NewArtefact | AliasMove | Mark | Holds | Fence


@dataclass(frozen=True)
class Outcome:
    """What became of a `NewArtefact`: the claim it has now, and whether this commit created it or its claim."""

    id: str
    number: str | None
    at: int
    actor: str
    is_new: bool
    facts: Mapping[str, Any]
    quarantined: bool
