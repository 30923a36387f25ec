"""The guide's blocks are one program, and it runs as it stands there."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from tests.test_readme import FENCE, ROOT, run

GUIDE = (ROOT / "docs" / "guide.md").read_text()


def test_the_guide_runs(tmp_path: Path) -> None:
    program = "\n".join(text for language, text in FENCE.findall(GUIDE) if language == "python")
    assert "trip-timer@0.1.0" in run([sys.executable, "-c", program], tmp_path)


def test_the_guide_names_every_setting() -> None:
    settings = (ROOT / "jeyn" / "settings.py").read_text()
    for name in set(re.findall(r"JEYN_[A-Z]+", settings)):
        assert name.rstrip("_") in GUIDE, name
