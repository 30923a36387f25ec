"""Search: each field of the filter language on both databases, paging, and the cheap side of a closure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jeyn.errors import Ambiguous, InvalidFilter, JeynError, NotFound, UsageError
from jeyn.sdk.version import Version
from jeyn.sdk.version_range import VersionRange
from jeyn.stores.catalog import search as sql
from jeyn.stores.search import compile as compiled
from jeyn.stores.search import search
from tests.stores.conftest import execute
from tests.stores.lineage_world import World, new_world

DAY = timedelta(days=1) // timedelta(microseconds=1)
STATISTICS = {"statistics": {"x": {"mean": 0.5, "count": 10}, 'größe "1"\\': {"max": 3.0}, "t": {"min": "2026-01-01"}}}


@pytest.fixture
def world(catalog_url: str) -> Iterator[World]:
    with new_world(catalog_url) as made:
        yield made


@pytest.fixture
def things(world: World) -> dict[str, str]:
    """name -> id of one of everything."""
    made = {"f1": world.formula("digits", "1.0.0"), "f11": world.formula("digits", "1.1.0")}
    made["f2"] = world.formula("digits", "2.0.0-rc.1")
    made["b1"] = world.batch(made["f1"], "one", facts=STATISTICS)
    made["b2"] = world.batch(made["f1"], "two", kind="files")
    made["b11"] = world.batch(made["f11"], "three")
    made["lost"] = world.batch(made["f1"], "bad", quarantined=True)
    made["c1"] = world.checkpoint("reader", "1.0.0", made["b1"], metrics={"accuracy": 0.80, "loss": 1.0})
    world.actor = "bob"
    made["c2"] = world.checkpoint("reader", "1.1.0", made["b11"], metrics={"accuracy": 0.95}, parents=[made["c1"]])
    made["c3"] = world.checkpoint("other", "0.1.0", made["b2"], unsafe=True)
    made["e1"] = world.evaluation(made["c1"], made["b2"], {"accuracy": 0.97})
    made["u1"], made["u2"] = world.use_case("reader"), world.use_case("other")
    world.mark(made["c1"], "tag", "good")
    world.mark(made["c2"], "tag", "good")
    world.mark(made["c2"], "tag", "good", present=False)
    world.mark(made["c2"], "tag", "50%_off")
    world.bless(made["c1"])
    world.bless(made["c2"])
    return made


CASES = [
    ("type:use_case", "u1 u2"),
    ("type:checkpoint", "c1 c2 c3"),
    ("type:*_check*", "c1 c2 c3"),
    ("name:digits", "f1 f11 f2 b1 b2 b11"),
    ("name:READ* type:model_checkpoint", "c1 c2"),
    ("eade -type:use_case -type:evaluation", "c1 c2"),
    ('name:"READER"', ""),
    ("actor=bob type:model_checkpoint", "c2 c3"),
    ("type:model_checkpoint -actor:b*", "c1"),
    ("tag:good", "c1"),
    ('tag:"50%_off"', "c2"),
    ("tag:50%*", "c2"),
    ("tag:5_%*", ""),
    ("type:model_checkpoint -tag:good", "c2 c3"),
    ("alias:blessed", "c2"),
    ("alias:bl*", "c2"),
    ("type:dataset_formula version:^1", "f1 f11"),
    ("type:dataset_formula version:>=2.0.0-rc.0", "f2"),
    ("type:dataset_batch version:1.0.0", "b1 b2"),
    ("version<1 type:model_checkpoint", "c3"),
    ("type:dataset_formula version!=1.0.0", "f11 f2"),
    ("epoch=2", "b2"),
    ("epoch<=1", "b1 b11"),
    ("kind:generic", "f1 f11 f2"),
    ("kind:files", "b2"),
    ("is:quarantined", "lost"),
    ("is:unsafe", "c3"),
    ("type:model_checkpoint -is:unsafe", "c1 c2"),
    ("type:model_checkpoint metrics.accuracy>0.9", "c1 c2"),
    ("type:model_checkpoint metrics.accuracy=0.8", ""),
    ("type:model_checkpoint metrics.loss=1", "c1"),
    ("type:model_checkpoint -metrics.accuracy>=0.96", "c2 c3"),
    ("stats.x.mean>=0.5 stats.x.count>9", "b1"),
    ("stats.größe.max>1", ""),
    ("stats.t.min<1", ""),
    ("type:dataset_batch -stats.x.mean>0.4", "b2 b11"),
    ("upstream:formula:digits@1.0.0 type:model_checkpoint", "c1 c2 c3"),
    ("upstream:digits@1.1.0", "b11 c2"),
    ("upstream:digits@^1 type:dataset_batch", "b1 b2 b11"),
    ("upstream:digits@1.0.0/2", "c3 e1"),
    ("upstream:batch:digits@^1 type:model_checkpoint", "c1 c2 c3"),
    ("upstream:digits@^1/1 type:model_checkpoint", "c1 c2"),
    ("type:model_checkpoint -upstream:batch:digits@1.0.0/2", "c1 c2"),
    ("upstream:usecase:other", "c3"),
    ("downstream:checkpoint:reader@1.0.0", "f1 b1 u1"),
    ("downstream:reader@>=1", "f1 f11 b1 b11 u1 c1"),
    ("downstream:reader@1.1.0 upstream:digits@1.0.0", "b1 c1"),
    ("created<1h type:use_case", "u1 u2"),
    ("created>1h", ""),
    ("created<2001-01-01", ""),
    ("created>=2001-01-01T00:00Z type:use_case", "u1 u2"),
]


def test_each_field_finds_what_it_says(world: World, things: dict[str, str]) -> None:
    for text, names in CASES:
        found = {hit.id for hit in search(world.reader, text)}
        assert sorted(name for name, id in things.items() if id in found) == sorted(names.split()), text
        assert len(found) == len(names.split()), text


def test_rule_31_an_empty_filter_finds_what_is_swept_and_not_what_is_quarantined(
    world: World, things: dict[str, str]
) -> None:
    world.mark(things["c1"], "tombstone")
    world.mark(things["c2"], "tombstone")
    world.mark(things["c2"], "tombstone", present=False)
    assert {hit.id for hit in search(world.reader, "")} == set(things.values()) - {things["lost"]}
    assert [hit.id for hit in search(world.reader, "is:tombstoned")] == [things["c1"]]
    world.mark(things["lost"], "tombstone")
    assert [hit.id for hit in search(world.reader, "is:tombstoned is:quarantined")] == [things["lost"]]


def test_rule_06_a_metric_is_of_the_newest_evaluation_that_has_it(world: World, things: dict[str, str]) -> None:
    world.evaluation(things["c1"], things["b1"], {"other": 1.0})
    assert [hit.id for hit in search(world.reader, "type:checkpoint metrics.accuracy=0.97")] == [things["c1"]]
    newer = world.evaluation(things["c1"], things["b1"], {"accuracy": 0.10})
    assert {hit.id for hit in search(world.reader, "metrics.accuracy<0.2")} == {things["c1"], newer}
    assert things["c1"] not in {hit.id for hit in search(world.reader, "metrics.accuracy>0.2")}


def test_a_hit_tells_what_it_is(world: World, things: dict[str, str]) -> None:
    (hit,) = search(world.reader, "epoch=1 stats.x.mean>0")
    assert (hit.id, hit.ref, hit.type, hit.number) == (things["b1"], "batch:digits@1.0.0/1", "dataset_batch", "1")
    assert hit.facts == STATISTICS and hit.at == world.row(things["b1"]).at


def test_statistics_of_a_feature_with_any_name_are_found(world: World, things: dict[str, str]) -> None:
    strange = world.batch(things["f11"], "x", facts={"statistics": {"größe.[1]'": {"max": 3.0}, "a\\b": {"max": 4}}})
    for text in ("stats.größe.[1]'.max>2", "stats.a\\b.max=4"):
        assert [hit.id for hit in search(world.reader, text)] == [strange]
    # What Python writes for NaN is no JSON; it must not spoil the search for others.
    world.batch(things["f11"], "y", facts={"statistics": {"z": {"mean": float("nan"), "max": 1.0}}})
    assert [hit.id for hit in search(world.reader, "stats.x.mean>0")] == [things["b1"]]


@pytest.mark.parametrize("order", ["-created", "created", "name", "-name", "metrics.m", "-metrics.m"])
def test_pages_follow_each_other_without_gap_or_overlap(world: World, order: str) -> None:
    formula = world.formula("digits")
    batch = world.batch(formula, "one")
    for n in range(7):
        world.checkpoint(f"reader{n % 3}", f"0.{n}.0", batch, metrics={"m": float(n % 2)})
    whole = [hit.id for hit in search(world.reader, "type:checkpoint", order=order)]
    assert len(whole) == 7
    paged: list[str] = []
    cursor = None
    while True:
        page = search(world.reader, "type:checkpoint", limit=2, order=order, after=cursor)
        paged += [hit.id for hit in page]
        cursor = page.next
        if cursor is None:
            break
    assert paged == whole


def test_orders_are_what_they_say(world: World, things: dict[str, str]) -> None:
    def names(order: str) -> list[str]:
        back = {id: name for name, id in things.items()}
        return [back[hit.id] for hit in search(world.reader, "type:checkpoint", order=order)]

    assert names("created") == ["c1", "c2", "c3"] and names("-created") == ["c3", "c2", "c1"]
    assert names("name")[0] == "c3" and names("metrics.accuracy") == ["c2", "c1"]


@pytest.fixture
def scored(world: World) -> dict[str, str]:
    """Two models on two holdouts: "low" is better where both were judged, and was judged on an easy one last."""
    formula = world.formula("digits")
    made = {"train": world.batch(formula, "train")}
    holdout = world.formula("holdout")
    made["hard"], made["easy"] = world.batch(holdout, "hard"), world.batch(holdout, "easy")
    for name, on_hard, on_easy in (("low", 0.5, 0.4), ("high", 0.9, None), ("bad", float("nan"), 7.0)):
        made[name] = world.checkpoint(name, "1.0.0", made["train"], metrics={"mae": 0.01})
        made[f"{name}-hard"] = world.evaluation(made[name], made["hard"], {"mae": on_hard})
        if on_easy is not None:
            made[f"{name}-easy"] = world.evaluation(made[name], made["easy"], {"mae": on_easy})
    made["fresh"] = world.checkpoint("fresh", "1.0.0", made["train"], metrics={"mae": 0.02})
    return made


def ranked(world: World, text: str, order: str = "metrics.mae") -> list[tuple[str, float, str]]:
    found = search(world.reader, text, order=order)
    return [(hit.name, hit.score.value, hit.score.measured_on) for hit in found if hit.score]


def test_an_order_by_a_metric_says_the_number_and_the_batch(world: World, scored: dict[str, str]) -> None:
    easy, hard = "batch:holdout@1.0.0/2", "batch:holdout@1.0.0/1"
    assert ranked(world, "type:checkpoint") == [
        ("fresh", 0.02, "training"),
        ("low", 0.4, easy),
        ("high", 0.9, hard),
        ("bad", 7.0, easy),
    ]
    found = search(world.reader, "type:checkpoint", order="-metrics.mae")
    assert [hit.name for hit in found] == ["bad", "high", "low", "fresh"] and not found.is_comparable
    first = found[0].score
    assert first and first.to_json() == {
        "metric": "mae",
        "value": 7.0,
        "batch": easy,
        "evaluation": scored["bad-easy"],
    }
    assert found[-1].score and found[-1].score.evaluation is None
    assert all(hit.score is None for hit in search(world.reader, "metrics.mae<9"))


def test_on_ranks_within_one_batch(world: World, scored: dict[str, str]) -> None:
    """What has no score there, or one that is no number, is left out; its other scores never stand in for it."""
    hard, easy = "batch:holdout@1.0.0/1", "batch:holdout@1.0.0/2"
    assert ranked(world, f"type:checkpoint on:{hard}") == [("low", 0.5, hard), ("high", 0.9, hard)]
    assert ranked(world, "type:checkpoint on:holdout@1.0.0/1", "-metrics.mae") == [
        ("high", 0.9, hard),
        ("low", 0.5, hard),
    ]
    assert ranked(world, "type:checkpoint on:holdout@^1/latest") == [("low", 0.4, easy), ("bad", 7.0, easy)]
    assert ranked(world, f"on:{scored['easy']} type:evaluation") == [("low", 0.4, easy), ("bad", 7.0, easy)]
    assert search(world.reader, f"type:checkpoint on:{hard}", order="metrics.mae").is_comparable
    names = {hit.name for hit in search(world.reader, f"type:checkpoint metrics.mae<0.45 on:{hard}")}
    assert names == set(), "0.4 was on the easy one"
    assert {hit.name for hit in search(world.reader, f"type:checkpoint -on:{hard}")} == {"fresh"}
    everyone = {hit.name for hit in search(world.reader, "type:checkpoint on:holdout@^1")}
    assert everyone == {"low", "high", "bad"}


def test_scores_on_several_batches_are_not_ranked_together(world: World, scored: dict[str, str]) -> None:
    for text in ("on:holdout@^1", "on:holdout", "on:formula:holdout@1.0.0", "on:holdout@1.0.0/1 on:holdout@1.0.0/2"):
        with pytest.raises(InvalidFilter, match="2 batches, and scores on different batches do not compare"):
            search(world.reader, text, order="metrics.mae")
    with pytest.raises(InvalidFilter, match="2 batches"):
        search(world.reader, "on:holdout metrics.mae>0")
    with pytest.raises(NotFound, match="haldout"):
        search(world.reader, "on:haldout", order="metrics.mae")
    # One batch is one batch, however it is named.
    alone = world.batch(world.formula("single"), "single")
    world.evaluation(scored["low"], alone, {"mae": 3.0})
    assert ranked(world, "type:checkpoint on:single") == [("low", 3.0, "batch:single@1.0.0/1")]


def test_ages_count_from_now(world: World, things: dict[str, str]) -> None:
    execute(world.database, "SELECT 1")
    now = world.row(things["c1"]).at + 7 * DAY
    assert len(search(world.reader, "type:checkpoint created<8d", now=now)) == 3
    found = search(world.reader, "type:checkpoint created<=7d", now=now)
    assert {hit.id for hit in found} == {things["c1"], things["c2"], things["c3"]}
    assert {hit.id for hit in search(world.reader, "type:checkpoint created<7d", now=now)} == {
        things["c2"],
        things["c3"],
    }
    assert [hit.id for hit in search(world.reader, "type:checkpoint created>=7d", now=now)] == [things["c1"]]


def test_both_sides_of_a_closure_find_the_same(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small closure goes into the query, a large one is walked from each candidate, and too many misses turn back."""
    formulas = [world.formula("a"), world.formula("b")]
    batches = [world.batch(formulas[n % 2], f"{n}") for n in range(8)]
    made = [world.checkpoint("reader", f"0.{n}.0", batches[n % 8]) for n in range(12)]
    last = world.checkpoint("reader", "1.0.0", batches[0], parents=made[::3])
    texts = [f"{field}:{ref} type:{kind}" for field in ("upstream", "-upstream") for ref in ("a@1.0.0", "b@^1")
             for kind in ("checkpoint", "batch")]  # fmt: skip
    texts += [f"{field}:{last}" for field in ("downstream", "-downstream")]
    small = [[hit.id for hit in search(world.reader, text)] for text in texts]
    monkeypatch.setattr(sql, "is_small", lambda *_: False)
    for misses in (0, 2, 1000):
        monkeypatch.setattr(compiled, "MAX_MISSES", misses)
        monkeypatch.setattr(compiled, "_PAGE", 3)
        assert [[hit.id for hit in search(world.reader, text)] for text in texts] == small
        paged = search(world.reader, texts[0], limit=2)
        rest = search(world.reader, texts[0], after=paged.next)
        assert [hit.id for hit in (*paged, *rest)] == small[0]


