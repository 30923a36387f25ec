"""Which of a project's files belong to its code package: what git knows or, without git, files with a known suffix."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from jeyn.errors import Unreachable, UsageError
from jeyn.regular import DEEPEST, is_regular, read_text, real, walk
from jeyn.settings import IGNORE_FILE, variables_without
from jeyn.workflows.code.generated import is_generated
from jeyn.workflows.code.local import is_environment

if TYPE_CHECKING:
    from jeyn.stores.sources.pattern import Pattern

GIT_SECONDS = 60.0  # it lists a million files in less
PRIVATE = frozenset([".env", ".netrc", ".pgpass", ".pypirc", ".git-credentials", "id_rsa", "id_ed25519", "id_ecdsa"])
_EXAMPLES = ("example", "sample", "template", "dist")
SUFFIXES = frozenset([".py", ".pyi", ".toml", ".yaml", ".yml", ".json", ".cfg", ".ini", ".txt", ".md", ".sql"])


class Listing(NamedTuple):
    """Paths below the root with "/", sorted; `commit` is None without git, `dirty` says that files differ from it.

    `unfit` are files that would be code, were their names text and not so deep.
    """

    paths: tuple[str, ...]
    commit: str | None
    dirty: bool
    unfit: tuple[str, ...] = ()


def list_files(root: Path, *, kept: Sequence[Path], data: Path, excluded_patterns: Sequence[str] = ()) -> Listing:
    """The files of the project at `root` (resolved) that its code may need; data and caches are left out."""
    rules = _Rules(root, kept, real(data), excluded_patterns)
    status = _git_start(root, "status", "--porcelain=v2", "--branch", "-z", "--", ".")
    try:
        listed = _git(root, "ls-files", "-co", "--exclude-standard", "-z")
        prefix = _git(root, "rev-parse", "--show-prefix")
        said = _finish(status)
    except Unreachable:
        _end(status)
        raise
    # A root that the repository around it ignores has no files there, so it stands for itself.
    if not listed or prefix is None:
        paths, unfit = _fit(_by_suffix(root, rules), rules)
        return Listing(paths, None, False, unfit)
    paths, unfit = _fit(set(listed.split("\0")) - {""}, rules)
    commit, changed = _read_status(said or "", prefix.strip())
    return Listing(paths, commit, any(_is_about(each, paths, rules) for each in changed), unfit)


def _fit(found: Iterable[str], rules: _Rules) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The paths to be packed, and those of their kind that cannot be."""
    kept = sorted(path for path in found if _is_file(rules.root / path) and rules.keeps(path))
    unfit = tuple(path for path in kept if not is_fit(path))
    left = set(unfit)
    return tuple(path for path in kept if path not in left), unfit


