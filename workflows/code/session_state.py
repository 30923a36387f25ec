"""What cells changed outside of the session's own names: attributes of modules and classes, and libraries' settings."""

from __future__ import annotations

import ast
import marshal
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib import import_module
from importlib.util import MAGIC_NUMBER
from pathlib import Path
from types import CodeType, FunctionType, MappingProxyType, ModuleType
from typing import Any

from jeyn.errors import UsageError
from jeyn.opened import code_of
from jeyn.workflows.code.cells import bound, inner_codes, normalised, own_functions
from jeyn.workflows.code.literal import KEPT
from jeyn.workflows.code.live import Live
from jeyn.workflows.code.local import is_installed, is_library, is_local

MISSING: Any = object()
_OWN = ("os", "sys", "builtins")  # a process gets its environment and paths otherwise


def add_state(live: Live, root: Path | None) -> None:
    """Put what was changed into the module, for the modules that it uses."""
    local = _local_modules(live, root.resolve()) if root else {}
    first: list[str] = []
    before, live.fills = live.fills, first
    _add_unnamed_imports(live, root)
    _add_registered(live)
    _add_serializers(live)
    for module, tree in local.items():
        _add_module(live, module, tree)
    tops = {name.partition(".")[0] for name in (*live.modules, *_imported_by(local.values()))}
    _add_assigned(live, tops)
    for top, said in _SETTINGS.items():
        if top in tops and top in sys.modules:
            first += said(live)
    live.fills = [*first, *before]
    if root is not None:
        live.lines[:0] = _search_path(live, root.resolve())


def _search_path(live: Live, root: Path) -> Iterator[str]:
    """`sys.path.append("../libs")` in a cell: the folders that modules which are used came from, from the root."""
    files = [Path(file) for each in live.modules.values() if isinstance(file := getattr(each, "__file__", None), str)]
    for entry in dict.fromkeys(Path(each).resolve() for each in sys.path if each):
        is_used = any(each.resolve().is_relative_to(entry) for each in files)
        if is_used and entry != root and not is_installed(entry) and not root.is_relative_to(entry):
            yield f"{KEPT}.search({Path(os.path.relpath(entry, root)).as_posix()!r})"


def _local_modules(live: Live, root: Path) -> dict[ModuleType, ast.Module]:
    """The modules of the project, and of libraries beside it, that what was captured imports, also by each other."""
    found: dict[ModuleType, ast.Module] = {}
    waiting = list(live.modules.values())
    while waiting:
        module = waiting.pop()
        file = getattr(module, "__file__", None)
        path = Path(file or "").resolve()
        if module in found or not file or not (is_local(path, root) or is_library(path, root)):
            continue
        try:
            text = Path(file).read_bytes()
            found[module] = ast.parse(text)
        except (OSError, SyntaxError, ValueError):
            continue
        _refuse_edited(module, Path(file), text, root)
        names = _imported_by([found[module]])
        package = module.__name__.rpartition(".")[0]
        known = (sys.modules.get(each) for name in names for each in (name, f"{package}.{name}"))
        waiting += [each for each in known if each is not None]
    return found


def _add_serializers(live: Live) -> None:
    """Serializers that cells registered: whoever reads such a value needs them too."""
    from jeyn.stores.serializers.table import default_table

    for called, serializer in default_table().registered.items():
        module, _, name = called.rpartition(".")
        holder = live.namespace if module == "__main__" else vars(sys.modules.get(module, sys))
        cls = holder.get(name)
        if isinstance(cls, type) and (module == "__main__" or live.code.is_users(type(serializer))):
            live.fills.append(f"{KEPT}.serializer({live.express(cls)}, {live.express(serializer)})")


def _refuse_edited(module: ModuleType, file: Path, text: bytes, root: Path) -> None:
    """Workers import a file as it is; what the notebook shows comes from the file as it was."""
    now = compile(text, str(file), "exec", dont_inherit=True)
    before = _compiled_before(module)
    codes = {normalised(code) for code in inner_codes(now)}
    classes = [each for each in vars(module).values() if isinstance(each, type) and each.__module__ == module.__name__]
    live = [each for each in vars(module).values() if isinstance(each, FunctionType)]
    live += [each for cls in classes for each in own_functions(cls)]
    own = [each.__code__ for each in live if each.__code__.co_filename == str(file)]
    is_other = before is not None and normalised(before) != normalised(now)
    if is_other or any(normalised(code) not in codes for code in own):
        shown = Path(os.path.relpath(file.resolve(), root)).as_posix()
        raise UsageError(
            f'"{shown}" was edited after this notebook had imported it',
            hint=f"a run uses the file as it is now: importlib.reload(sys.modules[{module.__name__!r}]), or start the "
            "kernel again",
        )


