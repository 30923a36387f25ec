"""A real S3-speaking server (moto) for a test session, on loopback unless told otherwise.

It is its own process, which ends with the session.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple


class S3Server(NamedTuple):
    """Where it listens, and the environment a client in this or another process needs."""

    endpoint: str
    environment: dict[str, str]

    def make_bucket(self, name: str) -> None:
        request = urllib.request.Request(f"{self.endpoint}/{name}", method="PUT")
        urllib.request.urlopen(request, timeout=30).close()

    def put(self, bucket: str, key: str, data: bytes) -> None:
        """Keep an object, as whoever brings data does."""
        import obstore
        from obstore.store import S3Store

        names = {"AWS_ACCESS_KEY_ID": "access_key_id", "AWS_SECRET_ACCESS_KEY": "secret_access_key"}
        keys = {name: self.environment[variable] for variable, name in names.items()}
        options = {"endpoint": self.endpoint, "region": self.environment["AWS_REGION"], **keys}
        obstore.put(S3Store(bucket, **options, client_options={"allow_http": True}), key, data)


@contextmanager
def serve(address: str = "127.0.0.1") -> Iterator[S3Server]:
    """Start the server on a free port; on leaving, end that process and no other."""
    command = [sys.executable, __file__, address]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            port = int(process.stdout.readline())
            yield _server(f"http://{address}:{port}")
        finally:
            process.stdin.close()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def _server(endpoint: str) -> S3Server:
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1"}
    return S3Server(endpoint, {"AWS_ENDPOINT_URL": endpoint, **keys})


def _main(address: str) -> None:
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        def log(self, type: str, message: str, *args: Any) -> None:
            pass

    moto, lock = DomainDispatcherApplication(create_backend_app), threading.Lock()

    def one_at_a_time(environ: Any, start_response: Any) -> Any:
        # moto looks for the object and then stores it; the real S3 does both in one step.
        with lock:
            return moto(environ, start_response)

    server = make_server(address, 0, one_at_a_time, threaded=True, request_handler=Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)
    # The other end of stdin closes when the session ends, however it ends.
    sys.stdin.read()


if __name__ == "__main__":
    _main(sys.argv[1])
