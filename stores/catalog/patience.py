"""A database server that is away or has no room for one more is waited for (SEMANTICS 38), and nothing is done twice.

What a server does not answer it has rolled back, so it is simply done again: but for a commit whose answer was lost,
of which the server is asked what became of it (https://www.postgresql.org/docs/current/functions-info.html).
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from functools import wraps
from typing import Any, Protocol, TypeVar, cast

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from jeyn.errors import Unreachable

F = TypeVar("F", bound=Callable[..., Any])

STORE_PATIENCE = 600.0  # seconds
PAUSES = (0.05, 1.0)  # seconds, the first and the longest
# Shut down by its operator, crashed, starting up (https://www.postgresql.org/docs/current/errcodes-appendix.html).
_AWAY = ("57P01", "57P02", "57P03")
_CROWDED = ("too many clients", "remaining connection slots", "too many connections", "no more connections allowed")
_CLASSES = ("OperationalError", "InterfaceError", "AdminShutdown", "CrashShutdown", "CannotConnectNow")
OUTCOME = text("SELECT txid_status(:xid), NOT EXISTS (SELECT 1 FROM event WHERE seq = :seq AND at <> :at)")
# The last third of the room is for those who give their connection back after each transaction.
CROWD = (
    "SELECT 3 * sum(numbackends) >= 2 * (current_setting('max_connections')::int"
    " - current_setting('superuser_reserved_connections')::int) FROM pg_stat_database"
)

_log = logging.getLogger("jeyn.catalog")


class Waiting(Protocol):
    """What a database says of waiting for its server."""

    is_sqlite: bool
    patience: float
    waited: float

    @property
    def shown(self) -> str: ...


def patient(function: F) -> F:
    """A function that reads or writes in one transaction is called again where the server went away during it.

    Its first argument is the `Database`, or what has one as `database`.
    """

    @wraps(function)
    def again(where: Any, *args: Any, **kwargs: Any) -> Any:
        database: Any = getattr(where, "database", where)
        if database.is_sqlite:
            return function(where, *args, **kwargs)
        wait = Wait(database)
        while True:
            try:
                return function(where, *args, **kwargs)
            except Unreachable as exc:
                if not (database.has_met and is_away(exc.__cause__) and wait.again()):
                    raise

    return cast(F, again)


class Wait:
    """One wait, from the first failure on: `again` pauses, and is False when patience is at its end."""

    def __init__(self, database: Waiting) -> None:
        self.database = database
        self._since: float | None = None
        self._pause = PAUSES[0]
        self._is_told = False

    def again(self) -> bool:
        now = time.monotonic()
        if self._since is None:
            self._since = now
        if now - self._since >= self.database.patience:
            return False
        if self._pause == PAUSES[1] and not self._is_told:
            _log.warning('the catalog "%s" is away; it is waited for', self.database.shown)
            self._is_told = True
        # By chance, so that those who wait for room do not all ask at once.
        pause = self._pause * (0.5 + random.random() / 2)  # noqa: S311
        time.sleep(pause)
        self.database.waited += pause
        self._pause = min(2 * self._pause, PAUSES[1])
        return True


def is_away(exc: BaseException | None) -> bool:
    """Whether an error of the driver says that its connection, or the server, is gone."""
    found = exc.orig if isinstance(exc, DBAPIError) else exc
    if found is None or type(found).__name__ not in _CLASSES:
        return False
    state = getattr(found, "sqlstate", None) or getattr(found, "pgcode", None)
    return state is None or state in _AWAY or state.startswith("08") or is_crowded(found)


def is_crowded(exc: BaseException | None) -> bool:
    """Whether the server has no room for one more connection now."""
    found = exc.orig if isinstance(exc, DBAPIError) else exc
    return getattr(found, "sqlstate", None) == "53300" or any(said in str(found).lower() for said in _CROWDED)
