"""What `jeyn run` and `jeyn plan` are given: a pipeline's file or name, or a plan as JSON, and its parameters."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from jeyn.cli.workspace import settings
from jeyn.errors import Invalid, JeynError, NotFound, UsageError
from jeyn.json_text import MOST_BYTES, parse
from jeyn.regular import read_bytes

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from jeyn.sdk.plan import Plan
    from jeyn.stores.workspace import Workspace


def targets(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """What a shell may complete: `pipeline.py`, a name in jeyn.yaml, or `plan.json`."""
    from click.shell_completion import CompletionItem

    try:
        named = [name for name in settings().pipelines if name.startswith(incomplete)]
    except JeynError:
        # A shell that completes has nowhere to show an error; the command itself will.
        named = []
    return [*(CompletionItem(name) for name in named), CompletionItem(incomplete, type="file")]


SET = click.option(
    "--set", "given", multiple=True, metavar="NAME=VALUE", help="Give a parameter another value; may be repeated."
)


@contextmanager
def users_code() -> Iterator[None]:
    """While a user's module is imported or recorded: what it prints is no result, and goes to stderr."""
    with redirect_stdout(sys.stderr):
        yield


def parameters(given: Iterable[str]) -> dict[str, str]:
    """`--set strength=0.1` as name and text; the pipeline knows the types."""
    found = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not equals or not name:
            raise UsageError(f'--set "{each}" has no "="', hint="write --set name=value")
        if name in found:
            raise UsageError(f'--set gives "{name}" twice', hint="leave one of them out")
        found[name] = value
    return found


def saved_plan(target: str, given: Iterable[str]) -> Plan | None:
    """The plan in a file that ends in .json, bare or as `jeyn plan --json` printed it; None for any other target."""
    if not target.endswith(".json"):
        return None
    if given:
        raise UsageError(
            f'the parameters of the plan "{target}" are fixed', hint="leave --set out, or name the pipeline"
        )
    from jeyn.sdk.plan import Plan

    return Plan.from_json(_plan_data(Path(target)))


def _plan_data(path: Path) -> Any:
    try:
        found = parse(read_bytes(path, MOST_BYTES))
    except FileNotFoundError as exc:
        raise NotFound(f'there is no file "{path}"', hint=f"jeyn plan pipeline.py --json > {path}") from exc
    except OSError as exc:
        raise UsageError(f'"{path}" cannot be read: {exc.strerror}', hint="name a file that holds a plan") from exc
    except ValueError as exc:
        raise Invalid(f'"{path}" is not JSON: {exc}', hint=f"jeyn plan pipeline.py --json > {path}") from exc
    inner = found.get("data") if isinstance(found, dict) and "schema" in found else None
    return inner.get("plan") if isinstance(inner, dict) else found


@contextmanager
def project(root: Path | None = None) -> Iterator[Workspace]:
    """The workspace of the project that `root` (default: the working folder) is in; made if it is not there."""
    from jeyn.stores.workspace import Workspace

    with Workspace(settings(root)) as workspace:
        yield workspace
