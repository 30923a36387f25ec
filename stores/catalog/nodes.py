"""Artefacts as people name them: type, name, number, shortest reference and maker, in a few queries for many keys."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BindParameter, Connection, bindparam, select

from jeyn.errors import Corrupt, Invalid
from jeyn.sdk.canonical import parse
from jeyn.sdk.plan import RETURN
from jeyn.sdk.version import Version, is_version
from jeyn.stores.catalog.closure import chunks
from jeyn.stores.catalog.database import Database
from jeyn.stores.catalog.patience import patient
from jeyn.stores.catalog.provenance import Maker, makers
from jeyn.stores.catalog.small import blob
from jeyn.stores.catalog.tables import artefact, artefact_payload, claim, small_payload

SHORT = 60  # bytes, and characters, of a value that is shown as it is


@dataclass(frozen=True, slots=True)
class Node:
    """One artefact without its bytes: `number` is its version or epoch, `at` when it was saved (µs, UTC).

    `made_by` is None for what no operation made; `content` is that of a short plain value.
    """

    id: str
    type: str
    name: str
    ref: str
    number: str | None
    at: int
    made_by: Maker | None = None
    content: str | None = None

    @property
    def title(self) -> str:
        """Its name; a value, whose name is that of an output, is called after the operation that made it."""
        if self.type != "value":
            return self.name
        operation = self.made_by.operation if self.made_by else ""
        name = ".".join(part for part in (operation, self.name) if part != RETURN and part) or self.name
        return name if self.content is None else f"{name} = {self.content}"

    @property
    def label(self) -> str:
        """For people: the reference, or the type and title of what has none, with the beginning of its id."""
        if not self.ref.startswith("sha256:"):
            return self.ref
        return f"{self.type.replace('_', ' ')} {self.title} ({self.id[:15]}…)"


_IN_KEYS: BindParameter[Any] = bindparam("keys", expanding=True)
_ROWS = select(artefact.c.key, artefact.c.id, artefact.c.type, artefact.c.name, artefact.c.at, artefact.c.seq).where(
    artefact.c.key.in_(_IN_KEYS)
)
_CLAIMS = select(claim.c.artefact, claim.c.owner, claim.c.number).where(claim.c.artefact.in_(_IN_KEYS))
_VERSIONS = (
    select(artefact.c.id, claim.c.number)
    .join(claim, claim.c.artefact == artefact.c.key)
    .where(artefact.c.id.in_(bindparam("ids", expanding=True)), claim.c.owner.startswith("formula:"))
)
# Values that are small enough are rows of the catalog; longer ones are payloads like any other.
_CONTENTS = (
    select(artefact.c.key, artefact.c.document, small_payload.c.data)
    .join(artefact_payload, artefact_payload.c.artefact == artefact.c.key)
    .join(small_payload, small_payload.c.digest == artefact_payload.c.digest)
    .where(artefact.c.key.in_(_IN_KEYS), artefact_payload.c.size <= SHORT)
)


@patient
def nodes(database: Database, keys: Sequence[int]) -> dict[int, Node]:
    """The nodes with these keys, in the order given."""
    found: dict[int, Node] = {}
    with database.read() as connection:
        for chunk in chunks(keys):
            found |= _read(connection, chunk)
    return {key: found[key] for key in keys if key in found}


def _read(connection: Connection, keys: list[int]) -> dict[int, Node]:
    claims: dict[int, list[tuple[str, str]]] = {}
    for key, owner, number in connection.execute(_CLAIMS, {"keys": keys}):
        claims.setdefault(key, []).append((owner, number))
    formulas = {
        owner.removeprefix("batch:") for found in claims.values() for owner, _ in found if owner.startswith("batch:")
    }
    versions = _formula_versions(connection, formulas)
    rows = connection.execute(_ROWS, {"keys": keys}).all()
    finished = makers(connection, {row.seq for row in rows})
    contents = _contents(connection, [row.key for row in rows if row.type == "value"])
    made: dict[int, Node] = {}
    for key, id, type, name, at, seq in rows:
        owner, number = _highest(claims.get(key, []))
        ref = _ref(type, name, owner, number, versions) or f"sha256:{id}"
        made[key] = Node(f"sha256:{id}", type, name, ref, number, at, finished.get(seq), contents.get(key))
    return made


def _formula_versions(connection: Connection, ids: Iterable[str]) -> dict[str, str]:
    """The highest version of each formula, by the hex of its id."""
    found: dict[str, list[tuple[str, str]]] = {}
    for chunk in chunks(sorted(ids)):
        for id, number in connection.execute(_VERSIONS, {"ids": chunk}):
            found.setdefault(id, []).append(("", number))
    return {id: _highest(numbers)[1] or "" for id, numbers in found.items()}


def _highest(claims: Sequence[tuple[str, str]]) -> tuple[str, str | None]:
    """A release may have been a prerelease before, which makes two numbers of one artefact."""
    if len(claims) > 1:  # of a damaged row, those that are none are passed over
        claims = sorted((found for found in claims if is_version(found[1])), key=lambda found: Version.parse(found[1]))
    return claims[-1] if claims else ("", None)


def _ref(type: str, name: str, owner: str, number: str | None, versions: dict[str, str]) -> str | None:
    if type == "use_case":
        return f"usecase:{name}"
    kind, _, rest = owner.partition(":")
    if number is None or kind in ("formula", "checkpoint"):
        return f"{kind}:{name}@{number}" if number is not None else None
    version = versions.get(rest) if kind == "batch" else None
    return f"batch:{name}@{version}/{number}" if version else None


def _contents(connection: Connection, keys: list[int]) -> dict[int, str]:
    """Short plain values as Python writes them."""
    rows = connection.execute(_CONTENTS, {"keys": keys}) if keys else ()
    found = {key: _content(_format(document), blob(data)) for key, document, data in rows}
    return {key: text for key, text in found.items() if text is not None and len(text) <= SHORT}


def _format(document: str) -> Any:
    """The format of a value; None where its document is damaged."""
    try:
        return parse(document)["body"]["format"]
    except (Invalid, LookupError, TypeError):
        return None


def _content(format: str | None, data: bytes) -> str | None:
    from jeyn.stores.serializers import decode_value

    try:
        return repr(decode_value(format, data)) if format in ("json/1", "text/1") else None
    except (Corrupt, ValueError):  # fsck says so; the rest is worth showing all the same
        return None
