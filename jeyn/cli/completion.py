"""`jeyn completion`: the script that makes a shell complete commands, options and references."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from jeyn.cli.output import Result, command

if TYPE_CHECKING:
    from click.shell_completion import ShellComplete

SHELLS = ("bash", "zsh", "fish")


@command()
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> Result:
    """Print the script that makes a shell complete jeyn.

    \b
    bash  eval "$(jeyn completion bash)"    in ~/.bashrc
    zsh   eval "$(jeyn completion zsh)"     in ~/.zshrc
    fish  jeyn completion fish | source     in ~/.config/fish/config.fish
    """
    script = _completer(shell).source()
    return Result({"shell": shell, "script": script}, script)


def _completer(shell: str) -> ShellComplete:
    from click.shell_completion import get_completion_class

    root = click.get_current_context().find_root().command
    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f'"{shell}" cannot be completed by this version of click')
    return found(root, {}, "jeyn", "_JEYN_COMPLETE")
