"""`jeyn new`: a project folder whose pipeline runs at once; its files are in `template/`."""

from __future__ import annotations

import re
from pathlib import Path

import click

from jeyn.cli.output import Result, command
from jeyn.errors import Conflict, NotAllowed, UsageError

TEMPLATE = Path(__file__).parent / "template"
PLACEHOLDER = "PROJECT"
# Git would apply a .gitignore in the template to the template itself.
RENAMED = {"gitignore": ".gitignore"}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@command()
@click.argument("name")
def new(name: str) -> Result:
    """Make the folder NAME with jeyn.yaml, a pipeline that runs at once, and a little data."""
    if not _NAME.fullmatch(name):
        raise UsageError(f'"{name}" cannot be a project\'s name', hint="use letters, digits, dots, - and _")
    folder = Path(name).absolute()
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise Conflict(f'"{folder}" is there already', hint="choose another name, or empty it")
        files = sorted(_write(source, folder, name) for source in _sources())
    except OSError as exc:
        raise NotAllowed(f'"{folder}" cannot be made: {exc.strerror}', hint="go to a folder of yours") from exc
    following = f"cd {name} && jeyn run pipeline.py"
    return Result({"folder": folder, "files": files, "next": following}, f"made {folder}\n\n  {following}")


def _sources() -> list[Path]:
    return [path for path in TEMPLATE.rglob("*") if path.is_file() and "__pycache__" not in path.parts]


def _write(source: Path, folder: Path, name: str) -> str:
    place = source.relative_to(TEMPLATE)
    place = place.with_name(RENAMED.get(place.name, place.name))
    (folder / place).parent.mkdir(parents=True, exist_ok=True)
    text = source.read_text(encoding="utf-8").replace(PLACEHOLDER, name)
    (folder / place).write_text(text, encoding="utf-8")
    return place.as_posix()
