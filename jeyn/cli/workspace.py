"""The workspace that a command works on: the one that `--home` and the settings name, closed when it is done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from jeyn.cli.output import asked
from jeyn.errors import NotFound
from jeyn.settings import PROJECT_FILE, Settings

if TYPE_CHECKING:
    from jeyn.stores.workspace import Workspace

SQLITE = "sqlite:///"


def settings(start: Path | None = None) -> Settings:
    """The settings of the project that `start` (default: the working folder) is in, with `--home` and the like."""
    found = Settings.load(start, home=asked().home)
    return replace(found, clock_is_right=found.clock_is_right or asked().clock_is_right)


@contextmanager
def opened(*, create: bool = False, tolerant: bool = False) -> Iterator[Workspace]:
    """Open it; without `create` a catalog that is not there is an error, so that asking leaves no home behind.

    Who only lists is `tolerant`: whatever stands in the catalog, one bad row fails no list.
    """
    found = settings()
    if not create:
        need_catalog(found)
    from jeyn.stores.workspace import Workspace

    with Workspace(found) as workspace:
        workspace.tolerant = tolerant
        yield workspace


def need_catalog(found: Settings) -> None:
    """Raise `NotFound` when there is no catalog yet, unless this is a Jeyn project, where it is only still empty."""
    path = catalog_file(found)
    if path is not None and not path.exists() and not (found.root / PROJECT_FILE).exists():
        raise NotFound(
            f'there is no catalog at "{path}" yet',
            hint="go to your project's folder, name a home with --home or JEYN_HOME, or begin with: jeyn new NAME",
        )


def catalog_file(found: Settings) -> Path | None:
    """The file of an SQLite catalog."""
    if not found.catalog.startswith(SQLITE):
        return None
    return Path(unquote(found.catalog.removeprefix(SQLITE).partition("?")[0]))
