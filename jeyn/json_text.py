"""JSON from outside, read within bounds: how deep it is nested, and how many digits a number has."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

DEEPEST = 200  # levels; what recurses over a value may be twice as deep in calls
MOST_DIGITS = 1000  # of one number
MOST_BYTES = 256 << 20


def parse(
    text: str | bytes,
    *,
    pairs: Callable[[list[tuple[str, Any]]], Any] | None = None,
    number: Callable[[str], Any] | None = None,
) -> Any:
    """The value. Raises `ValueError` for what is no JSON or beyond the bounds.

    `pairs` makes an object of its members, `number` a value of a number's digits.
    """
    try:
        found = json.loads(text, object_pairs_hook=pairs, parse_int=number or _whole, parse_float=number or _real)
    except RecursionError:
        raise ValueError(_too_deep()) from None
    if is_too_deep(found):
        raise ValueError(_too_deep())
    return found


def is_too_deep(value: Any, deepest: int = DEEPEST) -> bool:
    """Whether lists and dicts are nested in more than so many levels."""
    level = [value]
    for _ in range(deepest + 1):
        level = [
            inner
            for each in level
            if isinstance(each, list | dict)
            for inner in (each.values() if isinstance(each, dict) else each)
            if isinstance(inner, list | dict)
        ]
        if not level:
            return False
    return True


def check_digits(text: str) -> str:
    """The text of a number; raises `ValueError` where it has more than `MOST_DIGITS`."""
    if len(text) > MOST_DIGITS:
        raise ValueError(f"a number has {len(text):,} digits, and {MOST_DIGITS:,} is the most")
    return text


def _whole(text: str) -> int:
    return int(check_digits(text))


def _real(text: str) -> float:
    """A number too large for a float is no infinity."""
    found = float(text)
    if math.isinf(found):
        raise ValueError(f"{text[:40]} is out of the range of a float")
    return found


def _too_deep() -> str:
    return f"it is nested in more than {DEEPEST} levels"
