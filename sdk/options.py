"""An operation's options as a person writes them: checked, with the option, its value and the cure in the error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from jeyn.errors import UsageError
from jeyn.sdk.plan import Options, checked, first_problem
from jeyn.sdk.signature import did_you_mean

NAMES = tuple(each.name for each in fields(Options))
_LONGEST = 1e9  # seconds


def checked_options(options: Mapping[str, Any], what: str) -> Options:
    """Raises `UsageError` that names the option, its value and what it should be."""
    for name in options:
        if name not in NAMES:
            hint = did_you_mean(name, NAMES).replace("parameters", "options")
            raise UsageError(f'{what} has no option "{name}"', hint=hint)
    plain = {name: _plain(name, value) for name, value in options.items()}
    if None not in plain.values():
        return Options.of(plain)
    try:
        found = checked(Options, dict(options))
    except ValueError as exc:
        problem = first_problem(exc)
        raise UsageError(
            f'{what} has {problem.where}="{problem.value}"', hint=problem.said.replace("Input should", "it should")
        ) from exc
    return Options.of({name: getattr(found, name) for name in options})


def _plain(name: str, value: Any) -> Any:
    """The option as it is kept, where one look tells; None where it has to be checked in full.

    A pod imports the user's code, and what checks in full takes longer to import than all of Jeyn.
    """
    match name:
        case "retries" if type(value) is int and 0 <= value <= 1000:
            return value
        case "backoff" | "timeout" if type(value) in (int, float) and 0 < value < _LONGEST:
            return float(value)
        case "cache" if type(value) is bool:
            return value
        case "image" if type(value) is str:
            return value
        case "resources" if type(value) is dict and all(
            type(key) is str and type(amount) in (int, float, str) for key, amount in value.items()
        ):
            return value
        case "sidecar" if value == "dapr":
            return value
    return None
