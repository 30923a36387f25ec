"""A secret that an operation prints, raises or returns in a pod: nowhere in the catalog, nor in the pod's own log."""

from __future__ import annotations

from pathlib import Path

from tests.workflows.argo.pods import Zygotes
from tests.workflows.argo.world import World

SECRET = "a-hushed-token"
CARELESS = """
@operation
def prints(token: jeyn.Secret) -> int:
    print("with", token.value, flush=True)
    raise jeyn.Fatal(f"{token.value} was refused", hint=token.value)

@operation
def returns(token: jeyn.Secret) -> str:
    return token.value

@pipeline
def careless():
    return prints(jeyn.Secret("api", "token")), returns(jeyn.Secret("api", "token"))
"""


def test_what_is_kept_of_a_pod_has_stars(tmp_path: Path, pods: Zygotes) -> None:
    world = World(tmp_path, pods, CARELESS)
    world.plan("careless")
    for operation in ("prints", "returns"):
        assert world.start(f"--operation={operation}", JEYN_SECRET_API_TOKEN=SECRET) == 64
        assert SECRET not in (world.pod / "log").read_text()
    prints, returns = world.run.operations
    assert "with **************\n" in world.run.logs()
    assert prints.error and (prints.error["message"], prints.error["hint"]) == (f"{'*' * 14} was refused", "*" * 14)
    assert returns.error and 'returned what Secret("api", "token") holds' in returns.error["message"]
    kept = [path for path in world.project.folder.rglob(".jeyn/**/*") if path.is_file()]
    assert kept and not [path for path in kept if SECRET.encode() in path.read_bytes()]
