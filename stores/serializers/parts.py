"""Parts of a scikit-learn model that are stored in a form of their own, each replaced by a stand-in and back.

A scipy distribution, as RandomizedSearchCV holds it, keeps text that scipy runs when it is unpickled, so only its name
and its numbers are stored. A model of another library, such as LightGBM, is stored as that library writes it. A
Birch, whose nodes point at each other, is stored as a list of them (`birch.py`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from jeyn.errors import Corrupt
from jeyn.sdk.serializer import class_name, class_names
from jeyn.stores.serializers.birch import BIRCH, BirchParts, put_together, taken_apart

_ESTIMATOR = "sklearn.base.BaseEstimator"
_FROZEN = "scipy.stats._distn_infrastructure.rv_frozen"
_GENERIC = "scipy.stats._distn_infrastructure.rv_generic"
NATIVE = {
    "lightgbm.basic.Booster": "jeyn.lightgbm",
    "lightgbm.sklearn.LGBMModel": "jeyn.lightgbm",
    "xgboost.core.Booster": "jeyn.xgboost",
    "xgboost.sklearn.XGBModel": "jeyn.xgboost",
}


class Distribution:
    """A frozen distribution of `scipy.stats`: its name there, and what it was called with."""

    def __init__(self, name: str, args: tuple[Any, ...], kwds: dict[str, Any]) -> None:
        self.name, self.args, self.kwds = name, args, kwds


class Native:
    """A model in the bytes of another serializer of ours."""

    def __init__(self, serializer: str, version: str, data: bytes) -> None:
        self.serializer, self.version, self.data = serializer, version, data


STAND_INS = frozenset({class_name(Distribution), class_name(Native), class_name(BirchParts)})


def stood_in(model: Any) -> Any:
    """The model with stand-ins; itself where it holds no such part."""
    libraries = {"scipy.stats", "lightgbm", "xgboost", "sklearn.cluster._birch"} & sys.modules.keys()
    return _replaced(model, _stand_in, {}) if libraries else model


def restored(model: Any) -> Any:
    """A loaded model with its parts again. Corrupt for a stand-in of what is no distribution or serializer."""
    return _replaced(model, _original, {})


def _replaced(value: Any, swap: Callable[[Any], Any], done: dict[int, Any]) -> Any:
    """With each part swapped; what holds one is copied on the way, all else is the same object."""
    if id(value) in done:
        return done[id(value)]
    found = swap(value)
    if found is value:
        done[id(value)] = value  # what leads back to itself is not followed again
        found = _rebuilt(value, lambda inner: _replaced(inner, swap, done))
    done[id(value)] = found
    return found


def _rebuilt(value: Any, replaced: Callable[[Any], Any]) -> Any:
    kind = type(value)
    if kind is list or kind is tuple:
        items = [replaced(item) for item in value]
        return value if all(a is b for a, b in zip(items, value, strict=True)) else kind(items)
    if kind is dict or (isinstance(value, dict) and kind.__module__ == "sklearn.utils._bunch"):
        named = {key: replaced(item) for key, item in value.items()}
        return value if all(named[key] is value[key] for key in named) else kind(named)
    if _ESTIMATOR not in class_names(kind) or not hasattr(value, "__dict__"):
        return value
    held = vars(value)
    parts = {name: replaced(item) for name, item in held.items()}
    if all(parts[name] is held[name] for name in held):
        return value
    twin = object.__new__(kind)
    twin.__dict__.update(parts)
    return twin


def _stand_in(value: Any) -> Any:
    names = class_names(type(value))
    if _FROZEN in names:
        return _distribution(value)
    if names[0] == BIRCH:
        return taken_apart(value)
    for name in names:
        if name in NATIVE and type(value).__module__.partition(".")[0] == name.partition(".")[0]:
            serializer = _native(NATIVE[name])
            return Native(serializer.id, serializer.version, serializer.to_bytes(value))
    return value


def _distribution(frozen: Any) -> Any:
    """The stand-in of one that scipy itself has; any other stays, and is refused by its type."""
    from scipy import stats

    known: Any = getattr(stats, frozen.dist.name, None)
    if known is None or type(known) is not type(frozen.dist) or _made_as(known) != _made_as(frozen.dist):
        return frozen
    return Distribution(frozen.dist.name, tuple(frozen.args), dict(frozen.kwds))


def _made_as(distribution: Any) -> str:
    """What it was made with; as text, in which NaN equals itself."""
    return repr({key: value for key, value in distribution._updated_ctor_param().items() if key != "seed"})


def _original(value: Any) -> Any:
    if isinstance(value, Distribution):
        from scipy import stats

        known: Any = getattr(stats, value.name, None) if isinstance(value.name, str) else None
        if _GENERIC not in class_names(type(known)):
            raise Corrupt(f"{value.name!r} is no distribution of scipy.stats", hint="the archive was altered")
        if type(value.args) is not tuple or type(value.kwds) is not dict:
            raise Corrupt(f"a '{value.name}' has no arguments", hint="the archive was altered")
        if not all(map(_is_plain, [*value.args, *value.kwds.values()])):
            raise Corrupt(f"a '{value.name}' is made of more than numbers", hint="the archive was altered")
        return known(*value.args, **value.kwds)
    if isinstance(value, BirchParts):
        return put_together(value)
    if isinstance(value, Native):
        if value.serializer not in NATIVE.values():
            raise Corrupt(f"{value.serializer!r} stores no part of a model", hint="the archive was altered")
        if type(value.data) is not bytes:
            raise Corrupt("a part of a model is no bytes", hint="the archive was altered")
        return _native(value.serializer, value.version).from_bytes(value.data)
    return value


def _is_plain(argument: Any) -> bool:
    """Numbers, and lists and arrays of them: what scipy asks nothing of but its value."""
    if type(argument) in (list, tuple):
        return all(map(_is_plain, argument))
    if type(argument) in (int, float, bool, str, type(None)):
        return True
    kind = class_name(type(argument))
    return kind.startswith("numpy.") and getattr(getattr(argument, "dtype", None), "kind", "O") in "biufc"


def _native(id: str, version: str | None = None) -> Any:
    from jeyn.stores.serializers.table import default_table

    return default_table().by_id(id, version)
