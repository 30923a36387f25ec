"""`SourceOptions`: how the files of a source write what they hold, where that is not what Jeyn expects."""

from __future__ import annotations

import codecs
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from jeyn.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class SourceOptions:
    """Part of a formula's recipe, and so of its id; what is left at its default is not.

    Of text: `encoding` (a Python codec), `separator` between cells (default: by the suffix), `decimal` point of
    numbers. `nulls` are words that mean null beside the empty cell, `true` and `false` words beside true, false, 1, 0.
    `dates` are the only forms of times, as `datetime.strptime` takes them (default: ISO 8601), and `zone` is that of
    times that name none (default: UTC). `casts` names columns, of any format, that may have another type than their
    feature and are cast, each value without loss. Raises `UsageError`.
    """

    encoding: str = "utf-8"
    separator: str = ""
    decimal: str = "."
    nulls: tuple[str, ...] = ()
    true: tuple[str, ...] = ()
    false: tuple[str, ...] = ()
    dates: tuple[str, ...] = ()
    zone: str = "UTC"
    casts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("nulls", "true", "false", "dates", "casts"):
            object.__setattr__(self, name, _words(name, getattr(self, name)))
        _check_encoding(self.encoding)
        _check_zone(self.zone)
        _check_character("separator", self.separator)
        _check_character("decimal", self.decimal)
        if not self.decimal:
            raise UsageError("decimal is empty", hint='give a point or a comma: decimal=","')

    @classmethod
    def of(cls, given: SourceOptions | Mapping[str, Any] | None) -> SourceOptions:
        """What a caller or a recipe says; raises `UsageError` for an option that there is not."""
        if isinstance(given, SourceOptions):
            return given
        known = [field.name for field in fields(cls)]
        for name in given or {}:
            if name not in known:
                raise UsageError(f'"{name}" is no option of a source', hint=f"its options are {', '.join(known)}")
        return cls(**(given or {}))

    def to_json(self) -> dict[str, Any]:
        """The options that are not at their default."""
        told = {field.name: getattr(self, field.name) for field in fields(self)}
        plain = {field.name: field.default for field in fields(self)}
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in told.items()
            if value != plain[name]
        }


def _words(name: str, given: str | Sequence[str]) -> tuple[str, ...]:
    words = (given,) if isinstance(given, str) else tuple(given)
    if not all(isinstance(word, str) and word for word in words):
        raise UsageError(f"{name}={given!r} is no list of words", hint=f'give texts: {name}=["…"]')
    return words


def _check_encoding(name: str) -> None:
    try:
        codecs.lookup(name)
    except LookupError as exc:
        raise UsageError(f'"{name}" is no encoding that Python knows', hint='such as "cp1252" or "utf-16"') from exc


def _check_zone(name: str) -> None:
    from zoneinfo import ZoneInfo

    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as exc:
        raise UsageError(f'"{name}" is no time zone', hint='name one such as "Europe/Berlin"') from exc


def _check_character(name: str, character: str) -> None:
    if len(character) > 1 or not character.isascii() or character in ('"', "\n", "\r"):
        raise UsageError(f"{name}={character!r} is not one character", hint=f'such as {name}=";"')


PLAIN = SourceOptions()
