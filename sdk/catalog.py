"""`DataCatalog`: the schema of a dataset, or of a model's inputs or outputs, declared as a class of features.

    class Digits(DataCatalog):
        pixels = Feature(Dtypes.FLOAT32, shape=(-1, 64))
        label = Feature(Dtypes.INT64)

A catalog is the class itself: immutable, without instances, equal to every catalog of equal features whatever their
order and its name. The order in which features are declared is that of columns everywhere; JSON objects have none, so
`to_json` tells it beside them where it is not alphabetical (SEMANTICS 33). Making one does no I/O.
"""

from __future__ import annotations

import copyreg
import reprlib
import sys
from collections.abc import Iterable, Mapping, Sequence
from types import FunctionType, MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias, cast

from jeyn.errors import CatalogMismatch, DataInvalid, Invalid, UsageError
from jeyn.json_text import parse
from jeyn.sdk.compatibility import CatalogDiff, Satisfaction, satisfies
from jeyn.sdk.feature import Feature, checked_name

if TYPE_CHECKING:
    import pyarrow as pa

    from jeyn.sdk.validation.report import ValidationReport

NAME_KEY = b"jeyn.catalog"

_METHODS = (FunctionType, classmethod, staticmethod, property)


class CatalogType(type):
    """The type of catalogs: collects the features of a class body and makes classes compare by them."""

    _features: Mapping[str, Feature]

    def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> CatalogType:
        features: dict[str, Feature] = {}
        for base in reversed(bases):
            if isinstance(base, CatalogType):
                features.update(base._features)
        own = {key: value for key, value in namespace.items() if isinstance(value, Feature)}
        rest = {key: value for key, value in namespace.items() if key not in own}
        for key, value in rest.items():
            _check_attribute(name, key, value)
        features.update((checked_name(key), feature) for key, feature in own.items())
        cls = super().__new__(mcs, name, bases, rest)
        type.__setattr__(cls, "_features", MappingProxyType(features))
        return cls

    @property
    def features(cls) -> Mapping[str, Feature]:
        """The features by name, in the order they were declared; read-only."""
        return cls._features

    @property
    def name(cls) -> str:
        return cls.__name__

    def __call__(cls, *args: Any, **kwargs: Any) -> NoReturn:
        raise UsageError(f'the catalog "{cls.__name__}" has no instances', hint="use the class itself")

    def __setattr__(cls, key: str, value: Any) -> None:
        if not key.startswith("__"):
            raise UsageError(f'the catalog "{cls.__name__}" cannot change: "{key}"', hint="declare another, or use +")
        super().__setattr__(key, value)

    def __eq__(cls, other: object) -> bool:
        if not isinstance(other, CatalogType):
            return NotImplemented
        return dict(cls._features) == dict(other._features)

    def __hash__(cls) -> int:
        return hash(frozenset(cls._features.items()))

    if not TYPE_CHECKING:  # type checkers see the features in the class body

        def __getattr__(cls, key: str) -> Feature:
            try:
                return cls._features[key]
            except KeyError:
                raise AttributeError(f'the catalog "{cls.__name__}" has no feature "{key}"') from None

    def __add__(cls, other: CatalogType) -> type[DataCatalog]:
        """The features of both; raises `CatalogMismatch` where they have different ones of one name."""
        if not isinstance(other, CatalogType):
            return NotImplemented
        for name, feature in other._features.items():
            if cls._features.get(name, feature) != feature:
                own = cls._features[name]
                raise CatalogMismatch(
                    f'feature "{name}" is {own} in "{cls.__name__}" and {feature} in "{other.__name__}"',
                    hint="rename one with renamed(), or leave it out with without()",
                )
        return DataCatalog.of(f"{cls.__name__}And{other.__name__}", {**cls._features, **other._features})

    def __str__(cls) -> str:
        return f"{cls.__name__}({', '.join(f'{name}: {feature}' for name, feature in cls._features.items())})"

    def __repr__(cls) -> str:
        width = max(map(len, cls._features), default=0)
        lines = [f"  {name:<{width}}  {feature}" for name, feature in cls._features.items()]
        return "\n".join([f"{cls.__name__}(DataCatalog)", *lines])

    def _repr_html_(cls) -> str:
        from jeyn.sdk.html import card, catalog_html

        return card(cls.__name__, (), catalog_html(cls), note="data catalog")


def _check_attribute(catalog: str, key: str, value: object) -> None:
    if isinstance(value, _METHODS) or (key.startswith("__") and key.endswith("__")):
        return
    raise UsageError(
        f'"{catalog}.{key}" is {value!r}, not a Feature', hint=f"declare it: {key} = Feature(Dtypes.FLOAT32)"
    )


