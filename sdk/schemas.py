"""The JSON schema of each artefact type: strict, closed, and named by type and number (`model_checkpoint/1`).

Records are checked against these when they are saved. A schema that this Jeyn does not know stays readable as an
opaque record (SEMANTICS 12); one with an older number is upcast here when it is read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from jeyn.errors import Invalid, JeynError, NewerSchema
from jeyn.sdk.catalog import DataCatalog
from jeyn.sdk.reference import Reference
from jeyn.sdk.version import Version


def _catalog(value: dict[str, Any]) -> dict[str, Any]:
    DataCatalog.from_json(value)
    return value


def _version(value: str) -> str:
    return str(Version.parse(value))


def _reference(value: str) -> str:
    Reference.parse(value)
    return value


Catalog = Annotated[dict[str, Any], AfterValidator(_catalog)]
SemVer = Annotated[str, AfterValidator(_version)]
Ref = Annotated[str, AfterValidator(_reference)]
Id = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]


class Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class GenericRecipe(Closed):
    kind: Literal["generic"]
    parameters: dict[str, Any] = {}


class StreamingRecipe(Closed):
    kind: Literal["streaming"]
    source: Annotated[str, Field(min_length=1)]
    after: Ref | None = None


class SqlRecipe(Closed):
    kind: Literal["sql"]
    query: Annotated[str, Field(min_length=1)]
    watermark: Annotated[str, Field(min_length=1)]
    database: Annotated[str, Field(min_length=1)]
    late: float | None = None
    after: Ref | None = None


class CompositeRecipe(Closed):
    kind: Literal["composite"]
    formulas: Annotated[list[Ref], Field(min_length=1)]


class Function(Closed):
    name: Annotated[str, Field(pattern=r"^[\w.]+:[\w.]+$")]
    digest: Id


class ModelRecipe(Closed):
    kind: Literal["model"]
    source: Ref
    checkpoint: Ref
    apply: str | Function
    keep: list[str] = []


Recipe = Annotated[
    GenericRecipe | StreamingRecipe | SqlRecipe | CompositeRecipe | ModelRecipe, Field(discriminator="kind")
]


class FormulaBody(Closed):
    version: SemVer
    output_catalog: Catalog
    recipe: Recipe


class SerializerName(Closed):
    id: Annotated[str, Field(min_length=1)]
    version: Annotated[str, Field(min_length=1)]
    unsafe: bool = False


class Window(Closed):
    """A half-open or closed stretch of a watermark, as text; `start` is None for the first batch."""

    start: str | None
    end: str


class BatchBody(Closed):
    kind: Literal["files", "table", "generic", "union"]
    window: Window | None = None
    kwargs: dict[str, Any] = {}
    serializer: SerializerName | None = None


class UseCaseBody(Closed):
    pass


class CheckpointBody(Closed):
    input_catalog: Catalog
    output_catalog: Catalog
    serializer: SerializerName


class SerializerBody(Closed):
    version: Annotated[str, Field(min_length=1)]
    unsafe: bool = False


class EvaluationBody(Closed):
    metrics: dict[str, float | int | dict[str, Any]]


class ValueBody(Closed):
    format: Annotated[str, Field(min_length=1)]
    cache_key: str
    output: str


class CodeBody(Closed):
    digest: Id
    commit: str | None = None
    dirty: bool = False


BODIES: Mapping[str, type[Closed]] = {
    "dataset_formula/1": FormulaBody,
    "dataset_batch/1": BatchBody,
    "use_case/1": UseCaseBody,
    "model_checkpoint/1": CheckpointBody,
    "model_serializer/1": SerializerBody,
    "evaluation/1": EvaluationBody,
    "value/1": ValueBody,
    "code/1": CodeBody,
}

# (old schema) -> (next schema, pure function of the body). Empty while every schema is at its first number.
UPCASTERS: dict[str, tuple[str, Callable[[dict[str, Any]], dict[str, Any]]]] = {}


def check_body(schema: str, body: Mapping[str, Any]) -> None:
    """Raise `Invalid` unless `body` is what `schema` says; unknown schemas are refused here, on the way in."""
    if schema not in BODIES:
        known = ", ".join(sorted(BODIES))
        raise NewerSchema(f'no artefact schema is called "{schema}"', hint=f"this Jeyn writes {known}")
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
    return schema in BODIES


@cache
def json_schema(schema: str) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of one artefact type's body."""
    return BODIES[schema].model_json_schema()


def _first_problem(exc: ValidationError) -> str:
    problem = exc.errors(include_url=False)[0]
    where = ".".join(str(part) for part in problem["loc"]) or "body"
    return f'"{where}" {problem["msg"]}'
