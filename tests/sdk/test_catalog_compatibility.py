"""How catalogs compare: satisfies, diff with the smallest bump, join."""

from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jeyn.checks import between, not_null, one_of, unique
from jeyn.errors import CatalogMismatch, InvalidVersion, UsageError
from jeyn.sdk.catalog import DataCatalog
from jeyn.sdk.compatibility import join
from jeyn.sdk.dtypes import Dtypes
from jeyn.sdk.feature import Feature


def one(dtype: Dtypes = Dtypes.INT32, shape: tuple[int, ...] = (-1,), **rest: Any) -> type[DataCatalog]:
    return DataCatalog.of("One", {"x": Feature(dtype, shape, **rest)})


EMPTY = DataCatalog.of("Empty", {})
FEATURES = st.builds(
    Feature,
    st.sampled_from([Dtypes.INT8, Dtypes.UINT8, Dtypes.INT16, Dtypes.FLOAT32, Dtypes.BOOL]),
    st.sampled_from([(-1,), (-1, 2), (-1, -1)]),
    optional=st.booleans(),
    nullable=st.booleans(),
)
CATALOGS = st.dictionaries(st.sampled_from("abc"), FEATURES).map(lambda made: DataCatalog.of("Made", made))


@pytest.mark.parametrize(
    ("provided", "required", "why"),
    [
        (one(), one(), None),
        (one(), EMPTY, None),
        (EMPTY, one(), "it is required"),
        (EMPTY, one(optional=True), None),
        (one(optional=True), one(), "may be absent"),
        (one(optional=True), one(optional=True), None),
        (one(Dtypes.INT32), one(Dtypes.INT64), None),
        (one(Dtypes.INT64), one(Dtypes.INT32), "int64 does not widen to int32"),
        (one(Dtypes.INT64), one(Dtypes.FLOAT64), "int64 does not widen to float64"),
        (one(Dtypes.BOOL), one(Dtypes.INT8), "bool does not widen to int8"),
        (one(Dtypes.CATEGORICAL), one(Dtypes.STRING), None),
        (one(Dtypes.STRING), one(Dtypes.CATEGORICAL), "string does not widen"),
        (one(shape=(-1, 3)), one(shape=(-1, -1)), None),
        (one(shape=(-1, -1)), one(shape=(-1, 3)), "the shapes differ"),
        (one(shape=(-1, 3)), one(shape=(-1, 4)), "the shapes differ"),
        (one(shape=(-1,)), one(shape=(-1, 1)), "the shapes differ"),
        (one(nullable=True), one(), "may hold nulls"),
        (one(), one(nullable=True), None),
        (one(nullable=True, checks=(not_null(),)), one(), None),
        (one(), one(checks=(between(0, 1),)), None),  # checks are not part of it
    ],
)
def test_satisfies(provided: type[DataCatalog], required: type[DataCatalog], why: str | None) -> None:
    found = provided.satisfies(required)
    assert bool(found) is (why is None)
    if why is not None:
        assert [reason.feature for reason in found.reasons] == ["x"]
        assert why in found.reasons[0].why


def test_defect_02_satisfies_is_directional_and_not_inverted() -> None:
    larger = DataCatalog.of("Larger", {"x": Feature(Dtypes.INT8), "y": Feature(Dtypes.INT8)})
    smaller = larger.only("x")
    assert larger.satisfies(smaller) and not smaller.satisfies(larger)
    assert smaller.is_subset_of(larger) and not larger.is_subset_of(smaller)
    assert not one(Dtypes.INT8).is_subset_of(one(Dtypes.INT16))


def test_check_satisfies_names_feature_expected_actual_and_bump() -> None:
    with pytest.raises(CatalogMismatch) as caught:
        one(Dtypes.FLOAT64, (-1, 3)).check_satisfies(one(Dtypes.FLOAT32, (-1, 3)), what="batch digits@1/3")
    assert caught.value.exit_code == 6
    assert caught.value.message == (
        'batch digits@1/3 does not satisfy "One": feature "x": expected float32 (-1, 3), got float64 (-1, 3): '
        "float64 does not widen to float32"
    )
    assert "minor bump" in caught.value.hint
    one().check_satisfies(one())


@settings(deadline=None)
@given(CATALOGS, CATALOGS, CATALOGS)
def test_satisfies_is_reflexive_and_goes_on_through_all_features_present(a: Any, b: Any, c: Any) -> None:
    assert a.satisfies(a)
    if a.satisfies(b) and b.satisfies(c):
        # What b lacks it says nothing about, so an optional feature of c may meet an unlike one of a.
        seen = [name for name in c.features if name in b.features or name not in a.features]
        assert a.satisfies(c.only(*seen))


Bumps = dict[Literal["output", "input"], str]
X = Feature(Dtypes.INT32, checks=(between(0, 10),))


