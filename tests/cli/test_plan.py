"""`jeyn plan`: the view of a plan, and the command over a real pipeline."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest

from jeyn.cli.output import safe
from jeyn.cli.plan import first_problem
from jeyn.cli.plan_view import options_text, plan_text
from jeyn.errors import CatalogMismatch
from jeyn.sdk.plan import (
    AllOf,
    AnyOf,
    Compare,
    Condition,
    Constant,
    FileInput,
    First,
    Items,
    Not,
    Options,
    Output,
    Plan,
    PlannedOperation,
    PlannedParameter,
    Problem,
    Ref,
    Source,
    Truth,
)
from jeyn.sdk.plan_text import condition_text, tree
from jeyn.workflows.forecast import Forecast
from tests.cli.conftest import call


def op(name: str, **inputs: Source) -> PlannedOperation:
    return PlannedOperation(name=name, function=f"pipeline:{name}", inputs=inputs)


def nightly(**changes: Any) -> Plan:
    plan = Plan(
        pipeline="nightly",
        description="Trains every night.",
        parameters={"strength": PlannedParameter(type="float", value=0.5)},
        operations=(
            op("ingest"),
            op("train", batch=Output(operation="ingest"), strength=Constant(value=0.5)),
            op("report", batch=Output(operation="ingest")),
            op("bless", checkpoint=Output(operation="train"), batch=Ref(reference="digits@^1/latest")),
        ),
        outputs={"return": Output(operation="bless")},
    )
    return replace(plan, **changes)


def test_the_tree_has_each_operation_once_below_the_last_one_it_waits_for() -> None:
    assert list(tree(nightly())) == [
        "ingest()",
        "├─ train(batch=ingest, strength=0.5)",
        "│  └─ bless(checkpoint=train, batch=digits@^1/latest)",
        "└─ report(batch=ingest)",
        "→ bless",
    ]


def test_the_tree_shows_mapped_inputs_conditions_and_the_exit_handler() -> None:
    fit = op("fit", part=Output(operation="split", output="parts"))
    guard = Compare(operator=">", left=Output(operation="split", output="n"), right=Constant(value=3))
    plan = nightly(
        operations=(op("split"), replace(fit, mapped=("part",), conditions=(guard,))),
        outputs={"a": Output(operation="fit"), "b": Items(items=(Output(operation="split"),))},
        on_exit=op("tidy"),
    )
    assert list(tree(plan)) == [
        "split()",
        "└─ fit(each part=split.parts)  when split.n > 3",
        "at the end: tidy()",
        "→ a = fit",
        "→ b = [split]",
    ]


def test_a_chain_of_thousands_is_cut_where_nobody_reads_on() -> None:
    chain = [op("op-0")] + [op(f"op-{n}", x=Output(operation=f"op-{n - 1}")) for n in range(1, 5000)]
    lines = list(tree(nightly(operations=tuple(chain))))
    assert lines[-2].strip() == "└─ …"
    assert len(lines) < 60
    wide = list(tree(nightly(operations=tuple(op(f"op-{n}") for n in range(5000)))))
    assert wide[-2] == "… 5,000 operations in all; --json has every one"


def test_a_cycle_can_be_drawn() -> None:
    cycle = (op("a", x=Output(operation="b")), op("b", x=Output(operation="a")))
    assert list(tree(nightly(operations=cycle)))[:2] == ["a(x=b)", "└─ b(x=a)"]


@pytest.mark.parametrize(
    ("condition", "text"),
    [
        (Truth(source=Output(operation="a")), "a"),
        (Not(condition=Truth(source=Output(operation="a"))), "not (a)"),
        (
            AllOf(conditions=(Truth(source=FileInput(path="x.csv")), Truth(source=Constant(value="z" * 60)))),
            f"(x.csv) and ('{'z' * 38}…)",
        ),
        (AnyOf(conditions=(Truth(source=First(choices=tuple(Output(operation=c) for c in "abcdefg"))),)),
         "(first(a, b, c, d, e, … 2 more))"),
    ],
)  # fmt: skip
def test_conditions_read_as_they_are_written(condition: Condition, text: str) -> None:
    assert condition_text(condition) == text


def test_only_options_that_were_set_are_shown() -> None:
    assert options_text(Options()) == ""
    options = Options(retries=2, timeout=90, cache=False, resources={"memory": "1Gi", "cpu": 1}, image="x:1")
    assert options_text(options) == "retries 2, timeout 1 min 30 s, no cache, cpu 1, memory 1Gi, image x:1"


def test_the_text_has_table_tree_and_problems() -> None:
    problem = Problem(error="CatalogMismatch", message='feature "pixels" is missing', hint="add it", operation="train")
    plan = nightly(problems=(problem,))
    forecasts = [
        Forecast("ingest", "cached", seconds=0.25),
        Forecast("train", "run", "input batch differs", 61.0),
        Forecast("report", "depends", "on what train will give"),
    ]
    lines = click.unstyle(safe(plan_text(plan, forecasts))).splitlines()
    assert lines[0] == "nightly(strength=0.5)  Trains every night."
    assert lines[2].split() == ["OPERATION", "WOULD", "WHY", "BEFORE", "OPTIONS"]
    assert lines[3].split() == ["ingest", "be", "cached", "0.2", "s"]
    assert lines[4].startswith("train      run        input batch differs              1 min 01 s")
    assert lines[5] == "report     maybe run  depends on what train will give"
    assert lines[-2:] == ['problem: train: feature "pixels" is missing', "  → add it"]
    error = first_problem(plan)
    assert isinstance(error, CatalogMismatch)
    assert (error.message, error.hint) == ('operation "train": feature "pixels" is missing', "add it")


def test_a_plan_without_problems_is_no_error() -> None:
    assert first_problem(nightly()) is None


def test_a_plan_of_a_file_says_what_would_run_and_what_the_cache_has(flow: Path) -> None:
    answer = call("plan", "flow.py", "--set", "rows=3", "--json")
    assert answer.code == 0, answer.err
    assert answer.data["plan"]["parameters"]["rows"]["value"] == 3
    assert [each["decision"] for each in answer.data["forecast"]] == ["run", "depends", "depends"]
    call("run", "flow.py")
    (flow / "plan.json").write_text(call("plan", "flow.py", "--json").out)
    for target in ("flow.py", "plan.json"):
        again = call("plan", target, "--json")
        assert [each["decision"] for each in again.data["forecast"]] == ["cached"] * 3
        assert all(each["seconds"] is not None for each in again.data["forecast"])
    forced = call("plan", "flow.py", "--no-cache", "--json")
    assert forced.data["forecast"][0]["decision"] == "run"
    assert call("plan", "flow.py").out.endswith("→ check\n")


def test_problems_are_shown_and_give_the_exit_code(flow: Path) -> None:
    (flow / "wrong.py").write_text(
        "import jeyn\n@jeyn.operation\ndef one() -> int:\n    return 1\n"
        "@jeyn.operation\ndef two(text: str) -> str:\n    return text\n"
        "@jeyn.pipeline\ndef wrong():\n    return two(one())\n"
    )
    answer = call("plan", "wrong.py")
    assert answer.code == 6, answer.err
    assert "two(text=one)" in answer.out
    assert "problem: two: " in answer.out
    document = call("plan", "wrong.py", "--json").document
    assert (document["ok"], document["error"]["code"]) == (False, "WRONG_TYPE")
    assert len(document["data"]["plan"]["problems"]) == 1
    assert call("run", "wrong.py").code == 6
