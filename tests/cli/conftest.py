"""What the tests of the command line share: a project with something of everything, and ways to call `jeyn` in it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from click.testing import CliRunner

import jeyn
from jeyn.cli.main import main
from jeyn.errors import NotSerializable
from jeyn.stores.rescue import checkpoint_about, rescue
from tests.conftest import LOCATIONS
from tests.kubectl import install
from tests.s3_server import S3Server, serve
from tests.stores.digits import READER, Digits, a_batch, a_checkpoint

ROOT = Path(__file__).parents[2]
PIPELINES = """
import time

from jeyn import operation, pipeline

@operation
def greet(who: str) -> str:
    print("greeting", who)
    return f"hello {who}"

@operation
def stumble() -> str:
    raise ValueError("no such luck")

@operation
def wait() -> None:
    time.sleep(20)

@pipeline
def waiting() -> None:
    return wait()

@pipeline
def greeting(who: str = "you") -> str:
    return greet(who)

@pipeline
def stumbling() -> str:
    return stumble()
"""


class Answer(NamedTuple):
    """What one call of `jeyn` gave."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found

    @property
    def data(self) -> Any:
        return self.document["data"]


def call(*args: str) -> Answer:
    """`jeyn ARGS` in this process."""
    found = CliRunner().invoke(main, list(args))
    assert found.exception is None or isinstance(found.exception, SystemExit), found.exc_info
    return Answer(found.exit_code, found.stdout, found.stderr)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with something of everything: batches, checkpoints, an evaluation, aliases, a bundle, runs."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "jeyn.yaml").write_text("name: digits\n")
    with jeyn.open(home=folder / ".jeyn", data=folder, actor="ada") as workspace:
        batch = a_batch(workspace)
        first, second = a_checkpoint(workspace, seed=1), a_checkpoint(workspace, seed=2)
        workspace.model_store.save_evaluation(first, batch, {"accuracy": 0.91})
        workspace.model_store.bless(first, "the first")
        workspace.model_store.bless(second, "better")
        workspace.set_alias("formula:digits@1.0.0", "trusted")
        workspace.tag(first, "gold")
        workspace.export_bundle(second, folder / "second.bundle")
        _rescued(workspace, batch)
    (folder / "catalog.json").write_text(json.dumps(Digits.only("label").to_json()))
    (folder / "catalogs.py").write_text(
        "from jeyn import *\nclass Thin(DataCatalog):\n    x = Feature(Dtypes.FLOAT64)\n"
    )
    (folder / "greetings.py").write_text(PIPELINES)
    (folder / "file").touch()
    _run_and_lose(folder)
    return folder


def _rescued(workspace: jeyn.Workspace, batch: jeyn.DatasetBatch) -> None:
    """A model that could not be saved once and can be now, in `.jeyn/rescue/kept.pickle`."""
    refused = NotSerializable("nothing knew how to store it", hint="register a serializer")
    made = READER.update_minor(dataset=batch, model=np.array([9.0]))
    rescue(workspace, refused, made.model, checkpoint_about(made, batch.id, []))
    for path in list((workspace.settings.home / "rescue").iterdir()):
        path.rename(path.with_stem("kept"))


def _run_and_lose(folder: Path) -> None:
    """A run that succeeds, and a later one whose engine is killed, so that it says running for ever."""
    command = [sys.executable, "-m", "jeyn.cli", "run"]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("JEYN_")}
    where: Any = {"cwd": folder, "env": clean | {"PYTHONPATH": str(ROOT)}}
    subprocess.run([*command, "greetings.py:greeting"], check=True, capture_output=True, **where)
    with subprocess.Popen([*command, "greetings.py:waiting"], stderr=subprocess.PIPE, text=True, **where) as engine:
        assert engine.stderr is not None
        assert any("wait: started" in line for line in engine.stderr)
        engine.kill()


@pytest.fixture
def project(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the prepared project, which is also the working folder."""
    for name in (*LOCATIONS, "JEYN_HOME", "JEYN_DEBUG", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "project"
    # The lost run's worker may still be removing its spool.
    shutil.copytree(prepared, folder, ignore=shutil.ignore_patterns("spool"))
    monkeypatch.chdir(folder)
    with forgetting(folder):
        yield folder


@pytest.fixture
def deployed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cluster without a cluster, on which the project's pipeline `greeting` is deployed and scheduled."""
    install(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    labels = {"app.kubernetes.io/managed-by": "jeyn"}
    metadata = {"name": "digits-greeting", "namespace": "default", "labels": labels}
    objects = tmp_path / "bin" / "objects"
    cron = {"schedules": ["0 3 * * *"], "timezone": "UTC", "concurrencyPolicy": "Forbid", "suspend": False}
    for kind, spec in (("WorkflowTemplate", {}), ("CronWorkflow", cron)):
        found = {"kind": kind, "metadata": metadata, "spec": spec}
        (objects / f"{kind.lower()}-digits-greeting").write_text(json.dumps(found))
    return objects


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    with serve() as server:
        yield server


@pytest.fixture
def far_places(postgres_url: str, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty catalog, payload store and data root that pods could reach."""
    s3_server.make_bucket("cli")
    there = {"JEYN_CATALOG": postgres_url, "JEYN_PAYLOADS": "s3://cli/payloads", "JEYN_DATA": "s3://cli/data"}
    for name, value in {**there, **s3_server.environment}.items():
        monkeypatch.setenv(name, value)


FLOW = '''
import logging
import sys

import jeyn


@jeyn.operation
def load(rows: int) -> list:
    """Some numbers."""
    print("loading", rows)
    print("to stderr", file=sys.stderr)
    return list(range(rows))


@jeyn.operation
def total(numbers: list) -> int:
    return sum(numbers)


@jeyn.operation
def check(number: int) -> int:
    from pathlib import Path

    if Path("fail").exists():
        raise ValueError(f"{number} is wrong")
    return number


@jeyn.pipeline
def flow(rows: int = 4):
    """Adds numbers."""
    return check(total(load(rows)))
'''


@pytest.fixture
def flow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project with a pipeline of three operations, the last of which fails while there is a file "fail"."""
    for name in (*LOCATIONS, "JEYN_HOME", "JEYN_DEBUG", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "jeyn.yaml").write_text("name: adding\npipelines:\n  adding: flow.py:flow\n")
    (tmp_path / "flow.py").write_text(FLOW)
    monkeypatch.chdir(tmp_path)
    with forgetting(tmp_path):
        yield tmp_path


@contextmanager
def forgetting(folder: Path) -> Iterator[None]:
    """Modules that are imported from a folder are forgotten again: the next test has others of the same names."""
    paths = list(sys.path)
    try:
        yield
    finally:
        sys.path[:] = paths
        for name, module in list(sys.modules.items()):
            if str(getattr(module, "__file__", None) or "").startswith(str(folder)):
                del sys.modules[name]
