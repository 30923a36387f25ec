"""The code package: a project's files as one deterministic archive, named by its digest (DESIGN 7)."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from jeyn.errors import Invalid, NotAllowed
from jeyn.project_secrets import without_secrets
from jeyn.regular import DEEPEST, NotRegular, is_regular, opened, read_bytes
from jeyn.sdk.canonical import sha256_of
from jeyn.settings import IGNORE_FILE, PROJECT_FILE
from jeyn.workflows.code.archive import Member, compress, pack, sha256_hex
from jeyn.workflows.code.libraries import library_files, metadata_files
from jeyn.workflows.code.listing import list_files
from jeyn.workflows.code.source import READS_METADATA
from jeyn.workflows.leaks import refuse_in

_log = logging.getLogger("jeyn.code")
_SHOWN = 120  # characters of a path
LARGEST_FILE = 10 * 2**20
LARGEST_PACKAGE = 50 * 2**20


@dataclass(frozen=True)
class CodePackage:
    """A packed project. `digest` and `size` are of the uncompressed tar; `files` are (path, size, sha256 as hex)."""

    digest: str
    size: int
    files: tuple[tuple[str, int, str], ...]
    commit: str | None
    dirty: bool
    tar: bytes = field(repr=False)

    @cached_property
    def payload(self) -> bytes:
        """The package as it travels and is stored: gzipped."""
        return compress(self.tar)

    def write(self, path: Path) -> None:
        """Write the gzipped package to a file."""
        path.write_bytes(self.payload)


def package_code(
    root: Path,
    *,
    kept: Sequence[Path],
    data: Path | None = None,
    excluded_patterns: Sequence[str] = (),
    extra: Mapping[str, str] | None = None,
    libraries: Mapping[str, Path] | None = None,
) -> CodePackage:
    """The package of the project at `root`.

    `kept` is what Jeyn keeps itself; `excluded_patterns` are the sources of formulas, below `data` (default: the root):
    data is no code (SEMANTICS 16).
    `extra` are modules that are no files: path -> text, such as a notebook's; `libraries` are source folders beside the
    project (`libraries_of`), which are put beside its modules. Raises `Invalid` for a file or package
    that is too large.
    """
    root = root.resolve()
    listing = list_files(root, kept=kept, data=data or root, excluded_patterns=excluded_patterns)
    _refuse_large(root, listing.paths)
    _tell_unfit(listing.unfit)
    members = {path: _harmless(member) for path in listing.paths if (member := _member(root, path)) is not None}
    members = _library_members(libraries or {}) | members
    if any(READS_METADATA.search(each.data) for path, each in members.items() if path.endswith(".py")):
        members = {name: Member(name, read_bytes(path)) for name, path in metadata_files([root]).items()} | members
    members |= {path: Member(path, text.encode()) for path, text in (extra or {}).items()}
    ordered = [members[path] for path in sorted(members)]
    tar = pack(ordered)
    files = tuple((each.path, len(each.data), sha256_hex(each.data)) for each in ordered)
    return CodePackage(sha256_of(tar), len(tar), files, listing.commit, listing.dirty, tar)


def _harmless(member: Member) -> Member:
    """Without the passwords of jeyn.yaml. Raises `Invalid` where others are in it, or a secret that is known here."""
    if member.path == PROJECT_FILE and not member.is_link:
        member = member._replace(data=without_secrets(member.data, member.path))
    refuse_in(member.data, f'"{member.path}"')
    return member


def _tell_unfit(unfit: Sequence[str]) -> None:
    """Nothing that looks like code is left out without a word."""
    if unfit:
        _log.warning(
            "%d file(s) are not in the code package, as their names are not UTF-8 or they are in more than %d folders: "
            "%s; name them in %s where that is right",
            len(unfit), DEEPEST, ", ".join(_short(each) for each in unfit[:3]), IGNORE_FILE,
        )  # fmt: skip


def _short(path: str) -> str:
    return ascii(path if len(path) <= _SHOWN else f"{path[:_SHOWN]}…")


def _library_members(libraries: Mapping[str, Path]) -> dict[str, Member]:
    files = library_files(libraries)
    total = sum(path.stat().st_size for path in files.values())
    if total > LARGEST_PACKAGE:
        raise Invalid(
            f"the libraries beside the project have {total / 2**20:.1f} MB of code (limit {LARGEST_PACKAGE // 2**20}): "
            + ", ".join(f'"{place}"' for place in libraries.values()),
            hint="install them as packages instead",
        )
    return {name: Member(name, read_bytes(path)) for name, path in files.items()}


def _member(root: Path, path: str) -> Member | None:
    """A file's member; None for a link that leads out of the project, and for what just went or may not be read."""
    place = root / path
    try:
        if place.is_symlink():
            return _link(root, path, place)
        with opened(place) as file:
            return Member(path, file.readall() or b"", bool(os.fstat(file.fileno()).st_mode & 0o100))
    except (FileNotFoundError, PermissionError, NotRegular):
        return None  # no operation here can import it either
    except OSError as exc:
        raise NotAllowed(
            f'"{path}" cannot be read: {exc.strerror}', hint=f"check who owns it, or name it in {IGNORE_FILE}"
        ) from exc


def _link(root: Path, path: str, place: Path) -> Member | None:
    target = Path(os.path.normpath(place.parent / place.readlink()))
    real = Path(os.path.realpath(place))
    if not (real.is_relative_to(root) and target.is_relative_to(root)):
        return None
    if not (is_regular(real) or os.path.isdir(real)):  # noqa: PTH112 - see `is_regular`
        return None  # a loop, a named pipe, a socket, nothing
    return Member(path, os.fsencode(os.path.relpath(target, place.parent)), is_link=True)


def _refuse_large(root: Path, paths: Sequence[str]) -> None:
    sizes = {path: (root / path).lstat().st_size for path in paths if os.path.lexists(root / path)}
    biggest = sorted(sizes, key=lambda path: -sizes[path])[:5]
    listed = ", ".join(f'"{path}" ({sizes[path] / 2**20:.1f} MB)' for path in biggest)
    hint = f"name what is no code in {IGNORE_FILE}, with patterns as in .gitignore"
    if biggest and sizes[biggest[0]] > LARGEST_FILE:
        raise Invalid(
            f"the project has files too large for code (limit {LARGEST_FILE // 2**20} MB): {listed}", hint=hint
        )
    total = sum(sizes.values())
    if total > LARGEST_PACKAGE:
        limit = LARGEST_PACKAGE // 2**20
        raise Invalid(
            f"the project's code is {total / 2**20:.1f} MB (limit {limit} MB), the biggest: {listed}", hint=hint
        )
