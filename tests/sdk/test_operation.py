"""Operations: the plain function outside a pipeline, a step of the plan inside one, with clear refusals."""

from __future__ import annotations

import time
from dataclasses import make_dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import jeyn
from jeyn import operation, pipeline
from jeyn.errors import InvalidReference, NotDigestible, PlanInvalid, UsageError
from jeyn.sdk.operation import Operation
from jeyn.sdk.plan import Constant, FileInput, Items, Options, Output, Plan, PlannedOperation, Ref
from jeyn.sdk.recorder import current_recorder
from jeyn.sdk.use_case import MlUseCase


class Size(StrEnum):
    SMALL = "small"


@operation
def ingest() -> list[int]:
    """Read the numbers.

    More about it.
    """
    return [1, 2]


@operation(retries=2, resources={"cpu": 1, "memory": "1Gi"})
def train(batch: list[int], strength: float = 1.0) -> float:
    return sum(batch) * strength


@operation
def anything(value: Any = None) -> Any:
    return value


@operation
def collect(values: list[float]) -> float:
    return sum(values)


@operation
def needs_set(value: Any = {1, 2}) -> None:  # noqa: B006
    return None


def plan_of(body: Any) -> Plan:
    found: Plan = pipeline(body)()
    return found


def recorded(*args: Any, **kwargs: Any) -> PlannedOperation:
    """`anything(…)` as a plan has it."""
    return plan_of(body_of(lambda: anything(*args, **kwargs))).operations[0]


def body_of(call: Any) -> Any:
    def body() -> None:
        call()

    return body


def fails(call: Any) -> str:
    with pytest.raises(UsageError) as caught:
        plan_of(body_of(call))
    assert caught.value.exit_code == 2
    assert caught.value.hint
    assert current_recorder() is None
    return str(caught.value)


def test_rule_24_outside_a_pipeline_an_operation_is_the_plain_function() -> None:
    assert train([1, 2], strength=2.0) == 6.0
    assert (train.__name__, ingest.__doc__) == ("train", ingest.function.__doc__)
    assert train.bind(batch=[3])(strength=2.0) == 6.0
    assert train.bind(strength=3.0).map(batch=[[1], [2]]) == [3.0, 6.0]
    assert train.options(retries=5)([1]) == 1.0
    with pytest.raises(TypeError, match="unexpected keyword"):
        train([1], strenght=2.0)  # type: ignore[call-arg]


def test_what_an_operation_knows() -> None:
    assert isinstance(train, Operation)
    assert train.reference == f"{__name__}:train"
    assert train.default_options == Options(retries=2, resources={"cpu": 1, "memory": "1Gi"})
    assert operation(uses="plugins")(train.function).uses == ("plugins",)
    assert repr(train) == f"<operation {__name__}:train>"


def test_a_call_is_recorded_and_nothing_runs() -> None:
    plan = plan_of(body_of(lambda: train(ingest(), 0.5)))
    first, second = plan.operations
    assert (first.name, first.function, first.description) == ("ingest", f"{__name__}:ingest", "Read the numbers.")
    assert (first.inputs, first.outputs, first.mapped) == ({}, {"return": "list[int]"}, ())
    assert second.inputs == {"batch": Output(operation="ingest"), "strength": Constant(value=0.5)}
    assert second.options.retries == 2
    assert plan.problems == ()


def test_a_default_is_an_input_like_any_other() -> None:
    (found,) = plan_of(body_of(lambda: train([1]))).operations
    assert found.inputs == {"batch": Constant(value=[1]), "strength": Constant(value=1.0)}


def test_each_call_has_its_own_name() -> None:
    def body() -> None:
        ingest()
        ingest()
        ingest.options(name="ingest-3")()
        ingest()
        train.options(name="fit")([1])

    assert [each.name for each in plan_of(body).operations] == ["ingest", "ingest-2", "ingest-3", "ingest-4", "fit"]


def test_two_functions_of_one_name_are_refused() -> None:
    message = fails(lambda: (ingest(), train.options(name="ingest")([1])))
    assert 'two operations are called "ingest"' in message
    assert "train" in message and ".options(name=" in message


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (None, None),
        (True, True),
        (2**70, 2**70),
        ("ä", "ä"),
        ((1, (2, 3)), [1, [2, 3]]),
        ({"a": [1, {"b": None}]}, {"a": [1, {"b": None}]}),
        (np.float64(0.5), 0.5),
        (Size.SMALL, "small"),
    ],
)
def test_constants_are_kept_as_json_has_them(value: Any, kept: Any) -> None:
    found = recorded(value).inputs["value"]
    assert isinstance(found, Constant)
    assert found == Constant(value=kept)
    assert type(found.value) is type(kept)


