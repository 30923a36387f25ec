"""The file format of a bundle, "jeyn-bundle/1": a plain tar of a manifest, one line per artefact, and the payloads.

The members are `manifest.json`, `artefacts.jsonl`, then `payloads/<hex sha256>` sorted, all regular files in ustar
headers without extensions. Nothing is ever unpacked by name: whatever does not look exactly like this is refused.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, NoReturn

from pydantic import ValidationError

from jeyn.errors import Corrupt, JeynError, NewerSchema
from jeyn.sdk.artefact import PayloadRef, Record, id_of_document
from jeyn.sdk.canonical import canonical, parse
from jeyn.sdk.catalog import DataCatalog
from jeyn.sdk.reference import valid_alias
from jeyn.sdk.relationship import RelationshipType
from jeyn.sdk.schemas import check_body, is_known
from jeyn.sdk.version import Version
from jeyn.stores.catalog.changes import LEVELS, ORDER
from jeyn.stores.catalog.entries import Entry
from jeyn.stores.payloads.failures import os_errors
from jeyn.stores.payloads.protocol import is_digest
from jeyn.stores.payloads.source import opened

FORMAT = "jeyn-bundle/1"
MANIFEST, RECORDS, PAYLOADS = "manifest.json", "artefacts.jsonl", "payloads/"
MANIFEST_BYTES = 1 << 16
LINE_BYTES = 256 << 20
STEP = 1 << 20
BLOCK = tarfile.BLOCKSIZE
_OWNERS = {"dataset_formula": "formula", "model_checkpoint": "checkpoint", "dataset_batch": "batch"}


@dataclass(frozen=True)
class Manifest:
    """What a bundle holds: the artefact that was asked for, and totals; `records` is the digest of the lines."""

    format: str
    root: str
    artefacts: int
    payloads: int
    bytes: int
    records: str


@dataclass(frozen=True)
class _Part:
    """Where a member's bytes lie in the file."""

    offset: int
    size: int


