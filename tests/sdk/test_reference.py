"""Reference: the grammar of DESIGN 4, its canonical text, and what it refuses."""

import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jeyn.errors import InvalidReference
from jeyn.sdk.reference import Alias, Exact, Latest, Range, Reference, Selector, valid_alias, valid_name
from jeyn.sdk.version import Version
from jeyn.sdk.version_range import VersionRange


@pytest.mark.parametrize(
    ("text", "selector"),
    [
        ("digits", None),
        ("digits@1.2.0", Exact(Version(1, 2, 0))),
        ("digits@1.2.0-rc.1", Exact(Version(1, 2, 0, ("rc", 1)))),
        ("digits@^1.2", Range(VersionRange.parse("^1.2"))),
        ("digits@~1.2.3", Range(VersionRange.parse("~1.2.3"))),
        ("digits@>=1,<2", Range(VersionRange.parse(">=1,<2"))),
        ("digits@1", Range(VersionRange.parse("1"))),
        ("digits@*", Range(VersionRange.parse("*"))),
        ("digits@latest", Latest()),
        ("digits@blessed", Alias("blessed")),
        ("digits@gold_2-a", Alias("gold_2-a")),
    ],
)
@pytest.mark.parametrize("kind", [None, "checkpoint", "formula", "usecase"])
def test_names_with_selectors(text: str, selector: Selector | None, kind: str | None) -> None:
    written = f"{kind}:{text}" if kind else text
    reference = Reference.parse(written)
    assert reference == Reference(kind=kind, name="digits", selector=selector)  # type: ignore[arg-type]
    assert str(reference) == written


@pytest.mark.parametrize(
    ("text", "selector", "epoch", "canonical"),
    [
        ("digits@1.0.0/7", Exact(Version(1, 0, 0)), 7, "digits@1.0.0/7"),
        ("digits@^1/latest", Range(VersionRange.parse("^1")), "latest", "digits@^1/latest"),
        ("batch:digits@^1/latest", Range(VersionRange.parse("^1")), "latest", "digits@^1/latest"),
        ("batch:digits@^1", Range(VersionRange.parse("^1")), "latest", "digits@^1/latest"),
        ("batch:digits", None, "latest", "digits/latest"),
        ("digits/3", None, 3, "digits/3"),
        ("batch:digits@latest/3", Latest(), 3, "digits@latest/3"),
        ("digits@=1.0.0/7", Exact(Version(1, 0, 0)), 7, "digits@1.0.0/7"),
    ],
)
def test_an_epoch_means_a_batch(text: str, selector: Selector | None, epoch: int | str, canonical: str) -> None:
    reference = Reference.parse(text)
    assert reference == Reference("batch", "digits", selector, epoch)  # type: ignore[arg-type]
    assert str(reference) == canonical
    assert Reference.parse(canonical) == reference


