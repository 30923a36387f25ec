"""What a plan cannot hold as a constant: the error says how to make of it what it can hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from jeyn.errors import NotDigestible
from jeyn.sdk.constant import plain
from jeyn.sdk.mapped import known_list

TIMES = pd.Series(pd.to_datetime(["2024-01-31", "2024-02-01"]))
GAPS = pd.Series([1, None, 3], dtype="Int64")
ITEMS: list[tuple[Any, str, Callable[[Any], Any]]] = [
    (TIMES, ".to_pydatetime()", lambda series: [each.to_pydatetime() for each in series]),
    (
        pd.to_timedelta(pd.Series([1, 2])),
        ".to_pytimedelta()",
        lambda series: [each.to_pytimedelta() for each in series],
    ),
    (GAPS, "dropna()", lambda series: series.dropna()),
    (GAPS, "series.astype(object).where(", lambda series: series.astype(object).where(series.notna(), None)),
    (
        pd.Series(pd.to_datetime(["2024-01-31", None])),
        ".to_pydatetime()",
        lambda s: [e.to_pydatetime() for e in s.dropna()],
    ),
    (pd.Series(pd.to_datetime([None])), "dropna()", lambda series: series.dropna()),
    (pd.period_range("2024-01", periods=2, freq="M"), "str(…)", lambda index: index.astype(str)),
    (pd.interval_range(0, 2), "str(…)", lambda index: index.astype(str)),
]


@pytest.mark.parametrize(("items", "cure", "convert"), ITEMS, ids=lambda each: str(type(each).__name__))
def test_items_of_a_series_name_the_cure(items: Any, cure: str, convert: Callable[[Any], Any]) -> None:
    with pytest.raises(NotDigestible) as refused:
        for each in known_list(items, "x"):
            plain(each, "x")
    assert cure in str(refused.value.hint)
    for each in known_list(convert(items), "x"):
        plain(each, "x")


@pytest.mark.parametrize(
    ("value", "cure", "convert"),
    [
        (pd.Series([1, 2]), ".tolist()", lambda value: value.tolist()),
        (pd.Index([1, 2]), ".tolist()", lambda value: value.tolist()),
        (pl.Series([1, 2]), ".to_list()", lambda value: value.to_list()),
        (pa.array([1, 2]), ".to_pylist()", lambda value: value.to_pylist()),
        (pa.chunked_array([[1, 2]]), ".to_pylist()", lambda value: value.to_pylist()),
        (pa.scalar(1), ".as_py()", lambda value: value.as_py()),
        (pd.Timestamp("2024-01-31"), ".to_pydatetime()", lambda value: value.to_pydatetime()),
    ],
    ids=lambda each: str(type(each).__name__),
)
def test_values_of_libraries_name_the_cure(value: Any, cure: str, convert: Callable[[Any], Any]) -> None:
    with pytest.raises(NotDigestible) as refused:
        plain(value, "x")
    assert cure in str(refused.value.hint)
    plain(convert(value), "x")
