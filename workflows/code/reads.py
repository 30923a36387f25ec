"""Files that the user's modules read while they are imported, where no value of theirs tells what was in them.

`os.environ["RATE"] = json.load(open("params.json"))["rate"]`, `load_dotenv()`: their content is part of the code of
every operation that imports the module (SEMANTICS 36).
"""

from __future__ import annotations

import ast
import hashlib
import os
import re
import stat
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from jeyn.opened import opened_by, written_by
from jeyn.workflows.code.local import is_environment
from jeyn.workflows.code.statements import Statement

READ = " (read at import)"
LARGEST = 64 * 2**20  # bytes; what is larger counts by its size and time
MISSING = "missing"
_LOADS = re.compile(r"load|read|open|fileConfig|parse", re.IGNORECASE)
_WRITES = re.compile(r"'[wax]b?\+?'|filename=|FileHandler|dump|write|save")
_DOTENV = "load_dotenv("
_SYSTEM = ("/bin", "/dev", "/etc", "/lib", "/lib64", "/opt/conda", "/proc", "/run", "/sbin", "/sys", "/usr")
_HIDDEN = (".git", ".jeyn", "__pycache__")


def is_read(part: str) -> bool:
    """Whether a part of a function's code is such a file."""
    return part.endswith(READ)


def files_read(
    file: Path, statements: Iterable[Statement], body: Iterable[Statement], root: Path
) -> Iterator[tuple[str, str]]:
    """(part, digest) of the files that statements of a module read when it was imported, and its body did not write."""
    at, wrote = opened_by(str(file)), written_by(str(file))
    found: set[str] = set()
    own = {path for each in body if wrote for line in _lines(each.node) for path in wrote.get(line, ())}
    for statement in statements:
        if not isinstance(statement.node, ast.Import | ast.ImportFrom):
            for line in _lines(statement.node) if at else ():
                found |= at.get(line, set())
            found |= _named(statement, file, root)
    for path in sorted(found - own):
        if _counts(path, root) and (digest := digest_of(path)):
            yield Path(os.path.relpath(path, root)).as_posix() + READ, digest


def digest_now(part: str, root: Path) -> str:
    """The digest that a part of `files_read` has now, in this process's project."""
    return digest_of(str(root / part.removesuffix(READ)))


def digest_of(path: str) -> str:
    """Of a file's content, `MISSING` where there is none, "" for what is no regular file."""
    try:
        found = os.stat(path)  # noqa: PTH116
        if not stat.S_ISREG(found.st_mode):
            return ""
        return _digest(path, found.st_size, found.st_mtime_ns)
    except OSError:
        return MISSING


@cache
def _digest(path: str, size: int, time: int) -> str:
    if size > LARGEST:
        return f"large {size} {time}"
    with open(path, "rb") as file:  # noqa: PTH123
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def _lines(node: ast.stmt) -> range:
    marks = getattr(node, "decorator_list", [])
    first = min([node.lineno, *(each.lineno for each in marks)])
    return range(first, (node.end_lineno or node.lineno) + 1)


def _named(statement: Statement, file: Path, root: Path) -> set[str]:
    """Files of the project that the text names: who reads them may be no Python, or may have begun before Jeyn."""
    text = statement.source
    if not _LOADS.search(text) or _WRITES.search(text):
        return set()
    texts = [
        each.value
        for each in ast.walk(statement.node)
        if isinstance(each, ast.Constant) and isinstance(each.value, str)
    ]
    texts += [".env"] if _DOTENV in text else []
    places = [os.path.abspath(base / each) for each in texts if _is_name(each) for base in (root, file.parent)]  # noqa: PTH100
    return {each for each in places if os.path.isfile(each) and Path(each).is_relative_to(root)}  # noqa: PTH113


def _is_name(text: str) -> bool:
    return 0 < len(text) < 1000 and "\0" not in text and "\n" not in text and not text.endswith(".py")


def _counts(path: str, root: Path) -> bool:
    """Not what the system, Python and libraries have for themselves."""
    place = Path(path)
    if any(is_environment(each) for each in place.parents):
        return False
    if place.is_relative_to(root):
        return not set(_HIDDEN) & set(place.relative_to(root).parts)
    home = Path.home()
    hidden = place.is_relative_to(home) and place.relative_to(home).parts[0].startswith(".")
    own = (*_SYSTEM, sys.prefix, sys.base_prefix, sysconfig.get_path("stdlib"))
    return place.exists() and not hidden and not any(place.is_relative_to(each) for each in own)
