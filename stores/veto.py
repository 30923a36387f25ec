"""The veto on versions: a bump must be at least as large as the change of the contract (DESIGN 4)."""

from __future__ import annotations

from collections.abc import Sequence

from jeyn.errors import BumpTooSmall
from jeyn.sdk.artefact import Record
from jeyn.sdk.catalog import DataCatalog
from jeyn.sdk.version import Version

RANK = {"none": 0, "patch": 1, "minor": 2, "major": 3}


def formula_veto(base: Version, old: Record, new_version: Version, new: Record) -> None:
    """A new minor of a formula may add features; anything else is a major."""
    change = DataCatalog.from_json(old.body["output_catalog"]).diff(DataCatalog.from_json(new.body["output_catalog"]))
    check_bump(f"{new.name}@{base}", base, new_version, [change.bump("output", version=base)], [str(change)])


def checkpoint_veto(base: Version, old: Record, new_version: Version, new: Record) -> None:
    """The next checkpoint may need fewer inputs and give more outputs in a minor; anything else is a major."""
    changes = [
        DataCatalog.from_json(old.body[role]).diff(DataCatalog.from_json(new.body[role]))
        for role in ("input_catalog", "output_catalog")
    ]
    needed = [changes[0].bump("input", version=base), changes[1].bump("output", version=base)]
    check_bump(f"{new.name}@{base}", base, new_version, needed, [str(change) for change in changes])


def check_bump(what: str, base: Version, new: Version, needed: Sequence[str], why: Sequence[str]) -> None:
    """Raise `BumpTooSmall` unless the step from `base` to `new` is as large as what is needed; says which one is."""
    worst = max(needed, key=RANK.__getitem__)
    if new <= base:
        raise BumpTooSmall(
            f'{new} is not above "{what}", which it is to build on',
            hint=f"give a version above {base}, or a lower base=",
        )
    if RANK[level_of(base, new)] >= RANK[worst]:
        return
    smallest = base.bump(worst)  # type: ignore[arg-type]
    reasons = "; ".join(text for text, level in zip(why, needed, strict=True) if RANK[level] and text)
    raise BumpTooSmall(
        f'from "{what}" to {new} the catalogs change by more than a {level_of(base, new)}: {reasons}',
        hint=f"the smallest legal version is {smallest}: ask for the next {worst}",
    )


def level_of(base: Version, new: Version) -> str:
    """How large the step between two versions is."""
    if new.major != base.major:
        return "major"
    if new.minor != base.minor:
        return "minor"
    return "patch"
