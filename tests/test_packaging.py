"""The wheel and the sdist hold what the tree holds: rooms are real folders there and links in a checkout."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("sdk", "stores", "workflows", "deploy", "components")


def tree(folder: Path) -> set[str]:
    """Files below `folder`, relative to it, without caches and without following the rooms' links."""
    files = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {str(path.relative_to(folder)) for path in files}


def package_files() -> set[str]:
    """What belongs below `jeyn/` in an archive: the front door's own files and the rooms'."""
    door = {name for name in tree(ROOT / "jeyn") if name.split("/")[0] not in ROOMS}
    return door | {f"{room}/{name}" for room in ROOMS for name in tree(ROOT / room)}


def build(*arguments: str | Path) -> None:
    command = [sys.executable, "-m", "build", "--no-isolation", *map(str, arguments)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sdist")
    build("--sdist", ROOT, "--outdir", folder)
    (path,) = folder.iterdir()
    return path


@pytest.fixture(scope="module", params=["from the tree", "from the sdist"])
def wheel(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, sdist: Path) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    source = ROOT
    if request.param == "from the sdist":
        with tarfile.open(sdist) as archive:
            archive.extractall(folder / "source", filter="data")
        (source,) = (folder / "source").iterdir()
    build("--wheel", source, "--outdir", folder / "built")
    (path,) = (folder / "built").iterdir()
    return path


def test_the_rooms_are_links_in_the_checkout() -> None:
    assert {room: str((ROOT / "jeyn" / room).readlink()) for room in ROOMS} == {room: f"../{room}" for room in ROOMS}


def test_every_top_level_package_is_a_room() -> None:
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert packages - {"jeyn", "tests"} == set(ROOMS)


def test_the_wheel_holds_the_tree(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    packaged = {name.removeprefix("jeyn/") for name in names if name.startswith("jeyn/")}
    assert len(names) == len(set(names))
    assert packaged == package_files()
    assert {"py.typed", "__init__.pyi", "sdk/__init__.py", "stores/catalog/__init__.py"} <= packaged


def test_the_wheel_has_nothing_but_jeyn_at_the_top(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    (info,) = {name.split("/")[0] for name in names} - {"jeyn"}
    assert info.endswith(".dist-info")
    assert f"{info}/licenses/LICENSE" in names


def test_the_wheel_is_importable(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path)
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import jeyn.sdk, jeyn.stores; print(jeyn.sdk.__file__)"
    )
    shown = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True)
    assert Path(shown.stdout.strip()) == tmp_path / "jeyn/sdk/__init__.py"


def test_the_sdist_holds_the_tree_the_tests_and_the_licence(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    expected = {f"jeyn/{name}" for name in package_files() if name.split("/")[0] not in ROOMS}
    expected |= {name for name in package_files() if name.split("/")[0] in ROOMS}
    expected |= {f"tests/{name}" for name in tree(ROOT / "tests")}
    assert names >= expected | {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "ARCHITECTURE.md"}
    assert not {name for name in names if name.startswith("jeyn/") and name.split("/")[1] in ROOMS}


def test_the_licence_is_apache_2() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text and "Version 2.0, January 2004" in text and len(text) > 10_000
