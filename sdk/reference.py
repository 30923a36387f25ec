"""`Reference`: the one way to name an artefact in Python, on the command line, in REST and in YAML (DESIGN 4).

    [batch:|checkpoint:|formula:|usecase:] name [@selector] [/epoch]      or      [kind:] sha256:<8 to 64 hex digits>
    selector: 1.2.0 · a VersionRange · latest · an alias such as blessed        epoch: 1, 2, 3 … or latest

Parsing is pure: what a reference means today is the stores' to resolve.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from jeyn.errors import InvalidReference, InvalidVersion
from jeyn.sdk.version import Version
from jeyn.sdk.version_range import VersionRange

Kind = Literal["batch", "checkpoint", "formula", "usecase"]
KINDS: tuple[Kind, ...] = get_args(Kind)

MAX_NAME = 200
MAX_TEXT = 1000

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_ALIAS = re.compile(r"[a-z][a-z0-9_-]{0,199}")
_DIGEST = re.compile(r"[0-9a-f]{8,64}")
_EPOCH = re.compile(r"[1-9][0-9]{0,17}")
_HINT = (
    "write name, name@1.2.0, name@^1.2, name@latest, name@blessed, digits@1.0.0/7, digits@^1/latest or "
    "sha256:<8 to 64 hex digits>, after batch:, checkpoint:, formula: or usecase: where needed"
)


@dataclass(frozen=True, slots=True)
class Latest:
    """The highest released version, never the newest by the clock."""

    def __str__(self) -> str:
        return "latest"


@dataclass(frozen=True, slots=True)
class Exact:
    version: Version

    def __str__(self) -> str:
        return str(self.version)


@dataclass(frozen=True, slots=True)
class Range:
    range: VersionRange

    def __str__(self) -> str:
        return str(self.range)


@dataclass(frozen=True, slots=True)
class Alias:
    name: str

    def __str__(self) -> str:
        return self.name


Selector: TypeAlias = Latest | Exact | Range | Alias


@dataclass(frozen=True, slots=True)
class Reference:
    """A parsed reference: either a `name`, perhaps with selector and epoch, or the first hex digits of a `digest`.

    An epoch makes the kind "batch", and the kind "batch" without an epoch means the latest; so `batch:digits@^1` and
    `digits@^1/latest` are equal, and written `digits@^1/latest`. Without a selector, resolution decides.
    """

    kind: Kind | None = None
    name: str | None = None
    selector: Selector | None = None
    epoch: int | Literal["latest"] | None = None
    digest: str | None = None

    def __post_init__(self) -> None:
        if self.kind is not None and self.kind not in KINDS:
            raise InvalidReference(f"there is no kind '{self.kind}'", hint=f"use one of {', '.join(KINDS)}")
        if self.digest is not None:
            self._check_digest()
            return
        self._check_selector_and_epoch()
        valid_name(self.name)
        if self.kind == "batch" and self.epoch is None:
            object.__setattr__(self, "epoch", "latest")
        elif self.kind is None and self.epoch is not None:
            object.__setattr__(self, "kind", "batch")
        if self.kind != "batch" and self.epoch is not None:
            raise InvalidReference(
                f"a {self.kind} has no epoch '{self.epoch}'", hint="only batches have: digits@1.0.0/7"
            )

    def _check_selector_and_epoch(self) -> None:
        if self.selector is not None and not isinstance(self.selector, Latest | Exact | Range | Alias):
            raise InvalidReference(f"{self.selector!r} is not a selector", hint="use Latest, Exact, Range or Alias")
        if self.epoch not in (None, "latest") and (type(self.epoch) is not int or not 0 < self.epoch < 10**18):
            raise InvalidReference(f"{self.epoch!r} is not an epoch", hint="epochs are 1, 2, 3 … or 'latest'")

    def _check_digest(self) -> None:
        if self.name is not None or self.selector is not None or self.epoch is not None:
            raise InvalidReference(f"'sha256:{self.digest}' takes no name, selector or epoch", hint="a digest is exact")
        if not _DIGEST.fullmatch(self.digest or ""):
            raise InvalidReference(f"'sha256:{self.digest}' is not a digest", hint="give 8 to 64 lower-case hex digits")

    @classmethod
    def parse(cls, text: str | Reference) -> Reference:
        """Read a reference; one that is parsed already is returned as it is. Raises InvalidReference."""
        if isinstance(text, Reference):
            return text
        if not isinstance(text, str) or not text or len(text) > MAX_TEXT:
            raise InvalidReference(
                f"{str(text)[:80]!r} is not a reference", hint=f"{_HINT}; at most {MAX_TEXT} characters"
            )
        try:
            return _parse(text)
        except (InvalidReference, InvalidVersion) as exc:
            where = f"{text[:80]!r} is not a reference: {exc.message}"
            raise InvalidReference(where, hint=exc.hint or _HINT) from exc

    def __str__(self) -> str:
        if self.digest is not None:
            return f"{self.kind}:sha256:{self.digest}" if self.kind else f"sha256:{self.digest}"
        prefix = f"{self.kind}:" if self.kind and self.epoch is None else ""
        selector = "" if self.selector is None else f"@{self.selector}"
        epoch = "" if self.epoch is None else f"/{self.epoch}"
        return f"{prefix}{self.name}{selector}{epoch}"


def valid_name(name: object) -> str:
    """`name` itself when an artefact may be called so; raises InvalidReference."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidReference(
            f"{str(name)[:80]!r} cannot be a name",
            hint=f"use 1 to {MAX_NAME} of A-Z a-z 0-9 . _ -, and start with a letter or digit",
        )
    return name


def valid_alias(alias: object) -> str:
    """`alias` itself when a checkpoint's alias may be called so; raises InvalidReference."""
    if alias == "latest" or not isinstance(alias, str) or not _ALIAS.fullmatch(alias):
        raise InvalidReference(
            f"{str(alias)[:80]!r} cannot be an alias",
            hint="use a-z 0-9 _ -, and start with a letter; 'latest' always means the highest version",
        )
    return alias


def _parse(text: str) -> Reference:
    kind, rest = _split_kind(text)
    if rest.startswith("sha256:"):
        return Reference(kind=kind, digest=rest.removeprefix("sha256:").lower())
    rest, slash, epoch = rest.partition("/")
    name, at, selector = rest.partition("@")
    return Reference(
        kind=kind,
        name=valid_name(name),
        selector=_selector(selector) if at else None,
        epoch=_epoch(epoch) if slash else None,
    )


def _split_kind(text: str) -> tuple[Kind | None, str]:
    for kind in KINDS:
        if text.startswith(kind + ":"):
            return kind, text[len(kind) + 1 :]
    return None, text


def _selector(text: str) -> Selector:
    if text == "latest":
        return Latest()
    if text[:1].isalpha():
        return Alias(valid_alias(text))
    if not text:
        raise InvalidReference("nothing follows '@'", hint=_HINT)
    versions = VersionRange.parse(text)
    exact = versions.exact
    return Range(versions) if exact is None else Exact(exact)


def _epoch(text: str) -> int | Literal["latest"]:
    if text == "latest":
        return "latest"
    if not _EPOCH.fullmatch(text):
        raise InvalidReference(f"{text[:80]!r} is not an epoch", hint="epochs are 1, 2, 3 … or latest: digits@1.0.0/7")
    return int(text)