def is_fit(path: str) -> bool:
    """Whether every program can have a file of that name: it is UTF-8, and not in folders without end."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return path.count("/") <= DEEPEST


class _Rules:
    """What is never in a package, whatever git says."""

    def __init__(self, root: Path, kept: Sequence[Path], data: Path, excluded_patterns: Sequence[str]) -> None:
        self.root, self.data = root, data
        self.kept = frozenset(real(each) for each in kept)
        self._patterns = _compiled(excluded_patterns)
        self._ignored = _ignore_file(root / IGNORE_FILE)
        self._folders: dict[str, bool] = {"": True}

    def keeps(self, path: str) -> bool:
        if self._ignored(path) or self._is_data(path) or self.root / path in self.kept or _is_private(path):
            return False
        place = self.root / path
        return self.keeps_folder(path.rpartition("/")[0]) and not (is_regular(place) and is_generated(place))

    def keeps_folder(self, folder: str) -> bool:
        above = []  # not by recursion: folders may be nested deeper than calls
        while folder not in self._folders:
            above.append(folder)
            folder = folder.rpartition("/")[0]
        kept = self._folders[folder]
        for each in reversed(above):
            kept = self._folders[each] = kept and not self._is_cache(each)
        return kept

    def _is_cache(self, folder: str) -> bool:
        place = self.root / folder
        return place.name in (".git", "__pycache__") or place in self.kept or is_environment(place)

    def _is_data(self, path: str) -> bool:
        place = self.root / path
        if not self._patterns or not place.is_relative_to(self.data):
            return False
        below = place.relative_to(self.data).as_posix()
        return any(pattern.matches(below) for pattern in self._patterns)


def _is_private(path: str) -> bool:
    """Files that by custom hold passwords and keys; examples of them do not."""
    name = path.rpartition("/")[2].lower()
    return name in PRIVATE or (name.startswith(".env.") and name.rpartition(".")[2] not in _EXAMPLES)


def _compiled(patterns: Sequence[str]) -> list[Pattern]:
    if not patterns:
        return []
    from jeyn.stores.sources.pattern import Pattern

    return [Pattern(text) for text in patterns]


def _ignore_file(path: Path) -> Callable[[str], bool]:
    if not os.path.lexists(path):
        return lambda _path: False
    from pathspec import GitIgnoreSpec

    try:
        return GitIgnoreSpec.from_lines(read_text(path).splitlines()).match_file
    except (OSError, ValueError) as exc:  # a pattern, or text that is no UTF-8
        why = getattr(exc, "strerror", None) or exc
        raise UsageError(
            f'"{path.name}" cannot be read: {why}', hint="write patterns there as in .gitignore, as UTF-8"
        ) from exc


def _is_file(path: Path) -> bool:
    """Files and links that are there; a submodule or another repository is a folder here."""
    # Not Path's own, which raise below what may not be read.
    return os.path.islink(path) or is_regular(path)  # noqa: PTH114


def _by_suffix(root: Path, rules: _Rules) -> Iterator[str]:
    for below, folders, files in walk(root):
        prefix = f"{below}/" if below else ""
        yield from (prefix + each for each in files if Path(each).suffix in SUFFIXES or each == IGNORE_FILE)
        yield from (prefix + each for each in folders if (root / below / each).is_symlink())
        folders[:] = [each for each in folders if not each.startswith(".") and rules.keeps_folder(prefix + each)]


# Git, asked in one go.


def _git_start(root: Path, *arguments: str) -> subprocess.Popen[bytes] | None:
    git = shutil.which("git")
    if git is None:
        return None
    # Inside a git hook these would point elsewhere; and a read must take no lock from the user's own git.
    env = variables_without("GIT_")
    return subprocess.Popen(  # noqa: S603
        [git, "--no-optional-locks", "-C", str(root), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
        env=env,
    )


def _finish(process: subprocess.Popen[bytes] | None) -> str | None:
    if process is None:
        return None
    try:
        out, _ = process.communicate(timeout=GIT_SECONDS)
    except subprocess.TimeoutExpired as exc:  # a disk that is away, or a named pipe where it reads
        _end(process)
        raise Unreachable(
            f"git did not list the project's files within {GIT_SECONDS:g} s",
            hint="see what git status says there, and whether .gitignore is a file",
        ) from exc
    return os.fsdecode(out) if process.returncode == 0 else None


def _end(process: subprocess.Popen[bytes] | None) -> None:
    if process is not None:
        process.kill()
        process.communicate()


def _git(root: Path, *arguments: str) -> str | None:
    return _finish(_git_start(root, *arguments))


def _read_status(text: str, prefix: str) -> tuple[str | None, list[str]]:
    """The commit, and the changed paths from the root; https://git-scm.com/docs/git-status (porcelain v2, -z)."""
    commit = None
    changed = []
    entries = iter(text.split("\0"))
    for entry in entries:
        kind, _, rest = entry.partition(" ")
        if entry.startswith("# branch.oid "):
            commit = entry.removeprefix("# branch.oid ")
        elif kind in ("1", "2", "u", "?"):
            changed.append(rest.split(" ", {"1": 7, "2": 8, "u": 9, "?": 0}[kind])[-1])
            if kind == "2":
                changed.append(next(entries, ""))
    changed = [path.removeprefix(prefix) for path in changed if path.startswith(prefix)]
    return (None if commit == "(initial)" else commit), changed


def _is_about(path: str, paths: Sequence[str], rules: _Rules) -> bool:
    """Whether a changed path is a file of the package, a new folder with some, or one that is gone."""
    if path.endswith("/"):
        return any(each.startswith(path) for each in paths)
    return path in paths or (rules.keeps(path) and not os.path.exists(rules.root / path))  # noqa: PTH110
