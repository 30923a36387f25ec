"""What the code runs on: Python, the platform and the installed distributions, read from their folders' names."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Iterable
from functools import cache
from importlib.machinery import PathFinder
from pathlib import Path

from jeyn.sdk.canonical import canonical, sha256_of

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
_INSTALLED = re.compile(r"(?P<name>[^-]+)-(?P<version>[^-]+)(-.*)?\.(dist|egg)-info")


def environment() -> dict[str, str]:
    """The environment for a run's record: `python`, `platform`, `jeyn`, and `distributions`, a digest over all."""
    found = installed()
    return {
        "python": platform.python_version(),
        "platform": f"{sys.platform}-{platform.machine()}",
        "jeyn": found.get("jeyn", ""),
        "distributions": _digest(),
    }


@cache
def installed() -> dict[str, str]:
    """The version of each installed distribution by its normalised name, as `sys.path` was at the first call."""
    return {name: version for name, version, _folder in _scan()}


def versions_for(module: str) -> dict[str, str]:
    """The distributions that a top-level module comes from and their versions; `{}` for none."""
    found = installed()
    return {name: found[name] for name in _providers().get(module, ())}


def versions_named(texts: Iterable[str]) -> dict[str, str]:
    """The versions of the distributions that texts are names of: what `importlib.metadata` may be asked for."""
    found = installed()
    names = (_normalised(each) for each in texts)
    return {name: found[name] for name in names if name in found}


def version_of(module: str) -> dict[str, str]:
    """A module that no distribution brought, by the bytes of its file; `{}` where there is none."""
    spec = PathFinder.find_spec(module)
    if spec is None or not spec.origin or not Path(spec.origin).is_file():
        return {}
    return {module: sha256_of(Path(spec.origin).read_bytes())}


@cache
def _digest() -> str:
    return sha256_of(canonical(installed()))


@cache
def _scan() -> list[tuple[str, str, Path]]:
    """(name, version, its info folder); the first on `sys.path` wins, as it does for imports."""
    found: dict[str, tuple[str, str, Path]] = {}
    for entry in sys.path:
        folder = Path(entry or ".")
        if not folder.is_dir():
            continue
        for each in sorted(folder.glob("*-info")):
            match = _INSTALLED.fullmatch(each.name)
            if match:
                name = _normalised(match["name"])
                found.setdefault(name, (name, match["version"], each))
    return list(found.values())


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@cache
def _providers() -> dict[str, tuple[str, ...]]:
    """Top-level module -> distributions. `importlib.metadata.packages_distributions` does this 20 times slower."""
    found: dict[str, list[str]] = {}
    for name, _version, folder in _scan():
        for module in sorted(_top_level(folder)):
            found.setdefault(module, []).append(name)
    return {module: tuple(names) for module, names in found.items()}


def _top_level(folder: Path) -> set[str]:
    listed = folder / "top_level.txt"
    if listed.is_file():
        return set(listed.read_text(errors="replace").split())
    record = folder / "RECORD"
    if not record.is_file():
        return set()
    names = {line.split(",", 1)[0].split("/", 1)[0] for line in record.read_text(errors="replace").splitlines()}
    return {name.split(".", 1)[0] for name in names if not name.endswith((".dist-info", ".pth", ".data"))}
