"""Virtual environments of the peers, each of its own, made by uv in the user's cache folder on first use.

A peer that cannot be installed here is reported with the reason, never guessed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

PYTHONS = ("3.11", "3.10", "3.9")
INSTALL_SECONDS = 600


@dataclass(frozen=True)
class Environment:
    """The packages that a peer needs, and the module that shows they are there."""

    module: str
    packages: tuple[str, ...]

    def python(self) -> Path | str:
        """The interpreter of the environment, or why there is none."""
        uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
        if not Path(uv).exists():
            return "uv is not installed (pip install uv)"
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "jeyn-benchmarks"
        problem = ""
        for version in PYTHONS:
            folder = cache / f"{self.module}-{version}"
            python = folder / "bin" / "python"
            if _imports(python, self.module):
                return python
            problem = self._install(uv, version, folder)
            if not problem and _imports(python, self.module):
                return python
        return problem or f"{self.module} cannot be imported"

    def _install(self, uv: str, version: str, folder: Path) -> str:
        commands = (
            [uv, "venv", "-q", "--clear", "--no-python-downloads", "--python", version, str(folder)],
            [uv, "pip", "install", "-q", "--python", str(folder / "bin" / "python"), *self.packages],
        )
        for command in commands:
            try:
                shown = subprocess.run(command, capture_output=True, text=True, check=False, timeout=INSTALL_SECONDS)
            except subprocess.TimeoutExpired:
                return f"installing {self.packages[0]} took more than {INSTALL_SECONDS} s"
            if shown.returncode:
                return last_line(shown.stderr)
        return ""


def _imports(python: Path, module: str) -> bool:
    if not python.exists():
        return False
    command = [str(python), "-c", f"import {module}"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def last_line(text: str) -> str:
    return (text.strip().splitlines() or ["it failed without a word"])[-1].strip()
