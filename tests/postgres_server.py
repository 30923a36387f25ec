"""A real PostgreSQL for a test session: its own folder, a Unix socket, and ended with the session.

Only when an address is asked for does it listen there too, and then with a password.
initdb refuses root, so as root the server runs as the user "postgres". fsync stays on, as where Jeyn is used.
"""

from __future__ import annotations

import itertools
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
START_SECONDS = 60.0
STOP_SECONDS = 30.0
# Everyone's tests need only so many connections; 32 processes save at once in one of them.
SETTINGS = {"max_connections": "200"}
PORT = 5432


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

    process: _Process

    def __init__(self, folder: Path, address: str = "", port: int = PORT) -> None:
        import psycopg

        self.folder, self.address, self.port = folder, address, port
        self.password = secrets.token_hex(8)
        self._numbers = itertools.count(1)
        self._connect = partial(
            psycopg.connect, host=str(folder), port=port, user="postgres", dbname="postgres", autocommit=True
        )
        self._admin = self._connect()
        if address:
            self._admin.execute(f"ALTER USER postgres PASSWORD '{self.password}'")

    @property
    def version(self) -> str:
        return self._admin.execute("SHOW server_version").fetchone()[0]

    def url(self, database: str) -> str:
        """The SQLAlchemy URL of `database`: on the network where the server listens there."""
        if self.address:
            return f"postgresql+psycopg://postgres:{self.password}@{self.address}:{self.port}/{database}"
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

    def restart(self, how: signal.Signals = signal.SIGINT, away: float = 0.0) -> None:
        """End it, wait so many seconds, and start it again; returns when it answers."""
        self.stop(how)
        time.sleep(away)
        self.start()

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        self._admin.close()
        self.process.stop(how)

    def start(self) -> None:
        self.process.start()
        self._admin = _connect(self.process.process, self._connect, self.folder)

    def close(self) -> None:
        self._admin.close()


@contextmanager
def running_postgres(
    address: str = "", network: str = "", settings: Mapping[str, str] | None = None
) -> Iterator[PostgresServer]:
    """Starts a server in a new folder; stops it and removes the folder at the end. Raises PostgresMissing.

    With an `address` it listens there too, on a free port, and takes connections from `network`.
    """
    if find_spec("psycopg") is None:
        raise PostgresMissing("psycopg is not installed here (the extra jeyn[postgres])")
    programs, user = find_programs(), server_user()
    # A socket's path may have 107 bytes at most, and pytest's own folders are closed to other users.
    folder = Path(tempfile.mkdtemp(prefix="jeyn-postgres-", dir="/tmp"))
    try:
        if user:
            shutil.chown(folder, user, pwd.getpwnam(user).pw_gid)
        _make_cluster(programs, folder, user)
        port = _free_port(address) if address else PORT
        if network:
            with (folder / "data" / "pg_hba.conf").open("a") as rules:
                rules.write(f"host all all {network} scram-sha-256\n")
        process = _Process(programs, folder, user, {"listen_addresses": address, "port": str(port), **(settings or {})})
        try:
            server = _connect(process.process, lambda: PostgresServer(folder, address, port), folder)
            server.process = process
            try:
                yield server
            finally:
                server.close()
        finally:
            process.stop()
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


class _Process:
    """The server's process, which may be ended and started again on the same folder."""

    def __init__(self, programs: Path, folder: Path, user: str | None, settings: Mapping[str, str]) -> None:
        self.folder, self.user = folder, user
        self.command = [str(programs / "postgres"), "-D", str(folder / "data"), "-k", str(folder)]
        for name, value in {**SETTINGS, **settings}.items():
            self.command += ["-c", f"{name}={value}"]
        if shutil.which("setpriv"):
            # So that a test session that is killed leaves no server behind.
            self.command = ["setpriv", "--pdeathsig", "INT", *self.command]
        self.start()

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command, stdout=log, stderr=log, cwd=self.folder, **_as_user(self.user)
            )

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT ends its sessions, SIGQUIT is as good as a crash."""
        self.process.send_signal(how)
        self.process.wait(STOP_SECONDS)


def _free_port(address: str) -> int:
    with socket.socket() as taken:
        taken.bind((address, 0))
        port: int = taken.getsockname()[1]
    return port


def _connect(process: subprocess.Popen[bytes], connect: Callable[[], T], folder: Path) -> T:
    import psycopg

    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            return connect()
        except psycopg.OperationalError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start:\n{(folder / 'log').read_text()}") from error
        time.sleep(0.05)
