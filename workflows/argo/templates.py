"""Container templates: how the pod of an operation looks, one for each distinct function and options; and the last pod.

What a pod is told is names only. Decisions (cached, skipped, adopted) are taken in it, by the code that the local
engine uses.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from hera.workflows import models as m

from jeyn.errors import UsageError
from jeyn.project_file import ArgoSettings
from jeyn.sdk.plan import Options, PlannedOperation, SecretInput, leaves, plain_data
from jeyn.sdk.secret import variable_of
from jeyn.workflows.argo.names import MAX_TEMPLATE, hashed
from jeyn.workflows.argo.pod_fields import with_pod_fields
from jeyn.workflows.argo.sidecar import components_volume, daprd

FOLDER = "/jeyn"  # of the pod's own files; nothing else in it need be writable
FINISH = "finish"
COMMAND = ("python3", "-P", "-u", "-m", "jeyn.workflows.pod")
GRACE = 300  # seconds: the pod itself ends an attempt that takes too long; this also covers pulling its image
LONGEST_BACKOFF = "60s"
FINISH_RETRIES = 2  # closing a run twice does no harm

_RUN = (
    "--run={{workflow.name}}",
    "--package={{workflow.parameters.package}}",
    "--cache={{workflow.parameters.cache}}",
)
_as_text = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_OPERATION = "{{inputs.parameters.operation}}"
_ITEM = "{{inputs.parameters.item}}"


class Templates:
    """Makes a template when it is first asked for; `all` are those made so far, as plain data."""

    def __init__(self, settings: ArgoSettings) -> None:
        self.settings = settings
        self._made: dict[tuple[str, str, str, str], dict[str, Any]] = {}

    @property
    def all(self) -> list[dict[str, Any]]:
        return list(self._made.values())

    def run(self, operation: PlannedOperation) -> str:
        """The name of the template that runs an operation, or one item of a mapped one."""
        return self._name("item" if operation.mapped else "run", operation)

    def expand(self, operation: PlannedOperation) -> str:
        """The name of the template that says which items a mapped operation has."""
        return self._name("items", operation)

    def finish(self, on_exit: PlannedOperation | None) -> dict[str, Any]:
        """The exit handler: it closes the run's record, after the user's own operation where there is one."""
        options = on_exit.options if on_exit else Options(retries=FINISH_RETRIES)
        args = [*_RUN, "--finish", "--status={{workflow.status}}"]
        return self._template(FINISH, FINISH, options, secrets_of([on_exit] if on_exit else []), args, shown=FINISH)

    def _name(self, kind: str, operation: PlannedOperation) -> str:
        options = operation.options
        secrets = secrets_of([operation])
        key = (kind, operation.function, _as_text(plain_data(options)), json.dumps(secrets))
        if key not in self._made:
            name = hashed(operation.function.rpartition(":")[2].rpartition(".")[2], key, MAX_TEMPLATE)
            self._made[key] = self._made_for(kind, name, operation, secrets)
        found: str = self._made[key]["name"]
        return found

    def _made_for(
        self, kind: str, name: str, operation: PlannedOperation, secrets: list[tuple[str, str]]
    ) -> dict[str, Any]:
        options, whose = operation.options, f'"{operation.name}"'
        args = [*_RUN, f"--operation={_OPERATION}"]
        if kind == "items":
            # It only looks at what there is to do: the pods that do it get the resources.
            options = replace(options, resources={}, sidecar=None)
            return self._template(
                name, whose, options, [], [*args, "--expand"], shown=f"{_OPERATION}: items", gives=("items", "state")
            )
        if kind == "item":
            args, shown, inputs = [*args, f"--item={_ITEM}"], f"{_OPERATION}[{_ITEM}]", ("operation", "item")
            return self._template(
                name, whose, options, secrets, args, shown=shown, takes=inputs, gives=("refs", "state")
            )
        return self._template(name, whose, options, secrets, args, shown=_OPERATION, gives=("refs", "state"))

    def _template(
        self,
        name: str,
        whose: str,
        options: Options,
        secrets: list[tuple[str, str]],
        args: list[str],
        *,
        shown: str,
        takes: tuple[str, ...] = ("operation",),
        gives: tuple[str, ...] = (),
    ) -> dict[str, Any]:
        template = m.Template(
            name=name,
            # As a display name Argo takes neither "_" nor "[": the node would fail.
            metadata=m.Metadata(
                annotations={"jeyn.dev/operation": shown}, labels={"jeyn.dev/run": "{{workflow.name}}"}
            ),
            inputs=None if name == FINISH else m.Inputs(parameters=[m.Parameter(name=each) for each in takes]),
            outputs=m.Outputs(parameters=[_output(each) for each in gives]) if gives else None,
            container=self._container(options, secrets, args),
            init_containers=[daprd(self.settings)] if self._has_sidecar(options, whose) else None,
            volumes=[
                m.Volume(name="jeyn", empty_dir=m.EmptyDirVolumeSource()),
                *([components_volume()] if options.sidecar else []),
            ],
            retry_strategy=_retries(options),
            active_deadline_seconds=m.IntOrString(math.ceil(options.timeout) + GRACE) if options.timeout else None,
        )
        return with_pod_fields(plain(template), options.k8s, whose)

    def _container(self, options: Options, secrets: list[tuple[str, str]], args: list[str]) -> m.Container:
        env = [m.EnvVar(name="JEYN_HOME", value=f"{FOLDER}/home")]
        return m.Container(
            image=options.image or self.settings.image,
            image_pull_policy=self.settings.image_pull_policy,
            command=list(COMMAND),
            args=[*args, *(["--attempt={{retries}}"] if options.retries else [])],
            env=[*env, *(_secret(name, key) for name, key in secrets)],
            env_from=[m.EnvFromSource(secret_ref=m.SecretEnvSource(name=self.settings.secret))],
            resources=_resources(options),
            volume_mounts=[m.VolumeMount(name="jeyn", mount_path=FOLDER)],
        )

    def _has_sidecar(self, options: Options, whose: str) -> bool:
        if options.sidecar and self.settings.sidecar == "none":
            raise UsageError(
                f'{whose} asks for the sidecar "{options.sidecar}", and jeyn.yaml says sidecar: none',
                hint="write argo: {sidecar: compiled}, or leave the option out",
            )
        return bool(options.sidecar)


def secrets_of(operations: Iterable[PlannedOperation]) -> list[tuple[str, str]]:
    """(name, key) of every secret that operations take, sorted."""
    sources = (source for operation in operations for source in operation.inputs.values())
    found = (leaf for source in sources for leaf in leaves(source) if isinstance(leaf, SecretInput))
    return sorted({(leaf.name, leaf.key) for leaf in found})


def plain(model: Any) -> dict[str, Any]:
    """A typed object of Hera as plain data, in Argo's spelling."""
    found: dict[str, Any] = model.model_dump(mode="json", by_alias=True, exclude_none=True)
    return found


