"""From what a person writes after `jeyn run` to a pipeline object: the file, its project root and its module."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from jeyn.errors import JeynError, NotAllowed, NotFound, OperationFailed, UsageError
from jeyn.opened import watch
from jeyn.own_imports import guard
from jeyn.regular import NotRegular, opened, real
from jeyn.settings import project_root, read_project_file
from jeyn.workflows.code.local import is_environment
from jeyn.workflows.failure import install_hint
from jeyn.workflows.own_loggers import switch_on
from jeyn.workflows.traceback import place_of, user_traceback

if TYPE_CHECKING:
    from jeyn.sdk.pipeline import Pipeline


@dataclass(frozen=True)
class LoadedPipeline:
    """A pipeline, the module it is in, its file and the project root, both resolved."""

    pipeline: Pipeline[...]
    module: ModuleType
    root: Path
    path: Path


def load_pipeline(target: str, *, root: Path | None = None) -> LoadedPipeline:
    """The pipeline that `pipeline.py`, `pipeline.py:function` or a name of `pipelines:` in jeyn.yaml means.

    Raises `NotFound` for what is not there, `UsageError` for what is no pipeline, and `OperationFailed` with the
    user's traceback where importing their file fails.
    """
    path, function, root = _located(target, root.resolve() if root else None)
    module = import_file(path, root)
    found = pipelines_in(module)
    pipeline = _named(module, found, function, path, root) if function else _only(found, path, root)
    return LoadedPipeline(pipeline, module, root, path)


def import_file(path: Path, root: Path) -> ModuleType:
    """The module of a file, by its name from the root, which comes first on `sys.path`; never as `__main__`."""
    name = module_name(path, root)
    _refuse_taken(name, path, root)
    guard(str(root))
    watch()
    if str(root) in sys.path:
        sys.path.remove(str(root))
    sys.path.insert(0, str(root))
    importlib.invalidate_caches()
    try:
        module = importlib.import_module(name)
    except JeynError as exc:
        place = place_of(exc, root)
        if place:
            exc.message = f"{place}: {exc.message}"
        raise
    except SyntaxError as exc:
        raise _syntax_error(exc, path, root) from exc
    except (Exception, SystemExit) as exc:
        raise _import_failed(exc, path, root) from exc
    finally:
        switch_on()
    if _file_of(module) != path:
        raise _taken(name, _file_of(module) or "another module", path, root)
    return module


def module_name(path: Path, root: Path) -> str:
    """What a file below the root is imported as: `root/sub/p.py` is `sub.p`."""
    path, root = real(path), real(root)
    if not path.is_relative_to(root):
        raise UsageError(f'"{path}" is not below the project root "{root}"', hint="move the file into the project")
    parts = list(path.relative_to(root).with_suffix("").parts)
    if parts[-1] == "__init__":
        parts.pop()
    bad = next((part for part in parts if "." in part or ":" in part), None)
    if bad is not None or not parts:
        raise UsageError(
            f'"{path.relative_to(root)}" cannot be imported by name', hint="rename what has a dot or a colon in it"
        )
    return ".".join(parts)


def module_of_main(root: Path) -> str:
    """The importable name of the script that runs now (`python pipeline.py`)."""
    file = getattr(sys.modules.get("__main__"), "__file__", None)
    if not file or not Path(file).is_file():
        raise UsageError(
            "the running program is no file, so no worker can import its operations",
            hint="put the pipeline into a file, or run it in a notebook",
        )
    return module_name(Path(file), root)


# Which file.


def _located(target: str, root: Path | None) -> tuple[Path, str, Path]:
    place, colon, function = target.partition(":")
    if not place or (colon and not function):
        raise UsageError(f'"{target}" names no pipeline', hint="jeyn run pipeline.py, or pipeline.py:function")
    path = Path(place)
    if not path.exists() and path.suffix != ".py":
        project = root or project_root(Path.cwd())
        names = read_project_file(project / "jeyn.yaml").get("pipelines") or {}
        if isinstance(names, Mapping) and place in names:
            return _from_project(place, str(names[place]), function, project)
    _check_file(path, root)
    path = real(path)
    return path, function, root or project_root(path)


def _from_project(name: str, value: str, function: str, root: Path) -> tuple[Path, str, Path]:
    """A value of `pipelines:` in jeyn.yaml: "file.py" or "file.py:function", from the root."""
    place, _, named = value.partition(":")
    path = real(root / place)
    if not path.is_file():
        raise NotFound(
            f'the pipeline "{name}" of jeyn.yaml is "{value}", and there is no file "{place}"',
            hint="the path starts at the folder of jeyn.yaml",
        )
    return path, function or named, root


def _check_file(path: Path, root: Path | None) -> None:
    if path.is_dir():
        files = sorted(each.name for each in path.glob("*.py"))[:5]
        raise UsageError(f'"{path}" is a folder', hint=f"name a file in it: {', '.join(files) or 'it has no .py file'}")
    if not path.exists():
        folder = path.parent if path.parent.is_dir() else Path()
        project = read_project_file((root or project_root(Path.cwd())) / "jeyn.yaml").get("pipelines") or {}
        known = [*(str(each) for each in folder.glob("*.py")), *map(str, project)]
        raise NotFound(f'there is no file "{path}"', hint=_did_you_mean(str(path), known) or "jeyn new NAME makes one")
    if path.suffix != ".py":
        raise UsageError(f'"{path}" is no Python file', hint="name a file that ends with .py")
    try:
        opened(path).close()
    except NotRegular as exc:
        raise UsageError(f'"{path}" cannot be read: {exc.strerror}', hint="name a Python file") from exc
    except OSError as exc:
        raise NotAllowed(f'"{path}" cannot be read: {exc.strerror}', hint="check who owns it") from exc


# Which function.


def pipelines_in(module: ModuleType) -> dict[str, Pipeline[...]]:
    """The pipelines that were defined in a module, by name; imported ones are not."""
    from jeyn.sdk.pipeline import Pipeline

    found: dict[str, Pipeline[...]] = {}
    for name, value in vars(module).items():
        is_here = isinstance(value, Pipeline) and value.function.__module__ == module.__name__
        if is_here and all(value is not other for other in found.values()):
            found[name] = value
    return found


def _only(found: Mapping[str, Pipeline[...]], path: Path, root: Path) -> Pipeline[...]:
    shown = _shown(path, root)
    if not found:
        raise UsageError(f'"{shown}" has no pipeline', hint="put @pipeline over the function that wires the operations")
    if len(found) > 1:
        raise UsageError(
            f'"{shown}" has {len(found)} pipelines: {", ".join(found)}', hint=f"name one: {shown}:{next(iter(found))}"
        )
    return next(iter(found.values()))


def _named(module: ModuleType, found: Mapping[str, Pipeline[...]], name: str, path: Path, root: Path) -> Pipeline[...]:
    from jeyn.sdk.pipeline import Pipeline

    shown = _shown(path, root)
    value = getattr(module, name, None)
    if isinstance(value, Pipeline):
        return value
    if value is not None:
        raise UsageError(
            f'"{name}" in "{shown}" is no pipeline but of the type {type(value).__name__}',
            hint="put @pipeline over the function",
        )
    known = f"its pipelines are: {', '.join(found)}" if found else "it has no pipeline"
    raise NotFound(f'"{shown}" has no "{name}"', hint=_did_you_mean(name, list(found)) or known)


def _did_you_mean(name: str, known: list[str]) -> str:
    close = get_close_matches(name, known, n=1)
    return f'did you mean "{close[0]}"?' if close else ""


# A name that is somebody else's.


def _refuse_taken(name: str, path: Path, root: Path) -> None:
    top = name.partition(".")[0]
    if top in sys.stdlib_module_names or top in sys.builtin_module_names:
        raise _taken(top, "Python's own module", path, root)
    loaded = sys.modules.get(name)
    if loaded is not None and _file_of(loaded) != path:
        raise _taken(name, _file_of(loaded) or "another module", path, root)
    if top == name and path.name != "__init__.py":
        installed = [entry for entry in sys.path if is_environment(Path(entry))]
        spec = PathFinder.find_spec(top, installed)
        if spec is not None and spec.origin is not None:
            raise _taken(top, spec.origin, path, root)
    package = sys.modules.get(top)
    if package is not None and top != name and str(root / top) not in list(getattr(package, "__path__", [])):
        raise _taken(top, _file_of(package) or "another module", path, root)


def _taken(name: str, by: Any, path: Path, root: Path) -> UsageError:
    return UsageError(
        f'"{_shown(path, root)}" would be imported as "{name}", which is taken: {by}', hint="rename the file or folder"
    )


def _file_of(module: ModuleType) -> Path | None:
    file = getattr(module, "__file__", None)
    return Path(file).resolve() if file else None


# The user's own mistakes.


def _syntax_error(exc: SyntaxError, path: Path, root: Path) -> UsageError:
    line = f", line {exc.lineno}" if exc.lineno else ""
    message = f'"{_shown(Path(exc.filename or path), root)}"{line}: {exc.msg}'
    if exc.text:
        text = exc.text.rstrip("\n")
        stripped = text.lstrip()
        column = max((exc.offset or 1) - 1 - (len(text) - len(stripped)), 0)
        message += f"\n    {stripped}\n    {' ' * column}^"
    return UsageError(message, hint="mend that line" if exc.lineno else "save it as UTF-8 text")


def _import_failed(exc: BaseException, path: Path, root: Path) -> OperationFailed:
    message = f'"{_shown(path, root)}" cannot be imported\n{user_traceback(exc, root)}'
    return OperationFailed(message, hint=_import_hint(exc, path, root))


def _import_hint(exc: BaseException, path: Path, root: Path) -> str:
    if isinstance(exc, ImportError) and "relative import" in str(exc):
        return f'imports start at the project root "{root}": leave out the dots, or put a jeyn.yaml into its parent'
    if not isinstance(exc, ModuleNotFoundError) or not exc.name:
        return "mend the line it names; the file must be importable without running anything"
    top = exc.name.partition(".")[0]
    beside = path.parent / top
    if beside.is_dir() or beside.with_suffix(".py").is_file():
        folder = ".".join(path.parent.relative_to(root).parts)
        if folder:
            return f"imports start at the project root: from {folder} import {top}"
    return install_hint(exc, root)


def _shown(path: Path, root: Path) -> str:
    path = real(path)
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
