"""Annotations: whether what one operation gives fits what the next one takes. Doubt is never an error.

Two types misfit only where no value is known to be both: neither is a subclass of the other, no class derives from
both, and no promotion of PEP 484 (int to float) joins them. What only running would tell, such as protocols, fits.
"""

from __future__ import annotations

import types
from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import Enum
from typing import Annotated, Any, Literal, NewType, Union, get_args, get_origin

from jeyn.sdk.artefact import Artefact

_PROMOTED: dict[type, tuple[type, ...]] = {float: (int,), complex: (int, float)}
_NO_LISTS = (bool, int, float, str, type(None), dict, Artefact)


def members(annotation: Any) -> tuple[Any, ...]:
    """The alternatives of a union, flattened; anything else alone."""
    annotation = _bare(annotation)
    if get_origin(annotation) in (Union, types.UnionType):
        return tuple(member for part in get_args(annotation) for member in members(part))
    return (annotation,)


def union(parts: Iterable[Any]) -> Any:
    """The union of annotations; `Any` where one of them is no type."""
    try:
        return Union[tuple(parts)]  # noqa: UP007  # known only now
    except TypeError:
        return Any


def fits(given: Any, wanted: Any) -> bool:
    """Whether a value annotated `given` may be what a parameter annotated `wanted` takes."""
    return any(_fits(one, other) for one in members(given) for other in members(wanted))


def holds(value: Any, annotation: Any) -> bool:
    """Whether a value that JSON can hold fits an annotation."""
    return any(_holds(value, member) for member in members(annotation))


def item_of(annotation: Any) -> Any:
    """The type of the items of a list that is mapped over; None when it cannot be a list."""
    options = [member for member in members(annotation) if not _is_no_list(_origin(member))]
    if not options:
        return None
    return union(items_wanted(member) for member in options)


def items_wanted(annotation: Any) -> Any:
    """The items of a list's annotation; `Any` where it does not say."""
    found = [_item(member) for member in members(annotation) if isinstance(_origin(member), type)]
    return union(found) if found else Any


def show(annotation: Any) -> str:
    """An annotation as people write it, without modules; nothing for an unknown one."""
    if annotation is Any:
        return ""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        return " | ".join(_show_part(part) for part in arguments)
    if origin is Literal:
        return f"Literal[{', '.join(map(repr, arguments))}]"
    if origin is not None:
        return f"{_show_part(origin)}[{', '.join(_show_part(part) for part in arguments)}]"
    return _show_part(annotation)


def _show_part(part: Any) -> str:
    if part is types.NoneType or part is None:
        return "None"
    if part is ...:
        return "..."
    if part is Any:
        return "Any"
    if get_origin(part) is not None:
        return show(part)
    return getattr(part, "__qualname__", None) or str(part).removeprefix("typing.")


def _bare(annotation: Any) -> Any:
    while True:
        if annotation is None:
            return types.NoneType
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        elif isinstance(annotation, NewType):
            annotation = annotation.__supertype__
        elif type(annotation).__name__ == "TypeAliasType":  # `type X = …` of Python 3.12
            annotation = annotation.__value__
        else:
            return annotation


def _origin(annotation: Any) -> Any:
    """The class of an annotation; `Any` has none, although Python makes it a class."""
    return None if annotation is Any else get_origin(annotation) or annotation


def _is_no_list(origin: Any) -> bool:
    return isinstance(origin, type) and issubclass(origin, _NO_LISTS)


def _fits(given: Any, wanted: Any) -> bool:
    if get_origin(given) is Literal:
        return any(_holds(value, wanted) for value in get_args(given))
    if get_origin(wanted) is Literal:
        return any(fits(given, type(value)) for value in get_args(wanted))
    one, other = _origin(given), _origin(wanted)
    if not (isinstance(one, type) and isinstance(other, type)):
        return True
    may_be = is_a(one, other) or is_a(other, one, promoted=False) or _have_common_subclass(one, other)
    return may_be and _parts_fit(given, wanted)


def is_a(one: type, other: type, promoted: bool = True) -> bool:
    """Whether a value of the class `one` may be given where `other` is wanted."""
    if getattr(other, "_is_protocol", False) or {one, other} == {list, tuple}:
        return True
    if promoted and other in (bool, int, float, complex) and is_numpy_scalar(one):
        return True  # it is kept as JSON and comes back as a Python number
    try:
        return issubclass(one, (other, *_PROMOTED.get(other, ())) if promoted else other)
    except TypeError:  # such as a TypedDict
        return True


def _have_common_subclass(one: type, other: type) -> bool:
    """Such as a scikit-learn classifier, which is a BaseEstimator and a ClassifierMixin."""
    found: list[type] = type.__subclasses__(one)
    return any(is_a(derived, other, promoted=False) or _have_common_subclass(derived, other) for derived in found)


def is_numpy_scalar(cls: type) -> bool:
    """Whether it is the class of one value of a NumPy array."""
    return any(f"{base.__module__}.{base.__name__}" == "numpy.generic" for base in cls.__mro__)


def _parts_fit(given: Any, wanted: Any) -> bool:
    if not (get_args(given) and get_args(wanted)):
        return True
    if _is_mapping(given) and _is_mapping(wanted):
        return all(fits(a, b) for a, b in zip(get_args(given), get_args(wanted), strict=False))
    return fits(_item(given), _item(wanted))


def _is_mapping(annotation: Any) -> bool:
    return issubclass(_origin(annotation), Mapping)


def _item(annotation: Any) -> Any:
    origin, arguments = _origin(annotation), get_args(annotation)
    if origin is tuple:
        known = [part for part in arguments if part is not ...]
        return union(known) if known else Any
    is_list = origin in (list, set, frozenset, Sequence, Iterable, Collection)
    return arguments[0] if is_list and len(arguments) == 1 else Any


def _parts_hold(value: list[Any] | tuple[Any, ...], annotation: Any) -> bool:
    parts = get_args(annotation)
    if _origin(annotation) is tuple and parts and ... not in parts:
        return len(value) == len(parts) and all(map(holds, value, parts))
    return all(holds(item, _item(annotation)) for item in value)


def _holds(value: Any, annotation: Any) -> bool:
    if get_origin(annotation) is Literal:
        return any(type(value) is type(one) and value == one for one in get_args(annotation))
    origin = _origin(annotation)
    if not isinstance(origin, type):
        return True
    if issubclass(origin, Enum):
        return any(value in (one, one.value) for one in origin)
    if not is_a(type(value), origin):
        return False
    if isinstance(value, list | tuple):
        return _parts_hold(value, annotation)
    if isinstance(value, dict) and len(get_args(annotation)) == 2:
        return all(holds(item, get_args(annotation)[1]) for item in value.values())
    return True
