"""The Kubernetes API through `kubectl`: it knows every way to log in to a cluster, and who has a cluster has it.

What runs goes through the Argo server; what stays (templates, schedules, rights) and what `jeyn doctor` asks is here.
https://kubernetes.io/docs/reference/using-api/server-side-apply/
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jeyn.errors import Conflict, Incompatible, Invalid, JeynError, NotAllowed, NotFound, Unreachable, UsageError

MANAGER = "jeyn"  # of the fields that are ours
REQUEST_SECONDS = 20
ALL_SECONDS = 180  # for one call of kubectl, which also finds out what the server has
Manifest = dict[str, Any]


class Kubernetes:
    """One namespace of the cluster that kubectl's configuration names. Every method raises a `JeynError`."""

    def __init__(self, namespace: str, program: str = "kubectl") -> None:
        self.namespace = namespace
        self.program = program

    def apply(self, manifests: Sequence[Manifest], *, dry_run: bool = False, force: bool = False) -> list[Manifest]:
        """Server-side apply; gives the objects as they are then, or would be. `force` takes fields from others."""
        if not manifests:
            return []
        options = ["--server-side", f"--field-manager={MANAGER}"]
        options += ["--dry-run=server"] if dry_run else []
        options += ["--force-conflicts"] if force else []
        return self._objects("apply", *options, "--filename=-", given=_list(manifests))

    def live(self, manifests: Sequence[Manifest]) -> list[Manifest]:
        """Those of these objects that are there, as they are."""
        if not manifests:
            return []
        return self._objects("get", "--ignore-not-found", "--filename=-", given=_list(manifests))

    def find(self, kind: str, name: str) -> Manifest | None:
        found = self._objects("get", kind, name, "--ignore-not-found")
        return found[0] if found else None

    def labelled(self, kind: str, labels: Mapping[str, str]) -> list[Manifest]:
        """The objects that have these labels."""
        selector = ",".join(f"{key}={value}" for key, value in labels.items())
        return self._objects("get", kind, f"--selector={selector}")

    def create(self, *manifests: Manifest) -> list[Manifest]:
        return self._objects("create", "--filename=-", given=_list(manifests))

    def patch(self, kind: str, name: str, change: Manifest) -> Manifest:
        """Merge a change into an object."""
        return self._objects(
            "patch", kind, name, "--type=merge", f"--field-manager={MANAGER}", f"--patch={json.dumps(change)}"
        )[0]

    def delete(self, kind: str, name: str, *, orphan: bool = False) -> None:
        """`orphan` leaves what belongs to it in place."""
        self.call("delete", kind, name, "--wait=false", *(["--cascade=orphan"] if orphan else []))

    def may(self, needs: Sequence[tuple[str, str, str]]) -> dict[tuple[str, str, str], bool]:
        """Which of (verb, API group, resource) whoever is logged in may do in the namespace."""
        reviews = [_review(self.namespace, *each) for each in needs]
        answers = self._objects("create", "--filename=-", given=_list(reviews))
        return {need: bool(answer["status"].get("allowed")) for need, answer in zip(needs, answers, strict=True)}

    def keys_of_secret(self, name: str) -> set[str] | None:
        """The keys of a Secret, and nothing of what they hold; None when it is not there."""
        template = '{{range $key, $_ := .data}}{{$key}}{{"\\n"}}{{end}}'
        try:
            return set(self.call("get", "secret", name, "--output", f"go-template={template}").split())
        except NotFound:
            return None

    def address(self) -> str:
        """Where kubectl's configuration says that the cluster is; asks nobody."""
        return self.call("config", "view", "--minify", "--output=jsonpath={.clusters[0].cluster.server}").strip()

    def version(self) -> tuple[int, int]:
        """Kubernetes' own major and minor."""
        found = json.loads(self.call("version", "--output=json"))["serverVersion"]
        return int(found["major"]), int(re.sub(r"\D.*", "", found["minor"]))

    def _objects(self, *args: str, given: str | None = None) -> list[Manifest]:
        return list(_parsed(self.call(*args, "--output=json", given=given)))

    def call(self, *args: str, given: str | None = None) -> str:
        """What kubectl prints."""
        command = [self.program, f"--namespace={self.namespace}", f"--request-timeout={REQUEST_SECONDS}s", *args]
        try:
            done = subprocess.run(  # noqa: S603 - no shell, and names that were checked
                command, input=given, capture_output=True, text=True, timeout=ALL_SECONDS, check=False
            )
        except FileNotFoundError as exc:
            raise NotFound(
                f'"{self.program}" is not installed, which is how Jeyn speaks with Kubernetes',
                hint="install kubectl, or give what jeyn compile prints to whoever deploys",
            ) from exc
        except subprocess.TimeoutExpired as exc:
            raise self._unreachable(f"no answer within {ALL_SECONDS} s") from exc
        if done.returncode:
            raise self._translated(done.stderr)
        return done.stdout

    def _translated(self, said: str) -> JeynError:
        lines = [line for line in said.splitlines() if line and not _NOISE.match(line)]
        message = "; ".join(line.removeprefix("error: ") for line in lines) or said.strip()
        for pattern, kind, hint in _MEANINGS:
            if re.search(pattern, message):
                return kind(f"Kubernetes: {message}", hint=hint)
        if re.search(_AWAY, message):
            return self._unreachable(message)
        return JeynError(f"kubectl: {message}", hint="kubectl says more with --v=6")

    def _unreachable(self, said: str) -> Unreachable:
        try:
            where = self.address()
        except JeynError:
            where = ""
        return Unreachable(
            f"the Kubernetes API{f' at {_QUOTE}{where}{_QUOTE}' if where else ''} cannot be reached: {said}",
            hint="KUBECONFIG names kubectl's configuration, and kubectl config use-context chooses the cluster",
        )


