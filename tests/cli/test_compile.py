"""`jeyn compile`: manifests for people and machines, without asking any catalog, and what it refuses."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import yaml

from tests.cli.conftest import call

PIPELINE = """
import jeyn
from jeyn import operation, pipeline

@operation
def train(batch) -> int:
    return 1

@pipeline
def nightly():
    return train(jeyn.ref("batch:digits@latest"))

@operation
def slow() -> None: ...

@pipeline
def tangled():
    slow.options(resources={"memory": "12"})()

@pipeline
def patched():
    slow.options(k8s={"tolerations": [{"keys": "gpu"}]})()

@pipeline
def empty(): ...
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "jeyn.yaml").write_text("name: team\nargo: {namespace: ml, secret: places}\n")
    (tmp_path / "nights.py").write_text(PIPELINE)
    monkeypatch.chdir(tmp_path)
    # Nothing listens there: whatever asks the catalog would fail.
    monkeypatch.setenv("JEYN_CATALOG", "postgresql://127.0.0.1:1/nothing")
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    sys.modules.pop("nights", None)


def test_yaml_is_on_stdout_and_nothing_is_kept(folder: Path) -> None:
    answer = call("compile", "nights.py:nightly", "--cron", "0 3 * * *", "--timezone", "Europe/Berlin")
    assert answer.code == 0, answer.err
    assert answer.out.startswith('# The Secret "places" must be there')
    *_, template, cron = yaml.safe_load_all(answer.out)
    assert template["metadata"]["name"] == "team-nightly" and template["metadata"]["namespace"] == "ml"
    assert cron["spec"]["timezone"] == "Europe/Berlin"
    assert not (folder / ".jeyn").exists()
    assert call("compile", "nights.py:nightly", "--cron", "0 3 * * *", "--timezone", "Europe/Berlin").out == answer.out


def test_json_has_the_manifests_and_the_ids(folder: Path) -> None:
    data = call("compile", "nights.py:nightly", "--json").data
    assert [each["kind"] for each in data["manifests"]] == ["ServiceAccount", "Role", "RoleBinding", "WorkflowTemplate"]
    parameters = data["manifests"][-1]["spec"]["arguments"]["parameters"]
    package = f"{data['code']}/{data['plan']}"
    assert {each["name"]: each["value"] for each in parameters} == {"cache": "on", "package": package}
    assert data["secrets"] == {"places": []}


def test_changed_code_changes_one_line(folder: Path) -> None:
    before = call("compile", "nights.py:nightly").out.splitlines()
    sys.modules.pop("nights")
    (folder / "nights.py").write_text(PIPELINE.replace("return 1", "return 20"))
    after = call("compile", "nights.py:nightly").out.splitlines()
    assert sum(a != b for a, b in zip(before, after, strict=True)) == 1


@pytest.mark.parametrize(
    ("pipeline", "code", "said"),
    [
        ("tangled", 2, 'memory "12"'),
        ("patched", 5, "'keys' was unexpected"),
        ("empty", 2, "has no operations"),
        ("nightly --cron tomorrow", 2, '"tomorrow" is no schedule'),
        ("nightly --cron @daily --timezone Mars", 2, '"Mars"'),
    ],
)
def test_what_argo_cannot_take_is_told_here(folder: Path, pipeline: str, code: int, said: str) -> None:
    answer = call("compile", *f"nights.py:{pipeline}".split())
    assert (answer.code, answer.out) == (code, "")
    assert said in answer.err and "→" in answer.err


def test_without_hera_it_says_what_to_install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("jeyn.workflows.argo")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "hera.workflows", None)
    answer = call("compile", "nights.py:nightly")
    assert answer.code == 2 and "pip install 'jeyn[argo]'" in answer.err
