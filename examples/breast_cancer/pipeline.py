"""Biopsies arrive clinic by clinic: fine-tune the blessed network on the new ones, evaluate it, bless it if better."""

from __future__ import annotations

from typing import NamedTuple

import torch
from network import TumourNet
from torch.nn.functional import binary_cross_entropy_with_logits

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
from jeyn.checks import between, one_of
from jeyn.formulas import StreamingFormula


class Biopsies(DataCatalog):
    measures = Feature(Dtypes.FLOAT32, shape=(-1, 30), checks=[between(0)])  # radius, texture, perimeter …
    malignant = Feature(Dtypes.FLOAT32, shape=(-1,), checks=[one_of(0, 1)])


class Diagnosis(DataCatalog):
    malignant = Feature(Dtypes.FLOAT32, shape=(-1,))


class Quality(NamedTuple):
    accuracy: float
    recall: float  # of the malignant ones, how many were found


biopsies = StreamingFormula("biopsies", version="1.0.0", output_catalog=Biopsies, source="data/*.parquet")
held_out = StreamingFormula(
    "biopsies-holdout", version="1.0.0", output_catalog=Biopsies, source="data/holdout/*.parquet"
)
oncologist = MlUseCase("oncologist", input_catalog=Biopsies.only("measures"), output_catalog=Diagnosis)


@operation
def ingest() -> DatasetBatch:
    """The biopsies that no earlier batch has."""
    return dataset_store.save_batch(biopsies.get_new_batch())


@operation
def hold_out() -> DatasetBatch:
    """The biopsies that no network is trained on."""
    return dataset_store.save_batch(held_out.get_new_batch())


@operation
def train(batch: DatasetBatch, epochs: int, seed: int) -> ModelCheckpoint:
    """Fine-tune the blessed network on a batch; the first one starts from nothing."""
    parent = model_store.get_checkpoint("oncologist@blessed", default=None)
    if parent is not None and parent.batch_id() == batch.id:
        return parent  # it has learnt this batch already
    data = batch.to_torch()
    torch.manual_seed(seed)
    network = parent.load() if parent else TumourNet(inputs=30, hidden=16)
    if parent is None:
        network.fit_scale(data["measures"])
    loss = fit(network, data["measures"], data["malignant"], epochs, rate=0.001 if parent else 0.01)
    parents = [parent] if parent else []
    return model_store.save_checkpoint(
        oncologist.update_minor(dataset=batch, model=network, parents=parents, metrics={"loss": loss})
    )


def fit(network: TumourNet, measures: torch.Tensor, malignant: torch.Tensor, epochs: int, rate: float) -> float:
    """Full-batch Adam on one thread, so that the same numbers come out each time; gives the last loss."""
    torch.set_num_threads(1)
    optimizer = torch.optim.Adam(network.parameters(), lr=rate, weight_decay=1e-3)
    for _ in jeyn.progress(range(epochs)):
        optimizer.zero_grad()
        loss = binary_cross_entropy_with_logits(network(measures), malignant)
        loss.backward()
        optimizer.step()
    return loss.item()


@operation
def evaluate(checkpoint: ModelCheckpoint, batch: DatasetBatch) -> Quality:
    """How well a network does on biopsies that it never saw."""
    data = batch.to_torch()
    truth = data["malignant"] > 0.5
    with torch.no_grad():
        found = checkpoint.load()(data["measures"]) > 0
    quality = Quality(float((found == truth).float().mean()), float(found[truth].float().mean()))
    model_store.save_evaluation(checkpoint, batch, quality._asdict())
    return quality


@operation
def bless(checkpoint: ModelCheckpoint, accuracy: float, batch: DatasetBatch) -> ModelCheckpoint:
    """The better of this network and the blessed one, on the same batch, is the blessed one from now on."""
    rival = model_store.get_checkpoint("oncologist@blessed", default=None)
    if rival is not None and (rival.id == checkpoint.id or evaluate(rival, batch).accuracy >= accuracy):
        return rival
    return model_store.bless(checkpoint, reason=f"accuracy {accuracy:.3f}", over=rival)


@pipeline
def weekly(epochs: int = 100, seed: int = 0):
    """Fine-tune on what is new; bless it if it finds enough of the malignant tumours and beats the blessed one."""
    checkpoint = train(ingest(), epochs, seed)
    holdout = hold_out()
    quality = evaluate(checkpoint, holdout)
    with jeyn.when(quality.recall >= 0.9):
        blessed = bless(checkpoint, quality.accuracy, holdout)
    return {"accuracy": quality.accuracy, "recall": quality.recall, "blessed": blessed}