def _output(name: str) -> m.Parameter:
    # What people read may be missing when an operation failed; the items never are.
    default = None if name == "items" else ""
    return m.Parameter(name=name, value_from=m.ValueFrom(path=f"{FOLDER}/out/{name}", default=default))


def _secret(name: str, key: str) -> m.EnvVar:
    # One that is not there is the operation's own clear error, and not a pod that waits for ever.
    selector = m.SecretKeySelector(name=name, key=key, optional=True)
    return m.EnvVar(name=variable_of(name, key), value_from=m.EnvVarSource(secret_key_ref=selector))


def _resources(options: Options) -> m.ResourceRequirements | None:
    """What is asked for is had, and no more. The model class, since Hera's own drops resources with other names."""
    if not options.resources:
        return None
    amounts = {name: m.Quantity(str(value)) for name, value in options.resources.items()}
    asked = {"nvidia.com/gpu" if name == "gpu" else name: amount for name, amount in amounts.items()}
    return m.ResourceRequirements(requests=asked, limits=asked)


def _retries(options: Options) -> m.RetryStrategy | None:
    if not options.retries:
        return None
    seconds = math.ceil(options.backoff)
    backoff = m.Backoff(duration=f"{seconds}s", factor=m.IntOrString(2), cap=LONGEST_BACKOFF) if seconds else None
    return m.RetryStrategy(
        limit=m.IntOrString(options.retries),
        retry_policy="Always",
        expression="asInt(lastRetry.exitCode) != 64",
        backoff=backoff,
    )
