"""Blocks of delimited text that end where a record ends, so that Arrow parses each alone and rows can be counted.

Quotes mean what RFC 4180 says: one that begins a cell quotes it, two within are one, and one anywhere else is itself.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from jeyn.errors import DataInvalid
from jeyn.stores.sources.encoded import Readable

Places: TypeAlias = "npt.NDArray[np.int64]"

BLOCK = 4 << 20
MAX_RECORD = 32 << 20
_QUOTE, _LF, _CR = b'"\n\r'
_QUOTING = "double a quote within quotes, and close each that is opened"


@dataclass(frozen=True)
class Block:
    """Whole records. `opens` and `closes` are the places of the quotes that bound quoted stretches, in order, and
    `first_line` how many lines of the file lie before it."""

    data: bytes
    opens: Places
    closes: Places
    first_line: int = 0

    @property
    def is_quoted(self) -> bool:
        return len(self.opens) > 0

    def quoted_at(self, place: int) -> int | None:
        """The number of the quoted stretch that a place lies in."""
        at = bisect_left(self.opens, place) - 1
        return at if at >= 0 and (at >= len(self.closes) or place < self.closes[at]) else None

    def after(self, place: int) -> Block:
        """The records from a place on, where one ends."""
        at = bisect_left(self.opens, place)
        line = self.first_line + lines_in(self.data[:place])
        return Block(self.data[place:], self.opens[at:] - place, self.closes[at:] - place, line)

    def ends(self) -> Iterator[int]:
        """The places after each record, one by one: slow, for messages."""
        at, data = 0, self.data
        lf = cr = -1  # each is looked for once: where there is none of a kind, that reads all the rest
        while at < len(data):
            lf = self._next(b"\n", at) if lf < at else lf
            cr = self._next(b"\r", at) if cr < at else cr
            place = min(lf, cr)
            if place == len(data):
                yield place
                return
            stretch = self.quoted_at(place)
            if stretch is not None:
                at = int(self.closes[stretch]) + 1 if stretch < len(self.closes) else len(data)
                continue
            at = place + (2 if data[place : place + 2] == b"\r\n" else 1)
            yield at

    def _next(self, sign: bytes, at: int) -> int:
        found = self.data.find(sign, at)
        return len(self.data) if found < 0 else found

    def record(self, row: int, *, blank: bool) -> tuple[bytes, int]:
        """The bytes of a row, counted from 0 with blank lines or without, and the line of the file it begins in."""
        start, count = 0, -1
        for end in self.ends():
            count += blank or bool(self.data[start:end].strip(b"\r\n"))
            if count == row:
                return self.data[start:end], self.first_line + lines_in(self.data[:start]) + 1
            start = end
        return b"", self.first_line + lines_in(self.data) + 1


def lines_in(data: bytes) -> int:
    """How many line ends there are: LF, CR, and both together."""
    returns = data.count(b"\r")
    return data.count(b"\n") + returns - (data.count(b"\r\n") if returns else 0)


def blocks(stream: Readable, delimiter: str, size: int = BLOCK) -> Iterator[Block]:
    """The whole text in blocks of about `size` bytes, or of one record where that is longer; raises `DataInvalid`."""
    rest, line = b"", 0
    while True:
        more = stream.read(max(size, min(len(rest), BLOCK)))
        data = rest + more
        found = _quotes(data, delimiter.encode(), line, at_end=not more)
        cut = _last_end(found) if more else len(data)
        if len(data) - cut > MAX_RECORD:
            raise _endless(found, cut)
        if cut:
            opened = bisect_left(found.opens, cut)
            yield Block(data[:cut], found.opens[:opened], found.closes[:opened], line)
            line += lines_in(data[:cut])
        if not more:
            return
        rest = data[cut:]


def _last_end(block: Block) -> int:
    """The place after the last record that surely ends within the block; 0 if none does."""
    # A CR at the very end may be half of a line end.
    data, stop = block.data, len(block.data) - block.data.endswith(b"\r")
    while True:
        place = max(data.rfind(b"\n", 0, stop), data.rfind(b"\r", 0, stop))
        stretch = block.quoted_at(place) if place >= 0 else None
        if stretch is None:
            return place + 1
        stop = int(block.opens[stretch])


def _quotes(data: bytes, delimiter: bytes, line: int, *, at_end: bool) -> Block:
    """Where the text, which begins with a record, is quoted; the last stretch may have no end yet."""
    if _QUOTE not in data:
        return _block(data, [], [], line)
    text = np.frombuffer(data, np.uint8)
    places = np.flatnonzero(text == _QUOTE)
    bounds = np.frombuffer(delimiter + b'\n\r"', np.uint8)
    before, after = text[places[::2] - 1], text[np.minimum(places[1::2] + 1, len(text) - 1)]
    opens_well = np.isin(before, bounds) | (places[::2] == 0)
    closes_well = np.isin(after, bounds) | (places[1::2] == len(text) - 1)
    if opens_well.all() and closes_well.all():
        found = Block(data, places[::2], places[1::2], line)
    else:
        found = _one_by_one(data, places, delimiter, line)
    if at_end and len(found.opens) > len(found.closes):
        raise _never_closed(found)
    return found


def _one_by_one(data: bytes, places: Places, delimiter: bytes, line: int) -> Block:
    """The same where some quotes are only characters of a cell: runs of quotes, and what each does to a cell.

    A run at the beginning of a cell opens it; within one, pairs are quotes of the cell, and of an odd run the last
    quote closes it. All others are characters.
    """
    bounds = delimiter + b"\n\r"
    first = np.flatnonzero(np.diff(places, prepend=-2) != 1)
    starts, ends = places[first], places[np.append(first[1:], len(places)) - 1]
    is_odd = (ends - starts) % 2 == 0
    before = np.frombuffer(data, np.uint8)[starts - 1]
    opening = np.flatnonzero((starts == 0) | np.isin(before, np.frombuffer(bounds, np.uint8))).tolist()
    odd = np.flatnonzero(is_odd).tolist()
    opens: list[int] = []
    closes: list[int] = []
    run = closer = 0
    for opener in opening:
        if opener < run:
            continue
        run = opener
        opens.append(int(starts[run]))
        if is_odd[run]:
            while closer < len(odd) and odd[closer] <= run:
                closer += 1
            if closer == len(odd):
                break
            run = odd[closer]
        place = int(ends[run])
        if place + 1 < len(data) and data[place + 1] not in bounds:
            raise _goes_on(_block(data, opens, closes, line), place)
        closes.append(place)
        run += 1
    return _block(data, opens, closes, line)


def _block(data: bytes, opens: list[int], closes: list[int], line: int) -> Block:
    return Block(data, np.array(opens, np.int64), np.array(closes, np.int64), line)


def _goes_on(block: Block, place: int) -> DataInvalid:
    cell = block.data[int(block.opens[-1]) : place + 20].partition(b"\n")[0].decode(errors="replace")
    line = block.first_line + lines_in(block.data[:place]) + 1
    return DataInvalid(f"a quoted cell goes on after its closing quote in line {line}: {cell}", hint=_QUOTING)


def _never_closed(block: Block) -> DataInvalid:
    place = int(block.opens[-1])
    cell = block.data[place : place + 40].partition(b"\n")[0].decode(errors="replace")
    line = block.first_line + lines_in(block.data[:place]) + 1
    return DataInvalid(
        f"a quoted cell that begins in line {line} never ends: {cell}",
        hint=f"check that the file is whole; {_QUOTING}",
    )


def _endless(block: Block, cut: int) -> DataInvalid:
    if len(block.opens) > len(block.closes):
        return _never_closed(block)
    line = block.first_line + lines_in(block.data[:cut]) + 1
    return DataInvalid(
        f"the record that begins in line {line} is longer than {MAX_RECORD >> 20} MiB",
        hint="check that the file is text; keep such values in Parquet",
    )
