"""Pipelines: a call gives a plan, a call inside another becomes part of it, parameters are typed."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock_time
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, Literal, NamedTuple
from uuid import UUID

import pytest
from pydantic import BaseModel

import jeyn
from jeyn import DatasetBatch, Plan, operation, pipeline
from jeyn.errors import PlanInvalid, UsageError
from jeyn.sdk.file import File
from jeyn.sdk.handle import Handle, promise_of
from jeyn.sdk.pipeline import Pipeline as PurePipeline
from jeyn.sdk.plan import Constant, Output, PlannedParameter, Ref
from jeyn.sdk.recorder import current_recorder
from jeyn.sdk.workspace import current_workspace, use_workspace


class Mode(Enum):
    QUICK = "quick"
    FULL = 2


class Both(NamedTuple):
    first: Any
    second: Any


@dataclass
class Named:
    model: Any
    report: Any


@operation
def one() -> int:
    return 1


@operation
def add(x: int, y: int = 0) -> int:
    return x + y


@operation
def tell(state: str, error: str | None, channel: str = "ops") -> None: ...


@operation
def tell_someone(state: str, someone: str) -> None: ...


@pipeline
def inner(start: int = 1) -> Any:
    """Add two numbers."""
    return add(one(), start)


@pipeline(name="big", parallelism=2)
def outer(start: int = 5) -> Any:
    first = inner(start)
    return add(inner(), first)


@pipeline
def calls_itself() -> Any:
    one()
    return calls_itself()


@pipeline
def ping() -> Any:
    return pong()


@pipeline
def pong() -> Any:
    return ping()


def plan_of(body: Any) -> Plan:
    found: Plan = pipeline(body)()
    return found


def test_rule_24_a_call_outside_a_pipeline_gives_its_plan() -> None:
    plan = inner(start=3)
    assert isinstance(plan, Plan)
    assert (plan.pipeline, plan.function, plan.description) == ("inner", f"{__name__}:inner", "Add two numbers.")
    assert plan.parameters == {"start": PlannedParameter(type="int", value=3)}
    assert [each.name for each in plan.operations] == ["one", "add"]
    assert plan.operations[1].inputs == {"x": Output(operation="one"), "y": Constant(value=3)}
    assert plan.outputs == {"return": Output(operation="add")}
    assert Plan.from_json(plan.dump()) == plan
    assert isinstance(inner, PurePipeline)


def test_rule_23_a_nested_pipeline_is_inlined() -> None:
    plan = outer()
    assert plan.pipeline == "big"
    assert outer.parallelism == 2
    assert [each.name for each in plan.operations] == ["inner/one", "inner/add", "inner-2/one", "inner-2/add", "add"]
    assert plan.operations[1].inputs["y"] == Constant(value=5)
    assert plan.operations[4].inputs == {"x": Output(operation="inner-2/add"), "y": Output(operation="inner/add")}


def test_a_nested_pipeline_takes_handles_and_gives_what_it_returns() -> None:
    @pipeline
    def pairs(x: int) -> Any:
        return {"sum": add(x), "others": [one(), 5]}

    def body() -> Any:
        found = pairs(one())
        assert found["others"][1] == 5
        return add(found["sum"], found["others"][0])

    assert plan_of(body).operations[-1].inputs == {
        "x": Output(operation="pairs/add"),
        "y": Output(operation="pairs/one"),
    }


@pytest.mark.parametrize(
    ("made", "path"), [(calls_itself, "calls_itself → calls_itself"), (ping, "ping → pong → ping")]
)
def test_recursion_is_refused(made: Any, path: str) -> None:
    with pytest.raises(PlanInvalid, match=path):
        made()
    assert current_recorder() is None


def test_rule_26_the_recorder_is_reset_after_an_error() -> None:
    def body() -> None:
        assert current_recorder() is not None
        one()
        raise KeyError("x")

    workspace = object()
    with use_workspace(workspace):
        with pytest.raises(KeyError):
            plan_of(body)
        assert current_recorder() is None
        assert current_workspace() is workspace
    assert add(1, 2) == 3


def test_rule_26_recordings_do_not_meet() -> None:
    def body() -> Any:
        one()
        assert len(inner.function.__defaults__ or ()) == 1
        return None

    assert [each.name for each in plan_of(body).operations] == ["one"]
    assert [each.name for each in plan_of(body).operations] == ["one"]


@pytest.mark.parametrize(
    "read",
    [
        lambda: jeyn.dataset_store.get_batch("digits@^1/latest"),
        lambda: jeyn.model_store.get_checkpoint("reader@blessed"),
        lambda: jeyn.search("digits"),
        lambda: jeyn.lineage("digits@^1"),
        lambda: jeyn.context().get("digits@^1"),
        lambda: jeyn.open(home="elsewhere"),
    ],
)
def test_rule_20_stores_cannot_be_read_while_a_pipeline_is_recorded(read: Any) -> None:
    def body() -> None:
        read()

    with pytest.raises(UsageError, match="stores cannot be read while a pipeline is recorded") as caught:
        plan_of(body)
    assert "jeyn.ref" in caught.value.hint
    assert current_workspace() is None


def test_rule_20_references_are_kept_for_the_run_to_resolve() -> None:
    def body() -> Any:
        return add(jeyn.ref("checkpoint:reader@blessed"))

    (found,) = plan_of(body).operations
    assert found.inputs["x"] == Ref(reference="checkpoint:reader@blessed")


def test_what_a_pipeline_returns_names_its_outputs() -> None:
    def returning(make: Any) -> dict[str, Any]:
        def body() -> Any:
            return make(one(), add(1))

        return plan_of(body).outputs

    first, second = Output(operation="one"), Output(operation="add")
    assert returning(lambda a, b: None) == {}
    assert returning(lambda a, b: b) == {"return": second}
    assert returning(lambda a, b: (a, b)) == {"0": first, "1": second}
    assert returning(Both) == {"first": first, "second": second}
    assert returning(Named) == {"model": first, "report": second}
    assert returning(lambda a, b: {"x": b}) == {"x": second}
    for wrong in (5, [1], "text", {"x": 5}, {1: None}, ((1,),), Named):
        with pytest.raises(PlanInvalid, match="which is no output of its operations"):
            returning(lambda a, b, wrong=wrong: wrong)


@dataclass
class Config:
    rate: float
    since: date | None = None


@dataclass
class Outer:
    inner: Config
    names: list[str] = field(default_factory=list)


class Model(BaseModel):
    size: int
    price: Decimal = Decimal(0)


@pytest.mark.parametrize(("annotation", "text"), [(list[str], "x"), (tuple[int, str], "x"), (list[date], "x")])
def test_the_hint_works_as_it_stands(annotation: Any, text: str) -> None:
    with pytest.raises(UsageError) as caught:
        with_parameter(annotation).arguments_from({"x": text})
    (typed,) = shlex.split(caught.value.hint.partition("such as ")[2])
    assert with_parameter(annotation).arguments_from({"x": typed})


class Holder(NamedTuple):
    """One parameter of each kind, and what its texts mean."""

    annotation: Any
    text: str
    value: Any


READINGS = [
    Holder(int, "3", 3),
    Holder(float, "0.1", 0.1),
    Holder(float, "3", 3.0),
    Holder(bool, "true", True),
    Holder(bool, "No", False),
    Holder(str, "3", "3"),
    Holder(str | None, "none", None),
    Holder(str | None, "", ""),
    Holder(str | None, '""', ""),
    Holder(str | None, '"none"', "none"),
    Holder(str | None, '"null"', "null"),
    Holder(str | None, "nobody", "nobody"),
    Holder(str | None, '"half', '"half'),
    Holder(str, "none", "none"),
    Holder(str, '"quoted"', '"quoted"'),
    Holder(str, "", ""),
    Holder(int | str | None, '"5"', "5"),
    Holder(int | None, "none", None),
    Holder(int | None, "5", 5),
    Holder(date, "2024-01-31", date(2024, 1, 31)),
    Holder(date, "20240131", date(2024, 1, 31)),
    Holder(date | None, "none", None),
    Holder(date | datetime, "2024-01-31", date(2024, 1, 31)),
    Holder(date | datetime, "2024-01-31T08:00", datetime(2024, 1, 31, 8)),
    Holder(datetime, "2024-01-31T08:00:00Z", datetime(2024, 1, 31, 8, tzinfo=UTC)),
    Holder(clock_time, "08:30", clock_time(8, 30)),
    Holder(timedelta, "90", timedelta(seconds=90)),
    Holder(timedelta, "PT1H30M", timedelta(hours=1, minutes=30)),
    Holder(timedelta, "01:30:00", timedelta(hours=1, minutes=30)),
    Holder(Decimal, "0.10", Decimal("0.10")),
    Holder(UUID, "123e4567-e89b-12d3-a456-426614174000", UUID("123e4567-e89b-12d3-a456-426614174000")),
    Holder(list[date], '["2024-01-31"]', [date(2024, 1, 31)]),
    Holder(list[str], '["a", "b"]', ["a", "b"]),
    Holder(list[Mode], '["quick"]', [Mode.QUICK]),
    Holder(list[Path], '["a"]', [Path("a")]),
    Holder(dict[str, Decimal], '{"a": "0.10"}', {"a": Decimal("0.10")}),
    Holder(tuple[int, int], "[1, 2]", (1, 2)),
    Holder(tuple[int, str], '[1, "b"]', (1, "b")),
    Holder(list[int] | None, "none", None),
    Holder(set[int], "[2, 1]", {1, 2}),
    Holder(Config, '{"rate": 0.5, "since": "2024-01-31"}', Config(0.5, date(2024, 1, 31))),
    Holder(Outer, '{"inner": {"rate": 1}, "names": ["a"]}', Outer(Config(1.0), ["a"])),
    Holder(Model, '{"size": 3, "price": "1.10"}', Model(size=3, price=Decimal("1.10"))),
    Holder(int | str, "5", 5),
    Holder(int | str, "five", "five"),
    Holder(bool | int, "1", 1),
    Holder(bool | int, "true", True),
    Holder(Literal["adam", 3], "adam", "adam"),
    Holder(Literal["adam", 3], "3", 3),
    Holder(Mode, "quick", Mode.QUICK),
    Holder(Mode, "FULL", Mode.FULL),
    Holder(list[int], "[1, 2]", [1, 2]),
    Holder(tuple[int, ...], "[1, 2]", (1, 2)),
    Holder(dict[str, float], '{"a": 1}', {"a": 1}),
    Holder(list, "[]", []),
    Holder(File, "data/x.csv", File("data/x.csv")),
    Holder(Path, "data", Path("data")),
    Holder(Any, "[1]", [1]),
    Holder(Any, "text", "text"),
    Holder(Any, "1.5", 1.5),
]


def with_parameter(annotation: Any) -> PurePipeline[Any]:
    def made(x):  # type: ignore[no-untyped-def]
        return None

    made.__annotations__["x"] = annotation
    return PurePipeline(made)


@pytest.mark.parametrize(("annotation", "text", "value"), READINGS)
def test_settings_are_read_by_annotation(annotation: Any, text: str, value: Any) -> None:
    made = with_parameter(annotation)
    found = made.arguments_from({"x": text})
    assert found == {"x": value}
    assert type(found["x"]) is type(value)
    assert isinstance(made(**found), Plan)


@pytest.mark.parametrize(
    ("annotation", "text", "hint"),
    [
        (int, "3.5", "whole number"),
        (int, "", "whole number"),
        (float, "much", "number"),
        (bool, "maybe", "true or false"),
        (int | None, "x", "a whole number such as 3 or none"),
        (Literal["adam", "sgd"], "lion", "adam, sgd"),
        (Mode, "slow", "quick, 2"),
        (list[int], "1,2", "JSON"),
        (list[int], '["a"]', "JSON"),
        (dict[str, int], "[1]", "dict"),
        (DatasetBatch, "no reference!", "name@1.2.0"),
        (date, "31.01.2024", "2024-01-31"),
        (date, "1704067200", "2024-01-31"),
        (date, "2024-02-30", "2024-01-31"),
        (datetime, "yesterday", "2024-01-31T08:00:00+00:00"),
        (timedelta, "long", "PT1H30M"),
        (Decimal, "much", "0.10"),
        (UUID, "1234", "123e4567"),
        (tuple[int, int], "[1, 2, 3]", "'[1, 1]'"),
        (tuple[int, int], "[1]", "'[1, 1]'"),
        (tuple[int, str], '["b", 1]', "'[1, \"a\"]'"),
        (list[int], "[1, true]", "'[1, 1]'"),
        (list[str], "a,b", '\'["a", "a"]\''),
        (list[date], '["soon"]', '\'["2024-01-31", "2024-01-31"]\''),
        (Config, '{"rate": "fast"}', "JSON"),
        (Config, '{"speed": 1}', "JSON"),
        (Model, "{}", "JSON"),
        (int | None, "", "none"),
    ],
)
def test_a_mistyped_setting_names_parameter_text_and_type(annotation: Any, text: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        with_parameter(annotation).arguments_from({"x": text})
    assert caught.value.message == f'"x" cannot be "{text}"'
    assert hint in caught.value.hint


def test_an_artefact_is_set_by_reference() -> None:
    found = with_parameter(DatasetBatch).arguments_from({"x": "digits@^1/latest"})["x"]
    assert isinstance(found, Handle)
    assert promise_of(found).source == Ref(reference="digits@^1/latest")
    assert with_parameter(DatasetBatch)(found).parameters["x"].value == "digits@^1/latest"


def test_an_unknown_setting_is_named() -> None:
    with pytest.raises(UsageError, match='"inner" has no parameter "strat"') as caught:
        inner.arguments_from({"strat": "3"})
    assert caught.value.hint == 'did you mean "start"? its parameters: start'
    assert inner.arguments_from({}) == {}


@pytest.mark.parametrize(
    ("annotation", "value"),
    [(int, True), (int, 1.0), (float, True), (bool, 1), (str, 1), (int, None), (list[int], ["a"]), (Mode, "slow")],
)
def test_a_value_from_python_is_checked_too(annotation: Any, value: Any) -> None:
    with pytest.raises(UsageError, match='takes "x" as') as caught:
        with_parameter(annotation)(value)
    assert repr(value) in caught.value.message


@pytest.mark.parametrize(
    ("annotation", "value", "kept"),
    [
        (float, 1, 1),
        (int | None, None, None),
        (Mode, Mode.FULL, 2),
        (Path, Path("a/b"), "a/b"),
        (Any, (1, 2), [1, 2]),
        (list[Path], [Path("a")], ["a"]),
        (list[File], [File("a")], ["a"]),
        (date, date(2024, 1, 31), "2024-01-31"),
        (timedelta, timedelta(minutes=1), 60.0),
        (Decimal, Decimal("0.10"), "0.10"),
        (set[int], {2, 1}, [1, 2]),
        (Outer, Outer(Config(1.0, date(2024, 1, 31))), {"inner": {"rate": 1.0, "since": "2024-01-31"}, "names": []}),
        (Model, Model(size=3), {"size": 3, "price": "0"}),
    ],
)
def test_parameters_are_recorded_as_json(annotation: Any, value: Any, kept: Any) -> None:
    plan = with_parameter(annotation)(value)
    assert plan.parameters["x"].value == kept
    assert Plan.from_json(plan.dump()) == plan


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda made: made(), 'is not given "x"'),
        (lambda made: made(1, 2), "is given 2 arguments and takes 1"),
        (lambda made: made(1, x=1), "twice"),
        (lambda made: made(y=1), 'has no parameter "y"'),
    ],
)
def test_a_wrong_call_of_a_pipeline_is_explained(call: Any, message: str) -> None:
    with pytest.raises(PlanInvalid, match="made") as caught:
        call(with_parameter(int))
    assert message in caught.value.message


def test_a_pipeline_records_again_for_each_value() -> None:
    @pipeline
    def grows(count: int = 1) -> Any:
        return [one() for _ in range(count)][-1]

    assert [len(grows(count=count).operations) for count in (1, 3)] == [1, 3]


def test_the_exit_handler_is_part_of_the_plan() -> None:
    plan = pipeline(on_exit=tell.options(retries=3))(lambda_body)()
    assert plan.on_exit is not None
    assert (plan.on_exit.name, plan.on_exit.options.retries) == ("tell", 3)
    assert plan.on_exit.inputs == {"channel": Constant(value="ops")}
    assert plan.all_operations[-1] is plan.on_exit
    bound = pipeline(on_exit=tell_someone.bind(someone="you"))(lambda_body)().on_exit
    assert bound is not None
    assert bound.inputs == {"someone": Constant(value="you")}


def lambda_body() -> None:
    one()


@pytest.mark.parametrize(("handler", "message"), [(tell_someone, '"someone"'), (len, "no operation")])
def test_a_wrong_exit_handler_is_refused_at_once(handler: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        pipeline(on_exit=handler)(lambda_body)


@pytest.mark.parametrize("parallelism", [0, -1, 1.5, True])
def test_wrong_parallelism_is_refused(parallelism: Any) -> None:
    with pytest.raises(UsageError, match="parallelism"):
        pipeline(parallelism=parallelism)(lambda_body)


def test_a_pipeline_is_made_of_a_plain_function() -> None:
    for wrong in (one, inner, len):
        with pytest.raises(UsageError):
            pipeline(wrong)


def test_a_parameter_cannot_be_called_like_an_option_of_run() -> None:
    def made(workers: int = 1) -> None: ...

    with pytest.raises(UsageError, match='"workers"'):
        pipeline(made)


def test_two_pipelines_of_one_name_are_refused() -> None:
    def body() -> None:
        inner()
        pipeline(name="inner")(lambda_body)()

    with pytest.raises(PlanInvalid, match='two pipelines are called "inner"'):
        plan_of(body)


def test_a_run_inside_a_pipeline_is_refused() -> None:
    def body() -> None:
        inner.run()

    with pytest.raises(UsageError):
        plan_of(body)
