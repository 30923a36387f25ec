"""`argo lint --offline`, by the program of the test equipment or one that is installed."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.conftest import EQUIPMENT


def lint(text: str, folder: Path) -> None:
    """Hold manifests to what Argo itself checks; skips the test where there is no `argo`."""
    program = _program()
    if program is None:
        pytest.skip(f"no argo program: put one on the PATH, or set {EQUIPMENT}")
    file = folder / "manifests.yaml"
    file.write_text(text)
    done = subprocess.run([program, "lint", "--offline", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@functools.cache
def _program() -> str | None:
    packed = Path(os.environ.get(EQUIPMENT) or "/nowhere", "bin", "argo.xz")
    if not packed.is_file():
        return shutil.which("argo")
    # Kept between runs, since unpacking takes seconds; made under another name, since tests run side by side.
    place = Path(tempfile.gettempdir(), f"argo-{packed.stat().st_size}-{os.getuid()}")
    if not place.is_file():
        part = place.with_suffix(f".{os.getpid()}")
        with part.open("wb") as program:
            subprocess.run(["xz", "-dc", packed], stdout=program, check=True)
        part.chmod(0o755)
        part.rename(place)
    return str(place)
