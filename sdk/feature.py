"""`Feature`: one named column of a data catalog, with its dtype, shape, whether it may miss, and its checks."""

from __future__ import annotations

import json
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jeyn.errors import Invalid, JeynError, UsageError
from jeyn.sdk.checks import Check, NotNull, check_from_json, kind_of, with_times
from jeyn.sdk.dtypes import Dtypes

if TYPE_CHECKING:
    import pyarrow as pa

MAX_AXES = 16
MAX_SIZE = 2**31 - 1  # what an Arrow fixed_size_list can hold
MAX_NAME = 255
METADATA_KEY = b"jeyn.feature"


@dataclass(frozen=True)
class Feature:
    """A feature of a catalog; raises `UsageError` when the declaration makes no sense.

    `shape` starts with -1, the rows; each further dimension is a size, or -1 for any size. An `optional` feature may be
    absent; a `nullable` one may hold nulls, also within lists. Checks apply to the innermost values. Equal declarations
    are equal whatever the order of their checks.
    """

    dtype: Dtypes
    shape: tuple[int, ...] = (-1,)
    optional: bool = False
    nullable: bool = False
    checks: tuple[Check, ...] = ()
    description: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.dtype, Dtypes):
            raise UsageError(f"{self.dtype!r} is not a dtype", hint="use one of Dtypes, as in Dtypes.FLOAT32")
        if not isinstance(self.optional, bool) or not isinstance(self.nullable, bool):
            raise UsageError(f"optional={self.optional!r}, nullable={self.nullable!r}", hint="use True or False")
        if not isinstance(self.description, str) or not _is_unicode(self.description):
            raise UsageError(f"{self.description!r} is not a description", hint="give a text")
        object.__setattr__(self, "shape", _checked_shape(self.shape))
        object.__setattr__(self, "checks", _checked_checks(self.checks, self.dtype))

    @property
    def takes_nulls(self) -> bool:
        """Whether nulls pass: nullable, and without a not_null() check."""
        return self.nullable and NotNull() not in self.checks

    def guarantees(self, check: Check) -> bool:
        """Whether whatever fits this feature passes `check`; False also where that cannot be decided."""
        if isinstance(check, NotNull):
            return not self.takes_nulls
        return any(own.implies(check) for own in self.checks)

    def to_json(self) -> dict[str, Any]:
        """A JSON object; what is at its default is left out, except for the shape."""
        data: dict[str, Any] = {"dtype": self.dtype.value, "shape": list(self.shape)}
        if self.optional:
            data["optional"] = True
        if self.nullable:
            data["nullable"] = True
        if self.checks:
            data["checks"] = [check.to_json() for check in self.checks]
        if self.description:
            data["description"] = self.description
        return data

    @classmethod
    def from_json(cls, data: Any) -> Feature:
        """The feature that `to_json` wrote; raises `Invalid` for unknown keys and for what `Feature` refuses."""
        if not isinstance(data, Mapping) or not {"dtype", "shape"} <= set(data) <= _KEYS:
            raise Invalid(f"not a feature: {reprlib.repr(data)}", hint='write it as {"dtype": "int64", "shape": [-1]}')
        if not isinstance(data["shape"], list) or not isinstance(data.get("checks", []), list):
            raise Invalid(f"not a feature: {reprlib.repr(data)}", hint="shape and checks are lists")
        try:
            checks = tuple(check_from_json(check) for check in data.get("checks", ()))
            return cls(**{**data, "dtype": _dtype(data["dtype"]), "shape": tuple(data["shape"]), "checks": checks})
        except UsageError as exc:
            raise Invalid(exc.message, hint=exc.hint) from exc

    def arrow_type(self) -> pa.DataType:
        """(-1,) is the dtype itself, (-1, n) a fixed_size_list of it, (-1, -1) a list, and so on inwards."""
        import pyarrow as pa

        arrow_type = self.dtype.to_arrow()
        for size in reversed(self.shape[1:]):
            arrow_type = pa.list_(arrow_type, size)
        return arrow_type

    def to_arrow(self, name: str) -> pa.Field:
        """A field whose metadata hold what an Arrow type cannot, so that `from_arrow` gives an equal feature."""
        import pyarrow as pa

        metadata = {METADATA_KEY: json.dumps(self.to_json(), sort_keys=True)}
        return pa.field(name, self.arrow_type(), nullable=self.takes_nulls, metadata=metadata)

    @classmethod
    def from_arrow(cls, field: pa.Field) -> Feature:
        """The feature in the field's metadata, if it has the field's type, else what the type says."""
        kept = _from_metadata(field)
        if kept is not None:
            return kept
        arrow_type, shape = split_arrow_type(field.type)
        return cls(Dtypes.from_arrow(arrow_type), shape, nullable=field.nullable)

    def __str__(self) -> str:
        flags = [word for word in ("optional", "nullable") if getattr(self, word)]
        shape = f"({', '.join(map(str, self.shape))}{',' * (len(self.shape) == 1)})"
        return " ".join([self.dtype.value, shape, *flags, *map(str, self.checks)])


