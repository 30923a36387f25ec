"""Bringing a catalog to this Jeyn's schema: under a lock, with its data, and never backwards."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from jeyn.errors import Busy, Corrupt, NewerSchema, NotAllowed
from jeyn.stores.access import make_folder, see_to_file, writing
from jeyn.stores.catalog.database import Database
from jeyn.stores.catalog.patience import is_away, patient
from jeyn.stores.catalog.tables import APPEND_ONLY
from jeyn.stores.catalog.triggers import trigger_names

REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008")
LOCK_SECONDS = 120
# SQLAlchemy's own question takes longer to put together than everything else that is asked of a catalog that is opened.
_HAS_REVISION = {
    "sqlite": "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'alembic_version'",
    "postgresql": "SELECT to_regclass('alembic_version') IS NOT NULL",
}
_POSTGRES_LOCK = 0x6A65796E  # "jeyn"


@patient
def ensure_current(database: Database) -> bool:
    """Create the schema, or upgrade it with its data; quick, and False, when there is nothing to do.

    Raises `NewerSchema` for a catalog that a newer Jeyn has upgraded.
    """
    _make_folder(database)
    with database.read() as connection:
        if _is_current(connection, database):
            return False
        if database.is_read_only:
            raise NotAllowed(
                f'the catalog "{database.shown}" is at revision {current_revision(connection)} and read-only here',
                hint="its owner upgrades it: jeyn db upgrade; or copy the home to a folder that you may write",
            )
    if database.path is None:
        _upgrade_server(database)
        return True
    with _locked(database, database.path):
        upgrade(database, REVISIONS[-1])
    return True


def upgrade(database: Database, revision: str) -> None:
    """Run the steps up to `revision` in one transaction; a SQLite catalog with data is copied beside itself first."""
    with database.read() as connection:
        found = current_revision(connection)
    if found is not None and database.path and found != revision:
        _back_up(database.path, found)
    with database.exclusive() as connection:
        _bring_to(connection, revision, database)


def _bring_to(connection: Connection, revision: str, database: Database) -> None:
    if current_revision(connection) != revision:
        _run(connection, revision)
        check_triggers(connection, database.dialect)


def current_revision(connection: Connection) -> str | None:
    if not connection.execute(text(_HAS_REVISION[connection.dialect.name])).scalar_one():
        return None
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
    return None if found is None else str(found)


def check_triggers(connection: Connection, dialect: str) -> None:
    """Raise `Corrupt` when a table lost the triggers that keep it append-only."""
    missing = lost_triggers(connection, dialect)
    if missing:
        raise Corrupt(
            f"the catalog lost triggers that protect history: {', '.join(missing)}",
            hint="restore the catalog from a copy; anything may have been changed since",
        )


def lost_triggers(connection: Connection, dialect: str) -> list[str]:
    """The names of the protecting triggers that are not there, or are switched off."""
    catalog = {
        "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger'",
        "postgresql": "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled <> 'D'",
    }
    there = set(connection.execute(text(catalog[dialect])).scalars())
    return sorted(name for table in APPEND_ONLY for name in trigger_names(table, dialect) - there)


def _is_current(connection: Connection, database: Database) -> bool:
    found = current_revision(connection)
    if found is not None and found not in REVISIONS:
        raise NewerSchema(
            f'the catalog "{database.shown}" is at revision {found}, newer than this Jeyn ({REVISIONS[-1]})',
            hint="upgrade Jeyn: pip install --upgrade jeyn",
        )
    return found == REVISIONS[-1]


def _run(connection: Connection, revision: str) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def _make_folder(database: Database) -> None:
    if database.path:
        try:
            make_folder(database.path.parent)
            see_to_file(database.path)
        except OSError as exc:
            raise NotAllowed(
                f'the home "{database.path.parent}" cannot be made ({exc.strerror})', hint="set JEYN_HOME elsewhere"
            ) from exc


def _back_up(path: Path, revision: str) -> None:
    import sqlite3

    copy = path.with_name(f"{path.name}.before-{revision}")
    partial = copy.with_suffix(".partial")
    see_to_file(partial)
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(partial)) as target:
        source.backup(target)
    shutil.move(partial, copy)


@contextmanager
def _locked(database: Database, path: Path) -> Iterator[None]:
    try:
        lock = writing(path.with_name(f"{path.name}.lock"))
    except OSError as exc:
        raise NotAllowed(
            f'the home "{path.parent}" cannot be written ({exc.strerror})', hint="set JEYN_HOME elsewhere"
        ) from exc
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@patient
def _upgrade_server(database: Database) -> None:
    """Lock and steps in one transaction: where there are few connections, who waits takes none from who works."""
    with database.exclusive() as connection:
        connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'"))
        try:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _POSTGRES_LOCK})
        except DBAPIError as exc:
            if is_away(exc):
                raise
            raise Busy("another process is upgrading the catalog", hint="try again in a minute") from exc
        connection.execute(text("SET LOCAL lock_timeout = 0"))
        _bring_to(connection, REVISIONS[-1], database)
