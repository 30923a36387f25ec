"""A plan: what a pipeline will do, as typed data that both engines execute and that JSON can hold (DESIGN 3).

A plan names functions, never carries them; only `Source`s say where an operation's inputs come from. Whether the
output of a mapped operation is collected or taken item by item is said by the consumer's `mapped`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from jeyn.errors import Invalid

RETURN = "return"  # the name of an operation's only output


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Constant(_Data):
    """A value that JSON can hold, written in the pipeline."""

    kind: Literal["constant"] = "constant"
    value: Any


class Output(_Data):
    """An output of an operation; of a mapped one: all items, or one by one where the consumer maps over it."""

    kind: Literal["output"] = "output"
    operation: str
    output: str = RETURN


class Ref(_Data):
    """An artefact by reference, resolved once when the run is created (SEMANTICS 20)."""

    kind: Literal["ref"] = "ref"
    reference: str


class FileInput(_Data):
    """A file below the project root, kept with the run: its bytes count in the cache key (`jeyn.File`)."""

    kind: Literal["file"] = "file"
    path: str


class SecretInput(_Data):
    """A secret by its name and key, which are all that a plan knows of it (`jeyn.Secret`)."""

    kind: Literal["secret"] = "secret"
    name: str
    key: str


class Items(_Data):
    """A list put together from several sources."""

    kind: Literal["items"] = "items"
    items: tuple[Source, ...]


class First(_Data):
    """The first of several branches that was not skipped (`jeyn.first`)."""

    kind: Literal["first"] = "first"
    choices: tuple[Source, ...]


Source = Annotated[Constant | Output | Ref | FileInput | SecretInput | Items | First, Field(discriminator="kind")]

Comparison = Literal["==", "!=", "<", "<=", ">", ">="]


class Compare(_Data):
    """`left operator right`, on the values."""

    kind: Literal["compare"] = "compare"
    operator: Comparison
    left: Source
    right: Source


class Truth(_Data):
    """Whether a value is true in Python's sense."""

    kind: Literal["truth"] = "truth"
    source: Source


class Not(_Data):
    kind: Literal["not"] = "not"
    condition: Condition


class AllOf(_Data):
    kind: Literal["all"] = "all"
    conditions: tuple[Condition, ...]


class AnyOf(_Data):
    kind: Literal["any"] = "any"
    conditions: tuple[Condition, ...]


Condition = Annotated[Compare | Truth | Not | AllOf | AnyOf, Field(discriminator="kind")]


class Options(_Data):
    """How an operation is run; none of it is in the cache key (SEMANTICS 18).

    `timeout` and `backoff` are seconds; the wait before retry n is `backoff * 2 ** (n - 1)`, at most 60 s.
    `image`, `k8s` (fields of the pod, as Kubernetes spells them) and `sidecar` say something to Argo alone.
    """

    retries: Annotated[int, Field(ge=0, le=1000)] = 0
    backoff: Annotated[float, Field(ge=0)] = 1.0
    timeout: Annotated[float, Field(gt=0)] | None = None
    resources: dict[str, int | float | str] = {}
    cache: bool = True
    image: str | None = None
    k8s: dict[str, Any] = {}
    sidecar: Literal["dapr"] | None = None


class PlannedOperation(_Data):
    """One call of an operation in a plan."""

    name: str  # unique in the plan; operations of a nested pipeline are "outer/inner"
    function: str  # "module:qualname", importable from the project root
    description: str = ""
    inputs: dict[str, Source] = {}
    mapped: tuple[str, ...] = ()  # the inputs whose items each get an operation of their own
    outputs: dict[str, str] = {RETURN: ""}  # name -> annotation as text
    conditions: tuple[Condition, ...] = ()  # all of them must hold
    options: Options = Options()


class PlannedParameter(_Data):
    """A pipeline's parameter and the value it was recorded with."""

    type: str = ""
    value: Any = None


class FunctionCode(_Data):
    """What identifies the code of an operation's function (SEMANTICS 18): named parts and their digests."""

    digest: str  # over `parts`
    environment: str  # over `distributions` and the Python minor version
    parts: dict[str, str] = {}
    distributions: dict[str, str] = {}


