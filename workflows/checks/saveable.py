"""Outputs that could not be saved, as far as annotations tell: better now than after hours of training.

Only what is certain is said: a class that no serializer knows, nor any class derived from it, and an estimator whose
untrained form is refused.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_origin

from jeyn.errors import JeynError, NotAllowed, NotSerializable
from jeyn.sdk.annotation import members, show
from jeyn.sdk.artefact import Artefact
from jeyn.sdk.plan import Plan
from jeyn.sdk.serializer import class_names
from jeyn.sdk.signature import signature_of
from jeyn.workflows.checks.contracts import Contracts
from jeyn.workflows.checks.wiring import Found

if TYPE_CHECKING:
    from jeyn.stores.serializers import SerializerTable
    from jeyn.stores.workspace import Workspace

_ESTIMATOR = "sklearn.base.BaseEstimator"
_REGISTERS = {"register_serializer"}


def cannot_be_saved(
    plan: Plan, workspace: Workspace, functions: Mapping[str, Callable[..., Any]], contracts: Contracts
) -> Iterator[Found]:
    """Each function once, with the first operation that calls it; none that registers a serializer itself."""
    seen: set[str] = set()
    for operation in plan.operations:
        function = functions.get(operation.function)
        if function is None or operation.function in seen or contracts.code(operation).attributes & _REGISTERS:
            continue
        seen.add(operation.function)
        for annotation in signature_of(getattr(function, "function", function)).outputs.values():
            if error := _error(annotation, workspace.serializers):
                message = (
                    f'"{operation.name}" is to return "{show(annotation)}", which cannot be saved: {error.message}'
                )
                yield operation.name, NotSerializable(message, hint=error.hint)


def _error(annotation: Any, table: SerializerTable) -> JeynError | None:
    """Why no value of this annotation can be saved; None where one could be."""
    found = [_member_error(member, table) for member in members(annotation) if member not in (None, type(None))]
    return found[0] if found and all(found) else None


def _member_error(annotation: Any, table: SerializerTable) -> JeynError | None:
    if get_origin(annotation) in (list, tuple, dict):
        inner = [each for each in get_args(annotation) if each is not ...]
        return next((error for each in inner if (error := _error(each, table))), None)
    if not isinstance(annotation, type) or get_origin(annotation) is not None:
        return None
    if annotation.__subclasses__() or not _is_concrete(annotation):
        return None
    if _ESTIMATOR in class_names(annotation):
        return _untrained(annotation, table)
    return None if _is_known(annotation, table) else _unknown(annotation)


def _is_concrete(cls: type) -> bool:
    """Whether a value is likely to be of this class itself."""
    return not (
        cls.__name__.endswith("Mixin")
        or cls in (object, Any)
        or inspect.isabstract(cls)
        or getattr(cls, "_is_protocol", False)
    )


def _is_known(cls: type, table: SerializerTable) -> bool:
    from jeyn.stores.serializers.values import is_value_class

    return issubclass(cls, Artefact | Path) or is_value_class(cls) or table.knows(cls)


def _unknown(cls: type) -> JeynError:
    from jeyn.stores.serializers.conversions import CONVERT, conversion

    hint = "write serializers: in jeyn.yaml (its class: module:Serializer), or call register_serializer beside it"
    cure = conversion(cls)
    return NotSerializable("nothing knows how to store it", hint=hint if cure == CONVERT else cure)


def _untrained(cls: type, table: SerializerTable) -> JeynError | None:
    """What saving a new instance would raise; None where one cannot be made without arguments."""
    from jeyn.stores.serializers.saving import written

    try:
        model = cls()
    except Exception:  # it takes arguments, or does more than it should: nothing is known
        return None
    try:
        written(table, model)
    except (NotSerializable, NotAllowed) as error:
        return error
    return None
