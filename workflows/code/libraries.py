"""Libraries that are source code beside the project, on `PYTHONPATH` or installed as editable, for the code package."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

from jeyn.sdk.plan import FunctionCode
from jeyn.workflows.code.listing import SUFFIXES
from jeyn.workflows.code.local import is_environment, library_folder
from jeyn.workflows.code.reads import is_read


def libraries_of(code: Iterable[FunctionCode], root: Path) -> dict[str, Path]:
    """The file or folder of each such library that these functions import, by its module's name."""
    parts = {part for each in code for part in each.parts if not is_read(part)}
    labels = {part.removeprefix("value of ").partition(":")[0] for part in parts}
    tops = sorted({label.partition("/")[0].removesuffix(".py") for label in labels if not (root / label).exists()})
    found = {}
    for top in tops:
        folder = library_folder(top, root)
        if folder is not None:
            found[top] = folder / top if (folder / top).is_dir() else folder / f"{top}.py"
    return found


def library_files(libraries: Mapping[str, Path]) -> dict[str, Path]:
    """Their files as they lie in a code package, whose root is imported from."""
    return {
        path.relative_to(place.parent).as_posix(): path
        for place in libraries.values()
        for path in _files(place)
        if path.suffix in SUFFIXES
    }


def compiled(libraries: Mapping[str, Path]) -> dict[str, Path]:
    """One compiled file of each library that has some: no code package can carry it to another machine."""
    found = {
        top: next((each for each in _files(place) if _is_compiled(each)), None) for top, place in libraries.items()
    }
    return {top: path for top, path in found.items() if path is not None}


def _files(place: Path) -> Iterator[Path]:
    if place.is_file():
        yield place
    for folder, folders, files in os.walk(place):
        folders[:] = sorted(each for each in folders if not _is_left_out(Path(folder) / each))
        yield from (Path(folder) / each for each in sorted(files))


def _is_left_out(folder: Path) -> bool:
    return folder.name.startswith(".") or folder.name == "__pycache__" or is_environment(folder)


def _is_compiled(path: Path) -> bool:
    return path.name.endswith(tuple(EXTENSION_SUFFIXES)) or path.suffix in (".pyd", ".dll", ".dylib")
