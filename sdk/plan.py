"""A plan: what a pipeline will do, as typed data that both engines execute and that JSON can hold (DESIGN 3).

A plan names functions, never carries them; only `Source`s say where an operation's inputs come from. Whether the
output of a mapped operation is collected or taken item by item is said by the consumer's `mapped`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, Self, cast

from jeyn.errors import Invalid
from jeyn.json_text import is_too_deep, parse

if TYPE_CHECKING:
    from pydantic import TypeAdapter, ValidationError

RETURN = "return"  # the name of an operation's only output


class _Rule:
    """What holds for a value beside its type, as pydantic's `Field` says it.

    pydantic is imported when something from outside is checked, which in a pod nothing is: it takes as long to import
    as all of SQLAlchemy's tables.
    """

    def __init__(self, **said: Any) -> None:
        self.said = said

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        from pydantic import Field

        return handler(Annotated[source, Field(**self.said)])


@dataclass(frozen=True)
class _Data:
    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 - what is annotated would be in __dataclass_fields__


@dataclass(frozen=True, kw_only=True)
class Constant(_Data):
    """A value that JSON can hold, written in the pipeline."""

    kind: Literal["constant"] = "constant"
    value: Any


@dataclass(frozen=True, kw_only=True)
class Output(_Data):
    """An output of an operation; of a mapped one: all items, or one by one where the consumer maps over it."""

    kind: Literal["output"] = "output"
    operation: str
    output: str = RETURN


@dataclass(frozen=True, kw_only=True)
class Ref(_Data):
    """An artefact by reference, resolved once when the run is created (SEMANTICS 20)."""

    kind: Literal["ref"] = "ref"
    reference: str


@dataclass(frozen=True, kw_only=True)
class FileInput(_Data):
    """A file below the project root, kept with the run: its bytes count in the cache key (`jeyn.File`)."""

    kind: Literal["file"] = "file"
    path: str


@dataclass(frozen=True, kw_only=True)
class SecretInput(_Data):
    """A secret by its name and key, which are all that a plan knows of it (`jeyn.Secret`)."""

    kind: Literal["secret"] = "secret"
    name: str
    key: str


@dataclass(frozen=True, kw_only=True)
class Items(_Data):
    """A list put together from several sources."""

    kind: Literal["items"] = "items"
    items: tuple[Source, ...]


@dataclass(frozen=True, kw_only=True)
class First(_Data):
    """The first of several branches that was not skipped (`jeyn.first`)."""

    kind: Literal["first"] = "first"
    choices: tuple[Source, ...]


Source = Annotated[Constant | Output | Ref | FileInput | SecretInput | Items | First, _Rule(discriminator="kind")]

Comparison = Literal["==", "!=", "<", "<=", ">", ">="]


@dataclass(frozen=True, kw_only=True)
class Compare(_Data):
    """`left operator right`, on the values."""

    kind: Literal["compare"] = "compare"
    operator: Comparison
    left: Source
    right: Source


@dataclass(frozen=True, kw_only=True)
class Truth(_Data):
    """Whether a value is true in Python's sense."""

    kind: Literal["truth"] = "truth"
    source: Source


@dataclass(frozen=True, kw_only=True)
class Not(_Data):
    kind: Literal["not"] = "not"
    condition: Condition


@dataclass(frozen=True, kw_only=True)
class AllOf(_Data):
    kind: Literal["all"] = "all"
    conditions: tuple[Condition, ...]


@dataclass(frozen=True, kw_only=True)
class AnyOf(_Data):
    kind: Literal["any"] = "any"
    conditions: tuple[Condition, ...]


Condition = Annotated[Compare | Truth | Not | AllOf | AnyOf, _Rule(discriminator="kind")]


