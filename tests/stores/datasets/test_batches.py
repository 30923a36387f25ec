"""A6: the kinds of batch, the shapes they load in, and what is known of them without loading."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import jeyn
from jeyn import DataCatalog, DatasetFormula, Dtypes, Feature
from jeyn.errors import Corrupt, DataInvalid, NotSerializable, PayloadMissing, Unsaved, UsageError
from jeyn.formulas import StreamingFormula
from jeyn.sdk.datasets.batch import FileBatch, GenericBatch, TableBatch
from jeyn.stores.workspace import Workspace


class Digits(DataCatalog):
    pixels = Feature(Dtypes.FLOAT32, shape=(-1, 2, 3))
    label = Feature(Dtypes.INT64)
    note = Feature(Dtypes.STRING, nullable=True, optional=True)


FORMULA = DatasetFormula("digits", version="1.0.0", output_catalog=Digits)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    (tmp_path / "data").mkdir()
    return jeyn.open(home=tmp_path / "home", data=tmp_path / "data")


def arrays(rows: int = 5) -> dict[str, object]:
    return {
        "pixels": np.arange(rows * 6, dtype=np.float32).reshape(rows, 2, 3),
        "label": np.arange(rows),
        "note": np.array([None, *["x"] * (rows - 1)], dtype=object),
    }


def test_a_table_batch_comes_back_in_every_shape(workspace: Workspace) -> None:
    batch = workspace.dataset_store.save_batch(FORMULA.new_table(arrays()))
    assert isinstance(batch, TableBatch)
    loaded = batch.load()
    assert isinstance(loaded, pa.Table)
    assert loaded.num_rows == 5
    numpy = batch.to_numpy()
    assert numpy["pixels"].shape == (5, 2, 3)
    assert numpy["pixels"].dtype == np.float32
    assert np.array_equal(numpy["pixels"], arrays()["pixels"])  # type: ignore[arg-type]
    assert batch.to_pandas()["label"].tolist() == [0, 1, 2, 3, 4]
    assert batch.to_polars()["label"].to_list() == [0, 1, 2, 3, 4]


def test_tensors_have_the_features_shape(workspace: Workspace) -> None:
    pytest.importorskip("torch", reason="the torch extra is not installed")
    batch = workspace.dataset_store.save_batch(FORMULA.new_table(arrays()))
    tensors = batch.to_torch()
    assert set(tensors) == {"pixels", "label"}
    assert tuple(tensors["pixels"].shape) == (5, 2, 3)
    assert str(tensors["pixels"].dtype) == "torch.float32"


@pytest.mark.parametrize("kind", ["arrow", "pandas", "polars", "record batch"])
def test_a_table_batch_takes_every_kind_of_table(workspace: Workspace, kind: str) -> None:
    import polars

    class Plain(DataCatalog):
        label = Feature(Dtypes.INT64)

    table = pa.table({"label": [1, 2, 3]})
    data = {
        "arrow": table,
        "pandas": pd.DataFrame({"label": [1, 2, 3]}),
        "polars": polars.DataFrame({"label": [1, 2, 3]}),
        "record batch": table.to_batches()[0],
    }[kind]
    formula = DatasetFormula("plain", version="1.0.0", output_catalog=Plain)
    assert workspace.dataset_store.save_batch(formula.new_table(data)).load() == table


def test_what_is_no_table_is_refused_by_name(workspace: Workspace) -> None:
    with pytest.raises(NotSerializable, match='"int"'):
        workspace.dataset_store.save_batch(FORMULA.new_table(7))


def test_a_column_that_arrow_cannot_hold_is_named(workspace: Workspace) -> None:
    mixed = pd.DataFrame({"label": [1, "b"], "pixels": [None, None]})
    with pytest.raises(DataInvalid, match='"label"'):
        workspace.dataset_store.save_batch(FORMULA.new_table(mixed))


def test_data_that_do_not_fit_the_catalog_are_refused_and_kept_in_quarantine(workspace: Workspace) -> None:
    bad = arrays() | {"label": np.array(["a", "b", "c", "d", "e"])}
    with pytest.raises(DataInvalid, match="label") as refused:
        workspace.dataset_store.save_batch(FORMULA.new_table(bad))
    assert workspace.dataset_store.get_batch(refused.value.refs[0]).is_quarantined


def test_unsaved_batches_load_from_memory_or_say_so() -> None:
    assert FORMULA.new_table(arrays()).load().num_rows == 5
    assert FORMULA.new_object([1]).load() == [1]
    streaming = StreamingFormula("s", version="1.0.0", output_catalog=Digits, source="*.parquet")
    with pytest.raises(Unsaved):
        streaming.get_new_batch().load()
    with pytest.raises(Unsaved):
        _ = streaming.get_new_batch().epoch


def test_file_batches_keep_each_file_with_its_digest(workspace: Workspace, tmp_path: Path) -> None:
    paths = []
    for name in ("b", "a"):
        path = tmp_path / f"{name}.parquet"
        pq.write_table(FORMULA.new_table(arrays()).load(), path)
        paths.append(path)
    batch = workspace.dataset_store.save_batch(FORMULA.new_files(paths))
    assert isinstance(batch, FileBatch)
    assert [file.name for file in batch.files] == ["b.parquet", "a.parquet"]
    assert batch.rows == batch.load().num_rows == 10
    assert all(file.digest.startswith("sha256:") and file.size > 0 for file in batch.files)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".arrow", ".parquet"])
def test_files_are_read_by_their_suffix(workspace: Workspace, suffix: str) -> None:
    class Plain(DataCatalog):
        at = Feature(Dtypes.INT64)
        word = Feature(Dtypes.STRING)

    table = pa.table({"at": [1, 2], "word": ["a", "b"]})
    path = Path(workspace.settings.data) / f"rows{suffix}"
    if suffix == ".csv":
        path.write_text("at,word\n1,a\n2,b\n")
    elif suffix == ".jsonl":
        path.write_text('{"at": 1, "word": "a"}\n{"at": 2, "word": "b"}\n')
    elif suffix == ".arrow":
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
    else:
        pq.write_table(table, path)
    formula = StreamingFormula("plain", version="1.0.0", output_catalog=Plain, source="rows*")
    batch = workspace.dataset_store.save_batch(formula.get_new_batch())
    assert batch.load().select(["at", "word"]).to_pylist() == table.to_pylist()


def test_an_optional_feature_may_be_in_some_files_only(workspace: Workspace) -> None:
    full = FORMULA.new_table(arrays()).load()
    data = Path(workspace.settings.data)
    pq.write_table(full, data / "1.parquet")
    pq.write_table(full.drop_columns(["note"]), data / "2.parquet")
    formula = StreamingFormula("s", version="1.0.0", output_catalog=Digits, source="*.parquet")
    loaded = workspace.dataset_store.save_batch(formula.get_new_batch()).load()
    assert loaded.column("note").null_count == 6


def _payload_path(workspace: Workspace, batch: jeyn.DatasetBatch) -> Path:
    path = workspace.payloads.local_path(batch.files[0].digest[7:])
    assert path is not None
    path.chmod(0o644)
    return path


def test_a_changed_payload_is_noticed_on_load(workspace: Workspace) -> None:
    batch = workspace.dataset_store.save_batch(FORMULA.new_table(arrays()))
    path = _payload_path(workspace, batch)
    blob = bytearray(path.read_bytes())
    blob[len(blob) // 2] ^= 1
    path.write_bytes(blob)
    with pytest.raises(Corrupt):
        batch.load()
    with pytest.raises(Corrupt):
        list(batch.iter_batches(2))


def test_a_missing_payload_names_the_batch(workspace: Workspace) -> None:
    batch = workspace.dataset_store.save_batch(FORMULA.new_table(arrays()))
    _payload_path(workspace, batch).unlink()
    with pytest.raises(PayloadMissing, match=r"digits@1\.0\.0/1"):
        batch.load()


def test_generic_batches_keep_any_object_and_how_it_was_made(workspace: Workspace) -> None:
    value = np.arange(6.0).reshape(2, 3)
    batch = workspace.dataset_store.save_batch(FORMULA.new_object(value, kwargs={"seed": 7}, sources=[]))
    assert isinstance(batch, GenericBatch)
    assert np.array_equal(batch.load(), value)
    assert batch.record().body["kwargs"] == {"seed": 7}
    with pytest.raises(UsageError, match="no rows"):
        list(batch.iter_batches())


def test_sources_are_lineage(workspace: Workspace) -> None:
    store = workspace.dataset_store
    first = store.save_batch(FORMULA.new_table(arrays()))
    derived = DatasetFormula("derived", version="1.0.0", output_catalog=Digits)
    second = store.save_batch(derived.new_table(arrays(3), sources=[first]))
    assert first.id in set(second.upstream().ids)


def test_iter_batches_gives_all_rows_in_order_in_pieces(workspace: Workspace) -> None:
    batch = workspace.dataset_store.save_batch(FORMULA.new_table(arrays(1000)))
    pieces = list(batch.iter_batches(rows=64))
    assert max(piece.num_rows for piece in pieces) <= 64
    assert pa.Table.from_batches(pieces).column("label").to_pylist() == list(range(1000))
    with pytest.raises(UsageError):
        list(batch.iter_batches(rows=0))


def test_iter_batches_is_bounded_in_memory(tmp_path: Path) -> None:
    """800 MB of rows pass through in pieces while the process grows by less than a fifth of that."""
    run = subprocess.run(
        [sys.executable, "-c", MEMORY, str(tmp_path)], capture_output=True, text=True, check=False, timeout=300
    )
    assert run.returncode == 0, run.stderr
    grown, rows = map(float, run.stdout.split())
    assert rows == 10_000_000
    assert grown < 160, f"grew by {grown:.0f} MB"


MEMORY = """
import re, sys
from pathlib import Path
import numpy as np, pyarrow as pa, pyarrow.parquet as pq
import jeyn
from jeyn import DataCatalog, Dtypes, Feature
from jeyn.formulas import StreamingFormula

