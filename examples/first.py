"""Scanned digits arrive day by day; each day a model is trained, compared on the same held-out batch, and blessed.

Everything it makes is in one folder: `python examples/first.py [FOLDER]` (default: examples/.first). Run it again and
nothing is done twice.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

import jeyn
from jeyn import DataCatalog, DatasetBatch, Dtypes, Feature, MlUseCase, ModelCheckpoint, dataset_store, model_store
from jeyn.checks import between
from jeyn.formulas import StreamingFormula


class Digits(DataCatalog):
    pixels = Feature(Dtypes.FLOAT32, shape=(-1, 64), checks=[between(0, 16)])
    label = Feature(Dtypes.INT64, checks=[between(0, 9)])


class Reading(DataCatalog):
    digit = Feature(Dtypes.INT64)


digits = StreamingFormula("digits", version="1.0.0", output_catalog=Digits, source="days/*.parquet")
holdout = StreamingFormula("digits-holdout", version="1.0.0", output_catalog=Digits, source="holdout.parquet")
reader = MlUseCase("digit-reader", input_catalog=Digits.only("pixels"), output_catalog=Reading)


def arrive(path: Path, rows: slice) -> None:
    """Write some of scikit-learn's scanned digits as a data file, unless it is there."""
    if path.exists():
        return
    pixels, labels = load_digits(return_X_y=True)
    column = pa.FixedSizeListArray.from_arrays(pa.array(pixels[rows].astype(np.float32).reshape(-1)), 64)
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"pixels": column, "label": labels[rows]}), path)


def train(batch: DatasetBatch) -> ModelCheckpoint:
    data = batch.to_numpy()
    model = LogisticRegression(max_iter=200).fit(data["pixels"], data["label"])
    return model_store.save_checkpoint(reader.update_minor(dataset=batch, model=model))


def accuracy(checkpoint: ModelCheckpoint, batch: DatasetBatch) -> float:
    data = batch.to_numpy()
    score = float((checkpoint.load().predict(data["pixels"]) == data["label"]).mean())
    model_store.save_evaluation(checkpoint, batch, {"accuracy": score})
    return score


def one_day(test: DatasetBatch) -> None:
    """Take what is new, train on it, and bless the model if it beats the blessed one on the same batch."""
    batch = dataset_store.save_batch(digits.get_new_batch())
    if not batch.is_new:
        print(f"{batch.ref} has everything already")
        return
    checkpoint, blessed = train(batch), model_store.get_checkpoint("digit-reader@blessed", default=None)
    score = accuracy(checkpoint, test)
    before = accuracy(blessed, test) if blessed else 0.0
    print(f"{batch.ref}: {batch.rows} scans → {checkpoint.ref}: accuracy {score:.3f}, blessed before: {before:.3f}")
    if score > before:
        model_store.bless(checkpoint, reason=f"accuracy {score:.3f}", over=blessed)


def main(folder: Path) -> None:
    with jeyn.open(home=folder / "home", data=folder / "data") as workspace, jeyn.use(workspace):
        arrive(folder / "data" / "holdout.parquet", slice(1400, None))
        test = dataset_store.save_batch(holdout.get_new_batch())
        for day, rows in enumerate([slice(0, 300), slice(300, 1400)], start=1):
            arrive(folder / "data" / "days" / f"{day:02d}.parquet", rows)
            one_day(test)
        print("\nWhere the blessed model comes from:\n")
        print(jeyn.lineage("digit-reader@blessed"))
        print("\nWhat would break if scans became 4 × 4 pixels and the labels went away:\n")

        class Thinner(DataCatalog):
            pixels = Feature(Dtypes.UINT8, shape=(-1, 16))

        print(jeyn.impact("formula:digits@1.0.0", new_catalog=Thinner))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / ".first")
