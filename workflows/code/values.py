"""What module-level names are worth after import, where plain data can hold it, as digests (SEMANTICS 36).

Equal values have equal digests in every process and on every machine: sets are sorted, a path below the project is
taken from its root. What is no data in a value, such as a function or an open file, counts by its name or type.
"""

from __future__ import annotations

import argparse
import array
import ast
import collections
import contextvars
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import hashlib
import io
import os
import re
import struct
import sys
import types
import uuid
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from jeyn.workflows.code.known import DECORATORS, HOLDERS, MAKERS, READ_NO_DOCSTRING
from jeyn.workflows.code.reads import digest_now, is_read
from jeyn.workflows.code.statements import DOTTED
from jeyn.workflows.generators import is_generator

if TYPE_CHECKING:
    from jeyn.workflows.code.statements import Statement

PREFIX = "value of "
CHANGING = " (new at each import)"
LARGEST = 64 * 2**20  # bytes of one value; what is larger counts by its type and length
MOST = 200_000  # objects in one value
_SIMPLE = (bool, int, float, complex, str, bytes, bytearray, type(None))
_EXACT = (
    decimal.Decimal,
    fractions.Fraction,
    uuid.UUID,
    datetime.date,
    datetime.time,
    datetime.timedelta,
    range,
    slice,
)
_CONTAINERS = (str, bytes, int, float, list, tuple, dict, set, frozenset)
_METHODS = (types.MethodType, types.BuiltinMethodType)
_DECORATORS = frozenset(each.rpartition(".")[2] for each in DECORATORS) | {"register"} | READ_NO_DOCSTRING
_IMPORTS = (ast.Import, ast.ImportFrom)
_SEEDED = "(default_rng|Random|RandomState|Generator|SeedSequence)"
_LOADS = re.compile("load|pretrained|open|read")
_CHANGES = re.compile(
    r"\b(time|time_ns|now|today|utcnow|uuid1|uuid4|randint|choice|secrets|token_hex|urandom|getpid|mkdtemp|mkstemp"
    rf"|NamedTemporaryFile|TemporaryDirectory|gettempdir|perf_counter|monotonic|random(?!\.{_SEEDED}\b))\b|{_SEEDED}\(\)"
)


def names_with_values(
    touching: Mapping[str, list[Statement]], names: Iterable[str], imported: frozenset[str]
) -> list[str]:
    """Those of the names whose value their own text does not tell."""
    return sorted(
        name
        for name in names
        if (not all(_is_evident(each, imported) for each in touching[name]) if name in touching else name[:2] != "__")
    )


def changed_digest(value: Any, statements: list[Statement], root: Path) -> str | None:
    """What plain data is worth that others changed after its own text made it, None for what is as it was made."""
    node = statements[0].node if len(statements) == 1 else None
    if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None or not is_plain(value):
        return None
    try:
        made = ast.literal_eval(node.value)
    except (ValueError, TypeError, MemoryError, RecursionError):
        return None
    now = value_digest(value, root)
    return None if now == value_digest(made, root) else now


def modules_in(value: Any) -> list[str]:
    """The modules that a value is or holds, by their names."""
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else [value]
    return [each.__name__ for each in inside if isinstance(each, types.ModuleType)]


def texts_in(value: Any) -> set[str]:
    """The texts in plain data that may be names of modules."""
    if isinstance(value, str):
        return {value} if len(value) < 200 and DOTTED.fullmatch(value) else set()
    inside = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple | set) else ()
    return {text for each in inside for text in texts_in(each)}


def is_drawn(value: Any, part: str, makers: Iterable[Statement]) -> bool:
    """A generator that nobody seeded, or a network whose weights nobody loaded: other numbers at each import.

    They are no more the code's than what `random()` gives.
    """
    if hasattr(value, "load_state_dict") and hasattr(value, "named_parameters"):
        return not any(_LOADS.search(ast.unparse(each.node)) for each in makers)
    return part.endswith(CHANGING) and re.fullmatch(_SEEDED, type(value).__name__) is not None