def test_the_size_of_a_closure_is_probed_without_walking_it_all(world: World) -> None:
    formula = world.formula("a")
    for n in range(5):
        world.batch(formula, str(n))
    key = world.key(formula)
    assert sql.is_small(world.database, "down", [key], 5) and not sql.is_small(world.database, "down", [key], 4)
    assert sql.is_small(world.database, "up", [key], 0)


def test_what_cannot_be_asked_is_refused(world: World, things: dict[str, str]) -> None:
    with pytest.raises(InvalidFilter):
        search(world.reader, "nosuch:1")
    with pytest.raises(NotFound, match="digots"):
        search(world.reader, "upstream:digots@^1")
    with pytest.raises(NotFound, match="digits"):
        search(world.reader, "upstream:digits@^7")
    world.formula("reader")
    with pytest.raises(Ambiguous):
        search(world.reader, "upstream:reader@^1")
    with pytest.raises(UsageError, match='"size" is no order'):
        search(world.reader, "", order="size")
    with pytest.raises(UsageError, match='"0" is below 1'):
        search(world.reader, "", limit=0)
    page = search(world.reader, "", limit=1)
    forged = [("x", "-created"), ("", "-created"), ("bnVsbA==", "-created"), (page.next or "x", "name")]
    for cursor, order in forged:
        with pytest.raises(UsageError, match="is no cursor"):
            search(world.reader, "", after=cursor, order=order)


