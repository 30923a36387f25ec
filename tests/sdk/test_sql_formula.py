"""What `SqlFormula` takes for `late=`: a distance in the watermark's own unit, or a timedelta for times."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from jeyn import DataCatalog, Dtypes, Feature
from jeyn.errors import UsageError
from jeyn.formulas import SqlFormula


class Rows(DataCatalog):
    at = Feature(Dtypes.TIMESTAMP)
    number = Feature(Dtypes.INT64)


def formula(late: Any, watermark: str = "at") -> SqlFormula:
    return SqlFormula(
        "rows", version="1.0.0", output_catalog=Rows, query="SELECT * FROM t", watermark=watermark, late=late
    )


@pytest.mark.parametrize(
    ("late", "seconds"),
    [(None, None), (0, 0.0), (3600, 3600.0), (1.5, 1.5), (timedelta(hours=1), 3600.0), (timedelta(0), 0.0)],
)
def test_late_is_a_number_or_a_timedelta(late: Any, seconds: float | None) -> None:
    found = formula(late)
    assert found.late == seconds
    assert found.recipe()["late"] == seconds


def test_the_same_distance_is_the_same_recipe() -> None:
    assert formula(timedelta(minutes=1)).recipe() == formula(60).recipe()


@pytest.mark.parametrize("late", [-1, timedelta(seconds=-1), float("nan"), float("inf"), "1h", "60", True, [1]])
def test_anything_else_is_refused_when_it_is_declared(late: Any) -> None:
    with pytest.raises(UsageError, match="how far back") as caught:
        formula(late)
    assert repr(late) in caught.value.message and "timedelta" in caught.value.hint


def test_a_number_is_not_late_by_a_time() -> None:
    with pytest.raises(UsageError, match='"number" is no time'):
        formula(timedelta(hours=1), watermark="number")
