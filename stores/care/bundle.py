"""`jeyn export` and `jeyn import`: an artefact with all that it came from, as one file (SEMANTICS 29)."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

from jeyn.errors import JeynError, UsageError
from jeyn.sdk.artefact import Artefact
from jeyn.stores.access import create, writing
from jeyn.stores.care.bundle_file import (
    FORMAT,
    PAYLOADS,
    RECORDS,
    BundleReader,
    BundleWriter,
    Manifest,
    line_of,
    open_bundle,
)
from jeyn.stores.care.part import whole, work_folder
from jeyn.stores.care.signature import Signer, public_key, require
from jeyn.stores.catalog.closure import chunks
from jeyn.stores.catalog.commit import PayloadsCondemned
from jeyn.stores.catalog.entries import Entry, closure_keys, payload_digests, read_entries
from jeyn.stores.catalog.leases import LEASE_SECONDS, Leases
from jeyn.stores.catalog.merge import Conflict, Merged, NewNumber, check_conflicts, merge, standing
from jeyn.stores.payloads import hash_file
from jeyn.stores.payloads.failures import os_errors

if TYPE_CHECKING:
    from jeyn.stores.workspace import Workspace

SCRATCH = "export-"
HEARTBEAT_SECONDS = LEASE_SECONDS // 6


@dataclass(frozen=True)
class Bundle:
    """What was exported: the artefact's id, how many artefacts and payloads, and the payloads' bytes.

    `external` are digests of files that stayed at their source, because they cannot be read from here.
    """

    path: Path
    root: str
    artefacts: int
    payloads: int
    bytes: int
    external: tuple[str, ...] = ()


@dataclass(frozen=True)
class Brought:
    """A number or alias that a bundle brings: what it is called, whose id it is, and what it was here before."""

    what: str
    id: str
    before: str | None


@dataclass(frozen=True)
class Imported:
    """What an import did, or would do while `done` is False.

    `numbers` are the versions and epochs that this catalog did not have, each with the highest one that it had;
    `moved` the aliases, `marks` what is said anew of artefacts that were here: "contract of usecase:reader". `kept`
    are the conflicts in which this catalog's own numbers stayed.
    """

    root: str
    new: int
    existing: int
    restored: int
    payloads: int
    aliases: int
    kept: tuple[Conflict, ...] = ()
    refused_aliases: tuple[Conflict, ...] = ()
    numbers: tuple[Brought, ...] = ()
    moved: tuple[Brought, ...] = ()
    marks: tuple[str, ...] = ()
    signed_by: str | None = None
    done: bool = True


def export_bundle(
    workspace: Workspace,
    ref: str | Artefact,
    path: str | os.PathLike[str],
    *,
    sign: str | os.PathLike[str] | None = None,
) -> Bundle:
    """Write an artefact and all that it came from, with versions, facts, tags and bytes, as one file.

    The same content gives the same bytes. What a sweep took is exported without its bytes. `sign` is the file of an
    Ed25519 private key (needs `jeyn[sign]`). Raises `NotFound`, `PayloadMissing`, `Corrupt`; then no file is left.
    """
    workspace, path = workspace.outside, Path(path)
    signer = Signer(Path(sign)) if sign is not None else None
    root = workspace.row(ref)
    leases = _Heartbeat(Leases(workspace.database))
    try:
        with work_folder(workspace.payloads.staging(), SCRATCH) as folder:
            with workspace.database.read() as connection:
                digests = payload_digests(connection, closure_keys(connection, root.key))
            # Leased, so that no sweep takes what is about to be read.
            stored = sorted(digest for digest, external in digests.items() if not external)
            # A home that may not be written is not swept from here; what its owner sweeps meanwhile is told as missing.
            for chunk in chunks([] if workspace.database.is_read_only else stored):
                leases.leases.take(chunk)
            fetched = _fetch_external(workspace, root.key, folder)
            with os.fdopen(create(folder / "records"), "w+b") as records:
                return _write(workspace, root.id, path, records, fetched, leases, signer)
    finally:
        leases.leases.release()


def import_bundle(
    workspace: Workspace,
    path: str | os.PathLike[str],
    *,
    keep: Literal["ours"] | None = None,
    aliases: bool = False,
    yes: bool = True,
    require_signature: str | os.PathLike[str] | None = None,
) -> Imported:
    """Merge a bundle by id: every id, byte and word is checked first, then all rows are written at once, or none.

    Only the root and what it came from is taken. Raises `VersionTaken` when the bundle gives a number to other content
    than this catalog does; `keep="ours"` imports the rest, and what is in conflict by its id only. Aliases move only
    with `aliases=True`. With `yes=False` nothing is written, and what would be is told. `require_signature` is the key
    that must have signed it, as the file of a public key or as its text ("ed25519:…"): `NotAllowed` for all others.
    Raises `Corrupt` or `NewerSchema` for what is no sound bundle.
    """
    if keep not in (None, "ours"):
        raise UsageError(f'keep is "{keep}"', hint='keep="ours", or leave it out')
    workspace = workspace.outside
    wanted = public_key(os.fspath(require_signature)) if require_signature is not None else None
    with open_bundle(Path(path)) as bundle:
        signed_by = _signed_by(bundle, wanted)
        ids = bundle.verify()
        if keep is None:
            check_conflicts(workspace.database, bundle.entries)
        done: list[tuple[Merged, int]] = []

        def build(writer: Workspace) -> Sequence[Any]:
            put = _put_payloads(writer, bundle, ids) if yes else frozenset(bundle.payloads)
            merged = merge(
                writer.database,
                bundle.entries,
                writer.settings.actor,
                put=put,
                offered=frozenset(bundle.payloads),
                keep_ours=keep == "ours",
                aliases=aliases,
                dry=not yes,
            )
            done.append((merged, len(put)))
            return []

        workspace.save(build)
        merged, count = done[-1]
        return _imported(bundle, merged, count, signed_by, yes)


def _signed_by(bundle: BundleReader, wanted: str | None) -> str | None:
    """Who signed it, checked; None too for what nobody asked about and nothing here can check."""
    if wanted is not None:
        require(wanted, bundle.signed_by, bundle.path)
    try:
        bundle.check_signature()
    except UsageError:  # the library is an extra
        if wanted is not None:
            raise
        return None
    return bundle.signed_by


def _imported(bundle: BundleReader, merged: Merged, payloads: int, signed_by: str | None, yes: bool) -> Imported:
    names = _Names(bundle)
    return Imported(
        bundle.manifest.root,
        merged.new,
        merged.existing,
        merged.restored,
        payloads,
        merged.aliases,
        tuple(merged.kept),
        tuple(merged.refused),
        tuple(names.number(each) for each in merged.numbers),
        tuple(Brought(f"{each.owner}@{each.alias}", each.id, each.before) for each in merged.moved),
        tuple(names.mark(*each) for each in merged.marks),
        signed_by,
        yes,
    )


class _Names:
    """What people call the artefacts of a bundle."""

    def __init__(self, bundle: BundleReader) -> None:
        self.formulas: dict[str, str] = {}
        self.titles: dict[str, str] = {}
        for entry in bundle.entries():
            record = entry.record
            self.titles[entry.id] = f"{record.type.replace('_', ' ')} {record.name}"
            if record.type == "dataset_formula" and entry.claims:
                self.formulas[entry.id[7:]] = f"{record.name}@{entry.claims[-1].number}"

    def number(self, each: NewNumber) -> Brought:
        kind, _, owner = each.owner.partition(":")
        start = f"batch:{self.formulas.get(owner, owner[:12])}/" if kind == "batch" else f"{each.owner}@"
        return Brought(start + each.number, each.id, each.before and start + each.before)

    def mark(self, id: str, kind: str, value: str) -> str:
        return f"{kind}{f' {value}' if kind == 'tag' else ''} of {self.titles[id]}"


# Exporting.


def _fetch_external(workspace: Workspace, root: int, folder: Path) -> dict[str, Path]:
    """The files that artefacts only refer to, copied here where they can be read, by bare digest."""
    from jeyn.stores.contents import local_file

    fetched: dict[str, Path] = {}
    with workspace.database.read() as connection:
        keys = closure_keys(connection, root)
    for chunk in chunks(keys):
        for row in workspace.reader.rows(chunk):
            external = workspace.reader.external_payloads(row.key) if row.record.payloads else set()
            for payload in row.record.payloads:
                if payload.digest not in external or payload.digest[7:] in fetched:
                    continue
                try:
                    with local_file(workspace, workspace.bound(row.id), payload) as found:
                        fetched[payload.digest[7:]] = _copy(found, folder / payload.digest[7:])
                except JeynError:
                    continue  # it stays where it is, and the bundle says so
    return fetched


def _write(
    workspace: Workspace,
    root: str,
    path: Path,
    records: IO[bytes],
    fetched: Mapping[str, Path],
    leases: _Heartbeat,
    signer: Signer | None,
) -> Bundle:
    hashed, count = hashlib.sha256(), 0
    sizes: dict[str, int] = {}
    external: set[str] = set()
    for entry in _entries(workspace, root, fetched):
        line = line_of(entry)
        hashed.update(line)
        with os_errors("write the bundle"):
            records.write(line)
        count += 1
        if not entry.buried:
            sizes.update({payload.digest[7:]: payload.size for payload in entry.bytes_here})
            external.update(entry.external)
    total = sum(sizes.values())
    manifest = Manifest(FORMAT, root, count, len(sizes), total, f"sha256:{hashed.hexdigest()}")
    with whole(path) as file:
        writer = BundleWriter(file)
        writer.manifest(manifest, signer)
        size = records.tell()
        records.seek(0)
        writer.member(RECORDS, size, records)
        for digest in sorted(sizes):
            leases.beat()
            with _payload(workspace, digest, fetched) as source:
                writer.member(f"{PAYLOADS}{digest}", sizes[digest], source)
        writer.end()
    return Bundle(path, root, count, len(sizes), total, tuple(sorted(external)))


def _entries(workspace: Workspace, root: str, fetched: Mapping[str, Path]) -> Iterator[Entry]:
    with workspace.database.read() as connection:
        keys = closure_keys(connection, workspace.row(root).key)
        yield from read_entries(connection, keys, fetched)


@contextmanager
def _payload(workspace: Workspace, digest: str, fetched: Mapping[str, Path]) -> Iterator[IO[bytes]]:
    if digest not in fetched:
        with workspace.payloads.open(digest) as source:
            yield source
        return
    with fetched[digest].open("rb") as source:
        yield source


def _copy(source: Path, target: Path) -> Path:
    with os_errors(f"copy '{source}'"), source.open("rb") as read, writing(target) as written:
        while chunk := read.read(1 << 20):
            written.write(chunk)
    return target


# Importing.


def _put_payloads(writer: Workspace, bundle: BundleReader, ids: Sequence[str]) -> frozenset[str]:
    """Put the bytes of what is new here, or buried, under leases; returns their bare digests."""
    here = standing(writer.database, ids)
    # What fsck found to be bad here is put too, though its artefact is known.
    wanted = writer.payloads.small.suspects()
    for entry in bundle.entries():
        if entry.id not in here.present or entry.id in here.buried:
            wanted.update(payload.digest[7:] for payload in entry.bytes_here)
    put = sorted(wanted & bundle.payloads.keys())
    heartbeat = _Heartbeat(writer.leases)
    for digest in put:
        heartbeat.beat()
        _put(writer, bundle, digest)
    if not writer.still_kept():
        raise PayloadsCondemned(put)
    return frozenset(put)


def _put(writer: Workspace, bundle: BundleReader, digest: str) -> None:
    path = writer.payloads.staging() / f"import-{writer.leases.holder}"
    try:
        with os_errors(f"write '{path}'"), writing(path) as file:
            for chunk in bundle.chunks(digest):
                file.write(chunk)
        hashed = hash_file(path)
        if hashed.digest != digest:
            bundle.changed()
        writer.keep(hashed, digest, move=True)
    finally:
        path.unlink(missing_ok=True)


class _Heartbeat:
    """Renews leases now and then while something long goes on."""

    def __init__(self, leases: Leases) -> None:
        self.leases = leases
        self._last = time.monotonic()

    def beat(self) -> None:
        if time.monotonic() - self._last > HEARTBEAT_SECONDS:
            self.leases.renew()
            self._last = time.monotonic()
