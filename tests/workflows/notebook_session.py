"""A notebook for tests: runs the cells that it is given as JSON in a real IPython shell, and prints what they show.

Each cell's answer is {"result": text, "html": text or null, "error": text or null, "printed": text}.
"""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from typing import Any

from IPython.core.history import HistoryManager
from IPython.core.interactiveshell import InteractiveShell


def answer(shell: InteractiveShell, cell: str) -> dict[str, Any]:
    printed = StringIO()
    with redirect_stdout(printed), redirect_stderr(printed):
        done = shell.run_cell(cell, store_history=True)
    error = done.error_before_exec or done.error_in_exec
    found = done.result
    return {
        "result": found if isinstance(found, str) else repr(found),
        "html": found._repr_html_() if hasattr(found, "_repr_html_") else None,
        "error": f"{type(error).__name__}: {error}" if error else None,
        "printed": printed.getvalue(),
    }


if __name__ == "__main__":
    HistoryManager.enabled = False
    sys.path[0] = ""  # as in a notebook: its folder, not that of this file
    shell = InteractiveShell.instance()
    cells = json.load(sys.stdin)
    json.dump([answer(shell, cell) for cell in cells], sys.stdout)
