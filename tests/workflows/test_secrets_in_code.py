"""The code package is for all to read: no password of jeyn.yaml, no key file and no secret that is known is in it."""

from __future__ import annotations

import gzip
import io
import subprocess
import tarfile
from pathlib import Path

import pytest
import yaml

from jeyn.errors import Invalid
from jeyn.project_secrets import without_secrets
from jeyn.settings import Settings
from jeyn.stores.code import code_payload
from jeyn.workflows.code.package import package_code
from tests.workflows.projects import Project

FLOW = """
@operation
def one() -> int:
    return 1

@pipeline
def flow():
    return one()
"""
ADDRESSES = """# the database of the team, not postgresql://me:in-a-comment@host/old
name: shop
catalog: postgresql://jeyn:hunter2-catalog@db/jeyn
payloads: s3://AKIA:hunter2-payloads@bucket/jeyn
databases:
  shop: mysql://reader:hunter2-shop@db/shop   # what is sold
  query: "postgresql://db/jeyn?password=hunter2-query&sslmode=require"
  odd: "postgresql://jeyn:hunter2/@#odd@db/jeyn"
  open: postgresql://db/open
  file: sqlite:///data/shop.db?timeout=5
operations:
  one: {retries: 2, resources: {memory: 1Gi}, k8s: {nodeSelector: {pool: gpu}}}
"""


def content(folder: Path) -> dict[str, bytes]:
    package = package_code(folder, kept=(folder / ".jeyn",))
    with tarfile.open(fileobj=io.BytesIO(package.tar)) as archive:
        return {each.name: file.read() for each in archive.getmembers() if (file := archive.extractfile(each))}


def test_addresses_with_passwords_stay_at_home(tmp_path: Path, home: Path) -> None:
    (tmp_path / "jeyn.yaml").write_text(ADDRESSES)
    kept = content(tmp_path)["jeyn.yaml"]
    assert b"hunter2" not in kept and b"in-a-comment" not in kept
    assert yaml.safe_load(kept) == {
        "name": "shop",
        "databases": {"open": "postgresql://db/open", "file": "sqlite:///data/shop.db?timeout=5"},
        "operations": yaml.safe_load(ADDRESSES)["operations"],
    }
    assert content(tmp_path)["jeyn.yaml"] == kept  # the same bytes each time
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "jeyn.yaml").write_bytes(kept)
    assert set(Settings.load(copy).databases) == {"open", "file"}
    assert Settings.load(tmp_path).databases["shop"].startswith("mysql://reader:hunter2-shop@")  # only the copy


def test_a_project_file_without_passwords_is_kept_to_the_byte(tmp_path: Path) -> None:
    text = """# a comment
name: shop
catalog: postgresql://jeyn@db/jeyn?sslmode=require
payloads: s3://bucket/jeyn
argo: {secret: jeyn-places, image: "team/shop:3", server: "https://argo:2746"}
operations:
  one:
    k8s:
      env:
        - {name: TOKENIZERS_PARALLELISM, value: "false"}
        - {name: PASSWORD, valueFrom: {secretKeyRef: {name: places, key: password}}}
      volumes: [{name: keys, secret: {secretName: places}}]
"""
    (tmp_path / "jeyn.yaml").write_text(text)
    assert content(tmp_path)["jeyn.yaml"] == text.encode()


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("operations: {one: {k8s: {env: [{name: DB_PASSWORD, value: hunter2}]}}}", "DB_PASSWORD"),
        ("operations: {one: {k8s: {env: [{name: HF_TOKEN, value: hunter2}]}}}", "HF_TOKEN"),
        ("operations: {one: {k8s: {env: [{name: URL, value: 'amqp://u:hunter2@host'}]}}}", "URL"),
        ("operations: {one: {k8s: {annotations: {clientSecret: hunter2}}}}", "clientSecret"),
        ("argo: {link: 'https://me:hunter2@argo/{run}'}", "argo.link"),
        ("name: 'postgresql://u:hunter2@h/d'", "name"),
    ],
)
def test_a_password_that_is_no_address_of_its_own_is_refused(tmp_path: Path, text: str, where: str) -> None:
    with pytest.raises(Invalid, match=rf'{where}" in "jeyn.yaml" holds a password') as told:
        without_secrets(text.encode(), "jeyn.yaml")
    assert "hunter2" not in str(told.value)
    (tmp_path / "jeyn.yaml").write_text(text)
    with pytest.raises(Invalid):
        content(tmp_path)


def test_files_of_keys_are_no_code(tmp_path: Path) -> None:
    project = Project(tmp_path / "project").write(FLOW)
    for name in (".env", ".env.production", ".netrc", ".pgpass", "id_rsa", "deploy/.git-credentials", ".env.example"):
        project.write("hunter2", name)
    subprocess.run(["git", "init", "-q"], cwd=project.folder, check=True)  # which knows of all files
    assert set(content(project.folder)) == {"jeyn.yaml", "pipeline.py", ".env.example"}


@pytest.mark.parametrize("name", ["pipeline.py", "conf/labels.json", "jeyn.yaml"])
def test_code_that_holds_a_secret_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    project = Project(tmp_path / "project").write(FLOW)
    monkeypatch.setenv("JEYN_SECRET_API_TOKEN", "a-hushed-token")
    project.write((project.folder / name).read_text() if (project.folder / name).exists() else "", name)
    with (project.folder / name).open("a") as file:
        file.write("# a-hushed-token\n")
    with pytest.raises(Invalid, match=rf'"{name}" holds the text of the secret in JEYN_SECRET_API_TOKEN'):
        project.run()


def test_what_a_run_keeps_as_its_code_has_no_password(tmp_path: Path) -> None:
    project = Project(tmp_path / "project").write(FLOW)
    project.write("name: shop\ndatabases: {shop: 'mysql://reader:hunter2-shop@db/shop'}\n", "jeyn.yaml")
    run = project.run(isolated=True).check()
    kept = gzip.decompress(code_payload(project.workspace, str(run.row.code))[1])
    assert b"name: shop" in kept and b"hunter2" not in kept


def test_a_plan_with_a_secret_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JEYN_SECRET_API_TOKEN", "a-hushed-token")
    project = Project(tmp_path / "project").write(
        """
@operation
def ask(url: str) -> int:
    return len(url)

@pipeline
def flow(url: str = "plain"):
    return ask(url)
"""
    )
    with pytest.raises(Invalid, match="the plan holds the text of the secret in JEYN_SECRET_API_TOKEN"):
        project.run("flow", arguments={"url": "https://a-hushed-token@host"})
    assert project.run("flow").check().outputs["return"] == 5
