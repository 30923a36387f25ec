"""A number that is too small for a float type is no zero: it is refused where it stands, as one too large is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jeyn.errors import DataInvalid
from jeyn.sdk.catalog import DataCatalog
from jeyn.sdk.datasets.source_options import PLAIN, SourceOptions
from jeyn.sdk.dtypes import Dtypes
from jeyn.sdk.feature import Feature
from jeyn.stores.sources.formats import read_table

VANISHED = [
    (Dtypes.FLOAT64, "1e-400"),
    (Dtypes.FLOAT64, "-2.4E-324"),
    (Dtypes.FLOAT64, f"0.{'0' * 330}1"),
    (Dtypes.FLOAT32, "1e-50"),
    (Dtypes.FLOAT32, f"-0.{'0' * 50}1"),
    (Dtypes.FLOAT16, "1e-9"),
    (Dtypes.FLOAT16, "0.00000002"),
]
KEPT = [
    (Dtypes.FLOAT64, "0e-400"),
    (Dtypes.FLOAT64, "-0.0"),
    (Dtypes.FLOAT64, "4.9e-324"),
    (Dtypes.FLOAT64, f"0.{'0' * 330}"),
    (Dtypes.FLOAT32, "1e-45"),
    (Dtypes.FLOAT32, "0E0"),
    (Dtypes.FLOAT16, "6e-8"),
    (Dtypes.FLOAT16, "1e-5"),
]
FORMS = {
    "csv": "v\n0\n{}\n",
    "quoted csv": 'v\n"0"\n"{}"\n',
    "tsv": "w\tv\n1\t0\n2\t{}\n",
    "jsonl": '{{"v": 0}}\n{{"v": {}}}\n',
    "lists": '{{"v": [0]}}\n{{"v": [{}]}}\n',
    "cast csv": "v\n0\n{}\n",
    "cast jsonl": '{{"v": "0"}}\n{{"v": "{}"}}\n',
}


def read(tmp_path: Path, form: str, dtype: Dtypes, number: str) -> list[object]:
    path = tmp_path / f"a.{form.split()[-1] if form != 'lists' else 'jsonl'}"
    path.write_text(FORMS[form].format(number))
    feature = Feature(dtype, shape=(-1, -1) if form == "lists" else (-1,))
    options = SourceOptions(casts=["v"]) if form.startswith("cast") else PLAIN
    found: list[object] = read_table(path.name, path, DataCatalog.of("C", {"v": feature}), None, options)[
        "v"
    ].to_pylist()
    return found


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("dtype", "number"), VANISHED)
def test_what_is_too_small_is_refused_with_file_row_and_column(
    tmp_path: Path, form: str, dtype: Dtypes, number: str
) -> None:
    with pytest.raises(DataInvalid) as caught:
        read(tmp_path, form, dtype, number)
    told = str(caught.value)
    assert told.startswith('"a.')
    assert 'column "v" in row 1' in told
    assert number[:70] in told
    assert dtype.value in told


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("dtype", "number"), KEPT)
def test_zeros_and_the_smallest_numbers_are_kept(tmp_path: Path, form: str, dtype: Dtypes, number: str) -> None:
    made = float(np.dtype(dtype.value).type(number))
    assert read(tmp_path, form, dtype, number)[1] == ([made] if form == "lists" else made)


def test_a_cast_of_doubles_makes_no_zeros(tmp_path: Path) -> None:
    catalog, path = DataCatalog.of("C", {"v": Feature(Dtypes.FLOAT32, nullable=True)}), tmp_path / "a.parquet"
    options = SourceOptions(casts=["v"])
    pq.write_table(pa.table({"v": [0.0, None, 1e-40, -0.0]}), path)
    assert read_table("a.parquet", path, catalog, None, options)["v"].to_pylist() == [0, None, np.float32(1e-40), 0]
    pq.write_table(pa.table({"v": [0.0, None, 1e-50]}), path)
    with pytest.raises(DataInvalid, match='column "v" in row 2: "1e-50"'):
        read_table("a.parquet", path, catalog, None, options)
