"""`Feature`: one named column of a data catalog, with its dtype, shape, whether it may miss, and its checks."""

from __future__ import annotations

import json
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from jeyn.errors import Invalid, JeynError, UsageError
from jeyn.sdk.checks import Check, NotNull, OneOf, check_from_json, kind_of, with_times
from jeyn.sdk.dtypes import DECIMAL_DIGITS, INTEGER_DIGITS, MAX_DIGITS, Dtypes

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

    NaN in a float is a value, unless `nan="null"` says that it is a null (SEMANTICS 34). A decimal has a `precision`,
    how many digits it has, and a `scale`, how many of them come after the point: (12, 2) holds 9999999999.99. Without
    both it has (38, 9). A categorical may declare its `levels`, in the order of their codes; others are refused.
    """

    dtype: Dtypes
    shape: tuple[int, ...] = (-1,)
    optional: bool = False
    nullable: bool = False
    checks: tuple[Check, ...] = ()
    description: str = ""
    nan: Literal["value", "null"] = "value"
    precision: int | None = None
    scale: int | None = None
    levels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.dtype, Dtypes):
            raise UsageError(f"{self.dtype!r} is not a dtype", hint="use one of Dtypes, as in Dtypes.FLOAT32")
        if not isinstance(self.optional, bool) or not isinstance(self.nullable, bool):
            raise UsageError(f"optional={self.optional!r}, nullable={self.nullable!r}", hint="use True or False")
        if not isinstance(self.description, str) or not _is_unicode(self.description):
            raise UsageError(f"{self.description!r} is not a description", hint="give a text")
        if self.nan not in ("value", "null") or (self.nan == "null" and not self.dtype.is_float):
            raise UsageError(
                f"nan={self.nan!r} of {self.dtype.value}", hint='a float may have nan="null" or nan="value"'
            )
        self._set_digits()
        object.__setattr__(self, "levels", _checked_levels(self.levels, self.dtype))
        object.__setattr__(self, "shape", _checked_shape(self.shape))
        object.__setattr__(self, "checks", _checked_checks(self.checks, self.dtype))

    def _set_digits(self) -> None:
        if self.dtype is Dtypes.DECIMAL and self.precision is None and self.scale is None:
            object.__setattr__(self, "precision", DECIMAL_DIGITS[0])
            object.__setattr__(self, "scale", DECIMAL_DIGITS[1])
        _check_digits(self.dtype, self.precision, self.scale)

    @property
    def takes_nulls(self) -> bool:
        """Whether nulls pass: nullable, and without a not_null() check."""
        return self.nullable and NotNull() not in self.checks

    @property
    def nan_is_null(self) -> bool:
        return self.nan == "null"

    @property
    def digits(self) -> tuple[int, int]:
        """Precision and scale of a decimal."""
        return self.precision or 0, self.scale or 0

    def widens_to(self, other: Feature) -> bool:
        """Whether each value of this feature's dtype is exactly one of the other's; an integer may be a decimal."""
        whole = other.digits[0] - other.digits[1]
        if other.dtype is not Dtypes.DECIMAL or self.dtype.is_integer:
            return self.dtype.widens_to(other.dtype) or INTEGER_DIGITS.get(self.dtype, MAX_DIGITS) <= whole
        own = self.digits
        return self.dtype is Dtypes.DECIMAL and own[1] <= other.digits[1] and own[0] - own[1] <= whole

    def guarantees(self, check: Check) -> bool:
        """Whether whatever fits this feature passes `check`; False also where that cannot be decided."""
        if isinstance(check, NotNull):
            return not self.takes_nulls
        own = (*self.checks, OneOf(self.levels)) if self.levels else self.checks
        return any(each.implies(check) for each in own)

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
        if self.nan_is_null:
            data["nan"] = self.nan
        if self.dtype is Dtypes.DECIMAL:
            data |= {"precision": self.precision, "scale": self.scale}
        if self.levels:
            data["levels"] = list(self.levels)
        return data

    @classmethod
    def from_json(cls, data: Any) -> Feature:
        """The feature that `to_json` wrote; raises `Invalid` for unknown keys and for what `Feature` refuses."""
        if not isinstance(data, Mapping) or not {"dtype", "shape"} <= set(data) <= _KEYS:
            raise Invalid(f"not a feature: {reprlib.repr(data)}", hint='write it as {"dtype": "int64", "shape": [-1]}')
        if not all(isinstance(data.get(key, []), list) for key in ("shape", "checks", "levels")):
            raise Invalid(f"not a feature: {reprlib.repr(data)}", hint="shape, checks and levels are lists")
        try:
            checks = tuple(check_from_json(check) for check in data.get("checks", ()))
            return cls(**{**data, "dtype": _dtype(data["dtype"]), "shape": tuple(data["shape"]), "checks": checks})
        except UsageError as exc:
            raise Invalid(exc.message, hint=exc.hint) from exc

    def arrow_type(self) -> pa.DataType:
        """(-1,) is the dtype itself, (-1, n) a fixed_size_list of it, (-1, -1) a list, and so on inwards."""
        import pyarrow as pa

        arrow_type = self.value_type()
        for size in reversed(self.shape[1:]):
            arrow_type = pa.list_(arrow_type, size)
        return arrow_type

    def value_type(self) -> pa.DataType:
        """The Arrow type of the innermost values."""
        import pyarrow as pa

        if self.dtype is not Dtypes.DECIMAL:
            return self.dtype.to_arrow()
        precision, scale = self.digits
        return pa.decimal128(precision, scale) if precision <= 38 else pa.decimal256(precision, scale)

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
        return feature_of(field.type, nullable=field.nullable)

    def __str__(self) -> str:
        flags = [word for word in ("optional", "nullable") if getattr(self, word)]
        flags += ["nan is null"] * self.nan_is_null
        flags += [f"levels({', '.join(map(repr, self.levels))})"] * bool(self.levels)
        shape = f"({', '.join(map(str, self.shape))}{',' * (len(self.shape) == 1)})"
        dtype = f"decimal({self.precision}, {self.scale})" if self.dtype is Dtypes.DECIMAL else self.dtype.value
        return " ".join([dtype, shape, *flags, *map(str, self.checks)])


_KEYS = {"dtype", "shape", "optional", "nullable", "checks", "description", "nan", "precision", "scale", "levels"}


def feature_of(arrow_type: pa.DataType, *, nullable: bool = False) -> Feature:
    """What a plain Arrow type says; raises `UsageError` for one that no dtype holds."""
    leaf, shape = split_arrow_type(arrow_type)
    return Feature(Dtypes.from_arrow(leaf), shape, nullable=nullable, **_digits_of(leaf))


def type_only(feature: Feature) -> Feature:
    """Its dtype and shape, without what may be asked of the values."""
    return Feature(feature.dtype, feature.shape, precision=feature.precision, scale=feature.scale)


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
    ready = {with_times(check) if dtype in (Dtypes.TIMESTAMP, Dtypes.DATE) else check for check in checks}
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
    Dtypes.DATE: "time",
    Dtypes.BYTES: "byte",
}


def _checked_levels(levels: Any, dtype: Dtypes) -> tuple[str, ...]:
    if isinstance(levels, str) or not isinstance(levels, Sequence):
        raise UsageError(f"{reprlib.repr(levels)} are no levels", hint='give a list of texts: levels=["low", "high"]')
    if levels and dtype is not Dtypes.CATEGORICAL:
        raise UsageError(f"{dtype.value} has no levels", hint="only Dtypes.CATEGORICAL has; see one_of()")
    wrong = [level for level in levels if not isinstance(level, str) or not _is_unicode(level)]
    if wrong or len(set(levels)) < len(levels):
        raise UsageError(f"{reprlib.repr(list(levels))} are no levels", hint="give texts, each of them once")
    return tuple(levels)


def _check_digits(dtype: Dtypes, precision: Any, scale: Any) -> None:
    if dtype is not Dtypes.DECIMAL:
        if precision is not None or scale is not None:
            raise UsageError(f"{dtype.value} has no precision and no scale", hint="only Dtypes.DECIMAL has")
    elif (
        type(precision) is not int
        or type(scale) is not int
        or not 0 <= scale <= precision <= MAX_DIGITS
        or not precision
    ):
        raise UsageError(
            f"a decimal cannot have precision={precision!r} and scale={scale!r}",
            hint=f"say how many digits it has, up to {MAX_DIGITS}, and how many of them come after the point: "
            "Feature(Dtypes.DECIMAL, precision=12, scale=2)",
        )


def _digits_of(arrow_type: pa.DataType) -> dict[str, Any]:
    """The digits of an Arrow decimal, as arguments of a feature."""
    import pyarrow as pa

    while pa.types.is_dictionary(arrow_type):
        arrow_type = arrow_type.value_type
    if not pa.types.is_decimal(arrow_type):
        return {}
    return {"precision": arrow_type.precision, "scale": arrow_type.scale}


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
        leaf = split_arrow_type(field.type)[0]
        digits = {key: getattr(feature, key) for key in _digits_of(leaf)}
        same = Dtypes.from_arrow(leaf) is feature.dtype and digits == _digits_of(leaf)
    except (JeynError, ValueError, RecursionError):
        return None
    return feature if same and split_arrow_type(field.type)[1] == feature.shape else None
