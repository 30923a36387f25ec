"""A real PostgreSQL for a test session: its own folder, a Unix socket only, and ended with the session.

initdb refuses root, so as root the server runs as the user "postgres". fsync stays on, as where Jeyn is used.
"""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

START_SECONDS = 60.0
STOP_SECONDS = 30.0
# Everyone's tests need only so many connections; 32 processes save at once in one of them.
SETTINGS = {"listen_addresses": "", "max_connections": "200"}


class PostgresMissing(Exception):
    """A PostgreSQL cannot be started or reached on this machine; the message says what is missing."""


def find_programs() -> Path:
    """The folder that holds `initdb` and `postgres`: Debian's newest, or the one on PATH."""
    debian = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = max(debian, key=lambda path: int(path.parts[-3]), default=None)
    on_path = shutil.which("initdb")
    found = newest or (Path(on_path).resolve() if on_path else None)
    if found is None or not (found.parent / "postgres").exists():
        raise PostgresMissing("no PostgreSQL server is installed here (apt-get install postgresql)")
    return found.parent


def server_user() -> str | None:
    """Whom the server runs as: "postgres" for root, and otherwise this very user (None)."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres").pw_name
    except KeyError:
        raise PostgresMissing('PostgreSQL does not run as root and there is no user "postgres" here') from None


class PostgresServer:
    """A running server; `new_database()` gives the URL of an empty database of its own."""

    def __init__(self, folder: Path) -> None:
        import psycopg

        self.folder = folder
        self._numbers = itertools.count(1)
        self._admin = psycopg.connect(host=str(folder), user="postgres", dbname="postgres", autocommit=True)

    @property
    def version(self) -> str:
        return self._admin.execute("SHOW server_version").fetchone()[0]

    def url(self, database: str) -> str:
        """The SQLAlchemy URL of `database`."""
        return f"postgresql+psycopg://postgres@/{database}?host={self.folder}"

    @contextmanager
    def new_database(self) -> Iterator[str]:
        """The URL of a database that is dropped afterwards, whoever is still connected to it."""
        name = f"test_{next(self._numbers)}"
        self._admin.execute(f"CREATE DATABASE {name}")
        try:
            yield self.url(name)
        finally:
            self._admin.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def close(self) -> None:
        self._admin.close()


@contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    """Starts a server in a new folder; stops it and removes the folder at the end. Raises PostgresMissing."""
    if find_spec("psycopg") is None:
        raise PostgresMissing("psycopg is not installed here (the extra jeyn[postgres])")
    programs, user = find_programs(), server_user()
    # A socket's path may have 107 bytes at most, and pytest's own folders are closed to other users.
    folder = Path(tempfile.mkdtemp(prefix="jeyn-postgres-", dir="/tmp"))
    try:
        if user:
            shutil.chown(folder, user, pwd.getpwnam(user).pw_gid)
        _make_cluster(programs, folder, user)
        with _server_process(programs, folder, user) as process:
            server = _connect(process, folder)
            try:
                yield server
            finally:
                server.close()
    finally:
        shutil.rmtree(folder)


def _as_user(user: str | None) -> dict[str, object]:
    if user is None:
        return {}
    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}


def _make_cluster(programs: Path, folder: Path, user: str | None) -> None:
    command = [programs / "initdb", "--pgdata", folder / "data", "--username", "postgres", "--auth", "trust"]
    command += ["--encoding", "UTF8", "--no-locale", "--no-instructions"]
    subprocess.run(command, check=True, capture_output=True, cwd=folder, **_as_user(user))


@contextmanager
def _server_process(programs: Path, folder: Path, user: str | None) -> Iterator[subprocess.Popen[bytes]]:
    command = [str(programs / "postgres"), "-D", str(folder / "data"), "-k", str(folder)]
    for name, value in SETTINGS.items():
        command += ["-c", f"{name}={value}"]
    if shutil.which("setpriv"):
        # So that a test session that is killed leaves no server behind.
        command = ["setpriv", "--pdeathsig", "INT", *command]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, **_as_user(user))
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(STOP_SECONDS)


def _connect(process: subprocess.Popen[bytes], folder: Path) -> PostgresServer:
    import psycopg

    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            return PostgresServer(folder)
        except psycopg.OperationalError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start:\n{(folder / 'log').read_text()}") from error
        time.sleep(0.05)
