"""Signatures: wrong types between operations are found when recording, and doubt is never an error."""

# Users write Optional and Union too.
# ruff: noqa: UP007, UP045

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NewType, Optional, Protocol, TypedDict, TypeVar, Union

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import jeyn
from jeyn import DatasetBatch, ModelCheckpoint, TableBatch, operation, pipeline
from jeyn.sdk.annotation import fits, holds, item_of, show
from jeyn.sdk.file import File
from jeyn.sdk.plan import Plan, Problem
from jeyn.sdk.signature import signature_of

if TYPE_CHECKING:
    from nowhere import Unknown  # type: ignore[import-not-found]

T = TypeVar("T")
Meters = NewType("Meters", float)


class Loads(Protocol):
    def load(self) -> Any: ...


class Row(TypedDict):
    x: int


class Estimator: ...


class Classifies: ...


class Forest(Classifies, Estimator): ...


class Colour(StrEnum):
    RED = "red"


FITS: list[tuple[Any, Any]] = [
    (int, int),
    (int, float),
    (bool, int),
    (int, Any),
    (Any, int),
    (int, object),
    (int, T),
    (T, int),
    (int, Optional[int]),
    (Optional[int], int),
    (int | str, str | bytes),
    (None, Optional[int]),
    (TableBatch, DatasetBatch),
    (DatasetBatch, TableBatch),
    (list[int], list),
    (list[int], Sequence[float]),
    (list[int], Iterable[Any]),
    (tuple[int, ...], list[int]),
    (list, list[str]),
    (dict[str, int], Mapping[str, float]),
    (str, Sequence[str]),
    (Literal["a", 1], str),
    (str, Literal["a"]),
    (Literal["a"], Literal["a", "b"]),
    (Annotated[int, "doc"], int),
    (Meters, float),
    (float, Meters),
    (np.float64, float),
    (np.float32, float),
    (np.ndarray, np.ndarray),
    (pd.DataFrame, pd.DataFrame),
    (pa.Table, pa.Table),
    (DatasetBatch, Loads),
    (dict, Row),
    (Row, dict[str, int]),
    (int, "Unknown"),
    (Callable[[int], int], type),
    (Estimator, Classifies),
    (type[int], type),
    (Colour, str),
    (File | Path, Path),
]
MISFITS: list[tuple[Any, Any]] = [
    (int, str),
    (str, int),
    (float, int),
    (None, int),
    (int, None),
    (int, Optional[str]),
    (DatasetBatch, ModelCheckpoint),
    (ModelCheckpoint, float),
    (list[int], list[str]),
    (list[list[int]], list[list[str]]),
    (list[int], int),
    (dict[str, int], dict[str, str]),
    (tuple[int, str], list[bytes]),
    (Literal["a"], int),
    (Literal["a"], Literal["b"]),
    (int, Literal["a"]),
    (pd.DataFrame, pa.Table),
    (np.ndarray, list[float]),
    (Meters, str),
    (Callable[[int], int], int),
    (Estimator, Path),
    (File | Path, str),
]


@pytest.mark.parametrize(("given", "wanted"), FITS)
def test_types_that_may_fit(given: Any, wanted: Any) -> None:
    assert fits(given, wanted)


@pytest.mark.parametrize(("given", "wanted"), MISFITS)
def test_types_that_cannot_fit(given: Any, wanted: Any) -> None:
    assert not fits(given, wanted)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the `type` statement is new in Python 3.12")
def test_type_aliases_are_followed() -> None:
    space: dict[str, Any] = {}
    exec("type Number = int | float", space)
    assert fits(space["Number"], float)
    assert not fits(space["Number"], str)


@pytest.mark.parametrize(
    ("value", "annotation", "expected"),
    [
        (1, int, True),
        (1, float, True),
        (1.0, int, False),
        (1, bool, False),
        ("a", str, True),
        ("a", int, False),
        (None, int, False),
        (None, Optional[int], True),
        ("a", Literal["a"], True),
        ("b", Literal["a"], False),
        (1, Literal[True], False),
        ("red", Colour, True),
        ("blue", Colour, False),
        ([1, 2], list[int], True),
        ([1, "a"], list[int], False),
        ([1, "a"], tuple[int, str], True),
        ([1], Sequence[float], True),
        ([[1]], list[list[str]], False),
        ({"a": 1}, dict[str, float], True),
        ({"a": 1}, dict[str, str], False),
        ({"a": 1}, Row, True),
        ("x", Any, True),
        ("x", DatasetBatch, False),
    ],
)
def test_constants_are_checked_by_value(value: Any, annotation: Any, expected: bool) -> None:
    assert holds(value, annotation) is expected


