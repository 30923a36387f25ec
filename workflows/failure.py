"""What went wrong in an operation, as data that a run keeps, and whether trying again may help (SEMANTICS 21)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jeyn import errors
from jeyn.errors import JeynError, OperationFailed, UsageError
from jeyn.workflows.code.local import is_environment
from jeyn.workflows.mask import masked
from jeyn.workflows.traceback import shortened, user_traceback

MOST_MESSAGE = 2_000  # characters; the traceback has more of it

Error = dict[str, Any]  # code, message, hint, refs, exit_code, retry, traceback, operation


class OperationTraceback(Exception):
    """What was raised in another process, as text."""


def retry_helps(exc: BaseException) -> bool:
    """Whether a further attempt may go better: never where a contract, a type or an import is wrong."""
    if isinstance(exc, JeynError):
        return exc.retry_helps
    return not isinstance(exc, TypeError | ImportError | SyntaxError)


def error_of(exc: BaseException, root: Path, operation: str = "") -> Error:
    """An exception as data; the traceback is cut to the user's own frames."""
    return {
        "code": exc.code if isinstance(exc, JeynError) else "OPERATION_FAILED",
        "message": shortened(masked(exc.message if isinstance(exc, JeynError) else _said(exc)), MOST_MESSAGE),
        "hint": masked(exc.hint) if isinstance(exc, JeynError) else install_hint(exc, root),
        "refs": list(exc.refs) if isinstance(exc, JeynError) else [],
        "exit_code": _exit_code(exc, operation),
        "retry": retry_helps(exc),
        # What an engine says itself was never raised, and its name and message are told already.
        "traceback": "" if isinstance(exc, JeynError) and exc.__traceback__ is None else user_traceback(exc, root),
        "operation": operation,
    }


def _exit_code(exc: BaseException, operation: str) -> int:
    """2 says that whoever started the run called it wrongly, and an operation that misuses a store is not theirs."""
    if not isinstance(exc, JeynError) or (operation and isinstance(exc, UsageError)):
        return OperationFailed.exit_code
    return exc.exit_code


def raised(error: Mapping[str, Any]) -> JeynError:
    """The error again, as the class that its code names; its cause is the traceback of the user's own code."""
    name = str(error.get("code", "")).title().replace("_", "")
    kind: type[JeynError] = getattr(errors, name, OperationFailed)
    found = kind(str(error.get("message", "")), hint=str(error.get("hint", "")), refs=tuple(error.get("refs", ())))
    if error.get("traceback"):
        where = f'in the operation "{error["operation"]}"' if error.get("operation") else "there"
        found.__cause__ = OperationTraceback(f"{where}:\n{error['traceback']}")
    return found


def install_hint(exc: BaseException, root: Path) -> str:
    """What to do about a module that is not there; "" for anything else."""
    if not isinstance(exc, ModuleNotFoundError) or not exc.name:
        return ""
    top = exc.name.partition(".")[0]
    folder = _folder_of(top, root)
    if folder:
        return (
            f'"{top}" is in "{folder}/" of the project, which is not on the path: '
            f"pip install -e . (where the project has a pyproject.toml), or set PYTHONPATH={folder}"
        )
    return f'install what gives the module "{exc.name}", for example: pip install {top}'


def _folder_of(module: str, root: Path) -> str:
    """The folder of a project that has a module which imports do not find, such as "src"; "" where none has."""
    try:
        folders = sorted(each for each in root.iterdir() if each.is_dir() and not each.name.startswith("."))
    except OSError:
        return ""
    for folder in (root / "src", *folders, *(each / "src" for each in folders)):
        if is_environment(folder):
            continue
        if os.path.isdir(folder / module) or os.path.isfile(folder / f"{module}.py"):  # noqa: PTH112, PTH113
            return folder.relative_to(root).as_posix()
    return ""


def _said(exc: BaseException) -> str:
    if isinstance(exc, SystemExit):
        return f"the operation called sys.exit({exc.code!r})"
    try:
        text = str(exc)
    except Exception:
        text = "<its __str__ failed>"  # the user's code, and nothing that may stop the report of what it did
    return f"{type(exc).__name__}: {text}" if text else type(exc).__name__
