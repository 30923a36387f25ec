"""`jeyn logs`: what the operations of a run printed, also while it runs and after it crashed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from jeyn.cli.output import Result, asked, command, put
from jeyn.cli.runs import LOST, run_ids, run_json, state_of
from jeyn.cli.workspace import opened
from jeyn.errors import NotFound
from jeyn.printable import coloured

if TYPE_CHECKING:
    from jeyn.stores.runs import LogChunk, RunRow
    from jeyn.stores.workspace import Workspace

POLL_SECONDS = 0.5


@command()
@click.argument("run", shell_complete=run_ids)
@click.argument("operation", required=False)
@click.option("--follow", "-f", is_flag=True, help="Go on until the run ends.")
@click.option("--raw", is_flag=True, help="Every byte as it was written, also those that act on a terminal.")
def logs(run: str, operation: str | None, follow: bool, raw: bool) -> Result:
    """Show what the operations of RUN wrote to stdout, stderr and their loggers, or one OPERATION only.

    RUN is a run's id, the beginning of it, or last. Colours are shown, and nothing else that acts on a terminal.
    """
    with opened(tolerant=True) as workspace:
        row = workspace.runs.get(run)
        _recover(workspace, row)
        _need_operation(workspace, row, operation)
        chunks = _followed(workspace, row, operation) if follow else _written(workspace, row, operation, 0)
        lines = LogLines(one=operation, raw=raw)
        if not asked().json:
            for chunk in chunks:
                put(lines.text(chunk), nl=False, colour=raw or None)
            return Result()
        found = [chunk_json(chunk) for chunk in chunks]
        return Result(run_json(workspace, workspace.runs.get(row.id)) | {"log": found})


class LogLines:
    """Chunks as lines: behind the operation's name, or of `one` operation as they are; further attempts are headed."""

    def __init__(self, one: str | None = None, *, raw: bool = False) -> None:
        self.one = one
        self.raw = raw
        self._attempts: dict[str, int] = {}

    def text(self, chunk: LogChunk) -> str:
        alone = chunk.operation == self.one
        text = chunk.text if self.raw else coloured(chunk.text)
        lines = text.removesuffix("\n").split("\n")
        if self._attempts.get(chunk.operation, 1) != chunk.attempt:
            lines.insert(0, f"--- attempt {chunk.attempt} ---")
        self._attempts[chunk.operation] = chunk.attempt
        return "".join(f"{line}\n" if alone else f"{chunk.operation} | {line}\n" for line in lines)


def chunk_json(chunk: LogChunk) -> dict[str, Any]:
    from jeyn.cli.ls import moment

    return {
        "operation": chunk.operation,
        "attempt": chunk.attempt,
        "at": moment(chunk.at),
        "text": chunk.text,
    }


def _recover(workspace: Workspace, run: RunRow) -> None:
    """What a killed engine's workers wrote last is in their files still."""
    if state_of(workspace, run) == LOST:
        from jeyn.workflows.spool import recover

        recover(workspace, run)


def _need_operation(workspace: Workspace, run: RunRow, name: str | None) -> None:
    if name is None:
        return
    known = [row.name for row in workspace.runs.operations(run.key)]
    if name in known:
        return
    listed = ", ".join(known[:10]) + (", …" if len(known) > 10 else "")
    raise NotFound(f'run "{run.id}" has no operation "{name}"', hint=f"it has {listed or 'none'}")


def _written(workspace: Workspace, run: RunRow, operation: str | None, after: int) -> Iterator[LogChunk]:
    """All that was written until now; the store gives it in pages."""
    while page := workspace.runs.log(run.key, operation, after):
        yield from page
        after = page[-1].key


def _followed(workspace: Workspace, run: RunRow, operation: str | None) -> Iterator[LogChunk]:
    after = 0
    while True:
        # Asked before reading: what was written until the end is read once more after it.
        over = state_of(workspace, workspace.runs.get(run.id)) != "running"
        for chunk in _written(workspace, run, operation, after):
            yield chunk
            after = chunk.key
        if over:
            return
        time.sleep(POLL_SECONDS)
