"""A saved model: its use case, catalogs, the precise batch it was trained on, and its parent checkpoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from jeyn.errors import Unsaved
from jeyn.sdk.artefact import Artefact, Edge, PayloadRef, Record, expect
from jeyn.sdk.datasets.batch import DatasetBatch
from jeyn.sdk.evaluation import checked_metrics
from jeyn.sdk.relationship import RelationshipType
from jeyn.sdk.version import Version

if TYPE_CHECKING:
    from jeyn.sdk.catalog import CatalogClass
    from jeyn.sdk.use_case import MlUseCase


@dataclass(frozen=True, slots=True)
class VersionRequest:
    """What was asked for: the next patch, minor or major above `base` (default: the highest released), or `exact`."""

    level: Literal["patch", "minor", "major", "exact"]
    exact: Version | None = None
    base: Version | None = None


class ModelCheckpoint(Artefact):
    """A model of a use case. Make one with `use_case.update_*`, keep it with `model_store.save_checkpoint`."""

    type: ClassVar[str] = "model_checkpoint"
    ref_kind: ClassVar[str] = "checkpoint"
    was_rescued = False  # a rescue file has it already

    def __init__(
        self,
        *,
        use_case: MlUseCase,
        dataset: DatasetBatch,
        model: Any,
        request: VersionRequest,
        parents: Sequence[ModelCheckpoint | str] = (),
        metrics: Mapping[str, float] | None = None,
    ) -> None:
        expect(dataset, DatasetBatch)
        self.use_case = use_case
        self.input_catalog: CatalogClass = use_case.input_catalog
        self.output_catalog: CatalogClass = use_case.output_catalog
        self._dataset = dataset
        self.model = model
        self.request: VersionRequest | None = request
        # One parent may come without a list around it.
        self._parents = (parents,) if isinstance(parents, ModelCheckpoint | str) else tuple(parents)
        self._metrics = checked_metrics(metrics or {})
        self.stored: Record | None = None
        # Known now, so refused now: nothing should be trained on what the model cannot take.
        dataset.output_catalog.check_satisfies(self.input_catalog, what=f'batch of "{dataset.name}"')

    @property
    def name(self) -> str:
        return self.use_case.name

    @property
    def version(self) -> Version:
        """The claimed version; raises `Unsaved` before saving."""
        return Version.parse(self._claimed("version"))

    @property
    def ref(self) -> str:
        saved = self._need_saved("reference")
        return saved.id if saved.number is None else f"checkpoint:{self.name}@{saved.number}"

    @property
    def dataset(self) -> DatasetBatch:
        """The precise batch that it was trained on."""
        if self.saved is None:
            return self._dataset
        found: DatasetBatch = self.saved.workspace.get(self.batch_id())
        return found

    @property
    def parents(self) -> tuple[ModelCheckpoint | str, ...]:
        """The checkpoints that it was made from, by fine-tuning, merging or otherwise."""
        if self.saved is None:
            return self._parents
        return tuple(self.saved.workspace.get(id) for id in self.parent_ids())

    @property
    def metrics(self) -> Mapping[str, float]:
        """The training metrics. Evaluations on other batches are artefacts of their own."""
        return self.facts.get("metrics", self._metrics) if self.saved else self._metrics

    @property
    def serializer(self) -> Mapping[str, Any]:
        """The id, version and safety mark of what wrote the bytes."""
        return dict(self.record().body["serializer"])

    @property
    def is_unsafe(self) -> bool:
        """Whether loading it may run code that the file holds (pickle)."""
        return bool(self.serializer.get("unsafe", False))

    def record(self) -> Record:
        if self.stored is None:
            raise Unsaved(
                f'this checkpoint of "{self.name}" is not saved', hint="model_store.save_checkpoint(checkpoint) first"
            )
        return self.stored

    def load(self) -> Any:
        """The model: from memory before saving, else from the store, checked by digest."""
        if self.saved is None:
            return self.model
        return self.saved.workspace.load(self)

    def parent_ids(self) -> tuple[str, ...]:
        """The ids of the checkpoints that this one was made from."""
        edges = self.record().parents
        return tuple(e.parent for e in edges if e.type is RelationshipType.checkpoint_parent)

    def batch_id(self) -> str:
        """The id of the batch that it was trained on."""
        return next(e.parent for e in self.record().parents if e.type is RelationshipType.batch_checkpoint)

    @classmethod
    def read(cls, use_case: MlUseCase, record: Record) -> ModelCheckpoint:
        """A checkpoint from its stored record; what it was trained on is looked up when asked for."""
        twin = object.__new__(cls)
        twin.use_case, twin.model, twin.request = use_case, None, None
        twin.input_catalog, twin.output_catalog = use_case.input_catalog, use_case.output_catalog
        twin._metrics, twin.stored = {}, record
        return twin

    def completed(
        self, *, serializer: Mapping[str, Any], payload: PayloadRef, parents: Sequence[Edge]
    ) -> ModelCheckpoint:
        """With the record that the store could fill in once the bytes were written."""
        twin = object.__new__(type(self))
        record = Record(
            schema="model_checkpoint/1",
            name=self.name,
            body={
                "input_catalog": self.input_catalog.to_json(),
                "output_catalog": self.output_catalog.to_json(),
                "serializer": dict(serializer),
            },
            parents=tuple(parents),
            payloads=(payload,),
        )
        twin.__dict__.update(self.__dict__, stored=record)
        return twin
