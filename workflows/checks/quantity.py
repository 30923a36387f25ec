"""Kubernetes quantities (`500m`, `1Gi`) and the resources that an operation may ask for.

The grammar: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from jeyn.errors import JeynError, UsageError

_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))([KMGTPE]i|[numkMGTPE]|[eE][+-]?\d+)?", re.ASCII)
_LOOSE = re.compile(r"\s*(\d+\.?\d*)\s*([kmgtpe])i?b?\s*", re.ASCII | re.IGNORECASE)
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {letter + "i": 1024**power for power, letter in enumerate("KMGTPE", 1)}

KNOWN = ("cpu", "memory", "gpu", "ephemeral-storage")
_BYTES = ("memory", "ephemeral-storage")
SMALLEST = 1024 * 1024  # bytes; nothing starts in less, and who writes "512m" means Mi


def quantity(text: str) -> float | None:
    """The number that a quantity means; None if it is none."""
    found = _QUANTITY.fullmatch(text)
    if found is None:
        return None
    number, suffix = float(found[1]), found[2] or ""
    if suffix in _BINARY:
        return float(number * _BINARY[suffix])
    power: int = _DECIMAL[suffix] if suffix in _DECIMAL else min(int(suffix[1:]), 300)
    return float(number * 10.0**power)


def resource_errors(resources: Mapping[str, Any], whose: str) -> Iterator[JeynError]:
    """What is wrong with `resources={"cpu": 1, "memory": "1Gi"}`."""
    for name, value in resources.items():
        known = name in KNOWN or "/" in name or name.startswith("hugepages-")
        if not known:
            close = get_close_matches(name, KNOWN, n=1)
            hint = f'did you mean "{close[0]}"?' if close else f"use {', '.join(KNOWN)}, or a name like nvidia.com/gpu"
            yield UsageError(f'{whose} asks for "{name}", which is no resource', hint=hint)
        elif error := quantity_error(name, value, whose):
            yield error


def quantity_error(name: str, value: Any, whose: str) -> JeynError | None:
    """What is wrong with the amount of one resource, if anything."""
    found = quantity(str(value)) if isinstance(value, str | int | float) and not isinstance(value, bool) else None
    asks = f'{whose} asks for {name} "{value}"'
    if found is None or found < 0:
        return UsageError(f"{asks}, which is no Kubernetes quantity", hint=_meant(str(value), name))
    if name in _BYTES and found < SMALLEST:
        return UsageError(f"{asks}, which is {found:g} bytes", hint=_meant(str(value), name))
    if (name == "gpu" or "/" in name) and found != int(found):
        return UsageError(f"{asks}, and only whole ones can be had", hint="give an integer")
    return None


def _meant(text: str, name: str) -> str:
    loose = _LOOSE.fullmatch(text)
    if loose:
        return f'did you mean "{loose[1]}{loose[2].upper()}i"?'
    return 'write it like "512Mi" or "2Gi"' if name in _BYTES else 'write it like 2, 0.5 or "500m"'


def raw_errors(patch: Any, whose: str) -> Iterator[JeynError]:
    """What is wrong with the quantities somewhere in a raw `k8s={…}`."""
    if isinstance(patch, list | tuple):
        for each in patch:
            yield from raw_errors(each, whose)
    if not isinstance(patch, dict):
        return
    for key, value in patch.items():
        if key in ("requests", "limits") and isinstance(value, dict):
            errors = (quantity_error(name, amount, f"{whose} in k8s {key}") for name, amount in value.items())
            yield from (error for error in errors if error is not None)
        elif key == "sizeLimit" and (error := quantity_error("ephemeral-storage", value, f"{whose} in k8s")):
            yield error
        else:
            yield from raw_errors(value, whose)
