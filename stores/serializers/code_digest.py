"""Digests of the code that a model relies on by name, read from the files of a project; nothing is imported.

A function's digest covers its own source and, transitively, the names of its module and of other modules of the project
that it uses. Comments, docstrings and layout are not in it. Libraries that are installed are left out: their versions
say what they are.
"""

from __future__ import annotations

import ast
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from jeyn.regular import read_text
from jeyn.sdk.canonical import canonical, sha256_of

_INSTALLED = tuple(
    Path(path).resolve()
    for name, path in sysconfig.get_paths().items()
    if name in ("stdlib", "platstdlib", "purelib", "platlib")
)


def digests_of(names: Iterable[str], root: Path) -> dict[str, str]:
    """`module.name` -> digest, of those that a file of the project, or one else on the path, defines."""
    project = _Project(root)
    found = {name: project.digest(name) for name in names}
    return {name: digest for name, digest in found.items() if digest is not None}


def changed(then: Mapping[str, str], root: Path) -> list[str]:
    """The names whose code is not what it was."""
    now = digests_of(then, root)
    return [name for name, digest in then.items() if now.get(name) != digest]


@dataclass(frozen=True)
class _Module:
    """One source file: what each of its top-level names is bound by."""

    name: str
    path: Path

    @cached_property
    def tree(self) -> ast.Module:
        return _without_docstrings(ast.parse(read_text(self.path)))

    @cached_property
    def bound(self) -> Mapping[str, list[ast.stmt]]:
        found: dict[str, list[ast.stmt]] = {}
        for statement in self.tree.body:
            for name in _bound_by(statement):
                found.setdefault(name, []).append(statement)
        return found

    @property
    def package(self) -> str:
        return self.name if self.path.name == "__init__.py" else self.name.rpartition(".")[0]


class _Project:
    def __init__(self, root: Path) -> None:
        self._roots = [root, *(Path(entry) for entry in sys.path if entry)]
        self._modules: dict[str, _Module | None] = {}

    def digest(self, name: str) -> str | None:
        """The digest of `module.name`; None where no file of ours defines it."""
        parts = name.split(".")
        for length in range(len(parts) - 1, 0, -1):
            module = self._module(".".join(parts[:length]))
            if module is not None:
                try:
                    return sha256_of(canonical(self._texts(module, parts[length])))
                except (SyntaxError, UnicodeDecodeError, OSError, RecursionError):
                    return None
        return None

    def _texts(self, module: _Module, name: str) -> list[list[str]]:
        """What the digest is over: the syntax of each statement that is reached, by module and name, in order."""
        texts: dict[tuple[str, str], str] = {}
        waiting = [(module, name)]
        for there, each in waiting:  # grows as names are met
            if (there.name, each) in texts:
                continue
            statements = there.bound.get(each) if each != "*" else there.tree.body
            if statements is None:  # bound where we do not look: the whole file counts
                each, statements = "*", there.tree.body
            texts[there.name, each] = "\n".join(map(ast.dump, statements))
            for statement in statements:
                waiting += self._used(there, statement)
        return [[*key, text] for key, text in sorted(texts.items())]

    def _used(self, module: _Module, statement: ast.stmt) -> Iterator[tuple[_Module, str]]:
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and node.id in module.bound:
                yield module, node.id
            elif isinstance(node, ast.Import):
                yield from ((found, "*") for each in node.names if (found := self._module(each.name)))
            elif isinstance(node, ast.ImportFrom):
                yield from self._imported(module, node)

    def _imported(self, module: _Module, node: ast.ImportFrom) -> Iterator[tuple[_Module, str]]:
        source = _absolute(module.package, node)
        for each in node.names:
            inner = self._module(f"{source}.{each.name}")
            outer = self._module(source)
            if inner is not None:
                yield inner, "*"
            elif outer is not None:
                yield outer, each.name

    def _module(self, name: str) -> _Module | None:
        if name not in self._modules:
            self._modules[name] = _found(name, self._roots)
        return self._modules[name]


def _found(name: str, roots: Sequence[Path]) -> _Module | None:
    parts = name.split(".")
    if not all(part.isidentifier() for part in parts):
        return None
    for root in roots:
        place = root.joinpath(*parts)
        for path in (place.with_suffix(".py"), place / "__init__.py"):
            if path.is_file():
                return None if _is_installed(path) else _Module(name, path)
    return None


def _is_installed(path: Path) -> bool:
    return any(path.resolve().is_relative_to(place) for place in _INSTALLED)


def _absolute(package: str, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    above = package.split(".")[: len(package.split(".")) - node.level + 1]
    return ".".join([*above, *([node.module] if node.module else [])])


def _bound_by(statement: ast.stmt) -> Iterator[str]:
    """The names that a top-level statement binds, also inside an if, a try or a with."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield statement.name
        return
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.alias):
            yield (node.asname or node.name).partition(".")[0]
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            first = node.body[0] if node.body else None
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                node.body[:1] = [ast.Pass()] if len(node.body) == 1 else []
    return tree
