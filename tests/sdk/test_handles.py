"""Handles, conditions and branches: what can be done with a value that is not there yet, and the cure for the rest."""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest

import jeyn
from jeyn import operation, pipeline
from jeyn.errors import NotDigestible, PlanInvalid, UsageError
from jeyn.sdk.plan import AllOf, AnyOf, Compare, Constant, First, Not, Output, Plan, PlannedOperation, Truth


class Split(NamedTuple):
    train: list[int]
    holdout: list[int]


@dataclass
class Report:
    accuracy: float
    good: bool


@operation
def score() -> float:
    return 0.5


@operation
def split() -> Split:
    return Split([1], [2])


@operation
def report() -> Report:
    return Report(0.5, True)


@operation
def pair() -> tuple[int, str]:
    return 1, "a"


@operation
def take(value: Any = None) -> Any:
    return value


SCORE = Output(operation="score")
GOOD = Compare(operator=">", left=SCORE, right=Constant(value=0.9))


def plan_of(body: Callable[[], Any]) -> Plan:
    found: Plan = pipeline(body)()
    return found


def fails(call: Callable[[Any], Any]) -> UsageError:
    def body() -> None:
        call(score())

    with pytest.raises(UsageError) as caught:
        plan_of(body)
    assert caught.value.hint
    return caught.value


def taken(call: Callable[[Any], Any]) -> PlannedOperation:
    """The operation `take` as recorded under `when(call(score()))`."""

    def body() -> None:
        with jeyn.when(call(score())):
            take()

    return plan_of(body).operations[-1]


@pytest.mark.parametrize(
    ("call", "cure"),
    [
        (bool, "jeyn.when"),
        (lambda h: h and 1, "jeyn.when"),
        (lambda h: not h, "jeyn.when"),
        (lambda h: 1 if h > 0.9 else 2, "jeyn.when"),
        (lambda h: 0.1 < h < 0.9, "(0.5 < a) & (a < 0.9)"),
        (lambda h: h > 0.9 and h < 1, "& | ~"),
        (lambda h: [*h], ".map("),
        (lambda h: operator.itemgetter(0)(h), "pass the handle to an operation"),
        (lambda h: h.accuracy, "pass the handle to an operation"),
        (lambda h: h(), "pass the handle to an operation"),
        (lambda h: h + 1, "pass the handle to an operation"),
        (lambda h: 1 - h, "pass the handle to an operation"),
        (lambda h: -h, "pass the handle to an operation"),
        (lambda h: np.float64(1) * h, "pass the handle to an operation"),
        (float, "pass the handle to an operation"),
        (len, "pass the handle to an operation"),
        (lambda h: 1 in h, "pass the handle to an operation"),
        (range, "pass the handle to an operation"),
        (lambda h: f"model-{h}", "pass the handle to an operation"),
        (lambda h: h > 0.9 & h, "bind tightly"),
        (lambda h: h > (h > 0.9), "& | ~"),
        (lambda h: (h > 0.9) == True, "& | ~"),  # noqa: E712
        (lambda h: (h > 0.9) != (h > 1), "& | ~"),
        (lambda h: bool(split()), ".train"),
        (lambda h: split() == 3, ".train"),
        (lambda h: pair() != 3, "unpacked"),
    ],
)
def test_rule_23_a_handle_has_no_value_and_says_what_to_do(call: Any, cure: str) -> None:
    error = fails(call)
    assert cure in error.hint


def test_a_handle_survives_what_debuggers_and_notebooks_do() -> None:
    def body() -> None:
        handle = score()
        assert repr(handle) == '<handle of "score">'
        assert not hasattr(handle, "_repr_html_")
        assert {handle: 1}[handle] == 1
        assert handle in [handle]  # found by identity; == would be a condition
        assert repr(copy.copy(handle)) == repr(handle)
        assert repr(split()) == '<handles of "split": train, holdout>'

    assert plan_of(body).operations


