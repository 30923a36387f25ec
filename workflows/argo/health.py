"""`jeyn doctor --on argo`: whether all is there that a run on Argo needs, and what to do where it is not.

What can only be seen from a pod is looked at in one: a small workflow runs the base image with the Secret's places.
"""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jeyn.address import shown
from jeyn.errors import Incompatible, Invalid, JeynError, NotAllowed, NotFound
from jeyn.workflows.argo.kubernetes import Kubernetes, Manifest
from jeyn.workflows.argo.service import Argo

if TYPE_CHECKING:
    from jeyn.project_file import ArgoSettings
    from jeyn.sdk.plan import Plan

# Of each major version; what the manifests use is there since https://github.com/argoproj/argo-workflows/releases
OLDEST_ARGO = {3: (3, 7, 0), 4: (4, 0, 0)}
OLDEST_FOR_MAPS = {3: (3, 7, 16), 4: (4, 0, 7)}  # those before hang, or fail, where a fan-out has no items
OLDEST_KUBERNETES = (1, 29)  # native sidecars
PROBE_SECONDS = 180.0  # an image of a gigabyte has to come first
ENDED = ("Succeeded", "Failed", "Error")
HOPELESS = re.compile(r"ErrImageNeverPull|InvalidImageName|CreateContainerConfigError|ImagePullBackOff|ErrImagePull")
_ARGO, _RBAC = "argoproj.io", "rbac.authorization.k8s.io"
NEEDS = (
    *(
        (verb, _ARGO, kind)
        for kind in ("workflowtemplates", "cronworkflows")
        for verb in ("get", "list", "create", "patch", "delete")
    ),
    *((verb, "", "serviceaccounts") for verb in ("get", "create", "patch")),
    *((verb, _RBAC, kind) for kind in ("roles", "rolebindings") for verb in ("get", "create", "patch")),
    *((verb, "", "configmaps") for verb in ("get", "create", "patch")),
)


@dataclass(frozen=True)
class Finding:
    """One thing looked at: what was found, and what is wrong; with a cure and no error it is only a warning."""

    name: str
    found: str
    cure: str = ""
    error: JeynError | None = None


def look(settings: ArgoSettings, *, seconds: float = PROBE_SECONDS) -> Iterator[Finding]:
    """Everything, one after the other; what needs the server is left out where there is none."""
    argo, cluster = Argo(settings), Kubernetes(settings.namespace)
    server = _tried("argo server", lambda: _server(argo))
    yield server
    kubernetes = _tried("kubernetes", lambda: _kubernetes(cluster))
    yield kubernetes
    if kubernetes.error is None:
        yield _tried("permissions", lambda: _permissions(cluster))
        yield _tried("secret", lambda: _secret(cluster, settings.secret))
    if server.error is None or isinstance(server.error, Incompatible):
        yield from _from_a_pod(argo, settings, seconds)


def check_argo(version: str, plan: Plan | None = None) -> None:
    """Raises `Incompatible` for a version of Argo that is too old, for all that there is or for what a plan uses.

    A version that does not say is taken as it is.
    """
    numbers = re.match(r"v?(\d+)\.(\d+)\.(\d+)", version)
    if numbers is None:
        return
    found = (int(numbers[1]), int(numbers[2]), int(numbers[3]))
    mapped = next((each.name for each in plan.operations if each.mapped), None) if plan else None
    oldest = OLDEST_ARGO if plan and mapped is None else OLDEST_FOR_MAPS
    if found < oldest[min(max(found[0], 3), 4)]:
        needed = " or ".join("v" + ".".join(map(str, each)) for each in oldest.values())
        who = f'the .map() of "{mapped}"' if mapped else "Jeyn"
        raise Incompatible(
            f"Argo is {version}, and {who} needs {needed} or newer",
            hint="update Argo Workflows, or set argo: server: in jeyn.yaml, or JEYN_ARGO_SERVER, to another",
        )


def _tried(name: str, work: Callable[[], Finding]) -> Finding:
    try:
        return work()
    except JeynError as exc:
        return _wrong(name, exc)


def _wrong(name: str, error: JeynError) -> Finding:
    return Finding(name, error.message, error.hint, error)


def _server(argo: Argo) -> Finding:
    version = argo.version()
    check_argo(version)
    return Finding("argo server", f"{shown(argo.settings.server)} is {version.partition('+')[0]}")


