"""A batch in the making: its rows profiled and its bytes kept, before anything is committed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jeyn.errors import DataInvalid
from jeyn.sdk.artefact import Artefact, Edge, PayloadRef, Record
from jeyn.sdk.relationship import RelationshipType
from jeyn.sdk.validation.column import Gaps
from jeyn.sdk.validation.places import Places
from jeyn.sdk.validation.profile import Profiler
from jeyn.stores.batches.uniform import ABSENT
from jeyn.stores.catalog.changes import Change, EpochClaim, Holds, NewArtefact
from jeyn.stores.catalog.reader import owner_of

if TYPE_CHECKING:
    import pyarrow as pa

    from jeyn.sdk.catalog import CatalogClass
    from jeyn.sdk.datasets import DatasetFormula
    from jeyn.sdk.validation.report import ValidationReport
    from jeyn.stores.workspace import Workspace

READ_ROWS = 65_536


@dataclass(frozen=True)
class Draft:
    """What a new batch will be. `problem` is why it goes to quarantine instead of getting an epoch."""

    formula: DatasetFormula
    kind: str
    payloads: tuple[PayloadRef, ...] = ()
    parents: tuple[Edge, ...] = ()
    body: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    members: tuple[tuple[str, str], ...] = ()
    # The bare digests of all files of the source, of a batch that holds its paths from then on.
    listed: frozenset[str] | None = None
    external: frozenset[str] = frozenset()
    levels: Mapping[str, Sequence[str]] = field(default_factory=dict)
    problem: str = ""

    def record(self) -> Record:
        return Record(
            "dataset_batch/1",
            self.formula.name,
            {"kind": self.kind, **self.body},
            (Edge(RelationshipType.formula_batch, self.formula.id), *self.parents),
            self.payloads,
        )

    def changes(self) -> list[Change]:
        """The batch, and which files it holds from now on."""
        if self.listed is None or self.problem:
            return [self.change()]
        paths = tuple(payload.name for payload in self.payloads)
        return [self.change(), Holds(self.formula.id, self.record().id, paths, self.listed)]

    def change(self) -> NewArtefact:
        if self.problem:
            facts = {**self.facts, "problem": self.problem}
            event = "jeyn.batch.quarantined"
            return NewArtefact(self.record(), facts, external=self.external, quarantined=True, event=event)
        return NewArtefact(
            self.record(),
            self.facts,
            claim=EpochClaim(owner_of("batch", self.formula.id)),
            members=self.members,
            formula=self.formula.id,
            levels=self.levels,
            external=self.external,
            event="jeyn.batch.saved",
        )


def profiled(
    draft: Draft,
    batches: Iterable[pa.RecordBatch],
    *,
    gaps: Gaps = "rows",
    where: Places | None = None,
    as_written: Callable[[ValidationReport], ValidationReport] = lambda report: report,
) -> Draft:
    """The draft with statistics, from one pass over its rows; failed checks become its problem.

    Rows as their source has them have no `gaps`: a null there is no row that lacks an optional feature. `as_written`
    puts examples as the source writes them.
    """
    catalog = draft.formula.output_catalog
    profiler = Profiler(catalog, gaps=gaps)
    try:
        for batch in batches:
            profiler.update(batch)
    except DataInvalid as exc:
        return replace(draft, problem=f"{exc.message} ({exc.hint})" if exc.hint else exc.message)
    report = profiler.report()
    facts = {**draft.facts, "rows": report.rows, "statistics": json.loads(json.dumps(profiler.statistics()))}
    if any(feature.optional for feature in catalog.features.values()):
        facts[ABSENT] = [name for name in profiler.absent() if catalog.features[name].optional]
    return replace(
        draft, facts=facts, levels=profiler.levels(), problem="" if report.ok else as_written(report).told(where)
    )


def keep_table(
    writer: Workspace,
    formula: DatasetFormula,
    batches: Iterable[pa.RecordBatch],
    draft: Draft,
    *,
    gaps: Gaps = "rows",
) -> Draft:
    """Write rows as one Parquet payload while they are profiled; data that fails its checks is kept as it came."""
    from jeyn.stores.serializers.parquet import open_parquet_writer

    path = writer.payloads.staging() / f"table-{writer.leases.holder}.parquet"
    opened: list[Any] = []

    def written() -> Iterator[pa.RecordBatch]:
        for batch in batches:
            if not opened:
                opened.append(open_parquet_writer(path, batch.schema))
            opened[0].write(batch)
            yield batch

    try:
        done = profiled(draft, written(), gaps=gaps)
        if not opened:
            opened.append(open_parquet_writer(path, plain_schema(formula.output_catalog)))
        opened[0].close()
        return replace(done, payloads=(writer.keep(path, "data.parquet", move=True),))
    finally:
        path.unlink(missing_ok=True)


def plain_schema(catalog: CatalogClass) -> pa.Schema:
    """The catalog's columns and types, without what only Jeyn reads."""
    import pyarrow as pa

    return pa.schema([pa.field(field.name, field.type) for field in catalog.to_arrow()])


