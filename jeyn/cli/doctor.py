"""`jeyn doctor`: looks at all that a run needs, and says for each thing whether it is there and what to do."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from jeyn.address import shown
from jeyn.cli.output import Result, columns, command, styled
from jeyn.cli.workspace import catalog_file, settings
from jeyn.errors import Invalid, JeynError, NoSpace, NotAllowed, NotFound, Unreachable
from jeyn.regular import real

if TYPE_CHECKING:
    from jeyn.settings import Settings

PYTHONS = ((3, 11), (3, 13))
EXTRAS = {"sklearn": "skops", "torch": "torch", "postgres": "psycopg", "pandas": "pandas", "polars": "polars"}
FEW_BYTES, TOO_FEW_BYTES = 1 << 30, 100 << 20
COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


@dataclass(frozen=True)
class Check:
    """One thing looked at: "ok", "warn" or "fail", what was found, and the cure."""

    name: str
    status: str
    found: str
    cure: str = ""
    error: JeynError | None = None


@command()
@click.option("--on", type=click.Choice(["argo"]), help="Check also that runs on Argo Workflows have all they need.")
def doctor(on: str | None) -> Result:
    """Check Python, project, home, catalog, payload store, data, git, disk and extras.

    Nothing is changed: a small payload is written, read and removed again; so is, on Argo, a workflow of two pods. What
    fails gives exit code 5, or 7 when something cannot be reached, or 8 when it is not allowed.
    """
    found = [*_checks(), *(_on_argo() if on else ())]
    failed = [check for check in found if check.status == "fail"]
    data = {"checks": [{"name": c.name, "status": c.status, "found": c.found, "cure": c.cure} for c in found]}
    return Result(data, "\n".join(_lines(found)), _error(failed))


def _error(failed: list[Check]) -> JeynError | None:
    if not failed:
        return None
    kinds = (Unreachable, NotAllowed)
    kind = next((kind for kind in kinds if any(isinstance(check.error, kind) for check in failed)), Invalid)
    names = ", ".join(check.name for check in failed)
    return kind(f"something is wrong with: {names}", hint="do what the arrow below each says")


def _lines(found: list[Check]) -> Iterator[str]:
    table = columns([(check.status.ljust(4), check.name, check.found) for check in found]).splitlines()
    for check, line in zip(found, table, strict=True):
        yield styled(line[:4], fg=COLOURS[check.status]) + line[4:]
        if check.cure:
            yield f"      → {check.cure}"


def _checks() -> Iterator[Check]:
    yield _python()
    try:
        here = settings()
    except JeynError as exc:
        yield Check("project", "fail", exc.message, exc.hint)
        return
    for name, look in LOOKS.items():
        try:
            yield look(here)
        except JeynError as exc:
            yield Check(name, "fail", exc.message, exc.hint, exc if isinstance(exc, Unreachable) else None)
    yield _extras()


def _on_argo() -> Iterator[Check]:
    """What a run on Argo needs besides, looked at from here and from a pod there."""
    from jeyn.project_file import argo_settings
    from jeyn.workflows.argo.health import look
    from jeyn.workflows.checks.argo_limits import local_places

    try:
        here = settings()
        argo = argo_settings(here.argo)
    except JeynError:
        return  # "project" says why
    for what, error in local_places(here):
        yield Check(what, "fail", error.message, error.hint, error)
    for each in look(argo):
        status = "fail" if each.error else "warn" if each.cure else "ok"
        yield Check(each.name, status, each.found, each.cure, each.error)


def _python() -> Check:
    from importlib.metadata import version

    found = f"Python {sys.version.split()[0]}, Jeyn {version('jeyn')}"
    if PYTHONS[0] <= sys.version_info[:2] <= PYTHONS[1]:
        return Check("python", "ok", found)
    return Check("python", "warn", found, "Jeyn is tested with Python 3.11, 3.12 and 3.13")


def _project(here: Settings) -> Check:
    from jeyn.settings import PROJECT_FILE

    if (here.root / PROJECT_FILE).exists():
        return Check("project", "ok", f"{here.name or here.root.name} in {here.root}")
    cure = "jeyn new NAME makes one; without it this folder is the project"
    return Check("project", "warn", f"no {PROJECT_FILE} in {here.root}", cure)


def _home(here: Settings) -> Check:
    if here.home.exists() and not here.home.is_dir():
        raise NotAllowed(f'"{here.home}" is not a folder', hint="set JEYN_HOME elsewhere")
    nearest = _nearest(here.home)
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise NotAllowed(f'"{nearest}" cannot be written', hint="set JEYN_HOME elsewhere")
    return Check("home", "ok", f"{here.home}{'' if here.home.exists() else ', made by the first run'}")


def _catalog(here: Settings) -> Check:
    from jeyn.cli.db import problem, state

    try:
        found = state(here)
    except NotFound:
        return Check("catalog", "ok", f"{catalog_file(here)}, made by the first run")
    wrong = problem(found)
    if wrong is None:
        return Check("catalog", "ok", f"{found['catalog']} at revision {found['revision']}")
    # An older one is upgraded by whatever opens it next.
    older = not found["current"] and not found["newer"]
    return Check("catalog", "warn" if older else "fail", wrong.message, wrong.hint)


def _payloads(here: Settings) -> Check:
    from jeyn.stores.payloads import try_payloads

    if here.payloads.startswith("file://") and not here.home.exists():
        return Check("payloads", "ok", f"{here.payloads}, made by the first run")
    _is_own(here)
    try_payloads(here.payloads)
    return Check("payloads", "ok", f"{here.payloads} can be written and read")


def _is_own(here: Settings) -> None:
    """Raise `Invalid` where the catalog knows another payload store."""
    from jeyn.cli.db import _database, problem, state
    from jeyn.stores.catalog.payload_store import check_store
    from jeyn.stores.payloads import open_payloads

    try:
        if problem(state(here)) is not None:
            return  # "catalog" says why
    except JeynError:
        return
    with _database(here) as database:
        check_store(database, open_payloads(here.payloads))


def _data(here: Settings) -> Check:
    if "://" in here.data:
        return Check("data", "ok", f"{shown(here.data)} (not looked into)")
    if not Path(here.data).is_dir():
        raise NotFound(f'the data root "{here.data}" is no folder', hint="make it, or set data: or JEYN_DATA")
    if not os.access(here.data, os.R_OK | os.X_OK):
        raise NotAllowed(f'the data root "{here.data}" cannot be read', hint="check who owns it")
    absent = [str(folder) for folder in here.data_links if not folder.is_dir()]
    if absent:
        return Check("data", "warn", here.data, f"make {', '.join(absent)}, or take it out of data_links:")
    links = [
        entry.name for entry in os.scandir(here.data) if entry.is_symlink() and not _leads_in(Path(entry.path), here)
    ]
    if links:
        found = f"{here.data}; {len(links)} links in it lead out of it and are not followed, as {links[0]}"
        return Check("data", "warn", found, "name the folders that they may lead to: data_links: or JEYN_DATA_LINKS")
    return Check("data", "ok", here.data)


def _leads_in(link: Path, here: Settings) -> bool:
    end = real(link)
    return any(end.is_relative_to(folder) for folder in (real(here.data), *here.data_links))


def _git(here: Settings) -> Check:
    if shutil.which("git") is None:
        return Check("git", "warn", "git is not installed", "install it: a run records the commit of its code")
    if not any((folder / ".git").exists() for folder in (here.root, *here.root.parents)):
        return Check("git", "warn", f"{here.root} is not in a git repository", "git init, so that a run has a commit")
    return Check("git", "ok", "a run records the commit of its code")


def _disk(here: Settings) -> Check:
    free = shutil.disk_usage(_nearest(here.home)).free
    found = f"{free / (1 << 30):.1f} GiB free"
    if free < TOO_FEW_BYTES:
        raise NoSpace(found, hint="free some, as with jeyn gc, or set JEYN_HOME elsewhere")
    return Check("disk", "warn" if free < FEW_BYTES else "ok", found, "jeyn gc" if free < FEW_BYTES else "")


def _extras() -> Check:
    from importlib.util import find_spec

    there = [extra for extra, module in EXTRAS.items() if find_spec(module)]
    missing = [extra for extra in EXTRAS if extra not in there]
    return Check(
        "extras",
        "ok",
        f"with {', '.join(there) or 'none'}" + (f"; without {', '.join(missing)}" if missing else ""),
        f"pip install 'jeyn[{missing[0]}]' adds one where you need it" if missing else "",
    )


def _nearest(folder: Path) -> Path:
    """The folder itself, or the nearest above it that is there."""
    return next(each for each in (folder, *folder.parents) if each.exists())


LOOKS: dict[str, Callable[[Settings], Check]] = {
    "project": _project,
    "home": _home,
    "catalog": _catalog,
    "payloads": _payloads,
    "data": _data,
    "git": _git,
    "disk": _disk,
}
