"""Where things are: the project root, `jeyn.yaml` and the environment, read once, here and nowhere else (SEMANTICS 30).

What is set in the environment wins over `jeyn.yaml`, and arguments win over both. Relative paths in `jeyn.yaml` start
at the project root; those in the environment at the working folder.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jeyn.errors import NotAllowed, UsageError

MARKERS = ("jeyn.yaml", ".jeyn", "pyproject.toml")
KEYS = frozenset(["name", "home", "catalog", "payloads", "data", "databases", "serializers", "pipelines", "operations"])


@dataclass(frozen=True)
class Settings:
    """One workspace's places: a home folder, a database URL, a payload store URL, a data root, named databases."""

    root: Path
    home: Path
    catalog: str
    payloads: str
    data: str
    actor: str
    databases: Mapping[str, str] = field(default_factory=dict)
    serializers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def load(
        cls,
        start: Path | None = None,
        *,
        home: str | os.PathLike[str] | None = None,
        catalog: str | None = None,
        payloads: str | None = None,
        data: str | os.PathLike[str] | None = None,
        actor: str | None = None,
    ) -> Settings:
        """Settings for the project that `start` (default: the working folder) is in; arguments win."""
        start = (start or Path.cwd()).resolve()
        root = project_root(start)
        project = read_project_file(root / "jeyn.yaml")
        env = os.environ
        folder = _path(home, env.get("JEYN_HOME"), project.get("home"), root, default=root / ".jeyn")
        return cls(
            root=root,
            home=folder,
            catalog=catalog or env.get("JEYN_CATALOG") or project.get("catalog") or _sqlite(folder / "catalog.db"),
            payloads=payloads
            or env.get("JEYN_PAYLOADS")
            or project.get("payloads")
            or f"file://{quote(str(folder / 'payloads'))}",
            data=_location(data, env.get("JEYN_DATA"), project.get("data"), root),
            actor=actor or env.get("JEYN_ACTOR") or _user(),
            databases=_mapping(project, "databases") | _databases(env),
            serializers=_mapping(project, "serializers"),
        )

    def database(self, name: str) -> str:
        """The address of a named database; raises `UsageError` with how to set it."""
        if name not in self.databases:
            known = ", ".join(sorted(self.databases)) or "none"
            raise UsageError(
                f'no database is called "{name}" (known: {known})',
                hint=f"set JEYN_DATABASE_{name.upper()}, or databases: in jeyn.yaml",
            )
        return self.databases[name]


def project_root(start: Path) -> Path:
    """The nearest ancestor with `jeyn.yaml`, `.jeyn` or `pyproject.toml`, else the folder itself."""
    folder = start if start.is_dir() else start.parent
    for candidate in (folder, *folder.parents):
        if any((candidate / marker).exists() for marker in MARKERS):
            return candidate
    return folder


def read_project_file(path: Path) -> Mapping[str, Any]:
    """`jeyn.yaml` as a mapping of the keys that Jeyn knows; `{}` when there is none."""
    if not path.is_file():
        return {}
    import yaml

    try:
        found = yaml.safe_load(path.read_text()) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as exc:
        raise UsageError(f'"{path.name}" is not YAML: {exc}', hint="mend the line it names") from exc
    except OSError as exc:
        raise NotAllowed(f'"{path}" cannot be read: {exc.strerror}', hint="check who owns it") from exc
    if not isinstance(found, dict):
        raise UsageError(
            f'"{path.name}" holds a {type(found).__name__}, not keys', hint="write lines like data: ./data"
        )
    unknown = sorted(set(map(str, found)) - KEYS)
    if unknown:
        known = ", ".join(sorted(KEYS))
        raise UsageError(f'"{path.name}" has unknown keys: {", ".join(unknown)}', hint=f"known: {known}")
    return found


def _mapping(project: Mapping[str, Any], key: str) -> dict[str, str]:
    found = project.get(key) or {}
    if not isinstance(found, Mapping):
        raise UsageError(
            f'"{key}" in jeyn.yaml is {found!r}, not names and values', hint=f"write {key}: {{name: value}}"
        )
    return {str(name): str(value) for name, value in found.items()}


def _sqlite(path: Path) -> str:
    return f"sqlite:///{quote(str(path))}"


def _path(
    given: str | os.PathLike[str] | None, from_env: str | None, from_file: Any, root: Path, default: Path
) -> Path:
    if given is not None:
        return Path(given).expanduser().resolve()
    if from_env:
        return Path(from_env).expanduser().resolve()
    return (root / Path(str(from_file)).expanduser()).resolve() if from_file else default


def _location(given: str | os.PathLike[str] | None, from_env: str | None, from_file: Any, root: Path) -> str:
    for value in (given, from_env, from_file):
        if value is not None and "://" in str(value):
            return str(value)
    return str(_path(given, from_env, from_file, root, default=root))


def _databases(env: Mapping[str, str]) -> dict[str, str]:
    prefix = "JEYN_DATABASE_"
    return {key.removeprefix(prefix).lower(): value for key, value in env.items() if key.startswith(prefix)}


def _user() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return f"uid-{os.getuid()}"
