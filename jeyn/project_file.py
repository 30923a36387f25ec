"""`jeyn.yaml`, the project file, checked with the line of what is wrong; `jeyn.settings` reads it when there is one.

name: digits
home: .jeyn                         # catalog:, payloads: and data: name other places
pipelines: {nightly: "pipeline.py:nightly"}
operations:
  "*": {retries: 1}                 # defaults of every operation
  train: {timeout: 600, resources: {memory: 2Gi}}
argo: {namespace: ml, image: "team/digits:3", secret: digits-places}
retention:                          # what `jeyn gc` may take besides what nobody can miss
  "batch:clicks": {last: 30, days: 90}
  value: {last: 20}
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from jeyn.errors import NotAllowed, UsageError
from jeyn.regular import NotRegular, TooLarge, read_text
from jeyn.yaml_text import MOST_BYTES, OutOfBounds, load

_SHOWN = 200  # characters of a value in a message
Text = Annotated[str, StringConstraints(min_length=1)]
PipelineTarget = Annotated[str, StringConstraints(pattern=r"^[^:]+\.py(:[A-Za-z_]\w*)?$")]
KubernetesName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")]
# Of which batches, checkpoints, quarantined batches or values: all, or those of one name.
RetainedLine = Annotated[
    str, StringConstraints(pattern=r"^((batch|checkpoint|quarantined)(:[A-Za-z0-9][A-Za-z0-9._-]*)?|value)$")
]
TypeName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)+$")]
Duration = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,6}[smhdw]$")]
Seconds = Annotated[int, Field(ge=1, le=2**31 - 1)]


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class OperationDefaults(_Closed):
    """What an operation's options are where its code does not say; the fields of `jeyn.sdk.plan.Options`."""

    retries: Annotated[int, Field(ge=0, le=1000)] = 0
    backoff: Annotated[float, Field(ge=0)] = 1.0
    timeout: Annotated[float, Field(gt=0)] | None = None
    resources: dict[str, int | float | str] = {}
    cache: bool = True
    image: str | None = None
    k8s: dict[str, Any] = {}
    sidecar: Literal["dapr"] | None = None


class ArgoSettings(_Closed):
    """How pipelines run on Argo Workflows: `argo:` of jeyn.yaml. Times are seconds.

    `secret` is the Kubernetes Secret whose entries are the environment of every pod: JEYN_CATALOG, JEYN_PAYLOADS and
    credentials. Nothing here is secret itself, since all of it is in the manifests.
    """

    server: Text = "http://127.0.0.1:2746"
    namespace: KubernetesName = "default"
    image: Text = "jeyn:latest"
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    image_pull_secrets: list[KubernetesName] = []
    service_account: KubernetesName = "jeyn"
    secret: KubernetesName = "jeyn"  # noqa: S105  # a name
    sidecar: Literal["compiled", "none"] = "compiled"
    daprd_image: Text = "daprio/daprd:1.18.3"
    link: Text | None = None  # the address of a run's page; "{run}" stands for its id
    deadline: Seconds = 7 * 86400  # of a whole run
    pod_start: Seconds = 3600  # how long pods may wait for a place to run while none of the run's runs
    pod_ttl: Seconds = 600  # how long a pod that ended is kept
    keep_succeeded: Seconds = 7 * 86400  # how long a workflow is kept; the run itself stays in the catalog
    keep_failed: Seconds = 30 * 86400


class Kept(_Closed):
    """What a retention rule keeps of each line: the `last` so many, and what is younger than `days`."""

    last: Annotated[int, Field(ge=1)] | None = None
    days: Annotated[float, Field(ge=0)] | None = None


class ProjectFile(_Closed):
    """All that `jeyn.yaml` may say. Relative places start at its folder."""

    name: Text = ""
    home: Text | None = None
    catalog: Text | None = None
    payloads: Text | None = None
    data: Text | None = None
    data_links: list[Text] = []  # folders outside the data root that links in it may lead to
    databases: dict[str, Text] = {}
    serializers: dict[str, Text] = {}
    trusted: list[TypeName] = []
    pipelines: dict[str, PipelineTarget] = {}
    operations: dict[str, OperationDefaults] = {}
    argo: ArgoSettings = ArgoSettings()
    retention: dict[RetainedLine, Kept] = {}
    shared: Literal["group"] | None = None  # what is in the home is the group's too
    store_patience: Duration | None = None  # how long a store that is away is waited for


_KNOWN: dict[str, type[_Closed]] = {"operations": OperationDefaults, "argo": ArgoSettings, "retention": Kept}