class DataCatalog(metaclass=CatalogType):
    """Subclass it with `Feature` attributes; everything is asked of the class."""

    @classmethod
    def of(cls, name: str, features: Mapping[str, Feature]) -> type[DataCatalog]:
        """A catalog made of a mapping; its feature names may be any text, as in data from elsewhere."""
        if not isinstance(name, str) or not name.isprintable() or not name:
            raise UsageError(f"{name!r} cannot name a catalog", hint="use a printable text")
        for key, feature in features.items():
            if not isinstance(feature, Feature):
                raise UsageError(f'"{name}.{key}" is {feature!r}, not a Feature', hint="use Feature(Dtypes.FLOAT32)")
        made: Any = CatalogType(name, (DataCatalog,), {"__doc__": None, "__module__": __name__})
        checked = {checked_name(key): feature for key, feature in features.items()}
        type.__setattr__(made, "_features", MappingProxyType(checked))
        catalog: type[DataCatalog] = made
        return catalog

    @classmethod
    def only(cls, *names: str) -> type[DataCatalog]:
        """The named features, in the order given; raises `UsageError` for one that is not there."""
        cls._require(names)
        return cls.of(cls.__name__, {name: cls._features[name] for name in names})

    @classmethod
    def without(cls, *names: str) -> type[DataCatalog]:
        """All but the named features; raises `UsageError` for one that is not there."""
        cls._require(names)
        return cls.of(cls.__name__, {name: feature for name, feature in cls._features.items() if name not in names})

    @classmethod
    def renamed(cls, **new_names: str) -> type[DataCatalog]:
        """The same features, some under a new name: `renamed(old="new")`; raises `UsageError`."""
        cls._require(tuple(new_names))
        features = {new_names.get(name, name): feature for name, feature in cls._features.items()}
        if len(features) < len(cls._features):
            raise UsageError(f'two features of "{cls.__name__}" would have one name: {new_names}', hint="rename both")
        return cls.of(cls.__name__, features)

    @classmethod
    def in_order(cls, names: Sequence[str]) -> type[DataCatalog]:
        """The same features in the order of `names`, which has each of them once; raises `Invalid`."""
        if not isinstance(names, list | tuple) or len(names) != len(cls._features) or set(names) != set(cls._features):
            raise Invalid(
                f"{reprlib.repr(names)} is no order of the features {list(cls._features)}", hint="name each one once"
            )
        return cls if list(names) == list(cls._features) else cls.only(*names)

    @classmethod
    def _require(cls, names: tuple[str, ...]) -> None:
        for name in names:
            if name not in cls._features:
                there = ", ".join(f'"{name}"' for name in cls._features) or "no features"
                raise UsageError(f'"{cls.__name__}" has no feature "{name}"', hint=f"it has {there}")

    @classmethod
    def to_json(cls, *, order: bool = True) -> dict[str, Any]:
        """{"features": {name: {"dtype", "shape", …}}}: a JSON object without the catalog's name.

        Where the order is not alphabetical there is an "order" too, a list of the names, unless `order` is False.
        """
        data: dict[str, Any] = {"features": {name: feature.to_json() for name, feature in cls._features.items()}}
        names = list(cls._features)
        return data | {"order": names} if order and names != alphabetical(names) else data

    @classmethod
    def from_json(cls, data: Mapping[str, Any] | str, *, name: str = "Catalog") -> type[DataCatalog]:
        """The catalog that `to_json` wrote, as an object or a text; raises `Invalid` for anything else."""
        loaded = _loads(data) if isinstance(data, str) else data
        if not isinstance(loaded, Mapping) or not {"features"} <= set(loaded) <= {"features", "order"}:
            raise Invalid('a catalog is not {"features": {…}}', hint="use what DataCatalog.to_json() gives")
        if not isinstance(loaded["features"], Mapping):
            raise Invalid('"features" of a catalog is no object', hint="map each name to its feature")
        made = cls.of(name, {key: _feature_from_json(key, value) for key, value in loaded["features"].items()})
        return made.in_order(loaded["order"]) if "order" in loaded else made

    @classmethod
    def to_arrow(cls) -> pa.Schema:
        """An Arrow schema whose metadata make `from_arrow` give an equal catalog."""
        import pyarrow as pa

        fields = [feature.to_arrow(name) for name, feature in cls._features.items()]
        return pa.schema(fields, metadata={NAME_KEY: cls.__name__})

    @classmethod
    def from_arrow(cls, schema: pa.Schema, *, name: str | None = None) -> type[DataCatalog]:
        """The catalog of any Arrow schema; raises `UsageError` for a type that no dtype holds."""
        kept = (schema.metadata or {}).get(NAME_KEY, b"").decode(errors="replace")
        if len(set(schema.names)) < len(schema.names):
            raise UsageError(f"the schema has a column twice: {schema.names}", hint="rename one of them")
        kept = kept if kept.isprintable() else ""
        return cls.of(name or kept or "Catalog", {field.name: Feature.from_arrow(field) for field in schema})

    @classmethod
    def satisfies(cls, other: type[DataCatalog]) -> Satisfaction:
        """Whether data of this catalog can be used where `other` is asked for; falsy with `.reasons` if not."""
        return satisfies(cls._features, other._features)

    @classmethod
    def check_satisfies(cls, other: type[DataCatalog], what: str = "") -> None:
        """Raise `CatalogMismatch` unless it satisfies `other`; `what` says what has this catalog, for the message."""
        found = cls.satisfies(other)
        if not found:
            bump = other.diff(cls).bump("input")
            subject = what or f'catalog "{cls.__name__}"'
            raise CatalogMismatch(
                f'{subject} does not satisfy "{other.__name__}": {found}',
                hint=f'provide this, or take what is there: for an input "{other.__name__}" that is a {bump} bump',
            )

    @classmethod
    def is_subset_of(cls, other: type[DataCatalog]) -> bool:
        """Whether each feature of this catalog is, exactly so, a feature of `other`."""
        return cls._features.items() <= other._features.items()

    @classmethod
    def diff(cls, other: type[DataCatalog]) -> CatalogDiff:
        """What changes from this catalog, the old one, to `other`, the new one."""
        return CatalogDiff(cls._features, other._features)

    @classmethod
    def validate(cls, data: Any) -> ValidationReport:
        """What in the data does not hold: an Arrow table, batch or reader, a data frame, or a dict of arrays."""
        from jeyn.sdk.validation import validate

        return validate(cls, data)

    @classmethod
    def check(cls, data: Any, what: str = "data") -> None:
        """Raise `DataInvalid` with the report unless the data is valid."""
        report = cls.validate(data)
        if not report.ok:
            hint = f'correct the data, or the catalog "{cls.__name__}"'
            raise DataInvalid(f'{what} does not match "{cls.__name__}": {report}', hint=hint)

    @classmethod
    def conform(cls, table: pa.Table, *, first_row: int = 0) -> pa.Table:
        """The features of this catalog in its order, each cast to its exact type; raises `DataInvalid`.

        No number is rounded; the error names feature, row (from `first_row` on) and value.
        """
        from jeyn.sdk.validation import conform

        return conform(cls, table, first_row=first_row)


