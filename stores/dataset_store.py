"""`dataset_store`: formulas, and the batches made with them."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

from jeyn.errors import DataInvalid, NoData, NotFound, UsageError
from jeyn.sdk.artefact import Edge, expect
from jeyn.sdk.catalog import DataCatalog
from jeyn.sdk.compatibility import join
from jeyn.sdk.datasets import (
    CompositeFormula,
    DatasetFormula,
    FileBatch,
    GenericBatch,
    ModelFormula,
    StreamingFormula,
    TableBatch,
)
from jeyn.sdk.datasets.arrays import as_table
from jeyn.sdk.datasets.batch import DatasetBatch
from jeyn.sdk.reference import Range, Reference
from jeyn.sdk.relationship import RelationshipType
from jeyn.sdk.serializer import is_unsafe
from jeyn.stores.batches.drafts import Draft, conformed, keep_files, keep_table
from jeyn.stores.batches.new_batch import new_batch
from jeyn.stores.binding import in_kept_order
from jeyn.stores.catalog.changes import ORDER, Change, Mark, NewArtefact, Outcome, VersionClaim
from jeyn.stores.catalog.reader import owner_of
from jeyn.stores.observation import batches_of, new_subject, summary
from jeyn.stores.serializers.saving import written
from jeyn.stores.veto import formula_veto

if TYPE_CHECKING:
    from jeyn.stores.workspace import Workspace

_log = logging.getLogger("jeyn.dataset_store")


class DatasetStore:
    """The datasets of one workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace

    def get_formula(self, ref: str | Reference, versions: str | None = None) -> DatasetFormula:
        """A formula by reference, or by name and a range of versions. Raises `NotFound`."""
        text = f"{ref}@{versions}" if versions else ref
        found: DatasetFormula = self.workspace.get(text, kind="formula")
        return found

    def get_fromula(self, ref: str | Reference, versions: str | None = None) -> DatasetFormula:
        """The original's misspelt name; use `get_formula`."""
        warnings.warn("get_fromula is spelt get_formula", DeprecationWarning, stacklevel=2)
        return self.get_formula(ref, versions)

    def save_formula(self, formula: DatasetFormula) -> DatasetFormula:
        """Keep a formula. The same version with another recipe or catalog is refused (`VersionTaken`), and so is a
        version too close to the last one for what changed (`BumpTooSmall`).

        A version keeps the order of features that it was first declared with; another one is logged as a warning.
        """
        expect(formula, DatasetFormula)
        if self.workspace.holds(formula):
            return formula
        complete = self._complete(formula)
        claim = VersionClaim(owner_of("formula", formula.name), "exact", exact=formula.version, veto=formula_veto)
        catalog = complete.output_catalog
        new = NewArtefact(
            complete.record(),
            {ORDER: list(catalog.features)} | ({"description": formula.description} if formula.description else {}),
            edges=self._source_edges(formula),
            claim=claim,
            event="jeyn.formula.saved",
        )
        outcome = self.workspace.commit([new])[0]
        if not outcome.is_new and ORDER not in outcome.facts:
            self._mark_order(outcome.id, catalog)
        kept = in_kept_order(self.workspace, outcome.id, outcome.facts, catalog)
        if kept is not catalog and formula._output_catalog is not None:
            _log.warning(
                '"%s" keeps the order of its features that it was first declared with, %s; give another order a new '
                "version",
                formula.ref,
                ", ".join(kept.features),
            )
        return complete.completed(kept).bound(self.workspace.saved(outcome))

    def _mark_order(self, formula: str, catalog: type[DataCatalog]) -> None:
        """For a version that was saved before orders were kept: the first one that is declared now stays."""
        if not any(mark.kind == ORDER for mark in self.workspace.reader.marks(formula)):
            self.workspace.commit([Mark(formula, ORDER, json.dumps(list(catalog.features)))])
            self.workspace._formulas.pop(formula, None)

    def get_batch(self, ref: str | Reference) -> DatasetBatch:
        """A batch by reference, such as `digits@^1/latest` or `sha256:…`. Raises `NotFound`."""
        found: DatasetBatch = self.workspace.get(ref, kind="batch")
        return found

    def get_batch_from_id(self, id: str) -> DatasetBatch:
        """A batch by its whole id or a unique beginning of it."""
        return self.get_batch(id if id.startswith("sha256:") else f"sha256:{id}")

    def get_formula_batches(
        self, formula: DatasetFormula | Reference | str, *, include_superseded: bool = False
    ) -> list[DatasetBatch]:
        """All batches that have an epoch: of each version that a range means (`digits@^1`), by version, then by epoch.

        A formula, an exact version, an alias, `latest` and a bare name (both the highest released version) mean one
        version. Raises `NotFound` when no version is meant; a version without batches gives none.

        A batch of which every file was replaced by a later one (the same path, other content) is superseded and left
        out, unless `include_superseded`. One of which only some were is there, whole, and a warning names those files.
        What `gc` swept is there too (`is_swept`).
        """
        meant = self._ranged(formula) or self._formula(formula).id
        ids = batches_of(self.workspace, meant, superseded=include_superseded)
        self.workspace.observe("every_batch" if include_superseded else "batches", meant, summary(ids))
        found: list[DatasetBatch] = [self.workspace.bound(id) for id in ids]
        if not include_superseded:
            self._warn_of_parts(found)
        return found

    def _warn_of_parts(self, batches: Sequence[DatasetBatch]) -> None:
        for formula in {batch.formula.id: batch.formula for batch in batches}.values():
            if not isinstance(formula, StreamingFormula):
                continue
            named = {batch.id: batch.ref for batch in batches}
            for old in self.workspace.reader.held(formula.id):
                if old.by and old.batch in named:
                    newer = named.get(old.by, old.by[:19])
                    _log.warning('%s still has "%s" as it was before %s replaced it', named[old.batch], old.path, newer)

    def get_latest_formula_batch(self, formula: DatasetFormula | Reference | str) -> DatasetBatch:
        """The batch with the highest epoch; in a range that of the highest version that has one (SEMANTICS 15).

        Raises `NoData` when there is none.
        """
        saved = self._formula(formula)
        if ranged := self._ranged(formula):
            try:
                return self.get_batch(f"{ranged.removeprefix('formula:')}/latest")
            except NotFound as exc:
                raise NoData(f'nothing in "{formula}" has a batch yet', hint=exc.hint) from exc
        last = self.workspace.reader.highest(owner_of("batch", saved.id))
        self.workspace.observe("latest", saved.id, last.id if last else None)
        if last is None:
            raise NoData(f'"{saved.ref}" has no batch yet', hint="save_batch(formula.get_new_batch())")
        found: DatasetBatch = self.workspace.bound(last.id)
        return found

    def save_batch(self, batch: DatasetBatch) -> DatasetBatch:
        """Keep a batch and claim its epoch. With nothing new, the latest batch (`is_new` is False).

        Raises `NoData` when there was never any, and `DataInvalid` when the data fails its checks: then the batch is
        in quarantine, to be looked at by its id.
        """
        expect(batch, DatasetBatch)
        if self.workspace.holds(batch):
            return batch
        formula = self.save_formula(batch.formula)
        drafts: list[Draft | None] = []

        def build(writer: Workspace) -> list[Change]:
            draft = self._draft(writer, formula, batch)
            drafts.append(draft)
            if draft is None or not draft.problem:
                return draft.changes() if draft else []
            self._quarantine(writer, draft)
            return []

        outcomes = self.workspace.save(build)
        draft = drafts[-1]
        if draft is not None and draft.problem:
            raise self._failed(draft)
        saved = self._outcome(formula, batch, outcomes)
        if batch.request is not None:
            self.workspace.observe("new", new_subject(formula.id, batch.request.after), saved.id)
        return saved

    def _outcome(self, formula: DatasetFormula, batch: DatasetBatch, outcomes: Sequence[Outcome]) -> DatasetBatch:
        if not outcomes:
            return self._nothing_new(formula, batch.request.after if batch.request else None)
        saved: DatasetBatch = self.workspace.bound(outcomes[0].id, is_new=outcomes[0].is_new)
        return saved

    def _draft(self, writer: Workspace, formula: DatasetFormula, batch: DatasetBatch) -> Draft | None:
        if batch.request is not None:
            return new_batch(writer, formula, batch.request.after)
        sources = [self.save_batch(source).id for source in batch.sources]
        edges = tuple(Edge(RelationshipType.source_batch, id) for id in sources)
        match batch:
            case TableBatch():
                rows = conformed(formula, as_table(batch.table, formula.output_catalog))
                return keep_table(writer, formula, rows, Draft(formula, "table", parents=edges))
            case FileBatch():
                files = [(path.name, path) for path in batch.paths]
                if len({name for name, _ in files}) < len(files):
                    raise UsageError("two files of the batch have one name", hint="rename one of them")
                return keep_files(writer, formula, files, Draft(formula, "files", parents=edges))
            case GenericBatch():
                return _generic(writer, formula, batch, edges)
        raise UsageError(f"a {type(batch).__name__} cannot be saved", hint="make it with formula.new_table(...)")

    def _nothing_new(self, formula: DatasetFormula, after: str | None) -> DatasetBatch:
        last = self.workspace.reader.highest(owner_of("batch", formula.id))
        if last is None:
            if after is not None:
                raise NoData(
                    f'"{formula.ref}" has no batch yet: all there is, is in "{after}" or before',
                    hint="leave after= out to take it all again",
                )
            where = getattr(formula, "source", None) or getattr(formula, "query", None)
            skipped = ""
            if isinstance(formula, StreamingFormula):
                skipped = str(self.workspace.data_root.unfollowed(formula.source))
            raise NoData(
                f'"{formula.ref}" has never had any data (nothing in "{where}")' + (f": {skipped}" if skipped else ""),
                hint=f"the data root is {self.workspace.settings.data}; data: in jeyn.yaml or JEYN_DATA moves it",
            )
        found: DatasetBatch = self.workspace.bound(last.id)
        return found

    def _quarantine(self, writer: Workspace, draft: Draft) -> None:
        """On its own commit, also inside an attempt: no epoch, no claim, reachable by id only (SEMANTICS 14).

        It comes while the writer still leases the bytes.
        """
        parents = self.workspace.unclaimed_ancestors([edge.parent for edge in draft.record().parents])
        writer.outside.commit([*parents, draft.change()])

    def _failed(self, draft: Draft) -> DataInvalid:
        id = draft.record().id
        return DataInvalid(
            f'the new batch of "{draft.formula.ref}" fails its checks: {draft.problem}',
            hint=f'look at it with dataset_store.get_batch("{id[:19]}"); mend the data, then save again',
            refs=[id],
        )

    def _ranged(self, formula: DatasetFormula | Reference | str) -> str | None:
        """The reference as text where it is a range of versions; raises `NotFound` when none is in it."""
        if isinstance(formula, DatasetFormula):
            return None
        reference = Reference.parse(formula)
        if not isinstance(reference.selector, Range) or reference.epoch is not None:
            return None
        return str(Reference("formula", self.get_formula(reference).name, reference.selector))

    def _formula(self, formula: DatasetFormula | Reference | str) -> DatasetFormula:
        if isinstance(formula, str | Reference):
            return self.get_formula(formula)
        if self.workspace.holds(formula):
            return formula
        return self.get_formula(f"{formula.name}@{formula.version}")

    def _complete(self, formula: DatasetFormula) -> DatasetFormula:
        """Derive the catalog of a composite or model formula, or check the one that was given."""
        if isinstance(formula, CompositeFormula):
            derived = join([self._part(ref).output_catalog for ref in formula.formulas])
        elif isinstance(formula, ModelFormula):
            derived = self._model_catalog(formula)
        else:
            return formula
        if formula._output_catalog is None:
            return formula.completed(derived)
        derived.check_satisfies(formula._output_catalog, what=f'what "{formula.name}" is made of')
        return formula

    def _model_catalog(self, formula: ModelFormula) -> type[DataCatalog]:
        source = self._part(formula.source)
        checkpoint = self.workspace.find(formula.checkpoint, kind="checkpoint")
        source.output_catalog.check_satisfies(checkpoint.input_catalog, what=source.ref)
        derived: type[DataCatalog] = checkpoint.output_catalog
        return derived + source.output_catalog.only(*formula.keep) if formula.keep else derived

    def _part(self, ref: str) -> DatasetFormula:
        found: DatasetFormula = self.workspace.find(ref, kind="formula")
        return found

    def _source_edges(self, formula: DatasetFormula) -> tuple[Edge, ...]:
        """What the recipe means today; its ranges and aliases are what defines it."""
        if isinstance(formula, CompositeFormula):
            ids = [self._part(ref).id for ref in formula.formulas]
            return tuple(Edge(RelationshipType.source_formula, id) for id in dict.fromkeys(ids))
        if isinstance(formula, ModelFormula):
            checkpoint = self.workspace.find_row(formula.checkpoint, kind="checkpoint")
            return (
                Edge(RelationshipType.source_formula, self._part(formula.source).id),
                Edge(RelationshipType.checkpoint_formula, checkpoint.id),
            )
        return ()


def _generic(writer: Workspace, formula: DatasetFormula, batch: GenericBatch, edges: tuple[Edge, ...]) -> Draft:
    serializer, data = written(writer.serializers, batch.value)
    payload = writer.keep(data, "object")
    written_by = {"id": serializer.id, "version": serializer.version, "unsafe": is_unsafe(serializer)}
    return Draft(
        formula,
        "generic",
        payloads=(payload,),
        parents=edges,
        body={"kwargs": batch.kwargs, "serializer": written_by},
        facts={"unsafe": is_unsafe(serializer)},
    )
