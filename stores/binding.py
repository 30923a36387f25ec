"""From stored rows to the objects of `jeyn.sdk`, bound to the workspace that read them (SEMANTICS 25)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from jeyn.sdk.artefact import Artefact, PayloadRef, Record, Saved, at_microseconds
from jeyn.sdk.catalog import DataCatalog
from jeyn.sdk.checkpoint import ModelCheckpoint
from jeyn.sdk.datasets import CompositeFormula, DatasetFormula, ModelFormula, SqlFormula, StreamingFormula
from jeyn.sdk.datasets.batch import BATCH_KINDS, DatasetBatch
from jeyn.sdk.evaluation import Evaluation, OpaqueArtefact, SerializerArtefact
from jeyn.sdk.relationship import RelationshipType
from jeyn.sdk.schemas import is_known, upcast
from jeyn.sdk.use_case import MlUseCase
from jeyn.sdk.value import Value
from jeyn.sdk.version import Version
from jeyn.stores.catalog.changes import ORDER
from jeyn.stores.catalog.reader import ArtefactRow

if TYPE_CHECKING:
    from jeyn.stores.workspace import Workspace


def bind(workspace: Workspace, row: ArtefactRow, *, is_new: bool = False) -> Artefact:
    """The artefact of a row; one of a newer schema stays opaque. Raises `Corrupt` for a row that is damaged."""
    schema, body = upcast(row.schema, row.record.body)
    # By the document's word, which the id covers: the row's own column may be damaged.
    build = _BUILDERS[row.record.type] if is_known(schema) else None
    try:
        artefact = build(workspace, row, body) if build else OpaqueArtefact(row.record)
    except (AttributeError, LookupError, TypeError, ValueError) as exc:
        raise row.damaged() from exc
    return artefact.bound(saved_state(workspace, row, is_new=is_new))


def saved_state(workspace: Workspace, row: ArtefactRow, *, is_new: bool = False) -> Saved:
    numbers = workspace.reader.numbers(row.key) if row.type in ("model_checkpoint", "dataset_batch") else []
    return Saved(
        id=row.id,
        number=_best(numbers) if numbers else None,
        created_at=at_microseconds(row.at),
        actor=row.actor,
        facts=row.facts,
        workspace=workspace,
        is_new=is_new,
        quarantined=row.quarantined and not numbers,
        staged=row.key < 0,
    )


def _best(numbers: list[str]) -> str:
    """A release of the same content goes before its prerelease."""
    return numbers[0] if len(numbers) == 1 else str(max(Version.parse(number) for number in numbers))


def _formula(workspace: Workspace, row: ArtefactRow, body: Mapping[str, Any]) -> DatasetFormula:
    recipe = dict(body["recipe"])
    kind = recipe.pop("kind")
    common = {
        "version": body["version"],
        "output_catalog": in_kept_order(workspace, row.id, row.facts, DataCatalog.from_json(body["output_catalog"])),
        "description": row.facts.get("description", ""),
    }
    if kind == "model":
        return _model_formula(row.name, common, recipe)
    if kind == "sql":
        return _sql_formula(row.name, common, recipe)
    makers: dict[str, type[Any]] = {
        "generic": DatasetFormula,
        "streaming": StreamingFormula,
        "composite": CompositeFormula,
    }
    formula: DatasetFormula = makers[kind](row.name, **common, **recipe)
    return formula


def in_kept_order(
    workspace: Workspace, id: str, facts: Mapping[str, Any], catalog: type[DataCatalog]
) -> type[DataCatalog]:
    """A formula's catalog in the order in which that version was first declared (SEMANTICS 33).

    A version that was saved before orders were kept has it in a mark, once it is declared again; else in none.
    """
    order = facts.get(ORDER) or next(
        (json.loads(mark.value) for mark in workspace.reader.marks(id) if mark.kind == ORDER), None
    )
    return catalog.in_order(order) if order else catalog


def _sql_formula(name: str, common: Mapping[str, Any], recipe: dict[str, Any]) -> SqlFormula:
    late = recipe.pop("late", None)
    formula = SqlFormula(name, **common, **recipe)
    formula.late = late  # as it was saved: it is read to be shown, and looked at when it is used
    return formula


def _model_formula(name: str, common: Mapping[str, Any], recipe: dict[str, Any]) -> ModelFormula:
    # A function is known by name and digest only: reading a catalog never imports what an artefact names.
    apply = recipe.pop("apply")
    formula = ModelFormula(name, **common, **recipe, apply=apply if isinstance(apply, str) else "predict")
    formula.apply = apply
    return formula


def _batch(workspace: Workspace, row: ArtefactRow, body: Mapping[str, Any]) -> DatasetBatch:
    formula = next(e.parent for e in row.record.parents if e.type is RelationshipType.formula_batch)
    batch = BATCH_KINDS[body["kind"]](workspace.formula_by_id(formula))
    batch.stored = row.record
    return batch


def _use_case(workspace: Workspace, row: ArtefactRow, _body: Mapping[str, Any]) -> MlUseCase:
    contract = workspace.contract(row)
    return MlUseCase(
        row.name,
        input_catalog=DataCatalog.from_json(contract["input_catalog"]),
        output_catalog=DataCatalog.from_json(contract["output_catalog"]),
        description=contract.get("description", ""),
    )


def _checkpoint(_workspace: Workspace, row: ArtefactRow, body: Mapping[str, Any]) -> ModelCheckpoint:
    use_case = MlUseCase(
        row.name,
        input_catalog=DataCatalog.from_json(body["input_catalog"]),
        output_catalog=DataCatalog.from_json(body["output_catalog"]),
    )
    return ModelCheckpoint.read(use_case, row.record)


def _evaluation(_workspace: Workspace, row: ArtefactRow, body: Mapping[str, Any]) -> Evaluation:
    parents = {e.type: e.parent for e in row.record.parents}
    return Evaluation(
        row.name,
        parents[RelationshipType.evaluation_of],
        parents.get(RelationshipType.source_batch),
        body["metrics"],
    )


def _serializer(_workspace: Workspace, row: ArtefactRow, body: Mapping[str, Any]) -> SerializerArtefact:
    return SerializerArtefact(row.name, body["version"], body["unsafe"])


def _value(_workspace: Workspace, row: ArtefactRow, body: Mapping[str, Any]) -> Value:
    payload: PayloadRef = row.record.payloads[0]
    return Value(
        output=body["output"],
        cache_key=body["cache_key"],
        format=body["format"],
        payload=payload,
        file=body.get("file") or "",
    )


def _code(_workspace: Workspace, row: ArtefactRow, _body: Mapping[str, Any]) -> Artefact:
    return OpaqueArtefact(row.record)


_BUILDERS: Mapping[str, Callable[[Any, ArtefactRow, Mapping[str, Any]], Artefact]] = {
    "dataset_formula": _formula,
    "dataset_batch": _batch,
    "use_case": _use_case,
    "model_checkpoint": _checkpoint,
    "evaluation": _evaluation,
    "model_serializer": _serializer,
    "value": _value,
    "code": _code,
}


def unsaved_row(record: Record, facts: Mapping[str, Any], actor: str, key: int, at: int) -> ArtefactRow:
    """A row for what an attempt has staged; its key is negative until it is committed."""
    return ArtefactRow(
        key, record.id, record.type, record.schema, record.name, record.document.decode(), facts, False, actor, at
    )
