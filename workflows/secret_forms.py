"""The forms in which a secret's text turns up: as it is, stripped, line by line, and as programs write it down."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterator
from functools import lru_cache
from urllib.parse import quote, quote_plus

SHORTEST = 4  # characters; less is found by chance all over a log
_COLUMNS = (76, 64)  # of MIME and PEM, which break base64 into lines
_SQLALCHEMY = " +"  # what stays as it is in its addresses


@lru_cache(maxsize=256)
def forms_of(value: str) -> frozenset[str]:
    """Every form of one secret that is worth looking for; none of them is shorter than `SHORTEST`.

    Each line by itself, since output is kept by lines.
    """
    texts = {each for text in (value, *value.splitlines()) for each in (text, text.strip()) if len(each) >= SHORTEST}
    found = {form for text in texts for form in (*_escaped(text), *_percent(text), *_bytes(text))}
    # A line break of the secret itself can stand in an encoded form alone.
    return frozenset(form for form in found if len(form) >= SHORTEST and not {"\n", "\r"} & set(form))


def _escaped(text: str) -> Iterator[str]:
    """As Python, JSON (also within JSON), HTML and XML write it."""
    plain = json.dumps(text)[1:-1]
    readable = json.dumps(text, ensure_ascii=False)[1:-1]
    yield from (text, repr(text)[1:-1], ascii(text)[1:-1], text.replace("\\", "\\\\").replace("'", "\\'"))
    yield repr(text.encode(errors="surrogateescape"))[2:-1]
    yield from (plain, readable, plain.replace("/", "\\/"), readable.replace("/", "\\/"))
    yield from (json.dumps(each)[1:-1] for each in (plain, readable))
    quoted = html.escape(text)
    yield from (quoted, quoted.replace("&#x27;", "&#39;"), quoted.replace("&#x27;", "&apos;"), html.escape(text, False))


def _percent(text: str) -> Iterator[str]:
    raw = text.encode(errors="surrogateescape")
    for form in (quote(raw), quote(raw, safe=""), quote(raw, safe=_SQLALCHEMY), quote_plus(raw)):
        yield from (form, re.sub("%..", lambda each: each[0].lower(), form))


def _bytes(text: str) -> Iterator[str]:
    raw = text.encode(errors="surrogateescape")
    yield from (raw.hex(), raw.hex().upper())
    for before in range(3):  # bytes that may stand in front of it in the group that it begins in
        encoded = base64.b64encode(bytes(before) + raw).decode()
        # What depends on the secret alone.
        core = encoded[-(-before * 8 // 6) : (before + len(raw)) * 8 // 6]
        lines = [core[at : at + columns] for columns in _COLUMNS for at in range(0, len(core), columns)]
        for each in (core, *(line for line in lines if len(line) > 2 * SHORTEST)):
            yield from (each, each.replace("+", "-").replace("/", "_"))
