"""Carrying out `get_new_batch()`: what each kind of formula takes as new, as a draft (SEMANTICS 13 to 16)."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from jeyn.errors import DataInvalid, NoData, NotFound, UsageError
from jeyn.sdk.artefact import Edge, PayloadRef
from jeyn.sdk.datasets import CompositeFormula, DatasetFormula, ModelFormula, SqlFormula, StreamingFormula
from jeyn.sdk.datasets.streaming import QUARANTINE_FILE
from jeyn.sdk.relationship import RelationshipType
from jeyn.stores.batches.drafts import READ_ROWS, Draft, conformed, keep_table, profiled, with_files
from jeyn.stores.batches.source_files import (
    checked_files,
    columns_of,
    digest_of,
    left_out_columns,
    member_of,
    members,
    still_bad,
)
from jeyn.stores.batches.sql_rows import earlier_batches, new_rows_of
from jeyn.stores.catalog.changes import Holds
from jeyn.stores.catalog.commit import commit
from jeyn.stores.catalog.reader import owner_of
from jeyn.stores.catalog.superseded import Held, consequences, replaced_by
from jeyn.stores.left_out import LEFT_OUT, tell
from jeyn.stores.restore import bring_back

if TYPE_CHECKING:
    import pyarrow as pa

    from jeyn.sdk.checkpoint import ModelCheckpoint
    from jeyn.sdk.datasets.batch import DatasetBatch
    from jeyn.stores.sources.root import SourceFile
    from jeyn.stores.sources.sql import NewRows
    from jeyn.stores.workspace import Workspace

_log = logging.getLogger("jeyn.dataset_store")


def new_batch(writer: Workspace, formula: DatasetFormula, after: str | None) -> Draft | None:
    """What no earlier batch of `formula` has, its bytes kept; None when there is nothing new."""
    match formula:
        case StreamingFormula():
            return _streaming(writer, formula, after)
        case SqlFormula():
            return _sql(writer, formula, after)
        case CompositeFormula():
            return _composite(writer, formula)
        case ModelFormula():
            return _model(writer, formula)
    raise UsageError(f'"{formula.name}" makes its batches by code', hint="formula.new_table(...), then save_batch")


class News(NamedTuple):
    """What `new_batch` would take, in a few words, "" for nothing; and what the source has that it would not take."""

    new: str
    left_out: str = ""

    def __str__(self) -> str:
        return "; ".join(part for part in self if part)


def what_is_new(workspace: Workspace, formula: DatasetFormula, after: str | None = None) -> News:
    """A look at the source; nothing is kept."""
    match formula:
        case StreamingFormula():
            listing = _listing(workspace, formula, after)
            some = _some_files([file.path for file in listing.fresh.values()])
            new = "; ".join(each for each in (some, *_replacements(listing)) if each)
            left = (str(workspace.data_root.unfollowed(formula.source)), _not_taken(workspace, formula, listing))
            return News(new, "; ".join(filter(None, left)))
        case SqlFormula():
            found = new_rows_of(workspace, formula, after)
            for _ in found.pieces():
                pass  # they are only counted
            new = f"{found.rows} new row{'s' if found.rows > 1 else ''} up to {found.end}" if found.rows else ""
            return News(new, _late(found))
        case CompositeFormula():
            parts, draft = _union(workspace, formula)
            return News("" if _is_kept(workspace, draft) else " and ".join(part.ref for part in parts))
        case ModelFormula():
            source, checkpoint, edges = _model_sources(workspace, formula)
            made_before = _made_before(workspace, formula, edges)
            return News("" if made_before else f"{source.ref} through {checkpoint.ref}")
    return News("")


def _not_taken(workspace: Workspace, formula: StreamingFormula, listing: Listing) -> str:
    """The columns of new files that no feature has, and the files that an earlier batch left out."""
    root = workspace.data_root
    paths = {file.path: root.local_path(file.path) for file in listing.fresh.values()}
    said = [left_out_columns(columns_of(paths, formula.options), formula.output_catalog)]
    if formula.on_bad == QUARANTINE_FILE:
        said.append(still_bad(earlier_batches(workspace, formula, None), set(map(digest_of, listing.files))))
    return "; ".join(filter(None, said))


def _some_files(paths: list[str]) -> str:
    shown = ", ".join(paths[:3]) + (", …" if len(paths) > 3 else "")
    return f"{shown} ({len(paths)} new file{'s' if len(paths) > 1 else ''})" if paths else ""


@dataclass(frozen=True)
class Listing:
    """The files that a formula's source means now.

    `files` has each member once, at the first path that has it; `digests` has the members by path. `held` are the files
    of the formula's batches. `seen` are the members of the formula's own batches, by batch, and `inherited` those that
    are taken over from the batch named by `after`.
    """

    formula: str
    files: Mapping[str, SourceFile]
    digests: Mapping[str, str]
    held: Sequence[Held]
    seen: Mapping[str, str]
    inherited: Mapping[str, str]

    @property
    def bare(self) -> frozenset[str]:
        """All digests that are there, without their prefix."""
        return frozenset(digest_of(member)[7:] for member in self.files)

    @cached_property
    def holds_again(self) -> list[Holds]:
        """What batches hold again: the content of a file that was replaced has come back, and is no new data."""
        own = {(each.batch, each.path) for each in self.held}
        times = Counter(each.path for each in self.held)
        paths: dict[str, list[str]] = {}
        for path, digest in self.digests.items():
            batch = self.seen.get(digest) or self.seen.get(digest_of(digest), "")
            if times[path] > 1 and (batch, path) in own:
                paths.setdefault(batch, []).append(path)
        found = [Holds(self.formula, batch, tuple(some), self.bare) for batch, some in sorted(paths.items())]
        changing = [each for each in found if consequences(self.held, each)]
        return [replace(each, paths=tuple(p for p in each.paths if self._changes(each, p))) for each in changing]

    def _changes(self, holds: Holds, path: str) -> bool:
        return bool(consequences(self.held, replace(holds, paths=(path,))))

    @property
    def fresh(self) -> dict[str, SourceFile]:
        """The files that no batch has, by member."""
        known = self.seen.keys() | self.inherited.keys()
        # A batch that an older Jeyn made names the content alone.
        return {m: file for m, file in self.files.items() if not {m, digest_of(m)} & known}


def _listing(writer: Workspace, formula: StreamingFormula, after: str | None) -> Listing:
    root = writer.data_root
    seen = writer.reader.members(formula.id)
    inherited = {m: batch for m, batch in _members_until(writer, after).items() if m not in seen}
    files: dict[str, SourceFile] = {}
    digests: dict[str, str] = {}
    for file in root.list(formula.source):
        digests[file.path] = member_of(formula, file.path, root.digest(file, writer.stat_cache))
        files.setdefault(digests[file.path], file)
    return Listing(formula.id, files, digests, writer.reader.held(formula.id), seen, inherited)


def _replacements(listing: Listing) -> list[str]:
    """What of earlier batches the files replace, in sentences."""
    new = Holds("", "", tuple(file.path for file in listing.fresh.values()), listing.bare)
    said = [f"{old.path} replaces what batch {old.epoch} has of it" for old in replaced_by(listing.held, new)]
    epochs = {each.batch: each.epoch for each in listing.held}
    for back in listing.holds_again:
        for path in back.paths:
            said.append(f"{path} is again as batch {epochs.get(back.batch, '?')} has it")
    return said


def _take_back(writer: Workspace, listing: Listing) -> None:
    """Written down at once, also from inside an attempt: it says what the files are now, and changes no batch."""
    if listing.holds_again:
        commit(writer.database, listing.holds_again, writer.settings.actor)


def _restore_seen(writer: Workspace, listing: Listing) -> None:
    """Bring back what was swept or lost of the batches whose files are there: not new, and not gone (SEMANTICS 31)."""
    there = {digest_of(member): file for member, file in listing.files.items()}
    held = [each for each in listing.held if f"sha256:{each.digest}" in there]
    lost = writer.reader.buried({each.batch for each in held})
    if writer.payloads.is_near and writer.data_root.is_local:
        lost |= {each.batch for each in held if not writer.payloads.exists(each.digest)}
    for id in sorted(lost):
        bring_back(writer, writer.bound(id), listed=there)


def _streaming(writer: Workspace, formula: StreamingFormula, after: str | None) -> Draft | None:
    root = writer.data_root
    listing = _listing(writer, formula, after)
    unfollowed = root.unfollowed(formula.source)
    if listing.files:  # else the error says it
        tell(str(unfollowed))
    _restore_seen(writer, listing)
    _take_back(writer, listing)
    fresh, inherited = listing.fresh, listing.inherited
    for sentence in _replacements(listing):
        _log.warning("%s: %s", formula.name, sentence)
    if not fresh:
        return None
    facts = {LEFT_OUT: unfollowed.files} if unfollowed.files else {}
    draft = Draft(formula, "files", listed=listing.bare, facts=facts)
    if root.is_local:
        paths = [(file.path, root.local_path(file.path)) for file in fresh.values()]
        draft = with_files(writer, [(name, path) for name, path in paths if path], draft)
    else:
        draft = _referenced(fresh, draft)
    kept = checked_files(writer, formula, draft)
    # A file may have changed since it was listed; what was kept is what counts.
    return kept and replace(kept, members=(*((member, "") for member in members(kept)), *inherited.items()))


def _referenced(fresh: dict[str, SourceFile], draft: Draft) -> Draft:
    payloads = tuple(PayloadRef(file.path, digest_of(member), file.size) for member, file in fresh.items())
    referenced = {digest_of(member): file.version for member, file in fresh.items()}
    facts = {**draft.facts, "referenced": referenced}
    return replace(draft, payloads=payloads, facts=facts, external=frozenset(map(digest_of, fresh)))


def _members_until(writer: Workspace, after: str | None) -> dict[str, str]:
    """The files that the batch named by `after`, and those before it, have."""
    if after is None:
        return {}
    batch = writer.find(after, kind="batch")
    epochs = {c.id: int(c.number) for c in writer.reader.claims(owner_of("batch", batch.formula.id))}
    members = writer.reader.members(batch.formula.id)
    return {m: id for m, id in members.items() if epochs.get(id, 0) <= batch.epoch}


def _sql(writer: Workspace, formula: SqlFormula, after: str | None) -> Draft | None:
    found = new_rows_of(writer, formula, after)
    unread: list[DataInvalid] = []

    def rows(first: pa.Table, more: Iterator[pa.Table]) -> Iterator[pa.RecordBatch]:
        try:
            for piece in chain([first], more):
                yield from conformed(formula, piece)
        except DataInvalid as exc:
            unread.append(exc)
            raise

    pieces = found.pieces()
    first = next(pieces, None)
    if first is None:
        tell(_late(found))
        return None
    made = keep_table(writer, formula, rows(first, pieces), Draft(formula, "table"), gaps="none")
    if unread:  # half of the rows are no batch, not even one in quarantine
        raise unread[0]
    tell(_late(found))
    facts = {**made.facts, "late_rows": found.late.to_json()} if found.late else made.facts
    window = {"start": found.start, "end": found.end}
    return replace(made, body={"window": window}, members=((f"start:{found.start}", ""),), facts=facts)


def _late(found: NewRows) -> str:
    return "" if found.late is None else str(found.late)


def _union(writer: Workspace, formula: CompositeFormula) -> tuple[list[DatasetBatch], Draft]:
    parts = [_latest(writer, ref, formula.name) for ref in formula.formulas]
    for part in parts:
        part.output_catalog.check_satisfies(formula.output_catalog, what=part.ref)
    edges = tuple(Edge(RelationshipType.source_batch, id) for id in dict.fromkeys(part.id for part in parts))
    return parts, Draft(formula, "union", parents=edges, body={"kwargs": {"parts": [part.id for part in parts]}})


def _is_kept(writer: Workspace, draft: Draft) -> bool:
    known = writer.reader.row(draft.record().id)
    return known is not None and not known.quarantined


def _composite(writer: Workspace, formula: CompositeFormula) -> Draft | None:
    parts, draft = _union(writer, formula)
    if _is_kept(writer, draft):
        return None

    def rows() -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        for part in parts:
            for piece in part.iter_batches(READ_ROWS):
                yield from conformed(formula, pa.Table.from_batches([piece]))

    return profiled(draft, rows())


def _latest(writer: Workspace, formula: str, whose: str) -> DatasetBatch:
    """The latest batch of a formula reference; raises `NoData` when it has none."""
    try:
        found: DatasetBatch = writer.find(
            f"{formula}/latest" if "@" in formula else f"{formula}@latest/latest", "batch"
        )
    except NotFound as exc:
        raise NoData(f'"{formula}", a source of "{whose}", has no batch', hint=exc.hint) from exc
    return found


def _model_sources(writer: Workspace, formula: ModelFormula) -> tuple[DatasetBatch, ModelCheckpoint, tuple[Edge, ...]]:
    source = _latest(writer, formula.source, formula.name)
    checkpoint = writer.find(formula.checkpoint, kind="checkpoint")
    source.output_catalog.check_satisfies(checkpoint.input_catalog, what=source.ref)
    edges = (Edge(RelationshipType.source_batch, source.id), Edge(RelationshipType.derived_from, checkpoint.id))
    return source, checkpoint, edges


def _model(writer: Workspace, formula: ModelFormula) -> Draft | None:
    from jeyn.stores.batches.apply_model import apply_model

    source, checkpoint, edges = _model_sources(writer, formula)
    if _made_before(writer, formula, edges):
        return None
    draft = Draft(formula, "table", parents=edges)
    return keep_table(writer, formula, apply_model(formula, checkpoint, source), draft)


def _made_before(writer: Workspace, formula: DatasetFormula, edges: tuple[Edge, ...]) -> bool:
    """Whether the last batch came from exactly these, and has its bytes: nothing would differ."""
    from jeyn.stores.contents import is_complete

    last = writer.reader.highest(owner_of("batch", formula.id))
    row = writer.reader.row(last.id) if last else None
    if row is None or (row.key > 0 and not is_complete(writer, [row.id])):
        return False
    return {e for e in row.record.parents if e.type is not RelationshipType.formula_batch} == set(edges)
