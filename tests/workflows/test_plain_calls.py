"""An operation called as a plain function has what it has in a run: a seed, and a folder for its files."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCRIPT = """
import os

import jeyn


@jeyn.operation
def draw(text: str):
    path = jeyn.context().scratch / "drawn.txt"
    path.write_text(f"{text} {jeyn.context().seed}")
    return path


@jeyn.pipeline
def flow():
    return draw("run")


if __name__ == "__main__":
    one, two = draw("one"), draw("two")
    assert one == two and jeyn.context().scratch == one.parent  # one folder for a process
    print(one)
    print(one.read_text())
    if os.fork() == 0:
        raise SystemExit  # ends as a process does, and leaves what is its parent's
    os.wait()
    print(one.exists())
    print(flow.run().outputs["return"].read_text())
"""


def test_seed_and_scratch_are_there_in_a_plain_call_and_the_folder_goes_with_the_process(tmp_path: Path) -> None:
    (tmp_path / "jeyn.yaml").write_text("")
    (tmp_path / "draw.py").write_text(SCRIPT)
    said = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "draw.py"],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        path, *lines = done.stdout.splitlines()
        assert not Path(path).parent.exists()
        said.append(lines)
    assert said[0] == said[1]  # the same seed in each process
    plain, is_kept, run = said[0]
    assert plain == "two 0" and is_kept == "True"
    assert run.startswith("run ") and run != "run 0"  # a run's comes from its cache key
