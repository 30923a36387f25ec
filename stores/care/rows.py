"""What `fsck` finds in the rows themselves: cells that no reader takes, and artefacts that cannot be bound."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from jeyn.errors import JeynError
from jeyn.sdk.artefact import id_of_document
from jeyn.stores.catalog.cells import wrong_cells
from jeyn.stores.catalog.reader import ArtefactRow
from jeyn.stores.catalog.tombstones import Damaged
from jeyn.stores.damage import UNREADABLE, damage

if TYPE_CHECKING:
    from jeyn.stores.workspace import Workspace

PAGE = 500


def damaged(workspace: Workspace) -> Iterator[Damaged]:
    """Every row that no Jeyn would have written, with what is wrong in it; `workspace` reads whatever stands there."""
    yield from wrong_cells(workspace.database)
    yield from _unbound(workspace)


def _unbound(workspace: Workspace) -> Iterator[Damaged]:
    """Artefacts whose document is what its id says, and which cannot be read all the same."""
    after = -(2**62)
    while page := workspace.reader.rows_after(after, PAGE):
        for row in page:
            if _is_other(row):
                continue  # that is a finding of its own
            if why := damage(workspace, row):
                yield Damaged("artefact", (row.key,), why)
        after = page[-1].key


def _is_other(row: ArtefactRow) -> bool:
    """Whether the document is not that of the id, or says another name or schema than the row."""
    if id_of_document(row.document.encode("utf-8", "replace")) != row.id:
        return True
    with suppress(JeynError, *UNREADABLE):
        return (row.record.type, row.record.schema, row.record.name) != (row.type, row.schema, row.name)
    return False


def subject(found: Damaged, ids: Mapping[int, str]) -> str:
    """What a finding is called: an artefact by its id, any other row by its table and key."""
    if found.table == "artefact" and found.row[0] in ids:
        return ids[found.row[0]]
    return f"{found.table}: {', '.join(map(str, _plain(found.row)))}"


def _plain(row: Sequence[Any]) -> Iterator[Any]:
    for each in row:
        yield each.encode("utf-8", "replace").decode() if isinstance(each, str) else each