@pytest.mark.parametrize("symbol", ["==", "!=", "<", "<=", ">", ">="])
def test_rule_23_comparisons_become_conditions(symbol: Any) -> None:
    compare = {"==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt}
    call = compare.get(symbol, operator.ge)
    found = taken(lambda h: call(h, 0.9)).conditions
    assert found == (Compare(operator=symbol, left=SCORE, right=Constant(value=0.9)),)


def test_rule_23_conditions_combine() -> None:
    assert taken(lambda h: h).conditions == (Truth(source=SCORE),)
    assert taken(lambda h: 0.9 < h).conditions == (GOOD,)  # noqa: SIM300
    assert taken(lambda h: np.float64(0.9) < h).conditions == (GOOD,)
    assert taken(lambda h: (h > 0.9) & h).conditions == (AllOf(conditions=(GOOD, Truth(source=SCORE))),)
    assert taken(lambda h: h | ~(h > 0.9)).conditions == (AnyOf(conditions=(Truth(source=SCORE), Not(condition=GOOD))),)
    assert taken(lambda h: True & (h > 0.9)).conditions == (
        AllOf(conditions=(Truth(source=Constant(value=True)), GOOD)),
    )
    assert taken(lambda h: h == h).conditions == (Compare(operator="==", left=SCORE, right=SCORE),)
    assert taken(lambda h: False).conditions == (Truth(source=Constant(value=False)),)


def test_what_cannot_be_compared_is_named() -> None:
    assert isinstance(fails(lambda h: h == {1}), NotDigestible)
    assert "many items" in fails(lambda h: jeyn.when(take.map(value=[1]) > 1).__enter__()).message  # type: ignore[operator]
    assert "2 outputs" in fails(lambda h: jeyn.when(split()).__enter__()).message
    assert "many items" in fails(lambda h: jeyn.when(take.map(value=[1])).__enter__()).message


def test_rule_23_otherwise_negates_the_when_above() -> None:
    def body() -> Any:
        handle = score()
        with jeyn.when(handle > 0.9):
            good = take(1)
            with jeyn.when(handle):
                take.options(name="inner")()
            with jeyn.otherwise():
                take.options(name="inner-not")()
        with jeyn.otherwise():
            bad = take.options(name="bad")(2)
        take.options(name="after")()
        return jeyn.first(good, bad)

    plan = plan_of(body)
    truth = Truth(source=SCORE)
    assert {each.name: each.conditions for each in plan.operations} == {
        "score": (),
        "take": (GOOD,),
        "inner": (GOOD, truth),
        "inner-not": (GOOD, Not(condition=truth)),
        "bad": (Not(condition=GOOD),),
        "after": (),
    }
    assert plan.outputs == {"return": First(choices=(Output(operation="take"), Output(operation="bad")))}


def otherwise() -> None:
    with jeyn.otherwise():
        take()


def after_an_operation(handle: Any) -> None:
    with jeyn.when(handle):
        take()
    take()
    otherwise()


def twice(handle: Any) -> None:
    with jeyn.when(handle):
        take()
    otherwise()
    otherwise()


def inside_a_pipeline(handle: Any) -> None:
    with jeyn.when(handle):
        take()
    pipeline(otherwise)()


def after_a_pipeline(handle: Any) -> None:
    with jeyn.when(handle):
        take()
    pipeline(nothing_else)()
    otherwise()


def nothing_else() -> None:
    pass


def one_level_down(handle: Any) -> None:
    with jeyn.when(handle):
        take()
        otherwise()


@pytest.mark.parametrize(
    "call", [lambda h: otherwise(), after_an_operation, twice, inside_a_pipeline, after_a_pipeline, one_level_down]
)
def test_rule_23_otherwise_must_follow_its_when(call: Any) -> None:
    assert "does not follow a jeyn.when" in fails(call).message


def test_conditions_hold_inside_nested_pipelines() -> None:
    @pipeline
    def inner() -> Any:
        with jeyn.when(score.options(name="other")()):
            return take()

    def body() -> None:
        with jeyn.when(score() > 0.9):
            inner()

    *_, other, found = plan_of(body).operations
    assert (other.name, other.conditions) == ("inner/other", (GOOD,))
    assert found.conditions == (GOOD, Truth(source=Output(operation="inner/other")))


def test_several_outputs_are_named_by_field_or_position() -> None:
    def body() -> Any:
        holdout = split().holdout
        accuracy, good = report()
        number, text = pair()
        take([holdout, accuracy, good, number, text, pair()[-1]])
        return report()

    plan = plan_of(body)
    assert plan.operations[0].outputs == {"train": "list[int]", "holdout": "list[int]"}
    assert plan.operations[1].outputs == {"accuracy": "float", "good": "bool"}
    assert plan.operations[2].outputs == {"0": "int", "1": "str"}
    found = [(item.operation, item.output) for item in plan.operations[4].inputs["value"].items]  # type: ignore[union-attr]
    assert found == [
        ("split", "holdout"),
        ("report", "accuracy"),
        ("report", "good"),
        ("pair", "0"),
        ("pair", "1"),
        ("pair-2", "1"),
    ]
    assert plan.outputs == {
        "accuracy": Output(operation="report-2", output="accuracy"),
        "good": Output(operation="report-2", output="good"),
    }


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda h: split().test, 'has no output "test"'),
        (lambda h: pair()[2], 'has no output "2"'),
        (lambda h: take(split()), "2 outputs"),
        (lambda h: take(h > 1), "is a condition"),
        (lambda h: take({"score": h}), "dict that holds handles"),
        (lambda h: jeyn.first(h), "two or more"),
    ],
)
def test_misuse_of_outputs_is_explained(call: Any, message: str) -> None:
    assert message in fails(call).message