@pytest.mark.parametrize(
    ("old", "new", "output", "input_"),
    [
        (one(), one(), "none", "none"),
        (one(), one(description="a word"), "patch", "patch"),
        (EMPTY, one(), "minor", "major"),
        (one(), EMPTY, "major", "minor"),
        (EMPTY, one(optional=True), "minor", "minor"),
        (one(Dtypes.INT32), one(Dtypes.INT64), "major", "minor"),
        (one(Dtypes.INT64), one(Dtypes.INT32), "minor", "major"),
        (one(Dtypes.INT64), one(Dtypes.STRING), "major", "major"),
        (one(), one(nullable=True), "major", "minor"),
        (one(nullable=True), one(), "minor", "major"),
        (one(), one(optional=True), "major", "minor"),
        (one(shape=(-1, 3)), one(shape=(-1, -1)), "major", "minor"),
        (one(), one(checks=(between(0, 1),)), "minor", "major"),
        (one(checks=(between(0, 1),)), one(), "major", "minor"),
        (one(checks=(between(0, 1),)), one(checks=(between(0, 2),)), "major", "minor"),
        (one(checks=(between(0, 2),)), one(checks=(one_of(1),)), "minor", "major"),
        (one(checks=(between(0, 2),)), one(checks=(between(1, 3),)), "major", "major"),
        (one(), one(checks=(not_null(),)), "minor", "minor"),  # says what nullable=False said before
        (one(nullable=True), one(nullable=True, checks=(not_null(),)), "minor", "major"),
    ],
)
def test_the_smallest_legal_bump(old: Any, new: Any, output: str, input_: str) -> None:
    change = old.diff(new)
    assert (change.bump("output"), change.bump("input")) == (output, input_)
    assert change.smallest_bump == output
    in_zero = {"none": "none", "patch": "patch", "minor": "patch", "major": "minor"}
    assert change.bump("output", "0.3.1") == in_zero[output]
    assert change.bump("input", version="0.3.1") == in_zero[input_]
    assert change.bump("input", version="2.0.0") == input_
    assert bool(change) is (output != "none")


@settings(deadline=None)
@given(CATALOGS, CATALOGS)
def test_a_change_and_its_reverse_mirror_the_roles(a: type[DataCatalog], b: type[DataCatalog]) -> None:
    assert a.diff(b).bump("output") == b.diff(a).bump("input")
    assert (a.diff(b).bump() == "none") is (a == b)


def test_a_diff_tells_what_changed() -> None:
    old = DataCatalog.of("Old", {"gone": Feature(Dtypes.INT8), "x": X})
    new = DataCatalog.of("New", {"x": Feature(Dtypes.INT64, nullable=True), "more": Feature(Dtypes.INT8)})
    change = old.diff(new)
    assert (change.added, change.removed) == (("more",), ("gone",))
    assert [changed.feature for changed in change.changed] == ["x"]
    assert str(change).splitlines() == [
        "+ more int8 (-1,)",
        "- gone int8 (-1,)",
        "~ x: dtype int32 → int64, nullable False → True, checks between(0, 10) → none",
        "as an output: major bump; as an input: major bump",
    ]
    assert {reason.feature for reason in change.breaks("output")} == {"gone", "x"}
    assert str(old.diff(old)) == "no difference"


def test_a_role_or_version_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match='no role "inputs"'):
        one().diff(EMPTY).bump("inputs")  # type: ignore[arg-type]
    with pytest.raises(InvalidVersion):
        one().diff(EMPTY).bump("input", "v1")


def test_join() -> None:
    left = DataCatalog.of("Left", {"x": Feature(Dtypes.INT8, (-1, 2), checks=(between(0, 5), unique())), "l": X})
    right = DataCatalog.of("Right", {"x": Feature(Dtypes.UINT8, (-1, 3), nullable=True, checks=(between(0, 9),))})
    joined = join([left, right], name="Both")
    assert joined.name == "Both"
    assert dict(joined.features) == {"x": Feature(Dtypes.INT16, (-1, -1), nullable=True, checks=(between(0, 9),))}
    assert join([left]) == left


@pytest.mark.parametrize(
    "other", [Feature(Dtypes.STRING), Feature(Dtypes.INT32, (-1, 3))], ids=["no common dtype", "another length"]
)
def test_join_names_the_feature_that_has_no_common_type(other: Feature) -> None:
    with pytest.raises(CatalogMismatch, match=r'feature "x" cannot be joined: int32 \(-1,\) and'):
        join([one(), DataCatalog.of("Other", {"x": other})])


def test_join_of_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="no catalogs"):
        join([])


@settings(deadline=None)
@given(st.lists(CATALOGS, min_size=1, max_size=3))
def test_each_part_satisfies_the_join(parts: list[type[DataCatalog]]) -> None:
    try:
        joined = join(parts)
    except CatalogMismatch:
        return
    assert all(part.satisfies(joined) for part in parts)
    assert joined == join(parts[::-1])
