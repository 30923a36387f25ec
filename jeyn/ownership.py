"""Whose files decide what runs: a project that somebody else owns is taken only where one said so, as git does it.

In a folder that many can write to, anybody could put a `jeyn.yaml` with serializers, or a module, above other people's
work. https://git-scm.com/docs/git-config#Documentation/git-config.txt-safedirectory
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from jeyn.errors import NotAllowed

VARIABLE = "JEYN_SAFE_DIRECTORY"


def refuse_strangers(root: Path, *names: str, environment: Mapping[str, str]) -> None:
    """Raise `NotAllowed` where a project's root, or one of these of its files that is there, is somebody else's.

    The superuser's are everybody's: who has that name can change every program as well. The environment tells what is
    trusted all the same, and who is behind sudo.
    """
    if not hasattr(os, "geteuid"):
        return
    trusted = _trusted(environment.get("SUDO_UID", ""))
    for path in (root, *(root / name for name in names)):
        owner = _owner(path, trusted)
        if owner is None or owner in trusted:
            continue
        if _is_safe(root, environment.get(VARIABLE, "").split(os.pathsep)):
            return
        raise NotAllowed(
            f'"{path}" belongs to {_name(owner)}, and what a project says decides what runs',
            hint=f"if you trust who can write there: export {VARIABLE}={root}",
        )


def _owner(path: Path, trusted: frozenset[int]) -> int | None:
    """Of the link itself, too: who can make it decides what it means."""
    try:
        return max(path.lstat().st_uid, path.stat().st_uid, key=lambda uid: uid not in trusted)
    except OSError:
        return None


def _trusted(behind_sudo: str) -> frozenset[int]:
    own = os.geteuid()
    # sudo in one's own project is still one's own project.
    return frozenset([own, 0, *([int(behind_sudo)] if own == 0 and behind_sudo.isdecimal() else [])])


def _is_safe(root: Path, named: Sequence[str]) -> bool:
    return "*" in named or any(Path(each).expanduser().resolve() == root for each in named if each)


def _name(uid: int) -> str:
    import pwd

    try:
        return f'"{pwd.getpwuid(uid).pw_name}"'
    except KeyError:
        return f"the user with the id {uid}"
