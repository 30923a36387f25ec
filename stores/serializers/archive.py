"""Zip archives with one byte form: members stored uncompressed in the given order, with a fixed date and mode."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable

from jeyn.errors import Corrupt

EPOCH = (1980, 1, 1, 0, 0, 0)


def pack(members: Iterable[tuple[str, bytes]]) -> bytes:
    """One archive; stored rather than deflated, because zlib builds differ in the bytes they make."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name, data in members:
            archive.writestr(_entry(name), data)
    return stream.getvalue()


def unpack(data: bytes, *, compressed: bool = False) -> dict[str, bytes]:
    """The members in order; a compressed one is refused unless asked for, so that nothing inflates on load."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = archive.infolist()
        if len({entry.filename for entry in entries}) != len(entries):
            raise Corrupt("an archive holds two members of one name")
        if not compressed and any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise Corrupt("an archive holds a compressed member, which Jeyn never writes")
        # Entries may share their bytes, so that few of them become many.
        if not compressed and sum(entry.file_size for entry in entries) > len(data):
            raise Corrupt("an archive holds members that are larger than itself")
        return {entry.filename: archive.read(entry) for entry in entries}


def holds_name(name: str) -> bool:
    """Whether a zip can carry this member name unchanged."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return bool(name) and zipfile.ZipInfo(name).filename == name and len(name.encode()) < 60_000


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, EPOCH)
    entry.create_system = 3
    entry.external_attr = 0o644 << 16
    return entry
