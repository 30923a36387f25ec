"""The JSON schema of each artefact type: strict, closed, and named by type and number (`model_checkpoint/1`).

Records are checked against these when they are saved. A schema that this Jeyn does not know stays readable as an
opaque record (SEMANTICS 12); one with an older number is upcast here when it is read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from jeyn.errors import Invalid, JeynError, NewerSchema

if TYPE_CHECKING:
    from pydantic import ValidationError

KNOWN = (
    "code/1",
    "dataset_batch/1",
    "dataset_formula/1",
    "evaluation/1",
    "model_checkpoint/1",
    "model_serializer/1",
    "use_case/1",
    "value/1",
)

# (old schema) -> (next schema, pure function of the body). Empty while every schema is at its first number.
UPCASTERS: dict[str, tuple[str, Callable[[dict[str, Any]], dict[str, Any]]]] = {}


def check_body(schema: str, body: Mapping[str, Any]) -> None:
    """Raise `Invalid` unless `body` is what `schema` says; unknown schemas are refused here, on the way in."""
    if schema not in KNOWN:
        raise NewerSchema(f'no artefact schema is called "{schema}"', hint=f"this Jeyn writes {', '.join(KNOWN)}")
    if schema == "value/1" and _is_value(body):
        return
    # Who only keeps values, as most pods do, does without what takes longest to import.
    from pydantic import ValidationError

    from jeyn.sdk.bodies import BODIES

    try:
        BODIES[schema].model_validate(dict(body))
    except ValidationError as exc:
        raise Invalid(f'not a "{schema}" body: {_first_problem(exc)}', hint="see jeyn.sdk.schemas") from exc
    except JeynError as exc:
        raise Invalid(f'not a "{schema}" body: {exc.message}', hint=exc.hint) from exc


def upcast(schema: str, body: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """The newest form of a stored body; the id stays that of the stored form."""
    while schema in UPCASTERS:
        schema, step = UPCASTERS[schema]
        body = step(dict(body))
    return schema, body


def is_known(schema: str) -> bool:
    return schema in KNOWN


@cache
def json_schema(schema: str) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of one artefact type's body."""
    from jeyn.sdk.bodies import BODIES

    return BODIES[schema].model_json_schema()


def _is_value(body: Mapping[str, Any]) -> bool:
    """Whether it is certainly what `ValueBody` says."""
    is_text = all(type(body.get(name)) is str for name in ("format", "cache_key", "output"))
    return is_text and len(body) == 3 and body["format"] != ""


def _first_problem(exc: ValidationError) -> str:
    problem = exc.errors(include_url=False)[0]
    where = ".".join(str(part) for part in problem["loc"]) or "body"
    return f'"{where}" {problem["msg"]}'
