"""An Argo server in small: the REST calls that Jeyn makes, answered by the interpreter of the tests."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from tests.workflows.argo.interpreter import Interpreter

Start = Callable[[Mapping[str, Any]], Interpreter | None]


@dataclass
class Stored:
    """A workflow; without an interpreter nothing of it ever runs."""

    manifest: dict[str, Any]
    interpreter: Interpreter | None
    phase: str = "Running"
    message: str = ""
    nodes: list[dict[str, Any]] = field(default_factory=list)

    def run(self) -> None:
        assert self.interpreter is not None
        self.phase = self.interpreter.run().phase

    def to_json(self) -> dict[str, Any]:
        nodes = {str(number): {"id": f"x-{number}", "type": "Pod", **each} for number, each in enumerate(self.nodes)}
        status = {"phase": self.phase, "message": self.message, "nodes": nodes}
        return {"metadata": self.manifest["metadata"], "spec": self.manifest["spec"], "status": status}


class FakeArgo:
    """`refuse` is a status and a message that every call is answered with."""

    def __init__(self, start: Start) -> None:
        self.start = start
        self.workflows: dict[str, Stored] = {}
        self.asked: list[str] = []
        self.version = "v3.7.18"
        self.refuse: tuple[int, str] | None = None
        self.log = ""
        self.address = ""

    @property
    def only(self) -> Stored:
        (found,) = self.workflows.values()
        return found

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        self.asked.append(f"{method} {path}")
        if self.refuse:
            return self.refuse[0], {"message": self.refuse[1]}
        if path == "/api/v1/version":
            return 200, {"version": self.version}
        parts = path.removeprefix("/api/v1/workflows/").split("/")
        if method == "POST":
            return 200, self._create(body["workflow"])
        stored = self.workflows.get(parts[1])
        if stored is None:
            return 404, {"message": f'workflows.argoproj.io "{parts[1]}" not found'}
        if parts[2:] in (["stop"], ["terminate"]):
            stored.phase, stored.message = "Failed", f"Stopped with strategy '{parts[2].title()}'"
        return 200, self.log if parts[2:] == ["log"] else stored.to_json()

    def _create(self, manifest: dict[str, Any]) -> dict[str, Any]:
        stored = Stored(manifest, self.start(manifest))
        self.workflows[manifest["metadata"]["name"]] = stored
        if stored.interpreter is not None:
            threading.Thread(target=stored.run, daemon=True).start()
        return stored.to_json()


@contextmanager
def serving(start: Start) -> Iterator[FakeArgo]:
    fake = FakeArgo(start)

    class Handler(BaseHTTPRequestHandler):
        def _any(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            status, found = fake.answer(self.command, urlsplit(self.path).path, body)
            data = found.encode() if isinstance(found, str) else json.dumps(found).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = _any

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    fake.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
