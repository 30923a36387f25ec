"""Where things are: the project root, `jeyn.yaml` and the environment, read once, here and nowhere else (SEMANTICS 30).

What is set in the environment wins over `jeyn.yaml`, and arguments win over both. Relative paths and SQLite addresses
start at the project root, wherever the program was started; those that Python or `--home` gives at the working folder.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from jeyn.errors import UsageError
from jeyn.ownership import refuse_strangers
from jeyn.regular import read_text, real

PROJECT_FILE = "jeyn.yaml"
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DURATION = re.compile(r"([0-9]{1,6})([smhdw])")
HOME_FOLDER = ".jeyn"
IGNORE_FILE = ".jeynignore"
MEMORY = ("", ":memory:", "file::memory:")


@dataclass(frozen=True)
class Settings:
    """One workspace's places: a home folder, a database URL, a payload store URL, a data root, named databases.

    `pipelines` are "file.py:function" by name; `operations` the options that `jeyn.yaml` gives by operation name, "*"
    for all; `argo` what it and JEYN_ARGO_SERVER, _NAMESPACE and _IMAGE say (`jeyn.project_file.ArgoSettings`).
    `data_links` are the folders outside the data root that links in it may lead to.
    `clock_is_right`: commits are dated by this machine's clock, whatever speaks against it (JEYN_CLOCK_IS_RIGHT=1).
    `store_patience` is how many seconds a store that is away is waited for where work would be lost otherwise.
    `shared` is "group" where the home is the group's, else "": what Jeyn writes there is its user's alone.
    `retention` is what `jeyn gc` may take besides what nobody can miss (`jeyn.project_file.Kept`).
    """

    root: Path
    home: Path
    catalog: str = field(repr=False)  # it may hold a password
    payloads: str
    data: str
    actor: str
    databases: Mapping[str, str] = field(default_factory=dict, repr=False)
    serializers: Mapping[str, str] = field(default_factory=dict)
    trusted: tuple[str, ...] = ()
    name: str = ""
    pipelines: Mapping[str, str] = field(default_factory=dict)
    operations: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    argo: Mapping[str, Any] = field(default_factory=dict)
    retention: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    data_links: tuple[Path, ...] = ()
    clock_is_right: bool = False
    store_patience: float = 600.0
    shared: str = ""

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
        folder = _path(home, env.get("JEYN_HOME"), project.get("home"), root, default=root / HOME_FOLDER)
        here = Path.cwd() if catalog or payloads else root  # a root is found without a working folder
        kept = _database(catalog, here) or _database(env.get("JEYN_CATALOG") or project.get("catalog"), root)
        stored = _store(payloads, here) or _store(env.get("JEYN_PAYLOADS") or project.get("payloads"), root)
        databases = project.get("databases", {}) | _databases(env)
        return cls(
            root=root,
            home=folder,
            catalog=kept or _sqlite(folder / "catalog.db"),
            payloads=stored or _file(folder / "payloads"),
            data=_location(data, env.get("JEYN_DATA"), project.get("data"), root),
            actor=actor or env.get("JEYN_ACTOR") or _user(),
            databases={name: _database(each, root) for name, each in databases.items()},
            serializers=project.get("serializers", {}),
            trusted=tuple(project.get("trusted", ())),
            name=project.get("name", ""),
            pipelines=project.get("pipelines", {}),
            operations=project.get("operations", {}),
            argo=project.get("argo", {}) | _argo(env),
            retention=project.get("retention", {}),
            data_links=_folders(env.get("JEYN_DATA_LINKS"), project.get("data_links", ()), root),
            clock_is_right=env.get("JEYN_CLOCK_IS_RIGHT", "") not in ("", "0"),
            shared=_shared(env.get("JEYN_SHARED") or project.get("shared", "")),
            store_patience=_patience(env.get("JEYN_STORE_PATIENCE") or project.get("store_patience", "10m")),
        )

    @property
    def own_files(self) -> tuple[Path, ...]:
        """The folders and files that Jeyn itself keeps: the home, and a catalog or payload store beside it."""
        catalog = _local(self.catalog, "sqlite:///")
        beside = (
            [catalog.with_name(catalog.name + end) for end in ("", "-wal", "-shm", ".lock", ".next", ".turn")]
            if catalog
            else []
        )
        payloads = _local(self.payloads, "file://")
        return (self.home, *beside, *([payloads] if payloads else []))

    def database(self, name: str) -> str:
        """The address of a named database; raises `UsageError` with how to set it."""
        if name not in self.databases:
            known = ", ".join(sorted(self.databases)) or "none"
            raise UsageError(
                f'no database is called "{name}" (known: {known})',
                hint=f"set JEYN_DATABASE_{name.upper()}, or databases: in jeyn.yaml",
            )
        return self.databases[name]


def duration(text: str) -> timedelta:
    """A length of time as settings and options write it: 0s, 30m, 24h, 7d, 4w. Raises `UsageError`."""
    found = _DURATION.fullmatch(text)
    if found is None:
        raise UsageError(f'"{text}" is no duration', hint="write 30m, 24h or 7d")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def variables_without(prefix: str) -> dict[str, str]:
    """The environment for another program, less the variables that begin so."""
    return {key: value for key, value in os.environ.items() if not key.startswith(prefix)}


def variables_with(prefix: str) -> dict[str, str]:
    """The environment variables that begin so."""
    # As the process has them: to decode each takes longer than all else that is done for an output.
    known: Mapping[bytes, bytes] | None = getattr(os.environ, "_data", None)
    if known is None:  # the user's code put a plain dict in its place
        return {name: text for name, text in os.environ.items() if name.startswith(prefix)}
    begin = prefix.encode()
    return {name: os.environ[name] for name in map(os.fsdecode, [key for key in known if key.startswith(begin)])}


def variable(name: str) -> str:
    """An environment variable that names no place: JEYN_DEBUG, NO_COLOR, TERM."""
    return os.environ.get(name, "")


def project_root(start: Path) -> Path:
    """The nearest ancestor with `jeyn.yaml`, else with `pyproject.toml` or `.git`, else the folder itself.

    A bare `.jeyn` marks only the folder that it is in: one that an experiment left behind further up takes in nobody.
    Raises `NotAllowed` where it is somebody else's.
    """
    root = _nearest_root(start)
    need_own(root, PROJECT_FILE, HOME_FOLDER, IGNORE_FILE)
    return root


def need_own(folder: Path, *names: str) -> None:
    """Raise `NotAllowed` where a folder, or one of these in it, is somebody else's and JEYN_SAFE_DIRECTORY silent."""
    refuse_strangers(folder, *names, environment=os.environ)