def conformed(formula: DatasetFormula, table: pa.Table) -> Iterator[pa.RecordBatch]:
    """The formula's features of a table in batches, cast to the catalog where that loses nothing."""
    catalog = formula.output_catalog
    try:
        fitting = catalog.conform(table)
    except DataInvalid:
        # Kept as it came, so that the quarantined batch shows what was wrong.
        names = [name for name in table.column_names if name in catalog.features]
        fitting = table.select(names)
    yield from fitting.combine_chunks().to_batches(max_chunksize=READ_ROWS)


def keep_files(writer: Workspace, formula: DatasetFormula, files: Sequence[tuple[str, Path]], draft: Draft) -> Draft:
    """Copy local files into the payload store and profile them from there, so both see the same bytes."""
    return profiled_files(writer, formula, with_files(writer, files, draft))


def with_files(writer: Workspace, files: Sequence[tuple[str, Path]], draft: Draft) -> Draft:
    """The draft with copies of local files in the payload store."""
    return replace(draft, payloads=tuple(writer.keep(path, name) for name, path in files))


def profiled_files(writer: Workspace, formula: DatasetFormula, draft: Draft) -> Draft:
    """The draft, whose payloads are data files, with statistics; its problem names files and rows in them."""
    from jeyn.stores.batches.written import with_texts

    where = Places()

    def as_written(report: ValidationReport) -> ValidationReport:
        return with_texts(writer, draft, report, where)

    return profiled(draft, rows_of(writer, formula, draft, where), gaps="none", where=where, as_written=as_written)


def rows_of(writer: Workspace, formula: DatasetFormula, draft: Draft, where: Places) -> Iterator[pa.RecordBatch]:
    """The rows of the draft's files; `where` learns which rows are whose."""
    from jeyn.stores.sources.formats import read_batches

    catalog = formula.output_catalog
    for payload in draft.payloads:
        with unsaved_file(writer, draft, payload) as path:
            for piece in read_batches(payload.name, path, catalog, READ_ROWS, options=formula.options):
                where.add(payload.name, piece.num_rows)
                yield piece


def unsaved_file(writer: Workspace, draft: Draft, payload: PayloadRef) -> AbstractContextManager[Path]:
    """A payload of the draft as a local file."""
    from jeyn.stores.contents import local_file

    return local_file(writer, _UnsavedBatch(draft), payload)


class _UnsavedBatch(Artefact):
    """Stands for the batch that is not saved yet, where reading asks for its facts and name."""

    type = "dataset_batch"

    def __init__(self, draft: Draft) -> None:
        self.draft = draft

    @property
    def facts(self) -> Mapping[str, Any]:
        return self.draft.facts

    @property
    def ref(self) -> str:
        return f"a new batch of {self.draft.formula.name}"
