"""Files of a formula that later batches replaced under the same path, as marks on the batches (SEMANTICS 32).

A mark `superseded_file` names the path as its value and the batch that has it now as its reason; a batch of which
every file is so is marked `superseded`. Content that returns takes both back: marks are history, never changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, exists, select

from jeyn.stores.catalog.changes import Holds, Mark
from jeyn.stores.catalog.tables import artefact, artefact_payload, claim, mark

SUPERSEDED, FILE = "superseded", "superseded_file"
EVENT = "jeyn.batch.superseded"


@dataclass(frozen=True)
class Held:
    """A file of a batch that has an epoch: `digest` is bare; `by` is the id of the batch that replaced it, or ""."""

    batch: str
    epoch: int
    path: str
    digest: str
    by: str = ""


def held(connection: Connection, formula: str) -> list[Held]:
    """All files of a formula's batches, by epoch."""
    owner = f"batch:{formula.removeprefix('sha256:')}"
    of_formula = select(artefact.c.key).join(claim, claim.c.artefact == artefact.c.key).where(claim.c.owner == owner)
    on: dict[tuple[str, str], str] = {}
    for id, path, present, by in connection.execute(
        select(artefact.c.id, mark.c.value, mark.c.present, mark.c.reason)
        .join(mark, mark.c.artefact == artefact.c.key)
        .where(mark.c.kind == FILE, mark.c.artefact.in_(of_formula))
        .order_by(mark.c.key)
    ):
        on[f"sha256:{id}", path] = by if present else ""
    rows = connection.execute(
        select(artefact.c.id, claim.c.major, artefact_payload.c.name, artefact_payload.c.digest)
        .join(artefact, artefact.c.key == claim.c.artefact)
        .join(artefact_payload, artefact_payload.c.artefact == artefact.c.key)
        .where(claim.c.owner == owner)
        .order_by(claim.c.major, artefact_payload.c.name)
    )
    return [
        Held(f"sha256:{id}", epoch, path, digest, on.get((f"sha256:{id}", path), ""))
        for id, epoch, path, digest in rows
    ]


def replaced_by(files: Sequence[Held], holds: Holds) -> list[Held]:
    """Of the files of other batches those that are replaced when a batch holds its paths."""
    paths = set(holds.paths)
    return [
        each
        for each in files
        if each.path in paths and each.batch != holds.batch and not each.by and each.digest not in holds.listed
    ]


def consequences(files: Sequence[Held], holds: Holds) -> list[Mark]:
    """The marks to write when a batch holds its paths from now on; none where nothing changes."""
    replaced, paths = replaced_by(files, holds), set(holds.paths)
    back = [each for each in files if each.batch == holds.batch and each.path in paths and each.by]
    marks = [Mark(each.batch, FILE, each.path, True, holds.batch, EVENT) for each in replaced]
    marks += [Mark(each.batch, FILE, each.path, False, holds.batch, EVENT) for each in back]
    now = {(each.batch, each.path): each.by for each in files}
    now |= {(each.batch, each.path): holds.batch for each in replaced} | {(each.batch, each.path): "" for each in back}
    for batch in dict.fromkeys(each.batch for each in (*replaced, *back)):
        was = all(each.by for each in files if each.batch == batch)
        is_now = all(by for (whose, _), by in now.items() if whose == batch)
        if was != is_now:
            marks.append(Mark(batch, SUPERSEDED, "", is_now, holds.batch, EVENT))
    return marks


def supersedes(connection: Connection, id: str) -> list[tuple[str, str]]:
    """(path, id of the batch whose file was replaced) for all that a batch replaced, and replaces still."""
    later = mark.alias("later")
    rows = connection.execute(
        select(mark.c.value, artefact.c.id)
        .join(artefact, artefact.c.key == mark.c.artefact)
        .where(
            mark.c.kind == FILE,
            mark.c.present,
            mark.c.reason == id,
            ~exists().where(
                later.c.artefact == mark.c.artefact,
                later.c.kind == mark.c.kind,
                later.c.value == mark.c.value,
                later.c.key > mark.c.key,
            ),
        )
        .order_by(mark.c.key)
    )
    return [(path, f"sha256:{batch}") for path, batch in rows]
