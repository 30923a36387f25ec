"""How data catalogs compare: `Satisfaction` with its reasons, `CatalogDiff` with the smallest bump, and `join`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from jeyn.errors import CatalogMismatch, UsageError
from jeyn.sdk.checks import Check, NotNull, Unique
from jeyn.sdk.dtypes import Dtypes, common, common_digits
from jeyn.sdk.feature import Feature, type_only
from jeyn.sdk.version import Level, Version

if TYPE_CHECKING:
    from jeyn.sdk.catalog import DataCatalog

Features = Mapping[str, Feature]
Role = Literal["output", "input"]


@dataclass(frozen=True)
class Reason:
    """Why one feature does not fit: what was expected, what is there, and the rule."""

    feature: str
    expected: str
    actual: str
    why: str

    def __str__(self) -> str:
        return f'feature "{self.feature}": expected {self.expected}, got {self.actual}: {self.why}'


@dataclass(frozen=True)
class Satisfaction:
    """True when there is no reason against it."""

    reasons: tuple[Reason, ...] = ()

    def __bool__(self) -> bool:
        return not self.reasons

    def __str__(self) -> str:
        return "\n".join(map(str, self.reasons)) or "satisfied"


def satisfies(provided: Features, required: Features) -> Satisfaction:
    """Whether data of `provided` can be used where `required` is asked for. Checks are not part of it.

    Each required feature must be provided, with the same dtype or one that widens to it, a shape of the same length in
    which a required -1 takes any size, and no nulls unless they are taken. Optional features may be absent, and one
    that may be absent does not satisfy one that may not.
    """
    reasons: list[Reason] = []
    for name, expected in required.items():
        actual = provided.get(name)
        if actual is None:
            if not expected.optional:
                reasons.append(Reason(name, _type_of(expected), "nothing", "it is required"))
        else:
            reasons.extend(Reason(name, *words) for words in _misfits(actual, expected))
    return Satisfaction(tuple(reasons))


def _misfits(actual: Feature, expected: Feature) -> Iterator[tuple[str, str, str]]:
    """Expected, actual and why, for each way in which it does not fit."""
    if not actual.widens_to(expected):
        why = f"{actual.dtype.value} does not widen to {expected.dtype.value}"
        yield _type_of(expected), _type_of(actual), why
    if not _shape_fits(actual.shape, expected.shape):
        yield _type_of(expected), _type_of(actual), "the shapes differ, and only a required -1 takes any size"
    if actual.optional and not expected.optional:
        yield "required", "optional", "it may be absent"
    if expected.nan_is_null and not expected.takes_nulls and actual.dtype.is_float and not actual.nan_is_null:
        yield "no NaN", "NaN", "it may hold NaN, which is a null there"
    if actual.takes_nulls and not expected.takes_nulls:
        yield "no nulls", "nullable", "it may hold nulls"


def _shape_fits(actual: tuple[int, ...], expected: tuple[int, ...]) -> bool:
    same_length = len(actual) == len(expected)
    return same_length and all(want in (-1, size) for size, want in zip(actual, expected, strict=True))


def _type_of(feature: Feature) -> str:
    return str(type_only(feature))


@dataclass(frozen=True)
class Change:
    """One feature before and after."""

    feature: str
    old: Feature
    new: Feature

    @property
    def reasons(self) -> tuple[str, ...]:
        """What changed, a phrase for each attribute."""
        names = (
            "dtype",
            "precision",
            "scale",
            "shape",
            "optional",
            "nullable",
            "nan",
            "levels",
            "checks",
            "description",
        )
        return tuple(
            f"{name} {_show(getattr(self.old, name))} → {_show(getattr(self.new, name))}"
            for name in names
            if getattr(self.old, name) != getattr(self.new, name)
        )

    def __str__(self) -> str:
        return f"{self.feature}: {', '.join(self.reasons)}"


@dataclass(frozen=True)
class CatalogDiff:
    """What changes from the `old` features to the `new` ones; falsy when nothing does."""

    old: Features
    new: Features

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)

    @property
    def added(self) -> tuple[str, ...]:
        return tuple(name for name in self.new if name not in self.old)

    @property
    def removed(self) -> tuple[str, ...]:
        return tuple(name for name in self.old if name not in self.new)

    @property
    def changed(self) -> tuple[Change, ...]:
        both = ((name, feature, self.new[name]) for name, feature in self.old.items() if name in self.new)
        return tuple(Change(name, old, new) for name, old, new in both if old != new)

    def breaks(self, role: Role = "output") -> tuple[Reason, ...]:
        """Why the change is not compatible, empty if it is.

        Of an output, users must still get what the old catalog promised, its checks included; of an input, what users
        feed by the old catalog must still be taken, so no check may be added or tightened.
        """
        if role not in ("output", "input"):
            raise UsageError(f'there is no role "{role}"', hint='use "output" or "input"')
        giving, taking = (self.new, self.old) if role == "output" else (self.old, self.new)
        return (*satisfies(giving, taking).reasons, *_unchecked(giving, taking))

    def bump(self, role: Role = "output", version: str | Version | None = None) -> Literal["none"] | Level:
        """The smallest legal bump: "none" if equal, "patch" if only descriptions differ, else by `breaks`.

        A compatible change takes a minor, any other a major; on top of a 0.x `version` a patch and a minor.
        """
        if not self:
            return "none"
        base = Version(1, 0, 0) if version is None else Version.of(version)
        if self.breaks(role):
            return base.breaking_level
        return "patch" if self._only_words else base.compatible_level

    @property
    def smallest_bump(self) -> Literal["none"] | Level:
        """`bump("output")` from 1.0.0 on."""
        return self.bump()

    @property
    def _only_words(self) -> bool:
        words = all(_without_words(change.old) == _without_words(change.new) for change in self.changed)
        return words and not self.added and not self.removed

    def __str__(self) -> str:
        if not self:
            return "no difference"
        lines = [f"+ {name} {self.new[name]}" for name in self.added]
        lines += [f"- {name} {self.old[name]}" for name in self.removed]
        lines += [f"~ {change}" for change in self.changed]
        return "\n".join([*lines, f"as an output: {self.bump('output')} bump; as an input: {self.bump('input')} bump"])


def _unchecked(giving: Features, taking: Features) -> Iterator[Reason]:
    """Each check that the taker relies on and the giver does not guarantee; nulls are told by `satisfies`."""
    for name, feature in taking.items():
        if (
            name in giving
            and feature.levels
            and giving[name].levels != feature.levels[: len(giving[name].levels) or None]
        ):
            yield Reason(name, _levels(feature), _levels(giving[name]), "categories differ, or have other codes")
        for check in feature.checks:
            if name in giving and not isinstance(check, NotNull) and not giving[name].guarantees(check):
                actual = ", ".join(map(str, giving[name].checks)) or "no check"
                yield Reason(name, str(check), actual, "the check does not hold for all of it")


def _levels(feature: Feature) -> str:
    return f"levels {', '.join(feature.levels)}" if feature.levels else "any levels"


def _without_words(feature: Feature) -> Feature:
    return replace(feature, description="")


def _show(value: object) -> str:
    if value == ():
        return "none"
    if isinstance(value, tuple) and isinstance(value[0], str):
        return ", ".join(value)
    if isinstance(value, tuple) and isinstance(value[0], Check):
        return " ".join(map(str, value))
    return str(getattr(value, "value", value)) or '""'


def join(catalogs: Iterable[type[DataCatalog]], *, name: str = "Joined") -> type[DataCatalog]:
    """The catalog of the rows of all of them together: the features that all have, at what holds them all.

    The dtype is the smallest that all widen to, sizes that differ become -1, and a check stays where all guarantee it
    (`unique` never, because the rows of several may repeat). Raises `CatalogMismatch` where no dtype is common.
    """
    given = list(catalogs)
    if not given:
        raise UsageError("join() of no catalogs", hint="give at least one")
    shared = [feature for feature in given[0].features if all(feature in other.features for other in given)]
    joined = {feature: _join_feature(feature, [catalog.features[feature] for catalog in given]) for feature in shared}
    return given[0].of(name, joined)


def _join_feature(name: str, features: list[Feature]) -> Feature:
    first = features[0]
    if len(features) == 1:
        return first
    dtype, digits = common(*(feature.dtype for feature in features)), None
    if dtype is Dtypes.DECIMAL:
        digits = common_digits([feature.digits for feature in features])
        dtype = dtype if digits else None
    if dtype is None or len({len(feature.shape) for feature in features}) > 1:
        types = list(dict.fromkeys(map(_type_of, features)))
        raise CatalogMismatch(
            f'feature "{name}" cannot be joined: {" and ".join(types)} have no common type',
            hint="cast one of them, rename it, or leave it out with without()",
        )
    sizes = zip(*(feature.shape for feature in features), strict=True)
    checks = {check for feature in features for check in feature.checks if not isinstance(check, Unique)}
    return Feature(
        dtype,
        tuple(found[0] if len(set(found)) == 1 else -1 for found in sizes),
        optional=any(feature.optional for feature in features),
        nullable=any(feature.nullable for feature in features),
        checks=tuple(check for check in checks if all(feature.guarantees(check) for feature in features)),
        description=first.description if len({feature.description for feature in features}) == 1 else "",
        nan="null" if dtype.is_float and all(feature.nan_is_null for feature in features) else "value",
        precision=digits[0] if digits else None,
        scale=digits[1] if digits else None,
    )
