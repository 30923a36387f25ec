"""What bytes name instead of holding: functions and classes that whoever loads them must be able to import."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType
from typing import Any

from jeyn.errors import NotFound, NotSerializable

# Cells of a notebook are a module whose name has the digest of their text, so it is there for one run only.
_NOTEBOOK = re.compile(r"notebook_[0-9a-f]{6,}")
_OF_ONE_PROCESS = {"__main__", "__mp_main__"}
_HINT = (
    "define it with def or class at the top level of a module of your project, say features.py, and import it from "
    "there; code of the project travels with every run"
)


def name_of(thing: Any) -> str:
    """`module.qualname` of a function or class."""
    return f"{getattr(thing, '__module__', '')}.{getattr(thing, '__qualname__', getattr(thing, '__name__', ''))}"


def check_importable(thing: Any) -> None:
    """NotSerializable for a function or class that no other process could import under its name."""
    check_module(thing)
    if _resolved(name_of(thing)) is not thing:
        raise _refused(name_of(thing), "that name means something else")


def check_module(thing: Any) -> None:
    """NotSerializable for a function or class whose name or module can mean nothing in another process."""
    name, module = name_of(thing), str(getattr(thing, "__module__", ""))
    if reason := _never(module, name.removeprefix(f"{module}.")):
        raise _refused(name, reason)
    if not _is_found(module):
        raise _refused(name, f'no module "{module}" can be found')


def check_name(name: str) -> None:
    """The same of `module.qualname` where only the name is at hand."""
    module, _, rest = name.rpartition(".")
    if reason := _never(module, rest):
        raise _refused(name, reason)


def imported(name: str) -> Any:
    """What `module.qualname` means here; NotFound with the cure where it was renamed or moved.

    Only for names that somebody trusts: importing a module runs it.
    """
    found = _resolved(name)
    if found is None:
        raise NotFound(
            f'the model needs "{name}", which cannot be imported here',
            hint="run where its module can be imported; if it was renamed or moved, leave the old name in the old "
            "module (OldName = NewName)",
        )
    return found


def code_in(model: Any) -> Iterator[Any]:
    """The functions and classes that a model holds or is made of, through attributes and containers, each once."""
    seen: set[int] = set()
    waiting = [model]
    while waiting:
        value = waiting.pop()
        if value is None or isinstance(value, str | bytes | int | float | complex) or id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, type | FunctionType):
            yield value
            continue
        cls = type(value)
        if cls.__module__ != "builtins" and id(cls) not in seen:
            seen.add(id(cls))
            yield cls
        waiting += _inner(value)


def _inner(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    if isinstance(value, list | tuple | set | frozenset):
        return list(value)
    if type(value).__name__ == "partial":
        return [value.func, *value.args, *value.keywords.values()]
    if getattr(value, "__self__", None) is not None and hasattr(value, "__func__"):
        return [value.__self__]
    if type(value).__module__ == "numpy":
        return list(value.ravel()) if getattr(getattr(value, "dtype", None), "hasobject", False) else []
    return list(getattr(value, "__dict__", {}).values())


def _never(module: str, qualname: str) -> str:
    """Why a name could mean nothing in any other process; "" where it could."""
    if "<lambda>" in qualname:
        return "a lambda has no name to be found by"
    if "<locals>" in qualname:
        return "it is defined inside a function"
    if module in _OF_ONE_PROCESS:
        return '"__main__" is another program in every process'
    if _NOTEBOOK.fullmatch(module.partition(".")[0]):
        return "the cells of a notebook are a module of one run only"
    return ""


def _refused(name: str, reason: str) -> NotSerializable:
    return NotSerializable(
        f'the model needs "{name}", which cannot be imported by another process: {reason}', hint=_HINT
    )


def _resolved(name: str) -> Any:
    """By the longest part of the name that is a module; None where it means nothing."""
    parts = name.split(".")
    for length in range(len(parts) - 1, 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        except Exception as exc:
            raise NotFound(
                f'the model needs "{name}", and importing "{".".join(parts[:length])}" fails: {exc}',
                hint="mend the module",
            ) from exc
        for part in parts[length:]:
            found = getattr(found, part, None)
        return found
    return None


def _is_found(module: str) -> bool:
    """Whether a search for the module, as a new process makes it, finds the file that is loaded here."""
    path: Any = None
    spec: Any = None
    done: list[str] = []
    for part in module.split("."):
        done.append(part)
        name = ".".join(done)
        found = (finder.find_spec(name, path) for finder in sys.meta_path if hasattr(finder, "find_spec"))
        spec = next((each for each in found if each is not None), None)
        if spec is None:
            # A module that an extension makes of itself, such as numpy's, has no file of its own.
            loaded = sys.modules.get(name)
            return len(done) > 1 and loaded is not None and getattr(loaded, "__spec__", None) is not None
        path = spec.submodule_search_locations
    loaded_from = getattr(sys.modules.get(module), "__file__", None)
    return loaded_from is None or spec.origin is None or Path(spec.origin).resolve() == Path(loaded_from).resolve()
