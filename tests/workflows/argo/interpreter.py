"""Argo Workflows in small: carries out a compiled Workflow as Argo 3.7 does, with processes in place of pods.

What it knows of a manifest is what the compiler writes; anything else is refused, so that a test never passes because
something was overlooked. https://argo-workflows.readthedocs.io/en/release-3.7/enhanced-depends-logic/
"""

from __future__ import annotations

import json
import re
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ENDED = ("Succeeded", "Failed", "Errored", "Skipped", "Omitted")
TASK = {"name", "template", "arguments", "depends", "withParam"}
RETRY = {"limit", "retryPolicy", "expression", "backoff"}
QUICKER = 0.05  # of each backoff


@dataclass(frozen=True)
class Command:
    """One pod: its arguments, the environment that the manifest gives it, and its folder in place of /jeyn."""

    args: list[str]
    env: dict[str, str]
    folder: Path


StartPod = Callable[[Command], int]


@dataclass
class Node:
    """What became of a task."""

    phase: str
    outputs: dict[str, str] = field(default_factory=dict)


@dataclass
class Ran:
    """A workflow that has ended: its phase, and each pod in the order of their ends as (arguments, exit code)."""

    phase: str
    nodes: dict[str, Node]
    pods: list[tuple[list[str], int]]


class Interpreter:
    """One Workflow. `start` runs a pod to its end and gives its exit code; `at_once` of them run together."""

    def __init__(
        self,
        manifest: Mapping[str, Any],
        start: StartPod,
        folder: Path,
        *,
        at_once: int = 3,
        secrets: Mapping[str, Mapping[str, str]] | None = None,
        name: str = "",
    ) -> None:
        self.spec, self.start, self.folder, self.secrets = manifest["spec"], start, folder, secrets or {}
        self.templates = {each["name"]: each for each in self.spec["templates"]}
        self.values = {"workflow.name": name or manifest["metadata"]["name"]}
        for each in self.spec["arguments"]["parameters"]:
            self.values[f"workflow.parameters.{each['name']}"] = each["value"]
        self.nodes: dict[str, Node] = {}
        self.pods: list[tuple[list[str], int]] = []
        self.stopped = threading.Event()
        self._count = 0
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(min(at_once, self.spec.get("parallelism") or at_once))

    def run(self) -> Ran:
        """Walk the DAG to its end, then the exit handler."""
        with self._pool:
            phase = self._walk(self.templates[self.spec["entrypoint"]])
            self.values["workflow.status"] = phase
            handler = self._pod(self.templates[self.spec["onExit"]], {})
            return Ran(phase if handler.phase == "Succeeded" else "Failed", self.nodes, self.pods)

    # The DAG.

    def _walk(self, template: Mapping[str, Any]) -> str:
        assert template["dag"]["failFast"] is False
        tasks = {each["name"]: each for each in template["dag"]["tasks"]}
        assert all(set(each) <= TASK for each in tasks.values()), "a task has what this does not know"
        needed = {name: names_in(each.get("depends", "")) for name, each in tasks.items()}
        left, running = dict(tasks), dict[Future[None], str]()
        while left or running:
            for name in [name for name in left if needed[name] <= set(self.nodes)]:
                task = left.pop(name)
                if self.stopped.is_set() or not holds(task.get("depends", ""), self.nodes):
                    self.nodes[name] = Node("Omitted")
                else:
                    for future in self._begin(name, task):
                        running[future] = name
            self._join(running)
        return self._phase(needed)

    def _begin(self, name: str, task: Mapping[str, Any]) -> list[Future[None]]:
        template = self.templates[task["template"]]
        given = {each["name"]: each["value"] for each in task["arguments"]["parameters"]}
        if "withParam" not in task:
            inputs = {key: self._filled(value) for key, value in given.items()}
            return [self._pool.submit(self._single, name, template, inputs)]
        items = json.loads(self._filled(task["withParam"]))
        if not items:
            self.nodes[name] = Node("Skipped")
            return []
        group = _Group(len(items))
        return [self._pool.submit(self._one_of, group, name, template, given, json.dumps(item)) for item in items]

    def _single(self, name: str, template: Mapping[str, Any], inputs: Mapping[str, str]) -> None:
        node = self._pod(template, inputs)
        with self._lock:
            self.nodes[name] = node

    def _one_of(
        self, group: _Group, name: str, template: Mapping[str, Any], given: Mapping[str, str], item: str
    ) -> None:
        node = self._pod(template, {key: self._filled(value, {"item": item}) for key, value in given.items()})
        with self._lock:
            group.phases.append(node.phase)
            if len(group.phases) == group.size:
                self.nodes[name] = Node("Succeeded" if set(group.phases) == {"Succeeded"} else "Failed")

    def _join(self, running: dict[Future[None], str]) -> None:
        if not running:
            return
        done, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in done:
            del running[future]
            future.result()

    def _phase(self, needed: Mapping[str, set[str]]) -> str:
        """Argo looks at the tasks that nothing waits for; what was omitted takes after what it waited for."""
        last = set(self.nodes) - {name for names in needed.values() for name in names}

        def failed(name: str) -> bool:
            phase = self.nodes[name].phase
            return phase in ("Failed", "Errored") or (phase == "Omitted" and any(map(failed, needed[name])))

        return "Failed" if self.stopped.is_set() or any(map(failed, last)) else "Succeeded"

    # Pods.

    def _pod(self, template: Mapping[str, Any], inputs: Mapping[str, str]) -> Node:
        retry = template.get("retryStrategy") or {"limit": 0}
        assert set(retry) <= RETRY and retry.get("expression", "asInt(lastRetry.exitCode) != 64").endswith("!= 64")
        declared = {each["name"] for each in template.get("inputs", {}).get("parameters", [])}
        assert declared == set(inputs), "the arguments are not the inputs"
        pause = float(str(retry.get("backoff", {}).get("duration", "0s")).rstrip("s")) * QUICKER
        for tried in range(int(retry["limit"]) + 1):
            if tried:
                time.sleep(pause * 2 ** (tried - 1))
            local = {f"inputs.parameters.{name}": value for name, value in inputs.items()} | {"retries": str(tried)}
            node, code = self._attempt(template, local)
            if node.phase == "Succeeded" or code == 64 or self.stopped.is_set():
                break
        return node

    def _attempt(self, template: Mapping[str, Any], local: Mapping[str, str]) -> tuple[Node, int]:
        container = template["container"]
        assert container["command"][-2:] == ["-m", "jeyn.workflows.pod"]
        with self._lock:
            self._count += 1
            folder = self.folder / f"pod-{self._count}"
        (folder / "out").mkdir(parents=True)
        args = [self._filled(each, local) for each in container["args"]]
        code = self.start(Command(args, self._environment(container, folder), folder))
        with self._lock:
            self.pods.append((args, code))
        try:
            outputs = self._outputs(template, folder)
        except FileNotFoundError:
            return Node("Failed"), code
        finally:
            for place in ("home", "out"):
                shutil.rmtree(folder / place, ignore_errors=True)
        return Node("Failed" if code else "Succeeded", outputs), code

    def _outputs(self, template: Mapping[str, Any], folder: Path) -> dict[str, str]:
        found = {}
        for each in template.get("outputs", {}).get("parameters", []):
            place = folder / Path(each["valueFrom"]["path"]).relative_to("/jeyn")
            if not place.exists() and "default" in each["valueFrom"]:
                found[each["name"]] = each["valueFrom"]["default"]
                continue
            found[each["name"]] = place.read_text()
        return found

    def _environment(self, container: Mapping[str, Any], folder: Path) -> dict[str, str]:
        found = {"JEYN_OUT": str(folder / "out")}
        for each in container.get("env", []):
            if "value" in each:
                found[each["name"]] = re.sub(r"^/jeyn\b", str(folder), each["value"])
                continue
            key = each["valueFrom"]["secretKeyRef"]
            if (value := self.secrets.get(key["name"], {}).get(key["key"])) is not None:
                found[each["name"]] = value
        return found

    def _filled(self, text: str, local: Mapping[str, str] | None = None) -> str:
        def value(match: re.Match[str]) -> str:
            name = match[1].strip()
            if name.startswith("tasks."):
                _, task, _, _, output = name.split(".")
                return self.nodes[task].outputs[output]
            return {**self.values, **(local or {})}[name]

        return re.sub(r"\{\{(.+?)\}\}", value, text)


@dataclass
class _Group:
    """The pods of one fan-out."""

    size: int
    phases: list[str] = field(default_factory=list)


def names_in(depends: str) -> set[str]:
    """The tasks that an expression names."""
    return {word.partition(".")[0] for word in re.findall(r"[\w.-]+", depends)}


def holds(depends: str, nodes: Mapping[str, Node]) -> bool:
    """Whether an expression is true; a bare name asks for success or a skip."""

    def answer(match: re.Match[str]) -> str:
        name, _, state = match[0].partition(".")
        phase = nodes[name].phase
        assert not state or state in ENDED, state
        return str(phase == state if state else phase in ("Succeeded", "Skipped"))

    found: bool = eval(  # True, False, and, or, parentheses: nothing else is left
        re.sub(r"[\w.-]+", answer, depends).replace("&&", " and ").replace("||", " or ") or "True", {}
    )
    return found
