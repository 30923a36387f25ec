"""What lives in a session as statements that make it again elsewhere: by definition where it has one, else by value.

Nothing that ran is run again. Functions and classes come from the text that they were compiled from; a global comes by
the value that it has now, so that cells may have run in any order, any number of times, and may have done anything.
"""

from __future__ import annotations

import base64
import builtins
import copyreg
import enum
import functools
import gc
import re
import sys
import threading
import types
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

from jeyn.errors import JeynError, UsageError
from jeyn.sdk.artefact import Artefact
from jeyn.sdk.catalog import CatalogType
from jeyn.sdk.datasets import DatasetFormula
from jeyn.sdk.operation import Operation
from jeyn.sdk.use_case import MlUseCase
from jeyn.workflows.code.cells import Cells
from jeyn.workflows.code.literal import KEPT, SCALARS, Places, asked, attributes_of, kind_of, literal
from jeyn.workflows.code.live_code import LiveCode, is_import, resolved
from jeyn.workflows.code.memory import Memory

LARGEST = 8 * 2**20  # characters of one value
MISSING: Any = object()

# What IPython itself puts into the session.
_SHELLS = re.compile(r"_+|_i+|_i?\d+|_dh|_oh|_ih|_ii*|_exit_code|_sh|In|Out|exit|quit|get_ipython|open_in_.*|__\w+__")
# Whose instances Python's copy protocol makes again from plain data.
_REBUILT = """
builtins collections dataclasses datetime decimal enum fractions functools ipaddress itertools logging operator pathlib
random re string struct types typing uuid zoneinfo numpy pandas pyarrow jeyn
"""
_ENCODED = ("ndarray", "memmap", "DataFrame", "Series", "Table", "RecordBatch")  # by formats of ours
# Whose objects are something that goes on, not data.
_ACTING = """
_io _thread asyncio concurrent ctypes io mmap multiprocessing queue selectors socket sqlite3 ssl subprocess tempfile
threading weakref
"""
_CONTAINERS = (list, dict, set, frozenset, tuple, bytearray)
_IN_PIECES = ("scipy", "sklearn", "torch")
_ARTEFACT = "pass it to the operation as an input: operation(…, model) takes the saved artefact, or jeyn.ref(…)"
_CURE = "pass it to the operation as an input, or make it inside of a function"