def _kubernetes(cluster: Kubernetes) -> Finding:
    version = cluster.version()
    found = f"{cluster.address()} is {version[0]}.{version[1]}"
    if version < OLDEST_KUBERNETES:
        oldest = ".".join(map(str, OLDEST_KUBERNETES))
        return Finding("kubernetes", found, f"Dapr sidecars need {oldest}; write argo: {{sidecar: none}} without them")
    return Finding("kubernetes", found)


def _permissions(cluster: Kubernetes) -> Finding:
    answers = cluster.may(NEEDS)
    denied: dict[str, list[str]] = {}
    for (verb, _, resource), allowed in answers.items():
        if not allowed:
            denied.setdefault(resource, []).append(verb)
    if not denied:
        return Finding("permissions", f'all that deploy and schedule need in the namespace "{cluster.namespace}"')
    named = "; ".join(f"{'/'.join(verbs)} {resource}" for resource, verbs in denied.items())
    raise NotAllowed(
        f'in the namespace "{cluster.namespace}" you may not {named}',
        hint="have those rights given, or have whoever has them apply what jeyn compile prints",
    )


def _secret(cluster: Kubernetes, name: str) -> Finding:
    try:
        keys = cluster.keys_of_secret(name)
    except NotAllowed:
        return Finding("secret", f'you may not see whether there is a Secret "{name}"', "the pod below tells")
    make = f"kubectl create secret generic {name} --from-literal=JEYN_CATALOG=… --from-literal=JEYN_PAYLOADS=…"
    if keys is None:
        raise NotFound(f'there is no Secret "{name}" in the namespace "{cluster.namespace}"', hint=make)
    missing = [key for key in ("JEYN_CATALOG", "JEYN_PAYLOADS") if key not in keys]
    if missing:
        raise Invalid(f'the Secret "{name}" has no {" and no ".join(missing)}', hint=make)
    return Finding("secret", f'"{name}" gives {", ".join(sorted(keys))}')


# From a pod.


def probe(settings: ArgoSettings, name: str) -> Manifest:
    """A workflow of one pod that looks at its places, and of one with the sidecar."""
    templates = [_template(settings, "places")]
    if settings.sidecar == "compiled":
        templates.append(_with_sidecar(_template(settings, "sidecar", "--sidecar"), settings))
    tasks = [{"name": each["name"], "template": each["name"]} for each in templates]
    labels = {"app.kubernetes.io/managed-by": "jeyn"}
    spec = {
        "entrypoint": "main",
        "serviceAccountName": settings.service_account,
        "imagePullSecrets": [{"name": each} for each in settings.image_pull_secrets],
        "activeDeadlineSeconds": int(PROBE_SECONDS) * 2,
        "ttlStrategy": {"secondsAfterCompletion": 600},
        "templates": [{"name": "main", "dag": {"failFast": False, "tasks": tasks}}, *templates],
    }
    metadata = {"name": name, "namespace": settings.namespace, "labels": labels}
    return {"apiVersion": f"{_ARGO}/v1alpha1", "kind": "Workflow", "metadata": metadata, "spec": spec}


def _template(settings: ArgoSettings, name: str, *args: str) -> Manifest:
    return {
        "name": name,
        "outputs": {"parameters": [{"name": "found", "valueFrom": {"path": "/jeyn/out/found"}}]},
        "volumes": [{"name": "jeyn", "emptyDir": {}}],
        "container": {
            "image": settings.image,
            "imagePullPolicy": settings.image_pull_policy,
            "command": ["python3", "-P", "-u", "-m", "jeyn.workflows.probe"],
            "args": list(args),
            "env": [{"name": "JEYN_HOME", "value": "/jeyn/home"}],
            "envFrom": [{"secretRef": {"name": settings.secret}}],
            "volumeMounts": [{"name": "jeyn", "mountPath": "/jeyn"}],
        },
    }


def _with_sidecar(template: Manifest, settings: ArgoSettings) -> Manifest:
    from jeyn.workflows.argo.sidecar import COMPONENTS, daprd
    from jeyn.workflows.argo.templates import plain

    components = {"name": "components", "configMap": {"name": COMPONENTS, "optional": True}}
    return {**template, "initContainers": [plain(daprd(settings))], "volumes": [*template["volumes"], components]}


