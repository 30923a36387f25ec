"""`jeyn plan`: what a run would do and why, and everything that is wrong with it, without running anything."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

import jeyn.own_imports
from jeyn.cli.output import Result, command
from jeyn.cli.target import SET, parameters, project, saved_plan, targets, users_code
from jeyn.errors import JeynError
from jeyn.own_imports import same_named

if TYPE_CHECKING:
    from jeyn.sdk.plan import Plan
    from jeyn.stores.workspace import Workspace
    from jeyn.workflows.planning import Planned


@command()
@click.argument("target", shell_complete=targets)
@SET
@click.option("--no-cache", is_flag=True, help="As if every operation had to run.")
def plan(target: str, given: tuple[str, ...], no_cache: bool) -> Result:
    """Show what running TARGET would do: which operations, which the cache has already, and why not otherwise."""
    from jeyn.cli.plan_view import plan_text
    from jeyn.workflows.forecast import forecast

    with users_code(), planned(target, given) as (found, workspace):
        expected = forecast(found.plan, workspace, root=found.root, cache=not no_cache)
    warnings = [
        _warning(name, Path(path).relative_to(found.root)) for name, path in same_named(str(found.root)).items()
    ]
    warnings += _hides_jeyn(found.root)
    data = {"plan": found.plan.to_json(), "forecast": [asdict(each) for each in expected], "warnings": warnings}
    return Result(data, lambda: "\n\n".join([plan_text(found.plan, expected), *warnings]), first_problem(found.plan))


def _warning(name: str, path: Path) -> str:
    return (
        f'warning: "{path}" has the name of a module of Python\'s own or of a library, "{name}": only files of the'
        " project get it by that name, libraries get theirs → rename it"
    )


def _hides_jeyn(root: Path) -> list[str]:
    own = Path(jeyn.own_imports.__file__).resolve()
    paths = (each for each in (root / "jeyn.py", root / "jeyn" / "__init__.py") if each.is_file())
    return [
        f'warning: "{path.relative_to(root)}" has the name of Jeyn itself: here "python pipeline.py" and "python -m'
        ' jeyn.cli" get that file, and no file of the project can import it → rename it'
        for path in paths
        if path.resolve().parent != own.parent
    ]


@contextmanager
def planned(target: str, given: tuple[str, ...], *, offline: bool = False) -> Iterator[tuple[Planned, Workspace]]:
    """What a target means with the parameters given; `offline` asks no catalog what is wrong with it."""
    from jeyn.workflows.load import load_pipeline
    from jeyn.workflows.planning import complete, make_plan

    plan = saved_plan(target, given)
    if plan is not None:
        with project() as workspace:
            yield complete(plan, root=workspace.settings.root, workspace=workspace, offline=offline), workspace
        return
    loaded = load_pipeline(target)
    arguments = loaded.pipeline.arguments_from(parameters(given))
    with project(loaded.root) as workspace:
        found = make_plan(loaded.pipeline, arguments, root=loaded.root, workspace=workspace, offline=offline)
        yield found, workspace


def first_problem(plan: Plan) -> JeynError | None:
    """The first thing that is wrong with a plan, as the error that a run would raise."""
    if not plan.problems:
        return None
    from jeyn import errors

    first = plan.problems[0]
    kind = getattr(errors, first.error, JeynError)
    where = f'operation "{first.operation}": ' if first.operation else ""
    more = f" (and {len(plan.problems) - 1} more)" if len(plan.problems) > 1 else ""
    error: JeynError = kind(f"{where}{first.message}{more}", hint=first.hint)
    return error
