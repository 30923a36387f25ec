"""`Version`: a semantic version (https://semver.org, 2.0) that people give and Jeyn orders, bumps and compares.

In 0.x the minor is the breaking part, from 1.0.0 on the major. Build metadata ("+…") is refused.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Literal

from jeyn.errors import InvalidVersion

Level = Literal["patch", "minor", "major"]

MAX_TEXT = 255
MAX_PART = 10**18 - 1  # each part fits a signed 64-bit column

_NUMBER = r"(?:0|[1-9][0-9]{0,17})"
_IDENTIFIER = r"(?:0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
PRERELEASE_PATTERN = rf"{_IDENTIFIER}(?:\.{_IDENTIFIER})*"
_VERSION = re.compile(rf"({_NUMBER})\.({_NUMBER})\.({_NUMBER})(?:-({PRERELEASE_PATTERN}))?")
_HINT = "write MAJOR.MINOR.PATCH, as in 1.2.0 or 1.2.0-rc.1"


@functools.total_ordering
@dataclass(frozen=True, slots=True)
class Version:
    """An immutable, ordered, hashable version; `prerelease` holds its dot-separated identifiers, numbers as int."""

    major: int
    minor: int
    patch: int
    prerelease: tuple[int | str, ...] = ()

    def __post_init__(self) -> None:
        for part in (self.major, self.minor, self.patch):
            if type(part) is not int or not 0 <= part <= MAX_PART:
                raise InvalidVersion(f"a part of a version cannot be {part!r}", hint="use an int from 0 to 10^18-1")
        if self.prerelease:
            _check_prerelease(self.prerelease)

    @classmethod
    def parse(cls, text: str) -> Version:
        """Read "1.2.3" or "1.2.3-rc.1"; raises InvalidVersion."""
        if not isinstance(text, str):
            raise InvalidVersion(f"a version must be a string, not {text!r}", hint=_HINT)
        match = _VERSION.fullmatch(text) if len(text) <= MAX_TEXT else None
        if match is None:
            raise InvalidVersion(f"{text[:80]!r} is not a version", hint=_why_not(text))
        major, minor, patch, prerelease = match.groups()
        return cls(int(major), int(minor), int(patch), split_prerelease(prerelease or ""))

    @classmethod
    def of(cls, value: str | Version) -> Version:
        """A Version as it is, or a text parsed."""
        return value if isinstance(value, Version) else cls.parse(value)

    def __str__(self) -> str:
        text = f"{self.major}.{self.minor}.{self.patch}"
        return f"{text}-{'.'.join(map(str, self.prerelease))}" if self.prerelease else text

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, Version):
            return NotImplemented
        return self._order < other._order

    @property
    def _order(self) -> tuple[object, ...]:
        """Semver 11: numbers sort below names, fewer identifiers below more, and a release above its prereleases."""
        identifiers = [(0, part, "") if isinstance(part, int) else (1, 0, part) for part in self.prerelease]
        return self.major, self.minor, self.patch, not self.prerelease, identifiers

    @property
    def is_prerelease(self) -> bool:
        return bool(self.prerelease)

    @property
    def core(self) -> Version:
        """The same version without its prerelease."""
        return Version(self.major, self.minor, self.patch) if self.prerelease else self

    @property
    def breaking_level(self) -> Level:
        """The smallest bump that may break users: "minor" in 0.x, "major" from 1.0.0 on."""
        return "major" if self.major else "minor"

    @property
    def compatible_level(self) -> Level:
        """The largest bump that may not break users: "patch" in 0.x, "minor" from 1.0.0 on."""
        return "minor" if self.major else "patch"

    def is_compatible(self, other: Version) -> bool:
        """Whether `other` can stand in for this version: not older, and the same major (in 0.x the same minor)."""
        same_line = self.major == other.major and (self.major > 0 or self.minor == other.minor)
        return same_line and other >= self

    def bump(self, level: Level) -> Version:
        """The next release above this one at that level, lower parts at 0.

        A prerelease is below its release, so 1.2.3-rc.1 bumps its patch to 1.2.3, its minor to 1.3.0, its major to
        2.0.0; and 2.0.0-rc.1 bumps any part to 2.0.0 (semver's `next_version`, npm's `inc`).
        """
        if level == "major":
            at_start = self.minor == self.patch == 0
            return self.core if self.prerelease and at_start else Version(self.major + 1, 0, 0)
        if level == "minor":
            return self.core if self.prerelease and self.patch == 0 else Version(self.major, self.minor + 1, 0)
        if level == "patch":
            return self.core if self.prerelease else Version(self.major, self.minor, self.patch + 1)
        raise InvalidVersion(f"there is no bump {level!r}", hint="use 'patch', 'minor' or 'major'")

    def bump_major(self) -> Version:
        return self.bump("major")

    def bump_minor(self) -> Version:
        return self.bump("minor")

    def bump_patch(self) -> Version:
        return self.bump("patch")

    update_major = bump_major
    update_minor = bump_minor
    update_patch = bump_patch


def is_version(text: str) -> bool:
    """Whether `Version.parse` can read it."""
    return len(text) <= MAX_TEXT and _VERSION.fullmatch(text) is not None


def split_prerelease(text: str) -> tuple[int | str, ...]:
    """The identifiers of "rc.1", numeric ones as int; () for ""."""
    parts = text.split(".") if text else []
    return tuple(int(part) if part.isdigit() else part for part in parts)


def _check_prerelease(identifiers: tuple[int | str, ...]) -> None:
    text = ".".join(map(str, identifiers)) if isinstance(identifiers, tuple) else ""
    if len(text) > MAX_TEXT or not re.fullmatch(PRERELEASE_PATTERN, text) or split_prerelease(text) != identifiers:
        raise InvalidVersion(f"a prerelease cannot be {identifiers!r}", hint="give identifiers, as in ('rc', 1)")


def _why_not(text: str) -> str:
    if len(text) > MAX_TEXT:
        return f"a version has at most {MAX_TEXT} characters"
    if "+" in text:
        return 'build metadata ("+…") is refused because it does not order versions: leave it out'
    if text[:1] in ("v", "V") and _VERSION.fullmatch(text[1:]):
        return f"leave out the {text[0]!r}: {text[1:]}"
    return _HINT
