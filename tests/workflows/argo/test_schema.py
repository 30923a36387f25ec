"""What Argo's schema does not know is found, wherever it is: Hera would drop it without a word."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from jeyn.errors import Invalid
from jeyn.workflows.argo.schema import check_manifests
from tests.workflows.argo.plans import compiled, operation, plan

SCHEMA = Path(__file__).parents[3] / "workflows/argo/schema"


def template() -> dict[str, Any]:
    return copy.deepcopy(compiled(plan(operation("work"), operation("then", "work", retries=1)))[-1])


def test_what_is_compiled_is_what_argo_takes() -> None:
    check_manifests([template()])


@pytest.mark.parametrize(
    ("path", "field", "value"),
    [
        ((), "speck", {}),
        (("spec",), "activeDeadlineSecond", 1),
        (("spec", "templates", 0, "dag", "tasks", 1), "dependz", "work"),
        (("spec", "templates", 1, "container"), "imagePullPolice", "Always"),
        (("spec", "templates", 2, "retryStrategy", "backoff"), "factors", 2),
        (("metadata",), "label", {}),
    ],
)
def test_an_unknown_field_is_found_with_its_place(path: tuple[Any, ...], field: str, value: Any) -> None:
    manifest = template()
    place = manifest
    for part in path:
        place = place[part]
    place[field] = value
    with pytest.raises(Invalid, match=f"'{field}' was unexpected") as caught:
        check_manifests([manifest])
    assert ".".join(map(str, path)) in caught.value.message
    assert caught.value.exit_code == 5


@pytest.mark.parametrize(
    ("field", "value"),
    [("parallelism", "3"), ("templates", {}), ("onExit", 1), ("podGC", [])],
)
def test_a_wrong_type_is_found(field: str, value: Any) -> None:
    manifest = template()
    manifest["spec"][field] = value
    with pytest.raises(Invalid, match=rf'at "spec.{field}"'):
        check_manifests([manifest])


def test_what_is_missing_is_found() -> None:
    manifest = template()
    del manifest["spec"]["templates"][0]["dag"]["tasks"][0]["name"]
    with pytest.raises(Invalid, match="'name' is a required property"):
        check_manifests([manifest])


@pytest.mark.parametrize(
    "k8s",
    [
        {"tolerations": [{"keys": "gpu"}]},
        {"volumes": [{"name": "a", "emptydir": {}}]},
        {"containers": [{"name": "main", "securitycontext": {}}]},
        {"nodeSelector": {"gpu": True}},
    ],
)
def test_a_mistake_inside_k8s_is_found(k8s: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match="is not what Argo takes") as caught:
        compiled(plan(operation("work", k8s=k8s)))
    assert "k8s=" in caught.value.hint


def test_numbers_are_taken_where_kubernetes_takes_them() -> None:
    resources = {"limits": {"cpu": 2}, "requests": {"cpu": "1"}}
    compiled(plan(operation("work", k8s={"resources": resources, "ports": [{"containerPort": 80}]})))


def test_the_schema_is_argo_s_own_with_its_licence() -> None:
    found = json.loads((SCHEMA / "schema.json").read_bytes())
    assert "argoproj/argo-workflows" in found["$id"]
    assert "Apache License" in (SCHEMA / "LICENSE").read_text()
    assert "v3.7.18" in (SCHEMA / "ORIGIN.md").read_text()
