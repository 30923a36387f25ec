"""What the body of each artefact type holds, as closed pydantic models; `schemas.py` is who asks them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

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
    options: dict[str, str | list[str]] = {}
    on_bad: str = "fail"


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
    file: Annotated[str, Field(min_length=1, pattern=r"^[^/\\\x00]+$")] | None = None


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