@pytest.mark.parametrize("length", [8, 12, 64])
@pytest.mark.parametrize("kind", [None, "batch", "checkpoint", "formula", "usecase"])
def test_digests(length: int, kind: str | None) -> None:
    digest = ("0123456789abcdef" * 4)[:length]
    text = f"{kind}:sha256:{digest}" if kind else f"sha256:{digest}"
    reference = Reference.parse(text)
    assert (reference.kind, reference.digest, reference.name, reference.epoch) == (kind, digest, None, None)
    assert str(reference) == text
    assert Reference.parse(text.replace(digest, digest.upper())) == reference


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not a reference"),
        ("@1.0.0", "cannot be a name"),
        ("digits@", "nothing follows '@'"),
        ("digits@@1", "not a version range"),
        ("digits@v1.0.0", "cannot be an alias"),
        ("digits@Blessed", "cannot be an alias"),
        ("digits@1.0.0+x", "not a version range"),
        ("digits@1.0.0/", "not an epoch"),
        ("digits@1.0.0/0", "not an epoch"),
        ("digits@1.0.0/07", "not an epoch"),
        ("digits@1.0.0/-1", "not an epoch"),
        ("digits@1.0.0/٣", "not an epoch"),
        ("digits@1.0.0/7/8", "not an epoch"),
        ("digits@1.0.0/blessed", "not an epoch"),
        ("checkpoint:digits@1.0.0/7", "has no epoch"),
        ("model:digits", "cannot be a name"),
        ("batch:", "cannot be a name"),
        ("batch:batch:digits", "cannot be a name"),
        ("sha256:1234567", "not a digest"),
        ("sha256:" + "a" * 65, "not a digest"),
        ("sha256:deadbeeg", "not a digest"),
        ("sha256:deadbeef@1", "not a digest"),
        ("sha256:deadbeef/7", "not a digest"),
        ("../etc/passwd", "cannot be a name"),
        ("di gits", "cannot be a name"),
        ("digits\n", "cannot be a name"),
        (" digits", "cannot be a name"),
        ("d" * 201, "cannot be a name"),
    ],
)
def test_refusals_give_the_value_the_reason_and_the_cure(text: str, says: str) -> None:
    with pytest.raises(InvalidReference) as caught:
        Reference.parse(text)
    assert repr(text[:80]) in caught.value.message
    assert says in caught.value.message
    assert caught.value.hint
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("value", [None, 7, b"digits", ["digits"]])
def test_other_types_are_refused(value: object) -> None:
    with pytest.raises(InvalidReference):
        Reference.parse(value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"name": "a b"},
        {"name": "a", "digest": "deadbeef"},
        {"digest": "deadbeef", "epoch": 1},
        {"digest": ""},
        {"digest": "DEADBEEF"},
        {"kind": "formula", "name": "a", "epoch": 1},
        {"kind": "model", "name": "a"},
        {"kind": "model", "digest": "deadbeef"},
        {"name": "a", "epoch": 0},
        {"name": "a", "epoch": "7"},
        {"name": "a", "epoch": True},
        {"name": "a", "selector": "latest"},
    ],
)
def test_a_reference_cannot_be_built_wrong(fields: dict[str, object]) -> None:
    with pytest.raises(InvalidReference):
        Reference(**fields)  # type: ignore[arg-type]


def test_a_parsed_reference_is_returned_as_it_is() -> None:
    reference = Reference.parse("digits@^1")
    assert Reference.parse(reference) is reference
    assert len({reference, Reference.parse("digits@^1")}) == 1


names = st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,12}\Z")
selectors = st.sampled_from(
    ["", "@latest", "@blessed", "@1.2.0", "@^1", "@~1.2", "@>=1,<2", "@<2,>=1", "@*", "@1.0.0-rc.1", "@", "@x@", "@V"]
)
epochs = st.sampled_from(["", "/1", "/latest", "/999", "/0", "/", "/x"])
kinds = st.sampled_from(["", "batch:", "checkpoint:", "formula:", "usecase:", "model:"])
shaped = st.tuples(kinds, names | st.just("sha256:deadbeef"), selectors, epochs).map("".join)


@settings(max_examples=400)
@given(shaped | st.text(max_size=40) | st.text("ab01.:@/^~<>=,*-sh256", max_size=40))
@example("sha256:deadbeef")
def test_any_text_round_trips_or_is_refused(text: str) -> None:
    try:
        reference = Reference.parse(text)
    except InvalidReference:
        return
    again = Reference.parse(str(reference))
    assert again == reference
    assert str(again) == str(reference)


@given(names, kinds.filter(lambda kind: kind != "model:"))
def test_every_name_is_a_reference(name: str, kind: str) -> None:
    assert valid_name(name) == name
    assert Reference.parse(kind + name).name == name


@pytest.mark.parametrize(
    "name", ["", ".", "-a", "_a", "a@b", "a/b", "a:b", "a b", "a\tb", "é", "a" * 201, "a\n", None, 3]
)
def test_bad_names(name: object) -> None:
    with pytest.raises(InvalidReference):
        valid_name(name)


@pytest.mark.parametrize("alias", ["latest", "", "Blessed", "1st", "a b", "a.b", "a@b", "a/b", "a\n", None])
def test_bad_aliases(alias: object) -> None:
    with pytest.raises(InvalidReference):
        valid_alias(alias)
    assert valid_alias("blessed") == "blessed"


@pytest.mark.parametrize(
    "text", ["a" * 10**6, "a@" * 10**5, "@" * 10**6, "batch:" * 10**5, "a@" + "1," * 498, "a@" + ">=" * 400]
)
def test_hostile_texts_are_refused_fast(text: str) -> None:
    started = time.process_time()
    with pytest.raises(InvalidReference) as caught:
        Reference.parse(text)
    assert time.process_time() - started < 0.1
    assert len(str(caught.value)) < 1500
