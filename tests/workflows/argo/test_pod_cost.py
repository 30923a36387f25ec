"""What a pod does beside the user's function: one connection, no request for what is small, no import for nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from sqlalchemy import make_url

from jeyn.stores.catalog.small import LIMIT_OF_CODE
from jeyn.workflows.create import keep_code, keep_plan
from jeyn.workflows.planning import make_plan
from tests.postgres_server import PostgresServer
from tests.s3_server import S3Server, serve
from tests.workflows.argo.pods import bare_environment
from tests.workflows.projects import Project, until

SOURCE = """
@operation(retries=1, timeout=60, resources={"cpu": 1})
def count() -> int:
    Path(os.environ["LOADED"]).write_text(" ".join(sys.modules))
    return 3

@operation
def again() -> int:
    return 4

@pipeline
def flow():
    return count(), again()
"""


class Counter:
    """An S3 server in front of another; `asked` are the requests that came by."""

    def __init__(self, behind: S3Server) -> None:
        asked: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def pass_on(self) -> None:
                asked.append(self.command)
                connection = HTTPConnection(behind.endpoint.removeprefix("http://"), timeout=30)
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                connection.request(self.command, self.path, body or None, dict(self.headers))
                answer = connection.getresponse()
                data = answer.read()
                connection.close()
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                        self.send_header(name, value)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = pass_on

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.asked = asked
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with serve() as server:
        server.make_bucket("cost")
        yield server


@pytest.fixture
def counter(s3: S3Server) -> Iterator[Counter]:
    found = Counter(s3)
    yield found
    found.close()


class Remote:
    """A project whose catalog is on PostgreSQL and whose payloads are on S3."""

    def __init__(self, folder: Path, s3: S3Server, patch: pytest.MonkeyPatch, url: str, name: str) -> None:
        self.places = {"JEYN_CATALOG": url, "JEYN_PAYLOADS": f"s3://cost/{name}", **s3.environment}
        for variable, value in self.places.items():
            patch.setenv(variable, value)
        self.folder = folder
        self.project = Project(folder / "project").write(SOURCE)

    def keep(self) -> None:
        workspace = self.project.workspace
        with workspace, self.project.imported() as pipeline:
            planned = make_plan(pipeline, pipeline.bind(), root=self.project.folder, workspace=workspace)
            self.ids = [f"--package={keep_code(workspace, planned)}/{keep_plan(workspace, planned.plan)}"]

    def start(self, operation: str, counter: Counter) -> set[str]:
        """Run a pod to its end; the modules that were loaded when the function was called."""
        home = self.folder / operation
        own = {"JEYN_HOME": f"{home}/home", "JEYN_OUT": f"{home}/out", "LOADED": str(self.folder / "loaded")}
        done = subprocess.run(
            [sys.executable, "-P", "-u", "-m", "jeyn.workflows.pod", "--run=r1", *self.ids, f"--operation={operation}"],
            env=bare_environment() | self.places | {"AWS_ENDPOINT_URL": counter.endpoint} | own,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        loaded = self.folder / "loaded"
        return set(loaded.read_text().split()) if loaded.exists() else set()


@pytest.fixture
def remote(tmp_path: Path, s3: S3Server, monkeypatch: pytest.MonkeyPatch, postgres_url: str) -> Remote:
    return Remote(tmp_path, s3, monkeypatch, postgres_url, tmp_path.name)


def sessions(server: PostgresServer, url: str) -> int:
    """How often anyone has connected to the database; the server knows when the last session is over."""
    name = [make_url(url).database]
    until(lambda: not server._admin.execute("SELECT 1 FROM pg_stat_activity WHERE datname = %s", name).fetchall())
    ((count,),) = server._admin.execute("SELECT sessions FROM pg_stat_database WHERE datname = %s", name).fetchall()
    return int(count)


def test_a_pod_connects_once_and_fetches_nothing_that_is_small(
    remote: Remote, counter: Counter, postgres_server: PostgresServer, postgres_url: str
) -> None:
    remote.keep()
    remote.start("again", counter)  # makes the run
    before = sessions(postgres_server, postgres_url)
    loaded = remote.start("count", counter)
    assert sessions(postgres_server, postgres_url) - before == 1
    assert counter.asked == []
    # What a trivial operation needs none of, and what takes long to import.
    idle = {"pydantic", "pyarrow", "numpy", "obstore", "alembic", "jsonschema", "hera", "click", "rich"}
    assert "sqlalchemy" in loaded and loaded & idle == set()


def test_a_larger_code_package_is_one_request(remote: Remote, counter: Counter) -> None:
    (remote.project.folder / "noise.py").write_text(f"NOISE = '{os.urandom(LIMIT_OF_CODE).hex()}'\n")
    remote.keep()
    remote.start("count", counter)
    assert counter.asked == ["GET"]
