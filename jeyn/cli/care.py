"""`jeyn gc` and `jeyn fsck`: freeing bytes, and checking all of them; nothing is changed without --yes."""

from __future__ import annotations

from datetime import timedelta

import click

from jeyn.cli.output import Result, command, say, shown
from jeyn.cli.reference import references
from jeyn.cli.workspace import opened
from jeyn.errors import Invalid, UsageError
from jeyn.settings import duration


def _duration(context: click.Context, parameter: click.Parameter, value: str) -> timedelta:
    try:
        return duration(value)
    except UsageError as exc:
        raise click.BadParameter(f"{exc.message}; {exc.hint}", context, parameter) from exc


@command()
@click.argument("refs", shell_complete=references, nargs=-1, metavar="[REF]...")
@click.option("--yes", is_flag=True, help="Do it; without this, only show what would go.")
@click.option("--grace", callback=_duration, default="24h", show_default=True, help="Leave what is younger alone.")
@click.option(
    "--keep",
    shell_complete=references,
    multiple=True,
    metavar="RUNS|REF",
    help="A number or an age (20, 30d): let the values of older runs go. A reference: keep it and what it came from.",
)
def gc(refs: tuple[str, ...], yes: bool, grace: timedelta, keep: tuple[str, ...]) -> Result:
    """Free the bytes that nobody can miss; rows, numbers, lists and lineage stay as they are.

    That is payloads of no artefact, such as failed attempts leave; with --keep 20 also the values that only older runs
    of a pipeline made; and what retention: in jeyn.yaml lets go. Given REFs, those are taken, and nothing else. What
    an alias or a pin needs is never taken.
    """
    runs = [length for text in keep if (length := _runs(text)) is not None]
    if len(runs) > 1:
        raise UsageError(f"--keep is given {len(runs)} numbers of runs", hint="give one, such as --keep 20")
    kept = [text for text in keep if _runs(text) is None]
    with opened() as workspace:
        swept = workspace.gc(*refs, keep=kept, keep_runs=runs[0] if runs else None, grace=grace, yes=yes)
        return _then(shown(swept), "" if yes else "nothing is freed yet: jeyn gc --yes does it")


def _runs(text: str) -> int | timedelta | None:
    """How many runs, or since when; None for a reference."""
    if text.isascii() and text.isdigit():
        return int(text)
    try:
        return duration(text)
    except UsageError:
        return None


@command()
@click.option("--repair", is_flag=True, help="Mend what can be mended; with --yes only.")
@click.option("--yes", is_flag=True, help="Do it; without this, --repair only shows what is wrong.")
@click.option("--from", "sources", multiple=True, metavar="URL", help="A payload store that may have what is lost.")
@click.option("--give-up", is_flag=True, help="Give up as lost also more than ten payloads at once.")
def fsck(repair: bool, yes: bool, sources: tuple[str, ...], give_up: bool) -> Result:
    """Check every stored byte and row against what they say they are; faults that are left give exit code 5."""
    with opened() as workspace:
        found = workspace.fsck(repair=repair and yes, sources=sources, give_up=give_up)
        error = Invalid(f"{found.left} faults are left", hint="each says what to do about it") if found.left else None
        pending = repair and not yes and found.left
        return _then(shown(found, error), "nothing is changed yet: jeyn fsck --repair --yes does it" if pending else "")


def _then(result: Result, note: str) -> Result:
    if note:
        say(note)
    return result
