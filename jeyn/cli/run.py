"""`jeyn run`: run a pipeline, a saved plan, or what a run left undone; watched on stderr, its outputs on stdout."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from jeyn.cli.output import Result, columns, command, say
from jeyn.cli.runs import run_ids
from jeyn.cli.target import SET, parameters, project, saved_plan, targets, users_code
from jeyn.errors import Interrupted, JeynError, UsageError

if TYPE_CHECKING:
    from jeyn.workflows.run import Run
    from jeyn.workflows.watch import Event, Watch

Explained = dict[str, tuple[str, str]]  # operation -> (its state, why it was not taken from the cache)


@command()
@click.argument("target", required=False, shell_complete=targets)
@SET
@click.option("--on", type=click.Choice(["local", "argo"]), default="local", show_default=True, help="The engine.")
@click.option(
    "--resume",
    shell_complete=run_ids,
    metavar="RUN",
    help="Go on with a failed, killed or cancelled run: its id, or last.",
)
@click.option("--no-cache", is_flag=True, help="Run every operation, whatever was made before.")
@click.option("--explain-cache", is_flag=True, help="Say of each operation why it ran or did not.")
@click.option("--isolated", is_flag=True, help="Run each operation in a fresh process, on the packaged code.")
@click.option("--workers", type=click.IntRange(min=1), help="How many operations run at a time.")
def run(
    target: str | None,
    given: tuple[str, ...],
    on: str,
    resume: str | None,
    no_cache: bool,
    explain_cache: bool,
    isolated: bool,
    workers: int | None,
) -> Result:
    """Run TARGET: pipeline.py, pipeline.py:function, a pipeline's name in jeyn.yaml, or a plan as JSON.

    Nothing goes to stdout but the outputs. What the operations print is kept: jeyn logs RUN.
    """
    if (target is None) == (resume is None):
        raise UsageError("name either a pipeline or a run to resume", hint="jeyn run pipeline.py, or --resume RUN")
    if resume is not None and (given or no_cache or isolated):
        raise UsageError("a resumed run keeps its parameters and options", hint="run the pipeline anew to change them")
    options: dict[str, Any] = {"workers": workers, "explain": explain_cache}
    if resume is not None:
        beginning = _resumed(resume, options)
    else:
        beginning = _begun(str(target), given, options | {"on": on, "cache": not no_cache, "isolated": isolated})
    with users_code(), beginning as begin:
        return _watched(begin, explain_cache)


@contextmanager
def _resumed(run: str, options: Mapping[str, Any]) -> Iterator[Callable[[Watch], Run]]:
    from jeyn.cli.workspace import opened
    from jeyn.workflows.run import resume_run

    with opened() as workspace:
        yield lambda watch: resume_run(run, workspace=workspace, watch=watch, **options)


@contextmanager
def _begun(target: str, given: tuple[str, ...], options: Mapping[str, Any]) -> Iterator[Callable[[Watch], Run]]:
    from jeyn.workflows.load import load_pipeline
    from jeyn.workflows.run import run_pipeline, run_plan

    plan = saved_plan(target, given)
    if plan is None:
        loaded = load_pipeline(target)
        arguments = loaded.pipeline.arguments_from(parameters(given))
        with project(loaded.root) as workspace:
            yield lambda watch: run_pipeline(loaded.pipeline, arguments, workspace=workspace, watch=watch, **options)
        return
    if given:
        raise UsageError(
            f'the parameters of the plan "{target}" are fixed', hint="leave --set out, or run the pipeline"
        )
    with project() as workspace:
        yield lambda watch: run_plan(plan, root=workspace.settings.root, workspace=workspace, watch=watch, **options)


def _watched(begin: Callable[[Watch], Run], explain: bool) -> Result:
    from jeyn.cli.display import live_display

    explained: Explained = {}
    with live_display() as watch:

        def listen(event: Event) -> None:
            _note(event, explained)
            watch(event)

        done = begin(listen)
    if explain:
        say(columns([(name, *found) for name, found in explained.items()], ("OPERATION", "STATE", "WHY IT RAN")))
    data = done.to_json()
    if explain:
        data["cache"] = {name: {"state": state, "reason": reason} for name, (state, reason) in explained.items()}
    return Result(data, outputs_text(done.refs if done.state == "succeeded" else {}), error_of(done))


def _note(event: Event, explained: Explained) -> None:
    from jeyn.workflows.watch import OperationChanged

    if isinstance(event, OperationChanged):
        _, reason = explained.get(event.operation, ("", ""))
        explained[event.operation] = (event.state, event.reason or reason)


def outputs_text(refs: Mapping[str, str]) -> str:
    """What a run gave, by the names of its outputs; one that has no name stands alone."""
    if list(refs) == ["return"]:
        return refs["return"]
    return columns(list(refs.items())) if refs else ""


def error_of(done: Run) -> JeynError | None:
    """Why a run did not succeed, with what to type next (a line each) and the run's own exit code."""
    if done.state == "succeeded":
        return None
    from jeyn.workflows.failure import raised

    error = raised(done.error) if done.error else Interrupted(f'run "{done.id}" was {done.state}')
    operation = (done.error or {}).get("operation") or ""
    if operation:
        error.message = f'operation "{operation}": {error.message}'
    error.hint = "\n".join(part for part in (error.hint, *_next(done, operation)) if part)
    error.exit_code = done.exit_code
    return error


def _next(done: Run, operation: str) -> Iterator[str]:
    if operation:
        yield f"jeyn logs {done.id} {operation}"
    yield f"jeyn run --resume {done.id}"
