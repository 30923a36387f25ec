"""Groups of commands that are imported when they are asked for; help and completion need only the table."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import click

from jeyn.cli.output import Asked, perform, say

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


class Entry(NamedTuple):
    """Where a command is, as module and attribute, and what it does in one line."""

    module: str
    attribute: str
    help: str


class LazyGroup(click.Group):
    """A group whose commands are entries of a table."""

    def __init__(self, *args: Any, entries: Mapping[str, Entry], **options: Any) -> None:
        super().__init__(*args, **options)
        self.entries = dict(entries)
        self.no_args_is_help = False

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args and not ctx.resilient_parsing:
            say(self.get_help(ctx))
            raise click.UsageError("which command?", ctx)
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = self.entries.get(cmd_name)
        if entry is None:
            return None
        found: click.Command = getattr(import_module(entry.module), entry.attribute)
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in self.entries and not args[0].startswith("-") and not ctx.resilient_parsing:
            raise click.UsageError(f'there is no command "{args[0]}"{_meant(args[0], self.entries)}', ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in self.entries.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        options = click.Command.shell_complete(self, ctx, incomplete)
        found = [CompletionItem(name, help=e.help) for name, e in self.entries.items() if name.startswith(incomplete)]
        return found + options


class Root(LazyGroup):
    """The whole command line: the one place where errors become exit codes (`jeyn.cli.output`)."""

    def main(  # type: ignore[override]
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any
    ) -> NoReturn:
        given = sys.argv[1:] if args is None else list(args)

        def run(asked: Asked) -> Any:
            return click.Group.main(self, given, "jeyn", **extra | {"standalone_mode": False, "obj": asked})

        sys.exit(perform(run, given))


def _meant(name: str, entries: Mapping[str, Entry]) -> str:
    from difflib import get_close_matches

    close = get_close_matches(name, entries, n=1)
    return f'; did you mean "{close[0]}"?' if close else ""
