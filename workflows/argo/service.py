"""The Argo server's REST interface, as much of it as a run needs, with errors that are Jeyn's.

Hera's client is left out of this: its models drop fields on the way to the server, its `wait` returns while a workflow
is pending, and its logs fail at the second line. https://argo-workflows.readthedocs.io/en/release-3.7/rest-api/
"""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jeyn.address import shown
from jeyn.errors import Conflict, Invalid, JeynError, NotAllowed, NotFound, Unreachable
from jeyn.project_file import ArgoSettings
from jeyn.settings import variable

TIMEOUT = 30.0
ENDED = ("Succeeded", "Failed", "Error")
_FIELDS = "metadata.name,metadata.uid,status.phase,status.message,status.nodes"
_LOG_LINES = 20


@dataclass(frozen=True)
class Pod:
    """A node of a workflow that is a pod, or is to become one; `operation` and `item` as its arguments say."""

    id: str
    template: str
    phase: str
    message: str
    progress: str
    operation: str
    item: str

    @property
    def name(self) -> str:
        """How the run's own row is called; "" for the exit handler."""
        return f"{self.operation}[{self.item}]" if self.item else self.operation


@dataclass(frozen=True)
class Seen:
    """A workflow as it is now."""

    phase: str
    message: str
    pods: tuple[Pod, ...]


class Argo:
    """A server and a namespace. Raises `Unreachable`, `NotAllowed`, `NotFound`, `Conflict`, `Invalid`."""

    def __init__(self, settings: ArgoSettings) -> None:
        self.settings = settings

    def version(self) -> str:
        """Such as "v3.7.18"."""
        return str(self.call("GET", "version").get("version", ""))

    def create(self, workflow: Mapping[str, Any]) -> None:
        """Submit a Workflow."""
        self.call("POST", self._path(), {"workflow": workflow})

    def look(self, name: str) -> Seen | None:
        """How a workflow is now; None when there is none (any more)."""
        try:
            found = self.call("GET", f"{self._path(name)}?fields={_FIELDS}")
        except NotFound:
            return None
        status = found.get("status") or {}
        nodes = (status.get("nodes") or {}).values()
        pods = tuple(_pod(each) for each in nodes if each.get("type") == "Pod")
        return Seen(status.get("phase") or "Pending", status.get("message") or "", pods)

    def get(self, name: str) -> dict[str, Any]:
        """A workflow with all that is stored of it."""
        return self.call("GET", self._path(name))

    def stop(self, name: str, message: str) -> None:
        """End its pods, then let the exit handler run."""
        self.call("PUT", self._path(name, "stop"), {"name": name, "message": message})

    def terminate(self, name: str) -> None:
        """End its pods; nothing runs after them."""
        self.call("PUT", self._path(name, "terminate"), {"name": name})

    def log(self, name: str, pod: Pod) -> str:
        """The last lines that a pod printed, while there is a pod; "" otherwise."""
        # Of https://argo-workflows.readthedocs.io/en/release-3.7/environment-variables/: POD_NAMES is v2.
        pod_name = f"{name}-{pod.template}-{pod.id.rpartition('-')[2]}"
        query = {"podName": pod_name, "logOptions.container": "main", "logOptions.tailLines": _LOG_LINES}
        try:
            with self._open("GET", f"{self._path(name, 'log')}?{urllib.parse.urlencode(query)}", None) as answer:
                return "\n".join(_contents(answer))
        except JeynError:
            return ""

    def call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """One request below /api/v1/, JSON both ways."""
        with self._open(method, path, body) as answer:
            try:
                found = json.load(answer)
            except (ValueError, http.client.HTTPException, OSError) as exc:
                raise self._unreachable(f"it answered something that is no JSON: {exc}") from exc
        if not isinstance(found, dict):
            raise self._unreachable(f"it answered {str(found)[:80]}")
        return found

    def _path(self, *parts: str) -> str:
        return "/".join(["workflows", self.settings.namespace, *map(urllib.parse.quote, parts)])

    def _open(self, method: str, path: str, body: Any) -> http.client.HTTPResponse:
        headers = {"Content-Type": "application/json"}
        token = variable("ARGO_TOKEN")  # as the argo command has it, with or without "Bearer"
        if token:
            headers["Authorization"] = token if " " in token else f"Bearer {token}"
        url = f"{self.settings.server.rstrip('/')}/api/v1/{path}"
        if not url.startswith(("http://", "https://")):
            raise self._unreachable("an address begins with http:// or https://")
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310  # the scheme is checked
        try:
            answer: http.client.HTTPResponse = _opener(url).open(request, timeout=TIMEOUT)
        except urllib.error.HTTPError as exc:
            raise self._refused(exc.code, _message(exc)) from exc
        except (OSError, ValueError, http.client.HTTPException) as exc:
            raise self._unreachable(str(getattr(exc, "reason", exc))) from exc
        return answer

    def _unreachable(self, why: str) -> Unreachable:
        return Unreachable(
            f'the Argo server at "{shown(self.settings.server)}" cannot be reached: {why}',
            hint="set argo: server: in jeyn.yaml, or JEYN_ARGO_SERVER; it may need a port-forward or a VPN",
        )

    def _refused(self, code: int, said: str) -> JeynError:
        server, namespace = shown(self.settings.server), self.settings.namespace
        if code in (401, 403):
            return NotAllowed(
                f'the Argo server at "{server}" does not allow it in the namespace "{namespace}": {said}',
                hint="set ARGO_TOKEN to a token that may (argo auth token), or argo: namespace: in jeyn.yaml",
            )
        if code == 404:
            return NotFound(f'not found on "{server}" in "{namespace}": {said}', hint="see argo: in jeyn.yaml")
        if code == 409:
            return Conflict(f'it is in "{namespace}" already: {said}', hint="start a new run")
        if code < 500:
            return Invalid(f'the Argo server at "{server}" does not take it: {said}', hint="see what it says is wrong")
        return self._unreachable(f"it answered {code}: {said}")


def _opener(url: str) -> urllib.request.OpenerDirector:
    """A port-forward on this host is not asked for through a proxy."""
    is_here = urllib.parse.urlsplit(url).hostname in ("localhost", "127.0.0.1", "::1")
    return urllib.request.build_opener(*([urllib.request.ProxyHandler({})] if is_here else []))


def _pod(node: Mapping[str, Any]) -> Pod:
    given = {each["name"]: each.get("value", "") for each in (node.get("inputs") or {}).get("parameters") or ()}
    return Pod(
        id=str(node.get("id", "")),
        template=str(node.get("templateName", "")),
        phase=str(node.get("phase", "")),
        message=str(node.get("message", "")),
        progress=str(node.get("progress", "")),
        operation=str(given.get("operation", "")),
        item=str(given.get("item", "")),
    )


def _contents(lines: Iterator[bytes] | http.client.HTTPResponse) -> Iterator[str]:
    """Each line of a stream of logs is a JSON document. Argo's own words in it are left out."""
    for line in lines:
        found = json.loads(line) if line.strip() else {}
        content = str((found.get("result") or {}).get("content") or "")
        if content and "argo=true" not in content and not content.startswith("Error: exit status"):
            yield content


def _message(exc: urllib.error.HTTPError) -> str:
    text = exc.read(10_000).decode(errors="replace")
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text.strip()[:300] or str(exc.reason)