def part_name(label: str, name: str, touching: Mapping[str, list[Statement]]) -> str:
    """The part of a function's code that a value is; one that reads a clock or a random number says so."""
    makers = touching.get(name, ())
    called = [each for maker in makers for used in maker.uses for each in touching.get(used, ())]
    texts = [ast.unparse(each.node) for each in [*makers, *called] if not isinstance(each.node, _IMPORTS)]
    changes = any(map(_CHANGES.search, texts))
    return f"{PREFIX}{label}:{name}{CHANGING if changes else ''}"


def without_values(parts: Mapping[str, str]) -> dict[str, str]:
    """The parts that the text of files gives, which are the same in every process."""
    return {name: digest for name, digest in parts.items() if not name.startswith(PREFIX) and not is_read(name)}


def without_changing(parts: Mapping[str, str]) -> dict[str, str]:
    """The parts without the values that no two processes share."""
    return {name: digest for name, digest in parts.items() if not name.endswith(CHANGING)}


class HeldValues:
    """What the values and files that a plan counted are in this process, where they are `others`: part -> digest."""

    def __init__(self, parts: Mapping[str, str], function: Callable[..., Any], root: Path) -> None:
        self._waiting = {part: digest for part, digest in parts.items() if part.startswith(PREFIX)}
        self._function, self._root = function, root
        self._is_late = False
        files = {part: digest_now(part, root) for part in parts if is_read(part)}
        self.others = {part: digest for part, digest in files.items() if digest != parts[part]}

    def look(self) -> None:
        """Look at each value once: those of modules that are imported late, the next time."""
        for part, digest in list(self._waiting.items()):
            label, _, name = part.removeprefix(PREFIX).removesuffix(CHANGING).rpartition(":")
            space = _namespace(label, self._function)
            if space:
                del self._waiting[part]
                value = space.get(name)
                now = value_digest(value, self._root) or ""
                is_drawn_from = self._is_late and is_generator(
                    value
                )  # by the operation that was the first to import it
                if now != digest and not is_drawn_from:
                    self.others[part] = now
        self._is_late = True

    def say(self) -> None:
        """Tell the log which values are others here, but for those that always are."""
        names = [part.removeprefix(PREFIX) for part in self.others if not part.endswith(CHANGING)]
        if names:
            print(
                f"{', '.join(names)}: another value here than where the plan was made, so the cache keeps this result"
                " for that value alone",
                file=sys.stderr,
            )


def value_digest(value: Any, root: Path) -> str | None:
    """The digest of a value, None for one that is no data at all: a module, a logger.

    A function is worth its code, its default values and what it closes over; a class the data that it holds itself
    and its functions.
    """
    value = _held(value)
    if not _is_data(value):
        return None
    walk = _Walk(root)
    try:
        walk.add(value, ())
    except _TooLarge:
        length = len(value) if hasattr(value, "__len__") else 0
        return f"sha256:{hashlib.sha256(f'large {type(value).__qualname__} {length}'.encode()).hexdigest()}"
    except Exception:  # a class of the user's own may answer anything
        return None
    return f"sha256:{walk.hash.hexdigest()}"


def _held(value: Any) -> Any:
    if _of(value, "jeyn"):  # an operation
        value = getattr(value, "function", value)
    if isinstance(value, type):
        own = {name: each for name, each in vars(value).items() if _is_worth(name, each)}
        return [_named(value), own] if _is_own(value) or own else value
    return value


def _is_worth(name: str, value: Any) -> bool:
    return isinstance(value, types.FunctionType) or (not name.startswith("__") and _is_data(value))


class _TooLarge(Exception):
    pass