_QUOTE = '"'
_NOISE = re.compile(r"[EWI]\d{4} |WARNING: |Warning: ")
_ASK = "ask whoever runs the cluster for that right; jeyn doctor --on argo lists what is needed"
_MEANINGS: tuple[tuple[str, type[JeynError], str], ...] = (
    (r"\(Forbidden\)", NotAllowed, _ASK),
    (r"\(Unauthorized\)|must be logged in", NotAllowed, "log in to the cluster again, as kubectl get pods would need"),
    (r"\(Conflict\)|conflicts?: conflict", Conflict, "others set those fields: leave them theirs, or add --force"),
    (r"\(AlreadyExists\)", Conflict, "it is there already"),
    (r"namespaces .* not found", NotFound, "kubectl create namespace makes it; argo: namespace: names another"),
    (r"\(NotFound\)", NotFound, "kubectl get shows what is there"),
    (
        r"doesn't have a resource type|no matches for kind|could not find the requested resource",
        Incompatible,
        "install Argo Workflows on the cluster, or update it",
    ),
    (
        r"\(Invalid\)|\(BadRequest\)|strict decoding|is invalid",
        Invalid,
        "correct the k8s= it names, or argo: in jeyn.yaml",
    ),
    (r"in configuration|invalid configuration|loading config", UsageError, "kubectl config view shows what it has"),
)
_AWAY = r"was refused|[Uu]nable to connect|no such host|timeout|timed out|deadline|connection reset|unavailable|EOF"


def _list(manifests: Sequence[Manifest]) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(manifests)})


def _parsed(text: str) -> Iterator[Manifest]:
    """kubectl prints one object, a list, or one object after the other."""
    decoder, place = json.JSONDecoder(), 0
    while place < len(text.rstrip()):
        while text[place].isspace():
            place += 1
        found, place = decoder.raw_decode(text, place)
        if found.get("kind", "").endswith("List") and "items" in found:
            yield from found["items"]
        else:
            yield found


def _review(namespace: str, verb: str, group: str, resource: str) -> Manifest:
    attributes = {"namespace": namespace, "verb": verb, "group": group, "resource": resource}
    return {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
