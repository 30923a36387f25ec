"""Optional packages, imported when a serializer first needs them."""

from __future__ import annotations

import importlib
from typing import Any

from jeyn.errors import NotFound


def need(module: str, extra: str) -> Any:
    """The imported module; NotFound with the command that installs it where it is missing."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as exc:
        if exc.name is None or not f"{module}.".startswith(f"{exc.name}."):
            raise
        raise NotFound(
            f"the package '{exc.name}' is not installed", hint=f"install it with: pip install 'jeyn[{extra}]'"
        ) from exc
