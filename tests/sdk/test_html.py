"""What a notebook shows of each artefact: everything escaped, saved or not, also when the store is gone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import jeyn
from jeyn import DataCatalog, DatasetFormula, Dtypes, Feature, MlUseCase, Workspace
from jeyn.formulas import CompositeFormula, StreamingFormula
from jeyn.sdk.artefact import Artefact, PayloadRef
from jeyn.sdk.catalog import CatalogType
from jeyn.sdk.evaluation import Evaluation, SerializerArtefact
from jeyn.sdk.html import card, scrolled, table
from jeyn.sdk.plan import Problem
from jeyn.sdk.value import Value
from jeyn.stores.catalog.changes import NewArtefact
from tests.stores.digits import DIGITS, READER, Digits, Scores, a_batch, a_checkpoint

HOSTILE = "<script>alert(1)</script>&\"'"
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 20


class Page(HTMLParser):
    """The tags that were opened and left open, and every tag and attribute."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == [], f"left open: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen |= {tag, *(name for name, _ in attrs)}
        if tag not in ("img", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen |= {tag, *(name for name, _ in attrs)}

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data + " "


def shown(what: Any) -> str:
    """The text of what is shown, once it is known to be well-formed and to do nothing."""
    text: str = what if isinstance(what, str) else what._repr_html_()
    page = Page(text)
    assert not {"script", "iframe", "link", "style-sheet"} & page.seen
    assert not any(name.startswith("on") for name in page.seen)
    assert not re.search(r"(?<![-\w])(color|background):(?!none)", text), "the page's own colours"
    return page.text


@pytest.fixture
def workspace(home: Path) -> Iterator[Workspace]:
    with jeyn.open(home=home, data=home.parent / "data", actor="ada") as opened:
        yield opened


def a_value(workspace: Workspace, data: bytes, format: str, output: str = "accuracy") -> Value:
    payload = workspace.keep(data, "value")
    value = Value(output=output, cache_key="sha256:" + "0" * 64, format=format, payload=payload)
    outcome = workspace.commit([NewArtefact(value.record())])[0]
    found: Value = workspace.bound(outcome.id)
    return found


def test_tables_and_cards_escape_all_but_their_parts() -> None:
    text = card(HOSTILE, [(HOSTILE, HOSTILE)], table([HOSTILE], [[HOSTILE]]), note=HOSTILE)
    assert "<script>" not in text and shown(text).count("<script>alert(1)</script>&\"'") == 6
    assert shown(table(["a", "b"], [[None, 0.123456789]])).split() == ["a", "b", "0.123457"]


def test_a_long_table_says_how_much_is_left_out() -> None:
    text = shown(table(["n"], ([n] for n in range(500)), most=10))
    assert "and 490 more" in text and " 11 " not in text


def test_unsaved_objects_are_shown(tmp_path: Path) -> None:
    batch = DIGITS.new_table({"x": [1.0], "label": [1]})
    checkpoint = READER.update_minor(dataset=batch, model=0, parents=["digit-reader@1.0.0"], metrics={"loss": 1 / 3})
    assert all(word in shown(batch) for word in ("new batch of digits", "not saved", "float64"))
    for word in (
        "new checkpoint of digit-reader",
        "digits, not saved",
        "digit-reader@1.0.0",
        "0.333333",
        "probability",
    ):
        assert word in shown(checkpoint)
    assert "usecase:digit-reader" in shown(READER) and "data/*.parquet" in shown(
        StreamingFormula("days", version="1.0.0", output_catalog=Digits, source="data/*.parquet")
    )
    # Its catalog is known once it is saved.
    assert "union" in shown(CompositeFormula("union", version="1.0.0", formulas=["digits@^1"]))
    payload = PayloadRef("value", "sha256:" + "0" * 64, 10)
    assert "json/1" in shown(Value(output="v", cache_key="k", format="json/1", payload=payload))
    assert "numpy" in shown(SerializerArtefact("numpy", "1"))
    assert "accuracy" in shown(Evaluation("reader", "sha256:1", None, {"accuracy": 0.5}))


def test_saved_batches_show_their_rows_and_statistics(workspace: Workspace) -> None:
    text = shown(a_batch(workspace))
    for word in (
        "batch:digits@1.0.0/1",
        "formula:digits@1.0.0",
        "rows",
        "10",
        "label",
        "mean",
        "ada",
        "UTC",
        "sha256:",
    ):
        assert word in text


def test_saved_checkpoints_show_where_they_come_from_and_whether_they_are_blessed(workspace: Workspace) -> None:
    first = a_checkpoint(workspace, 1, metrics={"accuracy": 0.91234567})
    assert "blessed no" in " ".join(shown(first).split())
    workspace.model_store.bless(first, reason="good")
    second = a_checkpoint(workspace, 2, parents=[first])
    assert "blessed yes" in " ".join(shown(first).split())
    assert "blessed no" in " ".join(shown(second).split())
    assert first.ref in shown(second) and "batch:digits@1.0.0/1" in shown(second)
    assert "0.912346" in shown(first) and "jeyn.numpy" in shown(first)


def test_every_artefact_of_a_workspace_is_shown(workspace: Workspace) -> None:
    checkpoint = a_checkpoint(workspace)
    workspace.model_store.save_evaluation(checkpoint, a_batch(workspace), {"accuracy": 0.5})
    a_value(workspace, b"0.5", "json/1")
    hits = workspace.search("", limit=100)
    kinds = {hit.type for hit in hits}
    assert {"dataset_batch", "dataset_formula", "evaluation", "model_checkpoint", "use_case", "value"} <= kinds
    for hit in hits:
        artefact = workspace.bound(hit.id)
        assert hit.id in shown(artefact) and artefact.type.replace("_", " ") in shown(artefact)
        assert isinstance(artefact, Artefact)


def test_values_show_what_is_small_and_safe(workspace: Workspace) -> None:
    assert "0.5" in shown(a_value(workspace, b"0.5", "json/1"))
    assert HOSTILE in shown(a_value(workspace, HOSTILE.encode(), "text/1"))
    long = a_value(workspace, b"x" * 10_000, "text/1")
    assert len(long._repr_html_()) < 5000 and "9.766 KiB" in shown(long)
    assert "10000" not in shown(a_value(workspace, b"x" * 100_000, "text/1"))
    picture = a_value(workspace, PNG, "file/1", output="confusion")
    shown(picture)
    assert 'src="data:image/png;base64,iVBORw0KGgo' in picture._repr_html_()
    page = a_value(workspace, b"<svg onload='x()'/>", "file/1", output="page")
    assert "<img" not in page._repr_html_() and "file/1" in shown(page)


def test_a_card_is_shown_when_the_bytes_or_the_store_are_gone(workspace: Workspace) -> None:
    value = a_value(workspace, b"0.5", "json/1")
    workspace.payloads.delete(value.payload.digest[7:])
    assert "json/1" in shown(value)


def test_names_from_elsewhere_are_escaped(workspace: Workspace) -> None:
    catalog = DataCatalog.of(HOSTILE, {HOSTILE: Feature(Dtypes.FLOAT64, description=HOSTILE)})
    formula = DatasetFormula("odd", version="1.0.0", output_catalog=catalog, description=HOSTILE)
    batch = workspace.dataset_store.save_batch(formula.new_table({HOSTILE: np.array([1.0])}))
    case = MlUseCase("odd-case", input_catalog=catalog, output_catalog=Scores, description=HOSTILE)
    made = case.update_minor(dataset=batch, model=np.array([1.0]), metrics={HOSTILE: 1.0})
    checkpoint = workspace.model_store.save_checkpoint(made)
    for each in (catalog, formula, batch, case, checkpoint):
        assert isinstance(each, Artefact | CatalogType)
        assert HOSTILE in shown(each) and "<script>" not in each._repr_html_()


def test_lineage_and_search_results_are_shown(workspace: Workspace) -> None:
    checkpoint = a_checkpoint(workspace, metrics={"accuracy": 0.25})
    lineage: Any = checkpoint.upstream()
    page = Page(lineage._repr_html_())
    assert {"svg", "path"} <= page.seen and "script" not in page.seen and "digits" in page.text
    found = shown(workspace.search("type:model_checkpoint"))
    assert "checkpoint:digit-reader@0.1.0" in found and "accuracy 0.25" in found
    assert "and more" in shown(workspace.search("", limit=1))
    assert "0 artefacts" in shown(workspace.search("name:nothing"))
    assert scrolled("<svg></svg>").count("<svg>") == 1


@jeyn.operation(retries=2)
def ingest(limit: int, note: str = HOSTILE) -> list[int]:
    return [limit]


@jeyn.operation
def train(x: int) -> float:
    return float(x)


@jeyn.pipeline
def nightly(limit: int = 3) -> Any:
    """Once a night."""
    rows = ingest(limit)
    with jeyn.when(rows):
        trained = train.map(x=rows)
    return {"model": trained}


def test_a_plan_is_shown_with_its_wiring_and_its_problems() -> None:
    plan = nightly()
    problem = Problem(error="Invalid", operation="train", message=f"wrong {HOSTILE}", hint="do otherwise")
    text = shown(replace(plan, problems=(problem,)))
    for part in ("nightly(limit=3)", "limit=3", "each x=ingest", "retries=2", HOSTILE, "gives model", "Once a night."):
        assert part in text
    assert "problem: train: wrong" in text and "→ do otherwise" in text
    assert "backoff" not in text  # what is as always need not be said
    assert str(plan).splitlines()[0] == "nightly(limit=3)" and "└─ train(each x=ingest)  when ingest" in str(plan)
    assert pretty(plan) == str(plan)


def test_a_difference_and_an_impact_are_shown(workspace: Workspace) -> None:
    first = a_checkpoint(workspace, metrics={"accuracy": 0.25})
    second = a_checkpoint(workspace, seed=2, metrics={"accuracy": 0.5, HOSTILE: 1.0})
    differs = workspace.diff(first, second)
    text = shown(differs)
    assert f"{first.ref} → {second.ref}" in text and "0.25" in text and HOSTILE in text and "metrics" in text
    assert "they do not differ" in shown(workspace.diff(first, first))
    formula = first.dataset.formula  # type: ignore[union-attr]
    touched = workspace.impact(formula)
    text = shown(touched)
    assert "impact of" in text and second.ref in text and "touched" in text and "0 would break" in text
    broken = workspace.impact(formula, new_catalog=DataCatalog.of("Less", {"other": Feature(Dtypes.INT64)}))
    text = shown(broken)
    assert "breaks" in text and first.ref in text and "would change" in text
    for each in (differs, touched, broken):
        assert pretty(each) == str(each)


def pretty(what: Any) -> str:
    """What a notebook shows where it shows text."""
    said: list[str] = []

    class Printer:
        text = staticmethod(said.append)

    what._repr_pretty_(Printer(), False)
    return "".join(said)
