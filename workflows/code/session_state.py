"""What cells changed outside of the session's own names: attributes of modules and classes, and libraries' settings."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from jeyn.errors import UsageError
from jeyn.workflows.code.cells import bound
from jeyn.workflows.code.live import KEPT, Live
from jeyn.workflows.code.local import is_local

MISSING: Any = object()
_OWN = ("os", "sys", "builtins")  # a process gets its environment and paths otherwise


def add_state(live: Live, root: Path | None) -> None:
    """Put what was changed into the module, for the modules that it uses."""
    local = _local_modules(live, root.resolve()) if root else {}
    first: list[str] = []
    before, live.fills = live.fills, first
    _add_unnamed_imports(live, root)
    for module, tree in local.items():
        _add_module(live, module, tree)
    tops = {name.partition(".")[0] for name in (*live.modules, *_imported_by(local.values()))}
    _add_assigned(live, tops)
    for top, said in _SETTINGS.items():
        if top in tops and top in sys.modules:
            first += said(live)
    live.fills = [*first, *before]


def _local_modules(live: Live, root: Path) -> dict[ModuleType, ast.Module]:
    """The project's modules that what was captured imports, also by each other."""
    found: dict[ModuleType, ast.Module] = {}
    waiting = list(live.modules.values())
    while waiting:
        module = waiting.pop()
        file = getattr(module, "__file__", None)
        if module in found or not file or not is_local(Path(file).resolve(), root):
            continue
        try:
            found[module] = ast.parse(Path(file).read_bytes())
        except (OSError, SyntaxError, ValueError):
            continue
        names = _imported_by([found[module]])
        package = module.__name__.rpartition(".")[0]
        known = (sys.modules.get(each) for name in names for each in (name, f"{package}.{name}"))
        waiting += [each for each in known if each is not None]
    return found


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


def _add_module(live: Live, module: ModuleType, tree: ast.Module) -> None:
    """Globals of a module that its text gives plain data, and that have other data now."""
    for name, said in _constants(tree).items():
        now = vars(module).get(name, MISSING)
        if now is MISSING or _is_same(now, said):
            continue
        with_name = live.express(module)
        made = live.express(now) if not isinstance(now, list | dict | set) else None
        if made is None and type(now) is type(said):
            inner = _content(live, now)
            live.fills.append(f"{KEPT}.replace({with_name}.{name}, {inner})")
        else:
            live.fills.append(f"{with_name}.{name} = {made or live.express(now)}")


def _content(live: Live, now: Any) -> str:
    """What is in a container that the module itself has made."""
    copied = type(now)(now)
    live._alive.append(copied)
    return live.express(copied)


def _constants(tree: ast.Module) -> dict[str, Any]:
    """The names that exactly one statement of a module binds, to a literal."""
    times: dict[str, int] = {}
    found: dict[str, Any] = {}
    for statement in tree.body:
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