class Live:
    """The statements, name by name. `lines` make things, each after what it needs; then come `fills`, and `last`."""

    def __init__(
        self, cells: Cells, namespace: Mapping[str, Any], *, docs: bool = False, before: Live | None = None
    ) -> None:
        """`before` is a first look, which found what things have in common."""
        self.cells = cells
        self.namespace = namespace
        self.docs = docs
        self.memory: Memory = Memory(before.memory.found() if before else None)
        several = before.places.found() if before else frozenset[int]()
        self.places: Places = Places(several | self.memory.buffers_of_the_users(), self.memory.note)
        self.lines: list[str] = []
        self.fills: list[str] = []
        self.last: list[str] = []
        self.bound: dict[str, Any] = {}
        self.modules: dict[str, ModuleType] = {}
        self.later: deque[Callable[[], None]] = deque()  # what looks at things that may not be defined yet
        self.reads_docs = False
        self._is_in_library = False
        self.code = LiveCode(self)
        self._made: dict[int, str] = {}
        self._alive: list[Any] = []  # an id is one object's only while that lives
        self.open: set[int] = set()
        self.asked: list[tuple[str, str]] = [("", "")]
        self._waiting: deque[tuple[str, Mapping[str, Any], str, bool]] = deque()
        own = {name: value for name, value in namespace.items() if not _SHELLS.fullmatch(name)}
        self.homes = {id(value): name for name, value in own.items() if not isinstance(value, SCALARS)}
        self._holders = {id(found): value for value in own.values() if type(found := attributes_of(value)) is dict}

    def shares_more(self) -> bool:
        """Whether values have something in common that they did not get from one place."""
        ranges = self.memory.found().keys() - self.memory.shared.keys()
        return bool(ranges) or self.places.found() != self.places.several

    def want(self, names: Iterable[str], where: Mapping[str, Any], by: str, *, optional: bool = False) -> None:
        """Names that are read later, when a function is called."""
        self._waiting += [(name, where, by, optional) for name in sorted(names)]

    def drain(self) -> None:
        """Bind what is wanted, and what that wants in turn."""
        while self._waiting:
            name, where, by, optional = self._waiting.popleft()
            if optional:
                self.tried(lambda name=name, where=where, by=by: self.bind(name, where, by))  # type: ignore[misc]
            else:
                self.bind(name, where, by)

    def drain_what_can(self) -> None:
        """`drain`, while a class is being made: what needs that class itself waits until it is there."""
        postponed = []
        while self._waiting:
            each = self._waiting.popleft()
            if not self.tried(lambda each=each: [self.bind(*each[:3])]):  # type: ignore[misc,func-returns-value]
                postponed.append(each)
        self._waiting.extend(postponed)

    def finish(self) -> None:
        """`drain`, and the state of what was defined."""
        self.drain()
        while self.later:
            self.later.popleft()()
            self.drain()

    def bind(self, name: str, where: Mapping[str, Any], by: str = "") -> None:
        """See to it that a global is in the module as it is in the session; what the session lacks is left out."""
        if name == "get_ipython" and (name in where or self.cells.bodies):
            raise UsageError(
                f'"{by}" has a magic (a line with % or !), which only a notebook can run',
                hint="write it in Python, for example with subprocess.run([…])",
            )
        if name == "display" and name not in where:
            self.lines += ["from IPython.display import display"] if name not in self.bound else []
            self.bound[name] = MISSING
            return
        value = where.get(name, self.namespace.get(name, MISSING))
        if value is MISSING or name in ("__builtins__", "__name__", "__file__", "__doc__"):
            return
        if hasattr(builtins, name) and str(getattr(value, "__globals__", {}).get("__name__")).startswith("IPython."):
            return  # the shell has an `open` of its own
        if name in self.bound:
            self._refuse_other(name, value, by)
            return
        self.bound[name] = value
        self.asked.append((name, by))
        made = self.express(value, name)
        self.asked.pop()
        if made != name:
            self.lines.append(f"{name} = {made}")

    def _refuse_other(self, name: str, value: Any, by: str) -> None:
        known = self.bound[name]
        if known is not value and not (isinstance(value, SCALARS) and repr(known) == repr(value)):
            raise UsageError(
                f'two different things are called "{name}"; "{by}" uses one of them, another function the other',
                hint="give one of them another name: what %run ran has globals of its own",
            )

    def express(self, value: Any, name: str = "") -> str:
        """An expression that gives a value; `name` is what it is to be called, which then may be the expression."""
        if isinstance(value, SCALARS) and type(value) in SCALARS:
            return literal(value)
        if id(value) in self._made:
            return self._made[id(value)]
        home = self.homes.get(id(value))
        if home and not name and self.bound.get(home, value) is value and id(value) not in self.open:
            self.bind(home, self.namespace)
            return self._made.get(id(value), home)
        holder = self._holders.get(id(value))
        if holder is not None and id(holder) not in self.open | self._made.keys():
            self.express(holder)
            if id(value) in self._made:
                return self._made[id(value)]
        if id(value) in self.open:
            raise self.refused(value, "it refers to itself")
        self.open.add(id(value))
        try:
            return self._dispatch(value, name)
        finally:
            self.open.discard(id(value))

    def place(self, value: Any, expression: str, name: str = "") -> str:
        """Give a value a name of its own, so that whoever has it has the same one."""
        target = name or self.new_name()
        if expression != target:
            self.lines.append(f"{target} = {expression}")
        return self.made(value, target)

    def made(self, value: Any, expression: str) -> str:
        self._made[id(value)] = expression
        self._alive.append(value)
        return expression

    def new_name(self) -> str:
        self._count = getattr(self, "_count", 0) + 1
        return f"_jeyn_{self._count}"

    def refused(self, value: Any, why: str = "", hint: str = _CURE) -> UsageError:
        """The error for what can neither be defined nor carried: it names the variable and its cell."""
        name, by = next(((n, b) for n, b in reversed(self.asked) if n), ("", ""))
        used = f', which "{by}" uses,' if by else ""
        cell = self.cells.cell_of(name)
        if not cell:
            hint = "define it in a cell, or pass it to the operation as an input" if hint == _CURE else hint
            return UsageError(f'"{name}"{used} has no source in the cells of this notebook', hint=hint)
        inner = "" if value is self.bound.get(name, MISSING) else f" that has {kind_of(value)}"
        kind = kind_of(self.bound.get(name, value))
        said = f": {why}" if why else ""
        return UsageError(
            f'"{name}"{used} is {kind}{inner}, made in the cell In [{cell}], and cannot be carried to where operations '
            f"run{said}",
            hint=hint,
        )

    def tried(self, what: Callable[[], Any]) -> Any:
        """What it gives, or None where that cannot be; then nothing is left of the attempt."""
        kept = (len(self.lines), len(self.fills), dict(self.bound), dict(self._made), list(self._waiting))
        memory, last = (len(self.memory.noted), dict(self.memory.buffers)), len(self.last)
        asked, opened, later = list(self.asked), set(self.open), list(self.later)
        try:
            return what()
        except JeynError:
            del self.lines[kept[0] :], self.fills[kept[1] :]
            self.bound, self._made, self._waiting = kept[2], kept[3], deque(kept[4])
            self.asked, self.open, self.later = asked, opened, deque(later)
            del self.memory.noted[memory[0] :]
            self.memory.buffers = memory[1]
            del self.last[last:]
            return None

    def imported(self, value: Any, name: str = "") -> str | None:
        """What an import gives: by an import of some cell, or by what a function or class says of itself."""
        found = next((e for e in self.cells.imports if name and is_import(e, name, value)), None)
        if found is not None:
            member = name if found.name == "*" else str(found.name)
            return self._import(value, found.module, member, name)
        module = asked(value, "__module__") or asked(asked(value, "__self__"), "__name__")
        qualname = asked(value, "__qualname__") or asked(value, "__name__")
        is_elsewhere = module != "__main__" and module in sys.modules
        if not is_elsewhere or not isinstance(module, str) or not isinstance(qualname, str):
            return self._by_any_import(value)
        if resolved(sys.modules[module], qualname) is not value:
            return self._by_any_import(value)
        return self._import(value, module, qualname, name)

    def _by_any_import(self, value: Any) -> str | None:
        """A thing that does not say where it is, such as `numpy.add` or the type of None."""
        named = next((name for name, each in vars(types).items() if each is value), None)
        if named is not None:
            return self._import(value, "types", named, "")
        for each in self.cells.imports:
            if each.name and each.name != "*" and is_import(each, each.alias, value):
                return self._import(value, each.module, each.name, "")
            module = sys.modules.get(each.module)
            called = asked(value, "__name__")
            if module is not None and isinstance(called, str) and vars(module).get(called, MISSING) is value:
                return self._import(value, each.module, called, "")
        return None

    def _import(self, value: Any, module: str, qualname: str, name: str) -> str:
        top, _, rest = qualname.partition(".")
        self._note_module(module)
        target = name if name and not rest else self.new_name()
        self.lines.append(f"from {module} import {top}" + (f" as {target}" if target != top else ""))
        return self.made(value, f"{target}.{rest}" if rest else target)

    def _note_module(self, name: str) -> None:
        if name in sys.modules:
            self.modules[name] = sys.modules[name]

    # By kind.

    def _dispatch(self, value: Any, name: str) -> str:
        if isinstance(value, ModuleType):
            return self._module(value, name)
        if type(value) in _CONTAINERS:
            return self._container(value, name)
        if isinstance(value, Operation):
            bound = self.express(value.bound) if value.bound else "{}"
            return self.code.wrapped(value, value.function, lambda inner: f"{KEPT}.operation({inner}, {bound})", name)
        found = self.imported(value, name)
        if found is not None:
            return found
        if isinstance(value, type):
            return self._class(value, name)
        if isinstance(value, FunctionType):
            return self.code.function(value, name)
        if isinstance(value, MethodType | BuiltinFunctionType) and not isinstance(value.__self__, ModuleType):
            return self.made(value, f"{self.express(value.__self__)}.{value.__name__}")
        if type(value) is functools._lru_cache_wrapper:
            said = ", ".join(map(repr, value.cache_parameters().values()))
            return self.code.wrapped(value, value.__wrapped__, lambda inner: f"{KEPT}.cached({inner}, {said})", name)
        made = self._instance(value, name)
        if type(value).__module__.startswith("torch") and getattr(value, "is_leaf", False) and value.grad is not None:
            self.lines.append(f"{made}.grad = {self.express(value.grad)}")
        return made

    def _class(self, cls: type, name: str) -> str:
        if isinstance(cls, CatalogType) and not any(isinstance(each, FunctionType) for each in vars(cls).values()):
            return self.place(cls, f"{KEPT}.catalog({cls.__name__!r}, {self.express(cls.to_json())})", name)  # type: ignore[attr-defined]
        return self.code.class_(cls, name)

    def _module(self, module: ModuleType, name: str) -> str:
        called = module.__name__
        if sys.modules.get(called) is not module or called == "__main__":
            raise self.refused(module, "no import gives it")
        self._note_module(called)
        target = name or self.new_name()
        self.lines.append(f"import {called}" + ("" if target == called else f" as {target}"))
        top = called.partition(".")[0]
        for each in dict.fromkeys(each.module for each in self.cells.imports if each.name is None):
            if each != called and each.partition(".")[0] == top and each in sys.modules:
                self._note_module(each)
                self.lines.append(f"import {each}" if target == top else f"import {each} as {self.new_name()}")
        return self.made(module, target)

    def _container(self, value: Any, name: str) -> str:
        if self.is_plain(value):
            self.places.written(value)
            text = self.checked(value, literal(value))
            return self.place(value, text, name) if name or type(value) not in (tuple, frozenset) else text
        if type(value) is tuple:
            return self.made(value, "(" + "".join(f"{self.express(each)}, " for each in value) + ")")
        if type(value) is frozenset:
            items = sorted(self.express(each) for each in value)
            return self.place(value, f"{KEPT}.frozenset_of([{', '.join(items)}])", name)
        empty = "[]" if type(value) is list else "{}" if type(value) is dict else f"{KEPT}.set_of()"
        target = self.place(value, empty, name)
        if type(value) is dict:
            self._ready_for(value)
            pairs = [f"{self.express(key)}: {self.express(each)}" for key, each in value.items()]
            self.lines.append(f"{target}.update({{{', '.join(pairs)}}})")
        else:
            self._ready_for(value if type(value) is set else ())
            items = [self.express(each) for each in value]
            items = items if type(value) is list else sorted(items)
            self.lines.append(f"{target}.{'extend' if type(value) is list else 'update'}([{', '.join(items)}])")
        return target

    def _ready_for(self, keys: Iterable[Any]) -> None:
        """A class of the notebook may have its own `__hash__`, which runs while the module is imported."""
        if any(self.code.is_users(type(each)) for each in keys):
            self.drain()

    def is_plain(self, value: Any, inside: frozenset[int] = frozenset()) -> bool:
        """Whether it is data that a literal says, and nobody else has a part of it."""
        if type(value) in SCALARS:
            return True
        if type(value) not in _CONTAINERS or id(value) in inside or len(inside) > 50:
            return False
        if inside and any(id(value) in some for some in (self.homes, self._made, self.places.several, self._holders)):
            return False  # others have it too
        inside = inside | {id(value)}
        if type(value) is bytearray:
            return True
        parts = [*value, *value.values()] if type(value) is dict else value
        return all(self.is_plain(each, inside) for each in parts)

    def checked(self, value: Any, text: str) -> str:
        if len(text) > LARGEST:
            size = f"{len(text) / 2**20:.0f} MiB as text, and {LARGEST // 2**20} may travel with the code"
            raise self.refused(value, size, "make it in an operation, and pass its output on as an input")
        return text

    def _instance(self, value: Any, name: str) -> str:
        if isinstance(value, enum.Enum) and value.name in type(value).__members__:
            return self.made(value, f"{self.express(type(value))}[{value.name!r}]")
        if isinstance(value, Artefact) and value.saved is not None:
            if not isinstance(value, DatasetFormula | MlUseCase):
                raise self.refused(value, "it is in the catalog", _ARTEFACT)
            twin = object.__new__(type(value))
            twin.__dict__.update({key: each for key, each in vars(value).items() if key != "saved"})
            return self.made(value, self.reduced(twin, name))
        for kind, called in ((type(threading.Lock()), "lock"), (type(threading.RLock()), "rlock")):
            if type(value) is kind and not self._is_in_library:
                return self.place(value, f"{KEPT}.{called}()", name)
        if type(value) is types.MappingProxyType:
            (below,) = gc.get_referents(value)  # the mapping itself, which others may change
            return self.place(value, f"{self.express(types.MappingProxyType)}({self.express(below)})", name)
        if (found := self.code.chain(value, name) or self.code.constructed(value, name)) is not None:
            return found
        if (
            type(value).__module__.partition(".")[0] == "numpy"
            and hasattr(value, "newbyteorder")
            and hasattr(value, "names")
        ):
            made = self.express(value.descr if value.names else value.str)
            return self.place(value, f"{self.express(type(value).__mro__[-2])}({made})", name)
        self.memory.note(value)
        if (found := self.memory.carried(self, value, name)) is not None:
            return found
        if self._is_rebuilt(type(value)):
            return self.reduced(value, name)
        if type(value).__module__.partition(".")[0] in _IN_PIECES and type(value).__name__ not in ("Tensor", *_ENCODED):
            # As functions and classes of the notebook may be among its parts.
            made = self.tried(lambda: self.reduced(value, name))
            if made is not None:
                return str(made)
        return self.tried(lambda: self._encoded(value, name)) or self._of_library(value, name)

    def _of_library(self, value: Any, name: str) -> str:
        """An object of a library whose state is plain data, such as a configuration."""
        is_acting = type(value).__module__.partition(".")[0] in _ACTING.split()
        if is_acting or type(value) is object or type(value).__name__ in _ENCODED:
            return self._encoded(value, name)
        before, self._is_in_library = self._is_in_library, True  # where a lock belongs to something that goes on
        try:
            made = self.tried(lambda: self.reduced(value, name))
        finally:
            self._is_in_library = before
        return str(made) if made is not None else self._encoded(value, name)

    def _is_rebuilt(self, cls: type) -> bool:
        if cls is object:
            return bool(self.cells.cell_of(self.asked[-1][0]))
        top = cls.__module__.partition(".")[0]
        if top in ("numpy", "pandas", "pyarrow"):
            is_scalar = any(base.__name__ == "generic" for base in cls.__mro__)
            return not is_scalar and cls.__name__ not in _ENCODED
        if top == "jeyn":
            return cls.__module__.startswith("jeyn.sdk.")
        return top in _REBUILT.split() or self.code.is_users(cls)

    def reduced(self, value: Any, name: str) -> str:
        """By Python's copy protocol: what makes it, and its state as data."""
        with self.memory.of(value):
            return self._reduced(value, name)

    def _reduced(self, value: Any, name: str) -> str:
        try:
            table = copyreg.dispatch_table.get(type(value))
            reduced: Any = table(value) if table else value.__reduce_ex__(4)
        except Exception as exc:
            raise self.refused(value, str(exc)) from exc
        if isinstance(reduced, str) or asked(reduced[0], "__name__") == "_load_from_bytes":  # torch: a pickle inside
            raise self.refused(value)
        maker, arguments, state, items, pairs = (*reduced, None, None, None)[:5]
        if isinstance(value, BaseException) and maker is type(value):
            maker, arguments = copyreg.__newobj__, (maker, *arguments)  # type: ignore[attr-defined]
        if isinstance(maker, FunctionType | type) and self.code.is_notebooks(maker):
            self.drain()  # it is called while the module is imported
        if maker in (copyreg.__newobj__, copyreg.__newobj_ex__):  # type: ignore[attr-defined]
            cls, *rest = arguments
            given, named = rest if maker is copyreg.__newobj_ex__ else (rest, {})  # type: ignore[attr-defined]
            parts = [self.express(cls), *(self.express(each) for each in given)]
            parts += [f"{key}={self.express(each)}" for key, each in named.items()]
            is_bare = len(parts) == 1 and self.code.is_users(cls)
            made = f"{KEPT}.{'bare' if is_bare else 'new'}({', '.join(parts)})"
        else:
            made = f"{self.express(maker)}({', '.join(self.express(each) for each in arguments)})"
        target = self.place(value, made, name)
        own = attributes_of(value)
        if own is value:  # `self.__dict__ = self`
            self.lines.append(f"{target}.__dict__ = {target}")
            state = None
        if type(own) is dict and id(own) in self._made:
            self.lines.append(f"{target}.__dict__ = {self._made[id(own)]}")
        elif type(own) is dict:
            self.made(own, f"{target}.__dict__")
        if hasattr(type(value), "__setstate__") and self.code.is_users(type(value)):
            self.drain()  # it runs while the module is imported
        self._fill(target, state, items, pairs)
        return target

    def _fill(self, target: str, state: Any, items: Any, pairs: Any) -> None:
        listed = list(items or ())
        paired = [tuple(each) for each in pairs or ()]
        if state is None and not listed and not paired:
            return
        self._alive += [listed, paired, state]
        parts = [self.state(state)]
        parts += [f"[{', '.join(self.express(each) for each in listed)}]"] if listed or paired else []
        parts += [f"[{', '.join(self.express(each) for each in paired)}]"] if paired else []
        self.lines.append(f"{KEPT}.fill({target}, {', '.join(parts)})")

    def state(self, state: Any) -> str:
        """A state as one expression: a dict of attributes in it is nobody else's."""
        if type(state) is dict:
            return "{" + ", ".join(f"{self.express(k)}: {self.express(each)}" for k, each in state.items()) + "}"
        if type(state) is tuple and len(state) == 2 and type(state[1]) is dict:
            return f"({self.state(state[0])}, {self.state(state[1])})"
        return self.express(state)

    def _encoded(self, value: Any, name: str) -> str:
        """In the formats that operations' outputs have, such as arrays and tables."""
        from jeyn.stores.serializers.values import decode_value, encode_value

        try:
            encoded = encode_value(value)
            if encoded.unsafe or not isinstance(encoded.data, bytes):
                raise self.refused(value)
            text = self.checked(value, base64.b85encode(encoded.data).decode())
            decode_value(encoded.format, encoded.data)  # what cannot be read is not written
        except UsageError:
            raise
        except Exception as exc:  # a class of somebody's may do anything here
            raise self.refused(value) from exc
        made = f"{KEPT}.value({encoded.format!r}, {text!r})"
        is_read_only = type(value).__name__ == "ndarray" and not value.flags.writeable
        made += ".requires_grad_()" if getattr(value, "requires_grad", False) is True and value.is_leaf else ""
        return self.place(value, f"{KEPT}.read_only({made})" if is_read_only else made, name)
