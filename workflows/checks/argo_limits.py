"""What Argo and Kubernetes cannot take: names, resources, times and sizes, and places that a pod cannot reach.

The limits are those of etcd (1 MiB an object), of an argument (128 KiB; ours is lower, references are what travels)
and of `activeDeadlineSeconds` (a 32-bit number).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from jeyn.address import shown
from jeyn.errors import Incompatible, JeynError, UsageError
from jeyn.sdk.plan import Constant, Items, Options, Plan, PlannedOperation, SecretInput, Source, leaves
from jeyn.sdk.secret import variable_of
from jeyn.workflows.checks.quantity import raw_errors, resource_errors
from jeyn.workflows.checks.wiring import Found, sources_in
from jeyn.workflows.code.libraries import compiled, libraries_of

if TYPE_CHECKING:
    from jeyn.settings import Settings
    from jeyn.stores.workspace import Workspace

MAX_NAME = 200  # characters; a label is cut to 63 and told apart by a hash
MAX_VALUE = 32 * 1024  # bytes of JSON
MAX_PLAN = 1024 * 1024  # bytes of JSON
MAX_SECONDS = 2**31 - 1


def beyond_limits(plan: Plan) -> Iterator[Found]:
    """What no engine should be given, since the same plan is to run on all of them."""
    if error := _name_error("the pipeline", plan.pipeline):
        yield "", error
    for name, parameter in plan.parameters.items():
        if error := _size_error(f'the parameter "{name}"', parameter.value):
            yield "", error
    for operation in plan.all_operations:
        for error in _errors(operation):
            yield operation.name, error
    yield from _mixed_secrets(plan)


def _errors(operation: PlannedOperation) -> Iterator[JeynError]:
    whose = f'"{operation.name}"'
    for part in operation.name.split("/"):
        if error := _name_error("an operation", part):
            yield error
    for name, source in operation.inputs.items():
        largest = max(_values(source, mapped=name in operation.mapped), key=_size, default=None)
        if error := _size_error(f'the input "{name}" of {whose}', largest):
            yield error
    yield from _time_errors(operation.options, whose)
    yield from resource_errors(operation.options.resources, whose)
    yield from raw_errors(operation.options.k8s, whose)


def _mixed_secrets(plan: Plan) -> Iterator[Found]:
    """Different secrets that one environment variable would hold."""
    known: dict[str, SecretInput] = {}
    for operation, source in sources_in(plan):
        if not isinstance(source, SecretInput):
            continue
        variable = variable_of(source.name, source.key)
        other = known.setdefault(variable, source)
        if other != source:
            named = f'"{other.key}" of "{other.name}" and "{source.key}" of "{source.name}"'
            yield operation, UsageError(f"the secrets {named} are both read from {variable}", hint="rename one of them")


def _name_error(what: str, name: str) -> JeynError | None:
    hint = 'rename it with name="…"'
    if len(name) > MAX_NAME:
        return UsageError(f'"{name[:40]}…" cannot name {what}: it has {len(name)} characters', hint=hint)
    if not name.isprintable() or not any(map(str.isalnum, name)):
        return UsageError(f"{name!r} cannot name {what}: it needs a letter or digit, all printable", hint=hint)
    return None


def _values(source: Source, mapped: bool) -> Iterator[Any]:
    """The constants in an input; of one that is mapped over, item by item, as they reach the operation."""
    if mapped and isinstance(source, Constant) and isinstance(source.value, list | tuple):
        yield from source.value
    elif isinstance(source, Constant | Items):
        yield from (leaf.value for leaf in leaves(source) if isinstance(leaf, Constant))


def _size(value: Any) -> int:
    if value is None or isinstance(value, bool | int | float):
        return 8
    return len(json.dumps(value, ensure_ascii=False, default=str).encode(errors="replace"))


def _size_error(what: str, value: Any) -> JeynError | None:
    size = _size(value)
    if size <= MAX_VALUE:
        return None
    return UsageError(
        f"{what} is a value of {size} bytes, and a plan holds values of at most {MAX_VALUE}",
        hint="pass a reference: the output of an operation, jeyn.ref(...) or jeyn.File(...)",
    )


def _time_errors(options: Options, whose: str) -> Iterator[JeynError]:
    for name, seconds in (("timeout", options.timeout), ("backoff", options.backoff)):
        if seconds is not None and not seconds <= MAX_SECONDS:
            yield UsageError(
                f'the {name} of {whose} is "{seconds:g}" seconds', hint=f"give at most {MAX_SECONDS}, or leave it out"
            )


def not_on_argo(plan: Plan, workspace: Workspace) -> Iterator[Found]:
    """What Argo alone cannot take: places on this machine (SEMANTICS 16), libraries that are built only here, and a
    plan larger than an object of etcd.
    """
    for _, error in local_places(workspace.settings):
        yield "", error
    for top, file in compiled(libraries_of(plan.code.values(), workspace.settings.root.resolve())).items():
        message = f'the library "{top}" is no installed copy and has compiled parts ("{file.name}"), which no pod gets'
        yield "", Incompatible(message, hint="build a wheel of it, and install that here and in the image")
    size = len(plan.dump().encode())
    if size > MAX_PLAN:
        yield (
            "",
            UsageError(
                f'the plan of "{plan.pipeline}" has {size} bytes, and Kubernetes keeps objects of at most {MAX_PLAN}',
                hint="use one operation with .map(...) in place of many calls, or several pipelines",
            ),
        )


def local_places(settings: Settings) -> Iterator[Found]:
    """(what it is, error) of each place that is on this machine, where no pod can reach it."""
    places = (
        ("data root", settings.data, _is_here(settings.data), "data", "JEYN_DATA", "s3://bucket/data"),
        (
            "catalog",
            settings.catalog,
            settings.catalog.startswith("sqlite"),
            "catalog",
            "JEYN_CATALOG",
            "postgresql://host/name",
        ),
        (
            "payload store",
            settings.payloads,
            _is_here(settings.payloads),
            "payloads",
            "JEYN_PAYLOADS",
            "s3://bucket/payloads",
        ),
    )
    for what, place, is_local, key, variable, example in places:
        if is_local:
            seen = shown(place) if "://" in place else place
            message = f'the {what} "{seen}" is on this machine, where no pod can reach it'
            yield what, Incompatible(message, hint=f"set {key}: in jeyn.yaml, or {variable}, to a place like {example}")


def _is_here(place: str) -> bool:
    return "://" not in place or place.startswith(("file:", "memory:"))
