"""Secrets stay out of what a run keeps and shows: stars stand for their text in output, errors and tracebacks.

The secrets of a process are those in its environment, as `jeyn.Secret` reads them: none there, nothing to do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jeyn.errors import Invalid
from jeyn.sdk.secret import PREFIX, Secret
from jeyn.settings import variable, variables_with

SHORTEST = 4  # characters; less is found by chance all over a log


def masked(text: str) -> str:
    """The text with stars for each secret, one for each byte: where a log goes on in its file is counted in bytes."""
    secrets = variables_with(PREFIX) if text else {}
    for hidden in sorted(set(_forms(secrets)), key=len, reverse=True):
        text = text.replace(hidden, "*" * len(hidden.encode(errors="surrogateescape")))
    return text


def refuse_secrets(returned: Any, arguments: Mapping[str, Any]) -> None:
    """Raise `Invalid` where a function returns the very text of a secret that it was given: outputs are kept."""
    for secret in _secrets_in(list(arguments.values())):
        text = variable(secret.variable)
        if text and any(text == each for each in _texts_in(returned)):
            raise Invalid(
                f"the operation returned what {secret!r} holds, and what is returned is kept for all to read",
                hint=f"return what was done with it; other operations take jeyn.{secret!r} themselves",
            )


def _forms(secrets: Mapping[str, str]) -> Iterator[str]:
    """Each line by itself, since output is kept by lines; and as `repr` writes it."""
    for value in secrets.values():
        for line in value.splitlines():
            if len(line) >= SHORTEST:
                yield from (line, repr(line)[1:-1])


def _secrets_in(values: list[Any]) -> Iterator[Secret]:
    for each in values:
        if isinstance(each, Secret):
            yield each
        elif type(each) is list and each and isinstance(each[0], Secret | list):
            yield from _secrets_in(each)


def _texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _texts_in(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _texts_in(each)
