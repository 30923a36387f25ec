"""Names that Argo and Kubernetes take, whatever people call things."""

from __future__ import annotations

import re
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jeyn.sdk.plan import Constant, PlannedOperation
from jeyn.workflows.argo.names import hashed, label, slug, task_names, workflow_name
from tests.workflows.argo.plans import operation

TASK = re.compile(r"[a-zA-Z][-a-zA-Z0-9]*")  # a digit may not begin what another task depends on
DNS_1123 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
LABEL = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
ANY_NAME = st.text(min_size=1, max_size=200) | st.text("ab-_", min_size=1, max_size=4)


def named(name: str, mapped: bool = False) -> PlannedOperation:
    return operation(name, inputs={"x": Constant(value=[])}, mapped=("x",) if mapped else ())


@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("train", "train"),
        ("train_model", "train-model"),
        ("trainModel", "trainModel"),
        ("train-2", "train-2"),
        ("evaluation/score", "evaluation-score"),
        ("5th", "op-5th"),
    ],
)
def test_a_plain_name_stays_readable(name: str, task: str) -> None:
    assert task_names([named(name)]) == {name: task}


@pytest.mark.parametrize("name", ["训练", "Ünïcode", "x" * 200, "été"])
def test_what_is_lost_is_told_apart_by_a_hash(name: str) -> None:
    found = task_names([named(name)])[name]
    assert TASK.fullmatch(found) and len(found) <= 63
    assert re.search(r"-[0-9a-f]{8}$", found)
    assert found == task_names([named("other"), named(name)])[name]


def test_names_that_would_be_the_same_are_all_hashed() -> None:
    found = task_names([named("train_model"), named("train-model"), named("other")])
    assert found["other"] == "other"
    assert len(set(found.values())) == 3 and all(found[name] != "train-model" for name in found)


def test_the_task_of_the_items_is_nobody_else_s() -> None:
    found = task_names([named("train", mapped=True), named("train-items"), named("train_items-2")])
    claimed = [found["train"], found["train"] + "-items", found["train-items"], found["train_items-2"]]
    assert len(set(claimed)) == 4


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(ANY_NAME, st.booleans()), min_size=1, max_size=8, unique_by=lambda each: each[0]))
def test_tasks_have_names_of_their_own(names: list[tuple[str, bool]]) -> None:
    operations = [named(name, mapped) for name, mapped in names]
    found = task_names(operations)
    claimed = [task for each in operations for task in _tasks(found[each.name], each)]
    assert len(set(claimed)) == len(claimed)
    assert all(TASK.fullmatch(task) and len(task) <= 63 for task in claimed)


def _tasks(task: str, each: PlannedOperation) -> list[str]:
    return [task, f"{task}-items"] if each.mapped else [task]


@settings(max_examples=300, deadline=None)
@given(ANY_NAME, ANY_NAME)
def test_objects_have_names_that_kubernetes_takes(project: str, pipeline: str) -> None:
    for name, limit in ((workflow_name(project, pipeline), 40), (hashed(pipeline, [project], 30), 30)):
        assert DNS_1123.fullmatch(name) and len(name) <= limit
    assert LABEL.fullmatch(label(pipeline))


def test_a_project_s_name_comes_first_unless_it_is_the_same() -> None:
    assert workflow_name("digits", "nightly") == "digits-nightly"
    assert workflow_name("", "nightly") == workflow_name("nightly", "nightly") == "nightly"


def test_hashes_are_the_same_in_every_process() -> None:
    assert hashed("train", ["run", "pipeline:train", "{}"], 30) == "train-265d27cb"
    assert label(string.ascii_letters + string.digits + "!") == label(string.ascii_letters + string.digits + "!")


def test_a_slug_is_cut_without_a_dash_at_its_end() -> None:
    assert slug("abc-def", 4) == "abc"
    assert slug("A_b  c!", 30) == "a-b-c"
