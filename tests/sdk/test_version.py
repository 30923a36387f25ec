"""Version: parsing, order, bumps and compatibility, against the independent `semver` library."""

import pytest
import semver
from hypothesis import given
from hypothesis import strategies as st

from jeyn.errors import InvalidVersion
from jeyn.sdk.version import Version

numbers = st.integers(0, 12) | st.integers(0, 10**17)
identifiers = st.from_regex(r"\A(0|[1-9][0-9]{0,5}|[0-9]{0,2}[A-Za-z-][0-9A-Za-z-]{0,4})\Z")
prereleases = st.lists(identifiers, min_size=1, max_size=4).map(".".join)
texts = st.builds(
    lambda a, b, c, pre: f"{a}.{b}.{c}" + (f"-{pre}" if pre else ""), numbers, numbers, numbers, st.none() | prereleases
)
near_misses = st.text("0123.-+rcvx ٣\n", max_size=14)


@given(texts)
def test_a_version_is_read_as_semver_reads_it(text: str) -> None:
    ours, theirs = Version.parse(text), semver.Version.parse(text)
    assert str(ours) == text == str(theirs)
    assert (ours.major, ours.minor, ours.patch) == (theirs.major, theirs.minor, theirs.patch)
    assert ".".join(map(str, ours.prerelease)) == (theirs.prerelease or "")
    assert ours.is_prerelease == bool(theirs.prerelease)
    assert str(ours.core) == str(theirs.finalize_version())


@given(texts | near_misses)
def test_what_is_valid_is_what_semver_calls_valid(text: str) -> None:
    valid = semver.Version.is_valid(text) and "+" not in text and not text.endswith("\n") and text.isascii()
    if valid:
        assert str(Version.parse(text)) == text
    else:
        with pytest.raises(InvalidVersion):
            Version.parse(text)


@given(texts, texts)
def test_order_is_semvers(left: str, right: str) -> None:
    ours = Version.parse(left), Version.parse(right)
    compared = semver.Version.parse(left).compare(right)
    assert (ours[0] < ours[1], ours[0] == ours[1], ours[0] > ours[1]) == (compared < 0, compared == 0, compared > 0)
    assert (ours[0] <= ours[1], ours[0] >= ours[1]) == (compared <= 0, compared >= 0)
    if compared == 0:
        assert hash(ours[0]) == hash(ours[1])


def test_order_of_the_specifications_own_example() -> None:
    prereleases = ["alpha", "alpha.1", "alpha.beta", "beta", "beta.2", "beta.11", "rc.1"]
    rising = [f"1.0.0-{prerelease}" for prerelease in prereleases] + ["1.0.0"]
    assert [str(v) for v in sorted(map(Version.parse, reversed(rising)))] == rising


@given(texts, st.sampled_from(["patch", "minor", "major"]))
def test_a_bump_is_semvers_next_version(text: str, level: str) -> None:
    version = Version.parse(text)
    bumped = version.bump(level)
    assert str(bumped) == str(semver.Version.parse(text).next_version(level))
    assert bumped > version
    assert not bumped.is_prerelease
    assert bumped == getattr(version, f"bump_{level}")() == getattr(version, f"update_{level}")()


@pytest.mark.parametrize(
    ("text", "patch", "minor", "major"),
    [
        ("3.2.1", "3.2.2", "3.3.0", "4.0.0"),
        ("0.0.0", "0.0.1", "0.1.0", "1.0.0"),
        ("0.9.9", "0.9.10", "0.10.0", "1.0.0"),
        ("1.2.3-rc.1", "1.2.3", "1.3.0", "2.0.0"),
        ("1.3.0-rc.1", "1.3.0", "1.3.0", "2.0.0"),
        ("2.0.0-rc.1", "2.0.0", "2.0.0", "2.0.0"),
    ],
)
def test_bumps_reset_the_lower_parts(text: str, patch: str, minor: str, major: str) -> None:
    version = Version.parse(text)
    bumped = [str(version.update_patch()), str(version.update_minor()), str(version.update_major())]
    assert bumped == [patch, minor, major]


@pytest.mark.parametrize(
    ("base", "other", "expected"),
    [
        ("1.2.0", "1.2.0", True),
        ("1.2.0", "1.9.0", True),
        ("1.2.0", "1.1.9", False),
        ("1.2.0", "2.0.0", False),
        ("0.2.0", "0.2.7", True),
        ("0.2.0", "0.3.0", False),
        ("0.2.0", "1.2.0", False),
        ("0.0.1", "0.0.2", True),
        ("1.0.0-rc.1", "1.0.0", True),
        ("1.0.0", "1.0.0-rc.1", False),
    ],
)
def test_compatibility_is_directional(base: str, other: str, expected: bool) -> None:
    assert Version.parse(base).is_compatible(Version.parse(other)) is expected


@given(texts)
def test_breaking_and_compatible_levels_agree_with_compatibility(text: str) -> None:
    version = Version.parse(text).core
    assert version.is_compatible(version.bump(version.compatible_level))
    assert not version.is_compatible(version.bump(version.breaking_level))
    assert (version.breaking_level, version.compatible_level) == (
        ("minor", "patch") if version.major == 0 else ("major", "minor")
    )


def test_rule_15_build_metadata_is_refused_and_says_so() -> None:
    with pytest.raises(InvalidVersion, match=r"'1\.2\.3\+4'.*") as caught:
        Version.parse("1.2.3+4")
    assert "build metadata" in caught.value.hint
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    "text", ["", "1", "1.2", "01.2.3", "1.2.3-01", "1.2.3-", "v1.2.3", " 1.2.3", "1.2.3\n", "٣.1.1"]
)
def test_bad_texts_are_refused_with_the_value(text: str) -> None:
    with pytest.raises(InvalidVersion) as caught:
        Version.parse(text)
    assert repr(text) in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("value", [None, 1, 1.2, b"1.2.3"])
def test_other_types_are_refused(value: object) -> None:
    with pytest.raises(InvalidVersion):
        Version.of(value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "arguments",
    [(-1, 0, 0), (True, 0, 0), (1.0, 0, 0), (1, 0, 10**18), (1, 0, 0, "rc"), (1, 0, 0, ("01",)), (1, 0, 0, ("a.b",))],
)
def test_a_version_cannot_be_built_wrong(arguments: tuple[object, ...]) -> None:
    with pytest.raises(InvalidVersion):
        Version(*arguments)  # type: ignore[arg-type]


def test_a_hostile_number_is_refused_at_once() -> None:
    for text in ("9" * 100_000, "1.2." + "9" * 200, "1.2.3-" + "a." * 50_000):
        with pytest.raises(InvalidVersion):
            Version.parse(text)


def test_of_takes_both_and_versions_do_not_compare_with_text() -> None:
    version = Version.of("1.2.3")
    assert Version.of(version) is version
    assert version != "1.2.3"
    with pytest.raises(TypeError):
        _ = version < "2.0.0"
    with pytest.raises(InvalidVersion, match="'huge'"):
        version.bump("huge")  # type: ignore[arg-type]
