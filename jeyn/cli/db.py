"""`jeyn db`: the catalog database itself: where it is, its schema and bringing it up to date; its payload store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from jeyn.cli.output import Result, columns, command, say
from jeyn.cli.tree import Entry, LazyGroup
from jeyn.cli.workspace import catalog_file, need_catalog, settings
from jeyn.errors import Corrupt, Incompatible, NotFound

if TYPE_CHECKING:
    from jeyn.errors import JeynError
    from jeyn.settings import Settings

LEAVES = {
    "check": Entry(__name__, "check", "Show where the catalog is and whether its schema is sound; changes nothing."),
    "adopt-payloads": Entry(__name__, "adopt", "Take the payload store of the settings for the catalog's own."),
    "upgrade": Entry(__name__, "upgrade", "Create the schema, or bring it up to date with its data."),
}


@click.group(cls=LazyGroup, entries=LEAVES)
def db() -> None:
    """Check and upgrade the catalog database, and say which payload store is its own."""


@command()
def check() -> Result:
    """Show where the catalog is and whether its schema is this Jeyn's and unharmed; changes nothing."""
    found = state(settings())
    rows = [(name.replace("_", " "), _said(value)) for name, value in found.items()]
    return Result(found, columns(rows), problem(found))


@command()
def upgrade() -> Result:
    """Create the schema, or bring it up to date with its data; an SQLite file is copied beside itself first."""
    from jeyn.stores.catalog.migrate import ensure_current

    found = settings()
    need_catalog(found)
    with _database(found) as database:
        before = _revision(database)
        ensure_current(database)
        after = _revision(database)
    data = {"before": before, "after": after, "changed": before != after}
    if before == after:
        return Result(data, f"up to date at revision {after}")
    return Result(data, f"{'created' if before is None else f'upgraded from {before}'}, now at revision {after}")


@command()
@click.option("--yes", is_flag=True, help="Do it; without this, only show what is known and what would be.")
def adopt(yes: bool) -> Result:
    """Take the payload store of the settings for the catalog's own from now on, as after it was moved or copied.

    Catalog and store keep one identity; a store with another one is refused, for it may be somebody else's, or a disk
    that is not mounted.
    """
    from jeyn.cli.workspace import opened

    with opened() as workspace:
        done = workspace.adopt_payloads(yes=yes)
    data = {
        "before": done.before and vars(done.before),
        "now": vars(done.now),
        "there": done.there,
        "looked_for": done.looked_for,
        "done": yes,
    }
    lines = [
        ("known", f"{done.before.url} ({done.before.identity})" if done.before else "none yet"),
        ("now" if yes else "settings", f"{done.now.url} ({done.now.identity or 'no identity yet'})"),
        ("there", f"{done.there} of {done.looked_for} payloads that were looked for"),
    ]
    if not yes:
        say("nothing is changed yet: jeyn db adopt-payloads --yes does it")
    return Result(data, columns(lines))


def state(found: Settings) -> dict[str, Any]:
    """What the catalog database is like, without touching it. Raises `NotFound`, `Unreachable`."""
    from jeyn.stores.catalog.migrate import REVISIONS, lost_triggers

    path = catalog_file(found)
    if path is not None and not path.exists():
        raise NotFound(
            f'there is no catalog at "{path}" yet', hint="jeyn db upgrade makes it, and so does the first run"
        )
    with _database(found) as database:
        revision = _revision(database)
        with database.read() as connection:
            lost = lost_triggers(connection, database.dialect) if revision in REVISIONS else []
        return {
            "catalog": database.shown,
            "revision": revision,
            "newest_revision": REVISIONS[-1],
            "current": revision == REVISIONS[-1],
            "newer": revision is not None and revision not in REVISIONS,
            "lost_triggers": lost,
        }


def problem(found: dict[str, Any]) -> JeynError | None:
    """What a state is, when it is not sound."""
    if found["newer"]:
        return Incompatible(
            f"the catalog is at revision {found['revision']}, newer than this Jeyn", hint="pip install --upgrade jeyn"
        )
    if not found["current"]:
        return Incompatible(
            f"the catalog is at revision {found['revision']}, and {found['newest_revision']} is wanted",
            hint="jeyn db upgrade",
        )
    if found["lost_triggers"]:
        return Corrupt("the catalog lost triggers that protect history", hint="jeyn fsck --repair --yes")
    return None


def _database(found: Settings) -> Any:
    from contextlib import contextmanager

    from jeyn.stores.catalog.database import Database

    @contextmanager
    def opened() -> Any:
        database = Database(found.catalog)
        try:
            yield database
        finally:
            database.dispose()

    return opened()


def _revision(database: Any) -> str | None:
    from jeyn.stores.catalog.migrate import current_revision

    if database.path and not database.path.exists():
        return None
    with database.read() as connection:
        return current_revision(connection)


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(value) or "none" if isinstance(value, list) else str(value)
