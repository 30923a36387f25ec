"""`with_texts`: times that fail a check as the text file writes them, and not as the moment in UTC that they are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from jeyn.errors import JeynError
from jeyn.sdk.catalog import DataCatalog
from jeyn.sdk.dtypes import Dtypes
from jeyn.sdk.feature import Feature
from jeyn.sdk.validation.report import Failure, ValidationReport, shortened
from jeyn.stores.batches.drafts import Draft, unsaved_file

if TYPE_CHECKING:
    from jeyn.sdk.validation.places import Places
    from jeyn.stores.workspace import Workspace

_TIMES = (Dtypes.TIMESTAMP, Dtypes.DATE)
_ROWS = 65_536


def with_texts(writer: Workspace, draft: Draft, report: ValidationReport, where: Places) -> ValidationReport:
    """The report with the texts of its examples, each read again from its file."""
    features = draft.formula.output_catalog.features

    def retold(failure: Failure) -> Failure:
        feature = features[failure.feature]
        is_of_value = failure.check in map(str, feature.checks) and bool(failure.rows and failure.example)
        return _retold(writer, draft, failure, where) if is_of_value and feature.dtype in _TIMES else failure

    return replace(report, failures=tuple(map(retold, report.failures)))


def _retold(writer: Workspace, draft: Draft, failure: Failure, where: Places) -> Failure:
    file, row = where.place(failure.rows[0])
    with suppress(JeynError, StopIteration):
        return replace(failure, example=shortened(repr(next(_texts(writer, draft, failure.feature, file, row)))))
    return failure


def _texts(writer: Workspace, draft: Draft, name: str, file: str, row: int) -> Iterator[str]:
    """The text of one cell; nothing where the file holds times and no texts."""
    from jeyn.stores.sources.formats import read_batches

    payload = next(each for each in draft.payloads if each.name == file)
    catalog = DataCatalog.of("Texts", {name: Feature(Dtypes.STRING, nullable=True)})
    with unsaved_file(writer, draft, payload) as path:
        for piece in read_batches(file, path, catalog, _ROWS, options=draft.formula.options):
            if row < piece.num_rows:
                yield piece.column(0)[row].as_py()
                return
            row -= piece.num_rows
