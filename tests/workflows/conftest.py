"""What the workflow tests share: a project folder, and an interpreter that forgets the modules of the last test."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.workflows.argo.pods import Zygotes, zygotes

Write = Callable[..., Path]


@pytest.fixture(autouse=True)
def fresh_modules(tmp_path: Path) -> Iterator[None]:
    """What a test imports from its own folder is gone after it, and `sys.path` is as it was."""
    path = list(sys.path)
    yield
    sys.path[:] = path
    for name in [name for name, module in list(sys.modules.items()) if _is_below(module, tmp_path)]:
        del sys.modules[name]


def _is_below(module: ModuleType, folder: Path) -> bool:
    file = getattr(module, "__file__", None) or next(iter(getattr(module, "__path__", [])), None)
    return isinstance(file, str) and Path(file).is_relative_to(folder)


@pytest.fixture(scope="session")
def pods() -> Iterator[Zygotes]:
    """Processes that fork the pods of all tests."""
    with zygotes(3) as found:
        yield found


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project that is the working folder."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "jeyn.yaml").write_text("")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def write(root: Path) -> Write:
    """Write a file of the project."""

    def to(path: str, text: str) -> Path:
        place = root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        return place

    return to
