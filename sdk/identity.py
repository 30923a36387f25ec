"""`h is None` in a pipeline's body: Python answers it at once, with no for every handle, and nothing can be overridden.

So where a condition is a plain bool, the source that made it is looked at (SEMANTICS 23).
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from types import FrameType
from typing import Any

from jeyn.errors import UsageError
from jeyn.sdk.handle import Handle, Handles


def refuse_identity(condition: Any, frame: FrameType) -> None:
    """Raises `UsageError` where `jeyn.when` of this frame is given what `is` says of a handle."""
    if not isinstance(condition, bool):
        return
    body = _body(frame)
    for expression in _conditions(body, frame.f_lineno):
        for each in _with_assigned(expression, body):
            asked = _asked_of_a_handle(each, frame)
            if asked:
                raise UsageError(
                    f"the condition `{ast.unparse(expression)}` is {condition} already while the pipeline is recorded: "
                    f"`{asked}` asks of the handle, not of its value",
                    hint="compare with == or !=: `with jeyn.when(handle == None):`",
                )


def _body(frame: FrameType) -> ast.AST:
    """The function or module of the frame; its lines are those of the file."""
    try:
        lines, start = inspect.getsourcelines(frame.f_code)
        tree = ast.parse(textwrap.dedent("".join(lines)))
    except (OSError, TypeError, SyntaxError):  # no source, as at a prompt
        return ast.Module([], [])
    return ast.increment_lineno(tree, max(start - 1, 0))


def _conditions(body: ast.AST, line: int) -> Iterator[ast.expr]:
    """What calls in that line are given: `jeyn.when(…)` alone, under whatever name."""
    for node in ast.walk(body):
        if isinstance(node, ast.Call) and len(node.args) == 1 and node.lineno <= line <= (node.end_lineno or line):
            yield node.args[0]


def _with_assigned(expression: ast.expr, body: ast.AST) -> Iterator[ast.expr]:
    """The expression, and what was assigned to the names in it."""
    yield expression
    names = {node.id for node in ast.walk(expression) if isinstance(node, ast.Name)}
    for node in ast.walk(body):
        if isinstance(node, ast.Assign) and any(
            isinstance(each, ast.Name) and each.id in names for each in node.targets
        ):
            yield node.value


def _asked_of_a_handle(expression: ast.expr, frame: FrameType) -> str:
    for node in ast.walk(expression):
        if not (isinstance(node, ast.Compare) and any(isinstance(each, ast.Is | ast.IsNot) for each in node.ops)):
            continue
        if any(_may_be_handle(each, frame) for each in (node.left, *node.comparators)):
            return ast.unparse(node)
    return ""


def _may_be_handle(expression: ast.expr, frame: FrameType) -> bool:
    if isinstance(expression, ast.Constant):
        return False
    if isinstance(expression, ast.Name):
        value = frame.f_locals.get(expression.id, frame.f_globals.get(expression.id))
        return isinstance(value, Handle | Handles)
    return True  # the call of an operation, an output by name
