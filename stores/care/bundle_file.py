"""The file format of a bundle, "jeyn-bundle/1": a plain tar of a manifest, one line per artefact, and the payloads.

The members are `manifest.json`, `signature.json` where it is signed, `artefacts.jsonl`, then `payloads/<hex sha256>`
sorted, all regular files in ustar headers without extensions. Nothing is ever unpacked by name: whatever does not look
exactly like this is refused.
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
from typing import IO, Any, NoReturn

from pydantic import ValidationError

from jeyn.errors import Corrupt, JeynError, NewerSchema
from jeyn.sdk.canonical import canonical, parse
from jeyn.stores.care import signature
from jeyn.stores.care.bundle_check import Checks, refused
from jeyn.stores.catalog.entries import Entry
from jeyn.stores.payloads.failures import os_errors
from jeyn.stores.payloads.protocol import is_digest
from jeyn.stores.payloads.source import opened

FORMAT = "jeyn-bundle/1"
MANIFEST, SIGNATURE, RECORDS, PAYLOADS = "manifest.json", "signature.json", "artefacts.jsonl", "payloads/"
MANIFEST_BYTES = 1 << 16
LINE_BYTES = 256 << 20
STEP = 1 << 20
BLOCK = tarfile.BLOCKSIZE


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

    def manifest(self, manifest: Manifest, signer: signature.Signer | None = None) -> None:
        data = canonical(asdict(manifest)) + b"\n"
        self.member(MANIFEST, len(data), io.BytesIO(data))
        if signer is not None:
            signed = canonical(signer(data)) + b"\n"
            self.member(SIGNATURE, len(signed), io.BytesIO(signed))

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
        self._signature = self._signed(parts) if SIGNATURE in parts else None
        self._signed_manifest = b"".join(self._read(parts[MANIFEST]))
        self._records = parts[RECORDS]
        self.payloads = {name.removeprefix(PAYLOADS): part for name, part in parts.items() if name.startswith(PAYLOADS)}

    @property
    def signed_by(self) -> str | None:
        """The key that says to have signed it; `verify` and `check_signature` know whether it has."""
        return self._signature["key"] if self._signature else None

    def check_signature(self) -> None:
        """Raise `Corrupt` where the bundle is signed, and not by whom it says."""
        if self._signature:
            signature.check(self._signed_manifest, self._signature["key"], self._signature["signature"], self.path)

    def entries(self) -> Iterator[Entry]:
        """The lines, one at a time, each of the right shape; `verify` compares them with each other.

        They are read again each time, so each time their digest is compared at the end: who writes what comes from
        them inside a transaction undoes it where somebody changed the file meanwhile.
        """
        hashed = hashlib.sha256()
        for line in self._lines():
            hashed.update(line + b"\n")
            try:
                yield Entry.model_validate_json(line)
            except ValidationError as exc:
                self._refuse(f"a line of it is no artefact ({exc.errors(include_url=False)[0]['msg']})")
        if f"sha256:{hashed.hexdigest()}" != self.manifest.records:
            self.changed()

    def chunks(self, digest: str) -> Iterator[bytes]:
        """The bytes of a payload, about 1 MiB at a time, not verified."""
        yield from self._read(self.payloads[digest])

    def verify(self) -> list[str]:
        """Check every id, digest and total before anything is written; returns the ids. Raises `Corrupt`."""
        hashed = hashlib.sha256()
        for chunk in self._read(self._records):
            hashed.update(chunk)
        if f"sha256:{hashed.hexdigest()}" != self.manifest.records:
            self._refuse("its lines do not have the digest that its manifest says")
        checks = Checks(self.path, self.manifest.root, {digest: part.size for digest, part in self.payloads.items()})
        for entry in self.entries():
            checks.entry(entry)
        checks.end()
        self._totals(len(checks.ids))
        for digest in self.payloads:
            hashed = hashlib.sha256()
            for chunk in self.chunks(digest):
                hashed.update(chunk)
            if hashed.hexdigest() != digest:
                self._refuse(f'its payload "{digest}" does not have that digest')
        return list(checks.ids)

    def _totals(self, artefacts: int) -> None:
        manifest, total = self.manifest, sum(part.size for part in self.payloads.values())
        if (manifest.artefacts, manifest.payloads, manifest.bytes) != (artefacts, len(self.payloads), total):
            self._refuse("its manifest counts other artefacts or payloads")

    def changed(self) -> NoReturn:
        """For who finds other bytes than `verify` saw."""
        self._refuse("it changed while it was being read")

    def _lines(self) -> Iterator[bytes]:
        held: list[bytes] = []  # of a line that is not yet whole: joined once, however many reads it takes
        size = 0
        for chunk in self._read(self._records):
            first, *more = chunk.split(b"\n")
            held.append(first)
            size += len(first)
            if size > LINE_BYTES:
                self._refuse(f"a line of it is longer than {LINE_BYTES} bytes")
            if more:
                yield b"".join(held)
                yield from more[:-1]
                held, size = [more[-1]], len(more[-1])
        if size:
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
        if last in ("", MANIFEST, SIGNATURE):
            self._refuse("it has no artefacts")

    def _header(self, block: bytes) -> tuple[str, int]:
        try:
            found = tarfile.TarInfo.frombuf(block, "ascii", "strict")
        except (tarfile.TarError, ValueError):
            self._refuse("it is no tar file, or damaged")
        if found.type != tarfile.REGTYPE or found.linkname or found.size < 0:
            self._refuse(f'its member "{found.name[:200]}" is no plain file')
        return found.name, found.size

    def _signed(self, parts: Mapping[str, _Part]) -> dict[str, str]:
        found = self._small(parts[SIGNATURE], "signature")
        if set(found) != {"key", "signature"} or not signature.is_key(found["key"]):
            self._refuse("its signature cannot be read")
        if not isinstance(found["signature"], str):
            self._refuse("its signature cannot be read")
        return found

    def _small(self, part: _Part, what: str) -> dict[str, Any]:
        if part.size > MANIFEST_BYTES:
            self._refuse(f"its {what} has {part.size} bytes, more than {MANIFEST_BYTES}")
        try:
            found = parse(b"".join(self._read(part)))
        except JeynError:
            found = None
        if not isinstance(found, dict):
            self._refuse(f"its {what} cannot be read")
        return found

    def _manifest(self, parts: Mapping[str, _Part]) -> Manifest:
        found = self._small(parts[MANIFEST], "manifest")
        kind, _, number = str(found.get("format")).partition("/")
        if kind != "jeyn-bundle" or not number.isdecimal():
            self._refuse(f'its format is "{str(found.get("format"))[:80]}"')
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


@contextmanager
def open_bundle(path: Path) -> Iterator[BundleReader]:
    """A bundle to read; raises `NotFound`, `NewerSchema`, and `Corrupt` for what is no bundle."""
    with opened(path) as file:
        yield BundleReader(file, path)


def line_of(entry: Entry) -> bytes:
    """One line of `artefacts.jsonl`."""
    text = json.dumps(entry.model_dump(mode="json"), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return text.encode() + b"\n"


def _follows(last: str, name: str) -> bool:
    if not last:
        return name == MANIFEST
    if last == MANIFEST:
        return name in (SIGNATURE, RECORDS)
    if last == SIGNATURE:
        return name == RECORDS
    return name.startswith(PAYLOADS) and is_digest(name.removeprefix(PAYLOADS)) and (last == RECORDS or last < name)
