"""Libraries that `pip install -e` installed: an edit is seen, and the code package has what names and versions them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.workflows.projects import ROOT, Project, states

BACKENDS = {
    "src": 'requires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"',
    "flat": 'requires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"',  # by a finder, not by a path
    "hatch": 'requires = ["hatchling"]\nbuild-backend = "hatchling.build"',
}
HATCH = '[tool.hatch.build]\ndev-mode-dirs = ["src"]\n[tool.hatch.build.targets.wheel]\npackages = ["src/hatchlib"]\n'
FLOW = """
from importlib.metadata import version

import flatlib
import hatchlib
import srclib
from jeyn import operation, pipeline


@operation
def one() -> list:
    return [srclib.rate(), flatlib.rate(), hatchlib.rate(), version("src-lib"), version("flat_lib")]


@operation
def two() -> str:
    return version("hatch-lib")


@pipeline
def flow():
    return {"one": one(), "two": two()}
"""


class Installed:
    """An environment with the libraries, in which Jeyn is run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        venv.create(folder / "env", with_pip=False)
        self.python = str(folder / "env" / "bin" / "python")
        packages = next((folder / "env" / "lib").glob("python*/site-packages"))
        (packages / "base.pth").write_text("\n".join(each for each in sys.path if each.endswith("site-packages")))
        self.project = Project(folder / "project")
        (self.project.folder / "pipeline.py").write_text(FLOW)

    def source(self, name: str) -> Path:
        return self.folder / f"lib_{name}" / ("" if name == "flat" else "src") / f"{name}lib"

    def edit(self, name: str, rate: int) -> None:
        (self.source(name) / "deep.py").write_text(f"X = {rate}{' ' * rate}\n")

    def write(self, name: str, version: str) -> None:
        self.source(name).mkdir(parents=True, exist_ok=True)
        (self.source(name) / "__init__.py").write_text(f"from {name}lib.deep import X\n\ndef rate():\n    return X\n")
        self.edit(name, 1)
        text = f'[build-system]\n{BACKENDS[name]}\n[project]\nname = "{name}-lib"\nversion = "{version}"\n'
        (self.folder / f"lib_{name}" / "pyproject.toml").write_text(text + (HATCH if name == "hatch" else ""))

    def install(self, *names: str) -> None:
        editable = [part for name in names for part in ("-e", str(self.folder / f"lib_{name}"))]
        options = ["-q", "--disable-pip-version-check", "--no-index", "--no-build-isolation", "--no-deps"]
        command = [sys.executable, "-m", "pip", "--python", self.python, "install", *options, *editable]
        subprocess.run(command, check=True, timeout=240)

    def run(self, *options: str) -> list[str]:
        """The states of `one` and `two`."""
        self.jeyn("run", "pipeline.py", *options)
        found = states(self.project.last())
        return [found["one"], found["two"]]

    def jeyn(self, *arguments: str) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("JEYN_")}
        command = [self.python, "-m", "jeyn.cli", *arguments]
        environment["PYTHONPATH"] = str(ROOT)
        subprocess.run(command, cwd=self.project.folder, env=environment, check=True, timeout=120)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    if not all(map(find_spec, ("pip", "setuptools", "hatchling"))):
        pytest.skip("it needs pip, setuptools and hatchling")
    found = Installed(tmp_path_factory.mktemp("editable"))
    for name in BACKENDS:
        found.write(name, "1.2.3")
    found.install(*BACKENDS)
    return found


def test_rule_36_an_edit_of_what_pip_installed_as_editable_is_seen(installed: Installed) -> None:
    assert installed.run() == ["succeeded", "succeeded"]
    assert installed.project.last().outputs == {"one": [1, 1, 1, "1.2.3", "1.2.3"], "two": "1.2.3"}
    assert installed.run() == ["cached", "cached"]
    for count, name in enumerate(BACKENDS, 1):
        installed.edit(name, 2)
        assert installed.run()[0] == "succeeded", name
        assert sum(installed.project.last().outputs["one"][:3]) == 3 + count
    installed.write("hatch", "1.3.0")
    installed.edit("hatch", 2)
    installed.install("hatch")
    assert installed.run()[1] == "succeeded"
    assert installed.project.last().outputs["two"] == "1.3.0"


def test_the_code_package_has_their_names_and_versions(installed: Installed) -> None:
    installed.run("--isolated", "--no-cache")
    expected = installed.project.last().outputs["one"]
    (unpacked,) = (each for each in (installed.project.folder / ".jeyn" / "code").iterdir() if each.is_dir())
    names = {each.relative_to(unpacked).as_posix() for each in unpacked.rglob("*") if each.is_file()}
    assert {"src_lib-1.2.3.dist-info/METADATA", "flatlib/deep.py", "srclib/deep.py", "hatchlib/__init__.py"} <= names
    assert not any("direct_url" in each or "RECORD" in each for each in names)  # they say where this machine has them
    # As in a pod: a Python without the libraries.
    program = "import json, pipeline; print(json.dumps([pipeline.one.function(), pipeline.two.function()]))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=unpacked,
        env={**os.environ, "PYTHONPATH": f"{unpacked}:{ROOT}"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert json.loads(done.stdout)[0] == expected, done.stderr
