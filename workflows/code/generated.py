"""Files in a project that Jeyn itself wrote, which are no code of it: manifests, `--json` documents, its own output."""

from __future__ import annotations

import os
from pathlib import Path

from jeyn.regular import opened

_ENDS = 2048  # bytes at either end of a file
_MANIFEST = b"app.kubernetes.io/managed-by: jeyn"
_DOCUMENT = b'"schema": "jeyn/v1"'


def is_generated(path: Path) -> bool:
    """Whether a file is what `jeyn compile` or a command with `--json` printed, or what this process prints into."""
    try:
        if _is_own_output(path):
            return True
        if path.suffix in (".yaml", ".yml"):
            return _MANIFEST in _ends(path)[0]
        return path.suffix == ".json" and _DOCUMENT in _ends(path)[1]
    except OSError:  # it just went, or may not be read
        return False


def _is_own_output(path: Path) -> bool:
    """`jeyn compile pipeline.py > argo.yaml`: the shell makes the file first, and it is read while it is written."""
    found = path.stat()
    for number in (1, 2):
        try:
            mine = os.fstat(number)
        except OSError:
            continue
        if (mine.st_dev, mine.st_ino) == (found.st_dev, found.st_ino):
            return True
    return False


def _ends(path: Path) -> tuple[bytes, bytes]:
    with opened(path) as file:
        head = file.read(_ENDS)
        file.seek(max(file.seek(0, os.SEEK_END) - _ENDS, 0))
        return head, file.read(_ENDS)
