"""Versions and epochs as claims (SEMANTICS 2): resolved in the committing transaction, never changed afterwards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, func, insert, select

from jeyn.errors import NotFound, UsageError, VersionTaken
from jeyn.sdk.artefact import Record
from jeyn.sdk.version import Version, is_version
from jeyn.stores.catalog import bounds
from jeyn.stores.catalog.changes import Claim, EpochClaim, VersionClaim
from jeyn.stores.catalog.database import Transaction
from jeyn.stores.catalog.reader import wrong_number
from jeyn.stores.catalog.tables import artefact, claim
from jeyn.stores.catalog.tombstones import buried

_OF_ARTEFACT = select(claim.c.number).where(
    claim.c.owner == bindparam("owner"), claim.c.artefact == bindparam("artefact")
)
_LAST_EPOCH = select(func.max(claim.c.major)).where(claim.c.owner == bindparam("owner"))
_RELEASED = (
    select(claim.c.number)
    .where(claim.c.owner == bindparam("owner"), claim.c.prerelease == "")
    .order_by(claim.c.major.desc(), claim.c.minor.desc(), claim.c.patch.desc())
)
_HOLDER = (
    select(artefact.c.id, artefact.c.document)
    .join(claim, claim.c.artefact == artefact.c.key)
    .where(claim.c.owner == bindparam("owner"), claim.c.number == bindparam("number"))
)


@dataclass(frozen=True)
class Numbered:
    """A number as the catalog orders it."""

    number: str
    major: int
    minor: int = 0
    patch: int = 0
    prerelease: str = ""


def number_of(tx: Transaction, key: int, wanted: Claim) -> str | None:
    """The number that this content has already, or None. A release of a prerelease's own content is a new claim."""
    found = tx.connection.execute(_OF_ARTEFACT, {"owner": wanted.owner, "artefact": key}).scalars().all()
    if not found:
        return None
    if isinstance(wanted, EpochClaim):
        return str(found[0])
    versions = sorted(_versions(tx, wanted.owner, found))
    if not versions:
        return None
    exact = wanted.exact
    if exact is None or exact in versions:
        return str(exact or versions[-1])
    if all(version.is_prerelease and version.core == exact.core for version in versions):
        return None
    raise VersionTaken(
        f'this content is {wanted.owner}@{versions[-1]} already, so it cannot also be "{exact}"',
        hint=f"use {versions[-1]}, or save different content",
    )


def claim_next(tx: Transaction, key: int, wanted: Claim, record: Record, stamp: Mapping[str, Any]) -> str:
    """Claim the number that was asked for; raises `VersionTaken` or what the veto raises."""
    if isinstance(wanted, EpochClaim):
        last = tx.connection.execute(_LAST_EPOCH, {"owner": wanted.owner}).scalar_one()
        numbered = Numbered(str((last or 0) + 1), (last or 0) + 1)
    else:
        version = _next_version(tx, wanted, record)
        numbered = Numbered(str(version), version.major, version.minor, version.patch, prerelease_text(version))
    tx.connection.execute(insert(claim), {**vars(numbered), "owner": wanted.owner, "artefact": key, **stamp})
    return numbered.number


def prerelease_text(version: Version) -> str:
    return str(version).partition("-")[2]


def _next_version(tx: Transaction, wanted: VersionClaim, record: Record) -> Version:
    base = wanted.base or _base(tx, wanted)
    version = wanted.exact or (base or Version.parse("0.0.0")).bump(wanted.level)  # type: ignore[arg-type]
    if max(version.major, version.minor, version.patch) > bounds.LARGEST:
        raise UsageError(f'the version "{version}" has a number beyond {bounds.LARGEST}', hint="use smaller numbers")
    if (held := tx.connection.execute(_HOLDER, {"owner": wanted.owner, "number": str(version)}).first()) is not None:
        raise VersionTaken(
            f"{wanted.owner.partition(':')[2]}@{version} is taken by other content and cannot change",
            hint="save it as a new version",
            refs=[f"sha256:{held.id}"],
        )
    if base is not None and wanted.veto is not None:
        held = tx.connection.execute(_HOLDER, {"owner": wanted.owner, "number": str(base)}).first()
        if held is None:
            raise NotFound(
                f"there is no {wanted.owner.partition(':')[2]}@{base} to build on",
                hint="give the version of a saved one as base=",
            )
        wanted.veto(base, Record.from_document(held.document), version, record)
    return version


def _base(tx: Transaction, wanted: VersionClaim) -> Version | None:
    """The highest released version; below `exact`, the highest one that is lower."""
    for version in _versions(tx, wanted.owner, tx.connection.execute(_RELEASED, {"owner": wanted.owner}).scalars()):
        if wanted.exact is None or version < wanted.exact:
            return version
    return None


def _versions(tx: Transaction, owner: str, numbers: Iterable[str]) -> Iterator[Version]:
    """Each as a version; what is none is passed over once it is buried. Raises `Corrupt` before."""
    for number in numbers:
        if is_version(number):
            yield Version.parse(number)
        elif (owner, number) not in buried(tx.connection, "claim"):
            raise wrong_number(owner, number)
