"""What an evaluation of a checkpoint on a batch said (SEMANTICS 6), and a model serializer as an artefact."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from jeyn.errors import UsageError
from jeyn.sdk.artefact import Artefact, Edge, Record
from jeyn.sdk.relationship import RelationshipType


class Evaluation(Artefact):
    """The metrics of one checkpoint on one batch; the numbers are its content."""

    type: ClassVar[str] = "evaluation"

    def __init__(self, name: str, checkpoint_id: str, batch_id: str | None, metrics: Mapping[str, float]) -> None:
        if not metrics:
            raise UsageError("an evaluation without metrics says nothing", hint='metrics={"accuracy": 0.97}')
        self.name = name
        self.checkpoint_id = checkpoint_id
        self.batch_id = batch_id
        self.metrics = checked_metrics(metrics)

    def record(self) -> Record:
        parents = [Edge(RelationshipType.evaluation_of, self.checkpoint_id)]
        if self.batch_id:
            parents.append(Edge(RelationshipType.source_batch, self.batch_id))
        return Record("evaluation/1", self.name, {"metrics": self.metrics}, tuple(parents))


def checked_metrics(metrics: Mapping[str, float]) -> dict[str, float]:
    """Metrics as floats by name; raises `UsageError` for what is no number."""
    try:
        return {str(name): float(value) for name, value in metrics.items()}
    except (TypeError, ValueError, AttributeError) as exc:
        raise UsageError(f"these are no metrics: {metrics!r}", hint='give numbers by name: {"accuracy": 0.97}') from exc


class SerializerArtefact(Artefact):
    """A model serializer by its stable id and version; its edges say which checkpoints it wrote."""

    type: ClassVar[str] = "model_serializer"

    def __init__(self, name: str, version: str, unsafe: bool = False) -> None:
        self.name = name
        self.version = version
        self.unsafe = unsafe

    def record(self) -> Record:
        return Record("model_serializer/1", self.name, {"version": self.version, "unsafe": self.unsafe})


class OpaqueArtefact(Artefact):
    """An artefact whose schema is newer than this Jeyn: shown and traversed, never interpreted."""

    type: ClassVar[str] = "opaque"

    def __init__(self, stored: Record) -> None:
        self.name = stored.name
        self.stored = stored

    def record(self) -> Record:
        return self.stored
