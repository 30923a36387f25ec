"""`k8s={…}` of an operation: fields of its pod as Kubernetes spells them, each put where Argo takes it.

What an Argo template has a field for goes there, what belongs to a container into the operation's own, and the rest of
a PodSpec into `podSpecPatch`, which Kubernetes merges. https://argo-workflows.readthedocs.io/en/release-3.7/fields/
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from jeyn.errors import UsageError
from jeyn.workflows.argo.schema import check

_TEMPLATE = frozenset(
    {
        "affinity",
        "automountServiceAccountToken",
        "hostAliases",
        "initContainers",
        "metadata",
        "nodeSelector",
        "priorityClassName",
        "schedulerName",
        "securityContext",
        "serviceAccountName",
        "sidecars",
        "synchronization",
        "tolerations",
        "volumes",
    }
)
_CONTAINER = frozenset(
    {
        "env",
        "envFrom",
        "imagePullPolicy",
        "lifecycle",
        "livenessProbe",
        "ports",
        "readinessProbe",
        "resources",
        "volumeDevices",
        "volumeMounts",
        "workingDir",
    }
)
_PATCH = frozenset(
    {
        "containers",
        "dnsConfig",
        "dnsPolicy",
        "enableServiceLinks",
        "hostIPC",
        "hostNetwork",
        "hostPID",
        "hostUsers",
        "hostname",
        "imagePullSecrets",
        "nodeName",
        "os",
        "overhead",
        "preemptionPolicy",
        "priority",
        "readinessGates",
        "resourceClaims",
        "runtimeClassName",
        "schedulingGates",
        "setHostnameAsFQDN",
        "shareProcessNamespace",
        "subdomain",
        "terminationGracePeriodSeconds",
        "topologySpreadConstraints",
    }
)
_OURS = {
    "activeDeadlineSeconds": "use the option timeout=",
    "image": "use the option image=",
    "restartPolicy": "use the option retries=",
    "command": "an operation is a Python function",
    "args": "an operation is a Python function",
}


def with_pod_fields(template: dict[str, Any], fields: Mapping[str, Any], whose: str) -> dict[str, Any]:
    """A template (plain data) with the fields of `k8s=`; lists are added to, mappings merged, others replaced."""
    patch: dict[str, Any] = {}
    for name, value in fields.items():
        if name in _TEMPLATE:
            template = _merged(template, {name: value})
        elif name in _CONTAINER:
            template = _merged(template, {"container": {name: value}})
        elif name in _PATCH:
            patch[name] = value
        else:
            raise _unknown(name, whose)
    if patch:
        _check_containers(patch.get("containers"), whose)
        template = {**template, "podSpecPatch": json.dumps(patch, sort_keys=True, ensure_ascii=False)}
    return template


def _merged(ours: Any, theirs: Any) -> Any:
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        return {**ours, **{key: _merged(ours[key], each) if key in ours else each for key, each in theirs.items()}}
    return [*ours, *theirs] if isinstance(ours, list) and isinstance(theirs, list | tuple) else theirs


def _check_containers(containers: Any, whose: str) -> None:
    """A patch is text to Argo, whose schema says nothing about what is in it; of containers it knows the fields."""
    for container in containers if isinstance(containers, list | tuple) else ():
        check(container, "io.argoproj.workflow.v1alpha1.UserContainer", f"a container in k8s of {whose}")


def _unknown(name: str, whose: str) -> UsageError:
    if name in _OURS:
        return UsageError(f'k8s of {whose} has "{name}", which Jeyn sets', hint=_OURS[name])
    known = sorted(_TEMPLATE | _CONTAINER | _PATCH)
    words = name.split("_")
    close = get_close_matches(words[0] + "".join(word.title() for word in words[1:]), known, n=1)
    hint = f'did you mean "{close[0]}"?' if close else "fields of a PodSpec are known, as Kubernetes spells them"
    return UsageError(f'k8s of {whose} has "{name}", which is no field of a pod', hint=hint)
