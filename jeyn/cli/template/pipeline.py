"""PROJECT: learns rents from what arrives in data/, and blesses the model when it is good enough."""

from __future__ import annotations

from typing import Any

import numpy as np

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
from jeyn.formulas import StreamingFormula


class Flats(DataCatalog):
    area = Feature(Dtypes.FLOAT64)
    rooms = Feature(Dtypes.INT64)
    rent = Feature(Dtypes.FLOAT64)


flats = StreamingFormula("flats", version="1.0.0", output_catalog=Flats, source="data/*.csv")
rent = MlUseCase("rent", input_catalog=Flats.only("area", "rooms"), output_catalog=Flats.only("rent"))


def inputs(data: dict[str, Any]) -> Any:
    return np.column_stack([data["area"], data["rooms"], np.ones(len(data["area"]))])


@operation
def ingest() -> DatasetBatch:
    return dataset_store.save_batch(flats.get_new_batch())  # only files that no earlier batch has


@operation
def train(batch: DatasetBatch, strength: float = 0.1) -> ModelCheckpoint:
    data = batch.to_numpy()
    x = inputs(data)
    weights = np.linalg.solve(x.T @ x + strength * np.eye(x.shape[1]), x.T @ data["rent"])  # ridge regression
    return model_store.save_checkpoint(rent.update_minor(dataset=batch, model=weights))


@operation
def evaluate(checkpoint: ModelCheckpoint, batch: DatasetBatch) -> float:
    data = batch.to_numpy()
    error = float(np.abs(inputs(data) @ checkpoint.load() - data["rent"]).mean())
    model_store.save_evaluation(checkpoint, batch, {"error": error})
    return error


@operation
def bless(checkpoint: ModelCheckpoint, error: float, at_most: float = 100.0) -> ModelCheckpoint:
    if error <= at_most:
        model_store.bless(checkpoint, reason=f"mean error {error:.1f}")
    return checkpoint


@pipeline
def nightly(strength: float = 0.1) -> ModelCheckpoint:
    batch = ingest()
    checkpoint = train(batch, strength)
    return bless(checkpoint, evaluate(checkpoint, batch))
