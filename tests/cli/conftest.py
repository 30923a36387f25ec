"""What the tests of the command line share: a project with something of everything, and ways to call `jeyn` in it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner

import jeyn
from jeyn.cli.main import main
from tests.conftest import LOCATIONS
from tests.stores.digits import Digits, a_batch, a_checkpoint


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
    """A project with a formula, batches, two checkpoints, an evaluation, aliases, a bundle and a file of a catalog."""
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
    (folder / "catalog.json").write_text(json.dumps(Digits.only("label").to_json()))
    (folder / "catalogs.py").write_text(
        "from jeyn import *\nclass Thin(DataCatalog):\n    x = Feature(Dtypes.FLOAT64)\n"
    )
    (folder / "file").touch()
    return folder


@pytest.fixture
def project(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the prepared project, which is also the working folder."""
    for name in (*LOCATIONS, "JEYN_HOME", "JEYN_DEBUG", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "project"
    shutil.copytree(prepared, folder)
    monkeypatch.chdir(folder)
    # Kept as it was found: jeyn impact imports modules of the project.
    monkeypatch.syspath_prepend(str(folder))
    yield folder
