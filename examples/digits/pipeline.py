"""Scanned digits arrive day by day: train on the new ones, compare on held-out scans, bless what reads them better."""

from __future__ import annotations

from pathlib import Path

from picture import confusion_matrix
from sklearn.linear_model import LogisticRegression

import jeyn
from jeyn import (
    DataCatalog,
    DatasetBatch,
    Dtypes,
    Feature,
    MlUseCase,
    ModelCheckpoint,
    dataset_store,
    model_store,
    operation,
    pipeline,
)
from jeyn.checks import between
from jeyn.formulas import StreamingFormula


class Digits(DataCatalog):
    pixels = Feature(Dtypes.FLOAT32, shape=(-1, 64), checks=[between(0, 16)])  # the first axis is the rows
    label = Feature(Dtypes.INT64, shape=(-1,), checks=[between(0, 9)])


class Scores(DataCatalog):
    probability = Feature(Dtypes.FLOAT64, shape=(-1, 10))


digits = StreamingFormula("digits", version="1.0.0", output_catalog=Digits, source="data/*.parquet")
held_out = StreamingFormula("digits-holdout", version="1.0.0", output_catalog=Digits, source="data/holdout/*.parquet")
reader = MlUseCase("digit-reader", input_catalog=Digits.only("pixels"), output_catalog=Scores)


@operation
def ingest() -> DatasetBatch:
    """Only files that no earlier batch has; without any, the latest batch again."""
    return dataset_store.save_batch(digits.get_new_batch())


@operation(retries=2, resources={"cpu": 1, "memory": "1Gi"})
def train(batch: DatasetBatch, strength: float = 1.0) -> ModelCheckpoint:
    """A linear model; a larger `strength` follows the scans more closely."""
    scans = batch.to_numpy()
    model = LogisticRegression(C=strength, max_iter=500).fit(scans["pixels"], scans["label"])
    return model_store.save_checkpoint(reader.update_minor(dataset=batch, model=model))


@operation
def evaluate(checkpoint: ModelCheckpoint, batch: DatasetBatch) -> float:
    """The share of scans that are read correctly."""
    scans = batch.to_numpy()
    accuracy = float((checkpoint.load().predict(scans["pixels"]) == scans["label"]).mean())
    model_store.save_evaluation(checkpoint, batch, {"accuracy": accuracy})
    return accuracy


@operation
def draw(checkpoint: ModelCheckpoint, batch: DatasetBatch) -> Path:
    """A picture of which digits are taken for which."""
    scans = batch.to_numpy()
    path = jeyn.context().scratch / "confusion.svg"
    path.write_text(confusion_matrix(scans["label"], checkpoint.load().predict(scans["pixels"])))
    return path


@operation
def bless(checkpoint: ModelCheckpoint, accuracy: float, batch: DatasetBatch) -> ModelCheckpoint:
    """The better of this checkpoint and the blessed one, on the same batch, is the blessed one from now on."""
    # Read here and nowhere earlier: what reads the alias is run again once it moved.
    rival = model_store.get_checkpoint("digit-reader@blessed", default=None)
    if rival is not None and (rival.id == checkpoint.id or evaluate(rival, batch) >= accuracy):
        return rival
    return model_store.bless(checkpoint, reason=f"accuracy {accuracy:.3f}", over=rival)


@pipeline
def nightly(strength: float = 1.0):
    """Train on what is new; bless it if it reads the held-out scans better."""
    batch = ingest()
    checkpoint = train(batch, strength)
    holdout = jeyn.ref("batch:digits-holdout@^1/latest")
    accuracy = evaluate(checkpoint, holdout)
    return {
        "accuracy": accuracy,
        "confusion": draw(checkpoint, holdout),
        "blessed": bless(checkpoint, accuracy, holdout),
    }
