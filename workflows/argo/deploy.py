"""`jeyn deploy`: brings a pipeline's manifests to the cluster by server-side apply, and shows what that changes.

Only fields that differ are changed, and fields of others stay theirs. Applying the same again changes nothing.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from jeyn.workflows.argo.compile import to_yaml
from jeyn.workflows.argo.kubernetes import Kubernetes, Manifest

OURS = "WorkflowTemplate"  # the rest is shared between pipelines, and often an administrator's to change
_OF_THE_SERVER = ("managedFields", "resourceVersion", "uid", "creationTimestamp", "generation", "selfLink")


@dataclass(frozen=True)
class Change:
    """What applying does, or would do, to one object: "new", "changed" or "same", with the lines that differ."""

    kind: str
    name: str
    what: str
    diff: str = ""


def deploy(
    manifests: Sequence[Manifest], cluster: Kubernetes, *, dry_run: bool = False, force: bool = False
) -> list[Change]:
    """Apply the manifests, those that hold already left out; gives what changed, in their order.

    Raises `NotAllowed`, `Unreachable`, `Conflict` where somebody else set one of the fields, `NotFound` without the
    namespace.
    """
    live = {_key(each): each for each in cluster.live(manifests)}
    needed = [each for each in manifests if each["kind"] == OURS or not _holds(live.get(_key(each)), each)]
    after = {_key(each): each for each in cluster.apply(needed, dry_run=dry_run, force=force)}
    return [_change(live.get(_key(each)), after.get(_key(each), live.get(_key(each))), each) for each in manifests]


def _change(before: Manifest | None, after: Manifest | None, given: Manifest) -> Change:
    kind, name = _key(given)
    was, now = _shown(before), _shown(after)
    if was == now:
        return Change(kind, name, "same")
    named = f"{kind}/{name}"
    lines = difflib.unified_diff(was.splitlines(), now.splitlines(), f"{named} (cluster)", f"{named} (here)", lineterm="")
    return Change(kind, name, "changed" if before else "new", "\n".join(lines))


def _holds(live: Any, given: Any) -> bool:
    """Whether all that is given is there; there may be more."""
    if isinstance(given, Mapping):
        return isinstance(live, Mapping) and all(key in live and _holds(live[key], each) for key, each in given.items())
    return bool(live == given)


def _shown(found: Manifest | None) -> str:
    """As YAML, without what the server keeps for itself: both sides come from it, so only what changes differs."""
    if found is None:
        return ""
    metadata = {key: value for key, value in found["metadata"].items() if key not in _OF_THE_SERVER}
    rest = {key: value for key, value in found.items() if key not in ("status", "metadata")}
    return to_yaml([{**rest, "metadata": metadata}]).removeprefix("---\n")


def _key(manifest: Manifest) -> tuple[str, str]:
    return manifest["kind"], manifest["metadata"]["name"]


def to_json(changes: Sequence[Change]) -> list[dict[str, Any]]:
    return [asdict(each) for each in changes]
