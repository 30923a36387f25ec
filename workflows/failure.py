"""What went wrong in an operation, as data that a run keeps, and whether trying again may help (SEMANTICS 21)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jeyn import errors
from jeyn.errors import JeynError, OperationFailed
from jeyn.workflows.traceback import user_traceback

Error = dict[str, Any]  # code, message, hint, refs, exit_code, retry, traceback, operation


def retry_helps(exc: BaseException) -> bool:
    """Whether a further attempt may go better: never where a contract, a type or an import is wrong."""
    if isinstance(exc, JeynError):
        return exc.retry_helps
    return not isinstance(exc, TypeError | ImportError | SyntaxError)


def error_of(exc: BaseException, root: Path, operation: str = "") -> Error:
    """An exception as data; the traceback is cut to the user's own frames."""
    return {
        "code": exc.code if isinstance(exc, JeynError) else "OPERATION_FAILED",
        "message": exc.message if isinstance(exc, JeynError) else _said(exc),
        "hint": exc.hint if isinstance(exc, JeynError) else "",
        "refs": list(exc.refs) if isinstance(exc, JeynError) else [],
        "exit_code": exc.exit_code if isinstance(exc, JeynError) else 1,
        "retry": retry_helps(exc),
        "traceback": user_traceback(exc, root),
        "operation": operation,
    }


def raised(error: Mapping[str, Any]) -> JeynError:
    """The error again, as the class that its code names."""
    name = str(error.get("code", "")).title().replace("_", "")
    kind: type[JeynError] = getattr(errors, name, OperationFailed)
    return kind(str(error.get("message", "")), hint=str(error.get("hint", "")), refs=tuple(error.get("refs", ())))


def _said(exc: BaseException) -> str:
    if isinstance(exc, SystemExit):
        return f"the operation called sys.exit({exc.code!r})"
    text = str(exc)
    return f"{type(exc).__name__}: {text}" if text else type(exc).__name__
