"""A day that brings one file reads that file, and none of those that were there before."""

from __future__ import annotations

import os
import time
from pathlib import Path

from tests.workflows.projects import ROOT, Project

PIPELINE = """
@operation
def ingest() -> DatasetBatch:
    return dataset_store.save_batch(points.get_new_batch())


@operation
def total(batch: DatasetBatch) -> float:
    return float(batch.to_numpy(columns=["x"])["x"].sum())


@pipeline
def daily():
    return total(ingest())
"""
# In every process: each file below data/ that is opened is written down.
WITNESS = """
import os, sys

def witness(event, arguments):
    if event == "open" and isinstance(arguments[0], str) and f"{os.sep}data{os.sep}" in arguments[0]:
        with os.fdopen(os.open(os.environ["WITNESS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT), "a") as file:
            file.write(os.path.basename(arguments[0]) + "\\n")

sys.addaudithook(witness)
"""


def test_a_day_with_one_new_file_opens_none_of_the_forty_before(tmp_path: Path) -> None:
    project = Project(tmp_path / "project").write(PIPELINE, data=True)
    (tmp_path / "hook").mkdir()
    (tmp_path / "hook" / "sitecustomize.py").write_text(WITNESS)
    opened = tmp_path / "opened"

    def jeyn(*arguments: str) -> list[str]:
        opened.write_text("")
        path = os.pathsep.join([str(tmp_path / "hook"), str(ROOT)])
        process = project.start(*arguments, PYTHONPATH=path, WITNESS=str(opened))
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        return opened.read_text().split()

    for day in range(40):
        project.arrive(f"{day:02}.csv", day)
    # Old as the files of earlier days are: what changed within two seconds is not vouched for.
    two_seconds_later = max(path.stat().st_ctime for path in (project.folder / "data").iterdir()) + 2.1
    _until(two_seconds_later)
    assert set(jeyn("run", "pipeline.py")) == {f"{day:02}.csv" for day in range(40)}, "the witness works"
    project.arrive("40.csv", 40)
    assert set(jeyn("plan", "pipeline.py")) <= {"40.csv"}
    assert set(jeyn("run", "pipeline.py")) == {"40.csv"}
    assert set(jeyn("run", "pipeline.py")) <= {"40.csv"}


def _until(moment: float) -> None:
    while time.time() < moment:
        time.sleep(0.05)