def _from_a_pod(argo: Argo, settings: ArgoSettings, seconds: float) -> Iterator[Finding]:
    name = f"jeyn-doctor-{secrets.token_hex(4)}"
    try:
        nodes = _run(argo, probe(settings, name), name, seconds)
    except JeynError as exc:
        yield _wrong("pod", exc)
        return
    yield from _places(settings, nodes.get("places"))
    if settings.sidecar == "compiled":
        yield _sidecar(settings, nodes.get("sidecar"))


def _run(argo: Argo, manifest: Manifest, name: str, seconds: float) -> dict[str, Mapping[str, Any]]:
    """The probe's nodes by template, when all have ended or no more is to be hoped."""
    argo.create(manifest)
    deadline = time.monotonic() + seconds
    try:
        while True:
            nodes = _nodes(argo.get(name))
            templates = len(manifest["spec"]["templates"]) - 1
            if (len(nodes) == templates and all(map(_is_over, nodes.values()))) or time.monotonic() > deadline:
                return nodes
            time.sleep(1)
    finally:
        argo.call("DELETE", f"workflows/{argo.settings.namespace}/{name}")


def _nodes(workflow: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    nodes = ((workflow.get("status") or {}).get("nodes") or {}).values()
    return {each["templateName"]: each for each in nodes if each.get("type") == "Pod"}


def _is_over(node: Mapping[str, Any]) -> bool:
    return node.get("phase") in ENDED or bool(HOPELESS.search(node.get("message") or ""))


def _found(node: Mapping[str, Any] | None, settings: ArgoSettings) -> dict[str, Any]:
    """What the pod said. Raises `Invalid` where it did not get so far."""
    if node is None:
        raise Invalid(
            f'Argo does nothing in the namespace "{settings.namespace}"',
            hint="see whether its controller runs, and which namespaces it looks after (--namespaced)",
        )
    given = {each["name"]: each.get("value") for each in (node.get("outputs") or {}).get("parameters") or ()}
    if given.get("found"):
        found: dict[str, Any] = json.loads(given["found"])
        return found
    said = node.get("message") or f"the pod is {node.get('phase')}"
    raise Invalid(f'the pod of "{settings.image}" did not do its work: {said}', hint=_cure(said, settings))


def _cure(said: str, settings: ArgoSettings) -> str:
    if "serviceaccount" in said.lower() or "service account" in said.lower():
        return f'jeyn deploy makes the account "{settings.service_account}"; argo: service_account: names another'
    if re.search(r"[Ii]mage", said):
        return "set argo: image: (JEYN_ARGO_IMAGE) to one the cluster can pull; image_pull_secrets: for a private one"
    if "secret" in said.lower():
        return f'make the Secret "{settings.secret}", or name another with argo: secret:'
    if "workflowtaskresults" in said:
        return f'jeyn deploy gives the account "{settings.service_account}" its rights'
    return "see kubectl describe pod; the image needs Python with Jeyn in it"


def _places(settings: ArgoSettings, node: Mapping[str, Any] | None) -> Iterator[Finding]:
    try:
        found = _found(node, settings)
    except JeynError as exc:
        yield _wrong("image", exc)
        return
    yield _image(settings.image, found)
    for place in ("places", "catalog", "payloads"):
        if place in found:
            yield _place(f"{place} from a pod", found[place], "correct the Secret's places, or let pods reach them")


def _image(image: str, found: Mapping[str, Any]) -> Finding:
    from jeyn.workflows.probe import _versions

    here = _versions()
    said = f"{image} starts, with Jeyn {found['jeyn']} and Python {found['python']}"
    differs = [f"{name} {here[name]}" for name in ("jeyn", "python") if here[name] != found[name]]
    if differs:
        return Finding("image", said, f"here is {' and '.join(differs)}: caches are shared between equal versions only")
    return Finding("image", said)


def _place(name: str, told: Mapping[str, str], cure: str) -> Finding:
    if not told["wrong"]:
        return Finding(name, told["found"])
    return _wrong(name, Invalid(told["wrong"], hint=told["cure"] or cure))


def _sidecar(settings: ArgoSettings, node: Mapping[str, Any] | None) -> Finding:
    """Only a warning: pipelines that ask for no sidecar run without."""
    try:
        told = _found(node, settings)["sidecar"]
        if not told["wrong"]:
            return Finding("sidecar", f"{settings.daprd_image}: {told['found']}")
        wrong = told["wrong"]
    except JeynError as exc:
        wrong = exc.message
    return Finding("sidecar", wrong, "set argo: daprd_image:, or argo: {sidecar: none} where nothing needs Dapr")