def test_outputs_of_a_mapped_operation_are_mapped() -> None:
    def body() -> None:
        accuracy = two.map(x=[1, 2])
        take.map(value=accuracy.good)  # type: ignore[attr-defined]
        take(accuracy.accuracy)  # type: ignore[attr-defined]

    _, mapped, collected = plan_of(body).operations
    assert (mapped.mapped, mapped.inputs) == (("value",), {"value": Output(operation="two", output="good")})
    assert (collected.mapped, collected.inputs) == ((), {"value": Output(operation="two", output="accuracy")})


@operation
def two(x: int) -> Report:
    return Report(x, True)


def test_a_handle_belongs_to_its_recording() -> None:
    kept: list[Any] = []

    def leak() -> None:
        kept.append(score())

    plan_of(leak)
    with pytest.raises(PlanInvalid, match="another recording"):
        plan_of(use_kept(kept))
    with pytest.raises(PlanInvalid, match="another recording"):
        _ = kept[0] > 0.9


def use_kept(kept: list[Any]) -> Callable[[], None]:
    def body() -> None:
        take(kept[0])

    return body


@pytest.mark.parametrize("call", [lambda: jeyn.when(True), jeyn.otherwise])
def test_branches_are_for_pipelines(call: Any) -> None:
    with pytest.raises(UsageError, match="outside a pipeline"):
        with call():
            pass
    with pytest.raises(UsageError, match="outside a pipeline"):
        jeyn.first(1, 2)


# `is`, which no handle hears.


def with_handle(body: Callable[[Any], Any]) -> UsageError | None:
    """What `when` says to the condition that a body makes of a handle."""

    @jeyn.pipeline
    def flow() -> None:
        body(score())

    try:
        flow()
    except UsageError as exc:
        return exc
    return None


def asks_at_once(handle: Any) -> None:
    with jeyn.when(handle is None):
        take(1)


def asks_the_other_way(handle: Any) -> None:
    with jeyn.when(handle is not None and 3 > 2):
        take(1)


def asks_before(handle: Any) -> None:
    missing = None is handle
    with jeyn.when(missing):
        take(1)


def asks_an_output(handle: Any) -> None:
    with jeyn.when(split().holdout is not None):
        take(1)


def asks_in_two_lines(handle: Any) -> None:
    with jeyn.when(
        handle is True,
    ):
        take(1)


@pytest.mark.parametrize(
    "body", [asks_at_once, asks_the_other_way, asks_before, asks_an_output, asks_in_two_lines], ids=lambda b: b.__name__
)
def test_rule_23_what_is_says_of_a_handle_is_refused(body: Callable[[Any], Any]) -> None:
    refused = with_handle(body)
    assert refused is not None
    assert "asks of the handle, not of its value" in refused.message
    assert "handle == None" in refused.hint


def known_flag(handle: Any) -> None:
    limit = None
    with jeyn.when(limit is None):
        take(1)
    with jeyn.when(3 > 2):
        take(1)
    with jeyn.when(handle == None):  # noqa: E711
        take(1)


def test_what_is_known_while_recording_stays_a_condition() -> None:
    assert with_handle(known_flag) is None
