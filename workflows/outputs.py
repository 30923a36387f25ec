"""From what an operation's function returned to saved artefacts: one id per output (SEMANTICS 5, 10 and 23)."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jeyn.errors import Invalid, NotAllowed, NotSerializable, UsageError
from jeyn.sdk.artefact import Artefact, Edge
from jeyn.sdk.checkpoint import ModelCheckpoint
from jeyn.sdk.datasets import DatasetFormula
from jeyn.sdk.datasets.batch import DatasetBatch
from jeyn.sdk.evaluation import Evaluation
from jeyn.sdk.plan import RETURN
from jeyn.sdk.relationship import RelationshipType
from jeyn.sdk.use_case import MlUseCase
from jeyn.sdk.value import Value
from jeyn.stores.catalog.changes import NewArtefact
from jeyn.stores.catalog.small import LIMIT
from jeyn.stores.serializers.values import EncodedValue, encode_artefacts, encode_value
from jeyn.workflows.inputs import Produced, produced_by, value_token
from jeyn.workflows.shown import short

if TYPE_CHECKING:
    from jeyn.stores.attempt import Attempt


def split(returned: Any, names: Sequence[str]) -> dict[str, Any]:
    """What was returned, by output name: a single output is called "return"."""
    if list(names) == [RETURN]:
        return {RETURN: returned}
    if is_dataclass(returned) and not isinstance(returned, type):
        found = {each.name: getattr(returned, each.name) for each in fields(returned)}
        if found.keys() > set(names):  # of a class that derives from the one in the annotation
            left = ", ".join(name for name in found if name not in names)
            logging.getLogger("jeyn.run").warning(
                "%s has more than the annotation says: %s", type(returned).__name__, left
            )
            return {name: found[name] for name in names}
        values: Sequence[Any] = [*found.values()]
    elif isinstance(returned, tuple):
        values = returned
    else:
        raise UsageError(
            f"an operation with the outputs {', '.join(names)} returned {_one(returned)}",
            hint="return a tuple, NamedTuple or dataclass as the annotation says",
        )
    if len(values) != len(names):
        raise UsageError(
            f"an operation with {len(names)} outputs ({', '.join(names)}) returned {len(values)}",
            hint="return as many as the annotation says; tuple[X, ...] is one output, of any length",
        )
    return dict(zip(names, values, strict=True))


def _one(returned: Any) -> str:
    return "None: is a return missing?" if returned is None else f"one {type(returned).__name__}"


@dataclass(frozen=True)
class Kept:
    """One output that is staged: how it counts as an input, and a short text of a value that is worth showing."""

    produced: Produced
    text: str | None = None


def save_outputs(attempt: Attempt, parts: Mapping[str, Any], key: str, inputs: Sequence[str]) -> dict[str, Kept]:
    """Stage what was returned, by output name. `inputs` are the ids that values are derived from."""
    return {name: save_output(attempt, name, value, key, inputs) for name, value in parts.items()}


def save_output(attempt: Attempt, name: str, value: Any, key: str, inputs: Sequence[str]) -> Kept:
    """One output: an artefact as it is, anything else as a value artefact."""
    if isinstance(value, Artefact):
        return Kept(_produced(attempt, save_artefact(attempt, value)))
    if isinstance(value, list | tuple) and value and all(isinstance(each, Artefact) for each in value):
        ids = [save_artefact(attempt, each) for each in value]
        listed = encode_artefacts(ids)
        return Kept(_save_value(attempt, name, listed.format, listed.data, key, [*ids, *inputs]))

    encoded = _encoded(attempt, name, value, key)
    facts = {"unsafe": True} if encoded.unsafe else {}
    return Kept(_save_value(attempt, name, encoded.format, encoded.data, key, inputs, facts), short(value))


def _encoded(attempt: Attempt, name: str, value: Any, key: str) -> EncodedValue:
    """A value's payload; what cannot be saved is kept as a rescue file."""
    try:
        return encode_value(value, attempt.serializers)
    except (NotSerializable, NotAllowed) as error:
        from jeyn.stores.rescue import rescue

        about = {"kind": "value", "name": name, "output": name, "outputs": [name], "cache_key": key}
        raise rescue(attempt, error, value, about) from error.__cause__


def save_artefact(attempt: Attempt, artefact: Artefact) -> str:
    """The id of an artefact that was returned; one that was not saved is saved now."""
    match artefact:
        case DatasetBatch():
            return attempt.dataset_store.save_batch(artefact).id
        case ModelCheckpoint():
            return attempt.model_store.save_checkpoint(artefact).id
        case DatasetFormula():
            return attempt.dataset_store.save_formula(artefact).id
        case MlUseCase():
            return attempt.model_store.save_use_case(artefact).id
    if not attempt.holds(artefact):
        said = "an evaluation comes from model_store.save_evaluation" if isinstance(artefact, Evaluation) else ""
        raise Invalid(f"{artefact!r} cannot be saved by returning it", hint=said or "save it, then return it")
    return artefact.id


def _produced(attempt: Attempt, id: str) -> Produced:
    row = attempt.reader.row(id)
    if row is None:
        raise Invalid(f'"{id}" was returned but is not saved here', hint="save it in this operation", refs=[id])
    return produced_by(row)


def _save_value(
    attempt: Attempt,
    name: str,
    format: str,
    data: Any,
    key: str,
    parents: Sequence[str],
    facts: Mapping[str, Any] | None = None,
) -> Produced:
    if isinstance(data, Path):
        attempt.look_through(data, name)
    payload, inline = (
        attempt.keep_near(data, name, LIMIT) if isinstance(data, bytes) else (attempt.keep(data, name), {})
    )
    file = data.name if isinstance(data, Path) else ""
    record = Value(output=name, cache_key=key, format=format, payload=payload, file=file).record()
    # A value may be its own input's equal: an edge to itself would be a cycle.
    found = tuple(
        Edge(RelationshipType.derived_from, parent) for parent in dict.fromkeys(parents) if parent != record.id
    )
    attempt.stage(NewArtefact(record, facts or {}, edges=found, inline=inline, event="jeyn.value.saved"))
    return Produced(record.id, value_token(record), format)