@dataclass(frozen=True, kw_only=True)
class Options(_Data):
    """How an operation is run; none of it is in the cache key (SEMANTICS 18).

    `timeout` and `backoff` are seconds; the wait before retry n is `backoff * 2 ** (n - 1)`, at most 60 s.
    `image`, `k8s` (fields of the pod, as Kubernetes spells them) and `sidecar` say something to Argo alone.
    """

    retries: Annotated[int, _Rule(ge=0, le=1000)] = 0
    backoff: Annotated[float, _Rule(ge=0)] = 1.0
    timeout: Annotated[float, _Rule(gt=0)] | None = None
    resources: dict[str, int | float | str] = field(default_factory=dict)
    cache: bool = True
    image: str | None = None
    k8s: dict[str, Any] = field(default_factory=dict)
    sidecar: Literal["dapr"] | None = None

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> Self:
        """Options of which these are said in the code, and others may still be said elsewhere."""
        made = cls(**said)
        made.__dict__["_said"] = tuple(said)
        return made

    @property
    def said(self) -> dict[str, Any]:
        """What was said of them; all, where they were read."""
        return {name: getattr(self, name) for name in self.__dict__.get("_said", self.__dataclass_fields__)}


@dataclass(frozen=True, kw_only=True)
class PlannedOperation(_Data):
    """One call of an operation in a plan."""

    name: str  # unique in the plan; operations of a nested pipeline are "outer/inner"
    function: str  # "module:qualname", importable from the project root
    description: str = ""
    inputs: dict[str, Source] = field(default_factory=dict)
    mapped: tuple[str, ...] = ()  # the inputs whose items each get an operation of their own
    outputs: dict[str, str] = field(default_factory=lambda: {RETURN: ""})  # name -> annotation as text
    conditions: tuple[Condition, ...] = ()  # all of them must hold
    options: Options = field(default_factory=lambda: Options.of({}))


@dataclass(frozen=True, kw_only=True)
class PlannedParameter(_Data):
    """A pipeline's parameter and the value it was recorded with."""

    type: str = ""
    value: Any = None


@dataclass(frozen=True, kw_only=True)
class FunctionCode(_Data):
    """What identifies the code of an operation's function (SEMANTICS 18): named parts and their digests."""

    digest: str  # over `parts`
    environment: str  # over `distributions` and the Python minor version
    parts: dict[str, str] = field(default_factory=dict)
    distributions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Problem(_Data):
    """Something that is known to go wrong, found without running. `error` is a class name of jeyn.errors."""

    error: str
    message: str
    hint: str = ""
    operation: str = ""


@dataclass(frozen=True, kw_only=True)
class Plan(_Data):
    """Operations wired together. `code` is filled in, and `problems` completed, by `jeyn.workflows`."""

    version: Literal["plan/1"] = "plan/1"
    pipeline: str
    function: str = ""  # "module:qualname" of the pipeline
    description: str = ""
    parameters: dict[str, PlannedParameter] = field(default_factory=dict)
    operations: tuple[PlannedOperation, ...] = ()
    parallelism: Annotated[int, _Rule(ge=1)] | None = None  # how many operations may run at once
    outputs: dict[str, Source] = field(default_factory=dict)  # what the pipeline returned; {"return": …} for one handle
    on_exit: PlannedOperation | None = None
    code: dict[str, FunctionCode] = field(default_factory=dict)  # by function
    problems: tuple[Problem, ...] = ()

    @property
    def all_operations(self) -> tuple[PlannedOperation, ...]:
        """The exit handler is the last."""
        return (*self.operations, self.on_exit) if self.on_exit else self.operations

    def __str__(self) -> str:
        from jeyn.sdk.plan_text import plan_text

        return plan_text(self)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(str(self))

    def _repr_html_(self) -> str:
        from jeyn.sdk.html import plan_html

        return plan_html(self)

    def to_json(self) -> dict[str, Any]:
        """Plain data for any JSON writer; NaN and the infinities are tagged."""
        found: dict[str, Any] = plain_data(self)
        return found

    def dump(self) -> str:
        """The plan as text, the same each time. Unlike a digest's canonical form it keeps 1.0 apart from 1."""
        return json.dumps(self.to_json(), sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, found: Any) -> Plan:
        """A plan from its data or its text. Raises `Invalid` with where it is wrong."""
        try:
            found = parse(found) if isinstance(found, str | bytes) else found
        except ValueError as exc:
            raise Invalid(f"not a plan: {exc}", hint="jeyn plan FILE --json makes one") from exc
        if is_too_deep(found):
            raise Invalid("not a plan: it is nested too deeply", hint="jeyn plan FILE --json makes one")
        try:
            made: Plan = checked(cls, _untagged(found))
            return made
        except ValueError as exc:
            where, said, _ = first_problem(exc)
            raise Invalid(f'not a plan: "{where or "plan"}" {said}', hint="jeyn plan FILE --json makes one") from exc

    @classmethod
    def restored(cls, text: bytes) -> Plan:
        """`from_json` of what `dump` wrote, in a tenth of the time: where a digest says that nobody has touched it."""
        try:
            return _restored_plan(_untagged(json.loads(text)))
        except (TypeError, KeyError, AttributeError, ValueError, RecursionError):
            return cls.from_json(text)  # of another version, or no plan: which says what is wrong


