"""jeyn.yaml: what it may say, and that an error names the line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from jeyn import project_file
from jeyn.errors import UsageError
from jeyn.sdk.plan import Options
from jeyn.settings import Settings

WHOLE = """
name: digits
home: .home
catalog: sqlite:///catalog.db
payloads: memory://x
data: samples
databases: {shop: "sqlite:///shop.db"}
serializers: {a.B: c:D}
pipelines:
  nightly: pipeline.py:nightly
  hourly: jobs/hourly.py
operations:
  "*": {retries: 1}
  train: {timeout: 30, resources: {cpu: 1, memory: 2Gi}, cache: false}
"""


@pytest.fixture
def yaml(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("JEYN_HOME")
    return home.parent / "jeyn.yaml"


def test_all_keys_reach_the_settings(yaml: Path) -> None:
    yaml.write_text(WHOLE)
    found = Settings.load()
    assert (found.name, found.home) == ("digits", yaml.parent / ".home")
    assert (found.catalog, found.payloads) == (f"sqlite:///{yaml.parent}/catalog.db", "memory://x")
    assert found.data == str(yaml.parent / "samples")
    assert found.databases == {"shop": f"sqlite:///{yaml.parent}/shop.db"}
    assert found.serializers == {"a.B": "c:D"}
    assert found.pipelines == {"nightly": "pipeline.py:nightly", "hourly": "jobs/hourly.py"}
    assert found.operations == {
        "*": {"retries": 1},
        "train": {"timeout": 30.0, "resources": {"cpu": 1, "memory": "2Gi"}, "cache": False},
    }


@pytest.mark.parametrize("text", ["", "# nothing\n", "name:\n", "---\n"])
def test_a_file_that_says_nothing_is_none(yaml: Path, text: str) -> None:
    yaml.write_text(text)
    assert Settings.load().pipelines == {} and Settings.load().name == ""


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("name: a\nnmae: b\n", 'line 2: "nmae" is an unknown key', 'did you mean "name"?'),
        ("\nqqq: b\n", 'line 2: "qqq" is an unknown key', "known: argo, catalog, data, "),
        ("operations:\n  t:\n    retires: 3\n", 'line 3: "operations.t.retires" is an unknown', '"retries"'),
        ("operations:\n  t:\n    retries: '3'\n", "line 3: \"operations.t.retries\" is '3'", "correct"),
        ("operations:\n  t:\n    retries: true\n", 'line 3: "operations.t.retries" is True', "correct"),
        ("operations:\n  t: {timeout: 0}\n", 'line 2: "operations.t.timeout" is 0', "correct"),
        ("operations:\n  t:\n    resources:\n      cpu: [1]\n", 'line 4: "operations.t.resources.cpu"', "correct"),
        ("operations:\n  t: 3\n", 'line 2: "operations.t" is 3', "{name: value}"),
        ("name: a\n\nname: b\n", 'line 3: "name" is there twice, first in line 1', "keep one"),
        ("operations:\n  t: {}\n  t: {}\n", 'line 3: "t" is there twice', "keep one"),
        ("name: 1.0\n", 'line 1: "name" is 1.0: should be a valid string', "quotes"),
        ("pipelines:\n  n: notes.txt\n", "line 2: \"pipelines.n\" is 'notes.txt'", "file.py:function"),
        ("1: 2\n", 'line 1: "1"', "quotes"),
        ("- a\n", "line 1 holds a list, not keys", "data: ./data"),
        ("name: a\ndata: [\n", "line 3 is not YAML", "mend"),
        ("name: a\ndata: !!timestamp abc\n", 'line 2 is not YAML: "abc" is no timestamp', "mend"),
        ("name: !!bool perhaps\n", 'line 1 is not YAML: "perhaps" is no bool', "mend"),
        ("name: !!int many\n", 'line 1 is not YAML: "many" is no int', "mend"),
        ("\nname: !!float x\n", 'line 2 is not YAML: "x" is no float', "mend"),
        ("name: 2001-13-45\n", 'line 1 is not YAML: "2001-13-45" is no timestamp', "mend"),
        ("store_patience: 1e999\n", "line 1: \"store_patience\" is '1e999'", '"2h"'),
        ("name: &a [*a]\n", "line 1: an anchor is used inside itself", "write it out"),
    ],
)
def test_an_error_names_line_key_and_cure(yaml: Path, text: str, message: str, hint: str) -> None:
    yaml.write_text(text)
    with pytest.raises(UsageError) as refused:
        Settings.load()
    assert refused.value.message.startswith(f'"jeyn.yaml" {message}')
    assert hint in refused.value.hint


def test_what_is_no_text_is_refused(yaml: Path) -> None:
    yaml.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="UTF-8"):
        Settings.load()


def test_what_is_no_file_is_refused_with_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read: it is a folder, not a regular file"):
        project_file.read(tmp_path)


def test_operation_defaults_are_the_options_of_a_plan() -> None:
    ours = {name: field.default for name, field in project_file.OperationDefaults.model_fields.items()}
    assert ours == vars(Options())


def test_without_the_file_nothing_that_reads_it_is_loaded(home: Path) -> None:
    program = "import sys; from jeyn.settings import Settings; Settings.load(); print(*sys.modules)"
    command = [sys.executable, "-c", program]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, cwd=home.parent).stdout.split()
    assert "jeyn.settings" in shown and not {"yaml", "pydantic", "jeyn.project_file"} & set(shown)


def test_how_pipelines_run_on_argo_is_checked_with_its_line(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = home.parent / "jeyn.yaml"
    file.write_text("argo:\n  namespace: ml\n  image: team/digits:3\n  pod_ttl: 60\n")
    found = project_file.argo_settings(Settings.load().argo)
    assert (found.namespace, found.image, found.pod_ttl) == ("ml", "team/digits:3", 60)
    monkeypatch.setenv("JEYN_ARGO_NAMESPACE", "staging")
    assert project_file.argo_settings(Settings.load().argo).namespace == "staging"
    monkeypatch.setenv("JEYN_ARGO_NAMESPACE", "No Name")
    with pytest.raises(UsageError, match='argo: "namespace" is "No Name"'):
        project_file.argo_settings(Settings.load().argo)
    for text, said in (
        ("argo:\n  namespaces: ml\n", r'line 2: "argo.namespaces" is an unknown key'),
        ("argo:\n  image: a\n  pod_ttl: soon\n", r'line 3: "argo.pod_ttl"'),
        ("argo:\n  sidecar: injected\n", r'line 2: "argo.sidecar"'),
        ("argo: yes\n", r'line 1: "argo"'),
    ):
        file.write_text(text)
        with pytest.raises(UsageError, match=said) as caught:
            Settings.load()
        assert caught.value.hint
