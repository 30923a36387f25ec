"""Waiting for the Dapr sidecar of a pod: it starts beside the operation, and may be slower."""

from __future__ import annotations

import time

from jeyn.errors import Unreachable
from jeyn.settings import variable

WAIT_SECONDS = 60.0


def await_sidecar(seconds: float = WAIT_SECONDS) -> None:
    """Return when the sidecar can reach what its components name. Raises `Unreachable`."""
    from urllib.request import ProxyHandler, build_opener  # few pods have a sidecar

    port = variable("DAPR_HTTP_PORT") or "3500"
    address = f"http://127.0.0.1:{port}/v1.0/healthz/outbound"
    deadline, said = time.monotonic() + seconds, ""
    opener = build_opener(ProxyHandler({}))  # it is on this host, whatever a proxy says
    while time.monotonic() < deadline:
        try:
            with opener.open(address, timeout=5):
                return
        except OSError as exc:
            said = str(exc)
        time.sleep(0.2)
    raise Unreachable(
        f'the Dapr sidecar does not answer at "{address}" ({said})', hint="see what its container printed: daprd"
    )
