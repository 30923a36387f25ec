"""`model_store`: use cases, checkpoints, serializers, evaluations, and which checkpoint is blessed."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from jeyn.errors import Conflict, DataInvalid, NotAllowed, NotFound, NotSerializable, UsageError
from jeyn.sdk.artefact import Edge, expect
from jeyn.sdk.checkpoint import ModelCheckpoint, VersionRequest
from jeyn.sdk.datasets.batch import DatasetBatch
from jeyn.sdk.evaluation import Evaluation, SerializerArtefact
from jeyn.sdk.reference import Reference
from jeyn.sdk.relationship import RelationshipType
from jeyn.sdk.serializer import ModelSerializer, is_unsafe
from jeyn.sdk.use_case import MlUseCase
from jeyn.stores.catalog.changes import AliasMove, Change, Mark, NewArtefact, VersionClaim
from jeyn.stores.catalog.reader import owner_of
from jeyn.stores.serializers.saving import written
from jeyn.stores.trusted_code import code_facts, later_code
from jeyn.stores.veto import checkpoint_veto

if TYPE_CHECKING:
    from jeyn.stores.workspace import Workspace

BLESSED = "blessed"
_log = logging.getLogger("jeyn.model_store")
_Default = TypeVar("_Default")


class ModelStore:
    """The models of one workspace. A saved version cannot be overridden."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace

    def register_serializer(
        self,
        cls_or_name: type | str,
        serializer: ModelSerializer,
        backward_compatibility_class_names: Sequence[str] = (),
    ) -> None:
        """Teach this process how to keep a class of models, by class or by its full name."""
        self.workspace.serializers.register(cls_or_name, serializer, tuple(backward_compatibility_class_names))

    def save_use_case(self, use_case: MlUseCase) -> MlUseCase:
        """Keep a use case, and its catalogs as the contract of the next checkpoint."""
        expect(use_case, MlUseCase)
        outcome = self.workspace.save(lambda writer: _use_case_changes(writer, use_case))[0]
        saved: MlUseCase = self.workspace.bound(outcome.id, is_new=outcome.is_new)
        return saved

    def get_use_case(self, name: str) -> MlUseCase:
        """A use case by name, with the catalogs that were last given to it. Raises `NotFound`."""
        found: MlUseCase = self.workspace.get(name, kind="usecase")
        return found

    @overload
    def get_checkpoint(self, ref: str | Reference) -> ModelCheckpoint: ...
    @overload
    def get_checkpoint(self, ref: str | Reference, default: _Default) -> ModelCheckpoint | _Default: ...
    def get_checkpoint(self, ref: str | Reference, *default: Any, **named: Any) -> Any:
        """A checkpoint by reference; `default` is what to give when there is none yet. Raises `NotFound` without."""
        if set(named) - {"default"} or len(default) + len(named) > 1:
            raise UsageError(
                f"get_checkpoint takes one default, not {sorted(named)}", hint="get_checkpoint(ref, default=None)"
            )
        fallback = (*default, *named.values())
        try:
            return self.workspace.get(ref, kind="checkpoint")
        except NotFound:
            if not fallback:
                raise
            return fallback[0]

    def get_latest_use_case_checkpoint(self, use_case: MlUseCase | str) -> ModelCheckpoint:
        """The checkpoint with the highest released version: never the newest by the clock."""
        name = use_case if isinstance(use_case, str) else use_case.name
        return self.get_checkpoint(f"{name.removeprefix('usecase:')}@latest")

    def load(self, ref: str | Reference) -> Any:
        """The model that a reference means."""
        return self.get_checkpoint(ref).load()

    def save_checkpoint(self, checkpoint: ModelCheckpoint) -> ModelCheckpoint:
        """Keep a model and claim its version. Content that has a version already keeps it.

        Raises `BumpTooSmall` when the catalogs changed by more than was asked for, `VersionTaken`, `NotSerializable`.
        """
        expect(checkpoint, ModelCheckpoint)
        if self.workspace.holds(checkpoint):
            return checkpoint
        batch = self.workspace.dataset_store.save_batch(checkpoint.dataset)
        if batch.is_quarantined:
            raise DataInvalid(
                f'the batch "{batch.id}" is in quarantine, so no model is trained on it',
                hint="mend the data, save again",
            )
        batch.output_catalog.check_satisfies(checkpoint.input_catalog, what=batch.ref)
        parents = list(dict.fromkeys(self._checkpoint_id(parent) for parent in checkpoint.parents))

        def build(writer: Workspace) -> list[Change]:
            serializer, data = self._written(writer, checkpoint, batch.id, parents)
            payload = writer.keep(data, "model")
            code = code_facts(writer, serializer, data)
            return self._checkpoint_changes(writer, checkpoint, serializer, payload, batch.id, parents, code)

        outcome = self.workspace.save(build)[-1]
        saved: ModelCheckpoint = self.workspace.bound(outcome.id, is_new=outcome.is_new)
        return saved

    def check(self, model: Any) -> str:
        """Whether a model can be saved, asked before it is trained: its serializer's id.

        Raises what saving would raise (`NotSerializable`, `NotAllowed`); nothing is kept.
        """
        return written(self.workspace.serializers, model)[0].id

    def rescued(self, file: str | os.PathLike[str], batch: str | None = None) -> Any:
        """What a rescue file holds: an unsaved checkpoint with its model, to be mended and saved, or a value.

        The file is a pickle, and reading it runs the code in it. Raises `NotFound`, `NotAllowed`.
        """
        from jeyn.stores import rescue

        return rescue.load(self.workspace, rescue.read(self.workspace, file), batch=batch)

    def save_evaluation(
        self, checkpoint: ModelCheckpoint | str, batch: DatasetBatch | str | None, metrics: Mapping[str, float]
    ) -> Evaluation:
        """Keep what a checkpoint scored on a batch (SEMANTICS 6)."""
        if isinstance(checkpoint, str):
            checkpoint = self.get_checkpoint(checkpoint)
        if isinstance(batch, str):
            batch = self.workspace.dataset_store.get_batch(batch)
        expect(checkpoint, ModelCheckpoint)
        if batch is not None:
            expect(batch, DatasetBatch)
        evaluation = Evaluation(checkpoint.name, checkpoint.id, batch.id if batch else None, metrics)
        new = NewArtefact(evaluation.record(), metrics=evaluation.metrics, event="jeyn.evaluation.saved")
        outcome = self.workspace.commit([new])[0]
        return evaluation.bound(self.workspace.saved(outcome))

    def bless(
        self,
        checkpoint: ModelCheckpoint | str,
        reason: str = "",
        *,
        over: ModelCheckpoint | str | Literal["any"] | None = "any",
        again: bool = False,
    ) -> ModelCheckpoint:
        """Move the use case's `blessed` alias to a checkpoint; doing so twice is one move.

        `over` is the checkpoint that it was compared with, None for nothing: `AliasMoved` if another was blessed
        since. A checkpoint that `rollback` withdrew needs `again=True`.
        """
        saved, reason = self._saved(checkpoint), reason or ""
        changes: list[Change] = []
        if self._is_withdrawn(saved.id):
            if not again:
                return self._refuse_withdrawn(saved)
            changes.append(Mark(saved.id, "withdrawn", present=False, reason=reason))
        expected = None if over == "any" else self._checkpoint_id(over) if over is not None else ""
        changes.append(
            AliasMove(
                owner_of("checkpoint", saved.name),
                BLESSED,
                saved.id,
                "bless",
                reason,
                expected,
                "jeyn.checkpoint.blessed",
            )
        )
        self.workspace.commit(changes)
        return saved

    def rollback(self, use_case: MlUseCase | str, reason: str = "") -> ModelCheckpoint | None:
        """Withdraw the blessed checkpoint and bless the one before it; None when there was none before."""
        name = (use_case if isinstance(use_case, str) else use_case.name).removeprefix("usecase:")
        owner = owner_of("checkpoint", name)
        history = self.workspace.reader.alias_history(owner, BLESSED)
        if not history or history[0].id is None:
            raise NotFound(f'"{name}" has no blessed checkpoint to withdraw', hint=f"bless one first: {name}@VERSION")
        current = history[0].id
        before = next((m.id for m in history if m.id and m.id != current and self._is_standing(m.id)), None)
        self.workspace.commit(
            [
                Mark(current, "withdrawn", reason=reason),
                AliasMove(owner, BLESSED, before, "rollback", reason, current, "jeyn.checkpoint.rolled_back"),
            ]
        )
        return self.workspace.bound(before) if before else None

    def _written(
        self, writer: Workspace, checkpoint: ModelCheckpoint, batch: str, parents: list[str]
    ) -> tuple[ModelSerializer, bytes]:
        """The model's bytes; what cannot be saved is kept as a rescue file."""
        try:
            return written(writer.serializers, checkpoint.model)
        except (NotSerializable, NotAllowed) as error:
            if checkpoint.was_rescued:
                raise
            from jeyn.stores.rescue import checkpoint_about, rescue

            raise rescue(
                writer, error, checkpoint.model, checkpoint_about(checkpoint, batch, parents)
            ) from error.__cause__

    def _saved(self, checkpoint: ModelCheckpoint | str) -> ModelCheckpoint:
        return self.get_checkpoint(checkpoint) if isinstance(checkpoint, str) else self.save_checkpoint(checkpoint)

    def _checkpoint_id(self, checkpoint: ModelCheckpoint | str) -> str:
        if isinstance(checkpoint, str):
            return self.get_checkpoint(checkpoint).id
        expect(checkpoint, ModelCheckpoint)
        return checkpoint.id

    def _is_standing(self, id: str) -> bool:
        """Whether a rollback may return to it: neither withdrawn nor swept."""
        return not self._is_withdrawn(id) and not self.workspace.reader.is_buried(id)

    def _is_withdrawn(self, id: str) -> bool:
        marks = [mark.present for mark in self.workspace.reader.marks(id) if mark.kind == "withdrawn"]
        return bool(marks and marks[-1])

    def _refuse_withdrawn(self, checkpoint: ModelCheckpoint) -> ModelCheckpoint:
        message = f'"{checkpoint.ref}" was withdrawn by a rollback'
        if not self.workspace.is_attempt:
            raise Conflict(
                message, hint="if that was a mistake, bless it with again=True (--again)", refs=[checkpoint.id]
            )
        _log.warning("%s, so it is not blessed again", message)
        self.workspace.forbid_cache(f"{message}, which can be taken back")
        return checkpoint

    def _checkpoint_changes(
        self,
        writer: Workspace,
        checkpoint: ModelCheckpoint,
        serializer: ModelSerializer,
        payload: Any,
        batch_id: str,
        parents: Sequence[str],
        code: Mapping[str, str],
    ) -> list[Change]:
        written_by = SerializerArtefact(serializer.id, serializer.version, is_unsafe(serializer)).record()
        use_case = _use_case_changes(writer, checkpoint.use_case)
        record = checkpoint.completed(
            serializer={"id": serializer.id, "version": serializer.version, "unsafe": is_unsafe(serializer)},
            payload=payload,
            parents=[
                Edge(RelationshipType.use_case_checkpoint, checkpoint.use_case.record().id),
                Edge(RelationshipType.batch_checkpoint, batch_id),
                Edge(RelationshipType.serializer_checkpoint, written_by.id),
                *(Edge(RelationshipType.checkpoint_parent, parent) for parent in parents),
            ],
        ).record()
        new = NewArtefact(
            record,
            facts={
                "metrics": dict(checkpoint.metrics),
                "unsafe": is_unsafe(serializer),
                **({"code": dict(code)} if code else {}),
            },
            metrics=checkpoint.metrics,
            claim=_version_claim(owner_of("checkpoint", checkpoint.name), checkpoint.request),
            event="jeyn.checkpoint.saved",
        )
        return [*use_case, NewArtefact(written_by), *later_code(writer, record.id, code), new]


def _use_case_changes(workspace: Workspace, use_case: MlUseCase) -> list[Change]:
    record = use_case.record()
    contract = json.dumps(
        {
            "input_catalog": use_case.input_catalog.to_json(),
            "output_catalog": use_case.output_catalog.to_json(),
            "description": use_case.description,
        },
        sort_keys=True,
    )
    marks = [mark.value for mark in workspace.reader.marks(record.id) if mark.kind == "contract"]
    changes: list[Change] = [NewArtefact(record, event="jeyn.usecase.saved")]
    if not marks or marks[-1] != contract:
        changes.append(Mark(record.id, "contract", contract))
    return changes


def _version_claim(owner: str, request: VersionRequest | None) -> VersionClaim:
    if request is None:
        raise UsageError("this checkpoint asks for no version", hint="make it with use_case.update_minor(...)")
    return VersionClaim(owner, request.level, request.exact, request.base, checkpoint_veto)