def _compiled_before(module: ModuleType) -> CodeType | None:
    """The code of a module when it was imported: as it was seen, or as Python kept it."""
    seen = code_of(str(module.__file__))
    if seen is not None:
        return seen
    place = Path(str(getattr(module.__spec__, "cached", None)))
    if sys.dont_write_bytecode or not os.access(place.parent, os.W_OK):
        return None  # what is there may be older than the import
    try:
        kept = place.read_bytes()
        code = marshal.loads(kept[16:])  # noqa: S302 - Python itself runs this file when it imports the module
    except (OSError, ValueError, EOFError, TypeError):
        return None
    return code if isinstance(code, CodeType) and kept[:4] == MAGIC_NUMBER else None


def _imported_by(trees: Any) -> list[str]:
    names = []
    for node in (node for tree in trees for node in ast.walk(tree)):
        if isinstance(node, ast.Import):
            names += [each.name for each in node.names]
        elif isinstance(node, ast.ImportFrom):
            names += [node.module or "", *(f"{node.module or ''}.{each.name}".lstrip(".") for each in node.names)]
    return names


def _add_unnamed_imports(live: Live, root: Path | None) -> None:
    """`import plugins`, of which no cell reads the name: it is there for what importing it does."""
    tops = {name.partition(".")[0] for name in live.modules}
    for each in reversed(live.cells.imports):
        file = getattr(sys.modules.get(each.module), "__file__", None)
        if each.alias in live.cells.read or each.name == "*" or not file or root is None or each.module in live.modules:
            continue
        if is_local(Path(file).resolve(), root.resolve()) or each.module.partition(".")[0] in tops:
            what = f"from {each.module} import {each.name}" if each.name else f"import {each.module}"
            live.lines.append(f"{what} as {live.new_name()}")


def _add_registered(live: Live) -> None:
    """What a cell registers with a library that is used, such as an accessor of data frames."""
    tops = {name.partition(".")[0] for name in live.modules}
    for name, node in live.cells.decorated():
        chain = node.func if isinstance(node, ast.Call) else node
        called = live.code.followed(chain, live.namespace)
        said = str(getattr(called, "__name__", ""))
        top = str(getattr(called, "__module__", "") or "").partition(".")[0]
        if said.startswith("register") and top in tops and live.code.is_notebooks(live.namespace.get(name)):
            live.bind(name, live.namespace)


def _add_module(live: Live, module: ModuleType, tree: ast.Module) -> None:
    """What a module of the project has otherwise than its text says: constants, registries, and objects cells used."""
    _add_constants(live, module, tree.body, partial(live.express, module))
    for node in (each for each in tree.body if isinstance(each, ast.ClassDef)):
        cls = vars(module).get(node.name)
        if isinstance(cls, type):
            _add_constants(live, cls, node.body, partial(live.express, cls))
    touched = _touched(live)
    for name, value in list(vars(module).items()):
        registry = getattr(value, "registry", None) if isinstance(value, FunctionType) else None
        for kind, function in registry.items() if isinstance(registry, MappingProxyType) else ():
            if live.code.is_notebooks(function):
                made = f"{live.express(module)}.{name}.register({live.express(kind)}, {live.express(function)})"
                live.fills.append(made)
        is_object = hasattr(value, "__dict__") and not isinstance(value, ModuleType | type | FunctionType)
        if id(value) in touched and is_object and live.code.is_users(type(value)):
            state = live.state(dict(vars(value)))
            live.fills.append(f"{KEPT}.fill({live.express(module)}.{name}, {state})")


def _add_constants(live: Live, holder: Any, body: list[ast.stmt], called: Callable[[], str]) -> None:
    for name, said in _constants(body).items():
        now = vars(holder).get(name, MISSING)
        if now is MISSING or _is_same(now, said):
            continue
        if type(now) is type(said) and isinstance(now, list | dict | set):
            live.fills.append(f"{KEPT}.replace({called()}.{name}, {_content(live, now)})")
        else:
            live.fills.append(f"{called()}.{name} = {live.express(now)}")


def _touched(live: Live) -> set[int]:
    """The objects that cells call something of, or decorate with, by their ids."""
    found = (live.code.followed(node, live.namespace) for node in live.cells.used_at_once())
    return {id(each) for each in found if each is not MISSING}


def _content(live: Live, now: Any) -> str:
    """What is in a container that the module itself has made."""
    copied = type(now)(now)
    live._alive.append(copied)
    return live.express(copied)


