"""A batch of many files: read side by side, and as if one after another."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

import jeyn
from jeyn import DataCatalog, Dtypes, Feature
from jeyn.errors import Corrupt
from jeyn.formulas import StreamingFormula
from jeyn.sdk.datasets.batch import DatasetBatch
from jeyn.stores import readahead
from jeyn.stores.workspace import Workspace

FILES, ROWS = 40, 25


class Numbered(DataCatalog):
    n = Feature(Dtypes.INT64)
    text = Feature(Dtypes.STRING)


@pytest.fixture(params=["one after another", "side by side"])
def portion(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "side by side":
        monkeypatch.setattr(readahead, "_PORTION", 1)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    (tmp_path / "data").mkdir()
    return jeyn.open(home=tmp_path / "home", data=tmp_path / "data")


def saved(workspace: Workspace, suffix: str) -> DatasetBatch:
    for at in range(FILES):
        numbers = range(at * ROWS, (at + 1) * ROWS)
        table = pa.table({"n": numbers, "text": [f"row {n}" for n in numbers]})
        path = Path(workspace.settings.data) / f"{at:03}.{suffix}"
        pq.write_table(table, path) if suffix == "parquet" else pa_csv.write_csv(table, path)
    formula = StreamingFormula("numbered", version="1.0.0", output_catalog=Numbered, source=f"*.{suffix}")
    return workspace.dataset_store.save_batch(formula.get_new_batch())


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
@pytest.mark.usefixtures("portion")
def test_rows_come_in_the_order_of_the_files(workspace: Workspace, suffix: str) -> None:
    batch = saved(workspace, suffix)
    assert batch.load()["n"].to_pylist() == list(range(FILES * ROWS))
    assert batch.load(columns=["n"], filter=[("n", ">=", 500)])["n"].to_pylist() == list(range(500, FILES * ROWS))
    assert batch.to_numpy(columns=["n"])["n"].tolist() == list(range(FILES * ROWS))


@pytest.mark.usefixtures("portion")
def test_one_damaged_file_among_many_is_found(workspace: Workspace) -> None:
    batch = saved(workspace, "parquet")
    damaged = batch.files[FILES // 2].digest[7:]
    path = workspace.payloads.local_path(damaged)
    assert path is not None
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(Corrupt, match=damaged):
        batch.load()
