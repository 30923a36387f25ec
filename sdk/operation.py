"""`@operation`: a plain function that, called while a pipeline is recorded, becomes a step of the plan (DESIGN 5)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePath
from typing import Any, Generic, Literal, ParamSpec, TypeVar, cast, overload

from jeyn.errors import PlanInvalid, UsageError
from jeyn.sdk.annotation import members, show
from jeyn.sdk.argument import described, items_suit, source_of, suits
from jeyn.sdk.artefact import Artefact
from jeyn.sdk.file import File
from jeyn.sdk.handle import Handle, Handles, Promise
from jeyn.sdk.mapped import known_list
from jeyn.sdk.options import checked_options
from jeyn.sdk.plan import RETURN, Options, Output, PlannedOperation, Problem, Source
from jeyn.sdk.recorder import Recorder, checked_name, current_recorder
from jeyn.sdk.signature import (
    check_function,
    check_importable,
    description_of,
    reference_of,
    signature_of,
)

P = ParamSpec("P")
R = TypeVar("R")

_memoised = functools.lru_cache(maxsize=10_000)  # by function: a plan may call one of them many thousand times


class Operation(Generic[P, R]):
    """A function with options. Outside a pipeline a call is the plain call; inside one it is recorded."""

    def __init__(
        self,
        function: Callable[P, R],
        *,
        name: str | None = None,
        options: Options | None = None,
        uses: Sequence[str] = (),
        bound: Mapping[str, Any] | None = None,
    ) -> None:
        if isinstance(function, Operation):
            raise UsageError(f"{function!r} is an operation already", hint="use .options(…) to change it")
        check_function(function, "@operation")
        functools.update_wrapper(self, function)
        self.function = function
        self.name = checked_name(function.__name__ if name is None else name, "operation")
        self.default_options = options or Options.of({})
        self.uses = (uses,) if isinstance(uses, str) else tuple(uses)
        self.bound = dict(bound or {})

    @property
    def reference(self) -> str:
        """`module:qualname`, by which a worker finds the function."""
        return reference_of(self.function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        recorder = current_recorder()
        if recorder is None:
            return self.function(*args, **{**self.bound, **kwargs})
        given = signature_of(self.function).bind(args, {**self.bound, **kwargs}, self._what)
        return cast(R, self._record(recorder, given))

    def bind(self, **arguments: Any) -> Operation[..., R]:
        """The operation with some of its arguments given already."""
        for name in arguments:
            signature_of(self.function).check_name(name, self._what)
        return self._copy(bound={**self.bound, **arguments})

    def map(self, **lists: Any) -> list[R]:
        """One operation for each item of the lists; lists of equal length are zipped.

        A list is one of constants, artefacts or handles, an array or a series (by position), a handle whose value is
        one of these, or another map's handle, which is taken item by item. Passed to an operation as an ordinary
        argument, what `map` returns is collected.
        """
        signature_of(self.function).bind((), lists, self._what)
        lists = {name: self._list(name, value) for name, value in lists.items()}
        self._check_lists(lists)
        recorder = current_recorder()
        if recorder is None:
            rows = zip(*lists.values(), strict=True)
            return [self.function(**{**self.bound, **dict(zip(lists, row, strict=True))}) for row in rows]  # type: ignore[call-arg]
        return cast("list[R]", self._record(recorder, {**self.bound, **lists}, tuple(lists)))

    def options(self, *, name: str | None = None, **options: Any) -> Operation[P, R]:
        """The operation with other options, which are those of `@operation`, or with another name."""
        changed = {**self.default_options.said, **options}
        return self._copy(name=name, options=checked_options(changed, self._what))

    def __repr__(self) -> str:
        return f"<operation {self.reference}>"

    @property
    def _what(self) -> str:
        return f'the operation "{self.name}"'

    def _copy(
        self, *, name: str | None = None, options: Options | None = None, bound: Mapping[str, Any] | None = None
    ) -> Operation[Any, R]:
        return Operation(
            self.function,
            name=self.name if name is None else name,
            options=options or self.default_options,
            uses=self.uses,
            bound=self.bound if bound is None else bound,
        )

    def _list(self, parameter: str, value: Any) -> Any:
        if isinstance(value, Handle | list):
            return value
        return known_list(value, f'{self._what} is mapped over "{parameter}"')

    def _check_lists(self, lists: Mapping[str, Any]) -> None:
        if not lists:
            raise UsageError(f"{self._what} is mapped over nothing", hint="name the lists: .map(x=[1, 2, 3])")
        if twice := sorted(set(lists) & set(self.bound)):
            raise PlanInvalid(f'{self._what} is mapped over "{twice[0]}", which is bound', hint="drop one of them")
        lengths = {name: len(value) for name, value in lists.items() if isinstance(value, list)}
        if len(set(lengths.values())) > 1:
            found = ", ".join(f'"{name}" has {length}' for name, length in lengths.items())
            raise PlanInvalid(
                f"{self._what} is mapped over lists of unequal length: {found}",
                hint="lists are zipped; for all pairs make both lists with itertools.product",
            )

    def _record(self, recorder: Recorder, given: Mapping[str, Any], mapped: tuple[str, ...] = ()) -> Handle | Handles:
        signature = signature_of(self.function)
        signature.check_complete(given, self._what)
        check_importable(self.function, self.name)
        inputs = self.sources(given)
        name = recorder.name_operation(self.name, self.function)
        recorder.add(self.planned(name, inputs, mapped, recorder))
        for parameter, value in given.items():
            self._check_type(recorder, name, parameter, value, mapped=parameter in mapped)
        return _handles(name, signature.outputs, bool(mapped), recorder)

    def sources(self, given: Mapping[str, Any], without: Sequence[str] = ()) -> dict[str, Source]:
        """Where each input comes from, in the order of the parameters; defaults are constants like any other."""
        return {
            name: source_of(given[name], f'"{name}" of {self._what}')
            if name in given
            else _default_source(self.function, name)
            for name in signature_of(self.function).parameters
            if name not in without
        }

    def planned(
        self, name: str, inputs: dict[str, Source], mapped: tuple[str, ...], recorder: Recorder
    ) -> PlannedOperation:
        """This operation as a plan has it."""
        return PlannedOperation(
            name=name,
            function=self.reference,
            description=_description(self.function),
            inputs=inputs,
            mapped=mapped,
            outputs=_shown_outputs(self.function),
            conditions=recorder.conditions,
            options=self.default_options,
        )

    def _check_type(self, recorder: Recorder, name: str, parameter: str, value: Any, *, mapped: bool) -> None:
        wanted = signature_of(self.function).parameters[parameter].annotation
        if wanted is Any and not mapped:
            return
        if items_suit(value, wanted) if mapped else suits(value, wanted):
            return
        each = "each item of " if mapped else ""
        recorder.problems.append(
            Problem(
                error="WrongType",
                operation=name,
                message=f'"{name}" takes {each}"{parameter}" as {show(wanted) or "a list"}, but {described(value)}',
                hint=_type_hint(value, wanted, mapped),
            )
        )


def _handles(name: str, outputs: Mapping[str, Any], mapped: bool, recorder: Recorder) -> Handle | Handles:
    def handle(output: str, label: str) -> Handle:
        return Handle(Promise(label, Output(operation=name, output=output), outputs[output], mapped, recorder))

    if [*outputs] == [RETURN]:
        return handle(RETURN, f'"{name}"')
    return Handles(f'"{name}"', {output: handle(output, f'"{output}" of "{name}"') for output in outputs})


@overload
def operation(function: Callable[P, R], /) -> Operation[P, R]: ...
@overload
def operation(
    *,
    name: str | None = None,
    uses: Sequence[str] = (),
    retries: int = 0,
    backoff: float = 1.0,
    timeout: float | None = None,
    resources: Mapping[str, int | float | str] = ...,
    cache: bool = True,
    image: str | None = None,
    k8s: Mapping[str, Any] = ...,
    sidecar: Literal["dapr"] | None = None,
) -> Callable[[Callable[P, R]], Operation[P, R]]: ...
def operation(function: Any = None, /, *, name: str | None = None, uses: Sequence[str] = (), **options: Any) -> Any:
    """Make a function an operation; `uses` names modules or files that it imports in ways no one can see."""

    def decorate(function: Callable[P, R]) -> Operation[P, R]:
        what = f'the operation "{name or getattr(function, "__name__", function)}"'
        return Operation(function, name=name, options=checked_options(options, what), uses=uses)

    return decorate if function is None else decorate(function)


@_memoised
def _default_source(function: Callable[..., Any], parameter: str) -> Source:
    return source_of(
        signature_of(function).parameters[parameter].default,
        f'the default of "{parameter}" of the operation "{function.__name__}"',
    )


@_memoised
def _description(function: Callable[..., Any]) -> str:
    return description_of(function)


@_memoised
def _shown_outputs(function: Callable[..., Any]) -> dict[str, str]:
    return {output: show(annotation) for output, annotation in signature_of(function).outputs.items()}


def _type_hint(value: Any, wanted: Any, mapped: bool) -> str:
    classes = [member for member in members(wanted) if isinstance(member, type)]
    if isinstance(value, str) and any(issubclass(cls, Artefact) for cls in classes):
        return f'pass the artefact of that name: jeyn.ref("{value}")'
    if isinstance(value, str) and any(issubclass(cls, PurePath | File) for cls in classes):
        return f'pass the file: jeyn.File("{value}")'
    if mapped and isinstance(value, Handle):
        return "map over an operation that returns a list, or over what .map(…) returned"
    return "change one of the two annotations, or convert the value in an operation between them"