class Problem(_Data):
    """Something that is known to go wrong, found without running. `error` is a class name of jeyn.errors."""

    error: str
    message: str
    hint: str = ""
    operation: str = ""


class Plan(_Data):
    """Operations wired together. `code` is filled in, and `problems` completed, by `jeyn.workflows`."""

    version: Literal["plan/1"] = "plan/1"
    pipeline: str
    function: str = ""  # "module:qualname" of the pipeline
    description: str = ""
    parameters: dict[str, PlannedParameter] = {}
    operations: tuple[PlannedOperation, ...] = ()
    parallelism: Annotated[int, Field(ge=1)] | None = None  # how many operations may run at once
    outputs: dict[str, Source] = {}  # what the pipeline returned; {"return": …} for one handle
    on_exit: PlannedOperation | None = None
    code: dict[str, FunctionCode] = {}  # by function
    problems: tuple[Problem, ...] = ()

    @property
    def all_operations(self) -> tuple[PlannedOperation, ...]:
        """The exit handler is the last."""
        return (*self.operations, self.on_exit) if self.on_exit else self.operations

    def to_json(self) -> dict[str, Any]:
        """Plain data for any JSON writer; NaN and the infinities are tagged."""
        found: dict[str, Any] = _tagged(self.model_dump(mode="python"))
        return found

    def dump(self) -> str:
        """The plan as text, the same each time. Unlike a digest's canonical form it keeps 1.0 apart from 1."""
        return json.dumps(self.to_json(), sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, found: Any) -> Plan:
        """A plan from its data or its text. Raises `Invalid` with where it is wrong."""
        try:
            if isinstance(found, str | bytes):
                found = json.loads(found)
            return cls.model_validate(_untagged(found))
        except json.JSONDecodeError as exc:
            raise Invalid(f"not a plan: {exc}", hint="jeyn plan FILE --json makes one") from exc
        except ValidationError as exc:
            problem = exc.errors(include_url=False)[0]
            where = ".".join(str(part) for part in problem["loc"]) or "plan"
            raise Invalid(f'not a plan: "{where}" {problem["msg"]}', hint="jeyn plan FILE --json makes one") from exc


Leaf = Constant | Output | Ref | FileInput | SecretInput


def leaves(source: Source | Condition) -> Iterator[Leaf]:
    """The sources that a source or condition is made of."""
    match source:
        case Constant() | Output() | Ref() | FileInput() | SecretInput():
            yield source
        case Items(items=parts) | First(choices=parts) | AllOf(conditions=parts) | AnyOf(conditions=parts):
            for part in parts:
                yield from leaves(part)
        case Compare(left=left, right=right):
            yield from leaves(left)
            yield from leaves(right)
        case Truth(source=inner) | Not(condition=inner):
            yield from leaves(inner)


def outputs_in(source: Source | Condition) -> Iterator[Output]:
    """Every operation's output that a source or condition reads."""
    return (leaf for leaf in leaves(source) if isinstance(leaf, Output))


def needs(operation: PlannedOperation) -> list[str]:
    """The names of the operations that an operation waits for, each once, in order."""
    found = (out.operation for source in operation.inputs.values() for out in outputs_in(source))
    guards = (out.operation for condition in operation.conditions for out in outputs_in(condition))
    return list(dict.fromkeys((*found, *guards)))


def _tagged(data: Any) -> Any:
    if isinstance(data, float) and not math.isfinite(data):
        return {"$float": str(data)}
    if isinstance(data, dict):
        return {key: _tagged(value) for key, value in data.items()}
    return [_tagged(value) for value in data] if isinstance(data, list | tuple) else data


def _untagged(data: Any) -> Any:
    if isinstance(data, dict):
        if data.keys() == {"$float"}:
            return float(data["$float"])
        return {key: _untagged(value) for key, value in data.items()}
    return [_untagged(value) for value in data] if isinstance(data, list) else data


for _model in (Items, First, Compare, Truth, Not, AllOf, AnyOf, PlannedOperation, Plan):
    _model.model_rebuild()
