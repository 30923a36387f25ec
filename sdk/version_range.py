"""`VersionRange`: the sets of versions that a reference or a recipe may ask for, as in "^1.2" or ">=1,<2".

Comparators: `^1.2` (what `Version.is_compatible` accepts: below the next breaking version), `~1.2.3` (below the next
minor), `> >= < <=`, `=1.2.3`, a bare version (exact with three parts, a prefix with fewer), `*`; a comma means "and".
`^0.0.3` is below 0.1.0, unlike npm's, because in Jeyn the minor is the breaking part of every 0.x.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from jeyn.errors import InvalidVersion
from jeyn.sdk.version import MAX_PART, PRERELEASE_PATTERN, Version, split_prerelease

MAX_TEXT = 500
MAX_COMPARATORS = 16

_NUMBER = r"(?:0|[1-9][0-9]{0,17})"
_COMPARATOR = re.compile(rf"(\^|~|>=|<=|>|<|=|)\s*({_NUMBER}(?:\.{_NUMBER}){{0,2}})(?:-({PRERELEASE_PATTERN}))?")
_OPERATORS = ("", "^", "~", ">", ">=", "<", "<=")
_HINT = 'write "^1.2", "~1.2.3", ">=1,<2", "1.2.0", "1.2" for any 1.2.x, or "*"'


@dataclass(frozen=True, slots=True)
class Comparator:
    """One operator with one to three numbers; as an interval it holds low <= version < high (None: no bound)."""

    operator: str
    parts: tuple[int, ...]
    prerelease: tuple[int | str, ...] = ()

    def __str__(self) -> str:
        text = self.operator + ".".join(map(str, self.parts))
        return f"{text}-{'.'.join(map(str, self.prerelease))}" if self.prerelease else text

    @property
    def floor(self) -> Version:
        """The version as written, missing parts as 0."""
        return _padded(self.parts, self.prerelease)

    @property
    def is_exact(self) -> bool:
        return self.operator == "" and len(self.parts) == 3

    def names_prerelease_of(self, version: Version) -> bool:
        return bool(self.prerelease) and self.floor.core == version.core

    def contains(self, version: Version) -> bool:
        """Whether the interval holds `version`; whether a prerelease is wanted at all is the range's to say."""
        floor = self.floor
        match self.operator, len(self.parts) == 3:
            case ("", True):
                return version == floor
            case (">=", _):
                return version >= floor
            case ("<", True):
                return version < floor
            case (">", True):
                return version > floor
            case ("<=", True):
                return version <= floor
            case (">", False):
                return version.core >= self._next(len(self.parts))
            case ("<=", False):
                return version.core < self._next(len(self.parts))
            case ("<", False):
                return version.core < floor
        # The core, so that 2.0.0-rc.1 is above ^1.2, though it sorts below 2.0.0.
        return version >= floor and version.core < self._next(self._fixed_parts())

    def _fixed_parts(self) -> int:
        """How many leading parts all versions share in `^`, `~` and a prefix."""
        if self.operator == "^":
            return min(len(self.parts), 1 if self.parts[0] else 2)
        return min(len(self.parts), 2)

    def _next(self, fixed: int) -> Version:
        """The first version whose leading `fixed` parts are above these."""
        return _padded((*self.parts[: fixed - 1], self.parts[fixed - 1] + 1))


@dataclass(frozen=True, slots=True)
class VersionRange:
    """The versions that satisfy all `comparators` (none: any version); equal when their canonical texts are."""

    comparators: tuple[Comparator, ...] = ()

    @classmethod
    def parse(cls, text: str) -> VersionRange:
        """Read comma-separated comparators; raises InvalidVersion."""
        if not isinstance(text, str) or len(text) > MAX_TEXT or text.count(",") >= MAX_COMPARATORS:
            raise InvalidVersion(
                f"{str(text)[:80]!r} is not a version range", hint=f"{_HINT}; at most {MAX_TEXT} characters"
            )
        comparators = {_comparator(part.strip(), text) for part in text.split(",")}
        return cls(tuple(sorted(filter(None, comparators), key=_order)))

    def __str__(self) -> str:
        return ",".join(map(str, self.comparators)) or "*"

    @property
    def exact(self) -> Version | None:
        """The version, when the range is one three-part version alone."""
        if len(self.comparators) == 1 and self.comparators[0].is_exact:
            return self.comparators[0].floor
        return None

    def contains(self, version: Version) -> bool:
        """Whether all comparators hold; a prerelease only where one of them names a prerelease of the same core."""
        wanted = not version.prerelease or any(c.names_prerelease_of(version) for c in self.comparators)
        return wanted and all(c.contains(version) for c in self.comparators)

    __contains__ = contains

    def select(self, versions: Iterable[Version]) -> Version | None:
        """The highest of `versions` that the range contains."""
        return max(filter(self.contains, versions), default=None)


def _comparator(text: str, whole: str) -> Comparator | None:
    if text == "*":
        return None
    match = _COMPARATOR.fullmatch(text)
    if match is None:
        raise InvalidVersion(f"{whole[:80]!r} is not a version range: {text[:80]!r}", hint=_why_not(text))
    operator, numbers, prerelease = match.groups()
    parts = tuple(map(int, numbers.split(".")))
    if prerelease and len(parts) < 3:
        raise InvalidVersion(
            f"{whole[:80]!r} is not a version range", hint="a prerelease needs all three parts: 1.2.0-rc.1"
        )
    if max(parts) >= MAX_PART:
        raise InvalidVersion(f"{whole[:80]!r} is not a version range", hint="its numbers are too large")
    return Comparator("" if operator == "=" else operator, parts, split_prerelease(prerelease or ""))


def _padded(parts: tuple[int, ...], prerelease: tuple[int | str, ...] = ()) -> Version:
    major, minor, patch = (*parts, 0, 0)[:3]
    return Version(major, minor, patch, prerelease)


def _order(comparator: Comparator) -> tuple[int, Version, int]:
    return _OPERATORS.index(comparator.operator), comparator.floor, len(comparator.parts)


def _why_not(text: str) -> str:
    if "+" in text:
        return 'build metadata ("+…") is refused: leave it out'
    return _HINT
