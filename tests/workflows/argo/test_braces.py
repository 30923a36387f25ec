"""What is in double braces is a template to Argo: of what people write, none reaches it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from jeyn.errors import UsageError
from jeyn.sdk.plan import SecretInput
from jeyn.workflows.argo.compile import compile_workflow
from jeyn.workflows.argo.manifests import schedule
from tests.workflows.argo.plans import CODE, PLAN, ArgoSettings, compiled, operation, plan

OURS = re.compile(
    r"workflow\.(name|status|parameters\.(package|cache))|inputs\.parameters\.(operation|item)|retries|item"
    r"|tasks\.[-\w]+\.outputs\.parameters\.items"
)
PIPELINE = {
    "pipeline": "{{pod.name}}",
    "description": "fills in {{x}} and {{{y}}}, {{=sprig.env('HOME')}} and {{workflow.name}}",
}


def tags(manifests: Any) -> set[str]:
    return set(re.findall(r"\{\{(.*?)\}\}", json.dumps(manifests)))


def test_texts_for_people_are_no_templates() -> None:
    found = plan(operation("a", description="{{x}}"), on_exit=operation("told", description="{{y}}"), **PIPELINE)
    run = compile_workflow(
        found, run="r-1", code=CODE, plan_id=PLAN, settings=ArgoSettings(link="https://x/{{z}}/{run}")
    )
    for manifests in (compiled(found), run):
        assert all(OURS.fullmatch(each) for each in tags(manifests)), tags(manifests)
    assert "fills in { {x}} and" in run["metadata"]["annotations"]["workflows.argoproj.io/description"]
    assert "https://x/{ {z}}/r-1" in run["metadata"]["annotations"]["workflows.argoproj.io/description"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"image": "r/{{x}}:1"}, 'image of the operation "a" is "r/{{x}}:1"'),
        ({"image": "r/{{workflow.name}}:1"}, "image of the operation"),
        ({"k8s": {"nodeSelector": {"disk": "{{x}}"}}}, "k8s.nodeSelector.disk of"),
        ({"k8s": {"nodeSelector": {"{{x}}": "ssd"}}}, '"{{x}}"'),
        ({"k8s": {"env": [{"name": "A", "value": "{{x}}"}]}}, "k8s.env.0.value of"),
        ({"k8s": {"metadata": {"annotations": {"a": "{{x}}"}}}}, "k8s.metadata.annotations.a of"),
        ({"k8s": {"hostname": "{{x}}"}}, "k8s.hostname of"),
        ({"resources": {"memory": "{{x}}"}}, "resources.memory of"),
        ({"inputs": {"key": SecretInput(name="db", key="{{x}}")}}, "a secret of"),
    ],
)
def test_what_kubernetes_is_given_is_refused(options: dict[str, Any], said: str) -> None:
    for found in (plan(operation("a", **options)), plan(operation("b"), on_exit=operation("a", **options))):
        with pytest.raises(UsageError, match="Argo fills in") as refused:
            compiled(found)
        assert said in refused.value.message
        assert refused.value.hint


@pytest.mark.parametrize("settings", [{"image": "r/{{x}}:1"}, {"daprd_image": "{{x}}"}])
def test_so_is_what_the_project_file_says(settings: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"in argo: of jeyn\.yaml"):
        compiled(plan(operation("a")), **settings)


def test_names_and_schedules_are_refused() -> None:
    with pytest.raises(UsageError, match="cannot name an operation on Argo"):
        compiled(plan(operation("{{x}}")))
    with pytest.raises(UsageError, match="is no schedule"):
        schedule("{{x}} 3 * * *")
