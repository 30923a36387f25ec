"""An attempt: a workspace whose saves are staged and written by one commit at its end (SEMANTICS 9).

Payloads go up at once, under leases. Everything else waits in memory, where only this attempt reads it. What is read
here is observed, and what must not be repeated from a cache is noted as an effect (SEMANTICS 17 and 19).
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jeyn.errors import Busy, NotAllowed, NotFound, Unsaved, UsageError
from jeyn.sdk.canonical import canonical
from jeyn.stores.access import make_folder
from jeyn.stores.catalog.changes import (
    LEVELS,
    ORDER,
    AliasMove,
    CacheKey,
    Change,
    Ends,
    Fence,
    Mark,
    NewArtefact,
    NewAttempt,
    Observation,
    Outcome,
)
from jeyn.stores.catalog.commit import MembersTaken, PayloadsCondemned, commit
from jeyn.stores.catalog.reader import ArtefactRow, Event, Marked, Moved, Reader
from jeyn.stores.observation import contract_digest, found_by, is_exact, reference_subject, search_subject
from jeyn.stores.staged import Staged, StagedReader
from jeyn.stores.workspace import SHARED, Workspace

if TYPE_CHECKING:
    from jeyn.sdk.artefact import Artefact, PayloadRef
    from jeyn.sdk.datasets.batch import DatasetBatch
    from jeyn.sdk.reference import Reference
    from jeyn.stores.lineage import Impact, Lineage
    from jeyn.stores.payloads import HashedFile


class Attempt(Workspace):
    """One attempt of an operation. `commit` takes Jeyn's own word for a transaction; here it stages.

    `operation` and `attempt` are row keys of the provenance tables; with them the final commit is fenced, so that
    only one attempt of an operation ever commits. `seed` is for random generators, 32 bits.
    """

    is_attempt = True

    def __init__(self, outside: Workspace, operation: int | None = None, attempt: int | None = None) -> None:
        super().__init__(outside.settings)
        outside._open_shared()
        for name in (*SHARED, "data_root"):
            if name in outside.__dict__:
                self.__dict__[name] = outside.__dict__[name]
        self._outside = outside
        self.fence = (operation, attempt)
        self.begun: NewAttempt | None = None
        self.since: float | None = None
        self.staged = Staged(Reader(outside.database))
        self.__dict__["reader"] = StagedReader(self.staged)
        self.seed = 0
        self.report_progress: Callable[..., None] = _report_nothing
        self.look_through: Callable[[bytes | Path, str], None] = _report_nothing  # may refuse what is to be kept
        self.uncacheable = ""
        self._observations: dict[bytes, Observation] = {}

    @property
    def outside(self) -> Workspace:
        return self._outside

    @cached_property
    def scratch(self) -> Path:
        """A folder for files, gone when the attempt ends; a path in it that is returned is kept as an artefact."""
        folder = self.settings.home / "scratch" / self.leases.holder
        try:
            make_folder(folder)
        except OSError as exc:
            raise NotAllowed(
                f'the scratch folder "{folder}" cannot be made ({exc.strerror})', hint="check who owns JEYN_HOME"
            ) from exc
        return folder

    @property
    def seconds(self) -> float | None:
        """Since the first attempt of the operation began; None where nobody here has measured that."""
        return None if self.since is None else time.monotonic() - self.since

    # The end.

    def commit(self, changes: Sequence[Change]) -> list[Outcome]:
        return [outcome for change in changes if (outcome := self.staged.add(change, self.settings.actor)) is not None]

    def keep(self, source: bytes | Path | HashedFile, name: str, *, move: bool = False) -> PayloadRef:
        if isinstance(source, bytes):  # files are sources, and as they are
            self.look_through(source, name)
        return super().keep(source, name, move=move)

    def keep_near(self, data: bytes, name: str, most: int) -> tuple[PayloadRef, dict[str, bytes]]:
        if len(data) <= most:
            self.look_through(data, name)
        return super().keep_near(data, name, most)

    def stage(self, new: NewArtefact) -> None:
        """Stage what is saved last and read by nobody here: whether it is known already need not be asked."""
        self.staged.changes.append(new)

    def finish(
        self,
        outputs: Sequence[tuple[str, int, str]] = (),
        *,
        inputs: Sequence[tuple[str, int, str]] = (),
        cache: CacheKey | None = None,
        log: str = "",
    ) -> list[Outcome]:
        """Write all that was staged in one transaction; `outputs` and `inputs` are (name, position, id).

        With `cache` a later run may take the outputs over, unless there were effects. Raises `AttemptLost` when
        another attempt of the operation was first; nothing is written then.
        """
        if not self.still_kept():
            raise Busy("a sweep took bytes of this attempt while it worked", hint="run it again; renew leases in time")
        changes = [*self.staged.relying(), *self._ends(tuple(outputs), tuple(inputs), cache, log)]
        try:
            done = commit(self.database, changes, self.settings.actor)
        except MembersTaken as exc:
            raise Busy("another run took the new data of this batch first", hint="run it again") from exc
        except PayloadsCondemned as exc:
            raise Busy("a sweep took the bytes of this attempt", hint="run it again") from exc
        if any(isinstance(change, Fence) for change in changes):
            self.leases.forget()
        self.discard()
        return done

    def hold(
        self,
        outputs: Sequence[tuple[str, int, str]],
        *,
        inputs: Sequence[tuple[str, int, str]] = (),
        cache: CacheKey | None = None,
        log: str = "",
    ) -> None:
        """Keep what `finish` would write until the items before this one have ended (SEMANTICS 2)."""
        from jeyn.stores.catalog.held_work import hold

        if not self.still_kept():
            raise Busy("a sweep took bytes of this attempt while it worked", hint="run it again; renew leases in time")
        for end in self._ends(tuple(outputs), tuple(inputs), cache, log):
            if isinstance(end, Fence):
                hold(self.database, end, self.staged.relying())
        self.leases.forget()
        self.discard()

    def _ends(self, outputs: Ends, inputs: Ends, cache: CacheKey | None, log: str) -> list[Change]:
        operation, attempt = self.fence
        if operation is None or attempt is None:
            if outputs:
                raise UsageError("outputs belong to an operation", hint="give the attempt its operation's key")
            return []
        observations = None if self.uncacheable else self.observations
        holder = self.leases.holder if self.leases.held else ""
        end = Fence(operation, attempt, outputs, inputs, cache, observations, self.effects, log, holder, self.begun)
        return [replace(end, seconds=self.seconds)]

    def unclaimed_ancestors(self, ids: Sequence[str]) -> list[Change]:
        return self.staged.ancestors(ids)

    def discard(self) -> None:
        """Forget what was staged and let go of its payloads and files."""
        self.staged.clear()
        self.leases.release()
        if "scratch" in self.__dict__:
            shutil.rmtree(self.__dict__.pop("scratch"), ignore_errors=True)

    # What the cache has to know.

    @property
    def observations(self) -> tuple[Observation, ...]:
        """What was read here, each question and answer once, in order."""
        return tuple(self._observations.values())

    @property
    def effects(self) -> tuple[str, ...]:
        """What was done beyond saving: moves of aliases, tags, pins and withdrawals."""
        return tuple(text for change in self.staged.changes if (text := _effect(change)))

    def observe(self, kind: str, subject: str, answer: Any) -> None:
        observation = Observation(kind, subject, answer)
        self._observations.setdefault(canonical([kind, subject, answer]), observation)

    def rely_on(self, batch: DatasetBatch) -> None:
        if batch.saved is not None and batch.saved.staged and LEVELS in batch.facts:
            self.staged.relied[batch.id] = batch.facts[LEVELS]

    def forbid_cache(self, reason: str) -> None:
        self.uncacheable = self.uncacheable or reason

    def row(self, ref: str | Reference | Artefact, kind: str | None = None) -> ArtefactRow:
        subject = reference_subject(ref, kind)
        try:
            found = super().row(ref, kind)
        except NotFound:
            if subject:
                self.observe("ref", subject, None)
            raise
        if subject and not is_exact(ref):
            self.observe("ref", subject, found.id)
        return found

    def get(self, ref: str | Reference | Artefact, kind: str | None = None) -> Any:
        found = super().get(ref, kind)
        if found.type == "use_case":
            self.observe("contract", found.id, contract_digest(self, found.id))
        return found

    def alias(self, ref: str, *, as_of: datetime | int | None = None) -> Any:
        try:
            found = super().alias(ref, as_of=as_of)
        except NotFound:
            if as_of is None:
                self.observe("alias", ref, None)
            raise
        if as_of is None:  # the past stays as it was
            self.observe("alias", ref, found.id)
        return found

    def tags(self, ref: str | Artefact) -> set[str]:
        found = super().tags(ref)
        self.observe("tags", self.find_row(ref).id, sorted(found))
        return found

    def search(self, text: str = "", **options: Any) -> Any:
        found = super().search(text, **options)
        self.observe("search", search_subject(text, options), found_by(found))
        return found

    def marks(self, ref: str | Artefact) -> list[Marked]:
        self.forbid_cache(f'it read the history of marks of "{ref}"')
        return super().marks(ref)

    def alias_history(self, ref: str | Artefact, alias: str | None = None) -> list[Moved]:
        self.forbid_cache(f'it read the history of aliases of "{ref}"')
        return super().alias_history(ref, alias)

    def is_swept(self, id: str) -> bool:
        self.forbid_cache(f'it asked whether "{id[:19]}" was swept')
        return super().is_swept(id)

    def superseded_files(self, id: str) -> dict[str, str]:
        self.forbid_cache(f'it asked what replaced files of "{id[:19]}"')
        return super().superseded_files(id)

    def supersedes(self, id: str) -> dict[str, str]:
        self.forbid_cache(f'it asked what "{id[:19]}" replaced')
        return super().supersedes(id)

    def events(self, after: tuple[int, int] = (0, -1), limit: int = 1000) -> list[Event]:
        self.forbid_cache("it read the events of the catalog")
        return super().events(after, limit)

    # Lineage. Upstream of an artefact nothing ever changes, so that the reference is all there is to observe.

    def upstream(self, ref: str | Artefact, depth: int | None = None, types: Sequence[str] = ()) -> Lineage:
        return super().upstream(self._committed(ref), depth, types)

    def downstream(self, ref: str | Artefact, depth: int | None = None, types: Sequence[str] = ()) -> Lineage:
        self.forbid_cache(f'it asked what came from "{ref}"')
        return super().downstream(self._committed(ref), depth, types)

    def impact(self, ref: str | Artefact, new_catalog: Any = None) -> Impact:
        self.forbid_cache(f'it asked what depends on "{ref}"')
        return super().impact(self._committed(ref), new_catalog)

    def _committed(self, ref: str | Artefact) -> str:
        """Lineage and impact are read from the catalog, where what is staged is not yet."""
        row = self.row(ref)
        if row.key < 0:
            raise Unsaved(
                f'"{row.name}" is staged, so it has no lineage yet',
                hint="ask when the operation has committed, or ask what it was made from",
                refs=[row.id],
            )
        return row.id

    def _writer(self) -> Workspace:
        return self

    def _end_save(self) -> None:
        """Leases last until the attempt ends."""


def _effect(change: Change) -> str:
    match change:
        case AliasMove():
            return f"{change.verb} {change.owner.partition(':')[2]}@{change.alias}"
        # The catalogs of a use case go with saving it or a checkpoint, so does the code that a model relies on, and an
        # order goes with saving a formula.
        case Mark(kind=kind) if kind not in ("contract", "code", ORDER):
            return f"{kind if change.present else f'no {kind}'} {change.value}".strip() + f" on {change.artefact[:19]}"
    return ""


def _report_nothing(*_: Any) -> None:
    """Nobody watches, and nothing is refused."""
