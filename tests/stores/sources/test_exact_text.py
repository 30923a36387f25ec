"""Numbers in text files are what is written, or an error that names file, row, column and value."""

from __future__ import annotations

import io
from typing import Any

import pytest

from jeyn import DataCatalog, Dtypes, Feature
from jeyn.errors import DataInvalid
from jeyn.stores.sources.formats import read_batches

BIG = 2**53 + 1


def read(name: str, text: str, feature: Feature) -> list[Any]:
    catalog = DataCatalog.of("One", {"x": feature})
    return [
        value for batch in read_batches(name, io.BytesIO(text.encode()), catalog, 100) for value in batch[0].to_pylist()
    ]


def text_of(suffix: str, cells: list[str]) -> str:
    if suffix == "csv":
        return "id,x\n" + "".join(f"{at},{cell}\n" for at, cell in enumerate(cells))
    return "".join(f'{{"id": {at}, "x": {cell or "null"}}}\n' for at, cell in enumerate(cells))


SUFFIXES = pytest.mark.parametrize("suffix", ["csv", "jsonl"])


@SUFFIXES
@pytest.mark.parametrize(
    ("dtype", "cells", "expected"),
    [
        (Dtypes.FLOAT64, ["9007199254740992", "0.1", "1e300", str(2**60)], [2.0**53, 0.1, 1e300, 2.0**60]),
        (Dtypes.FLOAT64, ["12345678901234567.5"], [12345678901234568.0]),
        (Dtypes.FLOAT32, ["16777216", "33554432"], [16777216.0, 33554432.0]),
        (Dtypes.FLOAT16, ["2048", "4096"], [2048.0, 4096.0]),
    ],
)
def test_whole_numbers_are_kept_and_fractions_are_the_nearest(
    suffix: str, dtype: Dtypes, cells: list[str], expected: list[float]
) -> None:
    assert read(f"a.{suffix}", text_of(suffix, cells), Feature(dtype)) == expected


@SUFFIXES
@pytest.mark.parametrize(
    ("dtype", "cell"),
    [
        (Dtypes.FLOAT64, str(BIG)),
        (Dtypes.FLOAT64, f"-{BIG}"),
        (Dtypes.FLOAT64, f"{BIG}.0"),
        (Dtypes.FLOAT32, "16777217"),
        (Dtypes.FLOAT16, "2049"),
    ],
)
def test_a_whole_number_that_would_be_rounded_is_refused(suffix: str, dtype: Dtypes, cell: str) -> None:
    with pytest.raises(DataInvalid) as caught:
        read(f"a.{suffix}", text_of(suffix, ["1", cell]), Feature(dtype))
    told = str(caught.value)
    assert f'"a.{suffix}"' in told
    assert 'column "x" in row 1' in told
    assert f'"{cell}" is no {dtype.value} exactly' in told


def test_a_whole_number_within_a_list_that_would_be_rounded_is_refused() -> None:
    feature = Feature(Dtypes.FLOAT64, shape=(-1, -1))
    assert read("a.jsonl", '{"x": [1, 0.5]}\n', feature) == [[1.0, 0.5]]
    with pytest.raises(DataInvalid, match="in row 1"):
        read("a.jsonl", f'{{"x": [1]}}\n{{"x": [0.5, {BIG}]}}\n', feature)


@SUFFIXES
def test_integers_with_gaps_may_be_written_as_pandas_writes_them(suffix: str) -> None:
    feature = Feature(Dtypes.INT64, nullable=True)
    cells = ["1.0", "", f"{BIG}.0", "-3", str(2**63 - 1)]
    expected = [1, None, BIG, -3, 2**63 - 1]
    assert read(f"a.{suffix}", text_of(suffix, cells), feature) == expected


@SUFFIXES
@pytest.mark.parametrize(
    ("feature", "cell"),
    [
        (Feature(Dtypes.INT64, nullable=True), "1.5"),
        (Feature(Dtypes.INT8, nullable=True), "128.0"),
        (Feature(Dtypes.INT64, nullable=True), f"{2**63}.0"),
        (Feature(Dtypes.INT64), "1.0"),
    ],
)
def test_what_is_no_such_integer_is_refused(suffix: str, feature: Feature, cell: str) -> None:
    with pytest.raises(DataInvalid) as caught:
        read(f"a.{suffix}", text_of(suffix, ["1", cell]), feature)
    assert 'column "x" in row 1' in str(caught.value)
    assert cell in str(caught.value)


def test_integers_with_gaps_within_lists() -> None:
    feature = Feature(Dtypes.INT64, shape=(-1, -1), nullable=True)
    assert read("a.jsonl", '{"x": [1.0, null]}\n{"x": null}\n', feature) == [[1, None], None]


@SUFFIXES
def test_a_bad_cell_of_another_column_is_told_beside_gaps(suffix: str) -> None:
    catalog = DataCatalog.of("Two", {"x": Feature(Dtypes.INT64, nullable=True), "y": Feature(Dtypes.BOOL)})
    text = "x,y\n1.0,true\n2,no\n" if suffix == "csv" else '{"x": 1.0, "y": true}\n{"x": 2, "y": 7}\n'
    with pytest.raises(DataInvalid, match='column "y" in row 1'):
        list(read_batches(f"a.{suffix}", io.BytesIO(text.encode()), catalog, 100))
