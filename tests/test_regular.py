"""The door for reading files: regular ones, at once or not at all."""

from __future__ import annotations

import ast
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from jeyn.regular import NotRegular, TooLarge, opened, read_bytes, read_text, walk

ROOT = Path(__file__).parents[1]


def a_socket(path: Path) -> None:
    before = Path.cwd()
    os.chdir(path.parent)  # the path of a socket is short
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(before)


ODD: dict[str, Callable[[Path], object]] = {
    "a named pipe": os.mkfifo,
    "a socket": a_socket,
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a folder": lambda path: path.mkdir(),
}


@pytest.mark.parametrize("what", ODD)
def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path, what: str) -> None:
    path = tmp_path / "odd"
    ODD[what](path)
    for read in (opened, read_bytes, read_text):
        with pytest.raises(NotRegular, match=f"it is {what}, not a regular file"):
            read(path)
    link = tmp_path / "link"
    link.symlink_to(path)
    with pytest.raises(NotRegular, match=what):
        read_bytes(link)


def test_links_lead_on_and_loops_are_errors(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("ü")
    (tmp_path / "link").symlink_to("file")
    assert read_text(tmp_path / "link") == "ü"
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OSError, match="Too many levels"):
        opened(tmp_path / "loop")


def test_a_file_has_a_largest_size(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert read_bytes(path, 5) == b"12345"
    with pytest.raises(TooLarge, match="more than 4 bytes"):
        read_bytes(path, 4)


def test_folders_are_walked_however_deep_they_are(tmp_path: Path) -> None:
    nested = deep_folders(tmp_path, 1200)
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "self").symlink_to(".")
    try:
        found = list(walk(tmp_path))
        assert len(found) == 1201 and found[-1][2] == ["x.py"]
        assert found[0][1:] == (["d", "self"], ["loop"]) or sorted(found[0][1]) == ["d", "self"]
    finally:
        remove_deep(tmp_path, nested)


def deep_folders(top: Path, levels: int) -> int:
    """`top/d/d/…/x.py`, made without a path that is too long."""
    before = os.open(".", os.O_RDONLY)
    try:
        os.chdir(top)
        for _ in range(levels):
            os.mkdir("d")  # noqa: PTH102
            os.chdir("d")
        Path("x.py").write_text("x = 1\n")
    finally:
        os.chdir(before)
        os.close(before)
    return levels


def remove_deep(top: Path, levels: int) -> None:
    """What `shutil.rmtree` cannot: it calls itself for each level."""
    before = os.open(".", os.O_RDONLY)
    try:
        os.chdir(top)
        for _ in range(levels):
            os.chdir("d")
        Path("x.py").unlink()
        for _ in range(levels):
            os.chdir("..")
            os.rmdir("d")  # noqa: PTH106
    finally:
        os.chdir(before)
        os.close(before)


# Reads that do not go through the door, each for a reason.
ALLOWED = {
    "jeyn/cli/new.py": "the template in the package itself",
    "sdk/file.py": "a file that the user's own code opens",
    "stores/catalog/filesystem.py": "/proc",
    "stores/catalog/clock.py": "/proc",
    "stores/catalog/process.py": "/proc",
    "stores/payloads/staging.py": "the store's own files",
    "stores/care/bundle.py": "copies in a scratch folder of its own",
    "sdk/html.py": "a local copy of a payload",
    "stores/serializers/values.py": "local copies of payloads",
    "workflows/argo/schema.py": "a file of the package hera",
    "workflows/code/archive.py": "a folder that it has just looked through",
    "workflows/code/environment.py": "modules that Python has imported",
    "workflows/code/session_state.py": "modules that Python has imported",
    "workflows/planning.py": "notebooks' modules in the home",
}


def test_files_are_read_through_the_door_alone() -> None:
    """`Path.read_text`, `Path.read_bytes`, `.open("r")` and `open` of a path are nowhere else."""
    found = set()
    for folder in ("jeyn", "sdk", "stores", "workflows"):
        for path in (ROOT / folder).rglob("*.py"):
            if path.is_symlink() or any(part.is_symlink() for part in path.parents) or "template" in path.parts:
                continue
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and _reads(node):
                    found.add(path.relative_to(ROOT).as_posix())
    assert found <= ALLOWED.keys(), found - ALLOWED.keys()


def _reads(call: ast.Call) -> bool:
    function = call.func
    if isinstance(function, ast.Name):
        return function.id == "open" and not (call.args and isinstance(call.args[0], ast.Constant | ast.Name))
    if not isinstance(function, ast.Attribute):
        return False
    if function.attr in ("read_text", "read_bytes"):
        return not (isinstance(function.value, ast.Name) and function.value.id == "regular")
    mode = call.args[0] if call.args else None
    return function.attr == "open" and isinstance(mode, ast.Constant) and mode.value in ("r", "rb")
