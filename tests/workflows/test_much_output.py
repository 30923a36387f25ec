"""An operation that prints without end fills neither the disk nor the catalog nor the memory."""

from __future__ import annotations

from pathlib import Path

from jeyn.workflows.spool import MOST_BYTES
from tests.workflows.projects import Project

PIPELINE = """
import subprocess

STEP = 40 << 20


@operation
def shout() -> list[int]:
    sizes = []
    for _ in range(5):
        subprocess.run(["head", "-c", str(STEP), "/dev/zero"], check=True)
        before = time.monotonic()
        while os.fstat(1).st_size > MOST and time.monotonic() < before + 30:
            time.sleep(0.05)
        sizes += [os.fstat(1).st_size, sum(each.stat().st_size for each in Path(".jeyn/spool").iterdir())]
    return sizes


@pipeline
def shouting():
    return shout()
"""


def test_what_is_printed_is_kept_up_to_a_bound_while_it_is_printed(tmp_path: Path) -> None:
    project = Project(tmp_path / "project").write(PIPELINE.replace("MOST", str(MOST_BYTES)))
    with project.workspace as workspace:
        run = project.run("shouting")
        assert run.state == "succeeded", run.error
        (sizes,) = run.outputs.values()
        assert max(sizes) <= MOST_BYTES, "200 MB were printed"
        key = workspace.runs.get(run.id).key
        log, after = 0, 0
        while chunks := workspace.runs.log(key, None, after):
            log, after = log + sum(len(chunk.text) for chunk in chunks), chunks[-1].key
        assert MOST_BYTES // 2 < log < MOST_BYTES + 1000
        assert list((project.folder / ".jeyn" / "spool").iterdir()) == []