class BundleWriter:
    """Writes the members in order; equal content gives equal bytes."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._size = 0

    def manifest(self, manifest: Manifest) -> None:
        data = canonical(asdict(manifest)) + b"\n"
        self.member(MANIFEST, len(data), io.BytesIO(data))

    def member(self, name: str, size: int, source: IO[bytes]) -> None:
        header = tarfile.TarInfo(name)
        header.size, header.mode = size, 0o644
        # GNU headers hold sizes beyond 8 GiB themselves, where others need an extension.
        self._write(header.tobuf(tarfile.GNU_FORMAT))
        seen = 0
        while chunk := source.read(STEP):
            self._write(chunk)
            seen += len(chunk)
        if seen != size:
            raise Corrupt(f'"{name}" has {seen} bytes instead of {size}', hint="see what jeyn fsck finds")
        self._write(bytes(-size % BLOCK))

    def end(self) -> None:
        """Two empty blocks, then up to the next whole record."""
        self._write(bytes(2 * BLOCK))
        self._write(bytes(-self._size % tarfile.RECORDSIZE))

    def _write(self, data: bytes) -> None:
        with os_errors("write the bundle"):
            self._file.write(data)
        self._size += len(data)


class BundleReader:
    """A bundle whose layout was checked when it was opened; `verify` checks all the rest. Nothing is unpacked."""

    def __init__(self, file: IO[bytes], path: Path) -> None:
        self.path = path
        self._file = file
        parts = dict(self._parts())
        self.manifest = self._manifest(parts)
        self._records = parts[RECORDS]
        self.payloads = {name.removeprefix(PAYLOADS): part for name, part in parts.items() if name.startswith(PAYLOADS)}

    def entries(self) -> Iterator[Entry]:
        """The lines, one at a time, each of the right shape; `verify` compares them with each other."""
        for line in self._lines():
            try:
                yield Entry.model_validate_json(line)
            except ValidationError as exc:
                self._refuse(f"a line of it is no artefact ({exc.errors(include_url=False)[0]['msg']})")

    def chunks(self, digest: str) -> Iterator[bytes]:
        """The bytes of a payload, about 1 MiB at a time, not verified."""
        yield from self._read(self.payloads[digest])

    def verify(self) -> list[str]:
        """Check every id, digest and total before anything is written; returns the ids. Raises `Corrupt`."""
        checks = _Checks(self)
        hashed = hashlib.sha256()
        for chunk in self._read(self._records):
            hashed.update(chunk)
        if f"sha256:{hashed.hexdigest()}" != self.manifest.records:
            self._refuse("its lines do not have the digest that its manifest says")
        for entry in self.entries():
            checks.entry(entry)
        checks.totals()
        for digest in self.payloads:
            hashed = hashlib.sha256()
            for chunk in self.chunks(digest):
                hashed.update(chunk)
            if hashed.hexdigest() != digest:
                self._refuse(f'its payload "{digest}" does not have that digest')
        return list(checks.ids)

    def changed(self) -> NoReturn:
        """For who finds other bytes than `verify` saw."""
        self._refuse("it changed while it was being read")

    def _lines(self) -> Iterator[bytes]:
        rest = b""
        for chunk in self._read(self._records):
            *lines, rest = (rest + chunk).split(b"\n")
            yield from lines
            if len(rest) > LINE_BYTES:
                self._refuse(f"a line of it is longer than {LINE_BYTES} bytes")
        if rest:
            self._refuse("its last line has no end")

    def _read(self, part: _Part) -> Iterator[bytes]:
        offset, end = part.offset, part.offset + part.size
        while offset < end:
            chunk = self._at(offset, min(STEP, end - offset))
            if not chunk:
                self._refuse("it ends too early")
            yield chunk
            offset += len(chunk)

    def _at(self, offset: int, size: int) -> bytes:
        with os_errors(f"read '{self.path}'"):
            self._file.seek(offset)
            return self._file.read(size)

    def _parts(self) -> Iterator[tuple[str, _Part]]:
        with os_errors(f"read '{self.path}'"):
            length = self._file.seek(0, 2)
        offset, last = 0, ""
        while True:
            block = self._at(offset, BLOCK)
            if len(block) < BLOCK:
                self._refuse("it ends too early")
            if not any(block):
                break
            name, size = self._header(block)
            if offset + BLOCK + size > length:
                self._refuse(f'its member "{name}" ends too early')
            if not _follows(last, name):
                self._refuse(f'its member "{name[:200]}" has no place in a bundle')
            yield name, _Part(offset + BLOCK, size)
            offset, last = offset + BLOCK + size + -size % BLOCK, name
        if length - offset > 2 * tarfile.RECORDSIZE or any(self._at(offset, length - offset)):
            self._refuse("something follows its end")
        if last in ("", MANIFEST):
            self._refuse("it has no artefacts")

    def _header(self, block: bytes) -> tuple[str, int]:
        try:
            found = tarfile.TarInfo.frombuf(block, "ascii", "strict")
        except (tarfile.TarError, ValueError):
            self._refuse("it is no tar file, or damaged")
        if found.type != tarfile.REGTYPE or found.linkname or found.size < 0:
            self._refuse(f'its member "{found.name[:200]}" is no plain file')
        return found.name, found.size

    def _manifest(self, parts: Mapping[str, _Part]) -> Manifest:
        part = parts[MANIFEST]
        if part.size > MANIFEST_BYTES:
            self._refuse(f"its manifest has {part.size} bytes")
        try:
            found = parse(b"".join(self._read(part)))
            kind, _, number = str(found["format"]).partition("/")
        except (JeynError, KeyError, TypeError):
            self._refuse("its manifest cannot be read")
        if kind != "jeyn-bundle" or not number.isdecimal():
            self._refuse(f'its format is "{str(found["format"])[:80]}"')
        if found["format"] != FORMAT:
            raise NewerSchema(
                f'"{self.path}" has the format "{found["format"]}", and this Jeyn reads "{FORMAT}"',
                hint="upgrade Jeyn: pip install --upgrade jeyn",
            )
        wanted = {"format": str, "root": str, "artefacts": int, "payloads": int, "bytes": int, "records": str}
        if set(found) != set(wanted) or any(type(found[name]) is not kind for name, kind in wanted.items()):
            self._refuse("its manifest is not complete")
        return Manifest(**found)

    def _refuse(self, why: str) -> NoReturn:
        raise refused(self.path, why)


class _Checks:
    """What makes the entries of a bundle fit together, held against each other as they come."""

    def __init__(self, bundle: BundleReader) -> None:
        self.bundle = bundle
        self.ids: dict[str, None] = {}
        self.used: set[str] = set()
        self.numbers: set[tuple[str, str]] = set()
        self.members: set[tuple[str, str]] = set()

    def entry(self, entry: Entry) -> None:
        try:
            record = self._record(entry)
            for check in (self._content, self._relations, self._payloads, self._claims):
                check(entry, record)
        except Corrupt:
            raise
        except (JeynError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as exc:
            said = exc.message if isinstance(exc, JeynError) else str(exc)
            raise self._refusal(entry, f"is not what it should be ({said[:200]})") from exc

    def totals(self) -> None:
        manifest, payloads = self.bundle.manifest, self.bundle.payloads
        total = sum(part.size for part in payloads.values())
        if (manifest.artefacts, manifest.payloads, manifest.bytes) != (len(self.ids), len(payloads), total):
            raise refused(self.bundle.path, "its manifest counts other artefacts or payloads")
        if manifest.root not in self.ids:
            raise refused(self.bundle.path, f'it does not have "{manifest.root[:80]}", which it is about')
        if set(payloads) != self.used:
            raise refused(self.bundle.path, "it has payloads of no artefact")

    def _record(self, entry: Entry) -> Record:
        document = entry.document.encode()
        if id_of_document(document) != entry.id or entry.id in self.ids:
            self._refuse(entry, "does not have that id, or comes twice")
        found = parse(document)
        if canonical(found) != document or set(found) != {"schema", "name", "body", "parents", "payloads"}:
            self._refuse(entry, "has a document that no Jeyn wrote")
        return entry.record

    def _content(self, entry: Entry, record: Record) -> None:
        if is_known(record.schema):
            check_body(record.schema, record.body)
        texts = ((record.name, 200), (record.type, 64), (record.schema, 80))
        if any(not isinstance(text, str) or not text or len(text) > most for text, most in texts):
            self._refuse(entry, "has no proper name or schema")
        facts = json.loads(entry.facts)
        if not isinstance(facts, dict):
            self._refuse(entry, "has facts that are no object")
        levels = facts.get(LEVELS, {})
        if not isinstance(levels, dict) or not all(map(_are_levels, levels.values())):
            self._refuse(entry, "has categories that are no lists of texts")
        orders = [facts[ORDER]] if ORDER in facts else []
        orders += [json.loads(mark.value) for mark in entry.marks if mark.kind == ORDER]
        if orders and record.schema == "dataset_formula/1":
            for order in orders:
                DataCatalog.from_json(record.body["output_catalog"]).in_order(order)
        for mark in entry.marks:
            if mark.kind == "contract":
                contract = json.loads(mark.value)
                DataCatalog.from_json(contract["input_catalog"])
                DataCatalog.from_json(contract["output_catalog"])
        for each in entry.metrics:
            float(each.value)

    def _relations(self, entry: Entry, record: Record) -> None:
        edges = {parent for _, parent in entry.edges}
        if len(set(entry.edges)) < len(entry.edges) or not edges >= {each.parent for each in record.parents}:
            self._refuse(entry, "has edges that are not those of its document")
        known = {(int(kind), parent) for kind, parent in _known_parents(record, entry.document)}
        if not known <= set(entry.edges) or not edges <= self.ids.keys():
            self._refuse(entry, "has a parent that does not come before it")
        self.ids[entry.id] = None
        if any(each.subject not in self.ids for each in entry.metrics):
            self._refuse(entry, "has metrics of something that is not in the bundle")
        if len({(each.subject, each.name) for each in entry.metrics}) < len(entry.metrics):
            self._refuse(entry, "has a metric twice")
        for member in entry.members:
            known_both = member.formula in self.ids and member.batch in self.ids
            if not known_both or entry.id not in (member.formula, member.batch):
                self._refuse(entry, "claims files for something else")
            if (member.formula, member.member) in self.members:
                self._refuse(entry, "claims files that another batch has")
            self.members.add((member.formula, member.member))

    def _payloads(self, entry: Entry, record: Record) -> None:
        if len({payload.name for payload in record.payloads}) < len(record.payloads):
            self._refuse(entry, "has two payloads of one name")
        for payload in record.payloads:
            if not _is_payload(payload):
                self._refuse(entry, f'has the payload "{str(payload.name)[:200]}", which cannot be one')
        for payload in entry.bytes_here:
            part = self.bundle.payloads.get(payload.digest[7:])
            if part is not None and part.size == payload.size:
                self.used.add(payload.digest[7:])
            elif part is not None or not entry.buried:
                self._refuse(entry, f'has the payload "{payload.name}", whose bytes are not in the bundle')

    def _claims(self, entry: Entry, record: Record) -> None:
        owner = _owner(record)
        for each in entry.claims:
            if (each.owner, each.number) in self.numbers or not _may_claim(record, owner, each.owner, each.number):
                self._refuse(entry, f'claims "{each.owner[:80]}@{each.number[:80]}", which is not its to claim')
            self.numbers.add((each.owner, each.number))
        for alias in entry.aliases:
            if record.type not in ("dataset_formula", "model_checkpoint") or alias.owner != owner:
                self._refuse(entry, f'claims the alias "{alias.alias}" of "{alias.owner[:80]}"')
            valid_alias(alias.alias)
        if any(mark.kind == ORDER for mark in entry.marks) and record.type != "dataset_formula":
            self._refuse(entry, "has an order, which only a formula has")
        if any(mark.kind == "contract" for mark in entry.marks) and record.type != "use_case":
            self._refuse(entry, "has a contract, which only a use case has")

    def _refuse(self, entry: Entry, why: str) -> NoReturn:
        raise self._refusal(entry, why)

    def _refusal(self, entry: Entry, why: str) -> Corrupt:
        return refused(self.bundle.path, f'its artefact "{entry.id}" {why}')


@contextmanager
def open_bundle(path: Path) -> Iterator[BundleReader]:
    """A bundle to read; raises `NotFound`, `NewerSchema`, and `Corrupt` for what is no bundle."""
    with opened(path) as file:
        yield BundleReader(file, path)


def line_of(entry: Entry) -> bytes:
    """One line of `artefacts.jsonl`."""
    text = json.dumps(entry.model_dump(mode="json"), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return text.encode() + b"\n"


def refused(path: Path, why: str) -> Corrupt:
    return Corrupt(f'"{path}" cannot be imported: {why}', hint="export it again; nothing was written")


def _follows(last: str, name: str) -> bool:
    if not last:
        return name == MANIFEST
    if last == MANIFEST:
        return name == RECORDS
    return name.startswith(PAYLOADS) and is_digest(name.removeprefix(PAYLOADS)) and (last == RECORDS or last < name)


def _known_parents(record: Record, document: str) -> Iterator[tuple[RelationshipType, str]]:
    for kind, parent in parse(document)["parents"]:
        if kind in RelationshipType.__members__:
            yield RelationshipType[kind], parent


def _are_levels(levels: object) -> bool:
    if not isinstance(levels, list) or not all(isinstance(level, str) for level in levels):
        return False
    return len(set(levels)) == len(levels)


def _is_payload(payload: PayloadRef) -> bool:
    name = payload.name
    if not isinstance(name, str) or not 0 < len(name) <= 1000 or name.startswith("/") or ".." in name.split("/"):
        return False
    is_sized = type(payload.size) is int and 0 <= payload.size < 2**63
    digest = payload.digest
    return is_sized and isinstance(digest, str) and digest.startswith("sha256:") and is_digest(digest[7:])


def _owner(record: Record) -> str | None:
    """Whose numbers an artefact of a known type may claim."""
    kind = _OWNERS.get(record.type)
    if kind != "batch":
        return f"{kind}:{record.name}" if kind else None
    formulas = [edge.parent for edge in record.parents if edge.type is RelationshipType.formula_batch]
    return f"batch:{formulas[0][7:]}" if len(formulas) == 1 else None


def _may_claim(record: Record, owner: str | None, claimed: str, number: str) -> bool:
    if owner is None or claimed != owner:
        # What a newer Jeyn numbers is its own affair, but never what this one does.
        return not is_known(record.schema) and claimed.partition(":")[0] not in _OWNERS.values()
    if record.type == "dataset_batch":
        return number.isascii() and number.isdecimal() and str(int(number)) == number and 0 < int(number) < 2**63
    version = Version.parse(number)
    return str(version) == number and max(version.major, version.minor, version.patch) < 2**63