@pytest.mark.parametrize(
    ("annotation", "item"),
    [
        (list[int], int),
        (tuple[int, ...], int),
        (Sequence[str], str),
        (list, Any),
        (Any, Any),
        (np.ndarray, Any),
        (Optional[list[int]], int),
        (list[int] | int, int),
        (int, None),
        (str, None),
        (DatasetBatch, None),
        (dict[str, int], None),
    ],
)
def test_items_of_what_is_mapped(annotation: Any, item: Any) -> None:
    assert item_of(annotation) == item


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (int, "int"),
        (Any, ""),
        (None, "None"),
        (list[int], "list[int]"),
        (Optional[DatasetBatch], "DatasetBatch | None"),
        (Union[int, str], "int | str"),
        (dict[str, Any], "dict[str, Any]"),
        (tuple[int, ...], "tuple[int, ...]"),
        (Literal["a", 1], "Literal['a', 1]"),
    ],
)
def test_types_are_shown_as_people_write_them(annotation: Any, text: str) -> None:
    assert show(annotation) == text


def partly(x: int, y: Unknown, z: str = None) -> Unknown:  # type: ignore[assignment]  # noqa: RUF013
    return None


def test_an_annotation_that_cannot_be_resolved_hides_no_other() -> None:
    found = signature_of(partly)
    assert found.parameters["x"].annotation is int
    assert found.parameters["y"].annotation is Any
    assert fits(None, found.parameters["z"].annotation)
    assert found.outputs == {"return": Any}
    assert signature_of(partly) is found


@operation
def text() -> str:
    return "a"


@operation
def number(x: int = 0) -> int:
    return x


@operation
def numbers() -> list[int]:
    return [1]


@operation
def unknown():  # type: ignore[no-untyped-def]
    return 1


@operation
def total(values: list[int]) -> int:
    return sum(values)


@operation
def read(path: Path, batch: DatasetBatch | None = None) -> str:
    return path.read_text()


def problems(body: Callable[[], Any]) -> list[Problem]:
    plan: Plan = pipeline(body)()
    assert {problem.error for problem in plan.problems} <= {"WrongType"}
    assert all(problem.hint for problem in plan.problems)
    return list(plan.problems)


def messages(call: Callable[[], Any]) -> list[str]:
    def body() -> None:
        call()

    return [problem.message for problem in problems(body)]


def test_a_wrong_type_between_operations_is_a_problem_of_the_plan() -> None:
    def body() -> None:
        number(text())  # type: ignore[arg-type]
        total([1, "a"])  # type: ignore[list-item]

    first, second = problems(body)
    assert (first.operation, first.error) == ("number", "WrongType")
    assert first.message == '"number" takes "x" as int, but "text" gives str'
    assert second.message == '"total" takes "values" as list[int], but it is given [1, \'a\'] (list)'


def test_collected_and_mapped_handles_are_checked_by_their_items() -> None:
    assert messages(lambda: total(number.map(x=[1, 2]))) == []
    assert messages(lambda: number.map(x=number.map(x=numbers()))) == []
    assert messages(lambda: number.map(x=unknown())) == []
    assert messages(lambda: total(read.map(path=[jeyn.File("a")]))) == [  # type: ignore[arg-type]
        '"total" takes "values" as list[int], but "read" gives list[str]'
    ]
    assert messages(lambda: number(number.map(x=[1]))) == [  # type: ignore[arg-type]
        '"number-2" takes "x" as int, but "number" gives list[int]'
    ]
    assert messages(lambda: number.map(x=["a"])) == [
        '"number" takes each item of "x" as int, but it is given [\'a\'] (list)'
    ]
    assert messages(lambda: number.map(x=number())) == [
        '"number-2" takes each item of "x" as int, but "number" gives int'
    ]


def test_lists_of_handles_are_checked_one_by_one() -> None:
    assert messages(lambda: total([number(), 3, unknown()])) == []
    assert messages(lambda: total([number(), text()])) == [  # type: ignore[list-item]
        '"total" takes "values" as list[int], but it is given list'
    ]
    assert len(messages(lambda: number([number()]))) == 1  # type: ignore[arg-type]


def test_files_and_references_are_cures() -> None:
    assert messages(lambda: read(jeyn.File("a.txt"), jeyn.ref("digits@^1/latest"))) == []  # type: ignore[arg-type]

    def body() -> None:
        read("a.txt", "digits@^1/latest")  # type: ignore[arg-type]

    assert [problem.hint for problem in problems(body)] == [
        'pass the file: jeyn.File("a.txt")',
        'pass the artefact of that name: jeyn.ref("digits@^1/latest")',
    ]


def test_first_gives_any_of_its_branches() -> None:
    assert messages(lambda: number(jeyn.first(number(), 5))) == []
    assert messages(lambda: number(jeyn.first(text(), number()))) == []  # type: ignore[type-var]
    assert len(messages(lambda: number(jeyn.first(text(), "b")))) == 1  # type: ignore[arg-type]


def test_an_unknown_type_fits() -> None:
    assert messages(lambda: number(unknown())) == []
    assert messages(lambda: total(unknown())) == []
