"""`Walk`: the files of a folder that a pattern means, and the links on the way that are not followed."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from jeyn.errors import DataInvalid
from jeyn.regular import DEEPEST
from jeyn.stores.sources.pattern import Pattern, Places
from jeyn.stores.sources.root import DeadEnd, SourceFile, checked_name

__all__ = ["DeadEnd", "Walk", "version_of"]

# So many files behind one link are counted; it may lead to a whole disk.
COUNTED = 10_000


class _Folder(NamedTuple):
    """One that is still to be listed."""

    real: Path
    path: str
    places: Places
    above: tuple[Path, ...]


@dataclass(frozen=True)
class Walk:
    """One pattern, and the real folders in which a link may end: the root, and those that are allowed besides."""

    glob: Pattern
    allowed: tuple[Path, ...]

    def below(self, folder: Path, path: str, places: Places, above: tuple[Path, ...]) -> Iterator[SourceFile | DeadEnd]:
        """What is in a folder; `above` is the real folders on the way here."""
        waiting = [_Folder(folder, path, places, above)]
        while waiting:  # not by recursion: folders may be nested deeper than calls
            here = waiting.pop()
            with os.scandir(here.real) as entries:
                found = list(entries)
            for entry in found:
                after = self.glob.step(here.places, entry.name)
                for each in self._entry(entry, f"{here.path}{entry.name}", after, here.above) if after else ():
                    if isinstance(each, _Folder):
                        waiting.append(each)
                    else:
                        yield each

    def _entry(
        self, entry: os.DirEntry[str], path: str, places: Places, above: tuple[Path, ...]
    ) -> Iterator[SourceFile | DeadEnd | _Folder]:
        real = Path(os.path.realpath(entry.path)) if entry.is_symlink() else Path(entry.path)
        seen = _seen(real)
        if seen is None:
            if entry.is_symlink() and self._is_meant(places):
                yield DeadEnd(path, "nowhere")
        elif entry.is_symlink() and not any(real.is_relative_to(folder) for folder in self.allowed):
            yield from self._outside(path, real, seen, places)
        elif stat.S_ISDIR(seen.st_mode):
            # A link to a folder on the way here would go round for ever.
            if self.glob.leads_on(places) and real not in above:
                yield _Folder(real, f"{path}/", places, _way(above, real))
        elif stat.S_ISREG(seen.st_mode) and self.glob.ends(places):
            yield SourceFile(checked_name(path), seen.st_size, version_of(seen))

    def _is_meant(self, places: Places) -> bool:
        """Whether a link that leads nowhere would have been data: every name leads on in a pattern with "**"."""
        return self.glob.ends(places) or (self.glob.leads_on(places) and "**" not in self.glob.text)

    def _outside(self, path: str, real: Path, seen: os.stat_result, places: Places) -> Iterator[DeadEnd]:
        if stat.S_ISREG(seen.st_mode) and self.glob.ends(places):
            yield DeadEnd(path, str(real.parent))
        elif stat.S_ISDIR(seen.st_mode) and self.glob.leads_on(places):
            files, behind = 0, Walk(self.glob, (real,)).below(real, f"{path}/", places, (real,))
            # What cannot be read there is not counted.
            with suppress(OSError):
                while files < COUNTED and (found := next(behind, None)) is not None:
                    files += isinstance(found, SourceFile)
            if files:
                yield DeadEnd(path, str(real), files)


def _way(above: tuple[Path, ...], real: Path) -> tuple[Path, ...]:
    """Where links in a folder may not lead back to; raises `DataInvalid` where there is no end of folders."""
    if len(above) > DEEPEST:
        raise DataInvalid(
            f'"{str(real)[:200]}…" is in more than {DEEPEST} folders', hint="move it up, or narrow the pattern"
        )
    return (*above, real)


def version_of(seen: os.stat_result) -> str:
    return f"{seen.st_mtime_ns}:{seen.st_ino}"


def _seen(path: Path) -> os.stat_result | None:
    """None for a link that is broken or a loop, and for what was removed while it was being listed."""
    try:
        return path.stat()
    except FileNotFoundError:
        return None
    except OSError as exc:
        if exc.errno == errno.ELOOP:
            return None
        raise
