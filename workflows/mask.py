"""Secrets stay out of what a run keeps and shows: stars stand for their text in output, errors and tracebacks.

The secrets of a process are those in its environment, as `jeyn.Secret` reads them: none there, nothing to do.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from jeyn.sdk.secret import PREFIX
from jeyn.settings import variable, variables_with
from jeyn.workflows.secret_forms import SHORTEST, forms_of

_remembered: set[str] = set()


def masked(text: str, *, ends_early: bool = False) -> str:
    """The text with stars for each secret, one for each byte: where a log goes on in its file is counted in bytes.

    `ends_early`: it may end within a secret, whose beginning is hidden too.
    """
    secrets = secrets_here() if text else frozenset()
    if not secrets:
        return text
    forms = _longest_first(secrets)
    for form, stars in forms:
        if form in text:
            text = text.replace(form, stars)
    return _without_beginning(text, forms) if ends_early else text


def secrets_here() -> frozenset[str]:
    """The texts of the secrets that this process knows."""
    return frozenset(variables_with(PREFIX).values()) | _remembered


def remember() -> None:
    """What is secret now stays so in this process, also where the user's code takes it out of the environment."""
    _remembered.update(variables_with(PREFIX).values())


def unknown(variables: Iterable[str]) -> list[str]:
    """Those of the secrets' environment variables that are not set here, so that their text cannot be masked."""
    return [name for name in variables if not variable(name)]


@lru_cache(maxsize=8)
def _longest_first(secrets: frozenset[str]) -> tuple[tuple[str, str], ...]:
    found = {form for value in secrets for form in forms_of(value)}
    return tuple((form, _stars(form)) for form in sorted(found, key=lambda form: (-len(form), form)))


def _stars(text: str) -> str:
    return "*" * len(text.encode(errors="surrogateescape"))


def _without_beginning(text: str, forms: Iterable[tuple[str, str]]) -> str:
    end = text.rstrip("\n")
    for form, _ in forms:
        for length in range(min(len(form) - 1, len(end)), SHORTEST - 1, -1):
            if end.endswith(form[:length]):
                return end[: -length or None] + _stars(form[:length]) + text[len(end) :]
    return text