class _Walk:
    def __init__(self, root: Path) -> None:
        self.hash = hashlib.sha256()
        self.root = str(root)
        self.objects = self.bytes = 0

    def add(self, value: Any, above: tuple[int, ...]) -> None:
        self.objects += 1
        if self.objects > MOST or len(above) > 100:
            raise _TooLarge
        kind = type(value)
        if id(value) in above:
            return self.say("again", str(len(above) - above.index(id(value))).encode())
        above = (*above, id(value))
        if isinstance(value, enum.Enum):
            return self.say(f"enum {kind.__qualname__}", value.name.encode())
        if isinstance(value, _CONTAINERS) and _is_own(kind) and getattr(value, "__dict__", None):
            self.many("with", [vars(value)], above)  # what a subclass keeps beside
        if isinstance(value, _SIMPLE):
            return self.simple(value)
        if isinstance(value, PurePath):
            return self.say("path", self.placed(str(value)).encode())
        if isinstance(value, _EXACT):
            return self.say(kind.__name__, repr(value).encode())
        if isinstance(value, re.Pattern):
            return self.many("pattern", [value.pattern, value.flags], above)
        if isinstance(value, Mapping):
            return self.many(f"map {kind.__qualname__}", [each for pair in value.items() for each in pair], above)
        if isinstance(value, set | frozenset):
            return self.many("set", sorted(self.inner(each, above) for each in value), above)
        if isinstance(value, list | tuple | collections.deque):
            return self.many(kind.__qualname__, list(value), above)
        if self.table(value, above) or self.called(value, above):
            return None
        if _holds(value):
            reduced = _reduced(value)
            return self.many(_named(kind), [reduced] if isinstance(reduced, str) else list(reduced), above)
        if not _is_data(value):
            return self.say("named", _named(value).encode())
        return self.many(f"object {kind.__module__}.{kind.__qualname__}", [_state(value)], above)

    def simple(self, value: Any) -> None:
        kind = next(each for each in _SIMPLE if isinstance(value, each)).__name__
        if isinstance(value, str):
            return self.say(kind, self.placed(value).encode("utf-8", "surrogatepass"))
        if isinstance(value, bytes | bytearray):
            return self.say(kind, bytes(value))
        if isinstance(value, complex):
            return self.say(kind, struct.pack("<dd", value.real, value.imag))
        if isinstance(value, float):
            return self.say(kind, struct.pack("<d", value))
        return self.say(kind, (hex(value) if isinstance(value, int) else "").encode())

    def table(self, value: Any, above: tuple[int, ...]) -> bool:
        """Arrays and frames by what they hold, where their library is loaded already."""
        top = type(value).__module__.partition(".")[0]
        if top == "numpy" and hasattr(value, "dtype"):
            if value.dtype.hasobject:
                self.many("array", [list(value.shape), value.tolist()], above)
            else:
                self.say(f"array {value.dtype.str} {value.dtype} {getattr(value, 'shape', ())}", value.tobytes())
        elif top in ("pandas", "geopandas") and hasattr(value, "columns"):
            columns = [value.iloc[:, at] for at in range(len(value.columns))]
            self.many("frame", [value.columns, value.index, dict(value.attrs), *columns], above)
        elif top in ("pandas", "geopandas") and hasattr(value, "to_numpy") and hasattr(value, "__len__"):
            beside = [getattr(value, each, None) for each in ("name", "names", "dtype", "index", "attrs")]
            self.many("series", [*beside, value.to_numpy()], above)
        elif top == "pyarrow" and hasattr(value, "to_pydict"):
            self.many(type(value).__name__, [value.schema, value.to_pydict()], above)
        elif top == "pyarrow" and (hasattr(value, "to_pylist") or hasattr(value, "as_py")):
            self.many(
                type(value).__name__,
                [value.type, value.to_pylist() if hasattr(value, "to_pylist") else value.as_py()],
                above,
            )
        elif top == "polars" and hasattr(value, "to_list"):
            self.many("polars", [value.name, str(value.dtype), value.to_list()], above)
        elif top == "polars" and hasattr(value, "to_dict"):
            self.many(type(value).__name__, [str(value.schema), value.to_dict(as_series=False)], above)
        elif top == "torch" and hasattr(value, "detach"):
            self.many("tensor", [value.detach().cpu().numpy()], above)
        else:
            return False
        return True

    def called(self, value: Any, above: tuple[int, ...]) -> bool:
        """What can be called by the data that comes with it: a closure, a partial, a method of an object."""
        if isinstance(value, types.FunctionType) and _is_own(value):
            cells = [_content(each) for each in value.__closure__ or ()]
            own = {name: each for name, each in vars(value).items() if name != "__wrapped__"}
            parts = [value.__defaults__, value.__kwdefaults__, cells, own]
            self.many(f"function {value.__qualname__}", [*_code(value.__code__, value.__doc__), *parts], above)
        elif isinstance(value, functools.partial):
            self.many("partial", [value.func, value.args, value.keywords], above)
        elif isinstance(value, _METHODS) and _is_data(value.__self__):
            self.many(f"method {value.__name__}", [value.__self__, getattr(value, "__func__", None)], above)
        elif isinstance(value, contextvars.ContextVar):
            self.many("variable", [value.name, _of_variable(value)], above)
        elif isinstance(value, memoryview | array.array):
            self.many(
                type(value).__name__,
                [getattr(value, "format", None), getattr(value, "typecode", None), value.tobytes()],
                above,
            )
        else:
            return False
        return True

    def many(self, kind: str, values: list[Any], above: tuple[int, ...]) -> None:
        self.say(kind, str(len(values)).encode())
        for each in values:
            self.add(each, above)

    def inner(self, value: Any, above: tuple[int, ...]) -> str:
        walk = _Walk(Path(self.root))
        walk.add(value, above)
        self.objects += walk.objects
        return walk.hash.hexdigest()

    def say(self, kind: str, data: bytes) -> None:
        self.bytes += len(data)
        if self.bytes > LARGEST:
            raise _TooLarge
        self.hash.update(f"{kind} {len(data)}\n".encode() + data)

    def placed(self, text: str) -> str:
        """A place below the project, from its root: the project may lie elsewhere."""
        is_below = text == self.root or text.startswith(self.root + "/")
        return f"<project>{text[len(self.root) :]}" if is_below else text


