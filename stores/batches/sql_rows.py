"""The rows of a SQL formula: those for the next batch, and those of a batch whose bytes are gone, asked for again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from jeyn.errors import DataInvalid, UsageError
from jeyn.stores.batches.drafts import READ_ROWS, conformed
from jeyn.stores.catalog.reader import owner_of
from jeyn.stores.restore import gone

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa
    import pyarrow.compute as pc

    from jeyn.sdk.datasets import DatasetFormula, SqlFormula
    from jeyn.sdk.datasets.batch import DatasetBatch
    from jeyn.stores.sources.sql import NewRows
    from jeyn.stores.sources.watermark import Watermark
    from jeyn.stores.workspace import Workspace


def new_rows_of(workspace: Workspace, formula: SqlFormula, after: str | None) -> NewRows:
    """What the database has for the next batch; nothing is read yet."""
    earlier = earlier_batches(workspace, formula, after)
    windows = [window for batch in earlier if (window := _window(batch))]
    return _asked(workspace, formula, earlier, windows[-1]["end"] if windows else None)


def ask_again(workspace: Workspace, batch: DatasetBatch, formula: SqlFormula, path: Path) -> None:
    """Write what the database has now for a batch's window to `path`: the very bytes, if its rows are the same."""
    from jeyn.stores.serializers.parquet import open_parquet_writer

    window = _window(batch)
    pieces = _asked(workspace, formula, _before(workspace, batch, formula), window["start"], window["end"]).pieces()
    first = next(pieces, None)
    if first is None:
        raise DataInvalid(f"the query gives none of the rows of {batch.ref}", hint="it gave some when it was saved")
    rows = (each for piece in chain([first], pieces) for each in conformed(formula, piece))
    one = next(rows)
    with open_parquet_writer(path, one.schema) as writer:
        for each in chain([one], rows):
            writer.write(each)


def lost_before(workspace: Workspace, batch: DatasetBatch, formula: SqlFormula) -> list[DatasetBatch]:
    """The earlier batches without their bytes that tell which rows of its window are its own; the first one first."""
    found: list[DatasetBatch] = []
    at = batch
    while lost := [each for each in _beside(workspace, at, formula) if not _is_there(workspace, each)]:
        found, at = lost + found, lost[0]
    return found


def _is_there(workspace: Workspace, batch: DatasetBatch) -> bool:
    return all(workspace.payloads.exists(payload.digest[7:]) for payload in batch.files)


def _beside(workspace: Workspace, batch: DatasetBatch, formula: SqlFormula) -> list[DatasetBatch]:
    """The earlier batches that may hold rows from where on those of this one were compared."""
    window, before = _window(batch), _before(workspace, batch, formula)
    low = _asked(workspace, formula, before, window["start"], window["end"]).low
    return [] if low is None else [each for each in before if not _ended_before(each, low)]


def _before(workspace: Workspace, batch: DatasetBatch, formula: SqlFormula) -> list[DatasetBatch]:
    every = earlier_batches(workspace, formula, formula.after)
    ids = [each.id for each in every]
    return every[: ids.index(batch.id)] if batch.id in ids else every


def _asked(
    workspace: Workspace, formula: SqlFormula, earlier: list[DatasetBatch], start: str | None, until: str | None = None
) -> NewRows:
    from jeyn.stores.sources.sql import new_rows

    def rows(
        keep: pc.Expression | None = None, columns: Sequence[str] | None = None, low: Watermark | None = None
    ) -> Iterator[pa.RecordBatch]:
        wanted = formula.output_catalog.features[formula.watermark]
        swept = workspace.reader.buried([batch.id for batch in earlier]) if low is None else set()
        for batch in earlier:
            if low is not None and _ended_before(batch, low):
                continue
            if batch.id in swept:  # only to count its rows it is not brought back
                raise gone(workspace, batch, batch.files[0])
            # An earlier version of the formula may have had another type of watermark.
            is_alike = batch.output_catalog.features.get(formula.watermark) == wanted
            yield from batch.iter_batches(READ_ROWS, columns=columns, filter=keep if is_alike else None)

    return new_rows(
        workspace.settings.database(formula.database),
        formula.query,
        formula.watermark,
        formula.output_catalog,
        start=start,
        until=until,
        late=formula.late,
        earlier=rows,
    )


def _window(batch: DatasetBatch) -> Mapping[str, Any]:
    window: Mapping[str, Any] = batch.record().body.get("window") or {}
    return window


def _ended_before(batch: DatasetBatch, low: Watermark) -> bool:
    """Whether it has no row from `low` on; such a batch may be swept, and is not missed."""
    from jeyn.stores.sources.watermark import Watermark

    window = _window(batch)
    end = Watermark.parse(window["end"], times=low.times) if window else low
    return end.compares_with(low) and low.is_after(end)


def earlier_batches(writer: Workspace, formula: DatasetFormula, after: str | None) -> list[DatasetBatch]:
    """All batches before the next, first to last; also those that gc swept, for they say where the next one starts."""

    def of(owner: DatasetFormula) -> list[DatasetBatch]:
        claims = writer.reader.claims(owner_of("batch", owner.id))
        return [writer.bound(claimed.id) for claimed in claims]

    if after is None:
        return of(formula)
    last = writer.find(after, kind="batch")
    if last.record().body.get("window") is None:
        raise UsageError(f'"{after}" has no watermark to go on from', hint="after= names a batch of a SQL formula")
    return [batch for batch in of(last.formula) if batch.epoch <= last.epoch] + of(formula)
