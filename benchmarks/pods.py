"""Our own time in a pod, beside importing SQLAlchemy, pyarrow and pydantic there; on the cluster of the test equipment.

One Kubernetes pod has the image, environment and volumes of a compiled operation. In it `in_pod.py` starts processes
in turn: `python -m jeyn.workflows.pod …` for a trivial operation, with the catalog on PostgreSQL, the payloads on S3
and nothing kept from the one before, and `python -c "import …"`. Ours is from the process's start to the user's
function and from its return to the process's end.
Run as `JEYN_TEST_EQUIPMENT=FOLDER python benchmarks/pods.py`; it ends the cluster unless JEYN_KEEP_CLUSTER is set.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from saves import Result, versions

ROOT = Path(__file__).parents[1]
EQUIPMENT, KEEP = "JEYN_TEST_EQUIPMENT", "JEYN_KEEP_CLUSTER"
LIMIT = 1.3
ROUNDS = 20
MODULES = "sqlalchemy, pyarrow, pydantic"
NAME = "pod-time"
OPERATION = """
@operation
def step_{number}() -> int:
    called = time.time()
    Path(os.environ["TIMES"]).write_text(f"{{called!r}} {{time.time()!r}}")
    return {number}
"""


def measure(rounds: int = ROUNDS) -> list[Result]:
    """Nothing, and a line that says why, where there is no equipment."""
    folder = os.environ.get(EQUIPMENT)
    if not folder:
        print(f"pods: left out, as {EQUIPMENT} names no folder of test equipment", file=sys.stderr)
        return []
    found = _on_the_cluster(Path(folder), rounds)
    ours, bare = (statistics.median(found[kind]) for kind in ("pods", "imports"))
    shown = f"({ours * 1000:.0f} ms) / importing {MODULES} ({bare * 1000:.0f} ms)"
    name = f"pod: start to function and return to exit {shown}"
    return [Result(name, f"{ours / bare:.2f}", f"<= {LIMIT:g}", ours / bare <= LIMIT)]


def _on_the_cluster(equipment: Path, rounds: int) -> dict[str, list[float]]:
    sys.path.insert(0, str(ROOT))
    from tests.cluster.equipment import RemoteProject, new_places, running_cluster, running_servers, wait_until

    with ExitStack() as stack:
        cluster = stack.enter_context(running_cluster(equipment, keep=bool(os.environ.get(KEEP))))
        servers = stack.enter_context(running_servers())
        os.environ.update(servers.s3.environment)
        places = stack.enter_context(new_places(cluster, servers))
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        project = RemoteProject(Path(folder) / "project", cluster, places)
        stack.callback(project.workspace.close)
        project.write(source(rounds + 1))
        cluster.apply(pod(project, cluster.namespace))

        def phase() -> str:
            return cluster.kubectl("get", "pod", NAME, "-n", cluster.namespace, "-o", "jsonpath={.status.phase}")

        wait_until(lambda: phase() in ("Succeeded", "Failed"), 600)
        said, ended = cluster.kubectl("logs", NAME, "-n", cluster.namespace), phase()
        cluster.kubectl("delete", "pod", NAME, "-n", cluster.namespace, "--wait=false")
        if ended != "Succeeded":
            raise RuntimeError(f"the pod failed:\n{said}")
    found: dict[str, list[float]] = json.loads(said.splitlines()[-1])
    return found


def source(count: int) -> str:
    """A pipeline of so many operations, for which `Project.write` has the imports."""
    calls = ", ".join(f"step_{number}()" for number in range(count))
    return "".join(OPERATION.format(number=number) for number in range(count)) + (
        f"\n\n@pipeline\ndef trivial():\n    return {calls}\n"
    )


def pod(project: Any, namespace: str) -> dict[str, Any]:
    """A pod like that of the project's first operation, which runs the measurement."""
    from jeyn.project_file import argo_settings
    from jeyn.workflows.argo.compile import compile_workflow
    from jeyn.workflows.create import keep_code, keep_plan
    from jeyn.workflows.planning import make_plan

    workspace = project.workspace
    with project.imported() as pipeline:
        planned = make_plan(pipeline, pipeline.bind(), root=project.folder, workspace=workspace)
        ids = {"code": keep_code(workspace, planned), "plan_id": keep_plan(workspace, planned.plan)}
        manifest = compile_workflow(planned.plan, run=NAME, settings=argo_settings(workspace.settings.argo), **ids)
    template = next(each for each in manifest["spec"]["templates"] if "container" in each)
    container = {**template["container"], "name": "main"}
    told = {
        "command": [*container["command"], f"--run={NAME}", f"--package={ids['code']}/{ids['plan_id']}"],
        "operations": [each.name for each in planned.plan.operations],
        "imports": MODULES,
        "folder": str(Path(next(each["value"] for each in container["env"] if each["name"] == "JEYN_HOME")).parent),
    }
    program = Path(__file__).with_name("in_pod.py").read_text(encoding="utf-8")
    container |= {"command": [container["command"][0], "-c", program], "args": [json.dumps(told)]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": NAME, "namespace": namespace},
        "spec": {"restartPolicy": "Never", "containers": [container], "volumes": template["volumes"]},
    }


def main() -> int:
    results = measure()
    print(f"pods ({versions()})")
    for row in results:
        print(f"  {row.figure:>6} {row.target:7} {'OK' if row.met else 'OVER':5} {row.name}")
    return 0 if all(row.met for row in results) else 1


if __name__ == "__main__":
    sys.exit(main())