def test_a_constant_is_a_copy() -> None:
    value = [1, [2]]

    def body() -> None:
        anything(value)
        value.append(3)

    assert plan_of(body).operations[0].inputs["value"] == Constant(value=[1, [2]])


def test_references_files_and_lists_of_them_are_inputs() -> None:
    assert recorded(jeyn.ref("digits@^1/latest")).inputs["value"] == Ref(reference="digits@^1/latest")
    assert recorded(jeyn.Reference.parse("digits@^1")).inputs["value"] == Ref(reference="digits@^1")
    assert recorded(jeyn.File(Path("data") / "labels.csv")).inputs["value"] == FileInput(path="data/labels.csv")
    found = recorded([jeyn.ref("a"), [1, jeyn.File("x")], {"k": 1}]).inputs["value"]
    inner = Items(items=(Constant(value=1), FileInput(path="x")))
    assert found == Items(items=(Ref(reference="a"), inner, Constant(value={"k": 1})))
    with pytest.raises(InvalidReference):
        jeyn.ref("no reference!")


def test_handles_in_lists_are_items() -> None:
    (*_, found) = plan_of(body_of(lambda: anything([ingest(), ingest()]))).operations
    assert found.inputs["value"] == Items(items=(Output(operation="ingest"), Output(operation="ingest-2")))


Here = make_dataclass("Here", [], namespace={"__module__": "__main__"})


@pytest.mark.parametrize(
    ("value", "kind", "cure"),
    [
        ({1, 2}, "set", "sorted"),
        (Path("x"), "Path", "jeyn.File"),
        (np.int64(3), "numpy.int64", ".item()"),
        (np.zeros(3), "numpy.ndarray", "inside an operation"),
        (Here(), "Here", "at the top of a module"),
        (b"x", "bytes", "jeyn.File"),
        (object(), "object", "the output of an operation"),
        (sum, "function", "the output of an operation"),
        ({1: "x"}, 'the key "1"', "text"),
        ([[object()]], "object", "jeyn.ref"),
        ({"file": jeyn.File("x")}, "dict", "parameter of its own"),
        (MlUseCase("u", input_catalog=jeyn.DataCatalog, output_catalog=jeyn.DataCatalog), "not saved", "save it"),
    ],
)
def test_rule_18_what_no_key_can_cover_is_refused(value: Any, kind: str, cure: str) -> None:
    with pytest.raises(NotDigestible) as caught:
        recorded(value)
    assert '"value" of the operation "anything"' in caught.value.message
    assert kind in caught.value.message
    assert cure in caught.value.hint


def test_what_holds_itself_is_refused() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(NotDigestible, match="nested deeper"):
        recorded(value)


def test_a_default_that_no_key_can_cover_is_named() -> None:
    assert 'the default of "value"' in fails(lambda: needs_set())
    assert plan_of(body_of(lambda: needs_set(1))).operations[0].inputs == {"value": Constant(value=1)}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: train(), 'is not given "batch"'),  # type: ignore[call-arg]
        (lambda: train([1], strenght=2.0), 'did you mean "strength"?'),  # type: ignore[call-arg]
        (lambda: train([1], 2.0, 3.0), "is given 3 arguments and takes 2"),  # type: ignore[call-arg]
        (lambda: train([1], batch=[2]), 'is given "batch" twice'),  # type: ignore[misc]
        (lambda: ingest(1), "it takes none"),  # type: ignore[call-arg]
        (lambda: train.map(batc=[1]), 'did you mean "batch"?'),
        (lambda: train.bind(batch=[1]).map(batch=[[1]]), "which is bound"),
        (lambda: train.map(), "mapped over nothing"),
        (lambda: train.map(strength=[1.0]), 'is not given "batch"'),
        (lambda: train.map(batch=[[1]], strength=[1.0, 2.0]), '"batch" has 1, "strength" has 2'),
        (lambda: train.map(batch={"a": 1}), "list(…)"),
        (lambda: train.map(batch="abc"), "which is a str"),
        (lambda: train.bind(batc=[1]), 'did you mean "batch"?'),
    ],
)
def test_a_wrong_call_names_the_operation_and_the_parameter(call: Any, message: str) -> None:
    found = fails(call)
    assert message in found
    assert '"train"' in found or '"ingest"' in found


