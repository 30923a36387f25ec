"""VersionRange: what each comparator contains, against an oracle of integer tuples written here."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jeyn.errors import InvalidVersion
from jeyn.sdk.version import Version
from jeyn.sdk.version_range import VersionRange

small = st.integers(0, 3)
triples = st.tuples(small, small, small)
parts = st.lists(small, min_size=1, max_size=3).map(tuple)
pre = st.sampled_from([(), ("rc", 1), ("rc", 2), (0,)])
versions = st.builds(lambda t, p: Version(*t, p), triples, pre)
operators = st.sampled_from(["", "=", "^", "~", ">", ">=", "<", "<="])
releases = [Version(a, b, c) for a in range(5) for b in range(5) for c in range(5)]


def oracle(operator: str, asked: tuple[int, ...], triple: tuple[int, int, int]) -> bool:
    """Compares heads of tuples; never makes an upper bound, which is how the module does it."""
    head = triple[: len(asked)]
    full = (*asked, 0, 0)[:3]
    match operator:
        case "" | "=":
            return head == asked
        case ">":
            return head > asked
        case ">=":
            return head >= asked
        case "<":
            return head < asked
        case "<=":
            return head <= asked
        case "~":
            return triple >= full and triple[: min(2, len(asked))] == asked[:2]
        case "^":
            if len(asked) == 1 or asked[0] > 0:
                return triple >= full and triple[0] == asked[0]
            return triple >= full and triple[:2] == asked[:2]
    raise AssertionError(operator)


@given(operators, parts, triples)
def test_releases_are_contained_as_the_oracle_says(
    operator: str, asked: tuple[int, ...], triple: tuple[int, int, int]
) -> None:
    text = operator + ".".join(map(str, asked))
    assert VersionRange.parse(text).contains(Version(*triple)) == oracle(operator, asked, triple), (text, triple)


@given(triples)
def test_caret_is_what_is_compatible(triple: tuple[int, int, int]) -> None:
    base = Version(*triple)
    wanted = VersionRange.parse(f"^{base}")
    assert [v for v in releases if v in wanted] == [v for v in releases if base.is_compatible(v)]


@given(st.lists(st.tuples(operators, parts), min_size=1, max_size=3), versions)
def test_a_comma_means_and(comparators: list[tuple[str, tuple[int, ...]]], version: Version) -> None:
    texts = [op + ".".join(map(str, asked)) for op, asked in comparators]
    whole = VersionRange.parse(" , ".join(texts))
    assert whole.contains(version) == all(VersionRange.parse(t).contains(version) for t in texts)


@given(st.lists(st.tuples(operators, versions), min_size=1, max_size=4))
def test_the_text_is_canonical(comparators: list[tuple[str, Version]]) -> None:
    texts = [f"{op}{version}" for op, version in comparators]
    whole = VersionRange.parse(",".join(texts))
    assert VersionRange.parse(str(whole)) == whole == VersionRange.parse(", ".join([*reversed(texts), texts[0]]))
    assert str(VersionRange.parse(str(whole))) == str(whole)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("<2,>=1", ">=1,<2"),
        (">= 1 , < 2", ">=1,<2"),
        ("=1.2.3", "1.2.3"),
        ("=1.2", "1.2"),
        ("*", "*"),
        ("*,^1", "^1"),
        ("^1.2.3-rc.1", "^1.2.3-rc.1"),
    ],
)
def test_canonical_texts(text: str, canonical: str) -> None:
    assert str(VersionRange.parse(text)) == canonical


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("^1.2", "1.2.0 1.9.9", "1.1.9 2.0.0 1.3.0-rc.1 2.0.0-rc.1"),
        ("^0.2", "0.2.0 0.2.9", "0.3.0 0.1.9 1.2.0"),
        ("^0.0.3", "0.0.3 0.0.9", "0.0.2 0.1.0"),
        ("^0", "0.0.0 0.9.1", "1.0.0"),
        ("~1.2.3", "1.2.3 1.2.9", "1.3.0 1.2.2"),
        ("~1", "1.0.0 1.9.9", "2.0.0 0.9.9"),
        (">=1,<2", "1.0.0 1.9.9", "0.9.9 2.0.0 2.0.0-rc.1"),
        (">1", "2.0.0", "1.0.0 1.0.1 1.9.9"),
        ("<=1.2", "1.2.9 0.1.0", "1.3.0"),
        ("1.2", "1.2.0 1.2.9", "1.3.0 1.1.0"),
        ("1", "1.0.0 1.9.0", "2.0.0 0.9.0"),
        ("1.2.0", "1.2.0", "1.2.1 1.2.0-rc.1"),
        ("*", "0.0.0 9.9.9", "1.0.0-rc.1"),
    ],
)
def test_examples(text: str, inside: str, outside: str) -> None:
    wanted = VersionRange.parse(text)
    assert [v for v in inside.split() if Version.parse(v) not in wanted] == []
    assert [v for v in outside.split() if Version.parse(v) in wanted] == []


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("^1.2.0-rc.2", "1.2.0-rc.2 1.2.0-rc.3 1.2.0 1.5.0", "1.2.0-rc.1 1.3.0-rc.1 2.0.0-rc.1"),
        ("1.2.0-rc.1", "1.2.0-rc.1", "1.2.0 1.2.0-rc.2"),
        (">=1,<2.0.0-rc.2", "1.5.0 2.0.0-rc.1", "2.0.0 2.0.0-rc.2 1.5.0-rc.1"),
        ("^1,>=2.0.0-rc.1", "", "2.0.0-rc.1 2.0.0 1.0.0"),
        ("<2,>=2.0.0-rc.1", "", "2.0.0-rc.1 2.0.0"),
    ],
)
def test_rule_15_a_prerelease_is_contained_only_where_one_is_named(text: str, inside: str, outside: str) -> None:
    test_examples(text, inside, outside)


@given(st.tuples(operators, versions), versions)
def test_rule_15_a_prerelease_needs_a_comparator_of_its_own_core(asked: tuple[str, Version], version: Version) -> None:
    operator, named = asked
    if version in VersionRange.parse(f"{operator}{named}") and version.is_prerelease:
        assert named.is_prerelease
        assert named.core == version.core


@given(st.tuples(operators, versions), st.lists(versions, max_size=12))
def test_select_takes_the_highest_that_is_contained(asked: tuple[str, Version], candidates: list[Version]) -> None:
    wanted = VersionRange.parse(f"{asked[0]}{asked[1]}")
    chosen = wanted.select(candidates)
    inside = sorted(v for v in candidates if v in wanted)
    assert chosen == (inside[-1] if inside else None)


def test_exact_names_the_one_version() -> None:
    assert VersionRange.parse("=1.2.0").exact == Version(1, 2, 0)
    assert VersionRange.parse("1.2.0-rc.1").exact == Version(1, 2, 0, ("rc", 1))
    assert [VersionRange.parse(text).exact for text in ("1.2", "^1.2.0", "1.2.0,>=1", "*")] == [None] * 4


@pytest.mark.parametrize(
    "text",
    ["", " ", ",", "1,", "^", ">=", "1.2.3.4", "^1.2-rc.1", "^01", "x", "1.x", "!=1", "^^1", "1 2", "1.2.0+b", "^v1"],
)
def test_bad_ranges_are_refused_with_value_and_hint(text: str) -> None:
    with pytest.raises(InvalidVersion) as caught:
        VersionRange.parse(text)
    assert repr(text) in caught.value.message
    assert caught.value.hint


@given(st.text("0129.,^~<>=*- rc+x", max_size=24) | st.text(max_size=24))
def test_any_text_is_read_canonically_or_refused(text: str) -> None:
    try:
        wanted = VersionRange.parse(text)
    except InvalidVersion:
        return
    assert VersionRange.parse(str(wanted)) == wanted


@pytest.mark.parametrize(
    "text",
    ["1," * 100_000, "^" * 100_000, "9" * 100_000, "^1.0.0-" + "a-" * 100_000, f"^{10**18 - 1}", ",".join("1" * 17)],
)
def test_hostile_ranges_are_refused_at_once(text: str) -> None:
    with pytest.raises(InvalidVersion):
        VersionRange.parse(text)
