"""Whether a loaded model is of one piece: compiled code follows its indices and sizes without looking.

A crafted archive of trusted types could otherwise make `predict` read or write outside an array
(https://github.com/scikit-learn/scikit-learn/pull/34558). Nothing of a part is called before its exact type is known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from jeyn.errors import Corrupt, JeynError
from jeyn.sdk.serializer import class_name, class_names
from jeyn.stores.serializers import arrays, clusters, encoders, neighbours, support_vectors, trees

Check = Callable[[Any], None]
_PLAIN = (str, bytes, int, float, complex, type, type(None))


def check_model(model: Any) -> None:
    """Corrupt when a part below `model` points outside its own nodes, rows, features, classes or knots."""
    for part in parts(model):
        for check in _checks_of(type(part)):
            try:
                check(part)
            except JeynError:
                raise
            except Exception as exc:
                raise Corrupt(
                    f"a '{class_name(type(part))}' in this model is not whole: {type(exc).__name__}: {exc}",
                    hint="the archive was altered; save it again",
                ) from exc


def parts(model: Any) -> Iterator[Any]:
    """What a model holds, through attributes, containers, partials and arrays of objects; each once, itself last."""
    seen: set[int] = set()
    found: list[Any] = []
    waiting = [model]
    while waiting:
        value = waiting.pop()
        if type(value) in _PLAIN or id(value) in seen:
            continue
        seen.add(id(value))
        found.append(value)
        waiting += _inner(value)
    # An ensemble asks its members, so they come first.
    yield from reversed(found)


def _inner(value: Any) -> list[Any]:
    held = list(getattr(value, "__dict__", {}).values())
    if isinstance(value, dict):
        return [*held, *dict.keys(value), *dict.values(value)]
    if isinstance(value, (list, tuple, set, frozenset)):
        return [*held, *value]
    name = class_name(type(value))
    if name == "functools.partial":
        return [*held, value.func, *value.args, *value.keywords.values()]
    if name.startswith("numpy.") and name.endswith("rray") and value.dtype.hasobject:
        return [*held, *value.ravel()]
    return held


def _checks_of(cls: type) -> tuple[Check, ...]:
    """By its own name for what is compiled, by the names of its bases for estimators."""
    own = [check for name, check in _EXACT.items() if name == class_name(cls)]
    return (*own, *(_ESTIMATORS[name] for name in class_names(cls) if name in _ESTIMATORS))


_EXACT: dict[str, Check] = {**trees.EXACT, **neighbours.EXACT, **arrays.EXACT}
_ESTIMATORS: dict[str, Check] = {
    **trees.ESTIMATORS,
    **neighbours.ESTIMATORS,
    **clusters.ESTIMATORS,
    **encoders.ESTIMATORS,
    **support_vectors.ESTIMATORS,
    **arrays.ESTIMATORS,
}