def test_no_value_reaches_the_sql_as_text(world: World, things: dict[str, str]) -> None:
    for field in ("name", "type", "actor", "tag", "alias", "kind"):
        for op in (":", "="):
            assert search(world.reader, f'''{field}{op}"x' OR '1'='1"''') == []
    assert search(world.reader, "metrics.a'b>0") == [] and search(world.reader, "stats.a'b.mean>0") == []


VERSIONS = [
    "0.0.3",
    "0.1.0",
    "0.1.5",
    "1.0.0-rc.1",
    "1.0.0-rc.2",
    "1.0.0",
    "1.0.1",
    "1.2.0-a",
    "1.2.0",
    "1.2.3",
    "2.0.0",
]
RANGES = [
    "*",
    "1",
    "1.2",
    "1.2.0",
    "^1",
    "^0.1",
    "^0",
    "^1.0.1",
    "~1",
    "~1.2.0",
    ">1",
    ">1.0",
    ">1.0.0",
    ">=1.0.0-rc.2",
]
RANGES += ["<1", "<1.0.0", "<1.2.0-b", "<=1", "<=1.2", "<=1.2.0", "<=1.2.0-a", ">1.0.0-rc.1", "1.0.0-rc.1", ">=1,<2"]
RANGES += ["^1.0.0-rc.1", "~1.2.0-a", ">=0.1,<1.2.3", ">=1.0.0-rc.1,<1.2.0-a", "^0.0.3", "^1.2.0-a,<=1.2.0"]


