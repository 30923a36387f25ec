"""The veto on versions: a bump must be at least as large as the change of the contract (DESIGN 4)."""

from __future__ import annotations

from collections.abc import Sequence

from jeyn.errors import BumpTooSmall
from jeyn.sdk.version import Version

RANK = {"none": 0, "patch": 1, "minor": 2, "major": 3}


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