def _is_data(value: Any) -> bool:
    if isinstance(value, (*_SIMPLE, *_EXACT, PurePath, enum.Enum, re.Pattern)):
        return True
    kind = type(value)
    if isinstance(value, Mapping | set | frozenset | list | tuple):
        return value is not os.environ
    if isinstance(value, types.FunctionType):
        return _is_own(value)
    if isinstance(value, functools.partial | contextvars.ContextVar | memoryview | array.array):
        return True
    if isinstance(value, _METHODS):
        return _is_data(value.__self__)
    if isinstance(value, type | types.ModuleType):
        return False
    if _of(value, "numpy", "pandas", "geopandas", "pyarrow", "polars", "torch") and _is_table(value):
        return True
    if isinstance(value, types.SimpleNamespace | argparse.Namespace | collections.deque):
        return True
    if dataclasses.is_dataclass(kind) or hasattr(kind, "__attrs_attrs__") or hasattr(kind, "model_dump"):
        return not _of(value, "jeyn")
    return _holds(value) or (_is_own(kind) and _state(value) is not None)


def is_closed(value: Any) -> bool:
    """Whether it is a file that nobody can read from any more: the `f` of `with open(…) as f:`."""
    return isinstance(value, io.IOBase) and value.closed


def is_plain(value: Any, depth: int = 20) -> bool:
    """Whether it is such data as a JSON or YAML file holds; a registry of functions is told by their text."""
    if isinstance(value, Mapping):
        return depth > 0 and all(is_plain(each, depth - 1) for each in value.values())
    if isinstance(value, list | tuple | set | frozenset):
        return depth > 0 and all(is_plain(each, depth - 1) for each in value)
    return isinstance(value, (*_SIMPLE, *_EXACT, PurePath))


def _is_table(value: Any) -> bool:
    return any(hasattr(value, each) for each in ("dtype", "to_numpy", "to_pydict", "to_dict", "to_pylist", "as_py"))


def _holds(value: Any) -> bool:
    """Whether it is an object of a library whose objects are what they hold, such as a fitted model."""
    return type(value).__module__.partition(".")[0] in HOLDERS and _reduced(value) is not None


def _reduced(value: Any) -> Any:
    """What pickle would keep of it, None where it keeps nothing; iterators lose nothing by being asked."""
    try:
        return value.__reduce_ex__(4)
    except Exception:
        return None


def _code(code: types.CodeType, doc: str | None = None) -> list[Any]:
    """What a function does, without its place in a file and its docstring."""
    constants = [each for each in code.co_consts if doc is None or each is not doc]
    inner = [_code(each) if isinstance(each, types.CodeType) else each for each in constants]
    return [code.co_code, list(code.co_names), list(code.co_varnames), inner]


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not bound yet
        return None


