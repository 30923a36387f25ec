"""The cells of a catalog as they stand, held against what their columns are for: what `fsck` looks at in the rows."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from typing import Any

from sqlalchemy import Boolean, Column, Float, Integer, LargeBinary, String, Table, select

from jeyn.sdk.version import Version
from jeyn.stores.catalog import bounds
from jeyn.stores.catalog.database import Database
from jeyn.stores.catalog.read_only import ReadOnlyCatalog
from jeyn.stores.catalog.reader import is_number
from jeyn.stores.catalog.tables import metadata
from jeyn.stores.catalog.tombstones import Damaged

_DIGEST = re.compile(r"[0-9a-f]{64}")
_DIGESTS = {"digest", "cache_key"}
_TIMES = {"at", "started", "ended", "heartbeat"}
# (table, column) -> what the JSON in it is.
_JSON: Mapping[tuple[str, str], type] = {
    ("event", "data"): dict,
    ("run", "parameters"): dict,
    ("run", "pins"): dict,
    ("run", "environment"): dict,
    ("run", "error"): dict,
    ("operation", "error"): dict,
    ("operation", "effects"): list,
    ("attempt", "error"): dict,
    ("cache_entry", "observations"): list,
    ("cache_entry", "components"): dict,
    ("tombstone", "row"): list,
}
# Texts that are somebody's: long, and of any characters.
# What saving keeps to one line; elsewhere, as in names of files, people may have written anything.
_LINES = {
    ("artefact", "name"), ("artefact", "schema"), ("artefact", "type"), ("claim", "owner"), ("claim", "number"),
    ("alias_move", "owner"), ("alias_move", "alias"),
}  # fmt: skip
_FREE = {"text", "reason", "value", "document", "facts", "plan", "url", "data", "error"}
PAGE = 500


def wrong_cells(database: Database) -> Iterator[Damaged]:
    """Every row that holds what no Jeyn would have written there, with what that is."""
    for table in metadata.sorted_tables:
        keys = [column.name for column in table.primary_key.columns]
        check = _ROWS.get(table.name)
        for row in _cells(database, table):
            why = next(_wrong(table, row), "") or (check(row) if check else "")
            if why:
                yield Damaged(table.name, tuple(row[key] for key in keys), why)


def _cells(database: Database, table: Table) -> Iterator[Mapping[str, Any]]:
    """The rows as they are; of SQLite whatever each cell holds, with text that is no UTF-8 as surrogates."""
    if database.path is None:
        with database.read() as connection:
            for found in connection.execution_options(yield_per=PAGE).execute(select(table)).mappings():
                yield dict(found)
        return
    catalog = ReadOnlyCatalog(database.path)
    with closing(catalog.connect()) as direct:
        direct.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
        direct.row_factory = sqlite3.Row
        for each in direct.execute(f'SELECT * FROM "{table.name}"'):  # noqa: S608 - a name of ours
            yield dict(each)


def _wrong(table: Table, row: Mapping[str, Any]) -> Iterator[str]:
    for column in table.columns:
        value = row[column.name]
        if value is None:
            if not column.nullable:
                yield f'its "{column.name}" is nothing'
            continue
        if why := _kind(column, value) or _content(table.name, column.name, value):
            yield f'its "{column.name}" {why}'


def _kind(column: Column[Any], value: Any) -> str:
    """Why a value is not of the column's type, or ""."""
    kind = column.type
    if isinstance(kind, Boolean):
        return "" if value in (0, 1) else f"is {_shown(value)}, neither yes nor no"
    if isinstance(kind, Integer):
        return "" if isinstance(value, int) else f"is {_shown(value)}, and no whole number"
    if isinstance(kind, Float):
        is_finite = isinstance(value, int | float) and abs(value) != float("inf")
        return "" if is_finite else f"is {_shown(value)}, and no finite number"
    if isinstance(kind, LargeBinary):
        return "" if isinstance(value, bytes | memoryview) else f"is {_shown(value)}, and no bytes"
    return _text(column, value)


def _text(column: Column[Any], value: Any) -> str:
    if not isinstance(value, str):
        return f"is {_shown(value)}, and no text"
    try:
        value.encode()
    except UnicodeEncodeError:
        return f"is {_shown(value)}, which is no UTF-8"
    most = column.type.length if isinstance(column.type, String) else None
    # A file's folders may be features, and are in its member then.
    if most is not None and len(value) > max(most, 2000 if column.name == "member" else 0):
        return f"has {len(value)} characters, more than {most}"
    return ""


def _content(table: str, name: str, value: Any) -> str:
    """Why a value of the right type cannot be what the column is for, or ""."""
    if name in _DIGESTS or (table, name) == ("artefact", "id"):
        return "" if _DIGEST.fullmatch(value) else f"is {_shown(value)}, and no digest"
    if name in _TIMES:
        return "" if 0 <= value <= bounds.LATEST else f"is {value}, which is no time"
    if (table, name) in _JSON:
        return _json(value, _JSON[table, name])
    wrong = "\0\x1b\n\r" if (table, name) in _LINES else "" if name in _FREE else "\0"
    if isinstance(value, str) and any(char in value for char in wrong):
        return f"is {_shown(value)}, which no name or number holds"
    return ""


def _json(text: str, kind: type) -> str:
    if not text:
        return ""
    try:
        found = json.loads(text)
        bounds.check_depth(found)
    except (ValueError, RecursionError) as exc:
        return f"is no JSON ({exc.args[0] if exc.args else type(exc).__name__})"
    return "" if isinstance(found, kind) else f"is {_shown(text)}, and no {kind.__name__}"


def _claim(row: Mapping[str, Any]) -> str:
    owner, number = row["owner"], row["number"]
    if owner.partition(":")[0] not in ("batch", "formula", "checkpoint"):
        return ""  # a newer Jeyn's
    if not is_number(owner, number):
        return f'its "number" is {_shown(number)}, which no {owner.partition(":")[0]} has'
    if owner.startswith("batch:"):
        told: tuple[Any, ...] = (int(number), 0, 0, "")
    else:
        version = Version.parse(number)
        told = (version.major, version.minor, version.patch, number.partition("-")[2])
    said = tuple(row[name] for name in ("major", "minor", "patch", "prerelease"))
    return "" if said == told else f"it is ordered as {said}, and its number is {number}"


def _mark(row: Mapping[str, Any]) -> str:
    if row["kind"] not in ("contract", "order"):
        return ""
    return _json(row["value"], dict if row["kind"] == "contract" else list) and f"its {row['kind']} cannot be read"


_ROWS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {"claim": _claim, "mark": _mark}


def _shown(value: Any) -> str:
    text = f'"{value[:60]}"' if isinstance(value, str) else repr(value)[:60]
    return text.encode("utf-8", "replace").decode()
