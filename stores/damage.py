"""Whether an artefact's row is what it was when it was saved: parsed and bound as whoever reads it would."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jeyn.errors import JeynError
from jeyn.sdk.artefact import id_of_document
from jeyn.stores.binding import bind
from jeyn.stores.catalog import bounds
from jeyn.stores.catalog.reader import ArtefactRow, UnreadableFacts

if TYPE_CHECKING:
    from jeyn.stores.workspace import Workspace

# What the readers of a document raise where it is not what its schema says.
UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError, StopIteration)


def damage(workspace: Workspace, row: ArtefactRow) -> str:
    """What is wrong with a row, or "" for nothing; its payloads are not looked at."""
    try:
        if id_of_document(row.document.encode("utf-8", "replace")) != row.id:
            return "its document does not have its id"
        record = row.record
        if (record.type, record.schema, record.name) != (row.type, row.schema, row.name):
            return f'its row says "{row.schema} {row.name}", not "{record.schema} {record.name}"'
        if isinstance(row.facts, UnreadableFacts):
            return "its facts cannot be read"
        if not 0 <= row.at <= bounds.LATEST:
            return f"it says that it was saved at {row.at}, which is no time"
        bounds.check_line("name", row.name, bounds.NAME)
        _ = bind(workspace, row).created_at
    except JeynError as exc:
        return exc.message
    except UNREADABLE as exc:
        return f"it cannot be read ({type(exc).__name__}: {str(exc)[:200]})"
    return ""
