"""`jeyn gc` and `jeyn fsck`: freeing bytes, and checking all of them; nothing is changed without --yes."""

from __future__ import annotations

import re
from datetime import timedelta

import click

from jeyn.cli.output import Result, command, say, shown
from jeyn.cli.reference import references
from jeyn.cli.workspace import opened
from jeyn.errors import Invalid

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def _duration(context: click.Context, parameter: click.Parameter, value: str) -> timedelta:
    found = re.fullmatch(r"([0-9]{1,6})([smhdw])", value)
    if found is None:
        raise click.BadParameter(f'"{value}" is no duration; write 30m, 24h or 7d', context, parameter)
    return timedelta(**{UNITS[found[2]]: int(found[1])})


@command()
@click.option("--yes", is_flag=True, help="Do it; without this, only show what would go.")
@click.option("--grace", callback=_duration, default="24h", show_default=True, help="Leave what is younger alone.")
@click.option("--keep", shell_complete=references, multiple=True, help="Keep this and what it came from; repeatable.")
def gc(yes: bool, grace: timedelta, keep: tuple[str, ...]) -> Result:
    """Free the bytes that no alias, pin or kept reference needs; rows and lineage stay."""
    with opened() as workspace:
        swept = workspace.gc(keep=keep, grace=grace, yes=yes)
        return _then(shown(swept), "" if yes else "nothing is freed yet: jeyn gc --yes does it")


@command()
@click.option("--repair", is_flag=True, help="Mend what can be mended; with --yes only.")
@click.option("--yes", is_flag=True, help="Do it; without this, --repair only shows what is wrong.")
def fsck(repair: bool, yes: bool) -> Result:
    """Check every stored byte and row against what they say they are; faults that are left give exit code 5."""
    with opened() as workspace:
        found = workspace.fsck(repair=repair and yes)
        error = Invalid(f"{found.left} faults are left", hint="each says what to do about it") if found.left else None
        pending = repair and not yes and found.left
        return _then(shown(found, error), "nothing is changed yet: jeyn fsck --repair --yes does it" if pending else "")


def _then(result: Result, note: str) -> Result:
    if note:
        say(note)
    return result