def _nearest_root(start: Path) -> Path:
    folder = start if start.is_dir() else start.parent
    above = (folder, *folder.parents)
    found = next((each for each in above if _has(each, PROJECT_FILE)), None)
    if found is None and not (_has(folder, HOME_FOLDER) and not _is_no_project(folder)):
        found = next((each for each in above if _is_marked(each)), None)
    return found or folder


def _is_marked(folder: Path) -> bool:
    return _has(folder, "pyproject.toml") or (_has(folder, ".git") and not _is_no_project(folder))


def _is_no_project(folder: Path) -> bool:
    """`/` and the home folder hold what tools keep there: settings under `.git`, a catalog in `.jeyn`."""
    return folder in (Path(folder.anchor), Path("~").expanduser().resolve())


def _has(folder: Path, name: str) -> bool:
    return os.path.exists(folder / name)  # noqa: PTH110 - Path.exists raises in a folder that may not be read


def read_project_file(path: Path, *, is_checked: bool = False) -> dict[str, Any]:
    """What `jeyn.yaml` says, checked unless it was before; `{}` where there is none.

    Raises `UsageError` with the line.
    """
    if not os.path.lexists(path):
        return {}
    if is_checked:
        return _read_again(path)
    # Most workspaces have no such file, and what reads it takes longer to import than all of this.
    from jeyn import project_file

    return project_file.read(path).model_dump(exclude_unset=True)


def _read_again(path: Path) -> dict[str, Any]:
    """Without the models, whose library takes a pod longer to import than all else that it does with this file."""
    from jeyn.yaml_text import load

    found = load(read_text(path))[1] or {}
    return {name: value for name, value in found.items() if value is not None}


def _local(address: str, scheme: str) -> Path | None:
    return Path(unquote(address.removeprefix(scheme).partition("?")[0])) if address.startswith(scheme) else None


def _sqlite(path: Path) -> str:
    return f"sqlite:///{quote(str(path))}"


def _file(path: Path) -> str:
    return f"file://{quote(str(path))}"


def _database(address: str | None, start: Path) -> str:
    """A database's address; the file of an SQLite one, where it is relative, is one below `start`."""
    scheme, slashes, place = (address or "").partition(":///")
    if not slashes or scheme.partition("+")[0] != "sqlite":
        return address or ""
    path, mark, query = place.partition("?")
    if path in MEMORY:
        return str(address)
    uri = "file:" if path.startswith("file:") else ""
    return f"{scheme}:///{uri}{_below(start, path.removeprefix('file:'))}{mark}{query}"


def _store(url: str | None, start: Path) -> str:
    """A payload store's url; a folder, or a `file:` url that is relative, is below `start`."""
    if not url:
        return ""
    scheme, colon, place = url.partition(":")
    if not colon or "/" in scheme:
        return _file(Path(_below(start, url)))
    if scheme != "file" or place.startswith("/"):
        return url
    return f"file://{quote(str(start))}/{place}"


def _below(start: Path, path: str) -> str:
    return os.path.normpath(start / os.path.expanduser(path))  # noqa: PTH111


def _path(
    given: str | os.PathLike[str] | None, from_env: str | None, from_file: Any, root: Path, default: Path
) -> Path:
    if given is not None:
        return real(Path(given).expanduser())
    found = from_env or from_file
    return real(root / Path(str(found)).expanduser()) if found else default


def _folders(from_env: str | None, from_file: Sequence[str], root: Path) -> tuple[Path, ...]:
    """Folders that start at the project root; several in the environment stand as in PATH."""
    names = from_env.split(os.pathsep) if from_env else from_file
    return tuple(real(root / Path(name).expanduser()) for name in names if name)


def _shared(text: str) -> str:
    if text not in ("", "group"):
        raise UsageError(f'shared is "{text}"', hint="shared: group, or leave it out")
    return text


def _patience(text: str) -> float:
    try:
        return duration(text).total_seconds()
    except UsageError as exc:
        raise UsageError(f"store_patience: {exc.message}", hint=exc.hint) from exc


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
