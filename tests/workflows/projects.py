"""A small project in a folder of its own, for the tests of the engine: written, run in this process or as `jeyn`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jeyn import Workspace
from jeyn.workflows.load import load_pipeline
from jeyn.workflows.run import Run, resume_run, run_pipeline

ROOT = Path(__file__).parents[2]
HEAD = """
import os
import sys
import time
from pathlib import Path

import jeyn
from jeyn import dataset_store, model_store, operation, pipeline
"""
DATA = """
import numpy as np

from jeyn import DataCatalog, DatasetBatch, Dtypes, Feature, MlUseCase, ModelCheckpoint
from jeyn.formulas import StreamingFormula


class Points(DataCatalog):
    x = Feature(Dtypes.FLOAT64)


class Mean(DataCatalog):
    mean = Feature(Dtypes.FLOAT64)


points = StreamingFormula("points", version="1.0.0", output_catalog=Points, source="data/*.csv")
guess = MlUseCase("guess", input_catalog=Points, output_catalog=Mean)
"""


class Project:
    """`folder` is the project root, and its `.jeyn` the home."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "jeyn.yaml").write_text("name: tried\n")
        self.folder = folder.resolve()
        self.workspace = Workspace.open(self.folder)

    def write(self, text: str, path: str = "pipeline.py", *, data: bool = False) -> Project:
        """Write a file; `pipeline.py` gets the usual imports, and with `data` a formula and a use case."""
        place = self.folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text((HEAD + (DATA if data else "") + text) if path == "pipeline.py" else text)
        return self

    def arrive(self, name: str, *numbers: float) -> None:
        """A data file of the formula `points`."""
        (self.folder / "data").mkdir(exist_ok=True)
        (self.folder / "data" / name).write_text("x\n" + "".join(f"{number}\n" for number in numbers))

    # In this process.

    def run(self, function: str = "", *, arguments: dict[str, Any] | None = None, **options: Any) -> Run:
        """Run a pipeline of `pipeline.py`; its modules are imported afresh, as they may have been changed."""
        with self.imported(function) as pipeline:
            options = {"workers": 2} | options
            return run_pipeline(pipeline, pipeline.bind(**arguments or {}), workspace=self.workspace, **options)

    def resume(self, run: Run | str, **options: Any) -> Run:
        with self.imported():
            options = {"workers": 2} | options
            return resume_run(run if isinstance(run, str) else run.id, workspace=self.workspace, **options)

    @contextmanager
    def imported(self, function: str = "") -> Iterator[Any]:
        """Its modules, until the block ends."""
        before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
        path = list(sys.path)
        try:
            target = f"{self.folder / 'pipeline.py'}" + (f":{function}" if function else "")
            yield load_pipeline(target, root=self.folder).pipeline if self._has_one(function) else None
        finally:
            sys.dont_write_bytecode = before
            sys.path[:] = path
            forget(self.folder)

    def _has_one(self, function: str) -> bool:
        text = (self.folder / "pipeline.py").read_text()
        return bool(function) or text.count("\n@pipeline") == 1

    # As a person does.

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """`jeyn ARGUMENTS` in this project, as a process of its own; both outputs are read by `communicate`."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("JEYN_")}
        return subprocess.Popen(
            [sys.executable, "-m", "jeyn.cli", *arguments],
            cwd=self.folder,
            env=clean | {"PYTHONPATH": str(ROOT)} | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def jeyn(self, *arguments: str) -> tuple[int, dict[str, Any]]:
        """Exit code and the document of `jeyn ARGUMENTS --json`."""
        process = self.start(*arguments, "--json")
        out, err = process.communicate(timeout=120)
        assert out, err
        return process.returncode, json.loads(out)

    # What came of it.

    def last(self) -> Run:
        return Run(self.workspace, self.workspace.runs.get("last").id)

    def versions(self) -> list[tuple[str, float]]:
        """Every version of `guess`, lowest first, with the first number of its model."""
        found = [self.workspace.get(hit.id) for hit in self.workspace.search("type:model_checkpoint")]
        return [(str(each.version), float(each.load()[0])) for each in sorted(found, key=lambda each: each.version)]

    def wait_for(self, name: str, seconds: float = 30) -> Path:
        """A file of the project that the user's code makes."""
        place = self.folder / name
        until(place.exists, seconds)
        return place

    def touched(self, name: str) -> list[str]:
        """The lines that the user's code appended to a file, such as one for each time that it ran."""
        place = self.folder / name
        return place.read_text().split() if place.exists() else []


def states(run: Run) -> dict[str, str]:
    return {each.name: str(each.state) for each in run.operations}


def outputs(run: Run) -> dict[str, dict[str, str]]:
    """The ids of what each operation gave."""
    rows = run.operations
    ends = run.workspace.runs.outputs([row.key for row in rows])
    return {row.name: {name: id for name, _, id in ends[row.key]} for row in rows if row.key in ends}


def forget(folder: Path) -> None:
    """Modules below a folder are imported again the next time."""
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None) or next(iter(getattr(module, "__path__", [])), None)
        if isinstance(file, str) and Path(file).is_relative_to(folder):
            del sys.modules[name]


def until(true: Callable[[], Any], seconds: float = 30) -> None:
    """Wait for something; fails when it takes longer."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"nothing came within {seconds} s"
        time.sleep(0.02)


def is_gone(pid: int) -> bool:
    """Whether no process has that number, or only one that nobody has waited for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True
