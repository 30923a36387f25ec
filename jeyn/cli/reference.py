"""What a shell completes where an argument names an artefact: `click.argument("ref", shell_complete=references)`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from jeyn.errors import JeynError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from jeyn.stores.workspace import Workspace


def references(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """What a shell may complete: names, versions and aliases that begin so."""
    from click.shell_completion import CompletionItem

    from jeyn.cli.workspace import catalog_file
    from jeyn.settings import Settings
    from jeyn.stores.workspace import Workspace

    try:
        found = Settings.load(home=context.find_root().params.get("home"))
        path = catalog_file(found)
        if path is not None and not path.exists():
            return []
        with Workspace(found) as workspace:
            return [CompletionItem(each) for each in sorted(set(_known(workspace))) if each.startswith(incomplete)]
    except JeynError:
        # A shell that completes has nowhere to show an error; the command itself will.
        return []


def _known(workspace: Workspace) -> Iterator[str]:
    from jeyn.stores.catalog.reader import owner_of

    for type, name in workspace.reader.names():
        if not name.isprintable():  # the shell would act on it
            continue
        yield name
        kind = "formula" if type == "dataset_formula" else "checkpoint"
        for claimed in workspace.reader.claims(owner_of(kind, name)):
            yield f"{name}@{claimed.number}"
        for moved in workspace.reader.alias_history(owner_of(kind, name)):
            yield f"{name}@{moved.alias}"