class Rows(DataCatalog):
    x = Feature(Dtypes.FLOAT64, shape=(-1, 10))

folder = Path(sys.argv[1])
(folder / "data").mkdir()
schema = pa.schema([("x", pa.list_(pa.float64(), 10))])
with pq.ParquetWriter(folder / "data/rows.parquet", schema, compression="zstd") as writer:
    for i in range(100):
        column = pa.FixedSizeListArray.from_arrays(pa.array(np.repeat(np.float64(i), 1_000_000)), 10)
        writer.write_table(pa.table({"x": column}), row_group_size=100_000)

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024

workspace = jeyn.open(home=folder / "home", data=folder / "data")
formula = StreamingFormula("rows", version="1.0.0", output_catalog=Rows, source="*.parquet")
Path("/proc/self/clear_refs").write_text("5")
before = int(re.search(r"VmRSS:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024
batch = workspace.dataset_store.save_batch(formula.get_new_batch())
rows = sum(piece.num_rows for piece in batch.iter_batches(rows=50_000))
print(peak() - before, rows)
"""


def test_statistics_are_there_without_loading(workspace: Workspace) -> None:
    batch = workspace.dataset_store.save_batch(FORMULA.new_table(arrays()))
    label = batch.statistics["label"]
    assert {key: label[key] for key in ("count", "nulls", "min", "max", "mean")} == {
        "count": 5,
        "nulls": 0,
        "min": 0,
        "max": 4,
        "mean": 2.0,
    }
    assert label["std"] == pytest.approx(np.arange(5).std(ddof=1))
    assert batch.statistics["note"]["nulls"] == 1
    assert batch.rows == 5


def test_reading_rows_for_statistics_happens_once(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Validation and statistics share one pass: each row is handed to the profiler exactly once, and read once."""
    from jeyn.sdk.validation.profile import Profiler

    seen: list[int] = []
    update = Profiler.update

    def counting(self: Profiler, batch: pa.RecordBatch) -> None:
        seen.append(batch.num_rows)
        update(self, batch)

    monkeypatch.setattr(Profiler, "update", counting)
    workspace.dataset_store.save_batch(FORMULA.new_table(arrays(1000)))
    assert sum(seen) == 1000


def test_a_batch_has_a_notebook_face(workspace: Workspace) -> None:
    batch = workspace.dataset_store.save_batch(FORMULA.new_table(arrays()))
    assert "digits@1.0.0/1" in batch._repr_html_()
