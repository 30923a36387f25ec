"""What a database's driver raises, as Jeyn's errors, each with what to do next."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from jeyn.address import without_secrets
from jeyn.errors import Busy, Corrupt, Immutable, Invalid, JeynError, NoSpace, NotAllowed, NotFound, Unreachable
from jeyn.stores.catalog.patience import is_away
from jeyn.stores.catalog.triggers import REFUSAL
from jeyn.stores.reserve import is_full

if TYPE_CHECKING:
    from jeyn.stores.catalog.database import Database


@contextmanager
def translated(database: Database) -> Iterator[None]:
    """Third-party database errors as Jeyn's, each with what to do next."""
    try:
        yield
    except DBAPIError as exc:
        raise _translate(exc.orig or exc, database) from exc
    except database.driver_error as exc:  # from a prepared statement, which SQLAlchemy does not wrap
        raise _translate(exc, database) from exc


def _translate(exc: BaseException, database: Database) -> JeynError:
    said, where = without_secrets(str(exc), database.address), database.shown
    low = said.lower()
    if REFUSAL in said:
        return Immutable("a saved artefact and its history never change", hint="save a new version instead")
    if "locked" in low or "busy" in low:
        return Busy(
            f'the catalog "{where}" was locked for {database.busy_seconds} s',
            hint="try again when whoever holds it is done",
        )
    is_disk = "disk i/o error" in low or "readonly" in low or "unable to open" in low
    # A quota, or a limit of the process, is no full disk to SQLite.
    is_refused = getattr(exc, "sqlite_errorname", "") in ("SQLITE_IOERR_WRITE", "SQLITE_IOERR_SHMSIZE")
    if (
        "disk is full" in low
        or "no space" in low
        or is_refused
        or (is_disk and database.path and is_full(database.path.parent))
    ):
        return NoSpace(
            f'no space is left on the disk of the catalog "{where}" ({said})',
            hint="free space, as jeyn gc --yes does; nothing that was saved is lost",
        )
    if "disk i/o error" in low:
        return Unreachable(f'the disk of the catalog "{where}" fails ({said})', hint="check the disk and its log")
    if "readonly" in low or "read-only" in low or "permission denied" in low:
        return NotAllowed(f'the catalog "{where}" cannot be written ({said})', hint="check who owns JEYN_HOME")
    if "unable to open" in low:
        return NotAllowed(f'the catalog "{where}" cannot be opened ({said})', hint="check JEYN_HOME and its folder")
    if "could not decode to utf-8" in low:
        return Corrupt(f'the catalog "{where}" holds what is no text ({said})', hint="jeyn fsck finds where")
    if "malformed" in low or "not a database" in low:
        return Corrupt(f'"{where}" is damaged or no catalog ({said})', hint="restore it, or set JEYN_HOME elsewhere")
    if "does not exist" in low and "database" in low:
        return NotFound(f'the catalog database "{where}" does not exist', hint="create it, then try again")
    if type(exc).__name__ in ("OperationalError", "InterfaceError") or is_away(exc):
        return Unreachable(f'the catalog "{where}" cannot be reached ({said.strip()})', hint="check JEYN_CATALOG")
    return Invalid(f'the catalog "{where}" refused a statement ({said.strip()})', hint="see what jeyn fsck finds")
