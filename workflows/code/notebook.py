"""A notebook's operations as a module: the statements of its cells that they need, and nothing else (SEMANTICS 22)."""

from __future__ import annotations

import ast
import builtins
import hashlib
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jeyn.errors import UsageError
from jeyn.workflows.code.statements import Statement

_GIVEN = frozenset(dir(builtins)) | {"__name__", "__file__", "__doc__"}
PREFIX = "notebook_"  # of the names of these modules
_RUNS_PYTHON = ("%%capture", "%%prun", "%%time", "%%timeit")


def capture_cells(functions: Sequence[Callable[..., Any]], cells: Sequence[str], namespace: Mapping[str, Any]) -> str:
    """The source of a module with these functions and all that they use, from cells in the order they ran.

    Of each name it has the newest statement that binds it, as the live session does. Raises `UsageError` for a live
    global that no cell binds.
    """
    statements = [Statement(node) for cell in cells for node in _parsed(cell)]
    wanted = _Wanted(statements, namespace)
    for function in functions:
        wanted.add(getattr(function, "__name__", ""), len(statements), needed_by="")
    futures = [each for each in statements if _is_future(each.node)]
    chosen = [each for at, each in enumerate(statements) if at in wanted.chosen and not _is_future(each.node)]
    lines = dict.fromkeys(ast.unparse(each.node) for each in futures)
    return "\n\n".join([*lines, *(ast.unparse(each.node) for each in chosen)]) + "\n"


def notebook_module(
    functions: Sequence[Callable[..., Any]], cells: Sequence[str], namespace: Mapping[str, Any]
) -> tuple[str, str]:
    """(module name, source) of captured cells; equal source has an equal name."""
    source = capture_cells(functions, cells, namespace)
    return f"{PREFIX}{hashlib.sha256(source.encode()).hexdigest()[:12]}", source


def running_cells() -> tuple[list[str], Mapping[str, Any]] | None:
    """The cells that ran in this IPython session and its names; None outside one."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is None:
        return None
    return list(shell.history_manager.input_hist_raw), shell.user_ns


class _Wanted:
    """The statements to keep, found from names. A name is wanted as it stood before some statement."""

    def __init__(self, statements: Sequence[Statement], namespace: Mapping[str, Any]) -> None:
        self.statements = statements
        self.namespace = namespace
        self.chosen: set[int] = set()
        self._touching: dict[str, list[int]] = {}
        for at, statement in enumerate(statements):
            for name in statement.touches:
                self._touching.setdefault(name, []).append(at)

    def add(self, name: str, before: int, needed_by: str) -> None:
        waiting, seen = [(name, before, needed_by)], set()
        while waiting:
            name, before, needed_by = waiting.pop()
            if (name, before) in seen:
                continue
            seen.add((name, before))
            for at in self._makers(name, before, needed_by):
                self.chosen.add(at)
                symbols = self.statements[at].symbols
                # What runs at once saw the names of then; what a function reads later sees those of the caller.
                waiting += [(each, at, name) for each in sorted(symbols.eager | symbols.deferred)]
                waiting += [(each, before, name) for each in sorted(symbols.deferred)]

    def _makers(self, name: str, before: int, needed_by: str) -> list[int]:
        """The last statement that defines a name, and those after it that change it."""
        found = [at for at in self._touching.get(name, []) if at < before]
        start = next((place for place in range(len(found) - 1, -1, -1) if self._is_new(found[place], name)), None)
        if start is not None:
            return found[start:]
        stars = [at for at, each in enumerate(self.statements[:before]) if _brings(each.node, name)]
        if not found and stars:
            return stars[-1:]
        is_later = name in self._touching
        if not is_later and name in self.namespace and name not in _GIVEN:
            used = f', which "{needed_by}" uses,' if needed_by else ""
            raise UsageError(
                f'"{name}"{used} has no source in the cells of this notebook',
                hint="define it in a cell, or pass it to the operation as an input",
            )
        return found

    def _is_new(self, at: int, name: str) -> bool:
        statement = self.statements[at]
        is_own_input = isinstance(statement.node, ast.Assign | ast.AnnAssign) and name in statement.symbols.eager
        return statement.defines and name in statement.symbols.binds and not is_own_input


def _parsed(cell: str) -> list[ast.stmt]:
    """A cell's statements without magics; a cell that is no Python never ran as Python, so it has none."""
    if cell.lstrip().startswith("%%"):
        magic, _, cell = cell.lstrip().partition("\n")
        if magic.split()[0] not in _RUNS_PYTHON:
            return []
    lines = cell.splitlines()
    for _ in range(len(lines) + 1):
        try:
            body = ast.parse("\n".join(lines)).body
        except SyntaxError as exc:
            # Only lines that the parser stops at: "%" may also start a line within an expression.
            if not exc.lineno or exc.lineno > len(lines) or not _is_magic(lines[exc.lineno - 1]):
                return []
            line = lines[exc.lineno - 1]
            lines[exc.lineno - 1] = line[: len(line) - len(line.lstrip())] + "pass"
        else:
            return [node for node in body if not isinstance(node, ast.Pass)]
    return []


def _is_magic(line: str) -> bool:
    text = line.strip()
    assigned = text.partition("=")[2].lstrip()
    return text.startswith(("%", "!", "?")) or text.endswith("?") or assigned.startswith(("%", "!"))


def _brings(node: ast.stmt, name: str) -> bool:
    """Whether it is `from module import *` of a module that has the name."""
    if not isinstance(node, ast.ImportFrom) or node.names[0].name != "*":
        return False
    return hasattr(sys.modules.get(node.module or ""), name)


def _is_future(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and node.module == "__future__"
