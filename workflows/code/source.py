"""One file of the user's code, read once per version of it: its statements and digests (SEMANTICS 18)."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

from jeyn.errors import NotAllowed
from jeyn.regular import read_bytes
from jeyn.sdk.canonical import sha256_of
from jeyn.workflows.code.statements import Import, Statement, Statements

_EMPTY = Statements((), True, frozenset())
_READS_DOCS = re.compile(rb"__doc__|\bgetdoc\b|\bdocopt\b|\bpydoc\b|\bdoctest\b|\bFire\b")
_READS_SOURCE = re.compile(rb"\b(getsource|getsourcelines|getcomments|findsource)\b")
READS_METADATA = re.compile(rb"\b(importlib[._]metadata|import metadata|pkg_resources)\b")
_READ: dict[Path, tuple[tuple[int, int], SourceFile]] = {}


class SourceFile:
    """The normalised code of one module. Text that is no Python counts by its bytes.

    Layout and comments never count in a digest, docstrings where `docs` says so.
    """

    def __init__(self, text: bytes) -> None:
        self.text = text
        self._digests: dict[tuple[str, bool], str] = {}

    @cached_property
    def statements(self) -> Statements:
        try:
            return Statements.read(self.text)
        except (SyntaxError, ValueError):
            return _EMPTY

    @cached_property
    def reads_docs(self) -> bool:
        """Whether it may ask a function or module for its docstring."""
        return _READS_DOCS.search(self.text) is not None

    @cached_property
    def reads_source(self) -> bool:
        """Whether it may ask for the text of a function, comments and all."""
        return _READS_SOURCE.search(self.text) is not None

    @cached_property
    def reads_metadata(self) -> bool:
        """Whether it may ask what is installed, and in which version."""
        return READS_METADATA.search(self.text) is not None

    @property
    def digest(self) -> str:
        """Over all of it without docstrings."""
        return self.whole_digest(docs=False)

    def whole_digest(self, *, docs: bool) -> str:
        body = self.statements.body
        if not body:
            return sha256_of(self.text)
        return _digest(body, docs=docs, also=self.statements.doc)

    @cached_property
    def imports(self) -> tuple[Import, ...]:
        return tuple(each for statement in self.statements.body for each in statement.imports)

    def touching(self, name: str) -> list[Statement]:
        """The statements that make a name what it is; none where the text cannot tell."""
        found = self.statements.touching.get(name, [])
        if self.statements.unclear or (name in self.statements.mutated and any(map(_is_value, found))):
            return []
        return found

    def name_digest(self, name: str, *, docs: bool = False) -> str:
        """Over the statements that make a name what it is; of an import only that name counts."""
        key = name, docs
        if key not in self._digests:
            found = [_imported(each, name) or _text(each, docs) for each in self.touching(name)]
            self._digests[key] = sha256_of("\n".join(found).encode())
        return self._digests[key]

    def effects_digest(self, *, docs: bool = False) -> str:
        """Over the statements that do more than define something, in order."""
        return _digest(self.statements.effects, docs=docs, also=self.statements.doc)


def read_source(path: Path) -> SourceFile:
    """A file's code, from memory while its size and time are the same."""
    try:
        stat = path.stat()
        version = stat.st_mtime_ns, stat.st_size
        known = _READ.get(path)
        if known is None or known[0] != version:
            known = _READ[path] = version, SourceFile(read_bytes(path))
    except OSError as exc:
        raise NotAllowed(f'"{path}" cannot be read: {exc.strerror}', hint="check who owns it") from exc
    return known[1]


def imports_for(statement: Statement, name: str) -> tuple[Import, ...]:
    """The imports that a statement needs where only `name` of it is used."""
    if _imported(statement, name):
        return tuple(each for each in statement.imports if each.alias == name)
    return statement.imports


def _digest(statements: Iterable[Statement], *, docs: bool, also: str) -> str:
    texts = [_text(each, docs) for each in statements]
    return sha256_of("\n".join([*texts, also] if docs and also else texts).encode())


def _text(statement: Statement, docs: bool) -> str:
    return "\n".join([statement.text, *statement.docs]) if docs else statement.text


def _imported(statement: Statement, name: str) -> str:
    """One name of an import statement as text, "" for another statement."""
    if not isinstance(statement.node, ast.Import | ast.ImportFrom):
        return ""
    return repr([tuple(each) for each in statement.imports if each.alias == name])


def _is_value(statement: Statement) -> bool:
    return isinstance(statement.node, ast.Assign | ast.AnnAssign)
