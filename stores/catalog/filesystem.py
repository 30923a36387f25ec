"""Where a SQLite catalog may live: not on a network file system, whose locks and fsync it cannot trust."""

from __future__ import annotations

from pathlib import Path

from jeyn.errors import Unreachable
from jeyn.regular import real

NETWORK = frozenset(
    {"9p", "afs", "beegfs", "ceph", "cifs", "gfs2", "glusterfs", "lustre", "ncpfs", "nfs", "nfs4", "ocfs2"}
    | {"smb2", "smb3", "smbfs"}
    | {f"fuse.{kind}" for kind in ("cephfs", "gcsfuse", "glusterfs", "rclone", "s3fs", "sshfs")}
)


def refuse_network(folder: Path, mounts: Path = Path("/proc/self/mountinfo")) -> None:
    """Raise `Unreachable` when `folder` is on a network file system; say nothing where that cannot be known."""
    kind = file_system(folder, mounts)
    if kind in NETWORK:
        raise Unreachable(
            f'the home "{folder}" is on a network file system ({kind}), where SQLite can lose data',
            hint="put JEYN_HOME on a local disk, or share a catalog with JEYN_CATALOG=postgresql://…",
        )


def file_system(folder: Path, mounts: Path = Path("/proc/self/mountinfo")) -> str:
    """The type of file system that holds `folder`, or "" where the system does not say (Linux does)."""
    try:
        lines = mounts.read_text().splitlines()
    except OSError:
        return ""
    target = real(folder)
    found, best = "", -1
    for line in lines:
        left, _, right = line.partition(" - ")
        point = Path(left.split()[4].replace("\\040", " "))
        if target.is_relative_to(point) and len(point.parts) >= best:
            found, best = right.split()[0], len(point.parts)
    return found
