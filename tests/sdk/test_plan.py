"""Plans as data: read in full or restored as they were written, and options taken at one look or checked in full."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from jeyn.errors import Invalid, UsageError
from jeyn.sdk.options import checked_options
from jeyn.sdk.plan import (
    AllOf,
    AnyOf,
    Compare,
    Constant,
    FileInput,
    First,
    FunctionCode,
    Items,
    Not,
    Options,
    Output,
    Plan,
    PlannedOperation,
    PlannedParameter,
    Problem,
    Ref,
    SecretInput,
    Truth,
    checked,
)

EVERYTHING = Plan(
    pipeline="nightly",
    function="pipeline:nightly",
    parameters={"strength": PlannedParameter(type="float", value=math.inf)},
    operations=(
        PlannedOperation(
            name="train",
            function="pipeline:train",
            inputs={
                "kind": Constant(value={"kind": "items", "items": [1, 2.0, None]}),
                "parts": Items(items=(Output(operation="split", output="n"), Ref(reference="digits@1.0.0"))),
                "either": First(choices=(FileInput(path="a.csv"), SecretInput(name="key", key="token"))),
            },
            mapped=("parts",),
            outputs={"a": "int", "b": ""},
            conditions=(
                AllOf(
                    conditions=(
                        Compare(operator=">", left=Output(operation="split"), right=Constant(value=1)),
                        AnyOf(conditions=(Not(condition=Truth(source=Output(operation="split"))),)),
                    )
                ),
            ),
            options=Options(retries=2, timeout=1.0, resources={"cpu": 1, "memory": "1Gi"}, sidecar="dapr"),
        ),
    ),
    parallelism=3,
    outputs={"return": Output(operation="train", output="a")},
    on_exit=PlannedOperation(name="tidy", function="pipeline:tidy"),
    code={"pipeline:train": FunctionCode(digest="d", environment="e", parts={"train": "x"})},
    problems=(Problem(error="Invalid", message="no"),),
)


def test_what_is_restored_is_what_was_dumped() -> None:
    text = EVERYTHING.dump()
    assert Plan.restored(text.encode()) == Plan.from_json(text) == EVERYTHING
    assert Plan.restored(text.encode()).dump() == text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": "plan/2"}, '"version" Input should be'),
        ({"speed": 1}, '"speed" Extra inputs are not permitted'),
        ({"operations": [{"name": "a"}]}, '"operations.0.function" Field required'),
        ({"operations": [{"name": "a", "function": "b:c", "speed": 1}]}, '"operations.0.speed" Extra inputs'),
        ({"outputs": {"return": {"kind": "magic"}}}, '"outputs.return" Input tag'),
    ],
)
def test_a_plan_of_another_jeyn_is_refused_by_both(change: dict[str, Any], said: str) -> None:
    text = json.dumps({**json.loads(EVERYTHING.dump()), **change})
    for read in (lambda: Plan.from_json(text), lambda: Plan.restored(text.encode())):
        with pytest.raises(Invalid, match=f"not a plan: {said}"):
            read()


@pytest.mark.parametrize(
    "options",
    [
        {"retries": 0},
        {"retries": 1000},
        {"retries": True},
        {"retries": "2"},
        {"retries": 2.0},
        {"backoff": 0},
        {"backoff": 2},
        {"backoff": math.inf},
        {"timeout": 5},
        {"timeout": None},
        {"timeout": "5"},
        {"resources": {"cpu": 1, "gpu": 0.5, "memory": "1Gi"}},
        {"resources": {"cpu": True}},
        {"cache": False},
        {"cache": "no"},
        {"image": None},
        {"image": "team/x:1"},
        {"k8s": {"spec": [1]}},
        {"sidecar": "dapr"},
    ],
)
def test_options_are_the_same_at_one_look_and_in_full(options: dict[str, Any]) -> None:
    found, full = checked_options(options, "it"), checked(Options, options)
    assert vars(found).keys() >= {"retries"} and repr(found) == repr(full)  # also 1 apart from 1.0 and True
    assert set(found.said) == set(options)


@pytest.mark.parametrize(
    "options",
    [
        {"retries": -1},
        {"retries": 1001},
        {"retries": 1.5},
        {"backoff": -1},
        {"timeout": 0},
        {"timeout": math.nan},
        {"resources": {"cpu": [1]}},
        {"resources": {1: 1}},
        {"cache": 3},
        {"image": 3},
        {"sidecar": "none"},
    ],
)
def test_what_is_wrong_is_refused_with_its_value(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        checked(Options, options)
    with pytest.raises(UsageError, match=f"it has {next(iter(options))}"):
        checked_options(options, "it")
