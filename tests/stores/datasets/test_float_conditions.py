"""Conditions on floats mean numbers of the feature's dtype: 0.1 is the FLOAT32 that prints so."""

from __future__ import annotations

import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import jeyn
from jeyn import DataCatalog, Dtypes, Feature
from jeyn.formulas import StreamingFormula
from jeyn.sdk.datasets.batch import DatasetBatch

VALUES = [-0.1, 0.0, 0.1, 0.5, 2.0, 1000.0, math.inf]


@pytest.fixture(scope="module")
def batch(tmp_path_factory: pytest.TempPathFactory) -> DatasetBatch:
    root = tmp_path_factory.mktemp("floats")
    types = {"half": np.float16, "single": np.float32, "double": np.float64}
    pq.write_table(
        pa.table({name: pa.array(np.array(VALUES, type)) for name, type in types.items()}), root / "a.parquet"
    )
    catalog = DataCatalog.of(
        "Floats",
        {"half": Feature(Dtypes.FLOAT16), "single": Feature(Dtypes.FLOAT32), "double": Feature(Dtypes.FLOAT64)},
    )
    formula = StreamingFormula("floats", version="1.0.0", output_catalog=catalog, source="*.parquet")
    workspace = jeyn.open(home=root / "home", data=root)
    return workspace.dataset_store.save_batch(formula.get_new_batch())


@pytest.mark.parametrize("name", ["half", "single", "double"])
@pytest.mark.parametrize(
    ("operator", "literal", "positions"),
    [
        ("==", 0.1, [2]),
        ("==", Decimal("0.1"), [2]),
        ("!=", 0.1, [0, 1, 3, 4, 5, 6]),
        ("in", [0.1, 2], [2, 4]),
        ("in", [], []),
        ("not in", [0.1, 2], [0, 1, 3, 5, 6]),
        ("<", 0.1, [0, 1]),
        ("<=", 0.1, [0, 1, 2]),
        (">", 0.1, [3, 4, 5, 6]),
        (">=", 0.1, [2, 3, 4, 5, 6]),
        ("==", np.int64(2), [4]),
        ("==", 1e-60, []),
        (">", 1e-60, [2, 3, 4, 5, 6]),
        (">=", 1e-60, [2, 3, 4, 5, 6]),
        ("==", 1e300, []),
        ("<", 1e300, [0, 1, 2, 3, 4, 5]),
        ("==", math.inf, [6]),
        ("==", 16777217, []),
        ("<", 16777217, [0, 1, 2, 3, 4, 5]),
    ],
)
def test_a_literal_is_a_number_of_the_dtype(
    batch: DatasetBatch, name: str, operator: str, literal: Any, positions: list[int]
) -> None:
    found = batch.load(columns=[name], filter=[(name, operator, literal)])[name].to_pylist()
    assert found == [batch.load()[name].to_pylist()[at] for at in positions]


def test_a_number_of_numpy_is_itself(batch: DatasetBatch) -> None:
    assert batch.load(filter=[("single", "==", np.float32(0.1))]).num_rows == 1
    assert batch.load(filter=[("half", "in", [np.float16(0.1)])]).num_rows == 1
    assert batch.load(filter=[("double", "==", np.float32(0.1))]).num_rows == 0


@pytest.mark.parametrize(("name", "whole"), [("half", 2049), ("single", 16_777_217)])
def test_a_whole_number_that_the_dtype_lacks_is_no_other_one(tmp_path: Path, name: str, whole: int) -> None:
    type, dtype = (np.float16, Dtypes.FLOAT16) if name == "half" else (np.float32, Dtypes.FLOAT32)
    pq.write_table(pa.table({name: pa.array(np.array([whole - 1, whole + 1], type))}), tmp_path / "a.parquet")
    catalog = DataCatalog.of("Floats", {name: Feature(dtype)})
    formula = StreamingFormula("floats", version="1.0.0", output_catalog=catalog, source="*.parquet")
    with jeyn.open(home=tmp_path / "home", data=tmp_path) as workspace:
        batch = workspace.dataset_store.save_batch(formula.get_new_batch())
        assert batch.load(filter=[(name, "==", whole)]).num_rows == 0
        assert batch.load(filter=[(name, "<", whole)])[name].to_pylist() == [whole - 1]
        assert batch.load(filter=[(name, "in", [whole, whole + 1])])[name].to_pylist() == [whole + 1]
