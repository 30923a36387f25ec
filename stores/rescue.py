"""Models that could not be saved, kept as files: hours of training are not thrown away for want of a serializer.

`.jeyn/rescue/NAME.pickle` has the object, `NAME.json` beside it what it was to be saved as. A pickle runs code when it
is read, so Jeyn never reads one by itself: `jeyn rescue FILE` and `model_store.rescued(FILE)` are for who made it.
"""

from __future__ import annotations

import json
import logging
import os
import pickle
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jeyn.errors import JeynError, NotAllowed, NotFound
from jeyn.json_text import parse
from jeyn.regular import read_bytes, read_text
from jeyn.sdk.catalog import DataCatalog
from jeyn.sdk.checkpoint import ModelCheckpoint, VersionRequest
from jeyn.sdk.use_case import MlUseCase
from jeyn.sdk.value import Value
from jeyn.sdk.version import Version
from jeyn.stores.access import make_folder, writing
from jeyn.stores.catalog.changes import NewArtefact
from jeyn.stores.payloads import is_far

if TYPE_CHECKING:
    from jeyn.stores.workspace import Workspace

FOLDER = "rescue"
_log = logging.getLogger("jeyn.rescue")


@dataclass(frozen=True)
class Rescued:
    """What was rescued: `about` says what the object was to become, `place` is a file or the id of an artefact."""

    place: Path | str
    about: Mapping[str, Any]

    @property
    def operation(self) -> int | None:
        """The row of the operation that made it."""
        found: int | None = self.about.get("operation")
        return found


def rescue(workspace: Workspace, error: JeynError, obj: Any, about: Mapping[str, Any]) -> JeynError:
    """The same error, with where the object is kept and how to go on; of something else, or without room, as it was."""
    operation = getattr(workspace, "fence", (None, None))[0]
    told = {**about, "operation": operation, "error": error.message}
    try:
        # A pod's own folder is gone with it.
        keep = _keep_artefact if is_far(workspace.settings.payloads) else _keep
        data = _pickled(obj)
        look_through = getattr(workspace, "look_through", None)  # of an attempt: no secret is kept either
        if look_through is not None:
            look_through(data, FOLDER)
        place = keep(workspace, data, told)
    except Exception as exc:  # whatever an object's own pickling does, the first error is the one to tell
        _log.warning("it could not be kept for rescue either: %s", exc)
        return error
    shown = _shown(place, workspace.settings.root)
    go_on = f"then jeyn rescue {shown}" + (" --finish, then jeyn run --resume RUN" if operation is not None else "")
    kept = type(error)(f"{error.message}; the object itself is kept in {shown}", hint=f"{error.hint}; {go_on}")
    kept.refs = error.refs
    return kept


def checkpoint_about(checkpoint: ModelCheckpoint, batch: str, parents: list[str]) -> dict[str, Any]:
    """What a checkpoint that could not be saved was to be."""
    request = checkpoint.request
    return {
        "kind": "checkpoint",
        "name": checkpoint.name,
        "input_catalog": checkpoint.input_catalog.to_json(),
        "output_catalog": checkpoint.output_catalog.to_json(),
        "description": checkpoint.use_case.description,
        "batch": batch,
        "parents": parents,
        "metrics": dict(checkpoint.metrics),
        "level": request.level if request else "minor",
        "exact": str(request.exact) if request and request.exact else None,
        "base": str(request.base) if request and request.base else None,
    }


def read(workspace: Workspace, file: str | os.PathLike[str]) -> Rescued:
    """What is known of what was rescued, by its file or id, without reading the object.

    Raises `NotFound`, and `NotAllowed` for a file of somebody else.
    """
    if str(file).startswith("sha256:"):
        row = workspace.row(str(file))
        if FOLDER not in row.facts:
            raise NotFound(f'"{file}" is nothing that was rescued', hint="jeyn ls value lists what there is")
        return Rescued(row.id, row.facts[FOLDER])
    return _read_file(workspace, file)