def test_rule_23_map_records_one_mapped_operation() -> None:
    def body() -> None:
        batch = ingest()
        scores = train.bind(batch=batch).map(strength=[0.1, 1.0])
        again = anything.map(value=scores)
        collect(again)

    _, mapped, again, collected = plan_of(body).operations
    assert mapped.mapped == ("strength",)
    assert mapped.inputs == {"batch": Output(operation="ingest"), "strength": Constant(value=[0.1, 1.0])}
    assert (again.mapped, again.inputs) == (("value",), {"value": Output(operation="train")})
    assert (collected.mapped, collected.inputs) == ((), {"values": Output(operation="anything")})


def test_rule_23_map_takes_handles_ranges_and_lists_of_handles() -> None:
    def body() -> None:
        anything.map(value=ingest())
        anything.map(value=range(3))
        anything.map(value=[])
        anything.map(value=[ingest(), 5])

    found = {each.name: each.inputs.get("value") for each in plan_of(body).operations}
    assert found["anything"] == Output(operation="ingest")
    assert found["anything-2"] == Constant(value=[0, 1, 2])
    assert found["anything-3"] == Constant(value=[])
    assert found["anything-4"] == Items(items=(Output(operation="ingest-2"), Constant(value=5)))


def test_options_are_a_copy() -> None:
    found = train.options(timeout=5, name="fit")
    assert (found.name, found.default_options.timeout, found.default_options.retries) == ("fit", 5.0, 2)
    assert (train.name, train.default_options.timeout) == ("train", None)
    assert set(found.default_options.said) == {"retries", "resources", "timeout"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"retrys": 2}, 'did you mean "retries"?'),
        ({"retries": -1}, 'retries="-1"'),
        ({"timeout": 0}, 'timeout="0"'),
        ({"timeout": "soon"}, "number"),
    ],
)
def test_wrong_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match="train") as caught:
        train.options(**options)
    assert message in str(caught.value)
    with pytest.raises(UsageError):
        operation(**options)(train.function)


@pytest.mark.parametrize("name", ["", "a/b", "a[0]", "a b", 5])
def test_a_name_that_cannot_be_in_a_plan_is_refused(name: Any) -> None:
    with pytest.raises(UsageError, match="name"):
        train.options(name=name)


class Holder:
    def method(self, x: int) -> int:
        return x


async def waits() -> None: ...


def many(*values: int) -> None: ...


def open_ended(**values: int) -> None: ...


def by_position(x: int, /) -> None: ...


def generates() -> Any:
    yield 1


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (Holder.method, "method"),
        (waits, "async"),
        (many, '"values" takes any number'),
        (open_ended, '"values" takes any number'),
        (by_position, '"x" has no name outside'),
        (generates, "generator"),
        (lambda: 1, "lambda"),
        (len, "is for functions"),
        (Holder, "is for functions"),
        (train, "operation already"),
        (5, "is for functions"),
    ],
)
def test_what_cannot_be_an_operation_says_why(function: Any, reason: str) -> None:
    with pytest.raises(UsageError, match=reason) as caught:
        operation(function)
    assert caught.value.hint


def test_a_function_inside_a_function_cannot_be_found_by_a_worker() -> None:
    @operation
    def inner(x: int) -> int:
        return x + 1

    assert inner(1) == 2
    assert "top level" in fails(lambda: inner(1))


def shadowed() -> int:
    return 1


first_version = operation(shadowed)


def shadowed() -> int:  # type: ignore[no-redef]
    return 2


def test_a_function_that_another_one_replaced_cannot_be_found() -> None:
    assert 'the operation "shadowed" cannot be found again' in fails(lambda: first_version())


def test_an_operation_of_a_notebook_may_live_in_main(monkeypatch: pytest.MonkeyPatch) -> None:
    import __main__

    def cell() -> int:
        return 1

    cell.__module__, cell.__qualname__ = "__main__", "cell"
    made = operation(cell)
    monkeypatch.setattr(__main__, "cell", made, raising=False)
    (found,) = plan_of(body_of(lambda: made())).operations
    assert found.function == "__main__:cell"


@pipeline
def long_chain(length: int = 10_000) -> Any:
    value = anything(0)
    for _ in range(length - 1):
        value = anything(value)
    return value


def test_recording_is_quick(own_heap: None) -> None:
    long_chain(10)
    started = time.perf_counter()
    plan = long_chain()
    assert len(plan.operations) == 10_000
    assert plan.operations[-1].inputs == {"value": Output(operation="anything-9999")}
    # It takes 0.2 s; the bound leaves room for a busy machine and still catches what grows with the square.
    assert time.perf_counter() - started < 2.0


def test_plan_invalid_is_a_usage_error() -> None:
    with pytest.raises(PlanInvalid):
        plan_of(body_of(lambda: train()))  # type: ignore[call-arg]
