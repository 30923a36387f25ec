"""`jeyn rescue`: save what an operation could not, once a serializer or trust is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from jeyn.cli.output import Result, command
from jeyn.cli.target import users_code
from jeyn.cli.workspace import opened
from jeyn.errors import NotAllowed

if TYPE_CHECKING:
    from jeyn.stores.rescue import Rescued
    from jeyn.stores.workspace import Workspace


@command()
@click.argument("file", metavar="FILE|ID")
@click.option("--trusted", multiple=True, metavar="MODULE.NAME", help="A type that the model holds and you trust.")
@click.option("--batch", metavar="REF", help="The batch that it was trained on, where that was not saved either.")
@click.option(
    "--finish", is_flag=True, help="Take it as the result of its operation, so that --resume goes on behind it."
)
@click.option("--yes", is_flag=True, help="Read one that the catalog keeps: who made it may not have been you.")
def rescue(file: str, trusted: tuple[str, ...], batch: str | None, finish: bool, yes: bool) -> Result:
    """Save a model that could not be saved when it was trained, once its serializer is registered.

    FILE is a pickle that one of your operations left in .jeyn/rescue, ID one that a pod left in the catalog; reading it
    runs the code in it.
    """
    with opened() as workspace, users_code():
        from jeyn.stores.rescue import forget, read

        found = read(workspace, file)
        if isinstance(found.place, str) and not yes:
            actor = workspace.row(found.place).actor
            raise NotAllowed(
                f'"{file}" is a pickle that "{actor}" made, and reading it runs the code in it',
                hint="if you trust it: --yes",
            )
        ref, id = _saved(workspace, found, trusted, batch, finish=finish)
        forget(found)
        text = f"{ref} is saved" + (", and its operation is done: jeyn run --resume RUN goes on" if finish else "")
        return Result({"id": id, "ref": ref, "finished": finish}, text)


def _saved(
    workspace: Workspace, found: Rescued, trusted: tuple[str, ...], batch: str | None, *, finish: bool
) -> tuple[str, str]:
    import sys

    from jeyn.stores.finishing import finished, kept

    root = str(workspace.settings.root)
    if root not in sys.path:
        sys.path.insert(0, root)
    if trusted:
        from jeyn.stores.serializers.sklearn import SklearnSerializer

        workspace.serializers.register("sklearn.base.BaseEstimator", SklearnSerializer(trusted=trusted))
    artefact = finished(workspace, found, batch) if finish else kept(workspace, found, batch)
    return artefact
