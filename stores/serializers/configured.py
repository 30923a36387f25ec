"""Serializers that `jeyn.yaml` names, for every process of the project: pods and executors too (SEMANTICS 26)."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from pathlib import Path

from jeyn.errors import UsageError
from jeyn.own_imports import guard
from jeyn.stores.serializers.table import SerializerTable


def register_configured(table: SerializerTable, entries: Mapping[str, str], root: Path) -> None:
    """Register `{class name: "module:Serializer"}`; modules are looked for in the project too.

    Raises `UsageError` with the entry that cannot be loaded.
    """
    for name, path in entries.items():
        guard(str(root))
        if str(root) not in sys.path:
            sys.path.append(str(root))
        module, _, attribute = path.partition(":")
        try:
            found = getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError, ValueError) as exc:
            raise UsageError(
                f'serializers: in jeyn.yaml names "{path}" for "{name}", which cannot be loaded ({exc})',
                hint="write class.name: module:Serializer",
            ) from exc
        table.register(name, found() if isinstance(found, type) else found)
