"""Pipelines: a function that wires operations together; calling it records a plan, and no operation runs (DESIGN 3)."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, Generic, ParamSpec

from jeyn.errors import PlanInvalid, UsageError
from jeyn.sdk.annotation import show
from jeyn.sdk.argument import source_of
from jeyn.sdk.handle import Handle, Handles, handles_of
from jeyn.sdk.operation import Operation
from jeyn.sdk.parameter import check_value, recorded
from jeyn.sdk.plan import RETURN, Plan, PlannedOperation, PlannedParameter, Source
from jeyn.sdk.recorder import Recorder, checked_name, current_recorder, recording
from jeyn.sdk.setting import parse_setting
from jeyn.sdk.signature import check_function, description_of, did_you_mean, reference_of, signature_of

P = ParamSpec("P")

GIVEN_ON_EXIT = ("state", "run", "error")  # what an exit handler may ask for, and the engine gives


class Pipeline(Generic[P]):
    """Called outside a pipeline it gives its `Plan`; inside one, its operations become part of that plan.

    An exit handler, `on_exit`, runs when a run of this pipeline ends, whatever its state; where the pipeline is called
    by another one, that one's handler counts. `parallelism` is how many operations may run at once.
    """

    def __init__(
        self,
        function: Callable[P, Any],
        *,
        name: str | None = None,
        on_exit: Operation[..., Any] | None = None,
        parallelism: int | None = None,
    ) -> None:
        if isinstance(function, Operation | Pipeline):
            raise UsageError(f"{function!r} cannot be a pipeline too", hint="write a function that calls it")
        check_function(function, "@pipeline")
        functools.update_wrapper(self, function)
        self.function = function
        self.name = checked_name(function.__name__ if name is None else name, "pipeline")
        self.on_exit = _checked_exit(on_exit)
        self.parallelism = _checked_parallelism(parallelism)

    @property
    def reference(self) -> str:
        return reference_of(self.function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Any:
        """The plan, or inside another pipeline what the body returns. Raises `UsageError` where it cannot be made."""
        arguments = self.bind(*args, **kwargs)
        recorder = current_recorder()
        if recorder is None:
            return self._plan(arguments)
        with recorder.inside(self.name, self.function):
            return self.function(**arguments)  # type: ignore[call-arg]

    def bind(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """All arguments by name, defaults included, checked against their annotations."""
        signature = signature_of(self.function)
        given = signature.bind(args, kwargs, self._what)
        signature.check_complete(given, self._what)
        for name, value in given.items():
            check_value(value, signature.parameters[name], self._what)
        return {name: given.get(name, parameter.default) for name, parameter in signature.parameters.items()}

    def arguments_from(self, settings: Mapping[str, str]) -> dict[str, Any]:
        """The values of `--set name=text`, by the parameters' annotations. Raises `UsageError`."""
        signature = signature_of(self.function)
        parameters = signature.parameters
        for name in settings:
            if name not in parameters:
                raise UsageError(f'{self._what} has no parameter "{name}"', hint=did_you_mean(name, parameters))
        signature.check_complete(settings, self._what, "give it: --set {}=…")
        return {name: parse_setting(text, parameters[name]) for name, text in settings.items()}

    def __repr__(self) -> str:
        return f"<pipeline {self.reference}>"

    @property
    def _what(self) -> str:
        return f'the pipeline "{self.name}"'

    def _plan(self, arguments: Mapping[str, Any]) -> Plan:
        parameters = self._parameters(arguments)
        with recording() as recorder, recorder.running(self.function):
            returned = self.function(**arguments)  # type: ignore[call-arg]
            return Plan(
                pipeline=self.name,
                function=self.reference,
                description=description_of(self.function),
                parameters=parameters,
                operations=tuple(recorder.operations),
                outputs=self._outputs(returned),
                parallelism=self.parallelism,
                on_exit=None if self.on_exit is None else _planned_exit(self.on_exit, recorder),
                problems=tuple(recorder.problems),
            )

    def _parameters(self, arguments: Mapping[str, Any]) -> dict[str, PlannedParameter]:
        return {
            name: PlannedParameter(
                type=show(parameter.annotation), value=recorded(arguments[name], f'"{name}" of {self._what}')
            )
            for name, parameter in signature_of(self.function).parameters.items()
        }

    def _outputs(self, returned: Any) -> dict[str, Source]:
        found = _by_name(returned)
        if found is None or not all(isinstance(name, str) and isinstance(one, Handle) for name, one in found.items()):
            raise PlanInvalid(
                f"{self._what} returns {returned!r}, which is no output of its operations",
                hint="return an output, a tuple, dict, NamedTuple or dataclass of outputs, or nothing",
            )
        return {name: source_of(handle, f'"{name}" that {self._what} returns') for name, handle in found.items()}


def _by_name(returned: Any) -> dict[str, Any] | None:
    if returned is None:
        return {}
    if isinstance(returned, Handle):
        return {RETURN: returned}
    if isinstance(returned, Handles):
        return dict(handles_of(returned))
    if isinstance(returned, dict):
        return returned
    if isinstance(returned, tuple):
        return dict(zip(getattr(returned, "_fields", map(str, range(len(returned)))), returned, strict=True))
    if dataclasses.is_dataclass(returned) and not isinstance(returned, type):
        return {field.name: getattr(returned, field.name) for field in dataclasses.fields(returned)}
    return None


def _planned_exit(operation: Operation[..., Any], recorder: Recorder) -> PlannedOperation:
    name = recorder.name_operation(operation.name, operation.function)
    return operation.planned(name, operation.sources(operation.bound, without=GIVEN_ON_EXIT), (), recorder)


def _checked_exit(operation: Operation[..., Any] | None) -> Operation[..., Any] | None:
    if operation is None:
        return None
    if not isinstance(operation, Operation):
        raise UsageError(f"on_exit is {operation!r} and no operation", hint="decorate it with @operation")
    signature_of(operation.function).check_complete(
        {*GIVEN_ON_EXIT, *operation.bound}, f'the exit handler "{operation.name}"'
    )
    return operation


def _checked_parallelism(parallelism: int | None) -> int | None:
    if parallelism is not None and (type(parallelism) is not int or parallelism < 1):
        raise UsageError(f'parallelism is "{parallelism}"', hint="give how many operations may run at once, 1 or more")
    return parallelism
