"""Impact: what is downstream with the reason path, and which contracts a changed catalog breaks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from jeyn import DatasetFormula, MlUseCase, Workspace
from jeyn.errors import NotFound, UsageError
from jeyn.sdk.dtypes import Dtypes
from jeyn.sdk.feature import Feature
from jeyn.stores.lineage.impact import impact
from tests.stores.digits import DIGITS, a_checkpoint
from tests.stores.lineage_world import Digits, Scores, World, catalog_of, new_world

INT, FLOAT = Feature(Dtypes.INT64), Feature(Dtypes.FLOAT32)
PIXELS = Feature(Dtypes.FLOAT32, shape=(-1, 64))


@pytest.fixture
def world(catalog_url: str) -> Iterator[World]:
    with new_world(catalog_url) as made:
        yield made


def refs(items: object) -> list[str]:
    return [item.ref for item in items]  # type: ignore[attr-defined]


def test_everything_downstream_is_told_with_its_path_and_aliases(world: World) -> None:
    formula = world.formula("digits")
    batch = world.batch(formula, "one")
    checkpoint = world.checkpoint("reader", "0.1.0", batch)
    evaluation = world.evaluation(checkpoint, batch, {"accuracy": 1.0})
    world.formula("apart")
    world.bless(checkpoint)
    found = impact(world.reader, "formula:digits@1.0.0")
    assert refs(found) == ["batch:digits@1.0.0/1", "checkpoint:reader@0.1.0", evaluation]
    by_ref = {item.ref: item for item in found}
    assert [str(step) for step in by_ref["checkpoint:reader@0.1.0"].path] == [
        "formula:digits@1.0.0",
        "→ batch:digits@1.0.0/1 (formula_batch)",
        "→ checkpoint:reader@0.1.0 (batch_checkpoint)",
    ]
    (alias,) = found.aliases
    assert (alias.ref, alias.target, alias.verdict) == (
        "checkpoint:reader@blessed",
        "checkpoint:reader@0.1.0",
        "touched",
    )
    assert not found.is_breaking and found.breaks == [] and found.next_version is None
    assert "3 downstream of formula:digits@1.0.0 are touched" in str(found)
    assert refs(impact(world.reader, checkpoint)) == [evaluation]
    assert refs(impact(world.reader, checkpoint).aliases) == ["checkpoint:reader@blessed"]


def test_a_removed_feature_breaks_what_needs_it_and_nothing_else(world: World) -> None:
    formula = world.formula("digits", "1.2.0")
    batch = world.batch(formula, "one")
    needs = world.checkpoint("reader", "1.0.0", batch, inputs=Digits)
    world.checkpoint("blind", "1.0.0", batch, inputs=Digits.only("pixels"))
    world.bless(needs)
    found = impact(world.reader, "digits@1.2.0", new_catalog=Digits.only("pixels"))
    (broken,) = found.breaks
    assert broken.ref == "checkpoint:reader@1.0.0"
    assert broken.reasons == ('feature "label": expected int64 (-1,), got nothing: it is required',)
    # Taking one input less is a minor of a checkpoint; losing a feature is a major of a formula.
    assert broken.bump == "minor" and (found.bump, found.next_version) == ("major", "2.0.0")
    assert [(a.ref, a.verdict) for a in found.aliases] == [("checkpoint:reader@blessed", "breaks")]
    assert "checkpoint:blind@1.0.0" in refs(found.touched) and found.is_breaking
    assert "BREAKS  checkpoint:reader@1.0.0" in str(found) and "smallest legal bump is a major: 2.0.0" in str(found)
    told = found.to_json()
    assert told["is_breaking"] and {"breaks", "touched"} == {item["verdict"] for item in told["items"]}


def test_a_changed_type_is_a_major_of_the_checkpoint_that_takes_it(world: World) -> None:
    batch = world.batch(world.formula("digits"), "one")
    world.checkpoint("reader", "1.0.0", batch)
    world.checkpoint("young", "0.1.0", batch)
    changed = catalog_of(pixels=PIXELS, label=Feature(Dtypes.STRING))
    found = impact(world.reader, "digits@1.0.0", new_catalog=changed)
    assert {item.ref: item.bump for item in found.breaks} == {
        "checkpoint:reader@1.0.0": "major",
        "checkpoint:young@0.1.0": "minor",
    }


def test_an_added_feature_breaks_nothing(world: World) -> None:
    formula = world.formula("digits")
    world.checkpoint("reader", "1.0.0", world.batch(formula, "one"))
    more = Digits + catalog_of(extra=FLOAT)
    found = impact(world.reader, "digits@1.0.0", new_catalog=more)
    assert not found.is_breaking and (found.bump, found.next_version) == ("minor", "1.1.0")
    assert len(found.touched) == 2
    same = impact(world.reader, formula, new_catalog=Digits)
    assert (same.bump, same.next_version, same.is_breaking) == ("none", None, False)
    assert impact(world.reader, formula, new_catalog=more.to_json()).bump == "minor"


def test_a_break_goes_through_composites_and_model_formulas(world: World) -> None:
    """digits -> union -> checkpoint; union -> scored by a checkpoint -> what was trained on the scores."""
    digits, other = world.formula("digits"), world.formula("other")
    parts = [world.batch(digits, "one"), world.batch(other, "two")]
    union = world.composite("union", ["digits@^1", "other@latest"], Digits)
    whole = world.batch(union, "union", sources=parts, kind="union")
    world.checkpoint("reader", "1.0.0", whole)
    world.bless(world.checkpoint("reader", "1.1.0", whole))
    scored = world.model_formula("scored", "union@1.0.0", "reader@blessed", Scores)
    world.checkpoint("judge", "1.0.0", world.batch(scored, "scored"), inputs=Scores)
    world.checkpoint("apart", "1.0.0", parts[1])
    found = impact(world.reader, "digits@1.0.0", new_catalog=Digits.only("pixels"))
    assert refs(found.breaks) == [
        "formula:union@1.0.0",
        "checkpoint:reader@1.0.0",
        "checkpoint:reader@1.1.0",
        "formula:scored@1.0.0",
        "checkpoint:judge@1.0.0",
    ]
    by_ref = {item.ref: item for item in found}
    assert by_ref["formula:union@1.0.0"].bump == "major"
    assert by_ref["checkpoint:judge@1.0.0"].reasons == ('"formula:scored@1.0.0" could not be made any more',)
    assert [step.ref for step in by_ref["checkpoint:judge@1.0.0"].path] == [
        "formula:digits@1.0.0",
        "formula:union@1.0.0",
        "formula:scored@1.0.0",
        "batch:scored@1.0.0/1",
        "checkpoint:judge@1.0.0",
    ]
    assert "checkpoint:apart@1.0.0" not in by_ref and refs(found.aliases) == ["checkpoint:reader@blessed"]


def test_a_kept_feature_that_goes_away_breaks_a_model_formula(world: World) -> None:
    digits = world.formula("digits")
    world.checkpoint("reader", "1.0.0", world.batch(digits, "one"), inputs=Digits.only("pixels"))
    world.model_formula("plain", "digits@1.0.0", "reader@1.0.0", Scores)
    world.model_formula("kept", "digits@1.0.0", "reader@1.0.0", Scores + Digits.only("label"), keep=["label"])
    found = impact(world.reader, "digits@1.0.0", new_catalog=Digits.only("pixels"))
    assert refs(found.breaks) == ["formula:kept@1.0.0"] and "formula:plain@1.0.0" in refs(found.touched)


def test_a_declared_catalog_holds_while_its_parts_satisfy_it(world: World) -> None:
    world.formula("digits")
    world.composite("narrow", ["digits@^1"], Digits.only("pixels"))
    world.composite("whole", ["digits@^1"], Digits)
    assert refs(impact(world.reader, "digits@1.0.0", new_catalog=Digits.only("pixels")).breaks) == [
        "formula:whole@1.0.0"
    ]
    assert refs(impact(world.reader, "digits@1.0.0", new_catalog=Digits.only("label")).breaks) == [
        "formula:narrow@1.0.0",
        "formula:whole@1.0.0",
    ]


def test_a_declared_catalog_hides_what_its_parts_have_more(world: World) -> None:
    """The text x of digits could not be joined with the number x of other, but narrow does not give it."""
    label, text = catalog_of(label=INT), catalog_of(x=Feature(Dtypes.STRING))
    world.formula("digits", catalog=label + text)
    world.formula("other", catalog=label + catalog_of(x=INT))
    world.composite("narrow", ["digits@^1"], label)
    world.composite("both", ["narrow@^1", "other@^1"], label)
    found = impact(world.reader, "digits@1.0.0", new_catalog=label + text + catalog_of(more=INT))
    assert not found.is_breaking and refs(found) == ["formula:narrow@1.0.0", "formula:both@1.0.0"]


def test_parts_that_cannot_be_joined_any_more_break_the_composite(world: World) -> None:
    for name in ("digits", "other"):
        world.formula(name)
    world.composite("union", ["digits@^1", "other@^1"], Digits)
    changed = catalog_of(pixels=PIXELS, label=Feature(Dtypes.STRING))
    (broken,) = impact(world.reader, "digits@1.0.0", new_catalog=changed).breaks
    assert broken.ref == "formula:union@1.0.0" and "cannot be joined" in broken.reasons[0]


def test_a_recipe_follows_what_its_reference_accepts(world: World) -> None:
    """A composite follows each version in its range, and with latest only the highest."""
    for version in ("1.0.0", "1.1.0"):
        world.formula("digits", version, Digits if version == "1.0.0" else Digits + catalog_of(x=INT))
    for name, ref in {"range": "digits@^1", "latest": "digits@latest", "exact": "digits@1.0.0"}.items():
        world.composite(name, [ref], Digits)
    old, new = (refs(impact(world.reader, f"digits@{version}")) for version in ("1.0.0", "1.1.0"))
    assert old == ["formula:range@1.0.0", "formula:exact@1.0.0"]
    assert new == ["formula:range@1.0.0", "formula:latest@1.0.0"]


def test_ranges_that_close_a_circle_end(world: World) -> None:
    world.formula("a")
    world.composite("b", ["a@^1"], Digits)
    world.composite("a", ["b@^1"], Digits, version="1.1.0")
    found = impact(world.reader, "a@1.0.0", new_catalog=Digits.only("label"))
    assert {"formula:b@1.0.0", "formula:a@1.1.0"} == set(refs(found.breaks))


def test_what_has_no_catalog_or_is_not_there_is_refused(world: World) -> None:
    checkpoint = world.checkpoint("reader", "1.0.0", world.batch(world.formula("digits"), "one"))
    with pytest.raises(UsageError, match="has no catalog to change"):
        impact(world.reader, checkpoint, new_catalog=Digits)
    with pytest.raises(NotFound, match="digots"):
        impact(world.reader, "formula:digots@1.0.0")


@pytest.mark.parametrize("asked", ["digits@1.1.0", "digits@1.0.0", "digits@^1", "digits"])
def test_the_production_model_of_another_version_is_looked_at(world: World, asked: str) -> None:
    """Trained on 1.0.0 and blessed; the next version of the line feeds it all the same."""
    old, new = world.formula("digits", "1.0.0"), world.formula("digits", "1.1.0", Digits + catalog_of(x=INT))
    needs = world.checkpoint("reader", "1.0.0", world.batch(old, "one"))
    world.checkpoint("blind", "1.0.0", world.batch(old, "two"), inputs=Digits.only("pixels"))
    world.batch(new, "three")
    world.bless(needs)
    found = impact(world.reader, asked, new_catalog=catalog_of(pixels=PIXELS, x=INT))
    (broken,) = found.breaks
    assert broken.ref == "checkpoint:reader@1.0.0" and "label" in broken.reasons[0] and broken.bump == "minor"
    assert [(alias.ref, alias.verdict) for alias in found.aliases] == [("checkpoint:reader@blessed", "breaks")]
    assert "checkpoint:blind@1.0.0" in refs(found.touched)
    assert found.next_version == "2.0.0"


def test_the_way_to_a_model_of_another_version_is_told(world: World) -> None:
    world.checkpoint("reader", "1.0.0", world.batch(world.formula("digits", "1.0.0"), "one"))
    world.formula("digits", "1.1.0", Digits + catalog_of(x=INT))
    (broken,) = impact(world.reader, "digits@1.1.0", new_catalog=Digits.only("pixels")).breaks
    assert [str(step) for step in broken.path] == [
        "formula:digits@1.1.0",
        "→ formula:digits@1.0.0 (other_version)",
        "→ batch:digits@1.0.0/1 (formula_batch)",
        "→ checkpoint:reader@1.0.0 (batch_checkpoint)",
    ]


def test_what_the_line_does_not_feed_any_more_is_not_broken_by_the_next_change(world: World) -> None:
    """2.0.0 took the label away already: whoever needs it is not fed by it."""
    world.checkpoint("reader", "1.0.0", world.batch(world.formula("digits", "1.0.0"), "one"))
    world.formula("digits", "2.0.0", Digits.only("pixels") + catalog_of(x=INT))
    assert impact(world.reader, "digits@2.0.0", new_catalog=Digits.only("pixels")).breaks == []
    assert refs(impact(world.reader, "digits@1.0.0", new_catalog=Digits.only("pixels")).breaks) == [
        "checkpoint:reader@1.0.0"
    ]


def test_the_models_of_a_union_are_looked_at_when_its_part_changes(world: World) -> None:
    """digits -> union 1.1.0; the model was trained on union 1.0.0, which was made of an exact version."""
    world.formula("digits", "1.0.0")
    first = world.composite("union", ["digits@1.0.0"], Digits, version="1.0.0")
    reader = world.checkpoint("reader", "1.0.0", world.batch(first, "one", kind="union"))
    world.bless(reader)
    world.formula("digits", "1.1.0", Digits + catalog_of(x=INT))
    world.composite("union", ["digits@>=1.1"], Digits, version="1.1.0")
    found = impact(world.reader, "digits@1.1.0", new_catalog=Digits.only("pixels") + catalog_of(x=INT))
    assert refs(found.breaks) == ["checkpoint:reader@1.0.0", "formula:union@1.1.0"]
    assert refs(found.aliases) == ["checkpoint:reader@blessed"]


def test_recipes_that_the_next_version_would_feed_are_looked_at(world: World) -> None:
    """Asked about 1.0.0, behind 1.1.0: latest and ranges mean the version that comes, an exact one does not."""
    world.formula("digits", "1.0.0")
    world.formula("digits", "1.1.0", Digits + catalog_of(x=INT))
    for name, ref in {"latest": "digits@latest", "range": "digits@>=1.1", "exact": "digits@1.1.0"}.items():
        world.composite(name, [ref], Digits)
    found = impact(world.reader, "digits@1.0.0", new_catalog=Digits.only("pixels"))
    assert refs(found.breaks) == ["formula:latest@1.0.0", "formula:range@1.0.0"]
    assert found.next_version == "2.0.0"


def test_the_contract_of_a_use_case_is_looked_at(workspace: Workspace) -> None:
    """The blessed model can do without the label, but the next one is trained under a contract that asks for it."""
    from tests.stores.digits import READER, Digits, Scores

    checkpoint = a_checkpoint(workspace)
    workspace.model_store.bless(checkpoint, reason="good")
    workspace.dataset_store.save_formula(
        DatasetFormula("digits", version="1.1.0", output_catalog=Digits + catalog_of(more=INT))
    )
    narrow = Digits.only("x")
    assert not impact(workspace.reader, "digits@1.1.0", new_catalog=narrow).is_breaking
    workspace.model_store.save_use_case(MlUseCase(READER.name, input_catalog=Digits, output_catalog=Scores))
    found = impact(workspace.reader, "digits@1.1.0", new_catalog=narrow)
    (broken,) = found.breaks
    assert (broken.ref, broken.type) == ("usecase:digit-reader", "use_case") and "label" in broken.reasons[0]
    assert [step.edge for step in broken.path][-1] == "contract" and checkpoint.ref in refs(found.touched)
    # A contract that asks for what the line does not have today is not broken by this.
    wide = Digits + catalog_of(other=INT)
    workspace.model_store.save_use_case(MlUseCase(READER.name, input_catalog=wide, output_catalog=Scores))
    assert not impact(workspace.reader, "digits@1.1.0", new_catalog=narrow).is_breaking


@pytest.mark.parametrize("version", ["0.1.0", "1.0.0"])
def test_what_breaks_is_never_mended_by_a_patch(world: World, version: str) -> None:
    """In 0.x taking one input less is a patch by the rules of a checkpoint; for what broke it is a change."""
    world.checkpoint("reader", version, world.batch(world.formula("digits", version), "one"))
    found = impact(world.reader, f"digits@{version}", new_catalog=Digits.only("pixels"))
    assert [item.bump for item in found.breaks] == ["minor"]
    assert "BREAKS  checkpoint:reader" in str(found) and "patch" not in str(found)
    assert "a new minor of it mends that" in str(found)


def test_the_next_version_is_one_that_is_free(world: World) -> None:
    world.formula("digits", "1.0.0")
    world.formula("digits", "1.1.0", Digits + catalog_of(x=INT))
    more = impact(world.reader, "digits@1.0.0", new_catalog=Digits + catalog_of(x=INT, y=INT))
    assert (more.bump, more.next_version, more.base) == ("minor", "1.2.0", "1.1.0")
    assert "the smallest legal version is 1.2.0, above 1.1.0" in str(more)
    other = impact(world.reader, "digits@1.0.0", new_catalog=Digits + catalog_of(y=INT))
    assert (other.bump, other.next_version) == ("minor", "2.0.0"), "1.1.0 has x, which would be lost"


def test_the_workspace_asks_the_same(workspace: Workspace) -> None:
    checkpoint = a_checkpoint(workspace)
    workspace.model_store.bless(checkpoint, reason="good")
    found = workspace.impact(DIGITS.ref, new_catalog=DIGITS.output_catalog.only("label"))
    assert refs(found.breaks) == [checkpoint.ref] and refs(found.aliases) == ["checkpoint:digit-reader@blessed"]
    assert checkpoint.id in workspace.downstream(DIGITS.ref).ids
    assert [hit.ref for hit in workspace.search("type:checkpoint upstream:digits@^1")] == [checkpoint.ref]
    assert "formula:digits@1.0.0" in [node.ref for node in checkpoint.upstream()]