def read(path: Path) -> ProjectFile:
    """The project file at `path`. Raises `UsageError` with the line, `NotAllowed` when it cannot be read."""
    try:
        node, found = load(read_text(path, MOST_BYTES))
    except OutOfBounds as exc:
        line = f" line {exc.problem_mark.line + 1}" if exc.problem_mark else ""
        raise UsageError(f'"{path.name}"{line}: {exc.problem}', hint="write it out, and shorter") from exc
    except yaml.YAMLError as exc:
        raise _not_yaml(path, exc) from exc
    except (UnicodeDecodeError, ValueError) as exc:
        raise UsageError(f'"{path.name}" is not YAML: {exc}', hint="save it as UTF-8 text") from exc
    except (NotRegular, TooLarge) as exc:
        raise UsageError(f'"{path.name}" cannot be read: {exc.strerror}', hint="make it a file of text") from exc
    except OSError as exc:
        raise NotAllowed(f'"{path}" cannot be read: {exc.strerror}', hint="check who owns it") from exc
    if found is None or node is None:
        return ProjectFile()
    if not isinstance(found, dict):
        shown = f'"{path.name}" line {node.start_mark.line + 1} holds a {type(found).__name__}, not keys'
        raise UsageError(shown, hint="write lines like data: ./data")
    _refuse_duplicates(path, node)
    try:
        return ProjectFile.model_validate({key: value for key, value in found.items() if value is not None})
    except ValidationError as exc:
        raise _wrong(path, node, exc) from exc


def argo_settings(found: Mapping[str, Any]) -> ArgoSettings:
    """What `Settings.argo` says, with defaults. Raises `UsageError` for what an environment variable has wrong."""
    try:
        return ArgoSettings.model_validate(dict(found))
    except ValidationError as exc:
        problem = exc.errors(include_url=False)[0]
        key = str(problem["loc"][0])
        raise UsageError(
            f'argo: "{key}" is "{problem["input"]}": {_said(problem["msg"])}',
            hint=f"correct JEYN_ARGO_{key.upper()}, or argo: in jeyn.yaml",
        ) from exc


def _not_yaml(path: Path, exc: yaml.YAMLError) -> UsageError:
    mark = getattr(exc, "problem_mark", None)
    where = f" line {mark.line + 1}" if mark else ""
    return UsageError(
        f'"{path.name}"{where} is not YAML: {getattr(exc, "problem", None) or exc}', hint="mend that line"
    )


def _refuse_duplicates(path: Path, node: yaml.Node) -> None:
    """YAML itself would let the last one win without a word."""
    for mapping in _mappings(node):
        seen: dict[str, int] = {}
        for key, _ in mapping.value:
            line = key.start_mark.line + 1
            if str(key.value) in seen:
                raise UsageError(
                    f'"{path.name}" line {line}: "{key.value}" is there twice, first in line {seen[str(key.value)]}',
                    hint="keep one of the two",
                )
            seen[str(key.value)] = line


def _mappings(root: yaml.Node) -> Iterator[yaml.MappingNode]:
    """Each once: an anchor may be used in many places, also inside itself."""
    stack, seen = [root], set[int]()
    while stack:
        node = stack.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            yield node
            stack.extend(value for _, value in node.value)
        elif isinstance(node, yaml.SequenceNode):
            stack.extend(node.value)


def _wrong(path: Path, node: yaml.Node, exc: ValidationError) -> UsageError:
    problem = exc.errors(include_url=False)[0]
    # Behind the keys that are in the file, pydantic names the branch of a union that it tried.
    line, keys = _find(node, problem["loc"])
    where, key = f'"{path.name}" line {line}', ".".join(keys)
    if problem["type"] == "extra_forbidden":
        known = list(_KNOWN.get(keys[0], ProjectFile).model_fields if len(keys) > 1 else ProjectFile.model_fields)
        close = get_close_matches(keys[-1], known, n=1)
        hint = f'did you mean "{close[0]}"?' if close else f"known: {', '.join(sorted(known))}"
        return UsageError(f'{where}: "{key}" is an unknown key', hint=hint)
    return UsageError(
        f'{where}: "{key}" is {_short(problem["input"])}: {_said(problem["msg"])}',
        hint=_hint(problem["type"], keys[0] if keys else ""),
    )


# What a text that fits no pattern should look like, by its first key.
_PATTERNS = {"pipelines": 'write "file.py" or "file.py:function"', "store_patience": 'write a time like "90s" or "2h"'}


def _short(value: Any) -> str:
    """Enough of a value to find it by."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _said(message: str) -> str:
    return message.removeprefix("Input ").replace("'", '"')


def _hint(kind: str, key: str) -> str:
    return {
        "string_type": "write the value in quotes",
        "string_pattern_mismatch": _PATTERNS.get(key, "correct the value"),
        "dict_type": "write it as {name: value}",
        "model_type": "write it as {name: value}",
        "invalid_key": "write the key in quotes",
    }.get(kind, "correct the value")


def _find(node: yaml.Node, loc: Sequence[int | str]) -> tuple[int, list[str]]:
    """The line of the innermost key of `loc` that is in the file, and the keys up to it."""
    line, keys = node.start_mark.line, list[str]()
    for part in loc:
        entry = _entry(node, part)
        if entry is None:
            break
        line, node = entry[0].start_mark.line, entry[1]
        keys.append(str(part))
    return line + 1, keys


def _entry(node: yaml.Node, part: int | str) -> tuple[yaml.Node, yaml.Node] | None:
    if not isinstance(node, yaml.MappingNode):
        return None
    return next(((key, value) for key, value in node.value if str(key.value) == str(part)), None)
