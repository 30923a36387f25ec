"""A tar archive that is the same bytes for the same files, and its careful unpacking."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import re
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from jeyn.errors import Corrupt, NotAllowed, UsageError
from jeyn.sdk.canonical import sha256_of
from jeyn.settings import need_own
from jeyn.stores.access import is_shared, make_folder, writing

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
# Beyond the largest package with its headers; a small gzip can hold any number of zeros.
_LARGEST = 200 * 2**20


class Member(NamedTuple):
    """One file of an archive; of a symbolic link `data` is where it leads, relative to its folder."""

    path: str
    data: bytes
    is_executable: bool = False
    is_link: bool = False


def pack(members: Iterable[Member]) -> bytes:
    """An uncompressed PAX tar of the members, without owners and times."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for member in sorted(members):
            info = tarfile.TarInfo(member.path)
            info.mode = 0o755 if member.is_executable else 0o644
            if member.is_link:
                info.type, info.linkname = tarfile.SYMTYPE, member.data.decode()
                archive.addfile(info)
            else:
                info.size = len(member.data)
                archive.addfile(info, io.BytesIO(member.data))
    return out.getvalue()


def compress(data: bytes) -> bytes:
    """For transport. The bytes may differ between versions of zlib, so digests are over what is inside."""
    out = io.BytesIO()
    with gzip.GzipFile(filename="", fileobj=out, mode="wb", mtime=0, compresslevel=6) as file:
        file.write(data)
    return out.getvalue()


def unpack_code(package: bytes | Path, digest: str, into: Path) -> Path:
    """The folder `into/<hex of the digest>` with exactly the files of a gzipped package, verified.

    One that is there is looked through, and unpacked anew where anything in it is not as it was packed. Raises
    `Corrupt` when the bytes are not those of `digest`, `NotAllowed` when a name in it leads outside or the folder is
    somebody else's.
    """
    if not _DIGEST.fullmatch(digest):
        raise UsageError(f'"{digest}" is no digest', hint="sha256: and 64 hex digits")
    target = into / digest[7:]
    data = _decompressed(package if isinstance(package, bytes) else package.read_bytes())
    if sha256_of(data) != digest:
        raise Corrupt(
            f'the code package is not "{digest}" but "{sha256_of(data)}"', hint="fetch it again, or run jeyn fsck"
        )
    make_folder(into)
    need_own(into, target.name)
    if target.is_dir() and _is_unpacked(data, target):
        return target
    folder = Path(tempfile.mkdtemp(prefix=f".{digest[7:19]}-", dir=into))
    if is_shared(into):
        folder.chmod(0o2770)
    try:
        _extract(data, folder)
        _settle(folder, target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return target


def sha256_hex(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _decompressed(data: bytes) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            found = file.read(_LARGEST + 1)
    except (OSError, EOFError, zlib.error) as exc:
        raise Corrupt(f"the code package is no gzip file: {exc}", hint="fetch it again, or run jeyn fsck") from exc
    if len(found) > _LARGEST:
        raise Corrupt(f"the code package unpacks to more than {_LARGEST} bytes", hint="it was not made by Jeyn")
    return found


def _extract(data: bytes, folder: Path) -> None:
    """What `pack` writes and nothing else; tarfile's own filters are there from Python 3.11.4 on only."""
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
            members = archive.getmembers()
            for member in members:  # without links nothing leads elsewhere
                if not member.issym():
                    _write(archive, member, folder)
        for member in members:
            if member.issym():
                place = _inside(folder, member.name)
                make_folder(place.parent)
                place.symlink_to(member.linkname)
        for member in members:
            _inside(folder, member.name)
    except (tarfile.TarError, FileExistsError) as exc:
        raise Corrupt(f"the code package is no tar archive: {exc}", hint="it was not made by Jeyn") from exc


def _write(archive: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    place, file = _inside(folder, member.name), archive.extractfile(member) if member.isreg() else None
    if file is None:
        raise _unsafe(f'"{member.name}" is no file')
    make_folder(place.parent)
    with writing(place, os.O_EXCL) as out:
        shutil.copyfileobj(file, out)
        mode = os.fstat(out.fileno()).st_mode & 0o777
        os.fchmod(out.fileno(), mode | (mode & 0o440) >> 2 if member.mode & 0o100 else mode)


def _is_unpacked(data: bytes, target: Path) -> bool:
    """Whether the folder holds the archive's members and nothing else; compiled code, which nobody checks, goes."""
    for compiled in list(target.rglob("__pycache__")):
        shutil.rmtree(compiled, ignore_errors=True)
    there = {path.relative_to(target).as_posix(): path for path in target.rglob("*") if _is_leaf(path)}
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
        members = {member.name: member for member in archive.getmembers()}
        return there.keys() == members.keys() and all(
            _is_as_packed(archive, members[name], path) for name, path in there.items()
        )


def _is_leaf(path: Path) -> bool:
    return path.is_symlink() or not path.is_dir()


def _is_as_packed(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> bool:
    if member.issym() or path.is_symlink():
        return member.issym() and path.is_symlink() and str(path.readlink()) == member.linkname
    file = archive.extractfile(member)
    return file is not None and path.is_file() and path.read_bytes() == file.read()


def _inside(folder: Path, name: str) -> Path:
    """The place of a member, which neither a name nor a link may lead out of the folder."""
    place = folder / name
    if not place.resolve().is_relative_to(folder.resolve()):
        raise _unsafe(f'"{name}" leads outside')
    return place


def _unsafe(why: str) -> NotAllowed:
    return NotAllowed(f"the code package is unsafe: {why}", hint="it was not made by Jeyn; do not use it")


def _settle(folder: Path, target: Path) -> None:
    """Put the folder in place of whatever is there: what was changed, or what a quicker process unpacked."""
    aside = folder.with_name(f"{folder.name}-old")
    try:
        with suppress(FileNotFoundError):
            target.rename(aside)
        folder.rename(target)
    except OSError:
        if not target.is_dir():  # else another process was quicker, with the same files
            raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)
