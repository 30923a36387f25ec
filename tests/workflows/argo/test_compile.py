"""From plans to manifests: the DAG, each option of an operation, settings, secrets, and the same bytes each time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hera.workflows import CronWorkflow, WorkflowTemplate

from jeyn.errors import UsageError
from jeyn.project_file import ArgoSettings
from jeyn.sdk.options import NAMES
from jeyn.sdk.plan import Compare, Constant, First, Items, Output, Plan, SecretInput
from jeyn.workflows.argo.compile import compile_plan, compile_workflow, secrets_needed, to_yaml
from jeyn.workflows.argo.manifests import Schedule, schedule
from tests.workflows.argo.lint import lint
from tests.workflows.argo.plans import CODE, PLAN, compiled, operation, plan, spec_of, tasks_of, template_of

ROOT = Path(__file__).parents[3]
EVERYTHING = plan(
    operation("ingest"),
    operation("train_model", "ingest", mapped=("input_0",), retries=2, timeout=30.5, resources={"gpu": 1}),
    operation("score", "train_model", sidecar="dapr", inputs={"token": SecretInput(name="api", key="token")}),
    operation("either", inputs={"x": First(choices=(Output(operation="score"), Output(operation="train_model")))}),
    operation("guarded", conditions=(Compare(operator=">", left=Output(operation="score"), right=Constant(value=1)),)),
    on_exit=operation("notify", function="notify"),
    description="Everything at once: `a` y #1",
    parallelism=3,
)
NIGHTLY = Schedule("0 3 * * *")


def everything() -> list[dict[str, Any]]:
    return compile_plan(EVERYTHING, code=CODE, plan_id=PLAN, settings=ArgoSettings(), schedule=NIGHTLY)


# The DAG.


def test_an_operation_waits_for_all_that_it_needs() -> None:
    tasks = tasks_of(plan(operation("a"), operation("b"), operation("c", "a", "b", "a")))
    assert "depends" not in tasks["a"]
    assert tasks["c"]["depends"] == "a && b"
    assert tasks["c"]["arguments"]["parameters"] == [{"name": "operation", "value": "c"}]


def test_a_condition_is_waited_for_like_an_input() -> None:
    condition = Compare(operator=">", left=Output(operation="a"), right=Output(operation="b"))
    assert tasks_of(plan(operation("a"), operation("b"), operation("c", conditions=(condition,))))["c"]["depends"] == (
        "a && b"
    )


def test_of_branches_to_choose_from_it_is_enough_that_they_ended() -> None:
    chosen = First(choices=(Output(operation="a"), Output(operation="b")))
    tasks = tasks_of(plan(operation("a"), operation("b"), operation("c", "b", inputs={"x": Items(items=(chosen,))})))
    ended = "(a.Succeeded || a.Failed || a.Errored || a.Skipped || a.Omitted)"
    assert tasks["c"]["depends"] == f"b && {ended}"


def test_a_mapped_operation_is_two_tasks_and_its_consumers_wait_for_both() -> None:
    tasks = tasks_of(plan(operation("a"), operation("b", "a", mapped=("input_0",)), operation("c", "b")))
    assert list(tasks) == ["a", "b-items", "b", "c"]
    assert tasks["b-items"]["depends"] == "a"
    assert "withParam" not in tasks["b-items"]
    assert tasks["b"]["depends"] == "b-items"
    assert tasks["b"]["withParam"] == "{{tasks.b-items.outputs.parameters.items}}"
    assert tasks["b"]["arguments"]["parameters"][-1] == {"name": "item", "value": "{{item}}"}
    assert tasks["c"]["depends"] == "b-items && b"


def test_the_join_of_a_fan_out_does_not_grow_with_it() -> None:
    def size(count: int) -> int:
        source = Constant(value=list(range(count)))
        return len(to_yaml(compiled(plan(operation("b", inputs={"x": source}, mapped=("x",)), operation("c", "b")))))

    assert size(2) == size(2_000)


def test_one_failure_does_not_stop_what_needs_nothing_of_it() -> None:
    main = next(each for each in spec_of(compiled(plan(operation("a"))))["templates"] if each["name"] == "main")
    assert main["dag"]["failFast"] is False


def test_calls_with_the_same_function_and_options_share_a_template() -> None:
    found = plan(operation("a"), operation("b"), operation("c", retries=1), operation("d", function="other"))
    tasks = tasks_of(found)
    assert tasks["a"]["template"] == tasks["b"]["template"]
    assert len({task["template"] for task in tasks.values()}) == 3


# What a pod is told.


def test_a_pod_is_told_names_and_ids_only() -> None:
    container = template_of(plan(operation("work")))["container"]
    assert container["command"] == ["python3", "-P", "-u", "-m", "jeyn.workflows.pod"]
    assert container["args"] == [
        "--run={{workflow.name}}",
        "--package={{workflow.parameters.package}}",
        "--cache={{workflow.parameters.cache}}",
        "--operation={{inputs.parameters.operation}}",
    ]
    assert container["envFrom"] == [{"secretRef": {"name": "jeyn"}}]
    parameters = spec_of(compiled(plan(operation("work"))))["arguments"]["parameters"]
    assert {each["name"]: each["value"] for each in parameters} == {"cache": "on", "package": f"{CODE}/{PLAN}"}


def test_pods_of_a_fan_out_are_told_which_item_they_are() -> None:
    found = plan(operation("work", inputs={"x": Constant(value=[1])}, mapped=("x",), retries=1))
    item, items = template_of(found), template_of(found, "work-items")
    assert item["container"]["args"][-2:] == ["--item={{inputs.parameters.item}}", "--attempt={{retries}}"]
    assert items["container"]["args"][-2:] == ["--expand", "--attempt={{retries}}"]
    # A default would make an empty fan-out of a pod that did not say.
    assert items["outputs"]["parameters"][0] == {"name": "items", "valueFrom": {"path": "/jeyn/out/items"}}


def test_the_last_pod_closes_the_run_and_has_the_options_of_the_exit_handler() -> None:
    found = plan(operation("work"), on_exit=operation("tell", image="team/tell:1", resources={"cpu": 2}))
    spec = spec_of(compiled(found))
    finish = next(each for each in spec["templates"] if each["name"] == "finish")
    assert spec["onExit"] == "finish"
    assert finish["container"]["args"][-2:] == ["--finish", "--status={{workflow.status}}"]
    assert finish["container"]["image"] == "team/tell:1"
    assert "retryStrategy" not in finish
    bare = next(each for each in spec_of(compiled(plan(operation("work"))))["templates"] if each["name"] == "finish")
    assert bare["retryStrategy"]["limit"] == 2


def test_people_read_python_names_and_references() -> None:
    mapped = operation("work", inputs={"x": Constant(value=[1])}, mapped=("x",))
    template = template_of(plan(mapped))
    shown = "{{inputs.parameters.operation}}[{{inputs.parameters.item}}]"
    # Argo's own display name refuses such names, and then fails the node.
    assert "annotations" not in template
    assert template["metadata"]["annotations"] == {"jeyn.dev/operation": shown}
    assert [each["name"] for each in template["outputs"]["parameters"]] == ["refs", "state"]


# Options.


def test_retries_are_argo_s_but_for_what_no_retry_helps() -> None:
    template = template_of(plan(operation("work", retries=3, backoff=1.5)))
    assert template["retryStrategy"] == {
        "limit": 3,
        "retryPolicy": "Always",
        "expression": "asInt(lastRetry.exitCode) != 64",
        "backoff": {"duration": "2s", "factor": 2, "cap": "60s"},
    }
    assert "--attempt={{retries}}" in template["container"]["args"]
    assert "backoff" not in template_of(plan(operation("work", retries=1, backoff=0)))["retryStrategy"]
    alone = template_of(plan(operation("work")))
    # Argo knows {{retries}} only where there are some.
    assert "retryStrategy" not in alone and "{{retries}}" not in str(alone)


def test_a_timeout_is_whole_seconds_with_time_to_start() -> None:
    assert template_of(plan(operation("work", timeout=30.5)))["activeDeadlineSeconds"] == 331
    assert "activeDeadlineSeconds" not in template_of(plan(operation("work")))


def test_resources_of_every_name_are_asked_for_and_limited() -> None:
    asked = {"cpu": 0.5, "memory": "1Gi", "gpu": 2, "amd.com/gpu": 1, "ephemeral-storage": "2Gi"}
    resources = template_of(plan(operation("work", resources=asked)))["container"]["resources"]
    expected = {"cpu": "0.5", "memory": "1Gi", "nvidia.com/gpu": "2", "amd.com/gpu": "1", "ephemeral-storage": "2Gi"}
    assert resources == {"requests": expected, "limits": expected}


def test_counting_items_takes_no_gpu_and_no_sidecar() -> None:
    found = operation("work", inputs={"x": Constant(value=[1])}, mapped=("x",), resources={"gpu": 1}, sidecar="dapr")
    items = template_of(plan(found), "work-items")
    assert "resources" not in items["container"] and "initContainers" not in items


def test_an_operation_s_image_goes_before_the_project_s() -> None:
    found = plan(operation("work", image="team/gpu:2"), operation("other"))
    assert template_of(found)["container"]["image"] == "team/gpu:2"
    assert template_of(found, "other", image="team/base:1")["container"]["image"] == "team/base:1"


def test_the_sidecar_is_a_native_one_and_brings_its_components() -> None:
    found = plan(operation("work", sidecar="dapr"))
    (daprd,) = template_of(found, daprd_image="localhost/daprd:test")["initContainers"]
    assert (daprd["restartPolicy"], daprd["image"]) == ("Always", "localhost/daprd:test")
    assert daprd["startupProbe"]["httpGet"] == {"path": "/v1.0/healthz", "port": 3501}
    kinds = [each["kind"] for each in compiled(found)]
    assert kinds == ["ConfigMap", "ServiceAccount", "Role", "RoleBinding", "WorkflowTemplate"]
    assert "ConfigMap" not in [each["kind"] for each in compiled(plan(operation("work")))]
    with pytest.raises(UsageError, match="sidecar: none"):
        compiled(found, sidecar="none")


def test_caching_is_decided_in_the_pod() -> None:
    same = [template_of(plan(operation("work", cache=cache))) for cache in (True, False)]
    assert same[0]["container"] == same[1]["container"]


def test_parallelism_is_the_workflow_s() -> None:
    assert spec_of(compiled(plan(operation("work"), parallelism=3)))["parallelism"] == 3
    assert "parallelism" not in spec_of(compiled(plan(operation("work"))))


def test_every_option_of_a_plan_is_known_here() -> None:
    known = {"retries", "backoff", "timeout", "resources", "cache", "image", "k8s", "sidecar"}
    assert set(NAMES) == known, "a new option needs a place in a template, and a test above"


# k8s=


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("nodeSelector", {"disk": "fast"}),
        ("tolerations", [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}]),
        ("affinity", {"nodeAffinity": {}}),
        ("priorityClassName", "high"),
        ("serviceAccountName", "other"),
        ("securityContext", {"runAsUser": 1000}),
    ],
)
def test_a_field_of_the_pod_is_the_template_s(field: str, value: Any) -> None:
    assert template_of(plan(operation("work", k8s={field: value})))[field] == value


def test_volumes_and_mounts_are_added_to_ours() -> None:
    k8s = {
        "volumes": [{"name": "cache", "persistentVolumeClaim": {"claimName": "cache"}}],
        "volumeMounts": [{"name": "cache", "mountPath": "/cache"}],
        "env": [{"name": "A", "value": "1"}],
        "metadata": {"labels": {"team": "vision"}},
    }
    template = template_of(plan(operation("work", k8s=k8s)))
    assert [each["name"] for each in template["volumes"]] == ["jeyn", "cache"]
    assert [each["mountPath"] for each in template["container"]["volumeMounts"]] == ["/jeyn", "/cache"]
    assert [each["name"] for each in template["container"]["env"]] == ["JEYN_HOME", "A"]
    assert template["metadata"]["labels"] == {"jeyn.dev/run": "{{workflow.name}}", "team": "vision"}


def test_the_rest_of_a_pod_is_patched() -> None:
    patch = {"runtimeClassName": "nvidia", "containers": [{"name": "main", "securityContext": {"privileged": False}}]}
    assert json.loads(template_of(plan(operation("work", k8s=patch)))["podSpecPatch"]) == patch


@pytest.mark.parametrize(
    ("field", "cure"),
    [
        ("node_selector", 'did you mean "nodeSelector"?'),
        ("nodeSelectr", 'did you mean "nodeSelector"?'),
        ("activeDeadlineSeconds", "timeout="),
        ("nonsense", "PodSpec"),
    ],
)
def test_what_is_no_field_of_a_pod_is_refused(field: str, cure: str) -> None:
    with pytest.raises(UsageError, match=f'"{field}"') as caught:
        compiled(plan(operation("work", k8s={field: 1})))
    assert cure in caught.value.hint


# Secrets.


def test_a_secret_comes_from_kubernetes_and_is_in_no_parameter() -> None:
    found = plan(operation("work", inputs={"token": SecretInput(name="api", key="token.v2")}), operation("other"))
    env = {each["name"]: each for each in template_of(found)["container"]["env"]}
    reference = {"name": "api", "key": "token.v2", "optional": True}
    assert env["JEYN_SECRET_API_TOKEN_V2"]["valueFrom"] == {"secretKeyRef": reference}
    assert "JEYN_SECRET" not in str(template_of(found, "other"))
    assert secrets_needed(found, ArgoSettings(secret="places")) == {"places": [], "api": ["token.v2"]}
    assert 'The Secret "api" must be there, with "token.v2".' in to_yaml(
        compiled(found), secrets_needed(found, ArgoSettings())
    )


# The objects around the DAG.


def test_pods_may_report_what_came_of_them_and_nothing_else() -> None:
    account, role, binding, _ = compiled(plan(operation("work")), namespace="ml", service_account="runner")
    assert account["metadata"]["name"] == role["metadata"]["name"] == "runner"
    assert role["rules"] == [
        {"apiGroups": ["argoproj.io"], "resources": ["workflowtaskresults"], "verbs": ["create", "patch"]}
    ]
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "runner", "namespace": "ml"}]
    assert {each["metadata"]["namespace"] for each in (account, role, binding)} == {"ml"}


def test_settings_say_how_long_things_are_kept() -> None:
    spec = spec_of(compiled(plan(operation("work")), pod_ttl=5, keep_succeeded=10, keep_failed=20, deadline=30))
    assert spec["podGC"] == {"strategy": "OnPodCompletion", "deleteDelayDuration": "5s"}
    assert spec["ttlStrategy"] == {"secondsAfterSuccess": 10, "secondsAfterFailure": 20}
    assert spec["activeDeadlineSeconds"] == 30


def test_a_workflow_can_be_found_by_pipeline_run_and_code() -> None:
    (template,) = (each for each in compiled(EVERYTHING) if each["kind"] == "WorkflowTemplate")
    metadata = template["spec"]["workflowMetadata"]
    assert metadata["labels"]["jeyn.dev/pipeline"] == "nightly"
    assert metadata["labelsFrom"]["jeyn.dev/run"] == {"expression": "workflow.name"}
    assert metadata["labelsFrom"]["jeyn.dev/code"] == {"expression": "workflow.parameters.package[7:23]"}
    assert metadata["annotations"]["workflows.argoproj.io/title"] == "nightly"
    assert metadata["annotations"]["workflows.argoproj.io/description"].startswith("Everything at once: `a` y #1\n")


def test_whatever_changes_in_the_code_is_a_diff_of_one_line() -> None:
    def lines(code: str, plan_id: str) -> list[str]:
        return to_yaml(
            compile_plan(EVERYTHING, code=code, plan_id=plan_id, settings=ArgoSettings(), schedule=NIGHTLY)
        ).splitlines()

    one, other = lines(CODE, PLAN), lines("sha256:" + "1" * 64, "sha256:" + "2" * 64)
    assert sum(a != b for a, b in zip(one, other, strict=True)) == 1


def test_one_run_is_a_workflow_of_its_name_with_a_link() -> None:
    settings = ArgoSettings(namespace="ml", link="https://runs.test/{run}")
    found = compile_workflow(EVERYTHING, run="nightly-1", code=CODE, plan_id=PLAN, settings=settings, cache=False)
    assert (found["kind"], found["metadata"]["name"], found["metadata"]["namespace"]) == ("Workflow", "nightly-1", "ml")
    # Argo copies these over the ones above.
    for shown in (found["metadata"]["annotations"], found["spec"]["workflowMetadata"]["annotations"]):
        said = shown["workflows.argoproj.io/description"]
        assert "`jeyn runs nightly-1`" in said and "https://runs.test/nightly-1" in said
    assert {"name": "cache", "value": "off"} in found["spec"]["arguments"]["parameters"]


def test_a_schedule_refers_to_the_template() -> None:
    *_, template, cron = everything()
    assert cron["kind"] == "CronWorkflow"
    assert cron["spec"]["workflowSpec"] == {"workflowTemplateRef": {"name": template["metadata"]["name"]}}
    assert (cron["spec"]["schedules"], cron["spec"]["timezone"]) == (["0 3 * * *"], "UTC")
    assert cron["spec"]["concurrencyPolicy"] == "Forbid"


def test_a_schedule_that_is_none_is_refused() -> None:
    assert schedule("0 3 * * *", "Europe/Berlin", "allow") == Schedule("0 3 * * *", "Europe/Berlin", "allow")
    for wrong in (("0 3 * *",), ("@dayly",), ("0 3 * * *", "Mars/Base"), ("0 3 * * *", "UTC", "maybe")):
        with pytest.raises(UsageError, match=f'"{"|".join(wrong[-1:])}"'.replace("*", r"\*")):
            schedule(*wrong)


# What Argo cannot take.


def test_a_pipeline_beyond_what_kubernetes_keeps_is_named() -> None:
    with pytest.raises(UsageError, match=r'"nightly" with 6000 operations compiles to \d+ bytes'):
        compiled(plan(*(operation(f"operation-{number:050d}") for number in range(6_000))))


def test_an_empty_pipeline_and_a_name_that_argo_would_fill_in_are_refused() -> None:
    with pytest.raises(UsageError, match="has no operations"):
        compiled(plan())
    with pytest.raises(UsageError, match="double braces"):
        compiled(plan(operation("{{workflow.name}}")))


# YAML.


def test_yaml_reads_back_as_what_was_printed() -> None:
    text = to_yaml(everything(), {"jeyn": ()})
    assert list(yaml.safe_load_all(text)) == everything()
    assert "&id" not in text


@pytest.mark.parametrize(
    "value", ["y", "no", "1", "1e3", "null", "a: b", "# x", "two\nlines", "é 训练", " pad ", "{{x}}"]
)
def test_texts_stay_texts_in_yaml(value: str) -> None:
    assert yaml.safe_load(to_yaml([{"value": value}])) == {"value": value}


def test_hera_reads_back_what_it_wrote() -> None:
    *_, template, cron = everything()
    for kind, manifest in ((WorkflowTemplate, template), (CronWorkflow, cron)):
        text = to_yaml([manifest]).removeprefix("---\n")
        assert yaml.safe_load(kind.from_yaml(text).to_yaml()) == manifest


def test_fresh_processes_print_the_same_bytes() -> None:
    program = (
        "from tests.workflows.argo.test_compile import everything, to_yaml; import sys; "
        "sys.stdout.write(to_yaml(everything()))"
    )

    def printed(seed: str) -> bytes:
        return subprocess.run(
            [sys.executable, "-c", program], env={"PYTHONHASHSEED": seed}, cwd=ROOT, capture_output=True, check=True
        ).stdout

    assert printed("1") == printed("2") == to_yaml(everything()).encode()


def test_argo_itself_finds_nothing_wrong(tmp_path: Path) -> None:
    run = compile_workflow(EVERYTHING, run="nightly-1", code=CODE, plan_id=PLAN, settings=ArgoSettings())
    lint(to_yaml([*everything(), run]), tmp_path)
    lint(to_yaml(compiled(_strange_names())), tmp_path)


def _strange_names() -> Plan:
    names = ["5th", "train_model", "train-model", "训练", "Ünïcode", "x" * 200, "outer/inner", "train-model-items"]
    return plan(*(operation(name, mapped=("x",), inputs={"x": Constant(value=[1])}) for name in names))
