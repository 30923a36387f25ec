"""Data catalogs: declaration, algebra, equality, and the round trips through JSON and Arrow."""

import json
import pickle
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jeyn.checks import between, matches, not_null, one_of, unique
from jeyn.errors import CatalogMismatch, Invalid, JeynError, UsageError
from jeyn.sdk.catalog import DataCatalog
from jeyn.sdk.checks import Check
from jeyn.sdk.dtypes import Dtypes, common
from jeyn.sdk.feature import Feature


class Digits(DataCatalog):
    pixels = Feature(Dtypes.FLOAT32, shape=(-1, 64), checks=(between(0, 1),))
    label = Feature(Dtypes.INT64)


KINDS: dict[Dtypes, list[Check]] = {
    Dtypes.STRING: [one_of("a", "b"), matches("a+")],
    Dtypes.CATEGORICAL: [one_of("a")],
    Dtypes.BYTES: [],
}
KINDS |= {Dtypes.BOOL: [one_of(True)], Dtypes.TIMESTAMP: [between("2026-01-01")], Dtypes.DATE: [one_of("2026-01-01")]}


@st.composite
def features(draw: st.DrawFn) -> Feature:
    dtype = draw(st.sampled_from(Dtypes))
    checks: list[Check] = [
        *KINDS.get(dtype, [between(0, 1.5), one_of(1, 2), between(high=2**60)]),
        unique(),
        not_null(),
    ]
    return Feature(
        dtype,
        (-1, *draw(st.lists(st.sampled_from([-1, 1, 3]), max_size=3))),
        optional=draw(st.booleans()),
        nullable=draw(st.booleans()),
        checks=tuple(draw(st.lists(st.sampled_from(checks), unique=True))),
        description=draw(st.text(st.characters(exclude_categories=["Cs"]), max_size=5)),
    )


NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=6).filter(str.isprintable)
CATALOGS = st.dictionaries(NAMES, features(), max_size=5).map(lambda made: DataCatalog.of("Made", made))


def test_a_class_body_declares_the_features_in_order() -> None:
    assert list(Digits.features) == ["pixels", "label"]
    assert Digits.name == "Digits"
    assert Digits.label == Feature(Dtypes.INT64)
    assert not hasattr(Digits, "missing")


def test_inheritance_extends_and_may_replace() -> None:
    class More(Digits):
        label = Feature(Dtypes.INT32)
        weight = Feature(Dtypes.FLOAT32)

        def help(self) -> None: ...

    assert list(More.features) == ["pixels", "label", "weight"]
    assert More.features["label"].dtype is Dtypes.INT32
    assert Digits.features["label"].dtype is Dtypes.INT64


def test_what_is_not_a_feature_is_named() -> None:
    with pytest.raises(UsageError, match=r'"Wrong.label" is <Dtypes.INT64'):

        class Wrong(DataCatalog):
            label = Dtypes.INT64


def test_feature_names_that_are_names_of_methods_work() -> None:
    class Odd(DataCatalog):
        name = Feature(Dtypes.STRING)
        features = Feature(Dtypes.STRING)
        only = Feature(Dtypes.STRING)  # type: ignore[assignment]

    catalog: Any = Odd
    assert catalog.name == "Odd"
    assert list(catalog.features) == ["name", "features", "only"]
    assert list(catalog.only("name").features) == ["name"]


