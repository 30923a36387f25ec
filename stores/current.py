"""The module-level stores and functions: they act on the current workspace, opened from settings on first use."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jeyn.sdk.workspace import current_workspace, use_workspace
from jeyn.settings import Settings
from jeyn.stores.workspace import Workspace

if TYPE_CHECKING:
    from jeyn.stores.dataset_store import DatasetStore
    from jeyn.stores.model_store import ModelStore


def open(**places: Any) -> Workspace:
    """An explicit workspace: `jeyn.open(home="...")`; what is not given comes from settings."""
    return Workspace.open(**places)


def use(workspace: Workspace) -> AbstractContextManager[Workspace]:
    """Make a workspace the current one inside a `with` block."""
    return use_workspace(workspace)


def context() -> Workspace:
    """The current workspace: the one in use, else the one that settings name."""
    return current_workspace() or _from_settings(Settings.load(_running_script()))


def search(text: str = "", **options: Any) -> Any:
    """`Workspace.search` on the current workspace."""
    return context().search(text, **options)


def lineage(ref: Any, *, depth: int | None = None, types: tuple[str, ...] = (), down: bool = False) -> Any:
    """What an artefact came from, or with `down=True` what came from it."""
    walk = context().downstream if down else context().upstream
    return walk(ref, depth=depth, types=types)


def impact(ref: Any, new_catalog: Any = None) -> Any:
    """`Workspace.impact` on the current workspace."""
    return context().impact(ref, new_catalog=new_catalog)


def diff(old: Any, new: Any) -> Any:
    """`Workspace.diff` on the current workspace."""
    return context().diff(old, new)


def _running_script() -> Path | None:
    """The file of `python sub/go.py`, whose project `jeyn run sub/go.py` takes too; None for tools and notebooks."""
    main = sys.modules.get("__main__")
    file = Path(getattr(main, "__file__", None) or "")
    if getattr(main, "__spec__", None) is not None or file.suffix != ".py" or not file.is_file():
        return None
    path = file.resolve()
    return None if {"site-packages", "dist-packages"} & {*path.parts} else path


@cache
def _opened(key: str) -> dict[str, Workspace]:
    return {}


def _from_settings(settings: Settings) -> Workspace:
    held = _opened("settings")
    key = repr(settings)
    if key not in held:
        held[key] = Workspace(settings)
    return held[key]


class _CurrentStore:
    """A store of whatever workspace is current when it is used."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(getattr(context(), self._name), attribute)

    def __repr__(self) -> str:
        return f"<the current workspace's {self._name}>"


if TYPE_CHECKING:
    dataset_store: DatasetStore
    model_store: ModelStore
else:
    dataset_store = _CurrentStore("dataset_store")
    model_store = _CurrentStore("model_store")
