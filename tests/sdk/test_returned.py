"""What operations return, against their annotations: whole values and what is inside."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, NewType, NotRequired, TypedDict

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pytest

from jeyn import DatasetBatch, ModelCheckpoint
from jeyn.errors import NotSerializable, WrongType
from jeyn.sdk.plan import RETURN
from jeyn.sdk.returned import check_returned

Metres = NewType("Metres", float)


class Colour(Enum):
    RED = "red"


class Row(TypedDict):
    name: str
    size: NotRequired[int]


FRAME, TABLE = pd.DataFrame({"x": [1]}), pa.table({"x": [1]})
FITS = [
    (1, int), (True, int), (np.int64(1), int), (1, float), (np.float32(0.5), float), (np.int8(3), float),
    (np.bool_(True), bool), (1.5, np.float64), (np.float64(1), np.float64), ("a", str), (np.str_("a"), str),
    (None, None), (1, int | None), (None, Any), (3, Any), (1, Annotated[int, "metres"]),
    (1.5, Metres), ("a", Literal["a", "b"]), (np.int64(3), Literal[3]), (Colour.RED, Colour), ("red", Colour),
    ([1, 2], list[int]), ([], list[int]), ((1, 2), tuple[int, ...]), ((1, 2), Sequence[int]),
    ([1, 2], Sequence[int]), ([1, 2.5], list[float]),
    ([1, None], list[int | None]), ([np.int64(1), True], list[int]), ({1, 2}, set[int]),
    ({"a": [1]}, dict[str, list[int]]),
    ([(1, "a")], list[tuple[int, str]]), (OrderedDict(a=1), dict[str, int]), (Counter("aab"), dict[str, int]),
    ({"a": 1}, Mapping[str, int]), ([1], Sequence[int]), ("ab", Sequence[str]), ({"name": "a"}, Row), (Path("x"), Path),
    (FRAME, pd.DataFrame), (FRAME["x"], pd.Series), (TABLE, pa.Table), (np.zeros(3), np.ndarray),
    (np.zeros(3), npt.NDArray[np.float64]), (len, Callable[[str], int]), (1, "Nowhere"), ([FRAME], list[pd.DataFrame]),
]  # fmt: skip
MISFITS = [
    (None, int, "it returned None"), (1.5, int, "1.5 (float)"), (np.float64(3), int, "(float64)"),
    ("1", int, "'1' (str)"),
    (None, float, "None"), (np.complex128(1), float, "complex128"), (1, str, "1 (int)"), (1, bool, "1 (int)"),
    (0, None, "0 (int)"), (5, str | None, "5 (int)"), ("c", Literal["a", "b"], "'c'"), (True, Literal[1], "True"),
    ("blue", Colour, "'blue'"), (b"x", str, "b'x'"), ("x", Path, "'x'"), (Path("x"), str, "Path"),
    ((1, 2), list[int], "it returned (1, 2) (tuple)"), ([1, 2], tuple[int, ...], "it returned [1, 2] (list)"),
    ({"a": (1,)}, dict[str, list[int]], "['a'] of what it returned is (1,) (tuple), not list[int]"),
    ((), list, "() (tuple)"), ([[1]], list[tuple[int, ...]], "[0] of what"),
    ([1, "b"], list[int], "[1] of what it returned is 'b' (str), not int"), ([1, None], list[int], "[1] of what"),
    ([0] * 5000 + ["x"], list[int], "[5000] of what"), ([[1], ["x"]], list[list[int]], "[1][0] of what"),
    ({"a": "x"}, dict[str, int], "['a'] of what it returned is 'x' (str), not int"),
    ({1: 1}, dict[str, int], "key"),
    ([(1, 2)], list[tuple[int, str]], "[0][1] of what"), ([(1,)], list[tuple[int, str]], "[0] of what"),
    ({"a"}, set[int], "'a'"), ({}, Row, "{}"), ({"name": 1}, Row, "['name'] of what"), ([1], Row, "[1] (list)"),
    (np.zeros(3), list, "ndarray"), (np.zeros(3), list[float], "ndarray"),
    (np.array(1.0), float, "ndarray"),
    ([1], np.ndarray, "[1] (list)"), (FRAME, pd.Series, "DataFrame"), (TABLE, pd.DataFrame, "Table"),
    (None, FRAME.__class__, "None"), (None, DatasetBatch, "None"),
    ("flights@1.0.0", ModelCheckpoint, "'flights@1.0.0'"), ({1: 2}, list, "{1: 2} (dict)"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "annotation"), FITS, ids=str)
def test_it_fits(value: Any, annotation: Any) -> None:
    check_returned({RETURN: value}, {RETURN: annotation}, "one")


@pytest.mark.parametrize(("value", "annotation", "said"), MISFITS, ids=str)
def test_it_does_not_fit(value: Any, annotation: Any, said: str) -> None:
    with pytest.raises(WrongType, match='"one" is annotated') as refused:
        check_returned({RETURN: value}, {RETURN: annotation}, "one")
    assert said in refused.value.message
    assert refused.value.hint
    assert not refused.value.retry_helps


def test_an_output_is_named() -> None:
    with pytest.raises(WrongType, match='the output "score" of "one" is annotated float, and it returned None'):
        check_returned({"model": 1, "score": None}, {"model": int, "score": float}, "one")


def test_the_hint_says_what_to_do() -> None:
    def hint(value: Any, annotation: Any) -> str:
        with pytest.raises(WrongType) as refused:
            check_returned({RETURN: value}, {RETURN: annotation}, "one")
        return refused.value.hint

    assert hint(None, int) == "is a return missing? else annotate it int | None"
    assert ".item()" in hint(np.array(1.0), float)
    assert ".tolist()" in hint(np.zeros((2, 2)), list)
    assert hint(1, None) == "annotate what it returns, or return nothing"


async def later() -> int:
    return 1


@pytest.mark.parametrize("annotation", [Any, Iterable[int]])
def test_what_gives_its_items_once_is_refused(annotation: Any) -> None:
    for value in ((each for each in [1]), map(str, [1]), zip([1], [2], strict=True), iter([1])):
        with pytest.raises(NotSerializable, match="gives its items once") as refused:
            check_returned({RETURN: value}, {RETURN: annotation}, "one")
        assert "list(" in refused.value.hint


def test_a_coroutine_is_refused() -> None:
    with pytest.raises(NotSerializable, match="coroutine") as refused:
        check_returned({RETURN: later()}, {}, "one")
    assert "asyncio.run" in refused.value.hint
