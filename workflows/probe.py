"""What `jeyn doctor --on argo` runs in a pod: whether the places that its environment names can be used from there.

`python -m jeyn.workflows.probe` writes what it found as JSON to where output parameters are read. It never fails: what
is wrong is what it says.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jeyn.errors import JeynError
from jeyn.settings import Settings, variable
from jeyn.workflows.sidecar import await_sidecar

OUT = "/jeyn/out"
SIDECAR_SECONDS = 30.0


def look() -> dict[str, Any]:
    """This process's versions, and each place as (what it is, what is wrong, what to do)."""
    try:
        places = Settings.load()
    except JeynError as exc:
        return _versions() | {"places": _told(exc)}
    return _versions() | {
        "catalog": _tried(lambda: _catalog(places)),
        "payloads": _tried(lambda: _payloads(places)),
    }


def _versions() -> dict[str, Any]:
    return {"jeyn": version("jeyn"), "python": ".".join(map(str, sys.version_info[:2]))}


def _tried(work: Callable[[], str]) -> dict[str, str]:
    try:
        return {"found": work(), "wrong": "", "cure": ""}
    except JeynError as exc:
        return _told(exc)


def _told(exc: JeynError) -> dict[str, str]:
    return {"found": "", "wrong": exc.message, "cure": exc.hint}


def _catalog(places: Settings) -> str:
    from jeyn.stores.workspace import Workspace

    with Workspace(places) as workspace:
        newest = workspace.runs.list(limit=1)
    return f"it answers; its newest run is {newest[0].id}" if newest else "it answers; nothing has run yet"


def _payloads(places: Settings) -> str:
    from jeyn.stores.payloads import try_payloads

    try_payloads(places.payloads)
    return "it can be written and read"


def _sidecar() -> str:
    await_sidecar(SIDECAR_SECONDS)
    return "daprd is healthy"


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m jeyn.workflows.probe")
    parser.add_argument("--sidecar", action="store_true", help="look at the Dapr sidecar, and at nothing else")
    found = {"sidecar": _tried(_sidecar)} if parser.parse_args(argv).sidecar else look()
    out = Path(variable("JEYN_OUT") or OUT)
    out.mkdir(parents=True, exist_ok=True)
    (out / "found").write_text(json.dumps(found))
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
