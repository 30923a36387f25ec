"""`examples/first.py` runs as a newcomer runs it, and a second run does nothing twice."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "examples" / "first.py"


def run(folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLE), str(folder)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_first_example_blesses_the_better_model_and_shows_where_it_comes_from(tmp_path: Path) -> None:
    first = run(tmp_path)
    assert "checkpoint:digit-reader@0.2.0" in first
    assert "batch:digits@1.0.0/2" in first
    lineage = first.split("comes from:")[1]
    assert "digit-reader@0.2.0" in lineage
    assert "digits@1.0.0" in lineage
    assert "2.0.0" in first.split("would break")[1]
    again = run(tmp_path)
    assert again.count("has everything already") == 2
    assert "digit-reader@0.3.0" not in again
