"""What a reference means now: the one place that turns DESIGN 4's grammar into an artefact."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import get_close_matches

from jeyn.errors import Ambiguous, NotFound
from jeyn.sdk.reference import Alias, Exact, Range, Reference
from jeyn.sdk.version import Version
from jeyn.stores.catalog.reader import ArtefactRow, Claimed, Reader, owner_of, sort_versions

TYPES = {
    "batch": "dataset_batch",
    "checkpoint": "model_checkpoint",
    "formula": "dataset_formula",
    "usecase": "use_case",
}


def resolve(reader: Reader, text: str | Reference, kind: str | None = None) -> ArtefactRow:
    """The artefact that a reference means now. `kind` is what the caller expects where the reference does not say.

    Raises `NotFound`, which says what is there, and `Ambiguous`.
    """
    reference = Reference.parse(text)
    if kind is not None and reference.kind not in (None, kind):
        raise NotFound(f'"{reference}" is a {reference.kind}, and a {kind} is wanted here', hint=f"name a {kind}")
    wanted = reference.kind or kind
    if reference.digest is not None:
        return _by_digest(reader, reference.digest, wanted)
    if wanted is not None:
        return _need(reader, _named(reader, reference, wanted), reference, wanted)
    kinds = [each for each in ("usecase", "formula", "checkpoint") if _named(reader, reference, each)]
    if "usecase" in kinds and "checkpoint" in kinds:
        kinds.remove("checkpoint" if reference.selector is None else "usecase")
    if len(kinds) > 1:
        choices = " or ".join(f"{each}:{reference}" for each in kinds)
        raise Ambiguous(f'"{reference}" names a {" and a ".join(kinds)}', hint=f"say {choices}")
    found = kinds[0] if kinds else "checkpoint"
    return _need(reader, _named(reader, reference, found) if kinds else None, reference, None if not kinds else found)


def versions_in(reader: Reader, text: str | Reference, kind: str) -> list[str]:
    """The ids of all versions that a range means, lowest first."""
    reference = Reference.parse(text)
    found = [claimed.id for claimed in _candidates(reader, reference, kind)]
    return list(dict.fromkeys(reversed(found)))


def _need(reader: Reader, id: str | None, reference: Reference, kind: str | None) -> ArtefactRow:
    row = reader.row(id) if id else None
    if row is None:
        raise _not_found(reader, reference, kind)
    return row


def _named(reader: Reader, reference: Reference, kind: str) -> str | None:
    name = reference.name or ""
    if kind == "usecase":
        from jeyn.sdk.artefact import Record

        id = Record("use_case/1", name, {}).id
        return id if reference.selector is None and reader.row(id) else None
    if kind == "batch":
        return _batch(reader, reference)
    return next((claimed.id for claimed in _candidates(reader, reference, kind)), None)


def _candidates(reader: Reader, reference: Reference, kind: str) -> Iterator[Claimed]:
    """What the selector allows, best first."""
    owner, selector = owner_of(kind, reference.name or ""), reference.selector
    match selector:
        case Exact(version):
            if (id := reader.claimed(owner, str(version))) is not None:
                yield Claimed(str(version), id)
        case Alias(name):
            if (moved := reader.alias(owner, name)) is not None and moved.id is not None:
                yield Claimed(name, moved.id)
        case Range(range):
            for claimed in reversed(sort_versions(reader.claims(owner))):
                if range.contains(Version.parse(claimed.number)):
                    yield claimed
        case _:
            if kind != "formula" or reference.kind != "batch":
                if (highest := reader.highest(owner)) is not None:
                    yield highest
                return
            yield from (c for c in reversed(sort_versions(reader.claims(owner))) if "-" not in c.number)


def _batch(reader: Reader, reference: Reference) -> str | None:
    """The highest version that has a batch, then its highest epoch (SEMANTICS 15)."""
    epoch = reference.epoch
    if reference.kind != "batch":
        reference = Reference("batch", reference.name, reference.selector, epoch or "latest")
    for formula in _candidates(reader, reference, "formula"):
        owner = owner_of("batch", formula.id)
        if isinstance(epoch, int):
            found = reader.claimed(owner, str(epoch))
        else:
            last = reader.highest(owner)
            found = last.id if last else None
        if found:
            return found
    return None


def _by_digest(reader: Reader, prefix: str, kind: str | None) -> ArtefactRow:
    found = [f"sha256:{prefix}"] if len(prefix) == 64 else reader.ids_from(prefix)
    if len(found) > 1:
        shown = ", ".join(id[:23] for id in found[:5])
        raise Ambiguous(f'"sha256:{prefix}" begins {len(found)} ids: {shown} …', hint="give more digits", refs=found)
    row = reader.row(found[0]) if found else None
    if row is None:
        raise NotFound(f'no artefact has the id "sha256:{prefix}"', hint="search shows what there is")
    if kind is not None and row.type != TYPES[kind]:
        raise NotFound(
            f'"sha256:{prefix}" is a {row.type}, not a {TYPES[kind]}', hint="leave the kind out", refs=[row.id]
        )
    return row


def _not_found(reader: Reader, reference: Reference, kind: str | None) -> NotFound:
    name = reference.name or ""
    owner_kind = "formula" if kind == "batch" else kind
    for each in [owner_kind] if owner_kind else ["formula", "checkpoint"]:
        there = sort_versions(reader.claims(owner_of(each, name))) if each != "usecase" else []
        if there:
            return _wrong_selector(reader, reference, each, there, kind)
    known = sorted({known for _, known in reader.names()})
    what = {"usecase": "use case"}.get(kind or "", kind or "artefact")
    if name in known and kind in ("checkpoint", "batch", None):
        return NotFound(f'"{name}" has no {what if kind else "checkpoint"} yet', hint=f"save one, then use {reference}")
    close = get_close_matches(name, known, n=3, cutoff=0.5)
    if close:
        hint = f"did you mean {' or '.join(close)}?"
    else:
        hint = f"there {_are(known[:8])}" if known else "the catalog has no names yet; save a formula first"
    return NotFound(f'no {what} is called "{name}"', hint=hint)


def _wrong_selector(
    reader: Reader, reference: Reference, kind: str, there: list[Claimed], wanted: str | None
) -> NotFound:
    aliases = sorted({m.alias for m in reader.alias_history(owner_of(kind, reference.name or ""))})
    hint = f"there {_are([claimed.number for claimed in there[-8:]])}" + (
        f"; aliases: {', '.join(aliases)}" if aliases else ""
    )
    if wanted == "batch":
        for claimed in reversed(there):
            last = reader.highest(owner_of("batch", claimed.id))
            if last:
                hint = f"{reference.name}@{claimed.number} has epochs up to {last.number}"
                break
        else:
            hint = f"no version of {reference.name} has a batch yet: save_batch(formula.get_new_batch())"
    return NotFound(f'nothing is "{reference}"', hint=hint)


def _are(names: Sequence[str]) -> str:
    return f"{'is' if len(names) == 1 else 'are'} {', '.join(names)}"