def _read_file(workspace: Workspace, file: str | os.PathLike[str]) -> Rescued:
    path = Path(file).with_suffix(".pickle")
    if not path.is_file():
        path = workspace.settings.home / FOLDER / path.name
    if not path.is_file() or not path.with_suffix(".json").is_file():
        there = sorted(each.name for each in (workspace.settings.home / FOLDER).glob("*.pickle"))
        raise NotFound(f'"{file}" is no rescue file', hint=f"there are {', '.join(there) or 'none'}")
    if hasattr(os, "getuid") and path.stat().st_uid != os.getuid():
        raise NotAllowed(f'"{path}" is not yours, and reading a pickle runs the code in it', hint="ask its owner")
    return Rescued(path, parse(read_text(path.with_suffix(".json"))))


def load(workspace: Workspace, found: Rescued, *, batch: str | None = None) -> Any:
    """The object: an unsaved checkpoint, or the value. This runs the code in the pickle."""
    obj = pickle.loads(_bytes(workspace, found))  # noqa: S301  # asked for, in as many words
    about = found.about
    if about["kind"] != "checkpoint":
        return obj
    use_case = MlUseCase(
        about["name"],
        input_catalog=DataCatalog.from_json(about["input_catalog"]),
        output_catalog=DataCatalog.from_json(about["output_catalog"]),
        description=about["description"],
    )
    request = VersionRequest(
        about["level"],
        exact=Version.parse(about["exact"]) if about["exact"] else None,
        base=Version.parse(about["base"]) if about["base"] else None,
    )
    checkpoint = ModelCheckpoint(
        use_case=use_case,
        dataset=_batch(workspace, batch or about["batch"]),
        model=obj,
        parents=about["parents"],
        metrics=about["metrics"],
        request=request,
    )
    checkpoint.was_rescued = True
    return checkpoint


def forget(found: Rescued) -> None:
    """Delete the files: what they held is saved."""
    if isinstance(found.place, Path):
        found.place.unlink()
        found.place.with_suffix(".json").unlink()


def _bytes(workspace: Workspace, found: Rescued) -> bytes:
    if isinstance(found.place, Path):
        return read_bytes(found.place)
    row = workspace.row(found.place)
    return workspace.payloads.read(row.record.payloads[0].digest[7:])


def _keep_artefact(workspace: Workspace, data: bytes, about: Mapping[str, Any]) -> str:
    """As a value that is marked unsafe, on its own commit: the attempt that made it will not commit."""
    outside = getattr(workspace, "outside", workspace)
    value = Value(
        output=FOLDER, cache_key=FOLDER, format="serializer:jeyn.unsafe-pickle@1", payload=outside.keep(data, FOLDER)
    )
    return str(outside.commit([NewArtefact(value.record(), {"unsafe": True, FOLDER: dict(about)})])[0].id)


def _batch(workspace: Workspace, ref: str) -> Any:
    try:
        return workspace.get(ref, kind="batch")
    except NotFound as exc:
        raise NotFound(
            f'the batch "{ref[:23]}" that it was trained on was not saved, as its operation failed',
            hint="save it again and name it: --batch digits@^1/latest",
        ) from exc


def _keep(workspace: Workspace, data: bytes, about: Mapping[str, Any]) -> Path:
    folder = workspace.settings.home / FOLDER
    make_folder(folder)
    stem = f"{about['name']}-{datetime.now(UTC):%y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    path = folder / f"{stem}.pickle"
    for place, content in ((path.with_suffix(".json"), json.dumps(about, indent=1).encode()), (path, data)):
        with writing(place, os.O_EXCL) as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
    return path


def _pickled(obj: Any) -> bytes:
    """By name where that is possible; what has no name (a lambda) by its code, where a library here can do that."""
    try:
        return pickle.dumps(obj, protocol=5)
    except Exception:
        import cloudpickle

        found: bytes = cloudpickle.dumps(obj)
        return found


def _shown(path: Path | str, root: Path) -> str:
    if isinstance(path, str):
        return f"{path[:23]} --yes"
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
