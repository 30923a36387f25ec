"""Text as a terminal may have it: names, cells, reasons and messages are somebody's text, and none moves a cursor."""

from __future__ import annotations

import re
import unicodedata

REPLACEMENT = "�"
# Joiners are letters of many scripts and of emoji; they change nothing but the shape of their neighbours.
_HARMLESS = frozenset("\n\t\u200c\u200d\u00ad")
_COLOUR = re.compile(r"\x1b\[[0-9;:]*m")
# Control sequences, strings (titles, links, clipboards) with what ends them, short escapes and single controls.
# https://www.ecma-international.org/publications-and-standards/standards/ecma-48/
_SEQUENCE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|(?:\x1b[PX\]^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-~]|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)
# https://www.w3.org/TR/xml/#charsets
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_RESET = "\x1b[0m"


def printable(text: str) -> str:
    """The text with each character that is no letter, sign, space, tab or end of line replaced by "�"."""
    if text.isprintable():
        return text
    return "".join(each if _is_harmless(each) else REPLACEMENT for each in text)


def markup(text: str) -> str:
    """The text inside HTML or XML, which has no signs for controls, halves of pairs and what is no character."""
    # Not imported above: a terminal needs none of it.
    from html import escape

    return escape(_NOT_XML.sub(REPLACEMENT, printable(text)))


def coloured(text: str) -> str:
    """What a program wrote for a terminal, with its colours and without all else that would act on it.

    Of a line that was written over, as progress bars do, the last state stays, as on a terminal.
    """
    return "\n".join(_line(each) for each in text.split("\n"))


def _line(text: str) -> str:
    text = text.rstrip("\r").rpartition("\r")[2]
    if text.isprintable():
        return text
    found, at = [], 0
    for colour in _COLOUR.finditer(text):
        found += [_stripped(text[at : colour.start()]), colour.group()]
        at = colour.end()
    return "".join([*found, _stripped(text[at:]), _RESET if found else ""])


def _stripped(text: str) -> str:
    return printable(_SEQUENCE.sub("", text))


def _is_harmless(char: str) -> bool:
    # A surrogate stands for a byte that is no text; streams write it as an escape.
    return char.isprintable() or char in _HARMLESS or unicodedata.category(char) in ("Zs", "Cs")