def checked(kind: Any, data: Any) -> Any:
    """The data of a plan or of a part as its class. Raises pydantic's `ValidationError`, a ValueError."""
    return _adapter(kind).validate_python(data)


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


class FirstProblem(NamedTuple):
    """Where the first thing is that is wrong, what is said of it, and the value there."""

    where: str
    said: str
    value: Any


def first_problem(exc: ValueError) -> FirstProblem:
    """What `checked` did not like."""
    problem = cast("ValidationError", exc).errors(include_url=False)[0]
    is_unknown = problem["type"] == "unexpected_keyword_argument"
    said = "Extra inputs are not permitted" if is_unknown else problem["msg"]
    return FirstProblem(".".join(map(str, problem["loc"])), said, problem["input"])


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


def plain_data(found: Any) -> Any:
    """A part of a plan as JSON has it."""
    if isinstance(found, _Data):
        return {name: plain_data(getattr(found, name)) for name in found.__dataclass_fields__}
    if isinstance(found, float) and not math.isfinite(found):
        return {"$float": str(found)}
    if isinstance(found, dict):
        return {key: plain_data(value) for key, value in found.items()}
    return [plain_data(value) for value in found] if isinstance(found, list | tuple) else found


def _untagged(data: Any) -> Any:
    if isinstance(data, dict):
        if data.keys() == {"$float"}:
            return float(data["$float"])
        return {key: _untagged(value) for key, value in data.items()}
    return [_untagged(value) for value in data] if isinstance(data, list) else data


_Dict = dict[str, Any]
_KINDS: Mapping[str, Callable[[_Dict], Any]] = {
    "constant": lambda data: Constant(**data),
    "output": lambda data: Output(**data),
    "ref": lambda data: Ref(**data),
    "file": lambda data: FileInput(**data),
    "secret": lambda data: SecretInput(**data),
    "items": lambda data: Items(**data | {"items": _several(data["items"])}),
    "first": lambda data: First(**data | {"choices": _several(data["choices"])}),
    "compare": lambda data: Compare(**data | {"left": _one(data["left"]), "right": _one(data["right"])}),
    "truth": lambda data: Truth(**data | {"source": _one(data["source"])}),
    "not": lambda data: Not(**data | {"condition": _one(data["condition"])}),
    "all": lambda data: AllOf(**data | {"conditions": _several(data["conditions"])}),
    "any": lambda data: AnyOf(**data | {"conditions": _several(data["conditions"])}),
}


def _one(data: _Dict) -> Any:
    return _KINDS[data["kind"]](data)


def _several(data: list[_Dict]) -> tuple[Any, ...]:
    return tuple(map(_one, data))


def _named(data: _Dict) -> _Dict:
    return {name: _one(each) for name, each in data.items()}


def _restored_operation(data: _Dict) -> PlannedOperation:
    told = {"inputs": _named(data["inputs"]), "conditions": _several(data["conditions"])}
    return PlannedOperation(**data | told | {"mapped": tuple(data["mapped"]), "options": Options(**data["options"])})


def _restored_plan(data: _Dict) -> Plan:
    if data["version"] != "plan/1":
        raise ValueError(data["version"])
    parameters = {name: PlannedParameter(**each) for name, each in data["parameters"].items()}
    told = {
        "parameters": parameters,
        "operations": tuple(map(_restored_operation, data["operations"])),
        "outputs": _named(data["outputs"]),
        "on_exit": data["on_exit"] and _restored_operation(data["on_exit"]),
        "code": {name: FunctionCode(**each) for name, each in data["code"].items()},
        "problems": tuple(Problem(**each) for each in data["problems"]),
    }
    return Plan(**data | told)
