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

from jeyn.errors import UsageError

PROJECT_FILE = "jeyn.yaml"
MARKERS = (PROJECT_FILE, ".jeyn", "pyproject.toml")


@dataclass(frozen=True)
class Settings:
    """One workspace's places: a home folder, a database URL, a payload store URL, a data root, named databases.

    `pipelines` are "file.py:function" by name; `operations` the options that `jeyn.yaml` gives by operation name, "*"
    for all; `argo` what it and JEYN_ARGO_SERVER, _NAMESPACE and _IMAGE say (`jeyn.project_file.ArgoSettings`).
    """

    root: Path
    home: Path
    catalog: str = field(repr=False)  # it may hold a password
    payloads: str
    data: str
    actor: str
    databases: Mapping[str, str] = field(default_factory=dict, repr=False)
    serializers: Mapping[str, str] = field(default_factory=dict)
    name: str = ""
    pipelines: Mapping[str, str] = field(default_factory=dict)
    operations: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    argo: Mapping[str, Any] = field(default_factory=dict)

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
        is_checked: bool = False,
    ) -> Settings:
        """Settings for the project that `start` (default: the working folder) is in; arguments win.

        `is_checked`: the project file was read before, by who packed it.
        """
        start = (start or Path.cwd()).resolve()
        root = project_root(start)
        project = read_project_file(root / PROJECT_FILE, is_checked=is_checked)
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
            databases=project.get("databases", {}) | _databases(env),
            serializers=project.get("serializers", {}),
            name=project.get("name", ""),
            pipelines=project.get("pipelines", {}),
            operations=project.get("operations", {}),
            argo=project.get("argo", {}) | _argo(env),
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


def variables_without(prefix: str) -> dict[str, str]:
    """The environment for another program, less the variables that begin so."""
    return {key: value for key, value in os.environ.items() if not key.startswith(prefix)}


def variables_with(prefix: str) -> dict[str, str]:
    """The environment variables that begin so."""
    return {key: value for key, value in os.environ.items() if key.startswith(prefix)}


def variable(name: str) -> str:
    """An environment variable that names no place: JEYN_DEBUG, NO_COLOR, TERM."""
    return os.environ.get(name, "")


def project_root(start: Path) -> Path:
    """The nearest ancestor with `jeyn.yaml`, `.jeyn` or `pyproject.toml`, else the folder itself."""
    folder = start if start.is_dir() else start.parent
    for candidate in (folder, *folder.parents):
        if any((candidate / marker).exists() for marker in MARKERS):
            return candidate
    return folder


def read_project_file(path: Path, *, is_checked: bool = False) -> dict[str, Any]:
    """What `jeyn.yaml` says, checked unless it was before; `{}` where there is none.

    Raises `UsageError` with the line.
    """
    if not path.is_file():
        return {}
    if is_checked:
        return _read_again(path)
    # Most workspaces have no such file, and what reads it takes longer to import than all of this.
    from jeyn import project_file

    return project_file.read(path).model_dump(exclude_unset=True)


def _read_again(path: Path) -> dict[str, Any]:
    """Without the models, whose library takes a pod longer to import than all else that it does with this file."""
    import yaml

    found = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    return {name: value for name, value in found.items() if value is not None}


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


def _argo(env: Mapping[str, str]) -> dict[str, str]:
    """What differs between a laptop, a test cluster and production, and so may be set where the program runs."""
    found = {name: env.get(f"JEYN_ARGO_{name.upper()}") for name in ("server", "namespace", "image")}
    return {name: value for name, value in found.items() if value}


def _user() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return f"uid-{os.getuid()}"