def test_a_catalog_cannot_change_and_has_no_instances() -> None:
    with pytest.raises(TypeError):
        Digits.features["x"] = Feature(Dtypes.BOOL)  # type: ignore[index]
    with pytest.raises(UsageError, match="cannot change"):
        Digits.label = Feature(Dtypes.BOOL)
    with pytest.raises(UsageError, match="no instances"):
        Digits()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"dtype": "int64"}, "not a dtype"),
        ({"shape": ()}, "shape"),
        ({"shape": (3,)}, "shape"),
        ({"shape": (-1, 0)}, "size 0"),
        ({"shape": (-1, True)}, "size True"),
        ({"shape": (-1, 2**31)}, "size"),
        ({"shape": (-1,) * 17}, "shape"),
        ({"nullable": 1}, "nullable"),
        ({"checks": ("between",)}, "not a check"),
        ({"checks": (matches("a"),)}, "cannot check int64"),
        ({"dtype": Dtypes.BYTES, "checks": (one_of("a"),)}, "cannot check bytes"),
        ({"dtype": Dtypes.BOOL, "checks": (between(0, 1),)}, "cannot check bool"),
        ({"dtype": Dtypes.TIMESTAMP, "checks": (between("noon"),)}, "not a time"),
        ({"description": "\ud800"}, "not a description"),
    ],
)
def test_a_feature_that_makes_no_sense_is_refused(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        Feature(**{"dtype": Dtypes.INT64, **arguments})
    assert caught.value.hint


def test_the_order_of_checks_does_not_matter() -> None:
    one, other = between(0, 1), unique()
    assert Feature(Dtypes.INT8, checks=(one, other)) == Feature(Dtypes.INT8, checks=(other, one, one))


def test_not_null_makes_a_nullable_feature_take_no_nulls() -> None:
    assert Feature(Dtypes.INT8, nullable=True).takes_nulls
    assert not Feature(Dtypes.INT8, nullable=True, checks=(not_null(),)).takes_nulls


def test_algebra() -> None:
    assert Digits.only("label") + Digits.only("pixels") == Digits
    assert Digits.without("label") == Digits.only("pixels")
    assert list(Digits.renamed(label="target").features) == ["pixels", "target"]
    assert Digits + Digits == Digits
    with pytest.raises(CatalogMismatch, match='feature "label" is int64'):
        Digits + DataCatalog.of("Other", {"label": Feature(Dtypes.INT32)})
    with pytest.raises(UsageError, match='"Digits" has no feature "lable"'):
        Digits.only("lable")
    with pytest.raises(UsageError, match="would have one name"):
        Digits.renamed(label="pixels")


def test_defect_03_catalogs_compare_by_their_features() -> None:
    same = DataCatalog.of("Elsewhere", dict(reversed(list(Digits.features.items()))))
    assert same == Digits and hash(same) == hash(Digits)
    assert same != Digits.renamed(label="target")
    assert Digits != DataCatalog.of("Digits", {**Digits.features, "label": Feature(Dtypes.INT32)})
    assert Digits != "Digits"


def test_pickle_keeps_declared_catalogs_by_name_and_made_ones_by_content() -> None:
    made = Digits.only("label")
    assert pickle.loads(pickle.dumps(made)) == made
    assert pickle.loads(pickle.dumps(DataCatalog)) is DataCatalog


def test_repr_is_a_table() -> None:
    assert repr(Digits).splitlines() == [
        "Digits(DataCatalog)",
        "  pixels  float32 (-1, 64) between(0, 1)",
        "  label   int64 (-1,)",
    ]
    hostile = DataCatalog.of("<b>", {"<i>": Feature(Dtypes.STRING, description="<script>")})
    assert "<script>" not in hostile._repr_html_() and "&lt;i&gt;" in hostile._repr_html_()


@settings(deadline=None)
@given(CATALOGS)
def test_json_round_trip(catalog: type[DataCatalog]) -> None:
    assert DataCatalog.from_json(catalog.to_json()) == catalog
    assert DataCatalog.from_json(json.dumps(catalog.to_json())) == catalog


@settings(deadline=None)
@given(CATALOGS)
def test_arrow_round_trip(catalog: type[DataCatalog]) -> None:
    schema = catalog.to_arrow()
    assert DataCatalog.from_arrow(schema) == catalog
    assert DataCatalog.from_arrow(pa.ipc.read_schema(schema.serialize())) == catalog


def test_arrow_types() -> None:
    shapes = {(-1,): pa.int8(), (-1, 3): pa.list_(pa.int8(), 3), (-1, -1): pa.list_(pa.int8())}
    shapes[-1, -1, 2] = pa.list_(pa.list_(pa.int8(), 2))
    for shape, expected in shapes.items():
        assert Feature(Dtypes.INT8, shape).arrow_type() == expected
        assert Feature.from_arrow(pa.field("x", expected, nullable=False)) == Feature(Dtypes.INT8, shape)


def test_plain_arrow_schemas_are_read_by_their_types() -> None:
    schema = pa.schema(
        {
            "a": pa.large_string(),
            "b": pa.timestamp("ns"),
            "c": pa.dictionary(pa.int8(), pa.large_string()),
            "d": pa.binary(4),
            "e": pa.large_list(pa.float16()),
            "f": pa.dictionary(pa.int8(), pa.int64()),
        }
    )
    found = DataCatalog.from_arrow(schema)
    dtypes = [feature.dtype.value for feature in found.features.values()]
    assert dtypes == ["string", "timestamp", "categorical", "bytes", "float16", "int64"]
    assert all(feature.nullable for feature in found.features.values())
    with pytest.raises(UsageError, match="time64"):
        DataCatalog.from_arrow(pa.schema({"a": pa.time64("us")}))
    with pytest.raises(UsageError, match="twice"):
        DataCatalog.from_arrow(pa.schema([("a", pa.int8()), ("a", pa.int8())]))


def test_metadata_of_a_column_that_was_cast_since_is_ignored() -> None:
    field = Feature(Dtypes.INT32, checks=(between(0, 1),)).to_arrow("x").with_type(pa.float64())
    assert Feature.from_arrow(field) == Feature(Dtypes.FLOAT64)


def test_every_dtype_has_an_arrow_type_and_comes_back() -> None:
    assert [Dtypes.from_arrow(dtype.to_arrow()) for dtype in Dtypes] == list(Dtypes)


NUMERIC = {dtype: dtype.to_arrow() for dtype in Dtypes if dtype.is_number}


@settings(deadline=None)
@given(st.sampled_from(list(NUMERIC)), st.sampled_from(list(NUMERIC)))
def test_widening_loses_no_value(narrow: Dtypes, wide: Dtypes) -> None:
    import numpy as np

    kind = np.dtype(narrow.value)
    if kind.kind == "f":
        extremes: list[Any] = [np.finfo(kind).max, np.finfo(kind).smallest_subnormal]
    else:
        extremes = [np.iinfo(kind).min, np.iinfo(kind).max, np.iinfo(kind).max - 1]
    lossless = np.can_cast(kind, np.dtype(wide.value), "safe") and not (
        narrow in (Dtypes.INT64, Dtypes.UINT64) and wide is Dtypes.FLOAT64  # which NumPy calls safe
    )
    assert narrow.widens_to(wide) == lossless
    if lossless:
        values = np.array(extremes, kind)
        assert (values.astype(wide.value).astype(kind) == values).all()


def test_common_is_the_smallest_that_all_widen_to() -> None:
    assert common(Dtypes.INT8, Dtypes.UINT8) is Dtypes.INT16
    assert common(Dtypes.INT8, Dtypes.UINT8, Dtypes.FLOAT16) is Dtypes.FLOAT16
    assert common(Dtypes.INT32, Dtypes.FLOAT32) is Dtypes.FLOAT64
    assert common(Dtypes.CATEGORICAL, Dtypes.STRING) is Dtypes.STRING
    assert common(Dtypes.BOOL, Dtypes.BOOL) is Dtypes.BOOL
    assert common(Dtypes.INT64, Dtypes.UINT64) is None
    assert common(Dtypes.BOOL, Dtypes.INT8) is None
    assert common() is None


@pytest.mark.parametrize(
    "data",
    [
        "",
        "[",
        "null",
        "[" * 100_000,
        '{"features": {}, "features": {}}',
        {},
        {"features": []},
        {"features": {}, "name": "x"},
        {"features": {"": {"dtype": "int8", "shape": [-1]}}},
        {"features": {"a": {"dtype": "int8"}}},
        {"features": {"a": {"dtype": "int9", "shape": [-1]}}},
        {"features": {"a": {"dtype": [], "shape": [-1]}}},
        {"features": {"a": {"dtype": "int8", "shape": [-1], "size": 3}}},
        {"features": {"a": {"dtype": "int8", "shape": -1}}},
        {"features": {"a": {"dtype": "int8", "shape": [-1], "checks": [{"between": {"low": "a", "high": None}}]}}},
    ],
)
def test_json_that_is_no_catalog_is_refused(data: Any) -> None:
    with pytest.raises(JeynError) as caught:
        DataCatalog.from_json(data)
    assert caught.value.hint and caught.value.exit_code in (2, 5)


def test_a_refusal_names_the_feature() -> None:
    with pytest.raises(Invalid, match=r'feature "label": .*int9'):
        DataCatalog.from_json({"features": {"label": {"dtype": "int9", "shape": [-1]}}})


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
WORDS = st.sampled_from(
    ["dtype", "shape", "checks", "between", "low", "high", "one_of", "values", "matches", "pattern"]
)
ANY_JSON = st.recursive(
    LEAVES | st.sampled_from(["int8", "string", "timestamp", -1]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS | st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@st.composite
def nearly_catalogs(draw: st.DrawFn) -> Any:
    """The JSON of a catalog in which up to two places hold something else."""
    data: Any = draw(CATALOGS).to_json()
    for _ in range(draw(st.integers(0, 2))):
        place, key = data, draw(st.sampled_from(["features", "other"]))
        while draw(st.integers(0, 4)) and isinstance(
            place.get(key) if isinstance(place, dict) else place[key], dict | list
        ):
            place = place[key]
            keys = sorted(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
        if isinstance(place, dict) or place:
            place[key] = draw(ANY_JSON)
    return data


@settings(max_examples=300, deadline=None)
@given(nearly_catalogs() | ANY_JSON)
def test_fuzz_any_json_loads_to_a_catalog_that_round_trips_or_is_refused(data: Any) -> None:
    for form in (data, json.dumps(data)):
        try:
            catalog = DataCatalog.from_json(form)
        except JeynError:
            continue
        again = DataCatalog.from_json(json.dumps(catalog.to_json()))
        assert again == catalog and again.to_json() == catalog.to_json()
        assert DataCatalog.from_arrow(catalog.to_arrow()) == catalog


@settings(deadline=None)
@given(st.text(max_size=30) | st.binary(max_size=30).map(lambda data: data.decode("latin-1")))
def test_fuzz_any_text_is_refused_or_loaded(text: str) -> None:
    try:
        assert isinstance(DataCatalog.from_json(text).features, Mapping)
    except JeynError as error:
        assert error.exit_code == 5
