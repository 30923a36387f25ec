"""Signatures: what a function of an operation or pipeline takes and gives, read once from its annotations."""

from __future__ import annotations

import dataclasses
import inspect
import sys
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, Optional, get_args, get_origin, get_type_hints

from jeyn.errors import PlanInvalid, UsageError
from jeyn.sdk.artefact import Artefact
from jeyn.sdk.plan import RETURN

MISSING: Any = inspect.Parameter.empty


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    annotation: Any  # Any where it is not known
    default: Any = MISSING


@dataclass(frozen=True, slots=True)
class Signature:
    """`outputs` are the annotations by name: "return" alone, or several."""

    parameters: Mapping[str, Parameter]
    outputs: Mapping[str, Any]

    def bind(self, arguments: Sequence[Any], named: Mapping[str, Any], what: str) -> dict[str, Any]:
        """The arguments by name. Raises `PlanInvalid` as Python would raise TypeError; `what` is called."""
        if len(arguments) > len(self.parameters):
            raise PlanInvalid(
                f"{what} is given {len(arguments)} arguments and takes {len(self.parameters)}", hint=self._known()
            )
        bound = dict(zip(self.parameters, arguments, strict=False))
        for name, value in named.items():
            self.check_name(name, what)
            if name in bound:
                raise PlanInvalid(f'{what} is given "{name}" twice', hint="by position and by name: drop one of them")
            bound[name] = value
        return bound

    def check_name(self, name: str, what: str) -> None:
        if name not in self.parameters:
            raise PlanInvalid(f'{what} has no parameter "{name}"', hint=did_you_mean(name, self.parameters))

    def check_complete(self, given: Iterable[str], what: str, cure: str = "pass it: {}=…") -> None:
        """Raises `PlanInvalid` when a parameter without a default is not given; `cure` has its name for {}."""
        known = set(given)
        missing = [each.name for each in self.parameters.values() if each.default is MISSING and each.name not in known]
        if missing:
            names = ", ".join(f'"{name}"' for name in missing)
            raise PlanInvalid(f"{what} is not given {names}", hint=cure.format(missing[0]))

    def _known(self) -> str:
        return f"its parameters: {', '.join(self.parameters)}" if self.parameters else "it takes none"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    names = list(known)
    if not names:
        return "it takes none"
    close = get_close_matches(name, names, n=1, cutoff=0.6)
    return (f'did you mean "{close[0]}"? ' if close else "") + f"its parameters: {', '.join(names)}"


@lru_cache(maxsize=10_000)
def signature_of(function: Callable[..., Any]) -> Signature:
    """What a function takes and gives; an annotation that cannot be resolved is taken as unknown."""
    hints = _hints(function)
    parameters = {}
    for name, found in inspect.signature(function).parameters.items():
        annotation = hints.get(name, Any)
        if found.default is None and annotation is not Any:
            annotation = Optional[annotation]  # noqa: UP045  # known only now
        parameters[name] = Parameter(name, annotation, found.default)
    return Signature(types.MappingProxyType(parameters), types.MappingProxyType(_outputs(hints.get(RETURN, Any))))


def check_function(function: Any, decorator: str) -> None:
    """Raises `UsageError` where a function cannot be found again by name or its arguments cannot be passed by name."""
    if not inspect.isfunction(function):
        raise UsageError(
            f'{decorator} is for functions, and "{function!r}" is none', hint="wrap it: def name(x): return …"
        )
    reason, hint = _obstacle(function)
    if reason:
        raise UsageError(f'{decorator} cannot take "{function.__qualname__}": it is {reason}', hint=hint)


def check_importable(function: Callable[..., Any], name: str) -> None:
    """Raises `UsageError` where a worker could not import the function as `module:name`."""
    if "<locals>" in function.__qualname__:
        raise UsageError(
            f'the operation "{name}" is defined inside another function, where no worker can import it',
            hint="move it to the top level of its module",
        )
    module = sys.modules.get(function.__module__)
    found = getattr(module, function.__name__, None)
    if module is not None and inspect.unwrap(found) is not inspect.unwrap(function):  # type: ignore[arg-type]
        raise UsageError(
            f'the operation "{name}" cannot be found again: "{function.__name__}" of the module '
            f'"{function.__module__}" is something else',
            hint="give each function of the module a name of its own",
        )


def reference_of(function: Callable[..., Any]) -> str:
    return f"{function.__module__}:{function.__qualname__}"


def description_of(function: Callable[..., Any]) -> str:
    """The first line of the docstring."""
    return (inspect.getdoc(function) or "").partition("\n")[0]


def _obstacle(function: types.FunctionType) -> tuple[str, str]:
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        return "async", "write a plain function, with asyncio.run(…) inside"
    if inspect.isgeneratorfunction(function):
        return "a generator", "return a list"
    if function.__name__ == "<lambda>":
        return "a lambda", "write a function with def"
    outer = function.__qualname__.rpartition(".")[0]
    if outer and not outer.endswith("<locals>"):
        return "a method", "move it out of the class"
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            return f'open: its parameter "{name}" takes any number', "name every parameter"
        if parameter.kind is parameter.POSITIONAL_ONLY:
            return f'called by position: its parameter "{name}" has no name outside', "drop the / from its parameters"
    return "", ""


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return get_type_hints(function)
    except Exception:
        # Annotations are the user's code: one that fails, such as a name under TYPE_CHECKING, hides no other.
        return {name: _hint(function, annotation) for name, annotation in function.__annotations__.items()}


def _hint(function: Callable[..., Any], annotation: Any) -> Any:
    alone = types.SimpleNamespace(__annotations__={RETURN: annotation})
    try:
        return get_type_hints(alone, globalns=inspect.unwrap(function).__globals__)[RETURN]
    except Exception:
        return Any


def _outputs(annotation: Any) -> dict[str, Any]:
    """Several for a NamedTuple, a dataclass or a tuple of known length."""
    arguments = get_args(annotation)
    if get_origin(annotation) is tuple and arguments and ... not in arguments:
        return {str(position): part for position, part in enumerate(arguments)}
    return _fields(annotation) or {RETURN: annotation}


def _fields(annotation: Any) -> dict[str, Any]:
    if not isinstance(annotation, type) or issubclass(annotation, Artefact):
        return {}
    if issubclass(annotation, tuple) and hasattr(annotation, "_fields"):
        names: Iterable[str] = annotation._fields
    elif dataclasses.is_dataclass(annotation):
        names = [field.name for field in dataclasses.fields(annotation)]
    else:
        return {}
    hints = _class_hints(annotation)
    return {name: hints.get(name, Any) for name in names}


def _class_hints(cls: type) -> dict[str, Any]:
    try:
        return get_type_hints(cls)
    except Exception:
        return {}
