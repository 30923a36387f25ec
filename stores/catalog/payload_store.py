"""Which payload store a catalog's bytes are in: an identity that both keep, compared before it is used (SEMANTICS 39).

A folder that is not mounted, or somebody else's, looks like a store that lost everything. Whoever then writes there,
or believes that the bytes are gone, does harm that nothing undoes.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from sqlalchemy import func, insert, select

from jeyn.errors import Invalid
from jeyn.stores.catalog.database import Database
from jeyn.stores.catalog.patience import patient
from jeyn.stores.catalog.prepared import Prepared
from jeyn.stores.catalog.reader import is_marked
from jeyn.stores.catalog.small import LIMIT_OF_CODE
from jeyn.stores.catalog.tables import artefact, artefact_payload, clock, payload_store, small_payload
from jeyn.stores.payloads import PayloadStore

_LAST = select(payload_store.c.identity, payload_store.c.url).where(
    payload_store.c.key == select(func.max(payload_store.c.key)).scalar_subquery()
)
_NEWEST = Prepared(_LAST)
SAMPLE = 50
_REFERENCED = (
    select(artefact_payload.c.digest)
    .join(artefact, artefact.c.key == artefact_payload.c.artefact)
    .where(
        ~artefact_payload.c.external,
        ~is_marked(artefact_payload.c.artefact, "tombstone"),
        artefact_payload.c.digest.not_in(select(small_payload.c.digest)),
        # What is small enough for a row of the catalog was never in a store.
        artefact.c.type.not_in(["value", "code"]) | (artefact_payload.c.size > LIMIT_OF_CODE),
    )
    .order_by(artefact_payload.c.artefact.desc())
    .limit(SAMPLE)
)
_CURE = (
    "mount or name the right one (payloads: in jeyn.yaml, JEYN_PAYLOADS); if the bytes were moved there on purpose, "
    "jeyn db adopt-payloads --yes"
)


@dataclass(frozen=True)
class Known:
    """The store that a catalog knows: its identity, and the address that it had then."""

    identity: str
    url: str


@dataclass(frozen=True)
class Adoption:
    """What became of a deliberate change of stores: the one before (None: never one), the one now, and how many of
    `looked_for` payloads, at most fifty of the newest, are in it."""

    before: Known | None
    now: Known
    there: int
    looked_for: int


def known_store(database: Database) -> Known | None:
    """The store that the catalog knows; None before anything was written to one."""
    found = database.ask(_NEWEST)
    return Known(*found[0]) if found else None


def check_store(database: Database, files: PayloadStore) -> None:
    """Raise `Invalid` unless this is the store that the catalog knows, or it knows none yet."""
    known = known_store(database)
    if known is not None:
        _compare(known, files)


def settle_store(database: Database, files: PayloadStore, actor: str) -> None:
    """`check_store`, before the first write: a catalog that knows none yet takes this one, if it can be its own.

    It can be where it holds something of what the catalog refers to, or is as empty as the catalog. Raises `Invalid`.
    """
    known = known_store(database) or _adopt(database, files, actor)
    if known is not None:
        _compare(known, files)


def adopt_store(database: Database, files: PayloadStore, actor: str, *, yes: bool = False) -> Adoption:
    """Take another store from now on, as after a move; without `yes` only look whether it is the right one."""
    sample = _sample(database)
    there = sum(files.exists(digest) for digest in sample)
    before, now = known_store(database), Known(files.identity() or "", files.url)
    if yes:
        now = Known(files.identify(uuid.uuid4().hex), files.url)
        if now.identity and now != before:
            _record(database, now, actor)
    return Adoption(before, now, there, len(sample))


def _compare(known: Known, files: PayloadStore) -> None:
    found = files.identity()
    if found == known.identity:
        return
    what = f'is another one, with the identity "{found}"' if found else "has no identity"
    raise Invalid(
        f'the payload store "{files.url}" {what}: the catalog\'s own is "{known.identity}", last seen as "{known.url}"',
        hint=_CURE,
    )


def _adopt(database: Database, files: PayloadStore, actor: str) -> Known | None:
    strange = _strange(database, files)
    # Somebody else may have taken it meanwhile, and put the bytes that made it look strange.
    if strange and (known := known_store(database)) is not None:
        return known
    if strange:
        raise Invalid(strange, hint=_CURE)
    identity = files.identify(uuid.uuid4().hex)
    return _record_first(database, Known(identity, files.url), actor) if identity else None


def _strange(database: Database, files: PayloadStore) -> str:
    """Why the store cannot be the catalog's; "" where it can."""
    sample = _sample(database)
    if sample:
        if any(files.exists(digest) for digest in sample):
            return ""
        return f'the payload store "{files.url}" holds nothing of what the catalog refers to'
    found = files.identity()
    if next(iter(files.list()), None) is None:
        return ""
    whose = f'belongs to another catalog (identity "{found}")' if found else "holds payloads"
    return f'the payload store "{files.url}" {whose}, and this catalog refers to none of them'


@patient
def _sample(database: Database) -> list[str]:
    with database.read() as connection:
        return list(dict.fromkeys(connection.execute(_REFERENCED).scalars()))


@patient
def _record(database: Database, store: Known, actor: str) -> None:
    with database.write() as tx:
        tx.connection.execute(insert(payload_store), _row(store, actor, tx.seq, tx.at))


@patient
def _record_first(database: Database, store: Known, actor: str) -> Known:
    """Write it down, unless somebody was quicker. It is no step of history: what comes first is a save."""
    with database.exclusive() as connection:
        found = connection.execute(_LAST).first()
        if found is not None:
            return Known(*found)
        seq, at = connection.execute(select(clock.c.seq, clock.c.at)).one()
        connection.execute(insert(payload_store), _row(store, actor, seq, at))
    return store


def _row(store: Known, actor: str, seq: int, at: int) -> dict[str, object]:
    return {"identity": store.identity, "url": store.url, "actor": actor, "at": at, "seq": seq}
