"""The contract of every command, in one place: `--json`, what goes to stdout and stderr, colour, exit codes (DESIGN 6).

A command is a function under `@command()` that returns a `Result` (or raises a `JeynError`):

    @command()
    @click.argument("ref", shell_complete=references)
    @click.option("--depth", type=int, help="How many steps to go.")
    def lineage(ref: str, depth: int | None) -> Result:
        '''What an artefact came from.'''
        with opened() as workspace:
            return shown(workspace.upstream(ref, depth))

It prints nothing to stdout itself. What it tells while it works goes through `say(...)`, which is stderr; a live
display is for `on_terminal()` only. A command that found out something bad returns its data *and* an error
(`Result(data, text, error=...)`): both are printed and the error gives the exit code. With `--json` stdout is exactly
one document, whatever happens:

    {"schema": "jeyn/v1", "ok": true, "data": …, "error": null | {"code", "message", "hint", "refs"}}
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import click

from jeyn.cli.streams import lasting_streams, silence
from jeyn.errors import Interrupted, JeynError, NoMemory, NotAllowed, NotFound, Unreachable, UsageError
from jeyn.printable import REPLACEMENT, printable

SCHEMA = "jeyn/v1"
DEBUG = "JEYN_DEBUG"
_ESCAPE = "\x1b["
# In place of it until all is printed. Nobody's text can hold it, as it is another in each process.
_OURS = f"\0{os.urandom(8).hex()}\0"


class Showable(Protocol):
    """What most answers of the stores are."""

    def to_json(self) -> Any: ...


@dataclass(frozen=True)
class Result:
    """What a command found: plain `data` for machines, `text` for people; a function is called when it is needed."""

    data: Any | Callable[[], Any] = None
    text: str | Callable[[], str] = ""
    error: JeynError | None = None


@dataclass
class Asked:
    """What was asked of the whole command line; `context.obj`."""

    json: bool = False
    home: str | None = None
    clock_is_right: bool = False


def shown(found: Showable, error: JeynError | None = None) -> Result:
    """What has `to_json()` and `str()`, as a result."""
    return Result(found.to_json, found.__str__, error)


def command(name: str | None = None, **options: Any) -> Callable[[Callable[..., Result]], click.Command]:
    """Make a leaf of a function: `click.command` with `--json`."""

    def made(function: Callable[..., Result]) -> click.Command:
        decorate: Any = click.command(name, **options)
        leaf: click.Command = decorate(function)
        leaf.params += [JSON, CLOCK]
        return leaf

    return made


JSON = click.Option(
    ["--json"], is_flag=True, expose_value=False, help="Print one JSON document on stdout instead of text."
)


def _clock_is_right(context: click.Context, _: click.Parameter, said: bool) -> None:
    if said and isinstance(context.obj, Asked):
        context.obj.clock_is_right = True


# Of the whole command line too: who is refused adds it at the end.
CLOCK = click.Option(
    ["--clock-is-right"],
    is_flag=True,
    expose_value=False,
    callback=_clock_is_right,
    help="Date commits by this clock, whatever speaks against it.",
)


def asked() -> Asked:
    """What was asked of the whole command line."""
    found = click.get_current_context().obj
    return found if isinstance(found, Asked) else Asked()


def say(text: str, *, nl: bool = True) -> None:
    """Tell people something while a command works: on stderr."""
    click.echo(safe(text), err=True, nl=nl, color=_colour())


def styled(text: str, **style: Any) -> str:
    """A part of what is printed in the look that `click.style` gives; only this brings escapes to a terminal."""
    return click.style(printable(text), **style).replace(_ESCAPE, _OURS)


def on_terminal() -> bool:
    """Whether somebody is watching stderr, so that a display may be live."""
    return sys.stderr.isatty() and _variable("TERM") != "dumb"


def width(default: int = 100) -> int:
    """How many columns stdout has; `default` where it is no terminal."""
    found = os.get_terminal_size(sys.stdout.fileno()).columns if sys.stdout.isatty() else 0
    return found or default  # some terminals say that they have none


def columns(rows: Sequence[Sequence[str]], head: Sequence[str] = ()) -> str:
    """Rows as aligned columns."""
    table = [[_cell(each) for each in row] for row in ((head,) if head else ()) + tuple(rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = ["  ".join(cell.ljust(wide) for cell, wide in zip(row, widths, strict=True)).rstrip() for row in table]
    if head:
        lines[0] = styled(lines[0], bold=True)
    return "\n".join(lines)


def perform(run: Callable[[Asked], Any], args: Sequence[str]) -> int:
    """Carry out a command line and print what came of it; returns the exit code."""
    with lasting_streams():
        return _performed(run, Asked(json=_wants_json(args)))


def _performed(run: Callable[[Asked], Any], wanted: Asked) -> int:
    try:
        try:
            found = run(wanted)
            if isinstance(found, Result):
                _print(found, wanted)
        except KeyboardInterrupt:
            return _fail(click.Abort(), wanted)
        except Exception as exc:
            return _fail(exc, wanted)
    except BrokenPipeError:
        silence(sys.stdout)
        return 1  # quiet, as `jeyn ls | head` should be
    except _Unprinted as exc:
        silence(sys.stdout)
        _say_error(Unreachable(f"stdout cannot be written: {exc}", hint="what was done stands; send it elsewhere"))
        return Unreachable.exit_code
    if isinstance(found, Result):
        return found.error.exit_code if found.error else 0
    return found if isinstance(found, int) else 0  # --help and --version have printed; click gives their exit code


def _wants_json(args: Sequence[str]) -> bool:
    # Read before click does: what click refuses is answered in JSON too.
    before = list(args)[: list(args).index("--")] if "--" in args else args
    return "--json" in before


def _print(result: Result, wanted: Asked) -> None:
    # Made first: when it fails, nothing is on stdout yet.
    text = _document(_value(result.data), result.error) if wanted.json else str(_value(result.text))
    if text:
        put(text if wanted.json else safe(text))
    if result.error and not wanted.json:
        _say_error(result.error)


class _Unprinted(Exception):
    """What was found could not be written to stdout."""


def put(text: str, *, nl: bool = True, colour: bool | None = None) -> None:
    """Write a result to stdout as it is: whoever calls it has made it safe for a terminal."""
    try:
        click.echo(text, nl=nl, color=_colour() if colour is None else colour)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as exc:
        raise _Unprinted(exc.strerror) from exc


def _value(found: Any) -> Any:
    return found() if callable(found) else found


def _fail(exc: Exception, wanted: Asked) -> int:
    if isinstance(exc, BrokenPipeError | _Unprinted):
        raise exc
    if _variable(DEBUG) and not isinstance(exc, click.ClickException | click.Abort):
        import traceback

        say("".join(traceback.format_exception(exc)), nl=False)
    error = _translated(exc)
    if wanted.json:
        put(_document(None, error))
    else:
        _say_error(error)
    return error.exit_code


def _translated(exc: Exception) -> JeynError:
    if isinstance(exc, JeynError):
        return exc
    if isinstance(exc, click.Abort):
        return Interrupted("interrupted", hint="what was saved stays; run it again to go on")
    if isinstance(exc, click.ClickException):
        return UsageError(" ".join(exc.format_message().split()), hint=_help_hint(exc))
    if isinstance(exc, MemoryError):
        return NoMemory("there is too little memory", hint="give it more, or less to do at once")
    if isinstance(exc, OSError) and exc.strerror:
        return _about_the_system(exc)
    return JeynError(
        f"{type(exc).__name__}: {exc}", hint=f"this is a defect of Jeyn; {DEBUG}=1 shows where it happened"
    )


def _about_the_system(exc: OSError) -> JeynError:
    """What a folder, a file or the disk refuses is no defect."""
    if isinstance(exc, FileNotFoundError) and not exc.filename:
        return NotFound("the working folder is not there any more", hint="go to one that is")
    kind: type[JeynError] = NotFound if isinstance(exc, FileNotFoundError) else Unreachable
    kind = NotAllowed if isinstance(exc, PermissionError) else kind
    where = f'"{exc.filename}": ' if exc.filename else ""
    return kind(f"{where}{exc.strerror}", hint=f"check that it is there and whose it is; {DEBUG}=1 shows where")


def _help_hint(exc: click.ClickException) -> str:
    context = getattr(exc, "ctx", None)
    return f"{context.command_path if context else 'jeyn'} --help"


def _say_error(error: JeynError) -> None:
    say(f"{styled('error:', fg='red', bold=True)} {error.message}")
    for step in error.hint.splitlines():
        say(f"  → {step}")


def _document(data: Any, error: JeynError | None) -> str:
    import json

    document = {
        "schema": SCHEMA,
        "ok": error is None,
        "data": _plain(data),
        "error": error and _told(error),
    }
    return json.dumps(document, indent=2, sort_keys=True, allow_nan=False)


def _told(error: JeynError) -> dict[str, Any]:
    hint = "; ".join(error.hint.splitlines())  # a line for each thing to do is for people
    return {"code": error.code, "message": error.message, "hint": hint, "refs": error.refs}


def _plain(value: Any) -> Any:
    """Only what JSON has: a number that it lacks becomes text, and so does what has a natural text (a path, a time)."""
    from collections.abc import Mapping

    if isinstance(value, float):
        return value if value - value == 0 else str(value)
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(each) for each in (sorted(value) if isinstance(value, set | frozenset) else value)]
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _cell(text: str) -> str:
    return printable(text).replace("\n", REPLACEMENT).replace("\t", REPLACEMENT)


def safe(text: str) -> str:
    """The one door to the terminal: what is somebody's text loses all that would act on it, our own looks stay."""
    return _ESCAPE.join(map(printable, text.split(_OURS)))


def _colour() -> bool | None:
    return False if _variable("NO_COLOR") else None


def _variable(name: str) -> str:
    # Not imported above: --help answers without the settings.
    from jeyn.settings import variable

    return variable(name)