def _constants(body: list[ast.stmt]) -> dict[str, Any]:
    """The names that exactly one statement of a module or class binds, to a literal."""
    times: dict[str, int] = {}
    found: dict[str, Any] = {}
    for statement in body:
        for name in bound(statement):
            times[name] = times.get(name, 0) + 1
        target = statement.targets[0] if isinstance(statement, ast.Assign) else getattr(statement, "target", None)
        value = getattr(statement, "value", None)
        if isinstance(statement, ast.Assign | ast.AnnAssign) and isinstance(target, ast.Name) and value is not None:
            try:
                found[target.id] = ast.literal_eval(value)
            except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
                continue
    return {name: value for name, value in found.items() if times[name] == 1}


def _is_same(now: Any, said: Any) -> bool:
    return type(now) is type(said) and repr(now) == repr(said)


def _add_assigned(live: Live, tops: set[str]) -> None:
    """`module.name = …` and `module.table["key"] = …` in cells, by what is there now."""
    seen: set[str] = set()
    for node, cell in live.cells.changed_attributes():
        text = ast.unparse(node)
        holder, root = _holder(node, live.namespace)
        module = holder if isinstance(holder, ModuleType) else sys.modules.get(getattr(holder, "__module__", ""), None)
        top = module.__name__.partition(".")[0] if module is not None else ""
        if text in seen or top not in tops or top in _OWN or top == "__main__":
            continue
        seen.add(text)
        now = _now(node, holder)
        if now is MISSING:
            continue
        made = live.tried(lambda now=now: live.express(now))  # type: ignore[misc]
        if made is None:
            raise UsageError(
                f'the cell In [{cell}] changes "{text}", and what it is now cannot be carried to where operations run',
                hint="change it in the operation, or in a module of the project",
            )
        live.bind(root, live.namespace)
        live.fills.append(f"{text} = {made}")


def _holder(node: ast.expr, names: Mapping[str, Any]) -> tuple[Any, str]:
    """The module or class in which something is changed, None for anything else, and the name that it begins with."""
    chain: list[str] = []
    inner: ast.expr = node.value  # type: ignore[attr-defined]
    while isinstance(inner, ast.Attribute):
        chain.insert(0, inner.attr)
        inner = inner.value
    if not isinstance(inner, ast.Name):
        return None, ""
    found = names.get(inner.id)
    is_outside = isinstance(found, ModuleType) or (isinstance(found, type) and found.__module__ != "__main__")
    for part in chain if is_outside else ():
        found = getattr(found, part, None)
    return (found if is_outside else None), inner.id


def _now(node: ast.expr, holder: Any) -> Any:
    if isinstance(node, ast.Attribute):
        return getattr(holder, node.attr, MISSING)
    key = getattr(node, "slice", None)
    if not isinstance(key, ast.Constant):
        return MISSING
    try:
        return holder[key.value]
    except Exception:  # somebody's table
        return MISSING


# Settings of libraries that change what they compute.


def _decimal(live: Live) -> Iterator[str]:
    import decimal

    now, usual = decimal.getcontext(), decimal.DefaultContext
    names = ("prec", "rounding", "Emin", "Emax", "capitals", "clamp")
    said = {name: getattr(now, name) for name in names if getattr(now, name) != getattr(usual, name)}
    if said:
        yield f"{KEPT}.set_decimal({', '.join(f'{name}={value!r}' for name, value in said.items())})"


def _pandas(live: Live) -> Iterator[str]:
    import pandas

    config: Any = import_module("pandas._config.config")
    for key, option in sorted(config._registered_options.items()):
        now = config.get_option(key) if key not in config._deprecated_options else option.defval
        if now != option.defval and isinstance(now, bool | int | float | str | type(None)):
            yield f"{live.express(pandas)}.set_option({key!r}, {now!r})"


def _numpy(live: Live) -> Iterator[str]:
    import numpy

    usual = {"divide": "warn", "over": "warn", "under": "ignore", "invalid": "warn"}
    if numpy.geterr() != usual:
        yield f"{live.express(numpy)}.seterr(**{numpy.geterr()!r})"


def _sklearn(live: Live) -> Iterator[str]:
    import sklearn
    from sklearn._config import _global_config

    now = sklearn.get_config()
    said = {key: value for key, value in now.items() if value != _global_config.get(key, value)}
    if said:
        yield f"{live.express(sklearn)}.set_config(**{said!r})"


_SETTINGS: Mapping[str, Callable[[Live], Iterator[str]]] = {
    "decimal": _decimal,
    "numpy": _numpy,
    "pandas": _pandas,
    "sklearn": _sklearn,
}