def test_a_range_in_sql_is_the_range(world: World) -> None:
    ids = {world.formula("digits", version): Version.parse(version) for version in VERSIONS}
    for text in RANGES:
        versions = VersionRange.parse(text)
        found = {ids[hit.id] for hit in search(world.reader, f'version:"{text}"')}
        assert found == {version for version in ids.values() if versions.contains(version)}, text


FIELDS = st.sampled_from(["type", "name", "tag", "alias", "kind", "actor", "is", "epoch", "version", "created"])
TERMS = st.one_of(
    st.builds(lambda f, o, v: f"{f}{o}{v}", FIELDS, st.sampled_from(":=<>"), st.text(max_size=8)),
    st.builds(lambda f, v: f"{f}:{v}", st.sampled_from(["upstream", "downstream"]), st.text("dig1@^.*/ts", max_size=9)),
    st.builds(lambda m, v: f"metrics.{m}>{v}", st.text(max_size=5), st.floats()),
    st.builds(lambda m, v: f"-stats.{m}.mean<{v}", st.text(max_size=5), st.integers()),
    st.text(max_size=12),
)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(terms=st.lists(TERMS, max_size=4))
def test_any_filter_gives_hits_or_one_of_our_errors(world: World, things: dict[str, str], terms: list[str]) -> None:
    try:
        hits = search(world.reader, " ".join(terms))
    except JeynError:
        return
    assert {hit.id for hit in hits} <= set(things.values())
