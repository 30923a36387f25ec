"""Keeping a run's code package as a `code` artefact, which lineage and `--isolated` runs find by its id."""

from __future__ import annotations

from typing import Protocol

from jeyn.sdk.artefact import Artefact, PayloadRef, Record
from jeyn.sdk.canonical import sha256_of
from jeyn.stores.catalog.changes import NewArtefact
from jeyn.stores.catalog.small import LIMIT_OF_CODE
from jeyn.stores.workspace import Workspace

PAYLOAD = "package.tar.gz"


class Package(Protocol):
    """What `jeyn.workflows.code.package` makes."""

    @property
    def digest(self) -> str: ...
    @property
    def commit(self) -> str | None: ...
    @property
    def dirty(self) -> bool: ...
    @property
    def payload(self) -> bytes: ...


def save_code(workspace: Workspace, package: Package) -> Artefact:
    """Keep a package; one that is kept already costs no commit."""
    digest = sha256_of(package.payload)
    record = _record(package, PayloadRef(PAYLOAD, digest, len(package.payload)))
    is_known = workspace.reader.row(record.id) is not None and not workspace.reader.is_buried(record.id)
    if is_known and workspace.payloads.exists(digest[7:]):
        return _bound(workspace, record.id)

    def build(writer: Workspace) -> list[NewArtefact]:
        payload, inline = writer.keep_near(package.payload, PAYLOAD, LIMIT_OF_CODE)
        return [NewArtefact(_record(package, payload), inline=inline, event="jeyn.code.saved")]

    return _bound(workspace, workspace.save(build)[0].id)


def code_id(package: Package) -> str:
    """What `save_code` gives its artefact as id, without keeping anything."""
    return _record(package, PayloadRef(PAYLOAD, sha256_of(package.payload), len(package.payload))).id


def code_payload(workspace: Workspace, id: str) -> tuple[str, bytes]:
    """(digest of the package, its gzipped bytes) of a `code` artefact, checked by digest."""
    record = workspace.row(id).record
    return str(record.body["digest"]), workspace.payloads.read(record.payloads[0].digest[7:])


def _record(package: Package, payload: PayloadRef) -> Record:
    body = {"digest": package.digest, "commit": package.commit, "dirty": package.dirty}
    return Record("code/1", "code", body, payloads=(payload,))


def _bound(workspace: Workspace, id: str) -> Artefact:
    artefact: Artefact = workspace.bound(id)
    return artefact
