"""A notebook's operation as a module of its own: all that it needs, as it is in the session now (SEMANTICS 22).

No cell is run again. Definitions are taken from the cells' text, values from the session.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from jeyn.errors import UsageError
from jeyn.sdk.canonical import sha256_of
from jeyn.settings import variables_with
from jeyn.workflows.code.cells import Cells, bound
from jeyn.workflows.code.literal import KEPT
from jeyn.workflows.code.live import Live
from jeyn.workflows.code.session_state import add_state
from jeyn.workflows.traceback import NOTEBOOK

SHORTEST_SECRET = 8  # characters; less is found by chance
_SECRET = re.compile(r"(?i)secret|token|passw|api_?key|credential")
LARGEST_MODULE = 32 * 2**20  # characters
_HEAD = f"import jeyn.workflows.code.kept as {KEPT}"


def capture_cells(
    functions: Sequence[Callable[..., Any]],
    cells: Sequence[str],
    namespace: Mapping[str, Any],
    root: Path | None = None,
) -> str:
    """The source of a module with these functions and all that they use, from cells in the order they ran.

    `root` is the project's, whose modules may have been changed from cells. Raises `UsageError` for what can neither be
    defined nor carried, which names the variable and its cell.
    """
    found = _captured(functions, cells, namespace, root)
    while found.reads_docs > found.docs or found.shares_more():
        found = _captured(functions, cells, namespace, root, found)
    _refuse_secrets(found)
    statements = [*found.lines, *found.fills, *found.last]
    head = [_HEAD] if any(KEPT in each for each in statements) else []
    source = "\n\n".join([*head, *statements]) + "\n"
    if len(source) > LARGEST_MODULE:
        raise UsageError(
            f"what the cells hold for an operation is {len(source) / 2**20:.0f} MiB as text "
            f"(limit {LARGEST_MODULE // 2**20})",
            hint="make the large values in an operation, and pass its output on as an input",
        )
    return source


def _captured(
    functions: Sequence[Callable[..., Any]],
    cells: Sequence[str],
    namespace: Mapping[str, Any],
    root: Path | None,
    before: Live | None = None,
) -> Live:
    live = Live(_parsed(tuple(cells)), namespace, docs=before is not None and before.reads_docs, before=before)
    for function in functions:
        live.bind(function.__name__, getattr(inspect.unwrap(function), "__globals__", namespace))
        if function.__name__ not in live.bound:
            raise UsageError(
                f'"{function.__name__}" is not in the session any more', hint="run the cell that defines it again"
            )
    live.finish()
    add_state(live, root)
    live.finish()
    return live


def _refuse_secrets(live: Live) -> None:
    """What a module holds is kept with the run, for all to read."""
    text = "\n".join([*live.lines, *live.fills, *live.last])
    for variable, secret in variables_with("").items():
        if not _SECRET.search(variable) or len(secret) < SHORTEST_SECRET or secret not in text:
            continue
        name = next((name for name, value in live.bound.items() if value == secret), "a value")
        raise UsageError(
            f'"{name}" holds what the environment variable "{variable}" holds, and the code of a run is kept for all',
            hint="read it inside of the operation, or declare it as an input: jeyn.Secret(…)",
        )


@lru_cache(maxsize=2)
def _parsed(cells: tuple[str, ...]) -> Cells:
    """Once for all operations of a plan."""
    return Cells(cells)


def notebook_module(
    functions: Sequence[Callable[..., Any]],
    cells: Sequence[str],
    namespace: Mapping[str, Any],
    root: Path | None = None,
) -> tuple[str, str]:
    """(module name, source) of captured cells; equal source has an equal name."""
    source = capture_cells(functions, cells, namespace, root)
    return f"{NOTEBOOK}{hashlib.sha256(source.encode()).hexdigest()[:12]}", source


def notebook_parts(source: str, label: str) -> dict[str, str]:
    """The digest of everything in such a module, by the names that people know."""
    texts: dict[str, list[str]] = {}
    for node in ast.parse(source).body:
        if ast.unparse(node) != _HEAD:
            texts.setdefault(_called(node), []).append(ast.dump(node))
    return {f"{label}:{name}": sha256_of("\n".join(some).encode()) for name, some in texts.items()}


def running_cells() -> tuple[list[str], Mapping[str, Any]] | None:
    """The cells that ran in this IPython session, by their number, and its names; None outside one."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is None:
        return None
    return list(shell.history_manager.input_hist_raw), shell.user_ns


def _called(node: ast.stmt) -> str:
    names = sorted(bound(node)) or [
        each.id for each in ast.walk(node) if isinstance(each, ast.Name) and each.id != KEPT
    ]
    known = [each for each in names if not each.startswith(KEPT)]
    return known[0] if known else "values"
