"""`Pattern`: the globs that name source files, matched folder by folder, alike for disks and object stores."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import translate
from functools import cache

from jeyn.sdk.datasets.streaming import valid_pattern

_MAGIC = re.compile(r"[*?\[]")

Places = frozenset[int]


class Pattern:
    """A glob of `*`, `?`, `[…]` within one name and `**` for any number of folders; case-sensitive.

    Names with a leading dot never match, since tools keep what is not data there. Raises `UsageError` for a pattern
    that could leave the root. It is walked as an automaton: a set of places in the pattern, moved on by each name.
    """

    def __init__(self, text: str) -> None:
        self.text = valid_pattern(text)
        self._segments = tuple(self.text.split("/"))
        self.start = self._spread({0})

    @property
    def folder(self) -> str:
        """The folder that holds whatever can match, "" for the root: all before the first name with magic in it."""
        names = self._segments[:-1]
        plain = next((at for at, name in enumerate(names) if _MAGIC.search(name)), len(names))
        return "/".join(names[:plain])

    def step(self, places: Places, name: str) -> Places:
        """The places after one more name; empty when nothing below can match."""
        if name.startswith("."):
            return frozenset()
        after = set()
        for place in places:
            if place == len(self._segments):
                continue
            segment = self._segments[place]
            if segment == "**":
                after.add(place)
            elif _matcher(segment).match(name):
                after.add(place + 1)
        return self._spread(after)

    def ends(self, places: Places) -> bool:
        """Whether a file may end at these places."""
        return len(self._segments) in places

    def leads_on(self, places: Places) -> bool:
        """Whether a folder at these places may hold matches."""
        return any(place < len(self._segments) for place in places)

    def matches(self, path: str) -> bool:
        places = self.start
        for name in path.split("/"):
            places = self.step(places, name)
        return self.ends(places)

    def _spread(self, places: Iterable[int]) -> Places:
        """With each `**` also the place after it, since it may stand for no folder at all."""
        spread = set()
        for place in places:
            spread.add(place)
            while place < len(self._segments) and self._segments[place] == "**":
                place += 1
                spread.add(place)
        return frozenset(spread)


@cache
def _matcher(segment: str) -> re.Pattern[str]:
    return re.compile(translate(segment))
