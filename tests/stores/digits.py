"""A small world that the store tests share: digits and their labels, and a model that reads them."""

from __future__ import annotations

from typing import Any

import numpy as np

from jeyn import DataCatalog, DatasetBatch, DatasetFormula, Dtypes, Feature, MlUseCase, ModelCheckpoint, Workspace


class Digits(DataCatalog):
    x = Feature(Dtypes.FLOAT64)
    label = Feature(Dtypes.INT64)


class Scores(DataCatalog):
    probability = Feature(Dtypes.FLOAT64)


DIGITS = DatasetFormula("digits", version="1.0.0", output_catalog=Digits)
READER = MlUseCase("digit-reader", input_catalog=Digits.only("x"), output_catalog=Scores)


def rows(seed: int, count: int = 10) -> dict[str, Any]:
    return {"x": np.random.default_rng(seed).random(count), "label": np.arange(count) % 10}


def a_batch(workspace: Workspace, seed: int = 1) -> DatasetBatch:
    return workspace.dataset_store.save_batch(DIGITS.new_table(rows(seed)))


def a_checkpoint(workspace: Workspace, seed: int = 1, level: str = "minor", **options: Any) -> ModelCheckpoint:
    """A saved checkpoint whose model is `[seed]`, on a batch of its own unless `dataset` is given."""
    dataset = options.pop("dataset", None) or a_batch(workspace, seed=1)
    bump = getattr(READER, f"update_{level}")
    return workspace.model_store.save_checkpoint(bump(dataset=dataset, model=np.array([float(seed)]), **options))
