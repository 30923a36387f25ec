"""Libraries that are source code beside the project, on `PYTHONPATH` or installed as editable, for the code package."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from urllib.parse import unquote, urlsplit

from jeyn.json_text import parse
from jeyn.regular import is_regular, read_text, walk
from jeyn.sdk.plan import FunctionCode
from jeyn.workflows.code.listing import SUFFIXES, is_fit
from jeyn.workflows.code.local import is_environment, library_folders
from jeyn.workflows.code.reads import is_read

# What names a distribution, its version and its entry points; not where it lies.
_METADATA = ("METADATA", "PKG-INFO", "entry_points.txt", "top_level.txt")


def libraries_of(code: Iterable[FunctionCode], root: Path) -> dict[str, Path]:
    """The file or folder of each such library that these functions import, by its module's name."""
    parts = {part for each in code for part in each.parts if not is_read(part)}
    labels = {part.removeprefix("value of ").partition(":")[0] for part in parts}
    found: dict[str, Path] = {}
    for label in sorted(label for label in labels if not (root / label).exists()):
        top = label.partition("/")[0]
        for folder in library_folders(top.removesuffix(".py"), root):
            if (folder / label).is_file():
                name = top.removesuffix(".py")
                is_other = found.get(name, folder / top) != folder / top
                found[f"{name} in {folder}" if is_other else name] = folder / top
    return found


def library_files(libraries: Mapping[str, Path]) -> dict[str, Path]:
    """Their files as they lie in a code package, whose root is imported from, and what says how they are installed."""
    files = {
        path.relative_to(place.parent).as_posix(): path
        for place in libraries.values()
        for path in _files(place)
        if path.suffix in SUFFIXES and is_fit(path.relative_to(place.parent).as_posix())
    }
    return files | (metadata_files(libraries.values()) if libraries else {})


def metadata_files(places: Iterable[Path]) -> dict[str, Path]:
    """What `importlib.metadata` knows of the distributions that these sources belong to."""
    places = list(places)
    return {
        f"{folder.name}/{name}": folder / name
        for folder in _info_folders()
        if any(_is_about(folder, place) for place in places)
        for name in _METADATA
        if (folder / name).is_file()
    }


def _info_folders() -> Iterator[Path]:
    entries = (Path(entry or ".") for entry in sys.path)
    return (each for entry in entries if entry.is_dir() for each in sorted(entry.glob("*-info")))


def _is_about(info: Path, place: Path) -> bool:
    """Whether a distribution was installed as editable from around or below a folder, or lies beside it."""
    url = info / "direct_url.json"
    if url.is_file():
        told = parse(read_text(url))
        project = Path(unquote(urlsplit(told.get("url", "")).path))
        is_editable = bool(told.get("dir_info", {}).get("editable"))
        return is_editable and (place.is_relative_to(project) or project.is_relative_to(place))
    tops = info / "top_level.txt"
    return info.parent.resolve() == place.parent and tops.is_file() and place.stem in read_text(tops).split()


def compiled(libraries: Mapping[str, Path]) -> dict[str, Path]:
    """One compiled file of each library that has some: no code package can carry it to another machine."""
    found = {
        top: next((each for each in _files(place) if _is_compiled(each)), None) for top, place in libraries.items()
    }
    return {top: path for top, path in found.items() if path is not None}


def _files(place: Path) -> Iterator[Path]:
    if place.is_file():
        yield place
    for below, folders, files in walk(place):
        folders[:] = sorted(each for each in folders if not _is_left_out(place / below / each))
        yield from (path for each in sorted(files) if is_regular(path := place / below / each))


def _is_left_out(folder: Path) -> bool:
    return folder.name.startswith(".") or folder.name == "__pycache__" or is_environment(folder)


def _is_compiled(path: Path) -> bool:
    return path.name.endswith(tuple(EXTENSION_SUFFIXES)) or path.suffix in (".pyd", ".dll", ".dylib")
