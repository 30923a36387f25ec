"""Rows that cannot be read and were buried: a tombstone with its reason beside each, the row itself as it was."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, select

from jeyn.stores.catalog.database import Database
from jeyn.stores.catalog.patience import patient
from jeyn.stores.catalog.tables import tombstone


@dataclass(frozen=True)
class Damaged:
    """A row that cannot be read: its table, its primary key, and why."""

    table: str
    row: tuple[Any, ...]
    reason: str


def buried(connection: Connection, table: str) -> Mapping[tuple[Any, ...], str]:
    """The reasons by primary key, of the rows of one table."""
    query = select(tombstone.c.row, tombstone.c.reason).where(tombstone.c.table == table).order_by(tombstone.c.key)
    return {tuple(json.loads(row)): reason for row, reason in connection.execute(query)}


@patient
def bury(database: Database, rows: Sequence[Damaged], actor: str) -> None:
    """Put a tombstone on each."""
    with database.write() as tx:
        stamp = {"actor": actor, "at": tx.at, "seq": tx.seq}
        tx.connection.execute(
            insert(tombstone),
            [{"table": each.table, "row": key_text(each.row), "reason": each.reason} | stamp for each in rows],
        )


def key_text(row: Sequence[Any]) -> str:
    """A primary key as JSON; what is no text in it is shown as Python writes it."""
    plain = [each if isinstance(each, int | float | str | None) else repr(each) for each in row]
    return json.dumps([each.encode("utf-8", "replace").decode() if isinstance(each, str) else each for each in plain])
