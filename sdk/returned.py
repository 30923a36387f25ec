"""What an operation returned, against its annotation, as arguments are checked when a pipeline is recorded.

Here the value itself is at hand, so that also what is inside lists, dicts and TypedDicts is looked at.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from typing import Any, Literal, NamedTuple, NotRequired, get_args, get_origin, get_type_hints

from jeyn.errors import NotSerializable, WrongType
from jeyn.sdk.annotation import is_a, is_numpy_scalar, members, show
from jeyn.sdk.plan import RETURN

_PLAIN_KINDS = "biufc"  # NumPy's scalars that are Python numbers too
_CLASSES = (list, tuple, set, frozenset)


class Misfit(NamedTuple):
    """Where in the value it is wrong (`[3]["name"]`), what is there, and what should be."""

    where: str
    value: Any
    wanted: Any


_SCALARS = (int, float, str, bool)  # what most operations return needs no further look


def check_returned(values: Mapping[str, Any], annotations: Mapping[str, Any], operation: str) -> None:
    """Raises `WrongType` that names the output; `values` and `annotations` are by the outputs' names."""
    for name, value in values.items():
        if type(value) in _SCALARS and annotations.get(name) is type(value):
            continue
        found = misfit(value, annotations.get(name, Any))
        what = f'"{operation}"' if name == RETURN else f'the output "{name}" of "{operation}"'
        if found is not None:
            raise WrongType(
                f"{what} is annotated {show(annotations[name]) or 'Any'}, and {_said(found)}",
                hint=_hint(found, annotations[name]),
            )
        _refuse_streams(value, what)


def misfit(value: Any, annotation: Any, where: str = "") -> Misfit | None:
    """The first thing in a value that does not fit; None where all fits, or only running it would tell."""
    options = members(annotation)
    found = None
    for option in options:
        found = _misfit(value, option, where)
        if found is None:
            return None
    return found if len(options) == 1 else Misfit(where, value, annotation)


def _misfit(value: Any, wanted: Any, where: str) -> Misfit | None:
    origin = get_origin(wanted) or wanted
    wrong = Misfit(where, value, wanted)
    if origin is Literal:
        plain = _plain(value)
        return None if any(plain == one and type(plain) is type(one) for one in get_args(wanted)) else wrong
    if wanted is Any or not isinstance(origin, type):
        return None
    if hasattr(origin, "__required_keys__"):  # a TypedDict, also that of typing_extensions
        return _typed_dict(value, origin, wrong)
    if issubclass(origin, Enum) and any(value == one.value for one in origin):
        return None
    if _is_other_list(value, origin):
        return wrong
    if not (is_a(type(_plain(value)), origin) or isinstance_of(value, origin) or _is_number(value, origin)):
        return wrong
    return _inside(value, wanted, where)


def _is_other_list(value: Any, origin: type) -> bool:
    """A tuple for a list or the other way round: of arguments that is no matter, as JSON has one kind; what is returned
    comes back as it was."""
    return origin in (list, tuple) and isinstance(value, list | tuple) and not isinstance(value, origin)


def _inside(value: Any, wanted: Any, where: str) -> Misfit | None:
    arguments = get_args(wanted)
    if not arguments:
        return None
    if isinstance(value, dict) and len(arguments) == 2:
        pairs = ((key, arguments[0], f"{where}'s key") for key in value)
        parts = ((each, arguments[1], f"{where}[{key!r}]") for key, each in value.items())
        return _first((*pairs, *parts))
    if not isinstance(value, _CLASSES):
        return None
    if get_origin(wanted) is tuple and ... not in arguments:
        if len(value) != len(arguments):
            return Misfit(where, value, wanted)
        return _first(
            (each, part, f"{where}[{at}]") for at, (each, part) in enumerate(zip(value, arguments, strict=True))
        )
    return _items(value, arguments[0], where)


def _items(value: Iterable[Any], wanted: Any, where: str) -> Misfit | None:
    """Most lists hold one class or two, and one look at each class is enough."""
    if not any(get_args(each) for each in members(wanted)):
        first_of = {type(each): (each, at) for at, each in reversed([*enumerate(value)])}
        return _first((each, wanted, f"{where}[{at}]") for each, at in first_of.values())
    return _first((each, wanted, f"{where}[{at}]") for at, each in enumerate(value))


def _first(parts: Iterable[tuple[Any, Any, str]]) -> Misfit | None:
    return next((found for part in parts if (found := misfit(*part)) is not None), None)


def _typed_dict(value: Any, wanted: Any, wrong: Misfit) -> Misfit | None:
    if not isinstance(value, dict):
        return wrong
    try:
        hints, told = get_type_hints(wanted), get_type_hints(wanted, include_extras=True)
    except Exception:  # annotations are the user's code
        return None
    # Where annotations are texts, the class itself does not know of NotRequired.
    if any(key not in value and get_origin(told[key]) is not NotRequired for key in wanted.__required_keys__):
        return wrong
    return _first((each, hints.get(key, Any), f"{wrong.where}[{key!r}]") for key, each in value.items())


def _plain(value: Any) -> Any:
    """NumPy's numbers as Python's: what takes a float takes both."""
    is_scalar = _is_scalar(type(value)) and value.dtype.kind in _PLAIN_KINDS
    return value.item() if is_scalar else value


def _is_number(value: Any, origin: type) -> bool:
    """A number where one of NumPy's is wanted: it is kept as the number that it is."""
    return _is_scalar(origin) and isinstance(_plain(value), int | float | complex)


def _is_scalar(cls: type) -> bool:
    return cls.__module__ == "numpy" and is_numpy_scalar(cls)


def isinstance_of(value: Any, origin: type) -> bool:
    try:
        return isinstance(value, origin)
    except TypeError:  # a protocol that is not for this
        return True


def _said(found: Misfit) -> str:
    text = repr(found.value)
    text = text if len(text) <= 60 else text[:59] + "…"
    inside = f"{found.where.removeprefix(chr(39) + 's ')} of what it returned is" if found.where else "it returned"
    kind = "" if found.value is None else f" ({type(found.value).__name__})"
    wanted = f", not {show(found.wanted)}" if found.where else ""
    return f"{inside} {text}{kind}{wanted}"


def _hint(found: Misfit, annotation: Any) -> str:
    value = found.value
    if value is None and not found.where:
        return f"is a return missing? else annotate it {show(annotation)} | None"
    origin = get_origin(found.wanted) or found.wanted
    if isinstance(origin, type) and _is_other_list(value, origin):
        return f"convert it: {origin.__name__}(…)"
    if members(annotation) == (type(None),):
        return "annotate what it returns, or return nothing"
    if hasattr(value, "tolist") and getattr(value, "ndim", None) is not None:
        return "convert it: .item() for one number, .tolist() for a list" if value.ndim < 2 else "convert it: .tolist()"
    return "return what the annotation says, or change the annotation"


def _refuse_streams(value: Any, what: str) -> None:
    """What can be looked at only once, and is empty for the next operation."""
    if inspect.iscoroutine(value) or inspect.isawaitable(value):
        close = getattr(value, "close", None)
        if close is not None:
            close()  # or Python warns that nobody awaited it
        raise NotSerializable(f"{what} returned a coroutine, which nobody runs", hint="return asyncio.run(…) of it")
    if isinstance(value, Iterator):
        raise NotSerializable(
            f"{what} returned a {type(value).__name__}, which gives its items once",
            hint="convert it: return list(…) of it",
        )
