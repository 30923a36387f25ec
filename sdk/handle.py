"""Handles: what stands for an operation's output while a pipeline is recorded, and the conditions made of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from jeyn.errors import PlanInvalid, UsageError
from jeyn.sdk.constant import plain
from jeyn.sdk.plan import AllOf, AnyOf, Compare, Comparison, Condition, Constant, Not, Ref, Source, Truth
from jeyn.sdk.recorder import Recorder, current_recorder
from jeyn.sdk.reference import Reference


@dataclass(frozen=True, slots=True, eq=False)
class Promise:
    """What a handle stands for. A mapped one is many items, each of the type `annotation`."""

    label: str  # for messages: what gives it
    source: Source
    annotation: Any
    mapped: bool = False
    recorder: Recorder | None = None  # None: it belongs to no recording, as a reference


class Combinable:
    """`&`, `|` and `~` of handles and conditions."""

    __slots__ = ()
    __array_ufunc__ = None  # so that NumPy's scalars leave comparisons to us

    def __and__(self, other: Any) -> ConditionExpression:
        return ConditionExpression(AllOf(conditions=(_operand(self), _operand(other))))

    def __or__(self, other: Any) -> ConditionExpression:
        return ConditionExpression(AnyOf(conditions=(_operand(self), _operand(other))))

    def __rand__(self, other: Any) -> ConditionExpression:
        return ConditionExpression(AllOf(conditions=(_operand(other), _operand(self))))

    def __ror__(self, other: Any) -> ConditionExpression:
        return ConditionExpression(AnyOf(conditions=(_operand(other), _operand(self))))

    def __invert__(self) -> ConditionExpression:
        return ConditionExpression(Not(condition=condition_of(self)))


class ConditionExpression(Combinable):
    """A condition on values that exist only when the pipeline runs; for `jeyn.when`."""

    __slots__ = ("condition",)

    def __init__(self, condition: Condition) -> None:
        self.condition = condition

    def __bool__(self) -> NoReturn:
        raise UsageError(
            "whether this condition holds is known only when the pipeline runs",
            hint="write `with jeyn.when(condition):`, and combine conditions with & | ~ in parentheses, "
            "as in (0.5 < a) & (a < 0.9), never with if, and, or, not",
        )

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> NoReturn:
        raise _condition_compared()

    def __ne__(self, other: object) -> NoReturn:
        raise _condition_compared()


class Handle(Combinable):
    """One output of an operation, or a reference: pass it to operations, compare it, map over it."""

    __slots__ = ("_promise",)

    def __init__(self, promise: Promise) -> None:
        self._promise = promise

    def __repr__(self) -> str:
        return f"<handle of {self._promise.label}>"

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> ConditionExpression:  # type: ignore[override]
        return _compare(self, "==", other)

    def __ne__(self, other: object) -> ConditionExpression:  # type: ignore[override]
        return _compare(self, "!=", other)

    def __lt__(self, other: Any) -> ConditionExpression:
        return _compare(self, "<", other)

    def __le__(self, other: Any) -> ConditionExpression:
        return _compare(self, "<=", other)

    def __gt__(self, other: Any) -> ConditionExpression:
        return _compare(self, ">", other)

    def __ge__(self, other: Any) -> ConditionExpression:
        return _compare(self, ">=", other)

    def __bool__(self) -> NoReturn:
        raise _no_value(self, "be true or false", "write `with jeyn.when(handle > 0.9):` instead of if, and, or, not")

    def __iter__(self) -> Iterator[Any]:
        raise _no_value(
            self,
            "be unpacked or iterated",
            "map an operation over it: op.map(x=handle); for several outputs annotate the operation with "
            "a NamedTuple, a dataclass or tuple[A, B]",
        )

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # copy, pickle and notebooks ask for these
            raise AttributeError(name)
        raise _no_value(self, f'give its attribute "{name}"', _MAKE_IT_AN_INPUT)

    def __format__(self, spec: str) -> str:
        raise _no_value(self, "be written into a text", _MAKE_IT_AN_INPUT)


class Handles:
    """Several outputs of one operation: by name, as attributes, or unpacked in order."""

    __slots__ = ("_handles", "_label")

    def __init__(self, label: str, handles: dict[str, Handle]) -> None:
        self._label = label
        self._handles = handles

    def __repr__(self) -> str:
        return f"<handles of {self._label}: {', '.join(self._handles)}>"

    def __iter__(self) -> Iterator[Handle]:
        return iter(self._handles.values())

    def __len__(self) -> int:
        return len(self._handles)

    def __bool__(self) -> NoReturn:
        raise several_outputs(self, "a condition")

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> NoReturn:
        raise several_outputs(self, "a comparison")

    def __ne__(self, other: object) -> NoReturn:
        raise several_outputs(self, "a comparison")

    def __getattr__(self, name: str) -> Handle:
        if name in self._handles:
            return self._handles[name]
        if name.startswith("__"):
            raise AttributeError(name)
        raise UsageError(f'{self._label} has no output "{name}"', hint=f"its outputs: {', '.join(self._handles)}")

    def __getitem__(self, index: Any) -> Any:
        handles = [*self._handles.values()]
        if isinstance(index, int | slice) and (isinstance(index, slice) or -len(handles) <= index < len(handles)):
            return handles[index]
        raise UsageError(
            f'{self._label} has no output "{index}"', hint=f"it has {len(handles)}: {', '.join(self._handles)}"
        )


def ref(reference: str | Reference) -> Any:
    """A saved artefact by reference, resolved once when the run is created, and recorded with it (SEMANTICS 20)."""
    text = str(Reference.parse(reference))
    return Handle(Promise(label=f'the reference "{text}"', source=Ref(reference=text), annotation=Any))


def promise_of(handle: Handle) -> Promise:
    """What a handle stands for; raises `PlanInvalid` when it was made in another recording."""
    promise = handle._promise
    if promise.recorder is not None and promise.recorder is not current_recorder():
        raise PlanInvalid(
            f"the output of {promise.label} belongs to another recording of a pipeline",
            hint="handles live only inside the pipeline body that made them; call the operation in this one",
        )
    return promise


def handles_of(several: Handles) -> dict[str, Handle]:
    return dict(several._handles)


def only_output(several: Handles, where: str) -> Handle:
    """That of `tuple[X]`, which is passed on as a tuple of one; several cannot be."""
    if len(several) != 1:
        raise several_outputs(several, where)
    return next(iter(several))


def several_outputs(several: Handles, where: str) -> UsageError:
    names = list(several._handles)
    how = f"for instance .{names[0]}" if names[0].isidentifier() else "unpacked: a, b = …"
    return UsageError(
        f"{where} would get {len(names)} outputs of {several._label} at once", hint=f"pass one of them, {how}"
    )


def condition_of(value: Any) -> Condition:
    """What `jeyn.when` takes: a condition, a handle, or a value that is known already."""
    if isinstance(value, ConditionExpression):
        return value.condition
    return Truth(source=_operand_source(value))


def _operand(value: Any) -> Condition:
    if isinstance(value, Combinable | bool):
        return condition_of(value)
    raise UsageError(
        f'"{value!r}" is combined with a condition', hint="& and | bind tightly: write (a > 0.9) & (b < 0.1)"
    )


def _compare(left: Handle, operator: Comparison, right: Any) -> ConditionExpression:
    return ConditionExpression(Compare(operator=operator, left=_operand_source(left), right=_operand_source(right)))


def _operand_source(value: Any) -> Source:
    if isinstance(value, Handles):
        raise several_outputs(value, "a condition")
    if isinstance(value, ConditionExpression):
        raise _condition_compared()
    if not isinstance(value, Handle):
        return Constant(value=plain(value, "a value in a condition"))
    promise = promise_of(value)
    if promise.mapped:
        raise UsageError(
            f"a condition reads the many items of {promise.label}",
            hint="pass them to an operation that returns one value, and compare that",
        )
    return promise.source


def _condition_compared() -> UsageError:
    return UsageError("a condition is compared with a value", hint="combine conditions with & | ~ in parentheses")


def _no_value(handle: Handle, what: str, cure: str) -> UsageError:
    return UsageError(
        f"{handle._promise.label} has no value while the pipeline is recorded, so it cannot {what}", hint=cure
    )


_MAKE_IT_AN_INPUT = "pass the handle to an operation, and do this there"
_ARITHMETIC = ("add", "sub", "mul", "matmul", "truediv", "floordiv", "mod", "pow", "xor", "lshift", "rshift")
_CONVERSIONS = ("neg", "pos", "abs", "int", "float", "index", "round")
_REFUSED = (*_ARITHMETIC, *(f"r{name}" for name in _ARITHMETIC), *_CONVERSIONS, "len", "contains", "getitem", "call")


def _refuse(name: str) -> Any:
    def refused(self: Handle, *args: Any, **kwargs: Any) -> NoReturn:
        raise _no_value(self, f'be used with "{name}"', _MAKE_IT_AN_INPUT)

    return refused


for _name in _REFUSED:
    setattr(Handle, f"__{_name}__", _refuse(_name))