def _of_variable(variable: contextvars.ContextVar[Any]) -> Any:
    try:
        return variable.get()
    except LookupError:
        return None


def _of(value: Any, *libraries: str) -> bool:
    return type(value).__module__.partition(".")[0] in libraries


def _is_own(kind: type | types.FunctionType) -> bool:
    """Whether a class is of the user's own code: what a library's object holds is its own business."""
    top = (kind.__module__ or "").partition(".")[0]
    file = getattr(sys.modules.get(kind.__module__), "__file__", None)
    if top in ("builtins", "jeyn") or top in sys.stdlib_module_names:
        return kind.__module__ == "__main__"
    return file is None or not any(each in Path(file).parts for each in ("site-packages", "dist-packages"))


def _state(value: Any) -> Any:
    """The fields of an object, None for one that holds them elsewhere."""
    if hasattr(type(value), "model_dump"):  # pydantic
        return value.model_dump()
    slots = [name for kind in type(value).__mro__ for name in _slots(kind)]
    fields = {name: getattr(value, name) for name in slots if hasattr(value, name)}
    own = getattr(value, "__dict__", None)
    return {**fields, **own} if isinstance(own, dict) else fields if slots else None


def _slots(kind: type) -> tuple[str, ...]:
    found = vars(kind).get("__slots__", ())
    names = (found,) if isinstance(found, str) else tuple(found)
    own = kind.__name__.lstrip("_")
    return tuple(f"_{own}{each}" if each.startswith("__") else each for each in names if not each.endswith("__"))


def _named(value: Any) -> str:
    kind = value if hasattr(value, "__qualname__") else type(value)
    return f"{getattr(kind, '__module__', '')}.{getattr(kind, '__qualname__', '')}"


def _is_evident(statement: Statement, imported: frozenset[str]) -> bool:
    """Whether its text, and that of what it uses, says all about what it binds."""
    return _says_all(statement.node, imported)


def _says_all(node: ast.AST, imported: frozenset[str]) -> bool:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        given = [*node.args.defaults, *node.args.kw_defaults]
        return all(map(_only_marks, node.decorator_list)) and all(_says_all(each, imported) for each in given if each)
    if isinstance(node, ast.ClassDef):
        return all(map(_only_marks, node.decorator_list)) and all(_says_all(each, imported) for each in node.body)
    if isinstance(node, ast.Import | ast.ImportFrom | ast.Pass):
        return True
    if not isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign | ast.expr):
        return False
    calls = [each.func for each in ast.walk(node) if isinstance(each, ast.Call)]
    names = [each.attr if isinstance(each, ast.Attribute) else getattr(each, "id", "") for each in calls]
    if not MAKERS.issuperset(names):
        return False
    makers = {name.id for each in calls for name in [getattr(each, "value", each)] if isinstance(name, ast.Name)}
    if isinstance(node, ast.AnnAssign):  # what it is said to be is no value
        node = node.value or ast.Constant(None)
    called = {id(each) for each in calls}
    if any(isinstance(each, ast.Attribute | ast.Subscript) and id(each) not in called for each in ast.walk(node)):
        return False  # an object may compute what it is asked for
    read = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)} - makers
    return not any(each in imported or each.startswith("__") for each in read)


def _only_marks(decorator: ast.expr) -> bool:
    """Whether what it makes holds no data of its own."""
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return (called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")) in _DECORATORS


def _namespace(label: str, function: Callable[..., Any]) -> Mapping[str, Any]:
    """The names of the module whose file ends like a label; `notebook` is the function's own."""
    own = getattr(function, "__globals__", {})
    if label == "notebook" or _is_file(own.get("__file__"), label):
        return own if isinstance(own, Mapping) else {}
    parts = label.removesuffix(".py").removesuffix("/__init__").split("/")
    for start in range(len(parts)):
        module = sys.modules.get(".".join(parts[start:]))
        if module is not None and _is_file(getattr(module, "__file__", None), label):
            return vars(module)
    return {}


def _is_file(file: Any, label: str) -> bool:
    return isinstance(file, str) and (file == label or file.endswith(f"/{label}"))
