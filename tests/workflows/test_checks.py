"""What is known about a plan without running it: each problem once, with its class, its names and its cure."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import jeyn
from jeyn import DataCatalog, DatasetBatch, DatasetFormula, Dtypes, Feature, MlUseCase, Workspace, dataset_store
from jeyn import errors as jeyn_errors
from jeyn.formulas import ModelFormula, StreamingFormula
from jeyn.sdk.plan import (
    Compare,
    Constant,
    FileInput,
    First,
    Items,
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
from jeyn.workflows.checks import check_for_argo, check_plan
from jeyn.workflows.checks.declared import declared
from jeyn.workflows.checks.quantity import quantity
from tests.stores import digits as shared
from tests.stores.digits import Digits, Scores, a_batch, a_checkpoint


class Pixels(DataCatalog):
    x = Feature(Dtypes.FLOAT32)


class Words(DataCatalog):
    word = Feature(Dtypes.STRING)


words = StreamingFormula("words", version="1.0.0", output_catalog=Words, source="words/*.parquet")
wider = DatasetFormula("wider", version="1.0.0", output_catalog=Digits)
patched = DatasetFormula("patched", version="1.0.1", output_catalog=Digits)
small = MlUseCase("small-reader", input_catalog=Pixels, output_catalog=Scores)
reader = MlUseCase("reader", input_catalog=Digits, output_catalog=Scores)


predicted = ModelFormula(
    "predicted", version="1.0.0", source="words@^1/latest", checkpoint="reader@latest", output_catalog=Words
)


def ingest_words(day: int = 0) -> DatasetBatch:
    return dataset_store.save_batch(words.get_new_batch())


def ingest_digits() -> DatasetBatch:
    return dataset_store.save_batch(wider.new_table({"x": [1.0], "label": [1]}))


def ingest_either(which: bool = True) -> DatasetBatch:
    return (words if which else wider).new_table({})


def ingest_patched() -> DatasetBatch:
    return dataset_store.save_batch(patched.new_table({}))


def through_a_module() -> list[DatasetBatch]:
    return [shared.DIGITS.new_table({"x": [n]}) for n in range(2)]


def train(batch: DatasetBatch, strength: float = 1.0, holdout: Any = None, after: Any = None) -> Any:
    return _fitted(batch, strength)


def _fitted(batch: DatasetBatch, strength: float) -> Any:
    return reader.update_minor(dataset=batch, model=np.array([strength]))


def train_either(batch: DatasetBatch) -> Any:
    case = reader if len(batch.load()) else small
    return case.update_minor(dataset=batch, model=0)


def train_latest(batch: DatasetBatch) -> Any:
    newest = dataset_store.get_batch("digits@1.0.0/latest")
    return reader.update_minor(dataset=newest, model=0)


def score(checkpoint: Any, holdout: DatasetBatch, train: Any = None) -> float:
    return float(len(checkpoint.load()))


def predict(checkpoint: Any) -> DatasetBatch:
    return predicted.get_new_batch()


FUNCTIONS = (
    predict,
    ingest_words,
    ingest_digits,
    ingest_either,
    ingest_patched,
    train,
    train_either,
    train_latest,
    score,
)
BY_NAME: dict[str, Callable[..., Any]] = {f"steps:{each.__name__}": each for each in FUNCTIONS}

RETURNS = {"ingest": "DatasetBatch", "train": "ModelCheckpoint", "score": "float"}


@pytest.fixture
def workspace(home: Path) -> Iterator[Workspace]:
    with jeyn.open(home=home, data=home.parent / "data", actor="ada") as opened:
        yield opened


def op(name: str, inputs: dict[str, Source] | None = None, function: str = "noop", **rest: Any) -> PlannedOperation:
    rest.setdefault("outputs", {"return": RETURNS.get(function.partition("_")[0], "float")})
    return PlannedOperation(name=name, function=f"steps:{function}", inputs=inputs or {}, **rest)


def check(workspace: Workspace, *operations: PlannedOperation, **plan: Any) -> tuple[Problem, ...]:
    whole = Plan(**{"pipeline": "nightly", "operations": operations, **plan})
    return check_plan(Plan.from_json(whole.dump()), workspace, root=workspace.settings.root, functions=BY_NAME)


def only(problems: tuple[Problem, ...], error: str, *said: str) -> Problem:
    """The one problem there is."""
    assert [problem.error for problem in problems] == [error], problems
    text = f"{problems[0].message}\n{problems[0].hint}"
    assert all(each in text for each in said), text
    assert problems[0].hint
    assert issubclass(getattr(jeyn_errors, error), jeyn_errors.JeynError)
    return problems[0]


def test_a_good_plan_has_no_problem_and_asks_nothing_of_the_catalog(workspace: Workspace) -> None:
    (workspace.settings.root / "notes.txt").write_text("x")
    problems = check(
        workspace,
        op("a", {"n": Constant(value=[1, 2]), "file": FileInput(path="notes.txt")}),
        op("b", {"x": Output(operation="a"), "y": Items(items=(Output(operation="a"), Constant(value=1)))}),
        op("c", {"x": First(choices=(Output(operation="a"), Output(operation="b")))}, mapped=("x",)),
        outputs={"return": Output(operation="c")},
        on_exit=op("tell"),
    )
    assert problems == ()
    assert not workspace.settings.home.exists()


# Wiring


def test_a_cycle_is_named_from_its_first_operation(workspace: Workspace) -> None:
    first = op("start")
    a = op("a", {"x": Output(operation="c"), "y": Output(operation="start")})
    b, c = op("b", {"x": Output(operation="a")}), op("c", {"x": Output(operation="b")})
    after = op("after", {"x": Output(operation="c")})
    problem = only(check(workspace, first, a, b, c, after), "PlanInvalid", "a → b → c → a")
    assert problem.operation == "a"


def test_each_cycle_is_told_and_a_condition_can_close_one(workspace: Workspace) -> None:
    itself = op("itself", {"x": Output(operation="itself")})
    compare = Compare(operator=">", left=Output(operation="b"), right=Constant(value=1))
    problems = check(workspace, itself, op("a", conditions=(compare,)), op("b", {"x": Output(operation="a")}))
    assert {problem.message.rpartition(": ")[2] for problem in problems} == {"itself → itself", "a → b → a"}


def test_a_plan_that_is_tangled_everywhere_is_told_in_a_few_problems(workspace: Workspace) -> None:
    loops = [op(f"op-{n}", {"x": Output(operation=f"op-{n}")}) for n in range(2000)]
    assert 0 < len(check(workspace, *loops)) <= 10


def test_unknown_operations_outputs_and_mapped_names(workspace: Workspace) -> None:
    train_it = op("train", outputs={"model": "", "score": ""})
    known = only(check(workspace, train_it, op("b", {"x": Output(operation="trian")})), "PlanInvalid", '"train"?')
    assert known.operation == "b" and '"x"' in known.message
    only(check(workspace, train_it, op("b", {"x": Output(operation="train")})), "PlanInvalid", '"model", "score"')
    gone = op("b", conditions=(Truth(source=Output(operation="gone")),))
    only(check(workspace, train_it, gone), "PlanInvalid", "condition", '"gone"')
    only(check(workspace, op("b", {"x": Constant(value=[1])}, mapped=("y",))), "PlanInvalid", '"y"', 'it has "x"')
    only(check(workspace, op("a"), outputs={"return": Output(operation="z")}), "PlanInvalid", "returns", '"z"')


def test_two_operations_of_one_name(workspace: Workspace) -> None:
    only(check(workspace, op("a"), op("a")), "PlanInvalid", '"a"', ".options(name=")
    only(check(workspace, op("a"), on_exit=op("a")), "PlanInvalid", '"a"')


def test_nothing_can_take_what_the_exit_handler_gives(workspace: Workspace) -> None:
    taking = op("a", {"x": Output(operation="tell")})
    only(check(workspace, taking, on_exit=op("tell")), "PlanInvalid", '"tell"')


# References and files


def test_references_that_mean_nothing_say_what_resolving_says(workspace: Workspace) -> None:
    a_batch(workspace)
    missing = op("a", {"x": Ref(reference="batch:digits@^2/latest")}), op("b", {"x": Ref(reference="digits@^2/latest")})
    with pytest.raises(jeyn_errors.NotFound) as raised:
        workspace.row("batch:digits@^2/latest")
    problems = check(workspace, *missing)
    assert [problem.operation for problem in problems] == ["a", "b"]
    assert (problems[0].message, problems[0].hint) == (raised.value.message, raised.value.hint)
    only(check(workspace, op("a", {"x": Ref(reference="not a reference")})), "InvalidReference")


def test_one_missing_reference_is_told_once(workspace: Workspace) -> None:
    many = [op(f"a-{n}", {"x": Items(items=(Ref(reference="reader@blessed"),))}) for n in range(50)]
    assert only(check(workspace, *many), "NotFound", '"reader"').operation == "a-0"


def test_files_must_be_there_and_inside(workspace: Workspace, tmp_path_factory: pytest.TempPathFactory) -> None:
    root = workspace.settings.root
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "secret.txt"
    elsewhere.write_text("x")
    (root / "folder").mkdir()
    (root / "link.txt").symlink_to(elsewhere)
    for path in ("gone.txt", "folder", "a\0b", "x" * 5000):
        only(check(workspace, op("a", {"f": FileInput(path=path)})), "NotFound", '"a"')
    for path in ("../x.txt", str(elsewhere), "link.txt"):
        only(check(workspace, op("a", {"f": FileInput(path=path)})), "NotAllowed", path, "outside the project")


# Catalogs


def test_a_batch_and_a_checkpoint_by_reference_must_fit(workspace: Workspace) -> None:
    batch, checkpoint = a_batch(workspace), a_checkpoint(workspace)
    other = workspace.dataset_store.save_batch(words.new_table({"word": ["a"]}))
    inputs: dict[str, Source] = {"checkpoint": Ref(reference="digit-reader@^0"), "holdout": Ref(reference=batch.ref)}
    assert check(workspace, op("score", inputs, "score")) == ()
    inputs["holdout"] = Ref(reference=other.ref)
    said = ('"score"', other.ref, "digit-reader@^0", '"x"', "float64", "nothing", "bump")
    only(check(workspace, op("score", inputs, "score")), "CatalogMismatch", *said)
    inputs["checkpoint"] = Ref(reference=checkpoint.id)
    only(check(workspace, op("score", inputs, "score")), "CatalogMismatch")
    # Another batch that does fit may be the one that is meant.
    assert check(workspace, op("score", {**inputs, "train": Ref(reference=batch.ref)}, "score")) == ()


def test_each_item_of_a_map_must_fit(workspace: Workspace) -> None:
    batch, _ = a_batch(workspace), a_checkpoint(workspace)
    other = workspace.dataset_store.save_batch(words.new_table({"word": ["a"]}))
    listed = Items(items=(Ref(reference=batch.ref), Ref(reference=other.ref)))
    inputs: dict[str, Source] = {"checkpoint": Ref(reference="digit-reader@^0"), "holdout": listed}
    only(check(workspace, op("score", inputs, "score", mapped=("holdout",))), "CatalogMismatch", other.ref)
    assert check(workspace, op("score", inputs, "score")) == ()


def test_declared_formulas_must_satisfy_declared_use_cases(workspace: Workspace) -> None:
    def trained(by: str, how: str = "train") -> tuple[Problem, ...]:
        return check(workspace, op("ingest", function=by), op("train", {"batch": Output(operation="ingest")}, how))

    assert trained("ingest_digits") == ()
    said = ('"words@1.0.0" that "ingest" makes', '"train"', '"reader"', 'feature "x"', "float64", "bump")
    assert only(trained("ingest_words"), "CatalogMismatch", *said).operation == "train"
    # Nobody can say which formula, which use case or which batch it will be.
    assert trained("ingest_either") == trained("ingest_words", "train_either") == ()
    assert trained("ingest_words", "train_latest") == trained("unknown") == ()


def test_a_declared_contract_holds_through_collecting_and_for_evaluations(workspace: Workspace) -> None:
    ingest = op("ingest", {"day": Constant(value=[1, 2])}, "ingest_words", mapped=("day",))
    together = op("train", {"batch": Items(items=(Output(operation="ingest"),))}, "train")
    only(check(workspace, ingest, together), "CatalogMismatch")
    good = op("digits", function="ingest_digits")
    trained = op("train", {"batch": Output(operation="digits")}, "train")
    inputs: dict[str, Source] = {"checkpoint": Output(operation="train"), "holdout": Output(operation="ingest")}
    problem = only(check(workspace, ingest, good, trained, op("score", inputs, "score")), "CatalogMismatch", '"reader"')
    assert problem.operation == "score"


def test_what_a_model_made_need_not_be_what_it_takes(workspace: Workspace) -> None:
    trained = op("train", {"batch": Output(operation="digits")}, "train")
    made = op("predict", {"checkpoint": Output(operation="train")}, "predict", outputs={"return": "DatasetBatch"})
    assert check(workspace, op("digits", function="ingest_digits"), trained, made) == ()


def test_a_misfit_in_a_loop_is_told_once(workspace: Workspace) -> None:
    source = Output(operation="ingest")
    loop = [op(f"train-{n}", {"batch": source, "strength": Constant(value=n)}, "train") for n in range(30)]
    assert (
        only(check(workspace, op("ingest", function="ingest_words"), *loop), "CatalogMismatch").operation == "train-0"
    )


def test_declared_sees_through_functions_modules_and_nested_code() -> None:
    assert {name: use.attributes for name, use in declared(train).uses.items()} == {"reader": {"update_minor"}}
    assert set(declared(train_either).uses) == {"reader", "small"}
    assert [use.artefact for use in declared(ingest_digits).of(DatasetFormula)] == [wider]

    assert declared(through_a_module).uses["shared.DIGITS"].attributes == {"new_table"}
    assert declared(len).uses == {}


# Versions


def test_a_formula_version_that_is_taken(workspace: Workspace) -> None:
    assert check(workspace, op("ingest", function="ingest_words")) == ()
    old = StreamingFormula("words", version="1.0.0", output_catalog=Digits, source="words/*.parquet")
    workspace.dataset_store.save_formula(old)
    said = ("words@1.0.0", '"2.0.0"', "word")
    problem = only(check(workspace, op("ingest", function="ingest_words")), "VersionTaken", *said)
    with pytest.raises(jeyn_errors.VersionTaken) as raised:
        workspace.dataset_store.save_formula(words)
    assert problem.message.startswith(raised.value.message)


def test_the_same_formula_is_not_taken_and_another_recipe_is(workspace: Workspace) -> None:
    workspace.dataset_store.save_formula(words)
    assert check(workspace, op("ingest", function="ingest_words"), op("again", function="ingest_words")) == ()
    workspace.dataset_store.save_formula(wider_by("1.0.0", {"scale": 2}))
    only(check(workspace, op("ingest", function="ingest_digits")), "VersionTaken", "the recipe differs", '"1.0.1"')


def test_a_formula_bump_that_is_too_small_says_what_saving_says(workspace: Workspace) -> None:
    smaller = DatasetFormula("wider", version="0.9.0", output_catalog=Words)
    workspace.dataset_store.save_formula(smaller)
    assert check(workspace, op("ingest", function="ingest_digits")) == ()
    workspace.dataset_store.save_formula(DatasetFormula("words", version="1.0.0-rc.1", output_catalog=Digits))
    assert check(workspace, op("ingest", function="ingest_words")) == ()

    below = DatasetFormula("words", version="0.9.0", output_catalog=Words)
    workspace.dataset_store.save_formula(below)
    assert check(workspace, op("ingest", function="ingest_words")) == ()
    narrow = DatasetFormula("patched", version="1.0.0", output_catalog=Words)
    workspace.dataset_store.save_formula(narrow)
    with pytest.raises(jeyn_errors.BumpTooSmall) as raised:
        workspace.dataset_store.save_formula(patched)

    problem = only(check(workspace, op("patch", function="ingest_patched")), "BumpTooSmall", "2.0.0")
    assert (problem.message, problem.hint) == (raised.value.message, raised.value.hint)


def wider_by(version: str, parameters: dict[str, Any]) -> DatasetFormula:
    return DatasetFormula("wider", version=version, output_catalog=Digits, parameters=parameters)


# Names, resources and sizes


@pytest.mark.parametrize("name", ["", "___", "x" * 201, "a\nb", "outer/--"])
def test_names_that_no_label_can_be_made_of(workspace: Workspace, name: str) -> None:
    only(check(workspace, op(name)), "UsageError", "cannot name an operation")
    only(check(workspace, op("a"), pipeline=name.removeprefix("outer/")), "UsageError", "the pipeline")


def test_any_other_name_will_do(workspace: Workspace) -> None:
    assert check(workspace, op("outer/train_it-2"), op("обучение"), op("Bad Name!"), op("x" * 200)) == ()


@pytest.mark.parametrize(
    ("resources", "said"),
    [
        ({"memory": "1Gb"}, '"1Gi"'),
        ({"memory": "500 mb"}, '"500Mi"'),
        ({"memory": "512m"}, '"512Mi"'),
        ({"memory": 2}, "2 bytes"),
        ({"memory": ""}, "no Kubernetes quantity"),
        ({"cpu": "two"}, "500m"),
        ({"cpu": -1}, "no Kubernetes quantity"),
        ({"gpu": 0.5}, "whole"),
        ({"nvidia.com/gpu": "1.5"}, "whole"),
        ({"mem": "1Gi"}, '"memory"?'),
    ],
)
def test_resources_that_kubernetes_refuses(workspace: Workspace, resources: dict[str, Any], said: str) -> None:
    only(check(workspace, op("a", options=Options(resources=resources))), "UsageError", '"a"', said)


def test_resources_that_kubernetes_takes(workspace: Workspace) -> None:
    resources: dict[str, Any] = {
        "cpu": "500m",
        "memory": "1.5Gi",
        "gpu": 1,
        "nvidia.com/gpu": 2,
        "hugepages-2Mi": "4Mi",
    }
    assert check(workspace, op("a", options=Options(resources=resources))) == ()
    for text, number in {"1Ki": 1024, "2e3": 2000, "250m": 0.25, ".5": 0.5, "1e-07": 1e-7, "3k": 3000}.items():
        assert quantity(text) == pytest.approx(number)
    assert [quantity(text) for text in ("1K", "1 Gi", "Gi", "nan", "inf", "1ki", "0x1", "١")] == [None] * 8


def test_quantities_in_a_raw_patch(workspace: Workspace) -> None:
    patch = {"spec": {"containers": [{"resources": {"limits": {"memory": "4GB", "cpu": "1"}}}]}}
    only(check(workspace, op("a", options=Options(k8s=patch))), "UsageError", "limits", '"4Gi"')
    volume = {"volumes": [{"emptyDir": {"sizeLimit": "1gb"}}]}
    only(check(workspace, op("a", options=Options(k8s=volume))), "UsageError", '"1Gi"')


def test_values_that_should_be_references(workspace: Workspace) -> None:
    large = "x" * 33_000
    only(check(workspace, op("a", {"text": Constant(value=large)})), "UsageError", '"text"', "33002 bytes", "jeyn.ref")
    parameters = {"text": PlannedParameter(type="str", value=[large])}
    only(check(workspace, op("a"), parameters=parameters), "UsageError", '"text"')
    numbers = Constant(value=list(range(10_000)))
    only(check(workspace, op("a", {"n": numbers})), "UsageError", '"n"')
    assert check(workspace, op("a", {"n": numbers}, mapped=("n",))) == ()


def test_times_beyond_what_kubernetes_counts(workspace: Workspace) -> None:
    assert check(workspace, op("a", options=Options(timeout=2**31 - 1, backoff=0, retries=1000))) == ()
    only(check(workspace, op("a", options=Options(timeout=2**31))), "UsageError", "timeout")


def test_rule_16_argo_refuses_places_on_this_machine(workspace: Workspace) -> None:
    problems = check_for_argo(Plan(pipeline="p"), workspace)
    assert [problem.error for problem in problems] == ["Incompatible"] * 3
    assert jeyn_errors.Incompatible.exit_code == 6
    text = "\n".join(problem.hint for problem in problems)
    assert all(name in text for name in ("JEYN_DATA", "JEYN_CATALOG", "JEYN_PAYLOADS", "catalog: in jeyn.yaml"))


def test_rule_16_argo_takes_places_that_pods_reach(home: Path) -> None:
    away = {"catalog": "postgresql://db/jeyn", "payloads": "s3://bucket/payloads", "data": "s3://bucket/data"}
    with jeyn.open(home=home, **away) as workspace:
        assert check_for_argo(Plan(pipeline="p"), workspace) == ()
        many = tuple(op(f"operation-{n}", {"n": Constant(value="x" * 100)}) for n in range(4000))
        only(check_for_argo(Plan(pipeline="p", operations=many), workspace), "UsageError", "bytes", ".map(")


def test_ten_thousand_operations_are_checked_quickly(workspace: Workspace, own_heap: None) -> None:
    a_batch(workspace)
    a_checkpoint(workspace)
    options = Options(resources={"cpu": 1, "memory": "1Gi"}, retries=2)
    operations = [op("ingest", function="ingest_digits")]
    for n in range(10_000):
        source = Output(operation="ingest") if n % 100 == 0 else Output(operation=f"train-{n - 1}")
        inputs: dict[str, Source] = {
            "batch": Output(operation="ingest"),
            "strength": Constant(value=n / 7),
            "holdout": Ref(reference="batch:digits@^1/latest"),
            "after": source,
        }
        operations.append(op(f"train-{n}", inputs, "train", options=options))
    plan = Plan(pipeline="wide", operations=tuple(operations))
    start = time.process_time()
    assert check_plan(plan, workspace, root=workspace.settings.root, functions=BY_NAME) == ()
    assert time.process_time() - start < 1.0


def test_inputs_must_be_those_of_the_function(workspace: Workspace) -> None:
    """A recorded plan has them; one that was written by hand may not."""
    only(check(workspace, op("train", {}, "train")), "PlanInvalid", '"train" is not given "batch"')
    batch = a_batch(workspace)
    inputs: dict[str, Source] = {"batch": Ref(reference=batch.ref), "strenth": Constant(value=1)}
    only(check(workspace, op("train", inputs, "train")), "PlanInvalid", 'no parameter "strenth"', "did you mean")


def test_a_reference_to_another_type_than_the_parameter_takes_is_a_problem(workspace: Workspace) -> None:
    with jeyn.use(workspace):
        dataset_store.save_batch(words.new_table({"word": ["a"]}))
    wrong = op("train", {"batch": Ref(reference=f"formula:{words.name}@latest")}, "train")
    only(check(workspace, wrong), "WrongType", '"train" takes "batch" as DatasetBatch', "DatasetFormula")
