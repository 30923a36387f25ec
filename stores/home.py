"""Opening the catalog of a home: made, brought up to date, shared with the group where that is wanted."""

from __future__ import annotations

from jeyn.settings import Settings
from jeyn.stores import reserve
from jeyn.stores.access import share
from jeyn.stores.catalog.database import Database
from jeyn.stores.catalog.migrate import ensure_current


def open_catalog(settings: Settings, *, waits: bool = False, tolerant: bool = False) -> Database:
    """The catalog that the settings name, with this Jeyn's schema; with `waits` also a server that is away now.

    A `tolerant` one reads whatever stands there.
    """
    if settings.shared:
        share(settings.home)
    patience, is_right = settings.store_patience, settings.clock_is_right
    database = Database(settings.catalog, patience=patience, waits=waits, clock_is_right=is_right, tolerant=tolerant)
    if ensure_current(database):
        reserve.keep(settings.home)
    return database
