"""`jeyn impact`: what a change touches; with a new catalog, what it would break."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import click

from jeyn.cli.output import Result, command, shown
from jeyn.cli.reference import references
from jeyn.cli.target import users_code
from jeyn.cli.workspace import opened
from jeyn.errors import NotFound, UsageError
from jeyn.own_imports import guard
from jeyn.regular import read_text

if TYPE_CHECKING:
    from jeyn.sdk.catalog import DataCatalog


@command()
@click.argument("ref", shell_complete=references)
@click.option(
    "--new-catalog",
    metavar="FILE.json|module:Class",
    help="The catalog that the formula REF would have: a file of DataCatalog.to_json(), or a class of your project.",
)
def impact(ref: str, new_catalog: str | None) -> Result:
    """Show what is downstream of an artefact, and what a new catalog of a formula would break."""
    with opened(tolerant=True) as workspace:
        with users_code():
            catalog = _catalog(new_catalog, workspace.settings.root) if new_catalog else None
        return shown(workspace.impact(ref, new_catalog=catalog))


def _catalog(named: str, root: Path) -> type[DataCatalog]:
    from jeyn.sdk.catalog import DataCatalog

    if named.endswith(".json"):
        try:
            return DataCatalog.from_json(read_text(named))
        except (OSError, UnicodeDecodeError) as exc:
            raise NotFound(
                f'the catalog "{named}" cannot be read: {exc}', hint="write DataCatalog.to_json() there"
            ) from exc
    module, _, name = named.partition(":")
    found = getattr(_imported(module, root), name, None) if name else None
    if not (isinstance(found, type) and issubclass(found, DataCatalog)):
        raise UsageError(f'"{named}" names no DataCatalog', hint="give catalogs:Digits, or FILE.json")
    return found


def _imported(module: str, root: Path) -> object:
    """A module of the project, as its pipelines would import it."""
    guard(str(root))
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    try:
        return import_module(module.removesuffix(".py").replace("/", "."))
    except Exception as exc:  # somebody's module may raise anything
        raise UsageError(
            f'"{module}" cannot be imported: {type(exc).__name__}: {exc}', hint=f'name a module below "{root}"'
        ) from exc