_KEYS = {"dtype", "shape", "optional", "nullable", "checks", "description"}


def split_arrow_type(arrow_type: pa.DataType) -> tuple[pa.DataType, tuple[int, ...]]:
    """The innermost type and the shape of an Arrow type: fixed_size_list<float, 3> is (float, (-1, 3))."""
    import pyarrow as pa

    shape = [-1]
    while True:
        if pa.types.is_fixed_size_list(arrow_type):
            shape.append(arrow_type.list_size)
        elif pa.types.is_list(arrow_type) or pa.types.is_large_list(arrow_type):
            shape.append(-1)
        else:
            return arrow_type, tuple(shape)
        arrow_type = arrow_type.value_type


def checked_name(name: Any) -> str:
    """The name of a feature: 1 to 255 printable characters; raises `UsageError`."""
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME or not name.isprintable():
        raise UsageError(
            f"{reprlib.repr(name)} cannot name a feature", hint=f"use 1 to {MAX_NAME} printable characters"
        )
    return name


def _checked_shape(shape: Any) -> tuple[int, ...]:
    if not isinstance(shape, tuple | list) or not 0 < len(shape) <= MAX_AXES or shape[0] != -1:
        raise UsageError(f"a feature cannot have the shape {shape!r}", hint="start it with -1, the rows: (-1, 64)")
    for size in shape:
        if type(size) is not int or not (size == -1 or 0 < size <= MAX_SIZE):
            raise UsageError(
                f"the shape {shape!r} has the size {size!r}", hint="use a positive int, or -1 for any size"
            )
    return tuple(shape)


def _checked_checks(checks: Any, dtype: Dtypes) -> tuple[Check, ...]:
    checks = (checks,) if isinstance(checks, Check) else checks
    for check in checks:
        if not isinstance(check, Check):
            raise UsageError(f"{check!r} is not a check", hint="use jeyn.checks, as in between(0, 1)")
    ready = {with_times(check) if dtype is Dtypes.TIMESTAMP else check for check in checks}
    for check in ready:
        kind = kind_of(check)
        if kind not in (None, _KINDS.get(dtype, "number")):
            raise UsageError(f"{check} cannot check {dtype.value}: it compares {kind}s", hint="use another check")
    return tuple(sorted(ready, key=lambda check: json.dumps(check.to_json(), sort_keys=True)))


_KINDS = {
    Dtypes.BOOL: "bool",
    Dtypes.STRING: "text",
    Dtypes.CATEGORICAL: "text",
    Dtypes.TIMESTAMP: "time",
    Dtypes.BYTES: "byte",
}


def _is_unicode(text: str) -> bool:
    return text.isascii() or text == text.encode(errors="ignore").decode()


def _dtype(name: Any) -> Dtypes:
    try:
        return Dtypes(name)
    except ValueError as exc:
        hint = f"dtypes are {', '.join(dtype.value for dtype in Dtypes)}"
        raise UsageError(f"{reprlib.repr(name)} is not a dtype", hint=hint) from exc


def _from_metadata(field: pa.Field) -> Feature | None:
    """None where there are none, or where they tell of another type because the column was cast since."""
    text = (field.metadata or {}).get(METADATA_KEY)
    if text is None:
        return None
    try:
        feature = Feature.from_json(json.loads(text))
        same = Dtypes.from_arrow(split_arrow_type(field.type)[0]) is feature.dtype
    except (JeynError, ValueError, RecursionError):
        return None
    return feature if same and split_arrow_type(field.type)[1] == feature.shape else None
