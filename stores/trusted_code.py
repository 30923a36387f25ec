"""The code that a checkpoint relies on by name: its digest when it was saved, and whether it is still the same.

It stands beside the id, as the bytes are the model's own: a fact of the first save, and a mark for each later save of
the same content with other code, of which the newest counts.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from jeyn.sdk.serializer import ModelSerializer
from jeyn.stores.catalog.changes import Change, Mark
from jeyn.stores.serializers.code_digest import changed, digests_of

if TYPE_CHECKING:
    from jeyn.stores.workspace import Workspace

FACT = "code"


def code_facts(workspace: Workspace, serializer: ModelSerializer, data: bytes) -> dict[str, str]:
    """`module.name` -> digest of the project's code that these bytes rely on; {} for most models."""
    names = getattr(serializer, "code_of", None)
    return digests_of(names(data), workspace.settings.root) if names else {}


def later_code(workspace: Workspace, id: str, now: Mapping[str, str]) -> list[Change]:
    """What is to be written where the content was saved before with other code."""
    row = workspace.reader.row(id)
    if row is None or known_code(workspace, id, row.facts) == now:
        return []
    return [Mark(id, FACT, json.dumps(now, sort_keys=True))]


def known_code(workspace: Workspace, id: str, facts: Mapping[str, Any]) -> dict[str, str]:
    """The digests that a checkpoint was saved with last."""
    later = [mark.value for mark in workspace.reader.marks(id) if mark.kind == FACT]
    found: dict[str, str] = json.loads(later[-1]) if later else dict(facts.get(FACT, {}))
    return found


def changed_code(workspace: Workspace, id: str, facts: Mapping[str, Any]) -> list[str]:
    """The names whose code is not what it was when the checkpoint was saved."""
    known = known_code(workspace, id, facts)
    return changed(known, workspace.settings.root) if known else []


def warn_of_changed_code(workspace: Workspace, id: str, ref: str, facts: Mapping[str, Any]) -> None:
    """A warning for a model that may answer otherwise than when it was judged."""
    names = changed_code(workspace, id, facts)
    if names:
        listed = ", ".join(f'"{name}"' for name in names)
        warnings.warn(
            f'{listed} is not the code that "{ref}" was saved with, so it may give other answers; '
            "save the model again, or bring that code back",
            UserWarning,
            stacklevel=2,
        )
