"""How an output is shown to people: a reference they can type, or a small value as it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from jeyn.errors import JeynError
from jeyn.sdk.value import Value

if TYPE_CHECKING:
    from jeyn.stores.workspace import Workspace

_SMALL = ("json/1", "text/1")
_WIDTH = 60


def shown_outputs(workspace: Workspace, ids: Mapping[str, str]) -> dict[str, str]:
    """One short text for each output."""
    return {name: shown(workspace, id) for name, id in ids.items()}


def shown(workspace: Workspace, id: str) -> str:
    """`digits@1.0.0/1`, `0.954`, or the beginning of an id."""
    try:
        artefact = workspace.bound(id)
        if not isinstance(artefact, Value):
            return str(artefact.ref)
        if artefact.format in _SMALL and artefact.payload.size <= _WIDTH:
            text = repr(artefact.load())
            return text if len(text) <= _WIDTH else text[: _WIDTH - 1] + "…"
        return f"{artefact.format} {id[:19]}"
    except JeynError:
        return id[:19]
