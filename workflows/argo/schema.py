"""Holds manifests to Argo's published JSON schema (workflows/argo/schema/): Hera drops what it does not know silently.

Argo's schema leaves every object open, as a server that is newer than its clients must; here an unknown field is an
error, since it would do nothing.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping
from importlib import resources
from typing import Any

from jeyn.errors import Invalid

_KINDS = "io.argoproj.workflow.v1alpha1."


def check_manifests(manifests: Iterable[Mapping[str, Any]]) -> None:
    """Raises `Invalid` that names the manifest, the place in it and what is wrong there. Other kinds pass."""
    for manifest in manifests:
        if str(manifest.get("apiVersion", "")).startswith("argoproj.io/"):
            check(manifest, _KINDS + str(manifest["kind"]), f"the {manifest['kind']}")


def check(found: Any, definition: str, what: str) -> None:
    """Hold plain data to one definition of the schema."""
    from jsonschema.exceptions import best_match

    error = best_match(_validator(definition).iter_errors(found))
    if error is None:
        return
    place = ".".join(str(part) for part in error.absolute_path) or "its top level"
    raise Invalid(
        f'{what} is not what Argo takes, at "{place}": {error.message[:300]}',
        hint="correct the k8s= of the operation, or argo: in jeyn.yaml",
    )


@functools.cache
def _validator(definition: str) -> Any:
    from jsonschema import Draft202012Validator

    return Draft202012Validator({"$ref": f"#/definitions/{definition}", "definitions": _definitions()})


@functools.cache
def _definitions() -> dict[str, Any]:
    folder = resources.files("jeyn.workflows.argo")
    found: dict[str, Any] = json.loads((folder / "schema" / "schema.json").read_bytes())["definitions"]
    # Kubernetes takes numbers too; the published file knows only the text of both.
    found["io.k8s.apimachinery.pkg.util.intstr.IntOrString"]["type"] = ["string", "integer"]
    found["io.k8s.apimachinery.pkg.api.resource.Quantity"]["type"] = ["string", "number"]
    for definition in found.values():
        if "properties" in definition:
            definition.setdefault("additionalProperties", False)
    return found
