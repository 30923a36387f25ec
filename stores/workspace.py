"""A workspace: one catalog, one payload store and the two stores over them. `jeyn.open(home=…)` makes one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from jeyn.errors import Busy, NotFound, UsageError
from jeyn.sdk.artefact import Artefact, PayloadRef, Saved, at_microseconds
from jeyn.sdk.canonical import sha256_of
from jeyn.sdk.recorder import refuse_stores
from jeyn.sdk.reference import Alias, Reference, valid_alias
from jeyn.settings import Settings
from jeyn.stores.binding import bind
from jeyn.stores.catalog.changes import AliasMove, Change, Mark, Outcome
from jeyn.stores.catalog.commit import MembersTaken, PayloadsCondemned, commit
from jeyn.stores.catalog.database import Database
from jeyn.stores.catalog.leases import Leases
from jeyn.stores.catalog.reader import ArtefactRow, Event, Marked, Moved, Reader, owner_of
from jeyn.stores.catalog.small import SmallPayloads
from jeyn.stores.home import open_catalog
from jeyn.stores.payloads import HashedFile, hash_file, is_far, open_payloads
from jeyn.stores.payloads.layered import LayeredPayloads
from jeyn.stores.plain_call import SEED, scratch_until_exit
from jeyn.stores.resolve import resolve

if TYPE_CHECKING:
    import pyarrow as pa

    from jeyn.sdk.datasets import DatasetFormula
    from jeyn.sdk.datasets.batch import DatasetBatch
    from jeyn.sdk.datasets.selection import Selection
    from jeyn.stores.attempt import Attempt
    from jeyn.stores.dataset_store import DatasetStore
    from jeyn.stores.lineage import Lineage
    from jeyn.stores.lineage.impact import Impact
    from jeyn.stores.model_store import ModelStore
    from jeyn.stores.runs import Runs
    from jeyn.stores.serializers import SerializerTable
    from jeyn.stores.sources.root import DataRoot
    from jeyn.stores.stat_cache import StatCache

TRIES = 20
# What every twin of a workspace must have in common with it.
SHARED = ("database", "payloads", "serializers", "stat_cache", "_formulas")


class Workspace:
    """Everything that one home holds. Cheap to make: nothing is opened before it is used. Safe in threads and forks."""

    is_attempt = False
    is_running = False  # whether operations run here: then a catalog that is away at the beginning is waited for too
    tolerant = False  # reads whatever stands in the catalog, for those who list and check
    seed = SEED  # for random generators, 32 bits; an operation that runs has one of its own

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @classmethod
    def open(cls, start: Path | None = None, **places: Any) -> Workspace:
        """A workspace by its places (`home`, `catalog`, `payloads`, `data`, `actor`), the rest from settings."""
        refuse_stores("open")
        return cls(Settings.load(start, **places))

    def __repr__(self) -> str:
        return f"<Workspace {self.settings.home}>"

    def __reduce__(self) -> tuple[Callable[..., Workspace], tuple[Settings]]:
        return Workspace, (self.settings,)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the database connections; the next use opens new ones."""
        if "database" in self.__dict__:
            self.database.dispose()
        if "stat_cache" in self.__dict__:
            self.stat_cache.close()

    def at(self, settings: Settings) -> Workspace:
        """The same catalog and payloads, with what else `settings` say; what is open is shared and closed once."""
        twin = Workspace(settings)
        same = ("database", "payloads", "is_running")
        twin.__dict__.update({name: self.__dict__[name] for name in same if name in self.__dict__})
        return twin

    # What it is made of, each opened when first used.

    @cached_property
    def database(self) -> Database:
        return open_catalog(self.settings, waits=self.is_running, tolerant=self.tolerant)

    @cached_property
    def payloads(self) -> LayeredPayloads:
        url = self.settings.payloads
        files = url if is_far(url) else open_payloads(url)
        return LayeredPayloads(SmallPayloads(self.database), files, self.settings.actor)

    @cached_property
    def reader(self) -> Reader:
        return Reader(self.database)

    @cached_property
    def serializers(self) -> SerializerTable:
        from jeyn.stores.serializers import default_table

        table = default_table().of_project(self.settings.root, self.settings.trusted)
        if self.settings.serializers:
            from jeyn.stores.serializers.configured import register_configured

            register_configured(table, self.settings.serializers, self.settings.root)
        return table

    @cached_property
    def data_root(self) -> DataRoot:
        from jeyn.stores.sources.open import open_root

        return open_root(self.settings.data, self.settings.data_links)

    @cached_property
    def stat_cache(self) -> StatCache:
        from jeyn.stores.stat_cache import StatCache

        return StatCache(self.settings.home / "stat-cache.db")

    @cached_property
    def dataset_store(self) -> DatasetStore:
        from jeyn.stores.dataset_store import DatasetStore

        return DatasetStore(self)

    @cached_property
    def model_store(self) -> ModelStore:
        from jeyn.stores.model_store import ModelStore

        return ModelStore(self)

    @cached_property
    def runs(self) -> Runs:
        from jeyn.stores.runs import Runs

        return Runs(self)

    @cached_property
    def scratch(self) -> Path:
        """A folder for files that is gone when this process ends; in an operation that runs, when its attempt ends."""
        return scratch_until_exit()

    @property
    def outside(self) -> Workspace:
        """Where commits happen at once, also from inside an attempt: for quarantine."""
        return self

    def unclaimed_ancestors(self, ids: Sequence[str]) -> list[Change]:
        """What an attempt has staged of these and what they come from, for a commit ahead of its own."""
        return []

    # Reading.

    def row(self, ref: str | Reference | Artefact, kind: str | None = None) -> ArtefactRow:
        """The stored row that a reference means; raises `NotFound` or `Ambiguous`."""
        return self.find_row(ref, kind)

    def get(self, ref: str | Reference | Artefact, kind: str | None = None) -> Any:
        """The artefact of any type that a reference means, bound to this workspace."""
        return bind(self, self.row(ref, kind))

    def find_row(self, ref: str | Reference | Artefact, kind: str | None = None) -> ArtefactRow:
        """`row`, for what Jeyn reads on its own account: an attempt does not observe it (SEMANTICS 17)."""
        return resolve(self.reader, ref.id if isinstance(ref, Artefact) else ref, kind)

    def find(self, ref: str | Reference | Artefact, kind: str | None = None) -> Any:
        """`get`, for what Jeyn reads on its own account."""
        return bind(self, self.find_row(ref, kind))

    def observe(self, kind: str, subject: str, answer: Any) -> None:
        """Note what was read and what it gave; only an attempt keeps it, for the cache."""

    def forbid_cache(self, reason: str) -> None:
        """Say that something was read whose answer cannot be compared later; only an attempt minds."""

    def rely_on(self, batch: DatasetBatch) -> None:
        """Note that the categories of a batch were read; only an attempt minds, whose batches are not settled yet."""

    def bound(self, id: str, *, is_new: bool = False) -> Any:
        """The artefact with this whole id."""
        row = self.reader.row(id)
        if row is None:
            raise NotFound(f'no artefact has the id "{id}"', hint="search shows what there is", refs=[id])
        return bind(self, row, is_new=is_new)

    def saved(self, outcome: Outcome) -> Saved:
        """What a commit said, for an object that is at hand already."""
        return Saved(
            id=outcome.id,
            number=outcome.number,
            created_at=at_microseconds(outcome.at),
            actor=outcome.actor,
            facts=outcome.facts,
            workspace=self,
            is_new=outcome.is_new,
            quarantined=outcome.quarantined,
            staged=self.is_attempt,
        )

    def holds(self, artefact: Artefact) -> bool:
        """Whether this object is saved here. One that another workspace saved is not, nor one that was discarded.

        Formulas and use cases are declarations and can be saved again; batches and checkpoints have their bytes
        elsewhere, so they raise `NotFound`.
        """
        if artefact.saved is None or self.reader.row(artefact.id) is not None:
            return artefact.saved is not None
        if artefact.type in ("dataset_batch", "model_checkpoint"):
            raise NotFound(
                f'"{artefact.ref}" was saved in another workspace, or by an attempt that was discarded',
                hint="export it there and import it here",
                refs=[artefact.id],
            )
        return False

    def formula_by_id(self, id: str) -> DatasetFormula:
        """A formula, kept in memory: every batch asks for its own."""
        if id not in self._formulas:
            self._formulas[id] = self.bound(id)
        return self._formulas[id]

    @cached_property
    def _formulas(self) -> dict[str, DatasetFormula]:
        return {}

    def contract(self, use_case: ArtefactRow) -> Mapping[str, Any]:
        """The catalogs that were last given to a use case (SEMANTICS 6)."""
        import json

        contracts = [mark.value for mark in self.reader.marks(use_case.id) if mark.kind == "contract"]
        if not contracts:
            raise NotFound(f'the use case "{use_case.name}" has no contract', hint="save_use_case(...) again")
        found: Mapping[str, Any] = json.loads(contracts[-1])
        return found

    def load(self, artefact: Artefact, selection: Selection | None = None) -> Any:
        """The content of a saved artefact: a table (or what is selected of it), a model or a value, every byte checked
        by digest; the bytes of a batch unless they look as they did when they were checked last."""
        from jeyn.stores.contents import load

        return load(self, artefact, selection)

    def iter_batches(
        self, batch: DatasetBatch, rows: int, selection: Selection | None = None
    ) -> Iterator[pa.RecordBatch]:
        from jeyn.stores.contents import iter_batches

        return iter_batches(self, batch, rows, selection)

    def is_swept(self, id: str) -> bool:
        """Whether the bytes of an artefact were swept or given up as lost, and are not back."""
        return self.reader.is_buried(id)

    def superseded_files(self, id: str) -> dict[str, str]:
        """Of a batch: the path of each file that another batch replaced → the reference of that batch."""
        return {old.path: self.bound(old.by).ref for old in self.reader.held_beside(id) if old.batch == id and old.by}

    def supersedes(self, id: str) -> dict[str, str]:
        """Of a batch: the path of each file of another batch that it replaced → the reference of that one."""
        return {old.path: self.bound(old.batch).ref for old in self.reader.held_beside(id) if old.by == id}

    def upstream(self, ref: str | Artefact, depth: int | None = None, types: Sequence[str] = ()) -> Lineage:
        """What an artefact came from, however far back or `depth` steps."""
        from jeyn.stores.lineage import trace_upstream

        return trace_upstream(self.reader, self.row(ref).id, depth, tuple(types))

    def downstream(self, ref: str | Artefact, depth: int | None = None, types: Sequence[str] = ()) -> Lineage:
        """What came from an artefact."""
        from jeyn.stores.lineage import trace_downstream

        return trace_downstream(self.reader, self.row(ref).id, depth, tuple(types))

    def search(self, text: str = "", **options: Any) -> Any:
        """Artefacts that a filter finds, such as `type:model_checkpoint metrics.accuracy>0.9`; newest first."""
        from jeyn.stores.search import search

        return search(self.reader, text, **options)

    def impact(self, ref: str | Artefact, new_catalog: Any = None) -> Impact:
        """What a change of an artefact touches, and with `new_catalog` of a formula what it would break."""
        from jeyn.stores.lineage.impact import impact

        return impact(self.reader, self.row(ref).id, new_catalog=new_catalog)

    def diff(self, old: str | Artefact, new: str | Artefact) -> Any:
        """What differs between two artefacts of one type."""
        from jeyn.stores.difference import diff

        return diff(self.get(old), self.get(new))

    def events(self, after: tuple[int, int] = (0, -1), limit: int = 1000) -> list[Event]:
        """The outbox in the order of commits, beyond the cursor (seq, position)."""
        return self.reader.events(after, limit)

    # Writing.

    def keep(self, source: bytes | Path | HashedFile, name: str, *, move: bool = False) -> PayloadRef:
        """Put bytes under their digest, durable when this returns; a lease protects them until they are committed."""
        if isinstance(source, bytes):
            digest, size = sha256_of(source), len(source)
        else:
            hashed = hash_file(source) if isinstance(source, Path) else source
            digest, size = "sha256:" + hashed.digest.removeprefix("sha256:"), hashed.size
            source = hashed
        self.leases.take([digest[7:]])
        self.payloads.put(digest[7:], source, move=move)
        return PayloadRef(name, digest, size)

    def keep_near(self, data: bytes, name: str, most: int) -> tuple[PayloadRef, dict[str, bytes]]:
        """The payload, and what of it the commit itself shall write (`NewArtefact.inline`): up to `most` bytes."""
        if len(data) > most:
            return self.keep(data, name), {}
        digest = sha256_of(data)
        return PayloadRef(name, digest, len(data)), {digest[7:]: data}

    def still_kept(self) -> bool:
        """Whether what was kept can be committed: leases that lapsed are renewed, and their bytes looked for."""
        if not self.leases.lapsed:
            return True
        return self.leases.renew() and all(self.payloads.exists(digest) for digest in self.leases.held)

    @property
    def leases(self) -> Leases:
        """The leases of this thread of work; each save has its own."""
        return self._leases

    @cached_property
    def _leases(self) -> Leases:
        return Leases(self.database)

    def commit(self, changes: Sequence[Change]) -> list[Outcome]:
        """Write changes in one durable transaction, now. In an attempt they are staged instead (SEMANTICS 9)."""
        return commit(self.database, changes, self.settings.actor)

    def save(self, build: Callable[[Workspace], Sequence[Change]]) -> list[Outcome]:
        """Commit what `build` makes (it may put payloads); built again when another process was quicker."""
        writer = self._writer()
        try:
            for _ in range(TRIES):
                try:
                    changes = build(writer)
                    if writer.still_kept():
                        return writer.commit(changes)
                except (MembersTaken, PayloadsCondemned):
                    continue
        finally:
            writer._end_save()
        raise Busy(f"other processes were quicker {TRIES} times", hint="try again when less is saved at once")

    def _writer(self) -> Workspace:
        """This workspace with leases of its own, so that threads do not end each other's."""
        self._open_shared()
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin.__dict__.pop("_leases", None)
        return twin

    def _open_shared(self) -> None:
        """A twin that opened its own would leave it open, and would not see what a memory:// store holds."""
        for part in SHARED:
            getattr(self, part)

    def _end_save(self) -> None:
        if "_leases" in self.__dict__:
            self._leases.release()

    @contextmanager
    def attempt(self, operation: int | None = None, attempt: int | None = None) -> Iterator[Attempt]:
        """A workspace whose saves are staged until `commit()`; leaving the block without it discards them."""
        from jeyn.stores.attempt import Attempt

        staged = Attempt(self, operation, attempt)
        try:
            yield staged
        finally:
            staged.discard()

    # Aliases, tags and pins.

    def set_alias(self, ref: str | Artefact, alias: str, *, reason: str = "") -> None:
        """Point an alias of a formula or use case at one of its versions."""
        row = self.row(ref)
        if row.type == "use_case":
            raise UsageError(
                f'"{ref}" is a use case, and aliases point at versions', hint=f"name one: {row.name}@1.2.0"
            )
        self.commit([AliasMove(self.owner(row), valid_alias(alias), row.id, "alias", reason)])

    def remove_alias(self, owner_ref: str | Artefact, alias: str, *, reason: str = "") -> None:
        """Take an alias away; its history stays."""
        self.commit([AliasMove(self.owner(self.row(owner_ref)), valid_alias(alias), None, "unalias", reason)])

    def alias(self, ref: str, *, as_of: datetime | int | None = None) -> Any:
        """What `name@alias` pointed to, now, at a time, or at a commit."""
        reference = Reference.parse(ref)
        if not isinstance(reference.selector, Alias):
            raise UsageError(f'"{ref}" has no alias', hint="name@blessed")
        alias = reference.selector.name
        kinds = [reference.kind] if reference.kind else ["checkpoint", "formula"]
        for kind in kinds:
            moved = self.reader.alias(owner_of(str(kind), reference.name or ""), alias, self.seq(as_of))
            if moved is not None and moved.id is not None:
                return self.bound(moved.id)
        raise NotFound(f'"{ref}" pointed nowhere{" then" if as_of is not None else ""}', hint="see alias_history")

    def alias_history(self, ref: str | Artefact, alias: str | None = None) -> list[Moved]:
        """Every move of the aliases of what a reference names, newest first, with actor, reason and time."""
        return self.reader.alias_history(self.owner(self.row(ref)), alias)

    def seq(self, at: datetime | int | None) -> int | None:
        """The commit that a time means: the last one at or before it."""
        if at is None or isinstance(at, int):
            return at
        if not isinstance(at, datetime):
            raise UsageError(f"{at!r} is no time", hint="give a datetime with a zone, or a commit's seq")
        if at.tzinfo is None:
            raise UsageError(f'the time "{at}" has no zone', hint="datetime(..., tzinfo=UTC)")
        return self.reader.seq_at(int(at.timestamp() * 1_000_000))

    def owner(self, row: ArtefactRow) -> str:
        """Whose aliases an artefact's are."""
        kinds = {"dataset_formula": "formula", "model_checkpoint": "checkpoint", "use_case": "checkpoint"}
        if row.type not in kinds:
            raise UsageError(f"a {row.type} has no aliases", hint="tag it instead")
        return owner_of(kinds[row.type], row.name)

    def tag(self, ref: str | Artefact, *tags: str, reason: str = "", present: bool = True) -> None:
        """Put tags on an artefact (or take them off); history is kept."""
        self._mark(ref, "tag", tags, present, reason)

    def pin(self, ref: str | Artefact, *, reason: str = "", present: bool = True) -> None:
        """Keep an artefact and what it came from through every sweep (or stop doing so)."""
        self._mark(ref, "pin", ("",), present, reason)

    def tags(self, ref: str | Artefact) -> set[str]:
        """The tags that an artefact has now."""
        now = {mark.value: mark.present for mark in self.reader.marks(self.row(ref).id) if mark.kind == "tag"}
        return {tag for tag, present in now.items() if present}

    def marks(self, ref: str | Artefact) -> list[Marked]:
        """The history of an artefact's tags, pins, tombstones and withdrawals, oldest first."""
        return self.reader.marks(self.row(ref).id)

    def _mark(self, ref: str | Artefact, kind: str, values: Sequence[str], present: bool, reason: str) -> None:
        row = self.row(ref)
        if any(not value and kind == "tag" for value in values):
            raise UsageError("a tag cannot be empty", hint='tag(ref, "gold")')
        self.commit([Mark(row.id, kind, value, present, reason) for value in values])

    # Care.

    def gc(self, *refs: str | Artefact, **options: Any) -> Any:
        """Free bytes that nobody can miss, or those of `refs`; only shown unless `yes=True` (`care/gc.py`)."""
        from jeyn.stores.care.gc import collect

        return collect(self, *refs, **options)

    def fsck(self, *, repair: bool = False, **options: Any) -> Any:
        """Find every missing, corrupt or orphaned payload and every dangling edge."""
        from jeyn.stores.care.fsck import check

        return check(self, repair=repair, **options)

    def adopt_payloads(self, *, yes: bool = False) -> Any:
        """Let the catalog take the payload store of the settings for its own, as after a move (SEMANTICS 39)."""
        from jeyn.stores.catalog.payload_store import adopt_store

        return adopt_store(self.database, self.payloads.files, self.settings.actor, yes=yes)

    def export_bundle(self, ref: str | Artefact, path: str | os.PathLike[str], **options: Any) -> Any:
        """Write the closure of a reference as one file, signed with `sign=KEY`."""
        from jeyn.stores.care.bundle import export_bundle

        return export_bundle(self, ref, Path(path), **options)

    def import_bundle(self, path: str | os.PathLike[str], **options: Any) -> Any:
        """Merge a bundle by id; a conflicting claim stops it before anything is written."""
        from jeyn.stores.care.bundle import import_bundle

        return import_bundle(self, Path(path), **options)
