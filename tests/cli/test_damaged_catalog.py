"""Whatever stands in the database: commands that list go on, and the check names the row.

Each column of each table is given what it could never have been given, straight into SQLite.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Boolean, Column, Float, Integer, LargeBinary, Table

from jeyn.stores.catalog.tables import metadata
from tests.cli.conftest import Answer, call

# SQL of values, by what a column should hold.
NUMBERS = ("'abc'", "x'ff00'", "9223372036854775807", "-5", "2.5", "288230376151711744")
TEXTS = (
    "cast(x'ff00fe' as text)",
    "x'ff00fe'",
    "7",
    "''",
    "'{\"a\": NaN}'",
    "'a' || char(27) || '[2J' || char(10) || 'b'",
    "replace(hex(zeroblob(600)), '00', '[')",
    "'[1, 2]'",
)
HOLLOW = '{"body":{},"name":"x","parents":[],"payloads":[],"schema":"value/1"}'
BLOBS = ("'text'", "9223372036854775807", "x''")
LISTS = (
    "ls",
    "ls --json",
    "search kind:streaming",
    "search is:unsafe",
    "search stats.x.max>0",
    "search name:dig* --json",
    "search --order -metrics.accuracy type:checkpoint",
    "runs",
    "runs --json",
)
# Of what is named: it may not be found, or be damaged itself, and that is said.
NAMED = (
    "alias ls digit-reader",
    "alias history digit-reader",
    "show digits@1.0.0/1",
    "lineage digit-reader@0.1.0",
    "lineage digits@1.0.0 --down --json",
    "runs last",
    "logs last",
    "diff digit-reader@0.1.0 digit-reader@0.2.0",
    "impact digits@1.0.0",
)


@pytest.fixture(scope="module")
def world(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The prepared project, in which every table has a row."""
    folder = tmp_path_factory.mktemp("damaged") / "project"
    shutil.copytree(prepared, folder, ignore=shutil.ignore_patterns("spool"))
    catalog = folder / ".jeyn" / "catalog.db"
    with closing(sqlite3.connect(catalog)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        for statement in (
            f"INSERT INTO lease VALUES ('{'a' * 64}', 'somebody', 5)",
            f"INSERT INTO condemned VALUES ('{'b' * 64}', 'somebody', 5, 'here', 1, 5)",
            "INSERT OR IGNORE INTO clock_reading VALUES (1, 5, 'boot', 5)",
            "INSERT INTO clock_shift VALUES (1, 0, 0, 0, 0, 'ada', 5, 1)",
            f"INSERT INTO suspect_payload VALUES ('{'c' * 64}', 5)",
            "INSERT INTO relay_cursor VALUES ('relay', 1, 0)",
            "INSERT INTO held_work SELECT key, 1, '[]', 5 FROM operation ORDER BY key DESC LIMIT 1",
            "INSERT INTO tombstone VALUES (1, 'run', '[99]', 'why', 'ada', 5, 1)",
            f"INSERT INTO batch_member SELECT parent, 'sha256:{'d' * 64}', child FROM edge WHERE type = 1 LIMIT 1",
        ):
            connection.execute(statement)
        connection.commit()
    shutil.copy(catalog, folder / "pristine.db")
    yield folder


@pytest.fixture
def damaged(world: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    from tests.conftest import LOCATIONS

    for name in (*LOCATIONS, "JEYN_HOME", "JEYN_DEBUG", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(world)
    return world


def spoil(world: Path, table: Table, column: Column[Any], value: str, *, every: bool = False) -> bool:
    """Put `value` into a column of the newest row (or of all); False where the table itself refuses it."""
    home = world / ".jeyn"
    for name in ("catalog.db-wal", "catalog.db-shm"):
        (home / name).unlink(missing_ok=True)
    shutil.copy(world / "pristine.db", home / "catalog.db")
    with closing(sqlite3.connect(home / "catalog.db")) as connection:
        connection.execute("PRAGMA foreign_keys=OFF")
        triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        keys = ", ".join(f'"{each.name}"' for each in table.primary_key)
        newest = "" if every else f' WHERE ({keys}) = (SELECT {keys} FROM "{table.name}" ORDER BY {keys} DESC LIMIT 1)'
        try:
            changed = connection.execute(f'UPDATE "{table.name}" SET "{column.name}" = {value}{newest}').rowcount
        except sqlite3.IntegrityError:
            return False  # a key that another row has, or what SQLite itself keeps out
        assert changed > 0, f"{table.name} has no row to spoil"
        for _, sql in triggers:
            connection.execute(sql)
        connection.commit()
    return True


def values_of(column: Column[Any]) -> tuple[str, ...]:
    if isinstance(column.type, LargeBinary):
        return BLOBS
    return NUMBERS if isinstance(column.type, Integer | Boolean | Float) else TEXTS


def is_no_defect(answer: Answer, said: str) -> None:
    assert "defect" not in answer.err and "Traceback" not in answer.err, f"{said}: {answer.err}"
    assert "\x1b[2J" not in answer.out + answer.err, said


CELLS = [(table, column) for table in metadata.sorted_tables for column in table.columns]
IDS = [f"{table.name}.{column.name}" for table, column in CELLS]


@pytest.mark.parametrize(("table", "column"), CELLS, ids=IDS)
def test_lists_go_on_whatever_a_cell_holds_and_the_check_names_it(
    damaged: Path, table: Table, column: Column[Any]
) -> None:
    lists = ("runs --json",) if table.name in ("run", "operation", "attempt", "log_chunk") else ("ls --json",)
    goes_on(damaged, table, column, values_of(column)[0], lists, NAMED[2:3])


@pytest.mark.long
@pytest.mark.parametrize(("table", "column"), CELLS, ids=IDS)
def test_every_list_goes_on_whatever_a_cell_holds(damaged: Path, table: Table, column: Column[Any]) -> None:
    for value in values_of(column):
        goes_on(damaged, table, column, value, LISTS, NAMED)


@pytest.mark.parametrize(
    ("cell", "value", "command"),
    [
        ("edge.parent", "999", "lineage digit-reader@0.2.0"),
        ("edge.parent", "999", "lineage digit-reader@0.2.0 --json"),
        ("edge.child", "999", "lineage digits@1.0.0 --down"),
        ("artefact.type", "'abc'", "runs last"),
        ("artefact.type", "'value'", "runs last"),
        ("artefact.document", "'5'", "runs last"),
        ("artefact.document", "'[]'", "runs last"),
        ("artefact.document", f"'{HOLLOW}'", "runs last"),
        ("small_payload.at", "'abc'", "gc"),
        ("small_payload.at", "x'ff'", "gc --yes"),
        ("small_payload.digest", "cast(digest as blob)", "gc"),
    ],
)
def test_rows_that_are_all_damaged_are_no_defect(damaged: Path, cell: str, value: str, command: str) -> None:
    table, column = cell.split(".")
    spoil(damaged, metadata.tables[table], metadata.tables[table].c[column], value, every=True)
    found = call(*command.split())
    is_no_defect(found, f"{cell} = {value}: {command}")
    assert found.code == 0, found.err


def test_a_tree_says_that_some_of_it_is_not_there(damaged: Path) -> None:
    spoil(damaged, metadata.tables["edge"], metadata.tables["edge"].c.parent, "999", every=True)
    assert "… and 1 that are not there: jeyn fsck" in call("lineage", "digit-reader@0.2.0").out


def test_what_has_lost_a_parent_is_not_exported_without_it(damaged: Path, tmp_path: Path) -> None:
    spoil(damaged, metadata.tables["edge"], metadata.tables["edge"].c.parent, "999")
    with closing(sqlite3.connect(damaged / ".jeyn" / "catalog.db")) as connection:
        ((id,),) = connection.execute("SELECT id FROM artefact JOIN edge ON child = key WHERE parent = 999").fetchall()
    found = call("export", f"sha256:{id}", str(tmp_path / "out.bundle"))
    assert found.code == 5 and "not all there" in found.err and "jeyn fsck" in found.err
    assert not list(tmp_path.iterdir())


def goes_on(
    world: Path, table: Table, column: Column[Any], value: str, lists: tuple[str, ...], named: tuple[str, ...]
) -> None:
    if not spoil(world, table, column, value):
        return
    said = f"{table.name}.{column.name} = {value}"
    for command in (*lists, *named):
        found = call(*command.split())
        assert found.code in ((0,) if command in lists else (0, 3, 5)), f"{said}: {command}: {found.err}"
        is_no_defect(found, f"{said}: {command}")
    checked = call("fsck", "--json")
    is_no_defect(checked, f"{said}: fsck")
    if is_wrong(column, value):
        assert checked.code == 5, f"{said} is not found"
        assert checked.document["error"], said
    else:
        assert checked.code in (0, 5), f"{said}: fsck: {checked.err}"


def is_wrong(column: Column[Any], value: str) -> bool:
    """Whether the value is certainly one that no Jeyn would have written there."""
    return isinstance(column.type, LargeBinary) or value in (NUMBERS[0], NUMBERS[1], TEXTS[0], TEXTS[1])
