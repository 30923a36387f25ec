"""How an output is shown to people: a reference they can type, or a small value as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jeyn.errors import JeynError
from jeyn.sdk.value import Value

if TYPE_CHECKING:
    from jeyn.stores.workspace import Workspace

_SMALL = ("json/1", "text/1")
_WIDTH = 60


def shown(workspace: Workspace, id: str) -> str:
    """`digits@1.0.0/1`, `0.954`, or the beginning of an id."""
    try:
        artefact = workspace.bound(id)
        if not isinstance(artefact, Value):
            return str(artefact.ref)
        text = short(artefact.load()) if artefact.format in _SMALL and artefact.payload.size <= _WIDTH else None
        return text or f"{artefact.format} {id[:19]}"
    except JeynError:
        return id[:19]


def short(value: Any) -> str | None:
    """A plain value as text; None for what is too long, or is no plain value."""
    if value is None or isinstance(value, bool | int | float | str | list | dict | tuple):
        try:
            text = repr(value) if not isinstance(value, list | dict | tuple | str) or len(value) <= _WIDTH else ""
        except ValueError:  # an integer of more digits than Python converts
            return None
        return text if 0 < len(text) <= _WIDTH else None
    return None
