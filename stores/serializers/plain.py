"""Bytes, text, JSON values and files as they are."""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from jeyn.errors import Corrupt, NotFound
from jeyn.regular import read_bytes
from jeyn.stores.serializers.decoding import decoding
from jeyn.stores.serializers.json_values import decode_json, encode_json, holds_json_only


class BytesSerializer:
    """Bytes, unchanged."""

    id = "jeyn.bytes"
    version = "1"
    is_plain = True

    def to_bytes(self, model_object: Any) -> bytes:
        return bytes(model_object)

    def from_bytes(self, model_bytes: bytes) -> Any:
        return bytes(model_bytes)


class TextSerializer:
    """Text as UTF-8."""

    id = "jeyn.text"
    version = "1"
    is_plain = True

    def to_bytes(self, model_object: Any) -> bytes:
        return text_bytes(model_object)

    def from_bytes(self, model_bytes: bytes) -> Any:
        return read_text(model_bytes)


class JsonSerializer:
    """Dicts, lists and tuples of scalars as typed JSON; what they hold is checked, with its path."""

    id = "jeyn.json"
    version = "1"
    is_plain = True

    def accepts(self, obj: Any) -> bool:
        """Whether all that it holds is JSON; what holds models or arrays is a collection."""
        return holds_json_only(obj)

    def to_bytes(self, model_object: Any) -> bytes:
        return encode_json(model_object)

    def from_bytes(self, model_bytes: bytes) -> Any:
        return decode_json(model_bytes)


class FileSerializer:
    """The file at a `pathlib.Path`, with its name; it comes back in a folder that goes when the process ends."""

    id = "jeyn.file"
    version = "1"
    is_plain = True

    def to_bytes(self, model_object: Any) -> bytes:
        path = regular_file(Path(model_object))
        return json.dumps({"name": path.name}).encode() + b"\n" + read_bytes(path)

    def from_bytes(self, model_bytes: bytes) -> Any:
        with decoding(self.id):
            header, separator, content = model_bytes.partition(b"\n")
            name = json.loads(header)["name"]
            if not separator or not _is_file_name(name):
                raise Corrupt(f"{name!r} is not the name of a file")
        path = Path(tempfile.mkdtemp(dir=_scratch_folder())) / name
        path.write_bytes(content)
        return path


def text_bytes(text: str) -> bytes:
    """UTF-8; NotSerializable for lone surrogates."""
    encode_json(text)
    return str(text).encode()


def read_text(data: bytes) -> str:
    with decoding("text"):
        return data.decode("utf-8")


def regular_file(path: Path) -> Path:
    """The path, where it is a file; NotFound where it is a folder or nothing."""
    if not path.is_file():
        raise NotFound(
            f"'{path}' is not a file that can be stored",
            hint="write it first; a folder is stored as an archive of it",
        )
    return path


def _is_file_name(name: Any) -> bool:
    return isinstance(name, str) and name not in {"", ".", ".."} and not set(name) & set("/\\\0")


def named(path: Path, name: str) -> Path:
    """The same file under its own name, by which it is known what is in it: .png, .csv.

    A link, in a folder that goes when the process ends.
    """
    if not _is_file_name(name):
        return path
    link = Path(tempfile.mkdtemp(dir=_scratch_folder())) / name
    link.symlink_to(path)
    return link


@cache
def _scratch_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="jeyn-files-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