def alphabetical(names: Iterable[str]) -> list[str]:
    """The order in which canonical JSON writes names (RFC 8785: by UTF-16 code units)."""
    return sorted(names, key=lambda name: name.encode("utf-16-be", "surrogatepass"))


def _loads(text: str) -> Any:
    try:
        return parse(text, pairs=_no_duplicates)
    except ValueError as exc:
        raise Invalid(f"a catalog is not JSON: {exc}", hint="use what DataCatalog.to_json() gives") from exc


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError(f"a key occurs twice in {[key for key, _ in pairs]}")
    return found


def _feature_from_json(name: str, data: Any) -> Feature:
    try:
        return Feature.from_json(data)
    except Invalid as exc:
        raise Invalid(f'feature "{name}": {exc.message}', hint=exc.hint) from exc


def _reduce(catalog: Any) -> str | tuple[Any, ...]:
    """A catalog that a module declares is pickled by its name, as classes are; a made one by its content."""
    found: Any = sys.modules.get(catalog.__module__)
    for part in catalog.__qualname__.split("."):
        found = found.__dict__.get(part) if hasattr(found, "__dict__") else None
    return catalog.__qualname__ if found is catalog else (_rebuild, (catalog.__name__, catalog.to_json()))


def _rebuild(name: str, data: dict[str, Any]) -> type[DataCatalog]:
    return DataCatalog.from_json(data, name=name)


# A class can be pickled by its content in no other way, and `only()` makes classes that no module declares.
copyreg.pickle(CatalogType, _reduce)

# For classes with an attribute called `type`, where the builtin is out of sight.
CatalogClass: TypeAlias = type[DataCatalog]


def checked_catalog(catalog: object, whose: str) -> type[DataCatalog]:
    """The catalog itself; raises `UsageError` for anything else."""
    if not isinstance(catalog, CatalogType):
        raise UsageError(
            f"{catalog!r}, given to {whose}, is no data catalog",
            hint="write class Rows(DataCatalog): x = Feature(Dtypes.FLOAT64), and give the class",
        )
    return cast("type[DataCatalog]", catalog)
